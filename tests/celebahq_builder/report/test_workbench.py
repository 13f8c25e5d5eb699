"""report.html in a browser: all faces of a dataset, however many, are searched, sorted, filtered, rejected, listed."""

import time

import numpy as np
import pytest

from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5 import DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.report.build_report import write_missing_report
from celebahq_builder.report.page import Page, render
from celebahq_builder.report.page_data import fingerprint, in_order, page_columns
from celebahq_builder.report.sprites import Thumbnails, in_page
from celebahq_builder.state.best_faces import choose
from celebahq_builder.state.file_rows import file_rows
from celebahq_builder.state.manifest import Row

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
EVIL = '<img src=x onerror="document.title=1">\n\udcff "&amp;.jpg'
SHOWN = "() => document.getElementById('count').textContent"


def write_dataset(path, count, resolution=16, people=None):
    """A dataset of which row i has the color i, by which its thumbnail is known."""
    colors = np.stack([np.arange(count) % 251, np.arange(count) // 251, np.arange(count) % 7 * 30], 1).astype(np.uint8)
    with DatasetWriter(path, resolution, count) as writer:
        levels = [r for r in (1 << k for k in range(11)) if r <= resolution]
        for i in range(count):
            face = FaceRecord(
                source=f"day {i // 100}/photo {i:05}.jpg",
                source_sha256="0" * 64,
                pixel_sha256="1" * 64,
                scale=float(1 + i % 50),
                landmarks=np.ones((5, 2)),
                quad=np.ones((4, 2)),
                score=1 - i / count,
                breadth=0.5,
                isotropy=float(i % 10),
                identity=None if people is None else i % people,
            )
            writer.write({r: np.broadcast_to(colors[i][:, None, None], (3, r, r)) for r in levels}, face)
    return colors


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A page about 30,000 faces, and their colors."""
    folder = tmp_path_factory.mktemp("large")
    colors = write_dataset(folder / "f.h5", 30_000)
    config = BuildConfig(input=folder / "photos", output=folder / "f.h5", resolution=16)
    with open_dataset(folder / "f.h5") as dataset:
        write_missing_report(folder / "report.html", config, dataset)
    return folder, colors


def row(source, **facts):
    return Row(**{"source": source, "source_bytes": 1, "source_mtime_ns": 1, "status": "refused"} | facts)


def aligned(source, score, **facts):
    points = {"quad": ((0, 0), (0, 40), (40, 40), (40, 0)), "landmarks": ((10, 10),) * 5}
    more = {"status": "aligned", "score": score, "pixel_sha256": source, "width": 50, "height": 50, "scale": 0.5}
    return row(source, **points | more | {"perceptual_hash": "0" * 64} | facts)


@pytest.fixture
def small(tmp_path):
    """A page of every kind of row: six kept, two not among the best, a duplicate, three refused, one failed."""
    words = ("", "dark gray", "gray")
    rows = [aligned(f"p{i}.jpg", 1 - i / 10, invented=i / 100, marks=words[i % 3]) for i in range(7)]
    rows += [aligned(EVIL, 0.05, detail="<b>bold</b>"), aligned("again.jpg", 0.5, pixel_sha256="p2.jpg")]
    rows += [row("x.jpg", reason="no face found"), row("y.jpg", reason="no face found")]
    rows += [row("z.jpg", reason="<i>odd</i>"), row("t.jpg", reason="took longer than 300 s")]
    choice = choose(rows, 6, "exact")
    shown = in_order(file_rows(rows, choice).rows.whole().as_dicts())
    thumbnails = Thumbnails(6, (64, 32), lambda r, rows: np.full((len(rows), 3, r, r), 200, np.uint8))
    data = {
        "name": "f.h5", "mark": fingerprint(shown), "columns": page_columns(shown), "rows": len(shown),
        "sheets": thumbnails.describe(in_page(thumbnails)), "images": {}, "photos": None,
        "exclude": "f.h5.exclude.txt", "include": "f.h5.include.txt", "command": "celebahq-build --input photos",
    }  # fmt: skip
    path = tmp_path / "report.html"
    path.write_text(render(Page(title="f.h5", about="made", data=data)), "utf-8")
    return path


def count_is(page, text):
    page.wait_for_function(f"t => ({SHOWN})() === t", arg=text)


def downloaded(page):
    with page.expect_download() as download:
        page.click("#download")
    return download.value.suggested_filename, download.value.path().read_bytes()


def center(page, cell):
    """The color in the middle of a cell's thumbnail."""
    page.wait_for_function("e => e.querySelector('canvas').width > 1", arg=cell)
    return page.evaluate(
        "e => { const c = e.querySelector('canvas'); const copy = document.createElement('canvas');"
        " copy.width = copy.height = 1; const g = copy.getContext('2d');"
        " g.drawImage(c, 8, 8, 1, 1, 0, 0, 1, 1); return [...g.getImageData(0, 0, 1, 1).data].slice(0, 3) }",
        cell,
    )


@pytest.mark.slow
def test_30000_faces_open_scroll_filter_and_three_are_rejected_into_a_list(open_page, large, serve_folder):
    folder, colors = large
    began = time.perf_counter()
    page = open_page(serve_folder(folder) + "report.html")
    page.wait_for_function("() => document.querySelector('.cell canvas').width > 1")
    assert time.perf_counter() - began < 60  # 3 s on a quiet machine; minutes were it to grow with the square of faces
    assert page.evaluate(SHOWN) == "30,000 of 30,000 shown"
    assert len(page.query_selector_all(".cell")) < 200  # those in sight, and a screenful around them

    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    last = page.wait_for_selector('.cell[aria-posinset="30000"]')
    assert np.abs(np.array(center(page, last)) - colors[29_999]).max() < 12
    assert "row 29999, day 299/photo 29999.jpg" in last.query_selector(".open").get_attribute("aria-label")

    page.fill("#search", "photo 0012")
    count_is(page, "13 of 30,000 shown")  # 00012, 10012 and 20012, too
    page.fill('[data-column="isotropy"] input[aria-label^="least"]', "8")
    page.keyboard.press("Tab")
    count_is(page, "2 of 30,000 shown")
    for cell in page.query_selector_all(".cell"):
        cell.hover()
        cell.query_selector(".cross").click()
    page.click("#clear")
    page.fill("#search", "photo 29999")
    count_is(page, "1 of 30,000 shown")
    page.focus(".cell .open")
    page.keyboard.press("x")
    name, data = downloaded(page)
    assert name == "f.h5.exclude.txt"
    assert data == b"day 1/photo 00128.jpg#0\nday 1/photo 00129.jpg#0\nday 299/photo 29999.jpg#0\n"
    assert page.said == []


def test_page_of_many_faces_opens_from_the_disk_too(open_page, large):
    folder, _ = large
    page = open_page((folder / "report.html").as_uri())
    page.wait_for_function("() => document.querySelector('.cell canvas').width > 1")
    assert page.said == [] and all(url.startswith(("file:", "data:")) for url in page.asked)
    assert len(list((folder / "report-files").iterdir())) == 469  # 64 a sheet
    assert (folder / "report.html").stat().st_size < 6e6


def test_every_kind_of_row_is_shown_with_its_reason(open_page, small):
    page = open_page(small.as_uri())
    count_is(page, "6 of 13 shown")
    for mark, shown in (("dark", 2), ("gray", 4), ("gray", 2), ("dark", 6)):  # any of those pressed will do
        page.click(f"#facets >> text={mark}"), count_is(page, f"{shown} of 13 shown")
    page.click("#statuses >> text=kept")
    count_is(page, "13 of 13 shown")
    page.click("#statuses >> text=refused")
    count_is(page, "3 of 13 shown")
    page.click("#facets >> text=no face found")
    count_is(page, "2 of 13 shown")
    assert page.inner_text(".cell .caption b") == "no face found"
    page.click("#clear")
    count_is(page, "6 of 13 shown")
    page.click("#statuses >> text=not among the best")
    count_is(page, "8 of 13 shown")
    page.select_option("#group", "duplicates")
    page.wait_for_selector(".heading >> text=p2.jpg")
    labels = [cell.get_attribute("aria-label") for cell in page.query_selector_all(".cell .open")]
    assert len(labels) == 2 and "p2.jpg" in labels[0] and "again.jpg" in labels[1]
    assert page.said == []


def test_faces_of_one_person_stand_together_where_the_file_knows_persons(open_page, tmp_path):
    write_dataset(tmp_path / "f.h5", 12, people=3)
    config = BuildConfig(input=tmp_path, output=tmp_path / "f.h5", resolution=16)
    with open_dataset(tmp_path / "f.h5") as dataset:
        write_missing_report(tmp_path / "report.html", config, dataset)
    page = open_page((tmp_path / "report.html").as_uri())
    page.select_option("#group", "identity")
    page.wait_for_selector(".heading")
    assert [heading.inner_text().split("\n") for heading in page.query_selector_all(".heading")] == [
        [f"person {k}", "4"] for k in range(3)
    ]
    page.focus(".cell .open")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    assert downloaded(page)[1] == b"day 0/photo 00003.jpg#0\n"  # the second of person 0


def test_histogram_is_brushed_by_the_pointer_and_a_click_takes_it_back(open_page, small):
    page = open_page(small.as_uri())
    box = page.query_selector('[data-column="score"] svg').bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.01 * box["width"], middle)  # in the first bar
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], middle, steps=4)
    page.mouse.up()
    count_is(page, "1 of 13 shown")  # of scores 1 down to .5, those in the lower half of .05 to 1
    page.mouse.click(box["x"] + 20, middle)
    count_is(page, "6 of 13 shown")


