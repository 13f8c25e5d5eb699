"""A name of the catalogue -> its model folder in the cache: downloaded, its license stated once, converted."""

import logging
from pathlib import Path

from zoo.catalog import Entry, read_catalog
from zoo.download import download
from zoo.folder import ModelError
from zoo.remote.cache import cached_model, is_cached, only_process

_log = logging.getLogger("celebahq.zoo")


def pull(entry: Entry, cache: str | Path | None = None, again: bool = False) -> Path:
    """Return the model folder of an entry, downloading and converting what is not in the cache yet.

    Args:
        entry: of the catalogue.
        cache: as zoo.remote.cache.cache_folder takes it.
        again: convert once more what is converted already.

    Raises:
        ModelError: nothing here reads its layout, no source gives it, or it cannot be imported; one line.
    """
    folder = cached_model(entry.name, cache)
    if is_cached(entry.name, cache) and not again:
        return folder
    layout = read_catalog().layouts[entry.layout]
    if layout.missing:
        raise ModelError(
            f"{entry.name}: nothing here reads it ({layout.missing}), expected another of python -m zoo list"
        )
    _log.warning(license_notice(entry))
    checkpoint = download(entry, cache)
    with only_process(folder):
        if again or not is_cached(entry.name, cache):  # another process may have been faster
            from zoo.model_import import import_model  # torch: only now, when there is something to convert

            import_model(checkpoint.path, folder, entry=entry, address=checkpoint.source.address, overwrite=True)
    return folder


def license_notice(entry: Entry) -> str:
    """Return what a user is told once, before the first download."""
    use = "for non-commercial use only" if entry.non_commercial else "see its terms"
    return f"{entry.name}: {use}. Weights: {license_of_weights(entry)}. Data: {entry.data_license}"


def license_of_weights(entry: Entry) -> str:
    """Return the license with where it is from."""
    return entry.license + (f" ({entry.license_note})" if entry.license_note else "")
