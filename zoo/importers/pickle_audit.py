"""Look through a pickle before anybody loads it: what it asks for, and whether its sizes fit the file. Runs nothing."""

import io
import math
import pickle
import pickletools
from collections.abc import Mapping
from typing import Any

from zoo.importers.content import CheckpointImportError

_ITEM_SIZES = {
    "DoubleStorage": 8, "FloatStorage": 4, "HalfStorage": 2, "BFloat16Storage": 2, "LongStorage": 8, "IntStorage": 4,
    "ShortStorage": 2, "CharStorage": 1, "ByteStorage": 1, "BoolStorage": 1, "UntypedStorage": 1,
}  # fmt: skip
_NEEDED = {
    "torch._utils": {"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"},
    "torch": {*_ITEM_SIZES, "Size", "device", "float16", "bfloat16", "float32", "float64", "int32", "int64", "bool"},
    "torch.storage": {"UntypedStorage"},
    "collections": {"OrderedDict", "Counter", "defaultdict"},
    "builtins": {"set", "int", "float", "dict", "list"},
    "__builtin__": {"set", "int", "float", "dict", "list"},
    "_codecs": {"encode"},
    "models.utils.config": {"BaseConfig"},
}
"""What published files ask for: tensors, plain data and one class of settings. It is less than torch would load."""


def check_opcodes(data: bytes) -> int:
    """Check a pickle's opcodes one by one; return where it ends.

    Raises:
        CheckpointImportError: no pickle, or cut short: the message lists the first names in it; a memo index beyond the
            pickle, for which the unpickler would make room.
    """
    end = 0
    names: list[str] = []
    try:
        for opcode, argument, position in pickletools.genops(data):
            if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and isinstance(argument, int) and argument > len(data):
                raise CheckpointImportError(
                    f"a pickle that numbers its parts up to {argument}, it has {len(data)} bytes: refused"
                )
            if isinstance(argument, str) and 2 < len(argument) < 60 and len(names) < 8:
                names.append(argument)
            end = position or 0
    except ValueError as error:
        if isinstance(error, CheckpointImportError):
            raise
        reason = str(error).splitlines()[0][:100]
        raise CheckpointImportError(
            f"a pickle of {len(data)} bytes, damaged or cut short after byte {end} ({reason}); seen until there: "
            f"{', '.join(map(repr, names)) or 'no names'}; expected the complete checkpoint"
        ) from None
    return end + 1


class _Inert:
    """Stands for whatever a pickle asks for: takes every argument and every part, and does nothing."""

    def __new__(cls, *arguments: Any, **named: Any) -> "_Inert":
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def __hash__(self) -> int:
        return id(self)

    def append(self, value: Any) -> None:
        """Take a part of a list."""

    def extend(self, values: Any) -> None:
        """Take parts of a list."""

    def add(self, value: Any) -> None:
        """Take a part of a set."""


class StorageAudit(pickle.Unpickler):
    """Go through a torch pickle with inert stand-ins and check each storage that it declares.

    Args:
        data: the pickle.
        sizes: bytes that the file holds for each storage; None where they follow in the file (the format before 1.6).
    """

    def __init__(self, data: bytes, sizes: Mapping[str, int] | None) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self.sizes = sizes
        self.declared: dict[str, int] = {}
        """Bytes of each storage."""

    def find_class(self, module: str, name: str) -> type:
        if name not in _NEEDED.get(module, ()):
            raise CheckpointImportError(
                f"asks for {module[:60]}.{name[:60]}, expected only tensors and plain data: refused, nothing was run"
            )
        return type(name, (_Inert,), {"__module__": module})

    def persistent_load(self, pid: Any) -> _Inert:
        if not isinstance(pid, tuple) or len(pid) < 5 or pid[0] != "storage":
            raise CheckpointImportError(f"a reference to {str(pid)[:60]!r}, expected the storages of a torch file")
        _, kind, key, _, count = pid[:5]
        item = _ITEM_SIZES.get(getattr(kind, "__name__", ""))
        if item is None or type(count) is not int or count < 0 or not isinstance(key, str):
            raise CheckpointImportError(f"a storage of {count!r} {getattr(kind, '__name__', kind)}, expected numbers")
        self.declared[key] = item * count
        if self.sizes is not None and self.sizes.get(key, -math.inf) < item * count:
            found = self.sizes.get(key, "none")
            raise CheckpointImportError(
                f"storage {key[:40]!r}: {item * count} bytes declared, {found} in the file, expected all of them"
            )
        return _Inert()
