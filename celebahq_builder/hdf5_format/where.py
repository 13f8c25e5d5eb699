"""--where "score > .3 and invented < .02": a small language of conditions on columns, read by a parser of its own."""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from celebahq.errors import CelebAHQError

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<text>"[^"]*"|'[^']*')
  | (?P<name>[^\W\d][\w.]*|`[^`]+`)
  | (?P<sign><=|>=|==|!=|<|>|=|\(|\))
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_HAS = "has"
_WORDS = ("and", "or", "not", _HAS)
_MOST_CHARACTERS, _MOST_BRACKETS = 10_000, 100
_EXAMPLE = 'expected conditions like score > .3 and not (width < 600 or source has "drafts/")'


class WhereError(CelebAHQError, ValueError):
    """A condition that cannot be read, or names no column; the message is one line."""


def where(text: str, columns: Mapping[str, np.ndarray], option: str = "--where") -> np.ndarray:
    """Return for which rows a condition holds.

    The language: comparisons `<`, `<=`, `>`, `>=`, `=`, `!=` of columns, numbers and quoted text, also chained
    (`.2 < score < .5`); `has`, whether a text contains another; `and`, `or`, `not`, brackets. A name with odd
    characters stands in backquotes. What is not known (nan) fulfils no comparison.

    Args:
        columns: name -> (N,) numbers, or text as str.
        option: as it is typed, for messages.

    Returns:
        (N,) bool.

    Raises:
        WhereError: anything else.
    """
    parser = _Parser(text, columns, option)
    found = parser.any_of()
    if parser.here is not None:
        raise parser.unexpected()
    return found


class _Parser:
    """Reads a condition from left to right; each method takes one part of it and returns (N,) bool."""

    def __init__(self, text: str, columns: Mapping[str, np.ndarray], option: str) -> None:
        self._text, self._columns, self._option = text, columns, option
        self._tokens = self._split(text)
        self._at = self._depth = 0
        self._length = len(next(iter(columns.values()), ()))

    @property
    def here(self) -> tuple[str, str] | None:
        """(kind, text) of the next token; None at the end."""
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def any_of(self) -> np.ndarray:
        found = self._all_of()
        while self._takes("or"):
            found = found | self._all_of()
        return found

    def _all_of(self) -> np.ndarray:
        found = self._one()
        while self._takes("and"):
            found = found & self._one()
        return found

    def _one(self) -> np.ndarray:
        self._depth += 1
        if self._depth > _MOST_BRACKETS:
            raise self._error(f"got more than {_MOST_BRACKETS} brackets or nots within each other, expected fewer")
        try:
            if self._takes("not"):
                return ~self._one()
            if self._takes("("):
                found = self.any_of()
                if not self._takes(")"):
                    raise self.unexpected(")")
                return found
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> np.ndarray:
        left = self._operand()
        found = np.ones(self._length, bool)
        compared = False
        while self.here is not None and self.here[1] in (*_COMPARISONS, _HAS):
            sign = self.here[1]
            self._at += 1
            right = self._operand()
            found = found & self._compare(left, sign, right)
            left, compared = right, True
        if not compared:
            raise self.unexpected("a comparison")
        return found

    def _operand(self) -> tuple[str, Any]:
        """Return the text of an operand, and its value: a column, a number or a text."""
        kind, text = self.here or ("", "")
        if kind == "number":
            value: Any = float(text)
        elif kind == "text":
            value = text[1:-1]
        elif kind == "name" and text not in _WORDS:
            name = text.strip("`")
            if name not in self._columns:
                raise self._error(f"got the column {name}, expected one of {', '.join(sorted(self._columns))}")
            value = self._columns[name]
        else:
            raise self.unexpected("a column, a number or a quoted text")
        self._at += 1
        return text, value

    def _compare(self, left: tuple[str, Any], sign: str, right: tuple[str, Any]) -> np.ndarray:
        (a_text, a), (b_text, b) = left, right
        if sign == _HAS and not (_is_text(a) and _is_text(b)):
            raise self._error(f"got {a_text} has {b_text}, expected a column of text and a quoted text")
        if _is_text(a) != _is_text(b):
            text, number = (a_text, b_text) if _is_text(a) else (b_text, a_text)
            raise self._error(f"got the text {text} compared with the number {number}, expected two of a kind")
        if sign == _HAS:
            pairs = np.broadcast(np.asarray(a, object), np.asarray(b, object), np.empty(self._length, object))
            return np.array([part in whole for whole, part, _ in pairs], bool)
        with np.errstate(invalid="ignore"):
            holds = np.asarray(_COMPARISONS[sign](a, b), bool)
        for value in (a, b):
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                holds = holds & ~np.isnan(value)
        return np.broadcast_to(holds, self._length)

    def _takes(self, word: str) -> bool:
        if self.here is None or self.here[0] == "text" or self.here[1] != word:
            return False
        self._at += 1
        return True

    def unexpected(self, wanted: str = "") -> WhereError:
        found = "its end" if self.here is None else self.here[1]
        return self._error(f"got {found} in {self._text!r}, {f'expected {wanted}' if wanted else _EXAMPLE}")

    def _error(self, message: str) -> WhereError:
        return WhereError(f"{self._option}: {message}")

    def _split(self, text: str) -> list[tuple[str, str]]:
        if len(text) > _MOST_CHARACTERS:
            raise self._error(f"got {len(text):,} characters, expected at most {_MOST_CHARACTERS:,}")
        tokens, position = [], 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self._error(f"got {text[position:].strip()[:20]!r} in {text[:200]!r}, {_EXAMPLE}")
            tokens.append((match.lastgroup, match[match.lastgroup]))
            position = match.end()
        return tokens


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, np.ndarray) and value.dtype.kind in "OU")
