"""report.html: what a build made of its photos, on one page: the best, the worst, the scores, the rejects and why."""

import contextlib
import itertools
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import numpy as np

from celebahq_builder.best_faces import Choice
from celebahq_builder.config import BuildConfig, flag
from celebahq_builder.executors import WORKER_DIED
from celebahq_builder.manifest import Row
from celebahq_builder.photos import decode_photo
from celebahq_builder.report_page import figure, histogram, page, section, text
from celebahq_builder.report_pictures import ReadFace, ReadPhoto, face_picture, photo_picture, stage_pictures
from celebahq_builder.unusable_photo import UnusablePhoto
from celebahq_builder.whole_file import write_whole

_SHEET = 48
_STRIPS = 6
_REJECTS_A_REASON = 6
_PAIRS = 12


def report_path(output: Path) -> Path:
    """Return report.html beside the output; <output>-report.html, then -report-2.html ..., where that is not ours."""
    names = itertools.chain(
        ("report.html", f"{output.stem}-report.html"), (f"{output.stem}-report-{n}.html" for n in itertools.count(2))
    )
    return next(path for path in map(output.with_name, names) if not path.exists() or _is_report_of(output, path))


def _is_report_of(output: Path, path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begin = file.read(1000).decode("utf-8", "replace")
    return f'<meta name="celebahq-build" content="{text(output.name)}">' in begin


def write_report(
    path: Path, config: BuildConfig, rows: list[Row], choice: Choice, read_face: ReadFace, read_photo: ReadPhoto
) -> None:
    """Write the report as one self-contained file; an older one is replaced only by a whole one.

    Args:
        rows: every row of the manifest, in any order.
        read_face: gives the (R, R, 3) uint8 face of a kept row.
        read_photo: gives the bytes of a photo by its name; may raise UnusablePhoto.
    """
    rows = sorted(rows, key=lambda row: row.key)
    parts = [_header(config), _numbers(config, rows, choice)]
    if choice.kept:
        parts += [
            _contact_sheets(choice.kept, read_face),
            _scores(choice),
            _strips(config, choice, read_face, read_photo),
        ]
    parts.append(_rejects(rows, read_photo))
    if choice.duplicates:
        parts.append(_duplicates(choice, read_face))
    parts.append(_settings(config))
    html = page(config.output.name, config.output.name, "\n".join(filter(None, parts)))
    write_whole(path, html.encode())


def _header(config: BuildConfig) -> str:
    return (
        f"<header><h1>{text(config.output.name)}</h1><p>made by celebahq-build from {text(config.input)}</p></header>"
    )


def _numbers(config: BuildConfig, rows: list[Row], choice: Choice) -> str:
    num_photos = len({row.source for row in rows})
    used = len({row.source for row in choice.kept})
    numbers = [
        (f"{num_photos:,}", "photos"),
        (f"{len(choice.kept):,}", f"faces kept, from {used:,} photos"),
        (f"{config.resolution}²", "pixels a face"),
        (f"{sum(row.status == 'refused' for row in rows):,}", "photos and faces refused"),
        (f"{len(choice.duplicates):,}", "duplicates left out"),
        (f"{len(choice.beyond):,}", f"not among the best {config.keep:,}"),
    ]
    tiles = "".join(f"<div><b>{number}</b><span>{text(what)}</span></div>" for number, what in numbers)
    return f'<div class="numbers">{tiles}</div>'


def _contact_sheets(kept: list[Row], read_face: ReadFace) -> str:
    def sheet(first: int, rows: list[Row]) -> str:
        pictures = (
            figure(
                face_picture(read_face(row)), f"{i} · {row.score:.3f}", f"row {i}: {row.source}, face {row.face_index}"
            )
            for i, row in enumerate(rows, first)
        )
        return f'<div class="sheet">{"".join(pictures)}</div>'

    caption = "Row in the file and quality score."
    if len(kept) <= 2 * _SHEET:
        return section("All faces, the best first", caption, sheet(0, kept))
    return section(f"The best {_SHEET}", caption, sheet(0, kept[:_SHEET])) + section(
        f"The worst {_SHEET} that were kept", caption, sheet(len(kept) - _SHEET, kept[-_SHEET:])
    )


def _scores(choice: Choice) -> str:
    kept = [row.score for row in choice.kept]
    others = [row.score for row in choice.beyond]
    key = '<p class="about"><span class="key" style="background: var(--accent)"></span>kept'
    if others:
        key += ' &nbsp; <span class="key" style="background: var(--warn)"></span>not among the best'
    about = "How broad and how even in all directions a face's power spectrum is: blur and patterns lower it."
    return section("Quality scores", about, histogram(kept, others) + key + "</p>")


def _strips(config: BuildConfig, choice: Choice, read_face: ReadFace, read_photo: ReadPhoto) -> str:
    # Half of them where the box leaves the photo, which is where the stages differ most to the eye.
    leaves = [row for row in choice.kept if _box_leaves(row)]
    inside = [row for row in choice.kept if not _box_leaves(row)]
    chosen = _spread(leaves, max(_STRIPS // 2, _STRIPS - len(inside)))
    chosen += _spread(inside, _STRIPS - len(chosen))
    strips = []
    for row in sorted(chosen, key=choice.kept.index):
        try:
            photo = decode_photo(read_photo(row.source))
        except UnusablePhoto:  # gone since it was rendered
            continue
        pictures = stage_pictures(photo, row, config, read_face(row))
        figures = "".join(figure(address, name, name) for name, address in pictures)
        x = f"{row.width} × {row.height} px, {row.scale:.3g} px of the photo a pixel of the face, score {row.score:.3f}"
        strips.append(f'<div class="strip of-{len(pictures)}">{figures}<p>{text(row.source)} · {text(x)}</p></div>')
    about = "From photo to face, as in Fig. 8 of the paper. The thick side of the box becomes the top."
    return section("Stages", about, "".join(strips)) if strips else ""


def _rejects(rows: list[Row], read_photo: ReadPhoto) -> str:
    by_reason = defaultdict(list)
    for row in rows:
        if row.status == "refused":
            by_reason[row.reason].append(row)
    parts = []
    for reason, refused in sorted(by_reason.items(), key=lambda item: (-len(item[1]), item[0])):
        figures = "".join(_reject(row, read_photo) for row in _spread(refused, _REJECTS_A_REASON))
        parts.append(f'<h3><b>{len(refused):,}</b>{text(reason)}</h3><div class="rejects">{figures}</div>')
    if not parts:
        return ""
    about = "Photos and faces that were not used, by reason, with a few of each."
    return section("Refused", about, "".join(parts))


def _reject(row: Row, read_photo: ReadPhoto) -> str:
    picture = "no picture"
    if row.reason != WORKER_DIED:  # it would take this process along as well
        with contextlib.suppress(UnusablePhoto):
            picture = f'<img src="{photo_picture(decode_photo(read_photo(row.source)))}" alt="" loading="lazy">'
    caption = f"{row.source}: {row.detail}" if row.detail else row.source
    return f'<figure><div class="picture">{picture}</div><figcaption>{text(caption)}</figcaption></figure>'


def _duplicates(choice: Choice, read_face: ReadFace) -> str:
    kept = {row.key: i for i, row in enumerate(choice.kept)}
    figures = []
    for row, better in choice.duplicates[:_PAIRS]:
        caption = f"{row.source}: duplicate of row {kept[better.key]}, {better.source}"
        figures.append(figure(face_picture(read_face(better)), caption, caption))
    about = f"{len(choice.duplicates):,} faces equal a better one, which is shown."
    return section("Duplicates", about, f'<div class="pairs">{"".join(figures)}</div>')


def _settings(config: BuildConfig) -> str:
    lines = "".join(f"<tr><td>{flag(f.name)}</td><td>{text(getattr(config, f.name))}</td></tr>" for f in fields(config))
    return section(
        "How it was made",
        "The command, and every option.",
        f"<pre>{text(config.command())}</pre><table>{lines}</table>",
    )


def _box_leaves(row: Row) -> bool:
    quad = np.array(row.quad)
    return bool((quad < 0).any() or (quad > (row.width, row.height)).any())


def _spread(rows: list[Row], count: int) -> list[Row]:
    """Return up to `count` of them, evenly spread from first to last."""
    count = min(count, len(rows))
    return [rows[round(i * (len(rows) - 1) / max(count - 1, 1))] for i in range(count)]
