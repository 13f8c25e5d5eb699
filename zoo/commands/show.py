"""python -m zoo show: what is known of one model, printed."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from celebahq.files import printable
from zoo.architecture import ProGANConfig, read_architecture
from zoo.catalog import Catalog, Entry, read_catalog
from zoo.commands.detector import detector_lines
from zoo.commands.in_words import NOTHING, in_words
from zoo.commands.listing import ABOUT, license_words
from zoo.detector import CLASS
from zoo.folder import WEIGHTS_NAMES, read_config
from zoo.locate import locate
from zoo.metrics import METRICS_NAME, metric_of, read_metrics, within_noise
from zoo.pull import license_of_weights
from zoo.remote.cache import is_cached

if TYPE_CHECKING:
    from rich.console import Console

MOST_COLUMNS = 96
"""Of an image in the terminal."""


def show(model: str, cache: Path | None = None) -> None:
    """Print a model that is on this machine, or what the catalogue says of one that is not.

    Args:
        model: as zoo.model_folder takes it.
        cache: as zoo.remote.cache.cache_folder takes it.

    Raises:
        ModelError: there is no such model, or its files cannot be used.
    """
    catalog = read_catalog()
    entry = None if Path(model).exists() else catalog.entries.get(model)
    if entry:
        print("\n".join(entry_lines(entry, catalog, is_cached(model, cache))))
        if not is_cached(model, cache):
            if entry.architecture:
                from zoo.commands.architecture_table import as_lines, generator_table  # torch: only now

                config = ProGANConfig(**(entry.architecture | {"resolution": entry.resolution}))
                print("", *as_lines("Generator", generator_table(config)), sep="\n")
            return
        print()
    folder = locate(model, cache=cache)
    print("\n".join(folder_lines(folder)))
    image = next((path for path in sorted(folder.glob("samples.*")) if path.suffix in (".png", ".jpg")), None)
    if image:
        print(f"\nsamples: {printable(image)}")
        if sys.stdout.isatty():
            print_image(image)


def entry_lines(entry: Entry, catalog: Catalog, cached: bool) -> list[str]:
    """Return what the catalogue says of a model."""
    layout = catalog.layouts[entry.layout]
    state = f"imported images are compared in {layout.tests}" if layout.tests else f"not readable: {layout.missing}"
    lines = [
        f"{entry.name}: {entry.resolution}x{entry.resolution}, {entry.publisher}",
        f"  {entry.home}",
        f"  license of the weights: {license_of_weights(entry)}",
        f"  license of the data: {entry.data_license}",
        f"  use: {'non-commercial only' if entry.non_commercial else 'see the licenses'}",
        f"  its publisher says: {entry.quality}",
        f"  cite: {entry.citation}",
        f"  layout: {entry.layout}, {layout.title}; {state}",
    ]
    for number, source in enumerate(entry.sources, 1):
        size = f"{source.size / 1e6:.1f} MB, " if source.size else ""
        how = "by hand, " if source.manual else ""
        checked = f"seen to answer on {source.checked}" if source.checked else "unchecked"
        lines.append(f"  source {number}: {source.address}")
        lines.append(f"    {source.file}: {how}{size}hash {source.published_hash}, address {checked}")
    if not cached and layout.missing is None:
        lines.append(f"  not in the cache: python -m zoo pull {entry.name}")
    return lines


def folder_lines(folder: Path) -> list[str]:
    """Return what a model folder says of itself.

    Raises:
        ModelError: its config.json cannot be used.
    """
    config = read_config(folder)
    kind = config.get("class", "Generator")
    lines = [
        f"{folder}: {ABOUT.get(kind, kind)}",
        f"  license of the weights: {license_words(config)}",
        *_plain("license of the data", (config.get("license") or {}).get("data") if _has(config, "license") else None),
        *_plain("data", config.get("dataset")),
        *_training(config.get("training")),
        *_origin(config.get("imported")),
        *_plain("copyright", config.get("copyright")),
        *_plain("source", config.get("source")),
        *_plain("cite", config.get("citation")),
    ]
    for entry in read_metrics(folder):
        lines.append(f"  {metric_of(entry['metric']).name} ({METRICS_NAME}):")
        for title, key in (("model", "values"), ("noise floor", "noise_floor"), ("reals", "reals")):
            if isinstance(entry.get(key), dict):
                numbers = ", ".join(f"{name} {_number(value)}" for name, value in entry[key].items())
                lines.append(f"    {title}: {numbers}")
        if below := within_noise(entry):
            lines.append(f"    below the noise floor: {', '.join(below)}; so many images cannot tell it from reals")
        lines += _measured(entry)
    lines = [printable(line) for line in lines]  # the model may be from anywhere
    if kind == CLASS:
        return [*lines, "", *map(printable, detector_lines(folder))]
    if kind != "Generator":
        return [*lines, "", *map(printable, _sizes(folder, config))]
    architecture = read_architecture(folder)
    from zoo.commands.architecture_table import as_lines, discriminator_table, generator_table

    lines += ["", *as_lines("Generator", generator_table(architecture))]
    if (folder / WEIGHTS_NAMES["Discriminator"]).exists():
        lines += ["", *as_lines("Discriminator", discriminator_table(architecture))]
    return lines


def _measured(entry: dict[str, Any]) -> list[str]:
    """Return how an entry was measured: on how many images, against what data, by what command."""
    dataset = entry.get("dataset")
    dataset = dataset if isinstance(dataset, dict) else {"file": dataset} if isinstance(dataset, str) else {}
    against = [
        in_words(dataset["file"]) if "file" in dataset else "",
        f"{in_words(dataset['faces'])} faces" if "faces" in dataset else "",
        f"sha256 of its 4x4 level {dataset['sha256_4x4']}" if "sha256_4x4" in dataset else "",
    ]
    dataset_text = ", ".join(filter(None, against))
    images = entry.get("num_images")
    if isinstance(images, dict):  # of several test sets
        images = in_words(images)
    parts = [
        f"{in_words(images)} images" if images is not None else "",
        f"{in_words(entry['num_reals'])} reals" if "num_reals" in entry else "",
        f"data {dataset_text}" if dataset_text else "",
    ]
    of = "; ".join(filter(None, parts))
    lines = [f"    of: {of}"] if of else []
    return [*lines, f"    by: {in_words(entry['command'])}"] if "command" in entry else lines


def _sizes(folder: Path, config: dict[str, Any]) -> list[str]:
    """Return the parts of a restoration network and their parameters."""
    from zoo.check_image import load_network
    from zoo.commands.architecture_table import short

    network = load_network(folder)
    rows = [(name, sum(p.numel() for p in part.parameters())) for name, part in network.named_children()]
    lines = [f"{config['class']}: {in_words(config['architecture'])}"]
    lines += [f"  {name:<16}{short(number):>9}" for name, number in rows]
    return [*lines, f"  {'Total':<16}{short(sum(number for _, number in rows)):>9}"]


def _plain(title: str, value: Any) -> list[str]:
    return [f"  {title}: {words}"] if (words := in_words(value)) != NOTHING else []


def _training(training: Any) -> list[str]:
    """Return how a model was trained, and below it the options that were changed at a resume, a line a moment."""
    if not isinstance(training, dict):
        return _plain("training", training)
    lines = _plain("training", {key: item for key, item in training.items() if key != "history"})
    history = training.get("history")
    for entry in history if isinstance(history, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("changed"), dict):
            pairs = {key: pair for key, pair in entry["changed"].items() if isinstance(pair, list) and len(pair) == 2}
            told = (f"{key} from {in_words(before)} to {in_words(now)}" for key, (before, now) in pairs.items())
            lines.append(f"    changed at {in_words(entry.get('kimg'))} kimg: {', '.join(told)}")
    return lines


def _origin(imported: Any) -> list[str]:
    """Return where an imported model is from, as zoo.importers.Imported.provenance wrote it."""
    if not isinstance(imported, dict):
        return _plain("imported from", imported)
    lines = [f"  imported from: {in_words(imported.get('file'))}, layout {in_words(imported.get('layout'))}"]
    named = {"file_sha256": "the file"} | {f"{Path(name).stem}_sha256": name for name in WEIGHTS_NAMES.values()}
    lines += [f"    sha256 of {name}: {imported[key]}" for key, name in named.items() if key in imported]
    notes = imported.get("notes")
    return lines + [f"    {note}" for note in notes if note] if isinstance(notes, list) else lines


def _has(config: dict[str, Any], key: str) -> bool:
    return isinstance(config.get(key), dict)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else in_words(value)


def print_image(path: Path) -> None:
    """Print an image in colored half blocks, two pixels a character; nothing on a terminal without its colors."""
    from PIL import Image
    from rich.console import Console

    console = Console()
    if console.no_color or console.color_system not in ("256", "truecolor"):
        return
    try:
        print_on(console, path)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        print(f"  cannot be shown ({error})")


def print_on(console: "Console", path: Path) -> None:
    """Print an image on a console as wide as it allows, at most 96 columns; its colors are those of the terminal."""
    import numpy as np
    from PIL import Image
    from rich.text import Text

    with Image.open(path) as image:
        columns = min(console.width, MOST_COLUMNS, image.width)
        rows = max(2, round(image.height * columns / image.width) // 2 * 2)
        pixels = np.asarray(image.convert("RGB").resize((columns, rows), Image.Resampling.BOX))
    for y in range(0, rows, 2):
        line = Text(end="\n")
        for x in range(columns):
            upper, lower = ("#{:02x}{:02x}{:02x}".format(*pixels[y + half, x]) for half in (0, 1))
            line.append("▀", style=f"{upper} on {lower}")
        console.print(line)
