"""report.html as text: Jinja2 fills the template with rows, words and our own script, which alone may run in it."""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from celebahq.files import printable
from celebahq_builder.report.page_data import json_for_html

_FILES = Path(__file__).with_name("page_files")
# In this order they are one script: each file knows those before it.
_SCRIPTS = (
    "data.js",
    "decisions.js",
    "filters.js",
    "images.js",
    "layout.js",
    "grid.js",
    "histograms.js",
    "sidebar.js",
    "details.js",
    "app.js",
)

# Between parts of a path or a name, and not within a number; page_files/data.js has the same.
_BREAKS = re.compile(r"(?<=\S[/_])(?=[^\s/._])|(?<=\.)(?=[^\s/._\d])|(?<=\D\.)(?=\d)")


@dataclass(frozen=True, kw_only=True)
class Section:
    """What stands on a page without a script."""

    title: str
    about: str
    stages: list[dict[str, Any]] = field(default_factory=list)
    """Each: `id` of a row, `images` (name, data: address), `caption`."""
    reasons: list[tuple[str, str, list[str]]] = field(default_factory=list)
    """(count, reason, examples)"""
    lines: list[str] = field(default_factory=list)
    """As they are, as of a terminal."""
    table: list[tuple[str, object]] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Page:
    """What stands on a page besides its script."""

    title: str
    about: str
    """A line under the title."""
    numbers: list[tuple[str, str]] = field(default_factory=list)
    """(number, what of)"""
    data: dict[str, Any] | None = None
    """For the script: rows, images, the command to run next. None: a page without faces to act on."""
    sections: list[Section] = field(default_factory=list)
    served: bool = False
    """By `celebahq-data curate`: images and decisions go to and from its server."""


def render(page: Page) -> str:
    """Return the whole page. Every name in it is escaped, and nothing runs but our script."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["printable"] = lambda value: Markup(text(value))  # escaped by text()
    environment.filters["breakable"] = lambda value: Markup(breakable(value))
    environment.filters["command"] = lambda value: Markup(_command(value))
    script, style = script_text(), _style()
    return environment.get_template("page.html").render(
        page=page,
        policy=policy(script, style, page.served),
        style=Markup(style),  # our own files
        script=Markup(script),
        data=None if page.data is None else Markup(json_for_html(page.data)),
    )


def page_policy(served: bool) -> str:
    """Return the policy of a page as render() makes it."""
    return policy(script_text(), _style(), served)


def script_text() -> str:
    """Return the page's one script."""
    parts = "\n".join((_FILES / name).read_text("utf-8") for name in _SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def policy(script: str, style: str, served: bool) -> str:
    """Return the Content-Security-Policy: this script, this style, images of this machine, no other address."""
    images = "'self' data:" if served else "'self' data: file:"
    parts = [
        "default-src 'none'",
        f"script-src {_hash(script)}",
        f"style-src {_hash(style)}",
        f"img-src {images}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join([*parts, "connect-src 'self'"] if served else parts)


def text(value: object) -> str:
    """Return anything as text that is safe between tags and in attributes, with names of any bytes made printable."""
    return escape(printable(value), quote=True)


def breakable(value: object) -> str:
    """Return text(value) with the places where a long name breaks first: after slashes, underscores and dots."""
    return _BREAKS.sub("<wbr>", text(value))


def _command(line: str) -> str:
    """Return a line of a terminal whose options stay in one piece: browsers break a line after any hyphen."""
    words = (f'<span class="option">{text(w)}</span>' if w.startswith("--") else breakable(w) for w in line.split(" "))
    return " ".join(words)


def _style() -> str:
    return (_FILES / "page.css").read_text("utf-8")


def _hash(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"
