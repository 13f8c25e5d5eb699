"""What report.html shows of photographs that lie beside it: the box, before and after, faces that are in no file."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.report.page import Page, render
from celebahq_builder.report.page_data import page_columns
from celebahq_builder.report.sprites import Thumbnails, in_page

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "processes"))
from process_end import wait_until

RED, GREEN, BLUE = (250, 0, 0), (0, 200, 0), (0, 0, 250)


@pytest.fixture
def folder(tmp_path):
    """A page about a kept face, a duplicate and a refused photo; each photo is green with a red square, the box."""
    photos = tmp_path / "the photos #1"
    photos.mkdir()
    pixels = np.full((80, 100, 3), GREEN, np.uint8)
    pixels[20:60, 30:70] = RED
    for name in ("kept.png", "again 100%.png", "refused.png"):
        Image.fromarray(pixels).save(photos / name)
    points = {"quad": [[30, 20], [30, 60], [70, 60], [70, 20]], "landmarks": [[50, 40]] * 5, "width": 100, "height": 80}
    rows = [
        {"source": "kept.png", "face_index": 0, "status": "kept", "row": 0, "duplicate_of": "", **points},
        {"source": "again 100%.png", "face_index": 0, "status": "duplicate", "row": -1, "duplicate_of": "kept.png#0"}
        | points,
        {"source": "refused.png", "face_index": -1, "status": "refused", "reason": "no face found", "row": -1},
        {"source": "gone.png", "face_index": -1, "status": "refused", "reason": "no face found", "row": -1},
    ]
    face = np.broadcast_to(np.array(BLUE, np.uint8)[:, None, None], (1, 3, 64, 64))
    thumbnails = Thumbnails(1, (64,), lambda r, rows: face)
    data = {
        "name": "f.h5", "mark": "0", "columns": page_columns(rows), "rows": len(rows), "images": {},
        "sheets": thumbnails.describe(in_page(thumbnails)), "photos": "the%20photos%20%231/",
        "exclude": "e.txt", "include": "i.txt", "command": "celebahq-build",
    }  # fmt: skip
    (tmp_path / "report.html").write_text(render(Page(title="f.h5", about="made", data=data)), "utf-8")
    return tmp_path


def color(page, selector, at=0.5):
    """The color of the screen at a part of an element, left to right, halfway down."""
    element = page.wait_for_selector(selector)
    page.wait_for_function("e => e.width > 1", arg=element)
    with Image.open(io.BytesIO(element.screenshot())) as image:
        return image.convert("RGB").getpixel((int(at * image.width), image.height // 2))


def near(found, wanted):
    return max(abs(a - b) for a, b in zip(found, wanted, strict=True)) < 40


def shows(page, selector, wanted, at=0.5):
    """Wait until color() is the one that is expected: an image is drawn a moment after its place is there."""
    wait_until(lambda: near(color(page, selector, at), wanted), seconds=60)


def test_duplicate_is_cut_out_of_its_photograph_and_a_refused_photo_is_shown_whole(open_page, folder):
    page = open_page((folder / "report.html").as_uri())
    page.click("#statuses >> text=duplicates")
    page.select_option("#group", "duplicates")
    page.wait_for_selector(".heading >> text=kept.png")
    shows(page, '.cell[aria-posinset="1"] canvas', BLUE)
    shows(page, '.cell[aria-posinset="2"] canvas', RED, at=0.1)  # the box alone
    page.select_option("#group", "")
    page.click("#statuses >> text=refused")
    page.wait_for_selector(
        '.cell[aria-posinset="4"].none, .cell[aria-posinset="3"].none'
    )  # gone.png, which is not there
    shown = page.wait_for_selector(".cell.refused:not(.none) canvas")
    page.wait_for_function("e => e.width === 100 && e.height === 80", arg=shown)


def test_opened_face_shows_the_photograph_with_its_box_and_slides_to_what_was_before(open_page, folder):
    page = open_page((folder / "report.html").as_uri())
    page.click(".cell .open")
    page.wait_for_selector(".slider")
    shows(page, ".stack canvas", BLUE)
    page.fill(".slider", "60")
    shows(page, ".stack canvas.before", RED, at=0.3)  # of the photograph
    shows(page, ".stack canvas.before", BLUE, at=0.9)  # still the face
    shows(page, ".boxed canvas", GREEN, at=0.1)
    corners = page.get_attribute(".boxed polygon", "points").split(" ")
    assert [float(x) for x in corners] == [30, 20, 30, 60, 70, 60, 70, 20]
    assert page.get_attribute(".boxed svg", "viewBox") == "0 0 100 80"
    assert page.get_attribute(".photo-pane a", "href") == "the%20photos%20%231/kept.png"
    assert page.inner_text('[aria-label="Duplicates"] figure:last-child figcaption') == "left out: again 100%.png"


def test_photograph_that_is_gone_is_said_to_be(open_page, folder):
    (folder / "the photos #1" / "kept.png").unlink()
    page = open_page((folder / "report.html").as_uri())
    page.click(".cell .open")
    page.wait_for_selector("text=This browser cannot show the photograph, or it is not where it was")
    shows(page, ".stack canvas", BLUE)
