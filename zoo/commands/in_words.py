"""A value of somebody's JSON as words: no braces, quotes, None or True as Python writes them."""

from typing import Any

NOTHING = "none"
_DEEPEST = 8
"""Of tables within tables, as of a network that was started from one that was started from one."""


def in_words(value: Any, depth: int = 0) -> str:
    """Return a value as words: {"length": 0.06, "of": [1, 2]} -> "length 0.06, of 1 2"; tables within in brackets.

    What a table says nothing of (None, "", [], a table of these) is left out; nothing at all is NOTHING.
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ("", [], {}):
        return NOTHING
    if isinstance(value, dict | list) and depth > _DEEPEST:
        return "(...)"
    if isinstance(value, dict):
        said = ((key, in_words(item, depth + 1)) for key, item in value.items())
        parts = [f"{key} {words}" for key, words in said if words != NOTHING]
        if not parts:
            return NOTHING
        return f"({', '.join(parts)})" if depth else ", ".join(parts)
    if isinstance(value, list):
        words = [in_words(item, depth + 1) for item in value]
        return " ".join(words) if any(word != NOTHING for word in words) else NOTHING
    return str(value)
