"""runs/<name>/index.html: what a run has come to so far, on one page that asks nothing of the network."""

import base64
import io
import json
import os
import platform
import time
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from celebahq.files import write_atomic
from train.cost import duration
from train.report.run_log import RunLog, read_run

NAME = "index.html"
MOST_GRIDS = 24
"""Frames of the film strip: the page stays a few MB however long the run."""
THUMBNAIL = (640, 360)
MOST_OF_THE_TIME = 0.02
"""Share of training's time that the page may take; the last one of a run is always written."""

STYLE = """
:root { color-scheme: light dark; --ink: #1b1d20; --soft: #5f6670; --paper: #ffffff; --line: #d9dde2; --link: #0b62b0 }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e8eb; --soft: #9aa3ad; --paper: #15171a; --line: #33383e; --link: #7fb8f0 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 76rem; padding: 1rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif }
h1 { font-size: 1.4rem; margin: 0; overflow-wrap: anywhere } h2 { font-size: 1.05rem; margin: 2rem 0 .5rem }
p { margin: .25rem 0; color: var(--soft) } a { color: var(--link) }
.strip { display: flex; flex-direction: row-reverse; gap: .75rem; overflow-x: auto; padding-bottom: .5rem;
  scroll-snap-type: x proximity }
figure { margin: 0; flex: 0 0 auto; width: min(26rem, 82vw); scroll-snap-align: end }
figure:first-child { margin-right: auto }
figure img { display: block; width: 100%; height: auto; border-radius: 4px }
figcaption { color: var(--soft); font-size: .85rem }
.curves { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)) }
.curves svg { width: 100%; height: auto; color: var(--soft) }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .9rem }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td { overflow-wrap: anywhere }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; overflow-wrap: normal }
"""


def hardware(device: str, precision: str) -> dict[str, str]:
    """Return what a run is trained on, as the page shows it."""
    import torch

    cuda = f", CUDA {torch.version.cuda}" if torch.version.cuda else ""
    return {
        "device": device,
        "precision": precision,
        "processor": f"{processor()}, {os.cpu_count()} threads",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "PyTorch": f"{torch.__version__}{cuda}",
    }


def processor() -> str:
    """Return the name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return platform.processor() or platform.machine()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


class RunPage:
    """Writes the page of a run while it trains, now and then, and at its end; thumbnails are made once.

    Args:
        folder: the run folder.
        hardware: {what: which} of the machine, as it stands on the page.
    """

    def __init__(self, folder: Path, hardware: Mapping[str, str]) -> None:
        self._folder, self._hardware = folder, dict(hardware)
        self._thumbnails: dict[str, str] = {}
        self._took, self._written = 0.0, float("-inf")

    def update(self, final: bool = False) -> bool:
        """Write the page unless the last one is too fresh for its price; return whether it was written.

        Raises:
            OSError: it cannot be written.
        """
        start = time.monotonic()
        if not final and start - self._written < self._took / MOST_OF_THE_TIME:
            return False
        if not (self._folder / "log.jsonl").exists():  # stopped before the first tick
            return False
        page = page_of(read_run(self._folder), self._hardware, self._thumbnails)
        with write_atomic(self._folder / NAME) as file:
            file.write(page.encode())
        self._written = time.monotonic()
        self._took = self._written - start
        return True


def page_of(run: RunLog, hardware: Mapping[str, str], thumbnails: dict[str, str]) -> str:
    """Return the page of a run as HTML; thumbnails: {name: data URI} of grids, added to."""
    from train.report.curves import panel_svg, panels  # matplotlib takes a second

    last, total = run.rows[-1], run.config.get("total_kimg")
    size = f"{last['resolution']}x{last['resolution']}"
    fading = f", fading in at {last['alpha']:.2f}" if last.get("alpha", 1) < 1 else ""
    head = (
        f"{last['kimg']:g}{f' of {total:g}' if isinstance(total, int | float) else ''} kimg, {size}{fading}, "
        f"{duration(last['seconds'])} of training"
    )
    curves = "\n".join(panel_svg(panel, run) for panel in panels([run]))
    parts = [
        f"<h1>{escape(run.folder.resolve().name)}</h1><p>{escape(head)}</p>",
        _section("Generated, by thousand images shown", _strip(run, thumbnails)),
        _section("Curves", f'<div class="curves">{curves}</div><p>Dashed: a new resolution begins. {_dotted(run)}</p>'),
        _section("Time per resolution", _times(run)),
        _section("Hardware", _table(hardware.items())),
        _section("Changes of options", _history(run)) if run.history else "",
        _section("Options", _table((name, _text(value)) for name, value in run.config.items())),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{escape(run.folder.resolve().name)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(part for part in parts if part)
        + "\n</body></html>\n"
    )


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of the indices below count, evenly spread, the first and the last among them."""
    return list(range(count)) if count <= most else [round(i * (count - 1) / (most - 1)) for i in range(most)]


