"""The catalogue of published ProGAN weights: catalog.toml read, checked and looked up. No torch."""

import difflib
import re
import tomllib
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

CATALOG = Path(__file__).with_name("catalog.toml")
NAME = re.compile(r"(?P<dataset>[a-z0-9]+)(?:-(?P<part>[a-z]+))?-(?P<resolution>\d+)(?:\.(?P<origin>\w+))?")
"""dataset-resolution[.origin], the dataset with a category where it has several: lsun-cat-256.genforce."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One place where a file lies, and what is known of the file there. Just one of url, hub and manual is given."""

    file: str
    """Name that the file takes in the cache."""
    layout: str
    """Key into Catalog.layouts: what an importer will find in it."""
    url: str | None = None
    hub: str | None = None
    """Hugging Face id; the file of this name at `revision`."""
    revision: str | None = None
    """Commit, a part of one, branch or tag."""
    manual: str | None = None
    """Page where a person finds the file."""
    inside: str | None = None
    """Where on that page, as folders and name."""
    sha256: str | None = None
    sha256_prefix: str | None = None
    git_blob_prefix: str | None = None
    """First digits of git's hash of the file, where that is all that is published."""
    size: int | None = None
    """Bytes."""
    checked: str | None = None
    """Day, as 2026-01-31, on which the address was last seen to answer; None: nobody has tried."""

    @property
    def address(self) -> str:
        """What a person opens in a browser."""
        if self.hub:
            return f"https://huggingface.co/{self.hub}"
        return self.url or self.manual or ""

    @property
    def published_hash(self) -> str:
        """What is known of the file's hash, in words."""
        if self.sha256 or self.sha256_prefix:
            return f"sha256 {self.sha256 or self.sha256_prefix}"
        if self.git_blob_prefix:
            return f"git blob {self.git_blob_prefix}"
        return "sha256, from the Hub" if self.hub else "none published"


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a family of programs writes its files; its key is the NAME of the importer that reads it, if one does."""

    title: str
    tests: str | None = None
    """File of the tests that compare imported weights with the family's own definition; None: not verified."""
    missing: str | None = None
    """Why nothing here reads it."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One published model."""

    name: str
    dataset: str
    """Name of the data, with its category: lsun-cat."""
    resolution: int
    origin: str | None
    """Who published it; None is the released network."""
    family: str
    """Table of catalog.toml with what it shares with others."""
    publisher: str
    home: str
    """Page of the program that it belongs to."""
    license: str
    """Of the weights."""
    license_note: str = ""
    """Where that license is from."""
    data_license: str
    non_commercial: bool
    """Whether the weights or their data may not be used commercially."""
    quality: str
    """What the publisher says of it."""
    citation: str
    architecture: dict[str, Any] | None
    """What is known of ProGANConfig before the file is there."""
    sources: tuple[Source, ...]
    """In the order in which they are tried."""

    @property
    def layout(self) -> str:
        """The layout of the first source."""
        return self.sources[0].layout


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """All of catalog.toml."""

    entries: dict[str, Entry]
    layouts: dict[str, Layout]

    def readable(self, entry: Entry) -> bool:
        """Whether there is an importer for a model's files."""
        return self.layouts[entry.layout].missing is None

    def near(self, name: str) -> list[str]:
        """Return a few names like one that is not there."""
        return difflib.get_close_matches(name, self.entries, n=3, cutoff=0.5)


@cache
def read_catalog(path: Path = CATALOG) -> Catalog:
    """Read and check a catalogue.

    Raises:
        ValueError: an entry has an unknown field, or points to what is not there; it names the entry.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    layouts = {key: _made(Layout, key, table) for key, table in tables["layout"].items()}
    entries = {}
    for model in tables["model"]:
        entry = _entry(model, tables, layouts)
        if entry.name in entries:
            raise ValueError(f"{path.name}: {entry.name} comes twice")
        entries[entry.name] = entry
    return Catalog(entries=entries, layouts=layouts)


def _entry(model: dict[str, Any], tables: dict[str, Any], layouts: dict[str, Layout]) -> Entry:
    name = model["name"]
    match = NAME.fullmatch(name)
    if not match:
        raise ValueError(f"{name}: got another form, expected dataset-resolution[.origin]")
    merged = {**tables["family"][model["family"]], **model}
    layout = merged.pop("layout")
    sources = tuple(_source(name, source, layout, layouts) for source in merged.pop("sources"))
    merged["citation"] = tables["citation"][merged["citation"]]
    merged.setdefault("architecture", None)
    return _made(
        Entry,
        name,
        {
            **merged,
            "dataset": match["dataset"] + (f"-{match['part']}" if match["part"] else ""),
            "resolution": int(match["resolution"]),
            "origin": match["origin"],
            "data_license": tables["dataset"][match["dataset"]],
            "sources": sources,
        },
    )


def _source(name: str, table: dict[str, Any], layout: str, layouts: dict[str, Layout]) -> Source:
    if sum(key in table for key in ("url", "hub", "manual")) != 1:
        raise ValueError(f"{name}: got the source {table}, expected one with just one of url, hub and manual")
    file = table.get("file") or unquote(urlsplit(table.get("url", "")).path.rpartition("/")[2])
    source = _made(Source, name, {"layout": layout, **table, "file": file})
    if source.layout not in layouts:
        raise ValueError(f"{name}: layout {source.layout!r} is not described")
    if layouts[source.layout].missing is None and (not file or "/" in file or file.startswith(".")):
        raise ValueError(f"{name}: {file!r} as the name of a file")
    return source


def _made(cls: type, name: str, table: dict[str, Any]) -> Any:
    unknown = sorted(set(table) - {field.name for field in fields(cls)})
    if unknown:
        raise ValueError(f"{name}: unknown field {', '.join(unknown)}")
    return cls(**table)
