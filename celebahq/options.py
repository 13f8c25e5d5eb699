"""Options from Python are checked as on the command line: BuildConfig(input="photos", keep=100, restore="fast")."""

import os
import types
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from celebahq.errors import CelebAHQError
from celebahq.files import printable


class OptionError(CelebAHQError):
    """An option of another type, or none of its choices; the message names it, what it got and what is expected."""


class _MismatchError(Exception):
    """The value is not of the type."""


def check_options(options: Any) -> None:
    """Check every field of a dataclass against its annotation, in place; to be called by its __post_init__.

    What Python users write instead is converted: text to a path and a path to text, a list to a tuple, one value to a
    tuple of one, numbers of numpy to Python's.

    Args:
        options: a dataclass, frozen or not, whose fields are of Path, str, bool, int, float, None, Literal and tuples
            and unions of these.

    Raises:
        OptionError: a field holds something else.
    """
    cls: Any = type(options)
    for name, (shown, hint) in _options_of(cls).items():
        value = getattr(options, name)
        if type(value).__module__.partition(".")[0] == "tyro":
            continue  # MISSING: the command line's parser puts a value there, and makes the dataclass again
        try:
            converted = _converted(value, hint)
        except _MismatchError:
            message = f"{shown}: got {printable(_short(value))}, expected {_described(hint)}"
            raise OptionError(message) from None
        if converted is not value:
            object.__setattr__(options, name, converted)


@cache
def _options_of(cls: type) -> dict[str, tuple[str, Any]]:
    """Return field -> (option as it is typed, type). Positional ones are shown as --help does, FILE for file."""
    marked, hints = get_type_hints(cls, include_extras=True), get_type_hints(cls)
    found = {}
    for field in fields(cls):
        positional = "Positional" in str(getattr(marked[field.name], "__metadata__", ""))
        shown = field.name.upper() if positional else "--" + field.name.replace("_", "-")
        found[field.name] = (shown, hints[field.name])
    return found


def _converted(value: Any, hint: Any) -> Any:
    """Return the value as the type has it: itself where it is of that type.

    Raises:
        _MismatchError: it is of another type.
    """
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any or (hint is type(None) and value is None):
        return value
    if origin in (Union, types.UnionType):
        return _one_of(value, args)
    if origin is Literal:
        if any(value == choice and type(value) is type(choice) for choice in args):
            return value
    elif origin is tuple or hint is tuple:
        return _tuple_of(value, args)
    elif hint is Path or hint is str:
        if isinstance(value, hint):
            return value
        if isinstance(value, str | os.PathLike) and isinstance(os.fspath(value), str):
            return hint(value)
    elif hint is bool:
        if isinstance(value, bool):
            return value
    elif hint is int:
        if isinstance(value, Integral) and not isinstance(value, bool):
            return value if type(value) is int else int(value)
    elif hint is float:
        if isinstance(value, Real) and not isinstance(value, bool):
            return value if type(value) in (int, float) else float(value)
    elif hint is not type(None):
        raise TypeError(f"check_options: got a field of {hint}, which it does not know")
    raise _MismatchError


def _one_of(value: Any, kinds: Sequence[Any]) -> Any:
    """Convert to the first of several types that takes the value; as it is, before any conversion."""
    converted = []
    for kind in kinds:
        try:
            converted.append(_converted(value, kind))
        except _MismatchError:
            continue
        if converted[-1] is value:
            return value
    if not converted:
        raise _MismatchError
    return converted[0]


def _tuple_of(value: Any, kinds: Sequence[Any]) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list):
        if len(kinds) != 2 or kinds[1] is not Ellipsis or get_origin(kinds[0]) is tuple or value is None:
            raise _MismatchError
        value = (value,)
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(kinds) != len(value):
        raise _MismatchError
    items = tuple(_converted(item, kind) for item, kind in zip(value, kinds, strict=True))
    same = isinstance(value, tuple) and all(new is old for new, old in zip(items, value, strict=True))
    return value if same else items


def _described(hint: Any) -> str:
    """Return what is expected, in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        literals = [choice for kind in args if get_origin(kind) is Literal for choice in get_args(kind)]
        others = [_described(kind) for kind in args if get_origin(kind) is not Literal and kind is not type(None)]
        nothing = ["None"] if type(None) in args else []
        return _listed([*map(str, literals), *others, *nothing])
    if origin is Literal:
        return _listed([str(choice) for choice in args])
    if origin is tuple:
        if len(args) == 2 and args[1] is Ellipsis:
            return f"a list, each {_described(args[0])}"
        return f"a tuple of {_listed([_described(kind) for kind in args], 'and')}"
    words = {Path: "a path", str: "text", bool: "True or False", int: "a whole number", float: "a number"}
    return words.get(hint, "None" if hint is type(None) else str(hint))


def _listed(words: list[str], last: str = "or") -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
