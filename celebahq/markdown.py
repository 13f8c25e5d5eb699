"""Other people's words in Markdown: they stay text, whatever Markdown or HTML is in them."""

import re
from urllib.parse import urlsplit

from celebahq.files import printable

_LONGEST = 2000
_MARKUP = re.compile(r"([\\`*_\[\]#|~!$])")
_AT_A_LINES_START = re.compile(r"^(?:[-+=>]|\d{1,9}[.)])")


def plain(value: object) -> str:
    """Return one printable line of bounded length."""
    text = printable(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def prose(value: object) -> str:
    """Return text that Markdown and HTML show as it stands, in a table, a list or a paragraph."""
    text = plain(value).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    text = _MARKUP.sub(r"\\\1", text)
    start = _AT_A_LINES_START.match(text)
    return text[: start.end() - 1] + "\\" + text[start.end() - 1 :] if start else text


def code(value: object, in_table: bool = False) -> str:
    """Return a code span that the text cannot leave."""
    text = plain(value)
    fence = _fence(text, 1)
    inner = f" {text} " if text.startswith("`") or text.endswith("`") else text
    span = f"{fence}{inner}{fence}" if text.strip() else ""
    return span.replace("|", "\\|") if in_table else span


def code_block(value: object, language: str = "bash") -> str:
    """Return a fenced block that the text cannot leave; its lines stay lines."""
    text = "\n".join(printable(line) for line in str(value)[:20_000].splitlines())
    fence = _fence(text, 3)
    return f"{fence}{language}\n{text}\n{fence}"


def is_web_address(address: object) -> bool:
    """Say whether a text is an address of the web, and nothing in it ends a link."""
    found = str(address)
    if found != plain(found) or re.search(r"[\s<>()\\`\"]", found):
        return False
    try:
        parts = urlsplit(found)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)


def link(text: str, address: object) -> str:
    """Return a link where the address is one of the web, otherwise the address as text."""
    return f"[{text}]({address})" if is_web_address(address) else prose(address)


def _fence(text: str, least: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(least, longest + 1)
