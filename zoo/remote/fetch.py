"""One address -> one file: resumed where it broke off, patient with busy servers, never a web page. No torch."""

import email.utils
import itertools
import json
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from celebahq.errors import CelebAHQError
from zoo.folder import ModelError
from zoo.remote.web_page import is_web_page, read_page

TIMEOUT = 30.0
"""Seconds without a byte after which a transfer counts as stalled."""
LONGEST_WAIT = 120.0
"""Seconds that a server may ask us to wait before the next attempt; beyond it, the next address is tried."""
FRUITLESS = 4
"""Attempts in a row that bring nothing new before an address is given up."""
MOST_BYTES = 4 << 30
"""Largest file that is taken: a checkpoint for 1024x1024 with all its optimizers is a quarter of it."""
BACKOFF = 0.5
"""Seconds before the next attempt, doubled with every fruitless one."""
BUSY = (408, 425, 429, 500, 502, 503, 504)


class FetchError(CelebAHQError):
    """This address does not give the file; half a sentence that says why. Another may.

    Args:
        reached: False where nobody answered, so that the address may be right.
    """

    def __init__(self, message: str, reached: bool = True) -> None:
        super().__init__(message)
        self.reached = reached


class _BrokenOffError(CelebAHQError):
    """An attempt that broke off; what came is kept. wait: seconds that the server asks for, if it does."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def open_client(timeout: float = TIMEOUT) -> Any:
    """Return an HTTP client that follows redirects and honours HTTP_PROXY, HTTPS_PROXY and NO_PROXY.

    Raises:
        ModelError: a proxy of a kind that it does not know.
    """
    import httpx2

    headers = {"User-Agent": "celebahq-zoo", "Accept-Encoding": "identity"}  # offsets are those of the file itself
    try:
        return httpx2.Client(follow_redirects=True, max_redirects=10, timeout=timeout, headers=headers)
    except (ImportError, ValueError) as error:  # SOCKS, which takes a package more, or no address
        reason = str(error).partition(". ")[0]
        raise ModelError(f"HTTPS_PROXY or ALL_PROXY: {reason}; expected http://HOST:PORT") from None


Advance = Callable[[int, int | None], None]


def fetch(
    client: Any, url: str, partial: Path, advance: Advance, *, size: int | None = None, verified: bool = False
) -> None:
    """Download an address into a file, continuing what is there already.

    Args:
        client: as open_client() gives it.
        url: http or https.
        partial: grows; kept when it breaks off, with a .json beside it that says which version of which address it is.
        advance: called with the bytes that are there and the bytes that there will be, None where nobody says.
        size: bytes that are expected, where known.
        verified: the caller knows a hash of the whole. Without one, a part is continued only where the server vouches
            for having the same file still.

    Raises:
        FetchError: this address does not give the file.
        OSError: the disk does not take it.
    """
    origin, furthest, fruitless, pages = url, 0, 0, 0
    note = partial.with_name(partial.name + ".json")

    def begun(answer: Any) -> None:
        _keep(note, origin, answer)

    while True:
        headers = _continuing(partial, note, origin, verified or size is not None)
        try:
            leads_to = _attempt(client, url, headers, partial, size, advance, begun)
        except _BrokenOffError as error:
            now = partial.stat().st_size if partial.exists() else 0
            fruitless = 0 if now > furthest else fruitless + 1
            furthest = max(furthest, now)
            wait = error.wait if error.wait is not None else BACKOFF * 2**fruitless
            if fruitless >= FRUITLESS:
                raise FetchError(f"{error}, {fruitless} times in a row") from None
            if wait > LONGEST_WAIT:
                raise FetchError(f"{error}, and it asks to be left alone for {wait / 60:.0f} minutes") from None
            time.sleep(wait)
            continue
        if leads_to is None:
            return
        url, pages = leads_to, pages + 1
        if pages > 2:
            raise FetchError("a web page leads to another web page, none to a checkpoint")


def _attempt(
    client: Any,
    url: str,
    headers: dict[str, str],
    partial: Path,
    size: int | None,
    advance: Advance,
    begun: Callable[[Any], None],
) -> str | None:
    """Try once. Returns the address to go on with, or None: the file is whole."""
    import httpx2

    have = partial.stat().st_size if headers else 0
    if size is not None and have == size:
        return None
    try:
        with client.stream("GET", url, headers=headers) as answer:
            _check_way(answer)
            if answer.status_code in BUSY:
                raise _BrokenOffError(_status(answer), _retry_after(answer.headers.get("Retry-After")))
            if answer.status_code == 416 and answer.headers.get("Content-Range") == f"bytes */{have}":
                return None  # it was whole: the process died before it got its name
            if answer.status_code == 416 or (answer.status_code == 206 and _range_start(answer) != have):
                partial.unlink()
                raise _BrokenOffError("cannot be continued where it broke off", 0.0)
            if answer.status_code not in (200, 206):
                raise FetchError(_status(answer))
            if answer.status_code == 200:
                have = 0
            blocks = answer.iter_bytes()  # as they come: what has come is kept when it breaks off
            start = next(blocks, b"")
            if have == 0 and is_web_page(start, answer.headers.get("Content-Type", "")):
                text = start + b"".join(block for block, _ in zip(blocks, range(64), strict=False))
                page = read_page(text.decode("utf-8", "replace"), str(answer.url))
                if page.leads_to:
                    return page.leads_to
                raise FetchError(page.message)
            length = answer.headers.get("Content-Length")
            plain = length is not None and length.isdigit() and "Content-Encoding" not in answer.headers
            total = have + int(length) if plain else None
            if total is not None and size is not None and total != size:
                raise FetchError(f"a file of {total:,} bytes, expected {size:,}")
            _check_room(partial, (total or size or 0) - have)
            begun(answer)
            with partial.open("ab" if have else "wb", buffering=0) as file:  # what has come survives a kill
                while start:
                    if have + len(start) > (size or MOST_BYTES):
                        partial.unlink()
                        raise FetchError(f"more than {size or MOST_BYTES:,} bytes, no checkpoint is that large")
                    file.write(start)
                    have += len(start)
                    advance(have, total or size)
                    start = next(blocks, b"")
    except httpx2.TooManyRedirects:
        raise FetchError("leads around in a circle of redirects") from None
    except (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.DecodingError) as error:
        raise FetchError(str(error)) from None
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        if have:  # it was there a moment ago
            raise _BrokenOffError(f"no connection any more ({error})") from None
        raise FetchError(f"no connection ({error})") from None
    except httpx2.TimeoutException:
        raise _BrokenOffError(f"no byte for {client.timeout.read:g} seconds") from None
    except httpx2.TransportError as error:
        raise _BrokenOffError(f"the connection broke ({error})") from None
    if size is not None and have < size:  # a server that says no length ends as if all were well
        raise _BrokenOffError(f"ended after {have:,} of {size:,} bytes")
    return None


def _continuing(partial: Path, note: Path, origin: str, verifiable: bool) -> dict[str, str]:
    """Return the headers that ask for the rest of what is there, or none: begin anew."""
    try:
        seen = json.loads(note.read_text(encoding="utf-8"))
        have = partial.stat().st_size
    except (OSError, ValueError):
        return {}
    if not have or not isinstance(seen, dict) or seen.get("address") != origin:
        return {}
    validator = seen.get("etag") or seen.get("last_modified")
    if not validator:
        return {"Range": f"bytes={have}-"} if verifiable else {}
    return {"Range": f"bytes={have}-", "If-Range": validator}


def _keep(note: Path, origin: str, answer: Any) -> None:
    """Write down which version of the file is being downloaded."""
    etag = answer.headers.get("ETag", "")
    strong = etag if etag and not etag.startswith("W/") else None  # a weak one does not promise the same bytes
    seen = {"address": origin, "etag": strong, "last_modified": answer.headers.get("Last-Modified")}
    note.write_text(json.dumps(seen) + "\n", encoding="utf-8")


def _check_way(answer: Any) -> None:
    """Raise FetchError where redirects lead from an encrypted to an open connection."""
    way = [str(step.url) for step in answer.history] + [str(answer.url)]
    if any(a.startswith("https:") and b.startswith("http:") for a, b in itertools.pairwise(way)):
        raise FetchError("is redirected from https to http")


def _check_room(partial: Path, more: int) -> None:
    free = shutil.disk_usage(partial.parent).free
    if more > free:
        raise OSError(28, f"{more / 1e6:.0f} MB to come, {free / 1e6:.0f} MB free", str(partial))


def _range_start(answer: Any) -> int | None:
    start = answer.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(start) if start.isdigit() else None


def _status(answer: Any) -> str:
    return f"{answer.status_code} {answer.reason_phrase}"


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a Retry-After header means, given as such or as a date; None where there is none."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        return max(0.0, (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
