"""A value of somebody's JSON as words: no braces, quotes, None or True as Python writes them."""

from typing import Any

_DEEPEST = 8
"""Of tables within tables, as of a network that was started from one that was started from one."""


def in_words(value: Any, depth: int = 0) -> str:
    """Return a value as words: {"length": 0.06, "of": [1, 2]} -> "length 0.06, of 1 2"; tables within in brackets.

    What a table says nothing of (None, "", []) is left out.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", [], {}):
        return "none"
    if isinstance(value, dict | list) and depth > _DEEPEST:
        return "(...)"
    if isinstance(value, dict):
        parts = (f"{key} {in_words(item, depth + 1)}" for key, item in value.items() if item not in (None, "", [], {}))
        return f"({', '.join(parts)})" if depth else ", ".join(parts)
    if isinstance(value, list):
        return " ".join(in_words(item, depth + 1) for item in value)
    return str(value)
