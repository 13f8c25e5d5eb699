"""report.html: what a build made of its photos, as a page to look through, to sort, and to choose rejects in."""

import hashlib
import itertools
import os
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from celebahq.files import write_atomic
from celebahq_builder.config import BuildConfig, BuildError, flag
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.hdf5_format.row_tables import csv_path
from celebahq_builder.hdf5_format.rows import row_id
from celebahq_builder.report.decisions import exclude_path, include_path
from celebahq_builder.report.file_page import dataset_rows, file_page, thumbnails_of
from celebahq_builder.report.licenses import licenses
from celebahq_builder.report.page import Page, Section, render, text
from celebahq_builder.report.page_data import PageRow, fingerprint, page_columns
from celebahq_builder.report.photos import Images
from celebahq_builder.report.shown_rows import shown_rows
from celebahq_builder.report.sprites import MOST_IN_PAGE, Thumbnails, in_page, remove_other_sheets, write_sheets
from celebahq_builder.sources.input_photos import origin
from celebahq_builder.sources.remote import url_of
from celebahq_builder.state.best_faces import Choice, refused_for_marks
from celebahq_builder.state.file_rows import FileRows
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.name_lists import NameLists, read_name_lists
from celebahq_builder.state.row_counts import RowCounts
from celebahq_builder.state.row_table import keys_of
from celebahq_builder.stores.upload_record import is_sent_away

_STRIPS = 6
_REJECTS_A_REASON = 6


def report_path(output: Path) -> Path:
    """Return report.html beside the output; <output>-report.html, then -report-2.html ..., where that is not ours.

    Of what is sent to a store, where other sets may lie beside it, it has the longer name at once.
    """
    short = () if is_sent_away(output) else ("report.html",)
    names = itertools.chain(
        (*short, f"{output.stem}-report.html"), (f"{output.stem}-report-{n}.html" for n in itertools.count(2))
    )
    return next(path for path in map(output.with_name, names) if not path.exists() or _is_report_of(output, path))


