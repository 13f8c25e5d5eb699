"""report.html: what a build made of its photos, as a page to look through, to sort, and to choose rejects in."""

import hashlib
import itertools
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import numpy as np

from celebahq.files import write_atomic
from celebahq_builder.config import BuildConfig, BuildError, flag
from celebahq_builder.hdf5 import Dataset
from celebahq_builder.hdf5_format.rows import row_id
from celebahq_builder.report.decisions import exclude_path, include_path
from celebahq_builder.report.file_page import dataset_rows, file_page, thumbnails_of
from celebahq_builder.report.licenses import licenses
from celebahq_builder.report.page import Page, Section, render, text
from celebahq_builder.report.page_data import fingerprint, in_order, page_columns
from celebahq_builder.report.photos import Images
from celebahq_builder.report.sprites import MOST_IN_PAGE, Thumbnails, in_page, remove_other_sheets, write_sheets
from celebahq_builder.sources.input_photos import origin
from celebahq_builder.sources.remote import url_of
from celebahq_builder.state.best_faces import Choice
from celebahq_builder.state.file_rows import file_rows
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.name_lists import NameLists, read_name_lists
from celebahq_builder.stores.upload_record import is_sent_away

Item = TypeVar("Item")
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


def shown_photos(rows: Sequence[Row], choice: Choice) -> tuple[list[Row], list[Row]]:
    """Return the rows whose photos the report holds: kept ones, for their stages, and refused ones."""
    refused = [row for some in _by_reason(rows).values() for row in _spread(some, _REJECTS_A_REASON)]
    return _strip_rows(choice), refused


def write_report(
    path: Path, config: BuildConfig, rows: Sequence[Row], choice: Choice, thumbnails: Thumbnails | None, images: Images
) -> None:
    """Write the report; an older one is replaced only by a whole one.

    Up to 500 faces it is one self-contained file; the thumbnails of more lie in `report-files/` beside it.

    Args:
        rows: every row of the manifest, in any order.
        thumbnails: of the kept rows; None without any.
        images: of the photos in shown_photos().
    """
    rows = sorted(rows, key=lambda row: row.key)
    shown = in_order(file_rows(rows, choice).as_dicts())
    mark = fingerprint(shown)
    sheets = [] if thumbnails is None else _sheets(thumbnails, path, mark)
    kept = {row.key for row in choice.kept}
    data = {
        "name": config.output.name,
        "columns": page_columns(shown),
        "rows": len(shown),
        "sheets": thumbnails.describe(sheets) if thumbnails is not None else None,
        "images": {row_id(*key): image[0][1] for key, image in images.items() if key not in kept and image},
        "photos": _photos_address(config.input, path, rows[0].source if rows else ""),
    } | _to_decide(config, (row.source for row in rows))
    detector = config.detector if config.landmarks is None else None
    sections = [
        _stages(choice, images),
        _reasons(rows),
        _settings(config),
        licenses(detector, config.landmarks_from, config.restore),
    ]
    page = Page(
        title=config.output.name,
        about=f"made by celebahq-build from {url_of(config.input) or config.input}",
        numbers=_numbers(config, rows, choice),
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


def _numbers(config: BuildConfig, rows: Sequence[Row], choice: Choice) -> list[tuple[str, str]]:
    num_photos = len({row.source for row in rows})
    used = len({row.source for row in choice.kept})
    return [
        (f"{num_photos:,}", "photos"),
        (f"{len(choice.kept):,}", f"faces kept, from {used:,} photos"),
        (f"{config.resolution}²", "pixels a face"),
        (f"{sum(row.status == 'refused' for row in rows):,}", "photos and faces refused"),
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


def _strip_rows(choice: Choice) -> list[Row]:
    # Half of them where the box leaves the photo, which is where the stages differ most to the eye.
    outside = [_box_leaves(row) for row in choice.kept]
    leaves = [i for i, leaves in enumerate(outside) if leaves]
    inside = [i for i, leaves in enumerate(outside) if not leaves]
    chosen = _spread(leaves, max(_STRIPS // 2, _STRIPS - len(inside)))
    chosen += _spread(inside, _STRIPS - len(chosen))
    return [choice.kept[i] for i in sorted(chosen)]


def _stages(choice: Choice, images: Images) -> Section | None:
    strips = []
    for row in _strip_rows(choice):
        stages = images.get(row.key)
        if not stages:
            continue
        x = f"{row.width} × {row.height} px, {row.scale:.3g} px of the photo a pixel of the face, score {row.score:.3f}"
        if row.padding:
            x += f", {row.padding:.0%} of the crop and {row.invented or 0:.0%} of the face lie beyond the photo"
        strips.append({"id": row_id(*row.key), "images": stages, "caption": f"{row.source} · {x}"})
    about = "From photo to face, as in Fig. 8 of the paper. The thick side of the box becomes the top."
    return Section(title="Stages", about=about, stages=strips) if strips else None


def _by_reason(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Refused rows by their reason, the most frequent reason first."""
    found = defaultdict(list)
    for row in rows:
        if row.status == "refused":
            found[row.reason].append(row)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))


def _reasons(rows: Sequence[Row]) -> Section | None:
    reasons = []
    for reason, refused in _by_reason(rows).items():
        examples = [
            f"{row.source}: {row.detail}" if row.detail else row.source for row in _spread(refused, _REJECTS_A_REASON)
        ]
        reasons.append((f"{len(refused):,}", reason, examples))
    about = "Photos and faces that were not used, by reason, with a few of each."
    return Section(title="Refused", about=about, reasons=reasons) if reasons else None


def _settings(config: BuildConfig) -> Section:
    values = ((f.name, getattr(config.as_typed(), f.name)) for f in fields(BuildConfig))
    table: list[tuple[str, object]] = [
        (flag(name), " ".join(value) or "none" if isinstance(value, tuple) else value) for name, value in values
    ]
    about = "The command, and every option."
    return Section(title="How it was made", about=about, lines=[config.command()], table=table)


def _box_leaves(row: Row) -> bool:
    quad = np.array(row.quad)
    return bool((quad < 0).any() or (quad > (row.width, row.height)).any())


def _spread(rows: Sequence[Item], count: int) -> list[Item]:
    """Return up to `count` of them, evenly spread from first to last."""
    count = min(count, len(rows))
    return [rows[round(i * (len(rows) - 1) / max(count - 1, 1))] for i in range(count)]
