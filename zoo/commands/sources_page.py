"""docs/zoo.md, made from the catalogue: sources, whether they are recognised and verified, licenses, addresses."""

from zoo.catalog import Catalog, Entry, Source, read_catalog
from zoo.pull import license_of_weights

HEAD = """\
# Published weights

`python -m zoo list --markdown` prints this page from `zoo/catalog.toml`; edit that file, not this one.

`python -m zoo pull NAME` downloads a model, checks it against whatever its publisher says of the file, converts it into
a model folder and states its license once; `python -m zoo import FILE` converts a file that you have, also a
`checkpoint-*.pt` of `python -m train`. Nothing in a file is run. `zoo.load("NAME")` does all of it in Python.

A generator without its discriminator (genforce, huggan, mmgen) does not tell a label from z: it is read as
unconditional unless `--label-size N`, or `zoo.import_checkpoint(path, label_size=N)`, says else. genforce joined labels
in another way before December 2020: `"latent_norm": "both"` under `architecture` in `config.json` is that one. Files of
StyleGAN 1 to 3 and R3GAN are refused by their name.

Checkpoints are kept in `downloads/NAME/` and converted models in `models/NAME/` of the cache: `--cache`, or
`$CELEBAHQ_ZOO_CACHE`, or `celebahq/zoo` in `$XDG_CACHE_HOME` or `~/.cache`. A file that was fetched by hand is put
into `downloads/NAME/`. `config.json` of a model holds the sha256 of the checkpoint and of what became of it, the
license, and the address; `check.safetensors` what its network gave for fixed inputs: `python -m zoo verify` compares.

*Recognised*: an importer knows the layout by its content. *Verified numerically*: the tests generate with imported
weights and with that family's own definition, and the images agree within 1e-4. *Addresses checked*: how many of them
somebody has seen to answer; `python -m zoo verify --online` asks them all. All of the weights below are for
non-commercial use: where their own license would allow more, that of the images they learned from does not.

## Sources

| source | models | layout | recognised | verified numerically | license of the weights | addresses checked |
|---|---|---|---|---|---|---|
"""
TAIL = """\

## Citations

"""


def sources_page() -> str:
    """Return the page."""
    catalog = read_catalog()
    families: dict[str, list[Entry]] = {}
    for entry in catalog.entries.values():
        families.setdefault(entry.family, []).append(entry)
    lines = [_family_line(entries, catalog) for entries in families.values()]
    models = [
        "",
        "## Models",
        "",
        "| name | file and address | bytes | published hash | address checked |",
        "|" + "---|" * 5,
    ]
    models += [_source_line(entry, n, source) for entry in catalog.entries.values() for n, source in _numbered(entry)]
    quality = ["", "## What publishers say of them, and the license of the images", ""]
    quality += [f"- {_name(entries)}: {_same(entries)}" for entries in families.values()]
    citations = sorted({entry.citation for entry in catalog.entries.values()})
    return (
        HEAD
        + "\n".join([*lines, *models, *quality])
        + "\n"
        + TAIL
        + "\n".join(f"- {text}" for text in citations)
        + "\n"
    )


def _family_line(entries: list[Entry], catalog: Catalog) -> str:
    first = entries[0]
    layouts = list(dict.fromkeys(source.layout for entry in entries for source in entry.sources[:1]))
    known = [catalog.layouts[layout] for layout in layouts]
    recognised = "yes" if all(layout.missing is None for layout in known) else f"no: {known[0].missing}"
    tests = [f"[yes](../{layout.tests})" for layout in known if layout.tests]
    addresses = {source.address: source.checked for entry in entries for source in entry.sources if source.address}
    checked = sum(day is not None for day in addresses.values())
    return (
        f"| [{first.publisher}]({first.home}) | {len(entries)} | {', '.join(layouts)} | {recognised} "
        f"| {', '.join(tests) or 'no'} | {license_of_weights(first)} | {checked} of {len(addresses)} |"
    )


def _numbered(entry: Entry) -> list[tuple[int, Source]]:
    return list(enumerate(entry.sources))


def _source_line(entry: Entry, number: int, source: Source) -> str:
    name = f"`{entry.name}`" if number == 0 else "or"
    size = f"{source.size:,}" if source.size else "not stated"
    how = " (by hand)" if source.manual else ""
    file = f"[{source.file or 'page'}]({source.address}){how}"
    return f"| {name} | {file} | {size} | {source.published_hash} | {source.checked or 'no'} |"


def _name(entries: list[Entry]) -> str:
    return entries[0].publisher


def _same(entries: list[Entry]) -> str:
    """Return quality and data license, once where all models of a family share them."""
    by_text: dict[str, list[str]] = {}
    for entry in entries:
        by_text.setdefault(f"{entry.quality}. {entry.data_license}", []).append(entry.name)
    if len(by_text) == 1:
        return next(iter(by_text))
    few = {text: ", ".join(f"`{name}`" for name in names) if len(names) < 4 else f"the {len(names)} others"
           for text, names in by_text.items()}  # fmt: skip
    return "; ".join(f"{names}: {text}" for text, names in few.items())
