"""Options that are paths may be given as text from Python: BuildConfig(input="photos", ...)."""

from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_type_hints


def text_to_paths(options: Any) -> None:
    """Turn the text in a dataclass's fields of type Path into paths, in place; to be called by its __post_init__.

    Args:
        options: a dataclass, frozen or not. Fields that take text as well as a path, and None, are left alone.
    """
    cls: Any = type(options)
    for name, (one, many) in _path_fields(cls).items():
        value = getattr(options, name)
        if one and isinstance(value, str):
            object.__setattr__(options, name, Path(value))
        elif many and isinstance(value, tuple | list):
            paths = tuple(Path(item) if isinstance(item, str) else item for item in value)
            object.__setattr__(options, name, paths)


@cache
def _path_fields(cls: type) -> dict[str, tuple[bool, bool]]:
    """Return the fields that take a path, and no text: whether one, and whether several of them."""
    hints = get_type_hints(cls)  # without what Annotated adds
    found = {}
    for field in fields(cls):
        kinds = get_args(hints[field.name]) or (hints[field.name],)
        many = any(Path in get_args(kind) for kind in kinds) or kinds == (Path, ...)
        if str not in kinds and (Path in kinds or many):
            found[field.name] = (Path in kinds and kinds != (Path, ...), many)
    return found
