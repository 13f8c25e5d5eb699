"""The version of this package, as it goes into the files that it makes."""

import importlib.metadata


def builder_version() -> str:
    try:
        return importlib.metadata.version("celebahq")
    except importlib.metadata.PackageNotFoundError:  # run from a clone that was never installed
        return "unknown"
