"""Read a foreign checkpoint into plain data without executing anything of it: the kind is told by the first bytes."""

import pickle
import warnings
import zipfile
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from zoo.importers.content import MOST_BYTES, CheckpointImportError, check_tensors
from zoo.importers.network_pickle import read_network_pickle
from zoo.importers.other_families import family_of_pickle
from zoo.importers.torch_file import LEGACY_MAGIC, read_legacy_torch, read_torch_zip

_OTHER = {
    b"\x1f\x8b": "a gzip archive, unpack it first",
    b"BZh": "a bzip2 archive, unpack it first",
    b"\xfd7zXZ": "an xz archive, unpack it first",
    b"Rar!": "a RAR archive, unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a bare numpy array",
    b"version https://git-lfs": "a Git LFS pointer, not the file that it points to",
}


def read_file(path: Path) -> Any:
    """Return the content of a torch file, a TensorFlow or Theano network pickle or a safetensors file.

    Returns:
        Nested dicts, lists, tuples, strings, numbers, float and integer tensors on the CPU, and Records.

    Raises:
        CheckpointImportError: the file cannot be read, is damaged, or wants anything else; nothing in it has been run.
    """
    try:
        size = path.stat().st_size
        if not path.is_file():
            raise CheckpointImportError("no file, expected a checkpoint")
        if size > MOST_BYTES:
            raise CheckpointImportError(f"{size} bytes, expected at most {MOST_BYTES}")
        with path.open("rb") as file:
            start = file.read(512)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch and pickletools wonder about is said below, or does not matter
            content = _read(path, start)
        check_tensors(content)
    except CheckpointImportError as error:
        raise CheckpointImportError(f"{path}: {error}") from None
    except OSError as error:
        raise CheckpointImportError(
            f"{path}: cannot be read ({error.strerror or error}), expected a checkpoint"
        ) from None
    except RecursionError:
        raise CheckpointImportError(f"{path}: nested without end, expected a checkpoint's few levels") from None
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        SafetensorError,
        EOFError,
        MemoryError,
        RuntimeError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        OverflowError,
        NotImplementedError,
        AssertionError,
    ) as error:  # fmt: skip - what the readers make of bytes that are not what they seem
        reason = (str(error).splitlines() or [""])[0][:200] or type(error).__name__
        raise CheckpointImportError(
            f"{path}: damaged or cut short ({reason}), expected the complete checkpoint"
        ) from None
    return content


def _read_pickle(data: bytes) -> Any:
    """Return the content of a plain pickle; one that is refused is called what it is where its words tell."""
    try:
        return read_network_pickle(data)
    except CheckpointImportError:
        if family := family_of_pickle(data):
            raise CheckpointImportError(
                f"got {family}, expected a ProGAN; its own program loads it; nothing was run"
            ) from None
        raise


def _read(path: Path, start: bytes) -> Any:
    """Return the content, by the kind that the first bytes tell."""
    if not start:
        raise CheckpointImportError("an empty file, expected a checkpoint")
    if start.startswith(b"PK\x03\x04"):
        return read_torch_zip(path)
    if start.startswith(LEGACY_MAGIC):
        return read_legacy_torch(path)
    if start[8:9] == b"{":  # after the length of the header
        with safe_open(path, framework="pt", device="cpu") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a dict
    if start[257:262] == b"ustar":
        raise CheckpointImportError("a tar archive (of torch before 0.4?), expected a file saved by a newer torch")
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"{")):
        raise CheckpointImportError("a web page or other text, not a checkpoint; the download went wrong?")
    for magic, kind in _OTHER.items():
        if start.startswith(magic):
            raise CheckpointImportError(f"{kind}; expected a torch file, a TensorFlow or Theano pickle or safetensors")
    if start[0] == 0x80 or start[:1] in b"(]}c":  # any protocol; a text protocol's tuple, list, dict or class
        return _read_pickle(path.read_bytes())
    raise CheckpointImportError(
        f"begins with {start[:8].hex(' ')}, which is none of: torch file, TensorFlow or Theano pickle, safetensors"
    )
