"""What was decided about faces, on the disk: <output>.decisions.json, and the list of rejects that commands take."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from celebahq.errors import CelebAHQError
from celebahq.files import text_lines, write_atomic
from celebahq_builder.state.name_lists import BLANKS

_FORMAT = 1
_MOST_BYTES = 256 << 20


class DecisionsError(CelebAHQError):
    """A file of decisions that is not one; the message is one line that names it."""


@dataclass(frozen=True)
class Decisions:
    """By row id: `decision` "reject", "keep" or "", and `mark`, as the page has them; `version` counts the changes."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    version: int = 0

    @property
    def rejected(self) -> list[str]:
        """Ids, sorted."""
        return sorted(id for id, value in self.values.items() if value["decision"] == "reject")


def decisions_path(dataset: Path) -> Path:
    return dataset.with_name(f"{dataset.name}.decisions.json")


def exclude_path(dataset: Path) -> Path:
    return dataset.with_name(f"{dataset.name}.exclude.txt")


def include_path(dataset: Path) -> Path:
    return dataset.with_name(f"{dataset.name}.include.txt")


def parse_decisions(value: object) -> dict[str, dict[str, Any]]:
    """Return decisions as they may be kept; ValueError for anything else."""
    if not isinstance(value, dict):
        raise ValueError("no object")
    found = {}
    for row, said in value.items():
        if not isinstance(said, dict) or said.get("decision") not in ("", "reject", "keep"):
            raise ValueError(f"no decision: {said!r}")
        found[row] = {"decision": said["decision"], "mark": said.get("mark") is True}
    return found


def read_decisions(dataset: Path) -> Decisions:
    """Return what was decided about a dataset before: of the file of decisions, or else the list of rejects.

    Raises:
        DecisionsError: the file holds something else.
    """
    path, listed = decisions_path(dataset), exclude_path(dataset)
    if not path.exists():
        return Decisions({id: {"decision": "reject", "mark": False} for id in read_list(listed)})
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        found = json.loads(path.read_bytes())
        return Decisions(parse_decisions(found["decisions"]), int(found["version"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise DecisionsError(
            f"{path}: got something else, expected what celebahq-data curate saves; move it away to begin with none"
        ) from None


def write_decisions(dataset: Path, decisions: Decisions, included: Sequence[str] = ()) -> None:
    """Write the decisions, then the lists; each file is the old one or the new one at any moment.

    Args:
        included: ids of what is not in the dataset and is to be; without any, and without a list of before, no list.
    """
    data = {"format": _FORMAT, "version": decisions.version, "decisions": decisions.values}
    with write_atomic(decisions_path(dataset), durable=True) as file:
        file.write(json.dumps(data, indent=1).encode("ascii"))
    with write_atomic(exclude_path(dataset), durable=True) as file:
        file.writelines(list_lines(decisions.rejected))
    if included or include_path(dataset).exists():
        with write_atomic(include_path(dataset), durable=True) as file:
            file.writelines(list_lines(included))


def read_list(path: Path) -> list[str]:
    """Return the ids, or names of photos, of a list as --exclude and --include take it; none where it is not there."""
    if not path.exists():
        return []
    lines = (line.strip(BLANKS) for line in text_lines(path.read_bytes().decode("utf-8-sig", "surrogateescape")))
    return [line.removeprefix("./") for line in lines if line and not line.startswith("#")]


def list_lines(ids: Iterable[str]) -> list[bytes]:
    """Return a list as --exclude reads it: no line begins with #, and an id with a line's end in it has none."""
    whole = (id for id in ids if text_lines(id) == [id])
    lines = (f"./{id}" if id.startswith(("#", "./", "\ufeff")) or id != id.lstrip() else id for id in whole)
    return [f"{line}\n".encode("utf-8", "surrogateescape") for line in lines]
