"""Read the network pickles of the released programs (TensorFlow, Theano) without either, and without their code."""

import io
import math
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from zoo.importers.content import CheckpointImportError, PartCount, Record
from zoo.importers.pickle_audit import check_opcodes

_CODES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}


class TensorFlowNetwork(Record):
    """tfutil.Network: {version, name, static_kwargs, build_module_src, build_func_name, variables}; since version 3 of
    StyleGAN's program, dnnlib.tflib.network.Network."""

    kind = "tfutil.Network"


class TheanoNetwork(Record):
    """network.Network: {build_func_spec, build_module_src, param_values, toplevel_params}."""

    kind = "network.Network"


class _Dtype:
    """numpy.dtype of a number, spelt out: what else a dtype can be is refused."""

    def __init__(self, code: Any, *flags: Any) -> None:
        code = code.decode("latin1") if isinstance(code, bytes) else str(code)
        if code.startswith(("O", "|O")):
            raise CheckpointImportError("an array of Python objects, expected arrays of numbers: refused")
        if code not in _CODES:
            raise CheckpointImportError(f"an array of {code[:20]!r}, expected numbers: refused")
        self.code, self.order = code, "<"

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("latin1") if isinstance(state[1], bytes) else state[1]
        if order not in ("<", ">", "|", "="):
            raise CheckpointImportError(f"an array of byte order {order!r}, expected < or >")
        self.order = "<" if order in "|=" else order

    def numbers(self, data: Any, shape: Any, fortran: bool) -> np.ndarray:
        """Return the array (shape) that raw bytes hold.

        Raises:
            CheckpointImportError: the bytes are not those of that shape.
        """
        dtype = np.dtype(self.order + self.code)
        if isinstance(data, str):  # Python 2 has no bytes
            data = data.encode("latin1")
        if not isinstance(data, bytes | bytearray):
            raise CheckpointImportError(f"an array made of {type(data).__name__}, expected bytes")
        if not isinstance(shape, tuple) or len(shape) > 8 or any(type(n) is not int or n < 0 for n in shape):
            raise CheckpointImportError(f"an array of shape {str(shape)[:60]}, expected whole numbers from 0")
        if math.prod(shape) * dtype.itemsize != len(data):
            raise CheckpointImportError(
                f"an array {shape} of {dtype} in {len(data)} bytes, it takes another number of them"
            )
        array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
        return np.array(array, dtype.newbyteorder("="), order="C")  # a copy: the bytes cannot be written to


class _Array:
    """numpy.ndarray as its pickle says it: made by _reconstruct, filled by its state."""

    def __init__(self, *arguments: Any) -> None:
        self.value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        shape, dtype, fortran, data = state[-4:]  # a version number may come first
        if not isinstance(dtype, _Dtype):
            raise CheckpointImportError(f"an array of {type(dtype).__name__}, expected numbers")
        self.value = dtype.numbers(data, shape, bool(fortran))


def _scalar(dtype: _Dtype, data: Any) -> int | float | bool:
    return dtype.numbers(data, (), False).item()


def _frombuffer(data: Any, dtype: _Dtype, shape: Any, order: str) -> _Array:
    array = _Array()
    array.__setstate__((shape, dtype, order == "F", bytes(data)))
    return array


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """_codecs.encode, which Python 3 writes for bytes in an old protocol."""
    if not isinstance(text, str) or encoding != "latin1":
        raise CheckpointImportError("text encoded in a way that no checkpoint needs: refused")
    return text.encode("latin1")


class _Ndarray:
    """numpy.ndarray as an argument of _reconstruct: a name, nothing more."""

    def __setstate__(self, state: Any) -> None:
        raise CheckpointImportError("a class that is given a state: refused")


class _Function:
    """A function for a pickle to call, and not to change: it may set the state of anything that it can name."""

    __slots__ = ("function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise CheckpointImportError("a function that is given a state: refused")


_KNOWN: dict[tuple[str, str], Any] = {
    ("tfutil", "Network"): TensorFlowNetwork,
    ("dnnlib.tflib.network", "Network"): TensorFlowNetwork,  # saved again by StyleGAN's program
    ("network", "Network"): TheanoNetwork,
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _Function(_encode),
    ("numpy", "ndarray"): _Ndarray,
    ("numpy", "dtype"): _Dtype,
}
for _core in ("numpy.core", "numpy._core"):
    _KNOWN[_core + ".multiarray", "_reconstruct"] = _Array
    _KNOWN[_core + ".multiarray", "scalar"] = _Function(_scalar)
    _KNOWN[_core + ".numeric", "_frombuffer"] = _Function(_frombuffer)


class _Unpickler(pickle.Unpickler):
    """Knows the two Network classes as records, and numpy's arrays of numbers; everything else is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _KNOWN:
            raise CheckpointImportError(
                f"got a pickle that asks for {module[:60]}.{name[:60]}, expected the released programs' networks and "
                "arrays of numbers alone: refused, nothing was run"
            )
        return _KNOWN[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise CheckpointImportError("refers to something outside itself: refused")


def read_network_pickle(data: bytes) -> Any:
    """Return the content of a pickle; arrays as tensors, Network objects as Records.

    Raises:
        CheckpointImportError: it asks for anything else; nothing of it has been run.
    """
    check_opcodes(data)
    return _plain(_Unpickler(io.BytesIO(data), encoding="latin1").load())


def _plain(value: Any, depth: int = 0, count: PartCount | None = None) -> Any:
    """Return nested data with arrays as tensors; what is neither plain nor known is refused."""
    count = count or PartCount()
    count.add(depth)
    if isinstance(value, _Array):
        if value.value is None:
            raise CheckpointImportError("an array without data, expected complete arrays")
        return torch.from_numpy(value.value)
    if isinstance(value, Record):
        value.fields = _plain(value.fields, depth + 1, count)
        return value
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1, count) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_plain(item, depth + 1, count) for item in value)
    if value is None or isinstance(value, str | bytes | int | float | bool | torch.Tensor):
        return value  # a tensor: of a record that the file names twice
    raise CheckpointImportError(f"a {type(value).__name__} in the data, expected tensors and plain data")
