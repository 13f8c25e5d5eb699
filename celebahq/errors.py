"""CelebAHQError, the root of every error that a user can mend; what is no such error is a fault in this program."""


class CelebAHQError(Exception):
    """Wrong input, options or surroundings. The message is one line: `{what}: got {found}, expected {wanted}`.

    No ValueError by itself: tyro would frame it. A class that was one before derives from both.
    """

    exit_code: int = 2
    """With which a command ends: 2 wrong usage or input, 1 a check or an upload that failed."""


class DeviceError(CelebAHQError, ValueError):
    """A device that is not here, or a name that no device has."""
