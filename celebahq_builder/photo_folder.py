"""What the build is made from: the photos of --input, told apart by size and time."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from celebahq_builder.config import BuildConfig, BuildError


@dataclass(frozen=True)
class FileStamp:
    """Tells whether a file has changed. -1 and 0 for one that cannot be looked at."""

    num_bytes: int
    mtime_ns: int


def photo_path(root: Path, name: str) -> Path:
    """Return where the photo lies that find_photos(root) named: root itself, when it is a photo."""
    return root / name if root.is_dir() else root


def file_stamp(root: Path, name: str) -> FileStamp:
    try:
        status = photo_path(root, name).stat()
    except OSError:
        return FileStamp(-1, 0)
    return FileStamp(status.st_size, status.st_mtime_ns)


def photos_sha256(root: Path, names: Iterable[str]) -> str:
    """Return a digest of the photos' names and sizes: enough to notice that some came, went or were exchanged."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0%d\n" % file_stamp(root, name).num_bytes)
    return digest.hexdigest()


def find_input(config: BuildConfig) -> list[str]:
    """Return the names of the photos to work on, sorted; BuildError when there are none."""
    from celebahq_builder.photos import find_photos

    try:
        root, ours = config.input.resolve(), config.build_folder.resolve()
        exists = root.exists()
    except OSError as error:  # a folder closed to us, or a name that is too long
        raise BuildError(
            f"--input: {config.input}: {error.strerror}, a folder or a photograph to read is wanted"
        ) from None
    if not exists:
        raise BuildError(f"--input: {config.input} does not exist, a folder of photographs or one photograph is wanted")
    if root.is_relative_to(ours):
        raise BuildError(f"--input: {config.input} is inside this build's own folder {config.build_folder}")
    try:
        names = find_photos(config.input)
    except OSError as error:
        raise BuildError(f"--input: {config.input}: {error.strerror}, a folder that can be read is wanted") from None
    if ours.is_relative_to(root):  # the output lies among the photos: the rendered faces are not photos
        prefix = ours.relative_to(root).as_posix() + "/"
        names = [name for name in names if not name.startswith(prefix)]
    if not names:
        raise BuildError(f"--input: no photo in {config.input}, files like .jpg, .png, .webp, .tif or .bmp are wanted")
    return names
