"""Why a photo cannot be used: the one exception that the pipeline expects."""

from typing import Any

from celebahq.errors import CelebAHQError


class UnusablePhotoError(CelebAHQError):
    """A photo (or a face in it) that cannot become a row of the dataset.

    The pipeline catches just this, writes the reason into the manifest and goes on; everything else is a bug.

    Args:
        reason: a short, stable phrase that the summary counts by, e.g. "no face found".
        detail: what was found in this very photo, e.g. "eyes 11 px apart, at least 20 expected".
    """

    face: Any = None
    """The landmarks.Face that is refused, where the photo has one whose landmarks are known."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


def found_beside(limit: float, found: float, digits: int, kind: str = "f") -> str:
    """Return what was found with as many decimals as tell it from its limit: "19.98", not "20.0", where 20 are wanted.

    Args:
        digits: the fewest decimals.
        kind: "f", or "%" for a share.
    """
    while found != limit and f"{found:.{digits}{kind}}" == f"{limit:.{digits}{kind}}" and digits < 17:
        digits += 1
    return f"{found:.{digits}{kind}}"
