"""report.html: what a build made of its photos, on one page: the best, the worst, the scores, the rejects and why."""

import itertools
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import numpy as np

from celebahq.files import write_atomic
from celebahq_builder.config import BuildConfig, flag
from celebahq_builder.report.images import ReadFace, face_image
from celebahq_builder.report.page import figure, histogram, page, section, text
from celebahq_builder.report.photos import Images
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.manifest import Row

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


def shown_photos(rows: list[Row], choice: Choice) -> tuple[list[Row], list[Row]]:
    """Return the rows whose photos the report shows: kept ones, for their stages, and refused ones."""
    refused = [row for some in _by_reason(rows).values() for row in _spread(some, _REJECTS_A_REASON)]
    return _strip_rows(choice), refused


def write_report(
    path: Path, config: BuildConfig, rows: list[Row], choice: Choice, read_face: ReadFace, images: Images
) -> None:
    """Write the report as one self-contained file; an older one is replaced only by a whole one.

    Args:
        rows: every row of the manifest, in any order.
        read_face: gives the (R, R, 3) uint8 face of a kept row.
        images: of the photos in shown_photos().
    """
    rows = sorted(rows, key=lambda row: row.key)
    parts = [_header(config), _numbers(config, rows, choice)]
    if choice.kept:
        parts += [
            _contact_sheets(choice.kept, read_face),
            _scores(choice),
            _strips(choice, images),
        ]
    parts.append(_rejects(rows, images))
    if choice.duplicates:
        parts.append(_duplicates(choice, read_face))
    parts += [_settings(config), _licenses(config)]
    html = page(config.output.name, config.output.name, "\n".join(filter(None, parts)))
    with write_atomic(path) as file:
        file.write(html.encode())


def write_fault(path: Path, config: BuildConfig, traceback: str) -> None:
    """Write a page that says why there is no report."""
    about = "The report could not be made, which is a fault in this program. The faces are not touched by it."
    lines = "\n".join(text(line) for line in traceback.splitlines())
    parts = [_header(config), section("No report", about, f"<pre>{lines}</pre>"), _settings(config)]
    html = page(config.output.name, config.output.name, "\n".join(parts))
    with write_atomic(path) as file:
        file.write(html.encode())


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
        (f"{len(choice.below_cutoff):,}", f"not among the best {config.keep:,}"),
    ]
    tiles = "".join(f"<div><b>{number}</b><span>{text(what)}</span></div>" for number, what in numbers)
    return f'<div class="numbers">{tiles}</div>'


def _contact_sheets(kept: list[Row], read_face: ReadFace) -> str:
    def sheet(first: int, rows: list[Row]) -> str:
        images = (
            figure(
                face_image(read_face(row)), f"{i} · {row.score:.3f}", f"row {i}: {row.source}, face {row.face_index}"
            )
            for i, row in enumerate(rows, first)
        )
        return f'<div class="sheet">{"".join(images)}</div>'

    caption = "Row in the file and quality score."
    if len(kept) <= 2 * _SHEET:
        return section("All faces, the best first", caption, sheet(0, kept))
    return section(f"The best {_SHEET}", caption, sheet(0, kept[:_SHEET])) + section(
        f"The worst {_SHEET} that were kept", caption, sheet(len(kept) - _SHEET, kept[-_SHEET:])
    )


def _scores(choice: Choice) -> str:
    kept, others = ([row.score for row in rows if row.score is not None] for rows in (choice.kept, choice.below_cutoff))
    key = '<p class="about"><span class="key" style="background: var(--accent)"></span>kept'
    if others:
        key += ' &nbsp; <span class="key" style="background: var(--warn)"></span>not among the best'
    about = "How broad and how even in all directions a face's power spectrum is: blur and patterns lower it."
    return section("Quality scores", about, histogram(kept, others) + key + "</p>")


