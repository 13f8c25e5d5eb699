"""The version of this suite, as it goes into the files that it makes."""

import importlib.metadata
import tomllib
from pathlib import Path


def version() -> str:
    """Return the version of the installed package, of the clone that is run, or "unknown"."""
    try:
        return importlib.metadata.version("celebahq")
    except importlib.metadata.PackageNotFoundError:  # run from a clone that was never installed
        project = Path(__file__).resolve().parent.parent / "pyproject.toml"
        try:
            return tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
        except (OSError, ValueError, KeyError):
            return "unknown"