def _is_report_of(output: Path, path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        begin = file.read(1000).decode("utf-8", "replace")
    return f'<meta name="celebahq-build" content="{text(output.name)}">' in begin


def shown_photos(found: FileRows, choice: Choice) -> tuple[list[tuple[int, Row]], list[Row]]:
    """Return the rows whose photos the report holds: kept ones, with their places, and refused ones."""
    refused = [row for some in _refused(found).values() for row in some]
    return [(i, choice.kept[i]) for i in _strip_places(found.counts.leaves)], refused


def write_report(
    path: Path, config: BuildConfig, found: FileRows, choice: Choice, thumbnails: Thumbnails | None, images: Images
) -> None:
    """Write the report; an older one is replaced only by a whole one.

    Up to 500 faces it is one self-contained file; the thumbnails of more lie in `report-files/` beside it.

    Args:
        found: every row. Where these are more than a page holds, it says how many it shows.
        thumbnails: of the kept rows that it shows; None without any.
        images: of the photos in shown_photos().
    """
    shown = shown_rows(found.rows, len(choice.kept))
    mark = fingerprint(shown)
    sheets = [] if thumbnails is None else _sheets(thumbnails, path, mark)
    refused = _refused(found)
    first = found.table.key(int(found.order[0]))[0] if len(found.order) else ""
    photos = {row.key for some in refused.values() for row in some}
    data = {
        "name": config.output.name,
        "columns": page_columns(shown),
        "rows": len(shown),
        "sheets": thumbnails.describe(sheets) if thumbnails is not None else None,
        "images": {row_id(*key): image[0][1] for key, image in images.items() if key in photos and image},
        "photos": _photos_address(config.input, path, first),
    } | _to_decide(config, (source for source, _ in keys_of(found.table)))
    detector = config.detector if config.landmarks is None else None
    sections = [
        _left_out(config, found, shown),
        _stages(found, choice, images),
        _reasons(found, refused),
        _settings(config),
        licenses(detector, config.landmarks_from, config.restore),
    ]
    page = Page(
        title=config.output.name,
        about=f"made by celebahq-build from {url_of(config.input) or config.input}",
        numbers=_numbers(config, found.counts, choice),
        data=data,
        sections=[section for section in sections if section],
    )
    _write(path, page)
    remove_other_sheets(path, mark if sheets and thumbnails and thumbnails.num_faces > MOST_IN_PAGE else "none")


def write_missing_report(path: Path, config: BuildConfig, dataset: Dataset) -> None:
    """Write the page about a file that is finished already, from what the file holds."""
    rows, thumbnails = dataset_rows(dataset), thumbnails_of(dataset)
    sheets = _sheets(thumbnails, path, fingerprint(rows))
    photos = _photos_address(config.input, path, rows[0]["source"])
    lists = _to_decide(config, (row["source"] for row in rows))
    _write(path, file_page(dataset, rows, sheets, photos=photos, **lists))


def write_fault(path: Path, config: BuildConfig, traceback: str) -> None:
    """Write a page that says why there is no report."""
    about = "The report could not be made, which is a fault in this program. The faces are not touched by it."
    lines = traceback.splitlines()
    sections = [Section(title="No report", about=about, lines=lines), _settings(config)]
    about = f"made by celebahq-build from {url_of(config.input) or config.input}"
    _write(path, Page(title=config.output.name, about=about, sections=sections))


def _sheets(thumbnails: Thumbnails, page: Path, mark: str) -> list[str]:
    """Return the addresses of the small faces: the images themselves while they are few."""
    few = thumbnails.num_faces <= MOST_IN_PAGE
    return in_page(thumbnails) if few else list(write_sheets(thumbnails, page, mark))


def _write(path: Path, page: Page) -> None:
    html = render(page)
    with write_atomic(path) as file:
        file.write(html.encode())


def _numbers(config: BuildConfig, counts: RowCounts, choice: Choice) -> list[tuple[str, str]]:
    return [
        (f"{counts.photos:,}", "photos"),
        (f"{len(choice.kept):,}", f"faces kept, from {counts.used:,} photos"),
        (f"{config.resolution}²", "pixels a face"),
        (f"{sum(map(len, counts.refused.values())):,}", "photos and faces refused"),
        (f"{len(choice.duplicates):,}", "duplicates left out"),
        (f"{len(choice.below_cutoff):,}", f"not among the best {config.keep:,}"),
    ]


def _to_decide(config: BuildConfig, sources: Iterable[str]) -> dict[str, object]:
    """Return what the page's script needs to know for its lists and the command that takes them."""
    try:
        lists = read_name_lists(config.exclude, config.include, sources)
    except BuildError:  # gone since the build began
        lists = NameLists()
    return {
        "mark": _place_mark(origin(config)),
        "exclude": exclude_path(config.output).name,
        "include": include_path(config.output).name,
        "before": {"exclude": lists.exclude.entries(), "include": lists.include.entries()},
        "command": replace(config, exclude=None, include=None).command(),
        "drop": None,
    }


def _place_mark(place: str) -> str:
    """Return under what a browser keeps decisions: over rebuilds from the same photos, and not from others."""
    return hashlib.sha256(os.fsencode(place)).hexdigest()[:16]


def _photos_address(source: Path, page: Path, name: str) -> str | None:
    """Return where the photos lie, relative to the page; None where they lie in an archive, or elsewhere each."""
    folder = source if source.is_dir() else source.parent
    try:
        if not (folder / name).is_file():
            return None
    except (OSError, ValueError):  # of an archive: a name that no system takes
        return None
    try:
        relative = os.path.relpath(folder.resolve(), page.parent.resolve())
    except ValueError:  # another drive of Windows
        return None
    return quote(Path(relative).as_posix().encode("utf-8", "surrogateescape")) + "/"


def _left_out(config: BuildConfig, found: FileRows, shown: Sequence[PageRow]) -> Section | None:
    if len(shown) == len(found.rows):
        return None
    faces = sum(row["row"] >= 0 for row in shown)
    about = f"This page shows the best {faces:,} faces and {len(shown) - faces:,} of the other rows, evenly spread by "
    about += f"name: a browser does not hold all {len(found.rows):,}. They are in {csv_path(config.output).name}."
    return Section(title="Not on this page", about=about)


def _strip_places(leaves: np.ndarray) -> list[int]:
    # Half of them where the box leaves the photo, which is where the stages differ most to the eye.
    outside, inside = np.flatnonzero(leaves), np.flatnonzero(~leaves)
    chosen = _spread(outside, max(_STRIPS // 2, _STRIPS - len(inside)))
    chosen += _spread(inside, _STRIPS - len(chosen))
    return sorted(map(int, chosen))


def _stages(found: FileRows, choice: Choice, images: Images) -> Section | None:
    strips = []
    for row in (choice.kept[i] for i in _strip_places(found.counts.leaves)):
        stages = images.get(row.key)
        if not stages:
            continue
        x = f"{row.width} × {row.height} px, {row.scale:.3g} px of the photo a pixel of the face, score {row.score:.3f}"
        if row.padding and row.padding >= 0.005:
            x += f", {row.padding:.0%} of the crop and {row.invented or 0:.0%} of the face lie beyond the photo"
        strips.append({"id": row_id(*row.key), "images": stages, "caption": f"{row.source} · {x}"})
    about = "From photo to face, as in Fig. 8 of the paper. The thick side of the box becomes the top."
    return Section(title="Stages", about=about, stages=strips) if strips else None


def _refused(found: FileRows) -> dict[str, list[Row]]:
    """Some refused rows of each reason, the most frequent reason first."""
    picked = {}
    for reason, places in found.counts.refused.items():
        rows = (found.table[int(found.order[place])] for place in _spread(places, _REJECTS_A_REASON))
        # An aligned one among them is refused for a mark.
        picked[reason] = [row if row.status == "refused" else refused_for_marks(row, reason) for row in rows]
    return picked


def _reasons(found: FileRows, refused: dict[str, list[Row]]) -> Section | None:
    reasons = []
    for reason, rows in refused.items():
        examples = [f"{row.source}: {row.detail}" if row.detail else row.source for row in rows]
        reasons.append((f"{len(found.counts.refused[reason]):,}", reason, examples))
    about = "Photos and faces that were not used, by reason, with a few of each."
    return Section(title="Refused", about=about, reasons=reasons) if reasons else None


def _settings(config: BuildConfig) -> Section:
    values = ((f.name, getattr(config.as_typed(), f.name)) for f in fields(BuildConfig))
    table: list[tuple[str, object]] = [
        (flag(name), " ".join(value) or "none" if isinstance(value, tuple) else value) for name, value in values
    ]
    about = "The command, and every option."
    return Section(title="How it was made", about=about, lines=[config.command()], table=table)


def _spread(rows: Any, count: int) -> list[Any]:
    """Return up to `count` of them, evenly spread from first to last."""
    count = min(count, len(rows))
    return [rows[round(i * (len(rows) - 1) / max(count - 1, 1))] for i in range(count)]
