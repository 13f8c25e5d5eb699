"""A web page came where a file was wanted: what it says, and whether it leads on to the file. No torch."""

import html
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit

QUOTA = re.compile(
    r"quota exceeded|too many users have (viewed|downloaded)|can.t (view or )?download this file at this time", re.I
)
SIGN_IN = re.compile(r"accounts\.google\.com|sign in|log ?in to", re.I)
START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|!--|html|head|\?xml)", re.I)


@dataclass(frozen=True)
class WebPage:
    """What a page turned out to be."""

    message: str
    """Half a sentence for the user."""
    leads_to: str | None = None
    """Address of the file, where the page only asks whether one is sure (Google Drive, of large files)."""


def is_web_page(start: bytes, content_type: str) -> bool:
    """Whether an answer is a page rather than a checkpoint, by its first bytes; its type alone may be wrong."""
    return bool(START.match(start)) or (content_type.startswith("text/html") and b"<" in start[:1024])


def read_page(text: str, address: str) -> WebPage:
    """Return what a page says.

    Args:
        text: HTML, as much of it as is needed.
        address: where it came from, for the links in it.
    """
    page = _Reader()
    page.feed(text)
    words = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())
    if QUOTA.search(words):
        return WebPage("the quota of downloads of this file is used up for today: try tomorrow, or in a browser")
    for action, inputs in page.forms:
        if "confirm" in inputs or page.is_download(action):
            return WebPage("asks for a confirmation", _same_site(address, action, inputs))
    for link in page.links:
        if "confirm=" in link:
            return WebPage("asks for a confirmation", _same_site(address, link, {}))
    title = f" ({' '.join(page.title.split())[:60]!r})" if page.title.strip() else ""
    if SIGN_IN.search(words):
        return WebPage(f"a web page that wants you to sign in{title}, not a checkpoint")
    return WebPage(f"a web page{title}, not a checkpoint")


def _same_site(address: str, target: str, inputs: dict[str, str]) -> str | None:
    """Return the address that a form or link leads to, where it stays with the host or within Google's Drive."""
    parts = urlsplit(urljoin(address, html.unescape(target)))
    here = urlsplit(address)
    google = re.compile(r"(?:.+\.)?(?:google|googleusercontent)\.com")
    moved = parts.hostname != here.hostname
    if moved and not (google.fullmatch(here.hostname or "") and google.fullmatch(parts.hostname or "")):
        return None
    query = "&".join(filter(None, [parts.query, urlencode(inputs)]))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


class _Reader(HTMLParser):
    """Collects forms with their inputs, links and the title."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, dict[str, str]]] = []
        self.links: list[str] = []
        self.title = ""
        self._in_title = False

    @staticmethod
    def is_download(action: str) -> bool:
        return urlsplit(action).path.endswith("/download")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        if tag == "form":
            self.forms.append((found.get("action", ""), {}))
        elif tag == "input" and self.forms and found.get("type", "").lower() == "hidden" and "name" in found:
            self.forms[-1][1][found["name"]] = found.get("value", "")
        elif tag == "a" and "href" in found:
            self.links.append(found["href"])
        self._in_title = tag == "title"

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
