"""Read a torch file, new (zip) or old, by torch.load(weights_only=True), after its declared sizes were checked."""

import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from zoo.importers.content import CheckpointImportError, Record
from zoo.importers.pickle_audit import StorageAudit, check_opcodes

LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickled number that opens a file of torch before 1.6."""


class BaseConfig(Record):
    """pytorch_GAN_zoo's settings."""

    kind = "models.utils.config.BaseConfig"


def read_torch_zip(path: Path) -> Any:
    """Return the content of a file that torch since 1.6 wrote.

    Raises:
        CheckpointImportError: entries that torch does not write (compressed, overlapping, with a path), storages that
            are not there whole, or anything but tensors and plain data.
    """
    if not zipfile.is_zipfile(path):
        raise CheckpointImportError(
            f"a torch file (zip) of {path.stat().st_size} bytes that is cut short; seen until there: "
            f"{_entries_from(path)}; expected the complete checkpoint"
        )
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        for entry in entries:
            name = entry.filename
            if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name):
                raise CheckpointImportError(
                    f"an archive with the entry {name[:80]!r}, expected names without a path: refused"
                )
            if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
                raise CheckpointImportError(
                    f"an archive whose entry {name[:80]!r} holds {entry.file_size} bytes in {entry.compress_size}, "
                    "torch's files are not compressed: refused"
                )
        if sum(entry.file_size for entry in entries) > path.stat().st_size:
            raise CheckpointImportError("an archive whose entries are larger than the file together: refused")
        if len({entry.filename.lower() for entry in entries}) < len(entries):
            raise CheckpointImportError(
                "an archive with two entries of one name, which readers tell apart differently: refused"
            )
        pickles = [entry.filename for entry in entries if entry.filename.endswith("data.pkl")]
        if len(pickles) != 1:
            names = ", ".join(repr(entry.filename[:60]) for entry in entries[:5])
            raise CheckpointImportError(
                f"a zip archive of {len(entries)} ({names}), expected a file that torch.save wrote"
            )
        if any("/code/" in entry.filename or entry.filename.endswith("/constants.pkl") for entry in entries):
            raise CheckpointImportError("a TorchScript program, expected a file of weights (torch.save): refused")
        data = archive.read(pickles[0])
        folder = pickles[0].removesuffix("data.pkl") + "data/"
        sizes = {entry.filename.removeprefix(folder): entry.file_size for entry in entries}
    check_opcodes(data)
    StorageAudit(data, sizes).load()
    return _load(path)


def _entries_from(path: Path) -> str:
    """Return the first names in an archive whose directory, at its end, is missing."""
    with path.open("rb") as file:
        start = file.read(1 << 20)
    names = []
    for match in re.finditer(rb"PK\x03\x04.{22}(..)..", start, re.DOTALL):
        names.append(repr(start[match.end() :][: int.from_bytes(match[1], "little")].decode("latin1")[:60]))
    return ", ".join(names[:6]) or "no entries"


def read_legacy_torch(path: Path) -> Any:
    """Return the content of a file that torch before 1.6 wrote: pickles, then the storages one after the other.

    Raises:
        CheckpointImportError: storages that are not there whole, or anything but tensors and plain data.
    """
    data = path.read_bytes()
    ends = [0]
    for _ in range(5):  # magic number, protocol, system, content, keys of the storages
        ends.append(ends[-1] + check_opcodes(data[ends[-1] :]))
    audit = StorageAudit(data[ends[3] : ends[4]], None)
    audit.load()
    room = len(data) - ends[5]
    if sum(audit.declared.values()) > room:
        total = sum(audit.declared.values())
        raise CheckpointImportError(
            f"{total} bytes of tensors declared, {room} in the file, expected all of them: cut short?"
        )
    return _load(io.BytesIO(data))


def _load(file: Path | io.BytesIO) -> Any:
    """torch.load that knows tensors, plain data and one class, as a record."""
    try:
        with torch.serialization.safe_globals([(BaseConfig, BaseConfig.kind)]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if isinstance(error.__cause__ or error.__context__, EOFError):
            raise
        raise CheckpointImportError(
            "torch finds more in it than tensors and plain data: refused, nothing was run"
        ) from None
