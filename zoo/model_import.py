"""A checkpoint of another program -> a model folder of ours: converted, licensed, sampled, every hash written down."""

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from celebahq.files import PARTIAL, printable, sha256_of
from zoo.catalog import Entry
from zoo.check_image import CHECK_NAME, record_check
from zoo.folder import CONFIG_NAME, WEIGHTS_NAMES, ModelError, read_config
from zoo.importers import Imported, import_networks
from zoo.metrics import METRICS_NAME
from zoo.recognition import recognise_file
from zoo.remote.cache import cannot_write
from zoo.samples import SAMPLES_NAME, save_samples

_log = logging.getLogger("celebahq.zoo")

PARTS = (*WEIGHTS_NAMES.values(), CONFIG_NAME, SAMPLES_NAME, CHECK_NAME, METRICS_NAME, "model.onnx")
"""Files that belong to the weights of a model folder; whatever else lies there is the user's."""


def import_model(
    path: Path,
    folder: Path,
    *,
    entry: Entry | None = None,
    address: str | None = None,
    overwrite: bool = False,
    label_size: int | None = None,
) -> Path:
    """Import a checkpoint into a model folder, which appears whole or not at all; done already, it is left alone.

    Args:
        path: the checkpoint; its layout is recognised by its content, and nothing in it is run.
        folder: to be made: config.json (with the hashes of the file and of what became of it, and the license),
            model.safetensors (the generator, its average where there is one), discriminator.safetensors where the file
            has one, samples.png and check.safetensors.
        entry: the catalogue's, which says its license; by default the one with the file's published hash or name.
        address: where the file was downloaded.
        overwrite: replace another model that is there.
        label_size: components of the label, where the file does not tell; None is what the file says, and of the
            catalogue's models none.

    Raises:
        ModelError: the file cannot be imported, or the folder holds something else; one line.
    """
    if not path.is_file():
        found = "a folder" if path.is_dir() else "no file" if path.exists() else "nothing"
        raise ModelError(f"{path}: got {found}, expected a checkpoint file")
    try:
        sha256 = sha256_of(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}), expected a checkpoint file") from None
    if label_size is not None and label_size < 0:
        raise ModelError(f"--label-size: got {label_size}, expected an integer from 0")
    if folder.exists() and not overwrite:
        if _import_of(folder) == sha256:
            if label_size not in (None, _label_size(folder)):
                raise ModelError(
                    f"{folder}: got an import with a label of {_label_size(folder)}, expected {label_size} as of "
                    "--label-size; give another --output or --overwrite"
                )
            return folder
        raise ModelError(
            f"{folder}: got no import of {path.name} there, expected one; give another --output or --overwrite"
        )
    if folder.exists() and not ((folder / CONFIG_NAME).is_file() or (folder.is_dir() and not any(folder.iterdir()))):
        raise ModelError(f"{folder}: got no model folder, expected one to --overwrite; give another --output")
    imported = import_networks(path, 0 if entry and label_size is None and _is_alone(entry) else label_size)
    if imported.generator is None:
        raise ModelError(f"{path}: no generator in this {imported.layout} file, expected one with a generator")
    card = _card(path, sha256, imported.generator.config.resolution, entry) | {"source": address}
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=PARTIAL, dir=folder.parent))
        try:
            _write(imported, partial, card)
            partial.chmod(0o755)  # mkdtemp's is closed to everybody else
            _take_place(partial, folder)
        except ModelError as error:
            raise ModelError(str(error).replace(str(partial), str(folder))) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        if address:  # it was to go into the cache
            raise cannot_write(folder, error) from None
        raise ModelError(f"{folder}: cannot be written ({error.strerror}), expected another --output") from None
    return folder


def _write(imported: Imported, folder: Path, card: dict[str, Any]) -> None:
    assert imported.generator is not None, "checked by import_model"
    imported.save(folder, **card)
    side = imported.generator.config.resolution
    _log.info(f"{imported.source}: {imported.layout}, {side}x{side}, generating its samples and its check image")
    for note in imported.notes:
        _log.warning(f"  {printable(note)}")
    save_samples(folder, imported.generator)
    record_check(folder, imported.generator)


def _take_place(made: Path, folder: Path) -> None:
    """Let a new model folder take the place of an old one; what there is no part of a model stays."""
    if not folder.exists():
        made.replace(folder)
        return
    old = made.with_suffix(".old")
    folder.replace(old)
    made.replace(folder)
    for path in old.iterdir():
        if path.name not in PARTS:
            path.replace(folder / path.name)
    shutil.rmtree(old)


def _import_of(folder: Path) -> str | None:
    """Return the hash of the file that a model folder was imported from; None where it is something else."""
    if not (folder / CONFIG_NAME).is_file():
        return None
    imported = read_config(folder).get("imported")
    return imported.get("file_sha256") if isinstance(imported, dict) else None


def _label_size(folder: Path) -> Any:
    """Return the components of the label that a model folder's generator takes."""
    return read_config(folder)["architecture"].get("label_size", 0)


def _is_alone(entry: Entry) -> bool:
    """Whether a catalogue's model may be a generator without its discriminator: none of those has labels."""
    return entry.layout in ("genforce", "huggan", "mmgen")


def _card(path: Path, sha256: str, resolution: int, entry: Entry | None) -> dict[str, Any]:
    """Return license, dataset, citation and place in the catalogue, for config.json.

    Raises:
        ModelError: the network is of another resolution than its entry.
    """
    by = "download"
    if entry is None:
        found = recognise_file(path, sha256)
        if found is None or (found.entry.resolution != resolution and not found.by_hash):
            _log.warning(f"{path.name}: not of the catalogue, so its license is not known: ask who published it")
            return {"license": {"weights": "unknown", "data": "unknown", "non_commercial": True}, "catalog": None}
        entry, by = found.entry, "published hash" if found.by_hash else "name of the file"
    if entry.resolution != resolution:
        side = entry.resolution
        raise ModelError(f"{path}: got {resolution}x{resolution}, expected {side}x{side} as of {entry.name}")
    return {
        "license": {"weights": entry.license, "data": entry.data_license, "non_commercial": entry.non_commercial},
        "dataset": {"name": entry.dataset, "resolution": entry.resolution},
        "citation": entry.citation,
        "catalog": {"name": entry.name, "recognised_by": by},
    }