def _strip(run: RunLog, thumbnails: dict[str, str]) -> str:
    sizes = {row["kimg"]: row for row in run.rows}
    shown = [run.grids[i] for i in spread(len(run.grids), MOST_GRIDS)]
    images = [(f"{kimg:g} kimg{_size(sizes.get(kimg))}", path) for kimg, path in shown]
    if (run.folder / "reals.png").exists():
        images.insert(0, ("reals", run.folder / "reals.png"))
    figures = []
    for caption, path in images:
        if path.name not in thumbnails:
            thumbnails[path.name] = _thumbnail(path)
        figures.append(
            f'<figure><a href="{escape(path.name)}"><img src="{thumbnails[path.name]}" alt="{escape(caption)}">'
            f"</a><figcaption>{escape(caption)}</figcaption></figure>"
        )
    for name in thumbnails.keys() - {path.name for _, path in images}:
        del thumbnails[name]
    left_out = f"<p>{len(shown)} of {len(run.grids)} grids, evenly spread.</p>" if len(run.grids) > len(shown) else ""
    if not figures:
        return "<p>No grid yet.</p>"
    # The newest first, shown from right to left: the strip begins scrolled to what was learnt last.
    return f'<div class="strip" tabindex="0">{"".join(reversed(figures))}</div>{left_out}'


def _thumbnail(path: Path) -> str:
    with Image.open(path) as image:
        small = image.convert("RGB")
    small.thumbnail(THUMBNAIL, Image.Resampling.BOX)
    file = io.BytesIO()
    small.save(file, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _times(run: RunLog) -> str:
    rows = [
        (f"{resolution}x{resolution}", f"{kimg:g}", duration(seconds), f"{seconds / kimg if kimg else 0:.3g}")
        for resolution, (kimg, seconds) in run.time_per_resolution().items()
    ]
    head = ("resolution", "kimg", "time", "seconds a kimg")
    cells = "".join(f"<tr>{''.join(f'<td class=number>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in head)}</tr>{cells}</table>"


def _history(run: RunLog) -> str:
    lines = []
    for entry in run.history:
        changed = entry.get("changed", {}) if isinstance(entry, dict) else {}
        for name, values in changed.items() if isinstance(changed, dict) else ():
            before, now = values if isinstance(values, list) and len(values) == 2 else ("", values)
            lines.append((f"at {entry.get('kimg', 0):g} kimg", f"{name}: {_text(before)} → {_text(now)}"))
    return _table(lines)


def _dotted(run: RunLog) -> str:
    return "Dotted: the same metric between reals." if run.metrics else ""


def _section(title: str, content: str) -> str:
    return f'<section><h2>{escape(title)}</h2><div class="wide">{content}</div></section>'


def _table(items: Any) -> str:
    rows = "".join(f"<tr><th>{escape(str(name))}</th><td>{escape(str(value))}</td></tr>" for name, value in items)
    return f"<table>{rows}</table>"


def _size(row: dict[str, Any] | None) -> str:
    return f", {row['resolution']}x{row['resolution']}" if row else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(_as_written(value))


def _as_written(value: Any) -> Any:
    """Return a value with its floats as people write them: 0.1 + 0.2 is 0.3."""
    if isinstance(value, list | tuple):
        return [_as_written(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_written(item) for key, item in value.items()}
    return float(f"{value:.12g}") if isinstance(value, float) else value