def _strip_rows(choice: Choice) -> list[Row]:
    # Half of them where the box leaves the photo, which is where the stages differ most to the eye.
    leaves = [row for row in choice.kept if _box_leaves(row)]
    inside = [row for row in choice.kept if not _box_leaves(row)]
    chosen = _spread(leaves, max(_STRIPS // 2, _STRIPS - len(inside)))
    chosen += _spread(inside, _STRIPS - len(chosen))
    return sorted(chosen, key=choice.kept.index)


def _strips(choice: Choice, images: Images) -> str:
    strips = []
    for row in _strip_rows(choice):
        stages = images.get(row.key)
        if not stages:
            continue
        figures = "".join(figure(address, name, name) for name, address in stages)
        x = f"{row.width} × {row.height} px, {row.scale:.3g} px of the photo a pixel of the face, score {row.score:.3f}"
        if row.padding:
            x += f", {row.padding:.0%} of the crop and {row.invented or 0:.0%} of the face lie beyond the photo"
        strips.append(f'<div class="strip of-{len(stages)}">{figures}<p>{text(row.source)} · {text(x)}</p></div>')
    about = "From photo to face, as in Fig. 8 of the paper. The thick side of the box becomes the top."
    return section("Stages", about, "".join(strips)) if strips else ""


def _by_reason(rows: list[Row]) -> dict[str, list[Row]]:
    """Refused rows by their reason, the most frequent reason first."""
    found = defaultdict(list)
    for row in rows:
        if row.status == "refused":
            found[row.reason].append(row)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _rejects(rows: list[Row], images: Images) -> str:
    parts = []
    for reason, refused in _by_reason(rows).items():
        figures = "".join(_reject(row, images) for row in _spread(refused, _REJECTS_A_REASON))
        parts.append(f'<h3><b>{len(refused):,}</b>{text(reason)}</h3><div class="rejects">{figures}</div>')
    if not parts:
        return ""
    about = "Photos and faces that were not used, by reason, with a few of each."
    return section("Refused", about, "".join(parts))


def _reject(row: Row, images: Images) -> str:
    image = "no image"
    for _, address in images.get(row.key, []):
        image = f'<img src="{address}" alt="" loading="lazy">'
    caption = f"{row.source}: {row.detail}" if row.detail else row.source
    return f'<figure><div class="image">{image}</div><figcaption>{text(caption)}</figcaption></figure>'


def _duplicates(choice: Choice, read_face: ReadFace) -> str:
    kept = {row.key: i for i, row in enumerate(choice.kept)}
    figures = []
    for row, shown in choice.duplicates[:_PAIRS]:
        caption = f"{row.source}: duplicate of row {kept[shown.key]}, {shown.source}"
        figures.append(figure(face_image(read_face(shown)), caption, caption))
    about = f"{len(choice.duplicates):,} faces are duplicates of one with a higher score, which is shown."
    return section("Duplicates", about, f'<div class="pairs">{"".join(figures)}</div>')


def _settings(config: BuildConfig) -> str:
    lines = "".join(f"<tr><td>{flag(f.name)}</td><td>{text(getattr(config, f.name))}</td></tr>" for f in fields(config))
    return section(
        "How it was made",
        "The command, and every option.",
        f"<pre>{text(config.command())}</pre><table>{lines}</table>",
    )


def _licenses(config: BuildConfig) -> str:
    """Whose terms this dataset falls under beside those of its photographs, as `config` says what was used."""
    terms = []
    if config.landmarks is None:
        terms.append(
            "The landmarks were found by dlib's 68-point model. It was trained on iBUG 300-W, whose license excludes "
            "commercial use; ask its publishers (Imperial College London) before any. A build with --landmarks does "
            "without the model."
        )
    if config.restore != "off":
        terms.append(
            "The faces were restored by networks under CC BY-NC 4.0, part of whose training data (BSDS500) is for "
            "non-commercial research only. A build with --restore off does without them."
        )
    terms.append("The photographs keep the licenses that they have, and whoever they show keeps their rights.")
    return section("Licenses", "What may be done with these faces.", "".join(f"<p>{text(line)}</p>" for line in terms))


def _box_leaves(row: Row) -> bool:
    quad = np.array(row.quad)
    return bool((quad < 0).any() or (quad > (row.width, row.height)).any())


def _spread(rows: list[Row], count: int) -> list[Row]:
    """Return up to `count` of them, evenly spread from first to last."""
    count = min(count, len(rows))
    return [rows[round(i * (len(rows) - 1) / max(count - 1, 1))] for i in range(count)]
