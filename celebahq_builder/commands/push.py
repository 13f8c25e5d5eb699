"""celebahq-data push: a dataset file to the Hugging Face Hub, as parquet shards with a card, in one commit."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from celebahq.errors import CelebAHQError
from celebahq.files import printable, write_atomic
from celebahq.options import check_options
from celebahq_builder.commands.convert import ConvertConfig, convert
from celebahq_builder.dataset_card import HISTOGRAM, CardFacts, dataset_card, is_repo_id, save_histogram
from celebahq_builder.hdf5 import Dataset, DatasetError, open_dataset

_log = logging.getLogger("celebahq")
_MARK = ".push.json"


class PushError(CelebAHQError):
    """The Hub or the way to it refused; the message is one line with the remedy."""

    exit_code = 1


@dataclass(frozen=True, kw_only=True)
class PushConfig:
    """Publish a dataset on the Hugging Face Hub: parquet shards and a card, built and shown first, then sent.

    A new repository is private unless --public is given. The same command again sends only what is missing or changed.
    A token that may write comes from `hf auth login` or HF_TOKEN.

    Example: celebahq-data push faces.h5 --repo me/faces --license cc-by-nc-4.0 --photos-license "my own" --dry-run
    """

    file: Annotated[Path, tyro.conf.Positional]
    """A dataset file."""
    repo: Annotated[str, tyro.conf.arg(metavar="ORG/NAME")]
    """The repository; made if it is missing."""
    license: str
    """License of the collection, an identifier of the Hub such as cc-by-nc-4.0, or other."""
    photos_license: str
    """Terms of the photographs, in words, for the card: nothing is published of which nobody says what may be done."""
    consent: str | None = None
    """How the people in the photographs agreed, in words, for the card."""
    intended_use: str | None = None
    """What the dataset is for, in words; left out, research on generative models, and what it is not for."""
    resolution: int | None = None
    """Which level; left out, the largest."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Where the folder is built that is sent; left out, <file>-hub beside the file. It is kept."""
    public: tyro.conf.FlagCreatePairsOff[bool] = False
    """Make a new repository public."""
    dry_run: tyro.conf.FlagCreatePairsOff[bool] = False
    """Build and show the folder, ask the Hub nothing and send nothing."""

    def __post_init__(self) -> None:
        check_options(self)


def push(config: PushConfig) -> Path:
    """Build the folder, send it unless it is a dry run, and return where it is kept.

    Raises:
        DatasetError, PushError: something is in the way.
    """
    if not is_repo_id(config.repo):
        raise DatasetError(f"--repo: got {config.repo}, expected org/name")
    if not config.photos_license.strip() or not config.license.strip():
        raise DatasetError("--photos-license: got nothing, expected the terms of the photographs")
    folder = config.output or config.file.with_name(f"{config.file.stem}-hub")
    with open_dataset(config.file) as dataset:
        card = _build(config, dataset, folder)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.name != _MARK)
    _log.info(f"{printable(folder)}: {', '.join(map(printable, files))}\n\n{card}")
    if config.dry_run:
        _log.info(printable(f"dry run: nothing was sent; {folder} is kept"))
        return folder
    for line in _send(config, folder):
        _log.info(printable(line))
    return folder


def _build(config: PushConfig, dataset: Dataset, folder: Path) -> str:
    """Make the shards, unless an earlier run of this command left them; then the image and the card."""
    resolution = config.resolution or dataset.resolution
    status = config.file.stat()
    mark = {"file": config.file.name, "bytes": status.st_size, "mtime_ns": status.st_mtime_ns, "resolution": resolution}
    try:
        there = json.loads((folder / _MARK).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        there = None
    if folder.exists() and any(folder.iterdir()) and there is None:
        raise FileExistsError(f"{folder}: exists already, and was not made by this command; name another --output")
    if there != mark:
        shutil.rmtree(folder / "data", ignore_errors=True)
        shards = folder.with_name(f"{folder.name}.shards")
        shutil.rmtree(shards, ignore_errors=True)
        convert(ConvertConfig(file=config.file, to="parquet", output=shards, resolution=resolution))
        folder.mkdir(parents=True, exist_ok=True)
        (shards / "data").replace(folder / "data")
        shards.rmdir()
        with write_atomic(folder / _MARK) as file:
            file.write(json.dumps(mark).encode())
    (folder / HISTOGRAM).unlink(missing_ok=True)
    save_histogram(dataset, folder / HISTOGRAM)
    facts = CardFacts(
        repo=config.repo,
        license=config.license,
        photos_license=config.photos_license,
        consent=config.consent,
        intended_use=config.intended_use,
        resolution=resolution,
        num_bytes=sum(path.stat().st_size for path in (folder / "data").iterdir()),
    )
    card = dataset_card(dataset, facts)
    with write_atomic(folder / "README.md") as file:
        file.write(card.encode())
    return card


def _made_where_missing(api: Any, config: PushConfig) -> Any:
    """Return what the Hub says of the repository, which is there from now on."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        return api.dataset_info(config.repo)
    except RepositoryNotFoundError as error:
        if error.response.status_code == 401:  # a token that nobody knows
            raise
    api.create_repo(config.repo, repo_type="dataset", private=not config.public)
    return api.dataset_info(config.repo)


def _send(config: PushConfig, folder: Path) -> list[str]:
    """Make the repository where it is missing, and one commit where something changed."""
    from huggingface_hub import HfApi, get_token

    from zoo.remote.hub_errors import LOGIN, explain, network_errors

    if get_token() is None:
        raise DatasetError(f"--repo: got no token of the Hugging Face Hub here, expected one that may write: {LOGIN}")
    api = HfApi(library_name="celebahq")
    where: dict[str, Any] = {"repo_id": config.repo, "repo_type": "dataset"}
    try:
        before = _made_where_missing(api, config)
        commit = api.upload_folder(
            **where,
            folder_path=folder,
            ignore_patterns=[_MARK],
            delete_patterns=["data/*.parquet"],  # shards of an earlier push that are no longer there
            commit_message=f"{config.file.stem}: {', '.join(sorted(p.name for p in (folder / 'data').iterdir())[:3])}",
        )
    except RuntimeError as error:  # what uploads of large files wrap the reason in
        if not isinstance(error.__cause__, network_errors()):
            raise
        raise PushError(explain(error.__cause__, config.repo, pushing=True)) from None
    except network_errors() as error:
        raise PushError(explain(error, config.repo, pushing=True)) from None
    except ValueError as error:
        if not str(error).startswith(("Invalid metadata", "LFS batch API")):
            raise
        raise PushError(f"{config.repo}: {' '.join(str(error).split())}") from None
    same = commit.oid == before.sha
    done = "nothing changed, no commit" if same else f"commit {commit.oid}"
    return [
        f"{config.repo}: {'private' if before.private else 'public'}, {done}",
        f"datasets.load_dataset('{config.repo}') or celebahq-data import {config.repo} reads it",
    ]
