"""python -m zoo list|show|pull|import|verify: every public ProGAN weight, one safe command away."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

from celebahq.command import run_command

if TYPE_CHECKING:
    from zoo.commands.config import ListConfig, PullConfig, VerifyConfig


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run one subcommand and exit: 0 done, 1 a check failed, 2 a name or a file cannot be used, 130 after Ctrl-C."""
    run_command(
        lambda: run(args),
        "python -m zoo",
        interrupted="stopped, nothing is left incomplete; run again, a download goes on where it was",
    )


def run(args: Sequence[str] | None = None) -> int:
    """Run one subcommand; return the exit code, or raise what a user can mend.

    Everything is imported behind run_command, which has an answer to Ctrl-C.
    """
    import tyro
    from tyro.conf import subcommand

    from zoo.commands.config import ImportConfig, ListConfig, PullConfig, ShowConfig, VerifyConfig

    Command = (
        Annotated[ListConfig, subcommand("list")]
        | Annotated[ShowConfig, subcommand("show")]
        | Annotated[PullConfig, subcommand("pull")]
        | Annotated[ImportConfig, subcommand("import")]
        | Annotated[VerifyConfig, subcommand("verify")]
    )
    config = tyro.cli(Command, args=args, prog="python -m zoo", description=__doc__)
    # each command imports what it runs on: torch only where networks are built
    if isinstance(config, ListConfig):
        list_models(config)
    elif isinstance(config, ShowConfig):
        from zoo.commands.show import show

        show(config.model, config.cache)
    elif isinstance(config, PullConfig):
        pull_models(config)
    elif isinstance(config, ImportConfig):
        from zoo.folder import check_folder_name
        from zoo.model_import import import_model

        if config.output:
            check_folder_name(config.output, "--output")
        folder = config.output or Path(config.file.stem)
        made = import_model(config.file, folder, overwrite=config.overwrite, label_size=config.label_size)
        print(f"{config.file}: imported as {made}")
    elif config.online:
        return ask_addresses(config)
    else:
        return verify(config)
    return 0


def list_models(config: "ListConfig") -> None:
    """Print the lists, or the page of the documentation."""
    if config.markdown:
        from zoo.commands.sources_page import sources_page

        print(sources_page(), end="")
        return
    from zoo.commands.listing import listing

    print("\n".join(listing(config.words, config.runs, config.cache)))


def pull_models(config: "PullConfig") -> None:
    """Fetch models, one after the other, and print where they lie."""
    from zoo.catalog import read_catalog
    from zoo.folder import ModelError
    from zoo.locate import locate
    from zoo.pull import pull

    if not config.models:
        raise ModelError("NAME: got none, expected a name of python -m zoo list")
    for name in config.models:
        entry = read_catalog().entries.get(name)
        # a name to pull means the catalogue's, even where a folder of that name lies about
        folder = pull(entry, config.cache, config.again) if entry else locate(name, cache=config.cache)
        print(f"{name}: {folder}")


def verify(config: "VerifyConfig") -> int:
    """Check a model that is on this machine; return the exit code."""
    from zoo.catalog import read_catalog
    from zoo.folder import ModelError
    from zoo.locate import is_somebodys, locate
    from zoo.remote.cache import is_cached

    if config.model is None:
        raise ModelError("MODEL: got none, expected a model (or --online)")
    name = config.model
    if name in read_catalog().entries and not Path(name).exists() and not is_cached(name, config.cache):
        raise ModelError(f"{name}: not in the cache, run python -m zoo pull {name} first")
    folder = locate(name, cache=config.cache)
    if config.record and is_somebodys(name, folder):
        raise ModelError(f"--record: got {name}, which is not yours to change, expected a model folder or a run folder")

    from celebahq.files import printable
    from zoo.check_image import load_network, record_check
    from zoo.commands.verify import verify_checkpoint, verify_folder

    if config.record:
        print(f"written {record_check(folder, load_network(folder))}")
    findings = verify_folder(folder)
    if name in read_catalog().entries and not Path(name).exists():
        findings += verify_checkpoint(read_catalog().entries[name], config.cache)
    print("\n".join(printable(finding) for finding in findings))  # some words are the model's own
    return 0 if all(finding.good for finding in findings) else 1


def ask_addresses(config: "VerifyConfig") -> int:
    """Ask the catalogue's addresses whether they answer; return the exit code."""
    from collections import Counter

    from celebahq.files import printable
    from zoo.catalog import read_catalog
    from zoo.commands.online import check_addresses
    from zoo.download import offline
    from zoo.folder import ModelError

    entries = read_catalog().entries
    if config.model and config.model not in entries:
        raise ModelError(f"{config.model}: not in the catalogue, expected a name of python -m zoo list")
    if offline():
        raise ModelError("HF_HUB_OFFLINE: got 1, with which no address is asked, expected 0")
    verdicts: Counter[str] = Counter()
    for answer in check_addresses([entries[config.model]] if config.model else entries.values()):
        verdicts[answer.verdict] += 1
        line = f"{answer.verdict:<11} {answer.entry.name:<32} {answer.text:<50} {answer.source.address}"
        print(printable(line), flush=True)  # some of the words are a host's
    unreachable = f"; {verdicts['unreachable']} could not be reached" if verdicts["unreachable"] else ""
    print(f"{verdicts['ok']} of {verdicts.total()} addresses answer as they should{unreachable}")
    return 0 if verdicts["ok"] == verdicts.total() else 1


if __name__ == "__main__":
    main()
