"""What becomes of the faces that a task made: into one file beside the output, or back with the rows.

The build lays a file with a token into the folder. A node that reads it there, and can write beside it, keeps faces off
the network to the build; one that cannot sends them along, which is slower, and the build says so.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from celebahq.files import PARTIAL, write_atomic
from celebahq_builder.state.face_files import PROBE, FacePlace, write_face_file


@dataclass(frozen=True)
class FaceFolder:
    """Where faces go, under a path that holds on all nodes if they see the folder."""

    path: Path
    token: str


def share_folder(path: Path) -> FaceFolder:
    """Let nodes recognize a folder of the build: another one of the same name on their own disk has no such token."""
    folder = FaceFolder(path.absolute(), secrets.token_hex(16))
    with write_atomic(path / PROBE) as file:
        file.write(folder.token.encode("ascii"))
    return folder


@cache
def why_unseen(folder: FaceFolder) -> str:
    """Return why this machine cannot put faces there; "" where it can. Asked once a process."""
    try:
        if (folder.path / PROBE).read_text("ascii") != folder.token:
            return "a folder of its own lies there"
        trial = folder.path / f"{PROBE}.{secrets.token_hex(8)}{PARTIAL}"
        trial.write_text("written")
        trial.unlink()
    except (OSError, UnicodeError) as error:
        return str(getattr(error, "strerror", "") or error)
    return ""


def drop_hopeless(task: Any, result: Any, cutoff: float) -> None:
    """Leave out the faces that cannot be among the best any more, however the rest of the build goes.

    Args:
        task, result: of process_photo; faces that --include names, or that a list orders, stay.
        cutoff: the worst score that the build held when it handed the task out, all places being taken.
    """
    included: frozenset[int] | None = getattr(task, "included", frozenset())
    for row in result.rows:
        named = included is None or row.face_index in included
        if row.place is None and row.score is not None and row.score < cutoff and not named:
            result.faces.pop(row.face_index, None)


def deliver(names: Sequence[str], results: Sequence[Any], folder: FaceFolder) -> str:
    """Put all faces of the results into one file, and in their stead into the results where each lies.

    Returns:
        why that could not be done, in a few words; "" where it was, or there was none.
    """
    faces = [(result.faces, index) for result in results for index in getattr(result, "faces", ())]
    if not faces:
        return ""
    if why := why_unseen(folder):
        return why
    try:
        places = write_face_file(folder.path, [of[index] for of, index in faces], names)
    except OSError as error:  # the build meets it too, and says what there is to do
        return error.strerror or str(error)
    for (of, index), place in zip(faces, places, strict=True):
        of[index] = place
    return ""


def in_transit(result: Any) -> int:
    """Return how many bytes of faces a result carries."""
    faces = getattr(result, "faces", {})
    return sum(0 if isinstance(face, FacePlace) else len(face) for face in faces.values())
