"""What a foreign file holds once it is read: plain data, tensors, and records that stand for objects of its program."""

import re
from typing import Any

import torch
from torch import Tensor

from zoo.folder import ModelError

MOST_BYTES = 4 << 30
"""Largest file and largest sum of its tensors: a ProGAN for 1024x1024 with all its optimizers is a quarter of it."""


MOST_PARTS = 200_000
"""Most values in nested data; a pickle of a few hundred bytes can mean billions, by naming the same list twice."""


class CheckpointImportError(ModelError):
    """A file that cannot be imported; one line: the file, what was found in it, what was expected."""


class Record:
    """An object of a foreign program, as plain data: the code of its class is never looked for, let alone run."""

    kind = "object"
    """Module and name of the class in the file."""
    fields: dict[str, Any]

    def __new__(cls, *arguments: Any) -> "Record":
        record = super().__new__(cls)
        record.fields = {}
        return record

    def __init__(self, *arguments: Any) -> None:
        """Take what its program's class takes, and leave it."""

    def __setstate__(self, state: Any) -> None:
        self.fields = state if isinstance(state, dict) else {"state": state}


WRAPPERS = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile, FSDP and activation checkpointing put into the names of a module's tensors, at any depth."""


def as_state_dict(value: Any) -> dict[str, Tensor]:
    """Return a dict of names to tensors, without torch's WRAPPERS in the names.

    {} for anything else: one entry of another kind is enough.
    """
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return {}
    if not all(isinstance(item, Tensor) for item in value.values()):
        return {}
    tensors = {WRAPPERS.sub("", key): item for key, item in value.items()}
    return tensors if len(tensors) == len(value) else {}


def describe(value: Any, depth: int = 2, first: int = 5) -> str:
    """Return what was seen, for an error message: types, sizes and the first keys, on one line."""
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    if isinstance(value, Record):
        return f"{value.kind} object"
    if isinstance(value, dict):
        if depth == 0:
            return f"dict of {len(value)}"
        items = [f"{str(key)[:60]!r}: {describe(item, depth - 1, first)}" for key, item in list(value.items())[:first]]
        more = [f"{len(value) - first} more"] if len(value) > first else []
        return f"dict of {len(value)} ({', '.join(items + more)})"
    if isinstance(value, list | tuple):
        kind = type(value).__name__
        if depth == 0:
            return f"{kind} of {len(value)}"
        more = [f"{len(value) - first} more"] if len(value) > first else []
        return f"{kind} of {len(value)} ({', '.join([describe(x, depth - 1, first) for x in value[:first]] + more)})"
    if isinstance(value, str | int | float | bool | None):
        text = repr(value)
        return text if len(text) <= 40 else text[:37] + "..."
    return type(value).__name__


class PartCount:
    """Counts the values of nested data while they are gone through, and stops before there are too many."""

    def __init__(self) -> None:
        self.parts = 0

    def add(self, depth: int) -> None:
        """Count one more, so deep.

        Raises:
            CheckpointImportError: more than MOST_PARTS, or deeper than any checkpoint's.
        """
        self.parts += 1
        if self.parts > MOST_PARTS:
            raise CheckpointImportError(f"more than {MOST_PARTS} values, expected a checkpoint's few hundred: refused")
        if depth > 20:
            raise CheckpointImportError("data nested more than 20 deep, expected a checkpoint's few levels: refused")


def check_tensors(value: Any, depth: int = 0, count: PartCount | None = None) -> int:
    """Check every tensor of nested plain data before anything computes with it; return their bytes.

    Raises:
        CheckpointImportError: a tensor that is larger than its storage (a view that repeats it), sparse, or of a
            subclass; too many values; more bytes than MOST_BYTES. The message lacks the file's name.
    """
    count = count or PartCount()
    count.add(depth)
    if isinstance(value, Tensor):
        if type(value) not in (Tensor, torch.nn.Parameter) or value.layout is not torch.strided:
            raise CheckpointImportError(
                f"a {type(value).__name__} of layout {value.layout}, expected plain dense tensors"
            )
        size = value.numel() * value.element_size()
        if value.device.type != "cpu" or size > value.untyped_storage().nbytes():
            raise CheckpointImportError(
                f"a tensor {tuple(value.shape)} without the data for it, expected complete tensors"
            )
        return size
    if isinstance(value, Record):
        value = value.fields
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple | set) else ()
    total = sum(check_tensors(part, depth + 1, count) for part in parts)
    if total > MOST_BYTES:
        raise CheckpointImportError(f"{total} bytes of tensors, expected at most {MOST_BYTES}")
    return total