def test_decisions_are_undone_kept_over_a_reload_and_listed(open_page, small):
    page = open_page(small.as_uri())
    page.focus(".cell .open")
    for key in ("x", "ArrowRight", "x", "m", "ArrowRight", "k"):
        page.keyboard.press(key)
    assert page.inner_text("#decided-count") == "2 rejected · 1 kept · 1 marked"
    page.keyboard.press("u")
    page.keyboard.press("u")
    assert page.inner_text("#decided-count") == "2 rejected"
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert page.inner_text("#decided-count") == "2 rejected"
    assert downloaded(page) == ("f.h5.exclude.txt", b"p0.jpg#0\np1.jpg#0\n")
    page.click("#next")
    assert page.inner_text("#next-dialog code") == "celebahq-build --input photos --exclude f.h5.exclude.txt"
    assert page.said == []


def test_names_run_nothing_and_bytes_of_names_come_back_in_the_list(open_page, small):
    page = open_page(small.as_uri())
    page.click("#statuses >> text=not among the best")
    page.fill("#search", "onerror")
    count_is(page, "1 of 13 shown")
    page.click(".cell .open")
    title = page.inner_text("#details h2")
    assert title == '<img src=x onerror="document.title=1">\\n\\xff "&amp;.jpg'
    assert "<b>bold</b>" in page.inner_text("#details table")
    assert page.title() == "f.h5" and not page.query_selector("#details h2 img")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    page.click("#next")
    assert "cannot stand in a list" in page.inner_text("#next-dialog")
    assert page.said == []
    # The page's policy, not only its care: what a script of somebody else would do is refused.
    page.evaluate("() => { const s = document.createElement('script'); s.textContent = 'document.title = 2';"
                  " document.body.append(s) }")  # fmt: skip
    assert page.title() == "f.h5"


