"""Which photos must be looked at again because other thresholds, lists or scores may decide otherwise about them."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celebahq_builder.config import THRESHOLD_OPTIONS, BuildConfig, flag
from celebahq_builder.marks import MARKS_VERSION, UNMEASURED
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.name_lists import NameLists
from celebahq_builder.state.row_table import RowTable
from celebahq_builder.thresholds import MAY_BE_INCLUDED, fulfils

_log = logging.getLogger("celebahq.build")


def without_changed_decisions(
    rows: RowTable, before: Mapping[str, Any], config: BuildConfig, score_version: int, lists: NameLists
) -> RowTable:
    """Return the rows of photos about which this build decides as the one before did.

    Of the others too little is known: where a face is refused now, a photo may have another one.

    Args:
        before: the options that the rows were made with.
        score_version: of this program.
    """
    now = config.thresholds()
    changed = [name for name in THRESHOLD_OPTIONS if before.get(name) != now[name]]
    some = rows if changed or lists.include else rows.looked  # others were decided by what is as it was
    again = {row.source for row in some if _decides_otherwise(row, config, lists, bool(changed))}
    if again and changed:
        names = ", ".join(map(flag, changed))
        _log.info(f"{names}: other than before, {len(again):,} photos are looked at again")
    if before.get("marks_version", 0) != MARKS_VERSION:
        rows = RowTable(replace(row, marks=UNMEASURED) if row.status == "aligned" else row for row in rows)
    if config.refuse:
        unknown = {row.source for row in rows if row.status == "aligned" and row.marks == UNMEASURED} - again
        again |= unknown
        if unknown:
            _log.info(f"--refuse: marks are not known, the faces of {len(unknown):,} photos are measured again")
    if before.get("score_version", 1) != score_version:
        scored = {row.source for row in rows if row.status == "aligned"} - again
        again |= scored
        _log.info(f"scored by an earlier version: the faces of {len(scored):,} photos are made and scored again")
    return RowTable(row for row in rows if row.source not in again) if again else rows


def _decides_otherwise(row: Row, config: BuildConfig, lists: NameLists, changed: bool) -> bool:
    included = lists.include.has(row)
    if row.overridden and (changed or not included):
        return True
    if row.reason in MAY_BE_INCLUDED and included:
        return True
    return changed and (row.num_judged != 0 or (row.status == "aligned" and not fulfils(row, config)))
