"""RestorationError: what python -m train.restoration cannot use, and what it expects instead."""

from celebahq.errors import CelebAHQError


class RestorationError(CelebAHQError, ValueError):
    """An option, a file or a run that cannot be used; the message is one line that names it and what is expected."""


class NoPhotosError(CelebAHQError, FileNotFoundError):
    """A folder, zip or file that is not there, or has nothing in it that can be used."""