def test_a_face_opens_is_walked_through_and_decided_by_keys(open_page, small):
    page = open_page(small.as_uri())
    page.focus(".cell .open")
    page.keyboard.press("Enter")
    assert page.inner_text("#details h2") == "p0.jpg"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    assert page.inner_text("#details h2") == "p1.jpg"
    assert page.get_attribute("#reject-face", "aria-pressed") == "true"
    page.keyboard.press("Escape")
    page.wait_for_function("() => document.activeElement.closest('.cell')?.getAttribute('aria-posinset') === '2'")
    assert page.get_attribute('.cell[aria-posinset="2"] .open', "aria-label").endswith("rejected")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_shows_three_faces_a_line_and_scrolls_down_only(open_page, small, scheme):
    page = open_page(small.as_uri(), **PHONE, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    tops = [cell.bounding_box()["y"] for cell in page.query_selector_all(".cell")]
    assert tops.count(min(tops)) == 3
    page.tap(".cell .cross")
    assert page.inner_text("#decided-count") == "1 rejected"
    for button in page.query_selector_all("button"):
        box = button.bounding_box()
        assert box is None or box["height"] >= 40
    page.click("#open-filters")
    page.click("#statuses >> text=refused")
    page.click("#close-filters")
    count_is(page, "9 of 13 shown")
    page.tap(".cell .open")
    box = page.query_selector("#details").bounding_box()
    assert (box["x"], box["width"]) == (0, 390)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(19, 19, 18)"
    assert dark == (scheme == "dark")


def test_page_has_landmarks_and_names_for_a_screen_reader(open_page, small):
    page = open_page(small.as_uri())
    assert page.get_attribute("html", "lang") == "en"
    for selector in ("header", "nav[aria-label]", "main", "aside[aria-label]", "[role=search]", "footer[aria-label]"):
        assert page.query_selector(selector), selector
    for control in page.query_selector_all("input, select, button"):
        name = control.evaluate("e => e.getAttribute('aria-label') || e.labels?.[0]?.textContent || e.textContent")
        assert name.strip(), control.evaluate("e => e.outerHTML")
    cells = page.query_selector_all('[role="list"] [role="listitem"]')
    assert [cell.get_attribute("aria-setsize") for cell in cells] == ["6"] * 6
    assert len(page.query_selector_all('.cell .open[tabindex="0"]')) == 1  # one stop of the Tab key for all faces


def test_sheets_of_an_older_page_go_and_files_of_others_stay(tmp_path):
    from celebahq_builder.report.sprites import remove_other_sheets

    folder = tmp_path / "report-files"
    folder.mkdir()
    for name in (f"{'a' * 16}-00000.webp", f"{'b' * 16}-00000.webp", "mine.webp", "notes.txt"):
        (folder / name).touch()
    remove_other_sheets(tmp_path / "report.html", "b" * 16)
    assert sorted(path.name for path in folder.iterdir()) == [f"{'b' * 16}-00000.webp", "mine.webp", "notes.txt"]
