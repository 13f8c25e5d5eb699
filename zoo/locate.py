"""MODEL on a command line -> the model folder: a path, a shipped model, the catalogue, the Hub. No torch."""

import os
import re
from pathlib import Path

from zoo.catalog import Entry, read_catalog
from zoo.folder import CONFIG_NAME, ModelError, folder_at
from zoo.remote.cache import cache_folder
from zoo.remote.hub_address import hub_id_of

PRETRAINED = Path(__file__).with_name("pretrained")
HUB_ID = re.compile(r"(?P<id>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[^@\s]+))?")


def locate(name_or_path: str | Path, revision: str | None = None, cache: str | Path | None = None) -> Path:
    """Return the model folder; see zoo.model_folder.

    Args:
        cache: of the catalogue's models, as zoo.remote.cache.cache_folder takes it.
    """
    name = str(name_or_path) if Path(name_or_path).exists() else hub_id_of(name_or_path)
    path = Path(name)
    hub = None if looks_like_a_path(name) else HUB_ID.fullmatch(name)
    entry = read_catalog().entries.get(name) or (hub and _entry_of_hub(hub["id"], hub["revision"] or revision))
    if revision is not None and (path.exists() or not hub):
        raise ModelError(f"{name}: got revision {revision!r}, expected none: only a Hugging Face id has revisions")
    if path.exists():
        return folder_at(path)
    if is_shipped(name):
        return PRETRAINED / name
    if entry:
        from zoo.pull import pull

        return pull(entry, cache)
    if hub and hub["revision"] and revision:
        raise ModelError(f"{name}: got revision {revision!r} as well, expected one of the two")
    if hub:
        from zoo.remote.hub import snapshot

        return snapshot(hub["id"], hub["revision"] or revision)
    if "/" in name or "\\" in name:
        raise ModelError(f"{name}: not there, expected a model folder or a run folder")
    near = " or ".join(read_catalog().near(name))
    meant = f" (did you mean {near}?)" if near else ""
    wanted = "expected a model folder, a run folder, a name of python -m zoo list or a Hugging Face id"
    raise ModelError(f"{name}: not there{meant}, {wanted}")


def is_somebodys(name_or_path: str | Path, folder: Path) -> bool:
    """Whether what a MODEL means belongs to somebody else: shipped, of the catalogue, of the Hub, or in their caches.

    Nothing is written there: a package may be read-only or replaced, and a snapshot is what its commit says.

    Args:
        name_or_path: what was asked for.
        folder: the model folder that it means.
    """
    if not Path(name_or_path).exists():
        return True
    hub = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface")
    hubs = [
        hub / "hub",
        *(Path(os.environ[key]) for key in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE") if key in os.environ),
    ]
    roots = [PRETRAINED, cache_folder(), *hubs]
    return any(folder.resolve().is_relative_to(root.expanduser().resolve()) for root in roots)


def file_beside_the_caller(name_or_path: str | Path, ending: str) -> Path:
    """Return the file in the current folder for what is made of somebody else's model: me-faces-v1-metrics.json, say.

    Args:
        name_or_path: what was asked for.
        ending: of the file's name, "-metrics.json" say.
    """
    path = Path(name_or_path)
    name = path.resolve().name if path.exists() else hub_id_of(name_or_path)
    return Path(re.sub(r"[^\w.-]+", "-", name).strip("-.") + ending)


def looks_like_a_path(name: str) -> bool:
    """Whether a name means a file or folder although there is none: by its parent, which is there, or its ending."""
    parent = Path(name).parent
    if "@" in name:
        return False
    if parent.name in ("runs", "models"):
        return True
    return (parent != Path() and parent.is_dir()) or Path(name).suffix in (
        ".onnx",
        ".pt",
        ".pth",
        ".pkl",
        ".safetensors",
    )


def _entry_of_hub(hub_id: str, revision: str | None) -> Entry | None:
    """Return the entry whose first source is a repository of the Hub: a checkpoint of another program lies there."""
    for entry in read_catalog().entries.values():
        source = entry.sources[0]
        if source.hub == hub_id and (revision is None or revision.startswith(source.revision or "")):
            return entry
    return None


def is_shipped(name: str) -> bool:
    """Whether a model of this name ships with the package."""
    return re.fullmatch(r"[\w.-]+", name) is not None and (PRETRAINED / name / CONFIG_NAME).is_file()


def shipped() -> list[str]:
    """Return the names of the models that ship with the package."""
    return sorted(folder.parent.name for folder in PRETRAINED.glob(f"*/{CONFIG_NAME}"))
