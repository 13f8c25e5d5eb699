"""What may keep a photo from being worked through without the photo being at fault; a later run tries it again."""

from dataclasses import dataclass

FAULT = "fault in this program"
"""The reason in the row of a photo on which a stage raised what it should not; the row keeps the traceback."""
WORKER_DIED = "worker died"
"""The reason in the row of a photo that killed its process twice."""
NOT_FETCHED = "could not be fetched"
"""The reason in the row of a photo that an object store did not give, asked several times."""
_TOO_LONG, _TOO_MUCH = "took longer than ", "took more than "


@dataclass(frozen=True)
class Limits:
    """What one photo may take in a worker; beyond it, the process is replaced and the photo gets a row."""

    seconds: float = float("inf")
    """Of its work, as WorkClock counts it."""
    memory_gib: float = float("inf")
    """Of the worker's resident memory. Watched on Linux only."""


@dataclass(frozen=True)
class Failure:
    """Stands for the result of a photo that could not be worked through."""

    reason: str
    """A phrase to count by: FAULT, WORKER_DIED, "took longer than 300 s" or "took more than 8 GiB of memory"."""
    detail: str = ""
    traceback: str = ""
    """Of a fault in this program, as Python prints it."""


def took_too_long(seconds: float) -> Failure:
    """Return what stands for a photo that passed --photo-seconds."""
    return Failure(f"{_TOO_LONG}{seconds:g} s", "its process was replaced; --photo-seconds gives more time")


def took_too_much(gib: float) -> Failure:
    """Return what stands for a photo that passed --photo-gib."""
    return Failure(f"{_TOO_MUCH}{gib:g} GiB of memory", "its process was replaced; --photo-gib gives more memory")


def is_failure(reason: str) -> bool:
    """Say whether a row's reason is one of these and not a property of the photo."""
    return reason in (FAULT, WORKER_DIED, NOT_FETCHED) or reason.startswith((_TOO_LONG, _TOO_MUCH))
