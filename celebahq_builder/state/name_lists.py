"""--exclude and --include: text files that name photos, or single faces by the names of their rows."""

import hashlib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from celebahq.files import printable, text_lines
from celebahq_builder.config import BuildError
from celebahq_builder.marks import refusing_mark
from celebahq_builder.state.manifest import Row

_log = logging.getLogger("celebahq.build")
EXCLUDED, MARKED = "excluded by --exclude", "marked "
"""Reasons; the second one is followed by the mark."""
_ROW_ID = re.compile(r"(.+)#(-1|[0-9]{1,9})", re.DOTALL)
_SHOWN = 5
BLANKS = " \t\v\f"
"""Dropped at the ends of a line; other white space may be part of a name."""


@dataclass(frozen=True)
class NameList:
    """Photos, by name, and faces, by (photo, face_index)."""

    photos: frozenset[str] = frozenset()
    faces: frozenset[tuple[str, int]] = frozenset()

    def has(self, row: Row) -> bool:
        """Say whether the list names this row, or its photo."""
        return row.source in self.photos or row.key in self.faces

    def indices(self, source: str) -> frozenset[int] | None:
        """Return which faces of a photo are named; None: all of them."""
        return None if source in self.photos else self._by_photo.get(source, frozenset())

    @cached_property
    def _by_photo(self) -> dict[str, frozenset[int]]:
        found: dict[str, set[int]] = {}
        for source, index in self.faces:
            found.setdefault(source, set()).add(index)
        return {source: frozenset(indices) for source, indices in found.items()}

    def entries(self) -> list[str]:
        """Return the names as they are typed, sorted."""
        return sorted([*self.photos, *(f"{name}#{index}" for name, index in self.faces)])

    def __bool__(self) -> bool:
        return bool(self.photos or self.faces)


@dataclass(frozen=True)
class NameLists:
    """What a person decided: which faces are to be left out, and which are to be kept whatever the numbers say."""

    exclude: NameList = field(default_factory=NameList)
    include: NameList = field(default_factory=NameList)
    refuse: tuple[str, ...] = ()
    """Marks that keep a face out, unless `include` names it."""

    def __bool__(self) -> bool:
        return bool(self.exclude or self.include or self.refuse)

    def left_out(self, row: Row) -> str:
        """Return why an aligned face is left out whatever its score: a reason to count by; empty where it is not."""
        if self.exclude.has(row):
            return EXCLUDED
        if self.refuse and not self.include.has(row) and (mark := refusing_mark(row.marks, self.refuse)):
            return f"{MARKED}{mark}"
        return ""

    def digests(self) -> dict[str, str]:
        """Return what the file records of the lists: their hashes, whatever order, comments and repeats they have."""
        found = {}
        for name, names in (("exclude", self.exclude), ("include", self.include)):
            if names:
                text = "\n".join(names.entries()).encode("utf-8", "surrogateescape")
                found[f"{name}_sha256"] = hashlib.sha256(text).hexdigest()
        return found


def read_name_lists(
    exclude: Path | None, include: Path | None, photos: Iterable[str], refuse: Iterable[str] = ()
) -> NameLists:
    """Read the lists.

    Args:
        photos: the names of all photos, which tell `a#1`, a photo, from the second face of `a`.
        refuse: of --refuse.

    Raises:
        BuildError: a list cannot be read, or a face or photo is in both.
    """
    known = frozenset(() if exclude is None and include is None else photos)
    lists = NameLists(
        NameList() if exclude is None else read_name_list("--exclude", exclude, known),
        NameList() if include is None else read_name_list("--include", include, known),
        tuple(refuse),
    )
    both = lists.exclude.photos & lists.include.photos | {
        source
        for one, other in ((lists.exclude, lists.include), (lists.include, lists.exclude))
        for source, _ in one.faces
        if source in other.photos
    }
    both |= {f"{source}#{index}" for source, index in lists.exclude.faces & lists.include.faces}
    if both:
        raise BuildError(
            f"--include: got {min(both)} in {include} and in {exclude}, expected a name in one of them"
            + (f" ({len(both)} are in both)" if len(both) > 1 else "")
        )
    return lists


def read_name_list(option: str, path: Path, known: frozenset[str] = frozenset()) -> NameList:
    """Read one list: a line a name, of a photo (as in the column `source`) or of a face, `source#face_index`.

    Empty lines and lines that begin with # are skipped; a photo whose name begins with # is written `./#name`.
    Spaces at the ends of a line are dropped.

    Args:
        option: as it is typed, for the message.
        known: names of photos; what is one of them is no name of a face.

    Raises:
        BuildError: it cannot be read, or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BuildError(f"{option}: got {path} ({error.strerror}), expected a list of names, one a line") from None
    if b"\0" in data:
        raise BuildError(f"{option}: got {path} with zero bytes, expected a text, one name a line")
    photos, faces = set(), set()
    for line in text_lines(data.decode("utf-8-sig", "surrogateescape")):
        name = line.strip(BLANKS)
        if not name or name.startswith("#"):
            continue
        name = name.removeprefix("./")
        match = _ROW_ID.fullmatch(name)
        if match and name not in known and match[2] != "-1":
            faces.add((match[1], int(match[2])))
        else:
            photos.add(name if name in known else name.removesuffix("#-1"))
    return NameList(frozenset(photos), frozenset(faces))


def unmatched(names: NameList, keys: Iterable[tuple[str, int]]) -> list[str]:
    """Return the entries of a list that name none of these rows."""
    return _unmatched(names, keys).entries()


def _unmatched(names: NameList, keys: Iterable[tuple[str, int]]) -> NameList:
    photos, faces = set(names.photos), set(names.faces)
    for key in keys:
        photos.discard(key[0])
        faces.discard(key)
    return NameList(frozenset(photos), frozenset(faces))


def tell_unmatched(lists: NameLists, keys: Iterable[tuple[str, int]]) -> None:
    """Log which names of the lists match nothing."""
    if not lists.exclude and not lists.include:
        return
    one, other = lists.exclude, lists.include
    left = _unmatched(NameList(one.photos | other.photos, one.faces | other.faces), keys)
    for option, names in (("--exclude", one), ("--include", other)):
        if missing := NameList(names.photos & left.photos, names.faces & left.faces).entries():
            _log.warning(f"{option}: {count_and_show(missing, len(names.entries()))}")


def count_and_show(missing: list[str], total: int) -> str:
    """Say in one line how many names match nothing, and which."""
    shown = ", ".join(printable(name) for name in missing[:_SHOWN])
    more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
    return f"{len(missing)} of {total} names match nothing: {shown}{more}"
