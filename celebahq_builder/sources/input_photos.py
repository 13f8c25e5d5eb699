"""What the build is made from: the photos of --input, told apart by size and time."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from celebahq.files import printable
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.sources.archives import ArchiveError, FileStamp
from celebahq_builder.sources.listing import Listing, file_stamp, list_photos
from celebahq_builder.sources.remote import RemoteError, url_of

__all__ = ["FileStamp", "file_stamp", "left_out", "list_input", "origin", "photos_sha256"]


def photos_sha256(root: Path, names: Iterable[str]) -> str:
    """Return a digest of the photos' names and sizes: enough to notice that some came, went or were exchanged."""
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode("utf-8", "surrogateescape") + b"\0%d\n" % file_stamp(root, name).num_bytes)
    return digest.hexdigest()


def origin(config: BuildConfig) -> str:
    """Return where the photos lie: the URL, or the whole path."""
    return url_of(config.input) or str(config.input.resolve())


def list_input(config: BuildConfig) -> Listing:
    """Return the names of the photos to work on, sorted, and what else lies there; BuildError when there are none."""
    sources = "a folder, a zip, a tar, a list of paths, a URL or one photograph"
    readable = f"expected {sources} that can be read"
    if url_of(config.input):
        return _some_photos(config, _list(config, None, readable))
    try:
        root, ours = config.input.resolve(), config.build_folder.resolve()
        exists = root.exists()
    except OSError as error:  # a folder closed to us, or a name that is too long
        raise BuildError(f"--input: got {config.input} ({error.strerror}), {readable}") from None
    if not exists:
        raise BuildError(f"--input: got {config.input}, which does not exist, expected {sources}")
    if root.is_relative_to(ours):
        raise BuildError(f"--input: got {config.input}, inside this build's own folder {config.build_folder}")
    return _some_photos(config, _list(config, ours, readable))  # the aligned faces are not photos


def _list(config: BuildConfig, but: Path | None, readable: str) -> Listing:
    try:
        return list_photos(config.input, but)
    except RemoteError as error:
        raise BuildError(f"--input: {error}") from None
    except ArchiveError as error:
        raise BuildError(f"--input: {config.input}: {error}") from None
    except OSError as error:
        raise BuildError(f"--input: got {config.input} ({error.strerror}), {readable}") from None


def _some_photos(config: BuildConfig, found: Listing) -> Listing:
    if not found.names:
        others = f" (but {left_out(found)})" if found.left_out else ""
        where = url_of(config.input) or config.input
        raise BuildError(
            f"--input: got no photo in {where}{others}, expected files like .jpg, .png, .webp, .heic or .tif"
        )
    return found


def left_out(found: Listing) -> str:
    """Say what else lies among the photos, by kind, the most frequent first; "" for nothing."""
    kinds = sorted(found.left_out.items(), key=lambda item: (-item[1], item[0]))
    words = [f"{count:,} {printable(kind)}" for kind, count in kinds[:8]]
    if len(kinds) > len(words):
        words.append(f"{sum(count for _, count in kinds[8:]):,} of {len(kinds) - 8} other kinds")
    return ", ".join(words)
