"""Photos in an object store or on another machine: any URL that fsspec opens, such as s3://bucket/photos."""

import contextlib
import functools
import logging
import random
import re
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from celebahq.errors import CelebAHQError
from celebahq.files import printable
from celebahq_builder.decoding.unusable_photo import UnusablePhotoError
from celebahq_builder.sources.archives import FileStamp
from celebahq_builder.state.failure import NOT_FETCHED

_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(?=[^/])", re.IGNORECASE)
_SIGNATURE = re.compile(r"(https?://[^\s'\"?]*)\?[^\s'\"]*")
"""A URL with a query, which may be a signature: whoever reads it may read the object."""
_ATTEMPTS, _FIRST_PAUSE = 5, 0.5  # seconds; doubled each time, and spread so that workers do not come back together
_FINAL = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ValueError, TypeError)
_NO_CREDENTIALS = {"NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "DefaultCredentialsError"}
"""What libraries of stores raise where they find nothing to sign with, by name: asking again does not help."""
_EXTRA = {"s3", "s3a", "gs", "gcs"}
"""Kinds of URL whose packages the extra `cloud` has."""
_EMPTY_OR_NOT_THERE = {"http", "https", "file", "local", "memory"}
"""Kinds of URL that are listed as empty where nothing is there, or nobody answers."""
_VERSIONS = ("ETag", "etag", "md5Hash", "blob_id", "LastModified", "last_modified", "updated", "mtime")
Value = TypeVar("Value")

_log = logging.getLogger("celebahq.build")

_listed: dict[str, dict[str, FileStamp]] = {}
"""What the last listing of a URL found, in this process."""


class RemoteError(CelebAHQError, ValueError):
    """A URL that cannot be listed; the message says what was found and what is expected."""


def url_of(path: Path | str) -> str:
    """Return the URL that an option holds, "" for a place on this machine.

    A path keeps one of the two slashes of a URL. A folder that really has such a name is taken first.
    """
    match = _URL.match(str(path))
    if match is None:
        return ""
    with contextlib.suppress(OSError):  # longer than a name on this machine may be
        if Path(path).exists():
            return ""
    scheme = match[1].lower()
    slashes = ":///" if scheme in ("file", "local") else "://"
    return f"{scheme}{slashes}{str(path)[match.end() :]}"


def fetch_line(url: str) -> str:
    """Return the command that fetches a dataset file, with what lies beside it, into the current folder."""
    kind, _, place = url.partition("://")
    folder, _, name = place.rpartition("/")
    pattern = f"{folder}/{name.removesuffix('.h5')}*"
    return f"python -c \"import fsspec; fsspec.filesystem('{kind}').get('{pattern}', '.')\""


def list_remote(url: str, left_out: Counter[str] | None = None) -> dict[str, FileStamp]:
    """Return name -> stamp of every file below a URL, or of the one file that it is; looks anew at each call.

    Args:
        left_out: counts names that are no path; what begins with a dot is hidden, as in a folder.

    Raises:
        RemoteError: nothing there, no access, the package for this kind of URL is not installed, or the URL itself
            holds credentials or a query: it is kept in files that are passed on.
    """
    refuse_secrets(url)
    try:
        system, root = open_url(url)
        system.invalidate_cache()
        found = patiently(lambda: system.find(root, detail=True), url)
        if not found and url.partition(":")[0] in _EMPTY_OR_NOT_THERE:
            patiently(lambda: system.info(root), url)
    except Exception as error:  # whatever a store's own library raises: no bucket, no credentials, no such host
        raise remote_error(url, error, "expected one that can be read") from None
    prefix = root.rstrip("/") + "/"
    stamps = {}
    for place, info in found.items():
        if place == root.rstrip("/") and not urlsplit(url).path.strip("/"):
            continue  # a server's own page
        name = place.removeprefix(prefix) if place != root.rstrip("/") else place.rpartition("/")[2]
        if info.get("type", "file") != "file" or not name or name.endswith("/"):
            continue
        if _is_no_path(name):
            if left_out is not None:
                left_out["of a name that is no path"] += 1
        elif not any(part.startswith(".") for part in name.split("/")):
            stamps[name] = stamp_of(info)
    _listed[url] = stamps
    return stamps


def remote_stamp(url: str, name: str) -> FileStamp:
    """Return the stamp of a photo, from the listing where this process made it; -1 and 0 when there is none."""
    if url in _listed:
        return _listed[url].get(name, FileStamp(-1, 0))
    try:
        system, root = open_url(url)
        return stamp_of(patiently(lambda: system.info(_place(root, name))))
    except Exception:
        return FileStamp(-1, 0)


def read_remote(url: str, name: str) -> bytes:
    """Return the bytes of a photo that list_remote(url) named, asked for again where the connection fails.

    Raises:
        UnusablePhotoError: NOT_FETCHED, with the store's words; another run tries it again.
    """
    try:
        system, root = open_url(url)
        return patiently(lambda: system.cat_file(_place(root, name)))
    except MemoryError:
        raise
    except Exception as error:
        raise UnusablePhotoError(NOT_FETCHED, words_of(error)) from None


def _place(root: str, name: str) -> str:
    """A URL that is itself one photo holds the name of its last part alone."""
    root = root.rstrip("/")
    return root if root.rpartition("/")[2] == name else f"{root}/{name}"


def refuse_secrets(url: str) -> None:
    """Raise RemoteError where a URL holds credentials or a query: it is kept in files that are passed on."""
    address = urlsplit(url)
    if address.username or address.password or address.query:
        where = f"{address.scheme}://{address.hostname or ''}{address.path}"
        raise RemoteError(
            f"got {where} with credentials or a query, expected neither; see docs/photos.md for where to put them"
        )


def words_of(error: Exception) -> str:
    """Return what a store's library raised, on one short line."""
    words = _SIGNATURE.sub(r"\1?...", " ".join(str(error).split()))  # rows and logs are passed on
    return f"{type(error).__name__}: {words[:200]}".removesuffix(": ")


def remote_error(url: str, error: Exception, expected: str) -> RemoteError:
    """Return the one line for whatever a store's library raised."""
    if isinstance(error, ImportError):
        remedy = "pip install 'celebahq[cloud]'" if url.partition(":")[0] in _EXTRA else "install it"
        return RemoteError(f"got {url}, which needs a package ({error}); {remedy}")
    if type(error).__name__ in _NO_CREDENTIALS:
        expected += "; docs/photos.md says where credentials go"
    return RemoteError(f"got {url} ({words_of(error) if str(error) else 'no answer'}), {expected}")


@functools.lru_cache(maxsize=4)
def open_url(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, kept open, and the place in it."""
    import fsspec.core

    return fsspec.core.url_to_fs(url)


def patiently(call: Callable[[], Value], url: str = "") -> Value:
    """Return call(), tried again with growing pauses where it fails for a reason that may pass.

    Args:
        url: named in a line after the first time, where somebody waits for just this.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return call()
        except (*_FINAL, MemoryError, ImportError):
            raise
        except Exception as error:
            if attempt == _ATTEMPTS - 1 or type(error).__name__ in _NO_CREDENTIALS:
                raise
            if url and not attempt:
                _log.info(f"{printable(url)}: {printable(words_of(error))}; asked again, {_ATTEMPTS} times in all")
            time.sleep(_FIRST_PAUSE * 2**attempt * random.uniform(0.5, 1.5))
    raise AssertionError("unreachable")


def _is_no_path(name: str) -> bool:
    parts = name.split("/")
    return ".." in parts or "" in parts


def stamp_of(info: Mapping[str, Any]) -> FileStamp:
    """Return size, and in place of a time what tells one version from another: stores round times differently."""
    version = next((info[key] for key in _VERSIONS if info.get(key)), "")
    return FileStamp(int(info.get("size") or 0), zlib.crc32(str(version).strip('"').encode()))
