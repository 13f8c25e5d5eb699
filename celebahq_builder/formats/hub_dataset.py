"""A dataset of the Hugging Face Hub by its name, org/name or org/name@revision: fetched once into the Hub's cache."""

import re
from pathlib import Path

from celebahq_builder.sources.images import SourceError

_NAME = re.compile(r"([A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95})(?:@([\w./-]+))?", re.ASCII)
_WANTED = ("*.parquet", "*.zip", "*.tar", "*.png", "*.jpg", "*.jpeg", "*.webp", "*.jsonl", "*.json", "*.csv")


def is_hub_name(path: Path) -> bool:
    """Say whether a source that is no file here can be the name of a dataset there."""
    return not path.is_absolute() and bool(_NAME.fullmatch(path.as_posix())) and not path.parent.exists()


def fetch(path: Path) -> Path:
    """Return the folder of the dataset in the Hub's cache; SourceError, in one line, where it cannot be had."""
    from huggingface_hub import snapshot_download

    from zoo.remote.hub_errors import explain, network_errors

    name = _NAME.fullmatch(path.as_posix())
    assert name is not None, "is_hub_name() said so"
    repo, revision = name.groups()
    try:
        return Path(snapshot_download(repo, repo_type="dataset", revision=revision, allow_patterns=list(_WANTED)))
    except network_errors() as error:
        raise SourceError(explain(error, repo, revision)) from None
