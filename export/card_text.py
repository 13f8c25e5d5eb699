"""What other people's files say, as text of a model card: it stays text, whatever Markdown or HTML is in it."""

import math
import re
from typing import Any
from urllib.parse import urlsplit

from celebahq.files import printable

_LONGEST = 2000
_MARKUP = re.compile(r"([\\`*_\[\]#|~!$])")
_AT_A_LINES_START = re.compile(r"^(?:[-+=>]|\d{1,9}[.)])")
_TEXT = {
    "training": ("preset", "device", "precision", "command"),
    "dataset": ("file", "name", "sha256_4x4"),
    "imported": ("file", "layout", "file_sha256"),
}
_NUMBERS = {"training": ("kimg", "seconds", "seed"), "dataset": ("faces",)}


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


def known_fields(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config.json in which what the card uses is of the kind that we write; what is not is left out."""
    kept = dict(config)
    for group in ("training", "imported"):
        kept[group] = _known_group(group, config.get(group))
    data = config.get("dataset")
    kept["dataset"] = {"name": data} if isinstance(data, str) else _known_group("dataset", data)
    notes = config["imported"].get("notes") if isinstance(config.get("imported"), dict) else None
    if isinstance(notes, list) and kept["imported"]:
        kept["imported"]["notes"] = [note for note in notes if isinstance(note, str)]
    for name in ("source", "citation"):
        if not isinstance(config.get(name), str):
            kept.pop(name, None)
    return {name: value for name, value in kept.items() if value != {} or name == "architecture"}


def known_figures(figures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return figures with numbers for values, as many as are numbers; one without any, or without a count, is none."""
    kept = []
    for entry in figures:
        entry = {
            name: {str(key): number for key, number in value.items() if _is_number(number)}
            if name in ("values", "noise_floor", "reals") and isinstance(value, dict)
            else value
            for name, value in entry.items()
        }
        for name in ("noise_floor", "reals"):
            if not isinstance(entry.get(name, {}), dict):
                del entry[name]
        for name in ("num_reals", "pairs"):
            if not _is_number(entry.get(name, 0)):
                del entry[name]
        if not isinstance(entry.get("command", ""), str):
            del entry["command"]
        data = entry.get("dataset")
        if "dataset" in entry:
            entry["dataset"] = _known_group("dataset", data if isinstance(data, dict) else {"file": data})
        entry["metric"] = plain(entry["metric"])
        if entry["values"] and _is_number(entry.get("num_images")):
            kept.append(entry)
    return kept


def _known_group(group: str, values: object) -> dict[str, Any]:
    if not isinstance(values, dict):
        return {}
    texts = {name: values[name] for name in _TEXT[group] if isinstance(values.get(name), str)}
    texts = {name: text if name == "command" else plain(text) for name, text in texts.items()}
    numbers = {name: values[name] for name in _NUMBERS.get(group, ()) if _is_number(values.get(name))}
    mirror = {"mirror": values["mirror"]} if isinstance(values.get("mirror"), bool) else {}
    return {**texts, **numbers, **mirror}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18 and math.isfinite(value)


def _fence(text: str, least: int) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(least, longest + 1)
