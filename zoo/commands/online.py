"""Do the catalogue's addresses still answer: one small request each, nothing downloaded. No torch."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from zoo.catalog import Entry, Source
from zoo.remote.fetch import FetchError, open_client
from zoo.remote.hub_file import file_address
from zoo.remote.web_page import is_web_page, read_page

TIMEOUT = 20.0
AT_ONCE = 4
"""Requests under way together: the hosts are other people's."""


@dataclass(frozen=True)
class Answer:
    """What an address said."""

    entry: Entry
    source: Source
    good: bool
    text: str
    reached: bool = True
    """False where nobody answered: the address may be right."""

    @property
    def verdict(self) -> str:
        """In a word: ok, WRONG where a host gave another answer than the file, unreachable where none gave any."""
        return "ok" if self.good else "WRONG" if self.reached else "unreachable"


def check_addresses(entries: Iterable[Entry], timeout: float = TIMEOUT) -> Iterator[Answer]:
    """Yield what each source's address says, in the order of the catalogue; each address is asked once."""
    sources = [(entry, source) for entry in entries for source in entry.sources]
    with open_client(timeout) as client, ThreadPoolExecutor(AT_ONCE) as pool:
        asked = {
            source.address: pool.submit(_ask, client, source)
            for source in {source.address: source for _, source in sources}.values()
        }
        for entry, source in sources:
            good, text, reached = asked[source.address].result()
            yield Answer(entry, source, good, text, reached)


def _ask(client: Any, source: Source) -> tuple[bool, str, bool]:
    """Return whether an address gives a file of the wanted size, or a page where a person is to look, what it said, and
    whether anybody answered at all.

    HEAD says too little: many hosts refuse it, and a page that says "quota exceeded" has status 200. So the first
    kilobyte is asked for.
    """
    import httpx2

    try:
        url = file_address(source) if source.hub else source.address
    except FetchError as error:
        return False, str(error), error.reached
    try:
        with client.stream("GET", url, headers={"Range": "bytes=0-1023"}) as answer:
            if answer.status_code not in (200, 206):
                # of a host that is out of order or too busy nothing follows for its files
                reached = answer.status_code < 500 and answer.status_code not in (408, 425, 429)
                return False, f"{answer.status_code} {answer.reason_phrase}", reached
            start = next(answer.iter_bytes(), b"")[: 1 << 16]
            if source.manual:
                return True, "a page, for a person", True
            if is_web_page(start, answer.headers.get("Content-Type", "")):
                page = read_page(start.decode("utf-8", "replace"), str(answer.url))
                return page.leads_to is not None, page.message, True
            size = _size(answer)
    except httpx2.HTTPError as error:
        return False, str(error) or type(error).__name__, not isinstance(error, httpx2.TransportError)
    if size is not None and source.size is not None and size != source.size:
        return False, f"a file of {size:,} bytes, expected {source.size:,}", True
    return True, "a file" if size is None else f"a file of {size / 1e6:.1f} MB", True


def _size(answer: Any) -> int | None:
    """Return the size of the whole file, where the host tells."""
    told = answer.headers.get("Content-Range", "").rpartition("/")[2]
    if answer.status_code == 200:
        told = answer.headers.get("Content-Length", "")
    return int(told) if told.isdigit() else None
