"""The rows of several files as one: of several of one name the kept one, and duplicates of what is taken once."""

import itertools
import logging
from array import array
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from celebahq_builder.hdf5_format.changed_rows import ChangedRows, JoinedRows
from celebahq_builder.hdf5_format.part import Part, PartRows
from celebahq_builder.hdf5_format.rows import Rows, row_id
from celebahq_builder.state.name_order import name_order

_log = logging.getLogger("celebahq.data")


def merged_rows(
    parts: Sequence[Part], order: Sequence[tuple[int, int]], repeated: Mapping[tuple[int, int], tuple[int, int]]
) -> JoinedRows | None:
    """Return the rows of all files with their new places; of several of one name, the kept one, or the first.

    What is left out because an earlier file has it is a duplicate of that one, and so are its own duplicates.

    Args:
        order: (part, row) of each new row.
        repeated: (part, row) of what is left out -> that of the one which is taken.
    """
    found = [part.rows for part in parts if part.rows is not None]
    if len(found) < len(parts):
        if found:
            _log.warning("rows: not all of the files have them, so that the new one has none")
        return None
    ids = _ids_of(found, {*repeated, *repeated.values()})
    places: list[dict[int, int]] = [{} for _ in found]
    for i, (number, row) in enumerate(order):
        places[number][row] = i
    same: list[dict[int, str]] = [{} for _ in found]
    for (number, row), first in repeated.items():
        if first in ids:
            same[number][row] = ids[first]
    changed = []
    for number, rows in enumerate(found):
        names = {ids[number, row]: other for row, other in same[number].items() if (number, row) in ids}
        changed.append(ChangedRows(rows, partial(_changed, places=places[number], same=same[number], names=names)))
    return JoinedRows(changed, _one_of_each_name(changed))


def _ids_of(parts: Sequence[PartRows], wanted: set[tuple[int, int]]) -> dict[tuple[int, int], str]:
    """Return the id of some kept rows, by part and row."""
    found: dict[tuple[int, int], str] = {}
    for number, part in enumerate(parts) if wanted else ():
        for some in part.slices():
            for i in np.flatnonzero(some["row"] != -1).tolist():
                key = number, int(some["row"][i])
                if key in wanted:
                    found[key] = row_id(some["source"][i], int(some["face_index"][i]))
    return found


def _changed(rows: Rows, places: dict[int, int], same: dict[int, str], names: dict[str, str]) -> Rows:
    """Return rows of one file as the new one has them.

    Args:
        places: row -> row of the new file.
        same: row -> id of the row that is taken in its place.
        names: the same by id.
    """
    columns = dict(rows.columns)
    for name in ("row", "status", "reason", "duplicate_of"):
        columns[name] = columns[name].copy()
    for i, row in enumerate(rows["row"].tolist()):
        if row != -1:
            columns["row"][i] = places.get(row, -1)
            if row in same:
                columns["status"][i] = columns["reason"][i] = "duplicate"
                columns["duplicate_of"][i] = same[row]
        elif other := names.get(rows["duplicate_of"][i]):
            columns["duplicate_of"][i] = other
    return Rows(columns)


def _one_of_each_name(parts: Sequence[ChangedRows]) -> np.ndarray:
    """Return the places of the rows by name and face_index: of equal ones, the first that is kept, or the first."""
    names, starts, faces, kept = bytearray(), array("q"), array("i"), array("b")
    for some in itertools.chain.from_iterable(part.slices() for part in parts):
        for source in some["source"]:
            starts.append(len(names))
            names += source.encode("utf-8", "surrogatepass")
        faces.extend(some["face_index"].tolist())
        kept.extend((some["row"] != -1).tolist())
    order = name_order(np.frombuffer(names, np.uint8), np.array(starts, np.int64), np.array(faces, np.int32))
    chosen, last = array("q"), None
    starts.append(len(names))
    for place in order.tolist():  # equal ones in the order of the files
        key = names[starts[place] : starts[place + 1]], faces[place]
        if key != last:
            chosen.append(place)
        elif kept[place] and not kept[chosen[-1]]:
            chosen[-1] = place
        last = key
    return np.array(chosen, np.int64)
