"""Long names on the page: they break between their parts, are copied as they are, and never make it scroll sideways."""

import re
from pathlib import Path

import numpy as np
import pytest

from celebahq_builder.report.page import Page, Section, breakable, render
from celebahq_builder.report.page_data import fingerprint, in_order, page_columns
from celebahq_builder.state.best_faces import choose
from celebahq_builder.state.file_rows import file_rows
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.name_lists import NameLists

ROOT = Path(__file__).resolve().parents[3]
LONG = "2024_wedding_of_anna/by_the_second_photographer_there/edited.final.version.2/IMG_2024_HDR_portrait.v3.final.jpg"
UNBROKEN = f"{'x' * 200}.jpg"


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("day 1/a_b.final.jpg", ["day 1/", "a_", "b.", "final.", "jpg"]),
        ("/photos//a__b..c", ["/photos//", "a__", "b..", "c"]),
        ("score 0.368, 5.24 px. v.2", ["score 0.368, 5.24 px. v.", "2"]),
        ("<b>/'&.jpg", ["&lt;b&gt;/", "&#x27;&amp;.", "jpg"]),
    ],
)
def test_name_breaks_after_slashes_underscores_and_dots_and_not_within_a_number(name, parts):
    assert breakable(name).split("<wbr>") == parts


@pytest.fixture
def page_file(tmp_path):
    """A page about two kept faces with long names, and one refused for its marks."""
    points = {"quad": ((0, 0), (0, 40), (40, 40), (40, 0)), "landmarks": ((10, 10),) * 5}
    facts = points | {"source_bytes": 1, "source_mtime_ns": 1, "status": "aligned", "width": 50, "height": 50}
    facts |= {"scale": 0.5, "perceptual_hash": "0" * 64}
    rows = [Row(source=name, score=0.5, pixel_sha256=name, **facts) for name in (LONG, UNBROKEN)]
    rows.append(Row(source="soft.jpg", score=0.4, pixel_sha256="soft", marks="blurred gray", **facts))
    choice = choose(rows, 6, "exact", NameLists(refuse=("blurred",)))
    shown = in_order(file_rows(rows, choice).rows.whole().as_dicts())
    command = f"celebahq-build --input {LONG} --output {UNBROKEN}"
    data = {
        "name": LONG, "mark": fingerprint(shown), "columns": page_columns(shown), "rows": len(shown), "sheets": None,
        "images": {}, "photos": None, "exclude": f"{UNBROKEN}.txt", "include": "i.txt", "command": command,
        "drop": None,
    }  # fmt: skip
    made = Section(title="How", about="", lines=[command], table=[("--input", LONG), ("--output", UNBROKEN)])
    refused = Section(title="Refused", about="", reasons=[("1", "marked blurred", [LONG, UNBROKEN])])
    path = tmp_path / "report.html"
    path.write_text(render(Page(title=UNBROKEN, about=LONG, data=data, sections=[made, refused])), "utf-8")
    return path


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_page_with_long_names_scrolls_down_only_and_says_them_whole(open_page, page_file, width):
    page = open_page(page_file.as_uri(), viewport={"width": width, "height": 844})
    page.wait_for_selector("body[data-ready]")
    overflowing = (
        "() => [document.documentElement, ...document.querySelectorAll('dialog[open], dialog[open] *, #about *')]"
        ".filter((e) => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline'"
        " && getComputedStyle(e).overflowX !== 'hidden').map((e) => e.outerHTML.slice(0, 99))"
    )
    for name in (LONG, UNBROKEN):
        page.click(f'.cell[title="{name}"] .open')
        assert page.text_content("#details h2") == name
        assert name in page.text_content("#details table")
        assert page.evaluate(overflowing) == []
        page.keyboard.press("x")
        page.keyboard.press("Escape")
    page.click("#next")
    assert page.text_content("#next-dialog code").startswith(f"celebahq-build --input {LONG} --output {UNBROKEN} --ex")
    assert page.evaluate(overflowing) == []
    page.keyboard.press("Escape")
    page.click("#show-about")
    assert page.text_content("#about pre").strip() == f"celebahq-build --input {LONG} --output {UNBROKEN}"
    assert page.evaluate(overflowing) == []
    assert page.said == []


def test_opened_face_breaks_its_name_where_the_page_without_a_script_does(open_page, page_file):
    page = open_page(page_file.as_uri())
    page.click(f'.cell[title="{LONG}"] .open')
    assert page.inner_html("#details h2").split("<wbr>") == breakable(LONG).split("<wbr>")
    assert page.inner_html("#details h2").count("<wbr>") == 19


def test_opened_face_that_was_refused_for_a_mark_says_all_of_its_marks(open_page, page_file):
    page = open_page(page_file.as_uri())
    page.click("#statuses >> text=refused")
    page.click('.cell[title="soft.jpg"] .open')
    assert page.inner_text("#details header p").startswith("marked blurred · marks: blurred gray · ")


def test_names_are_split_as_by_lookbehinds_which_the_scripts_do_without(open_page, page_file):
    """Safari before 16.4 has none: a page with one in a script shows nothing there."""
    for folder in ("celebahq_builder/report/page_files", "export/web/static"):
        for path in (ROOT / folder).glob("*.*"):
            assert not re.search(r"\(\?<[=!]", path.read_text("utf-8")), path
    script = (ROOT / "celebahq_builder/report/page_files/data.js").read_text("utf-8")
    made = [re.search(rf"^{begin}.*?^}}$", script, re.M | re.S)[0] for begin in ("function bytesOf", "const BREAKS")]
    page = open_page(page_file.as_uri())
    rng = np.random.RandomState(0)
    texts = ["".join(rng.choice(list("/_.. a5é😀\udc80\udcff\ud83d"), 12)) for _ in range(1000)]
    differing = r"""
        return texts.map((units) => String.fromCharCode(...units)).filter((text) => {
          const parts = text.split(/(?<=\S[/_])(?=[^\s/._])|(?<=\.)(?=[^\s/._\d])|(?<=\D\.)(?=\d)/u);
          const bytes = text.split(/((?<![\ud800-\udbff])[\udc80-\udcff])/).flatMap((part) =>
            /^[\udc80-\udcff]$/.test(part) ? [part.charCodeAt(0) - 0xdc00] : [...new TextEncoder().encode(part)]);
          const found = breakable(text).filter((part) => typeof part === "string");
          return String(parts) !== String(found) || String(bytes) !== String([...bytesOf(text)]);
        }).length
    """
    units = [np.frombuffer(text.encode("utf-16-le", "surrogatepass"), np.uint16).tolist() for text in texts]
    ours = "\n".join(["const make = () => null;", *made])
    assert page.evaluate(f"(texts) => {{ {ours}\n{differing.strip()} }}", units) == 0
