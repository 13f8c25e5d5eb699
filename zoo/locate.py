"""MODEL on a command line -> the model folder: a path, or a Hugging Face id."""

import re
from pathlib import Path

from zoo.folder import ModelError, folder_at

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def locate(name_or_path: str | Path, revision: str | None = None) -> Path:
    """Return the model folder; see zoo.model_folder."""
    name = str(name_or_path)
    path = Path(name_or_path)
    if path.exists():
        if revision is not None:
            raise ModelError(f"{path}: a path, which has no revision {revision!r}; a Hugging Face id is wanted")
        return folder_at(path)
    hub_id, _, at = name.partition("@")
    if HUB_ID.fullmatch(hub_id) and not hub_id.startswith((".", "~")):
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(hub_id, revision=at or revision))
    raise ModelError(f"{path}: not there, a model folder or a run folder is wanted")
