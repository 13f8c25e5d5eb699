"""report.html: one file that asks for nothing else, shows what was made and refused, and survives any name."""

import base64
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.report.build_report import report_path
from celebahq_builder.report.licenses import licenses
from celebahq_builder.report.page import Page as Contents
from celebahq_builder.report.page import render

EVIL = '<script>alert("x")</script> & \n \udcff.jpg'


class Page(HTMLParser):
    """What a browser would make of the file: tags with their attributes, the text, and what the script reads."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)
        found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
        self.data = json.loads(found[0]) if found else None

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def images(self):
        shown = [attrs["src"] for tag, attrs in self.tags if tag == "img"]
        return [*shown, *self.data["sheets"]["addresses"], *self.data["images"].values()]

    def column(self, name):
        column = self.data["columns"][name]
        return [column["words"][code] for code in column["codes"]] if "words" in column else column["numbers"]


@pytest.fixture(scope="module")
def built(real_data, tmp_path_factory):
    """A build of six photos with awkward names, one twice, one without a face, one torn."""
    root = tmp_path_factory.mktemp("report")
    photos = root / "photos <b>"
    photos.mkdir()
    wild = real_data / "in_the_wild"
    # The box of the first leaves the photo, that of the second does not.
    for name, target in (
        ("fddb__000734.jpg", "a.jpg"),
        ("fddb__001379.jpg", "b.jpg"),
        ("faceapijs__angry.jpg", EVIL.replace("/", "\N{DIVISION SLASH}")),
        ("fddb__001379.jpg", "b again.jpg"),
    ):
        shutil.copy(wild / name, photos / target)
    shutil.copy(real_data / "testsets" / "Set14" / "zebra.png", photos / "zebra.png")
    (photos / "torn.jpg").write_bytes((wild / "fddb__001379.jpg").read_bytes()[:5000])
    build(BuildConfig(input=photos, output=root / "f.h5", resolution=64, workers=0, restore="off"))
    return root


@pytest.fixture(scope="module")
def page(built):
    return Page((built / "report.html").read_text(encoding="utf-8"))


def test_page_is_whole_and_fetches_nothing(built, page):
    text = (built / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and text.endswith("</html>\n")
    assert not [tag for tag, _ in page.tags if tag in ("iframe", "object", "embed", "video", "audio")]
    addresses = [attrs[key] for _, attrs in page.tags for key in ("src", "srcset", "data") if key in attrs]
    addresses += page.data["sheets"]["addresses"] + list(page.data["images"].values())
    assert addresses and all(address.startswith("data:image/webp;base64,") for address in addresses)
    assert [attrs["href"] for _, attrs in page.tags if "href" in attrs] == ["data:,", "#grid"]
    assert "url(" not in text and "@import" not in text and "http://" not in text.replace("http://www.w3.org", "")
    assert not (built / "report-files").exists()


def test_nothing_runs_in_the_page_but_its_own_script(page, built):
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    (policy,) = [attrs["content"] for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    script = re.findall(r"<script>(.*?)</script>", (built / "report.html").read_text("utf-8"), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'" and rules["default-src"] == "'none'"
    assert "unsafe" not in policy and "connect-src" not in policy and "http" not in policy


def test_every_image_opens(page):
    for address in page.images():
        with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
            image.load()
            assert min(image.size) > 8


def test_names_of_any_characters_are_shown_as_text(page, built):
    words = " ".join(page.words)
    assert 'alert("x")' in words and "\\n" in words and "\\xff" in words
    html = (built / "report.html").read_text("utf-8")
    assert "<script>alert" not in html and html.count("</script>") == 2
    assert EVIL.replace("/", "\N{DIVISION SLASH}") in page.column("source")


def test_thumbnails_are_the_faces_of_the_file_in_order(built, page):
    with open_dataset(built / "f.h5") as dataset:
        faces = dataset.read(64, np.arange(len(dataset))).transpose(0, 2, 3, 1)
        scores = dataset.faces["score"]
    sheets = page.data["sheets"]
    assert (sheets["side"], len(sheets["addresses"])) == (64, 1)
    with Image.open(io.BytesIO(base64.b64decode(sheets["addresses"][0].partition(",")[2]))) as image:
        sheet = np.asarray(image.convert("RGB")).astype(int)
    for row, face in enumerate(faces):
        assert np.abs(sheet[:64, 64 * row : 64 * row + 64] - face).mean() < 8  # lossy, but this face
    assert page.column("row")[: len(faces)] == list(range(len(faces)))
    assert page.column("score")[: len(faces)] == pytest.approx(scores, rel=1e-4)


def test_counts_and_reasons_are_those_of_the_build(page):
    text = " ".join(page.words)
    for words in ("6 photos", "3 faces kept, from 3 photos", "2 photos and faces refused", "1 duplicates left out"):
        assert words in text
    assert "1 no face found" in text and "1 truncated or corrupt file" in text
    rows = dict(
        zip(page.column("source"), zip(page.column("status"), page.column("duplicate_of"), strict=True), strict=True)
    )
    (duplicate,) = [name for name, (status, _) in rows.items() if status == "duplicate"]
    assert {duplicate, rows[duplicate][1]} == {"b.jpg", "b again.jpg#0"} or {duplicate, rows[duplicate][1]} == {
        "b again.jpg",
        "b.jpg#0",
    }
    assert rows["zebra.png"] == ("refused", "") and rows["a.jpg"] == ("kept", "")


def test_columns_that_this_program_does_not_know_are_shown(tmp_path):
    from celebahq_builder.report.page_data import page_columns

    rows = [
        {"source": "a", "face_index": 0, "status": "kept", "row": 0, "sharpness": 0.123456789, "marks": "dark blurred"},
        {"source": "b", "face_index": 0, "status": "kept", "row": 1, "sharpness": float("nan"), "marks": ""},
        {"source": "c", "face_index": -1, "status": "refused", "row": -1},
    ]
    columns = page_columns(rows)
    assert columns["sharpness"] == {"numbers": [0.12346, None, None]}
    assert columns["marks"] == {"words": ["dark blurred", ""], "codes": [0, 1, 1]}


def test_text_of_a_row_cannot_end_the_data(tmp_path):
    from celebahq_builder.report.page_data import page_columns

    evil = "</script><script>alert(1)</script><!--"
    data = {"columns": page_columns([{"source": evil, "face_index": 0}])}
    html = render(Contents(title=evil, about=evil, data=data))
    assert html.count("</script>") == 2 and "<!--" not in html
    assert Page(html).column("source") == [evil]


def test_stages_are_shown_extended_where_the_box_leaves_the_photo(page):
    text = " ".join(page.words)
    assert "extended by its mirror image" in text and "around the box" in text


def test_options_and_command_are_shown(page):
    text = " ".join(page.words)
    assert "celebahq-build --input" in text and "--resolution 64" in text and "--geometry" in text


def test_licenses_of_the_models_that_were_used_are_told_and_of_no_others():
    def told(detector, restore, landmarks_from="dlib68"):
        return " ".join(licenses(detector, landmarks_from, restore).text)

    detected = told("hog", "off")
    assert "iBUG 300-W, whose license excludes commercial use" in detected and "BSDS500" not in detected
    assert "CenterFace (" not in detected
    for detector in ("auto", "centerface"):
        assert "300-W, whose license" in told(detector, "off") and "WIDER FACE" in told(detector, "off")
    own = told("centerface", "off", "detector")
    assert "300-W" not in own and "also placed the landmarks" in own and "Copyright (c) 2019 StarClouds" in own
    for restore in ("fast", "full"):
        given = told(None, restore)
        assert "300-W" not in given and "CC BY-NC 4.0" in given and "--restore fast-free or off" in given
    free = told(None, "fast-free")
    assert "BY-NC" not in free and "BSDS500" not in free and "commercial" not in free
    assert "Apache License 2.0, trained only on images in the public domain, CC0 and CC BY" in free
    nothing = told(None, "off")
    assert "commercial" not in nothing and "photographs keep the licenses" in nothing


def test_options_and_command_end_with_the_licenses(page):
    text = " ".join(page.words)
    assert text.index("How it was made") < text.index("excludes commercial use")


def test_page_that_a_kill_kept_from_being_written_is_written_by_the_same_command(made_photos, trouble, tmp_path):
    config = BuildConfig(input=made_photos, output=tmp_path / "f.h5", resolution=32, workers=0, restore="off")
    before = Page(build(config).report.read_text("utf-8"))
    (tmp_path / "report.html").unlink()
    again = Page(build(config).report.read_text("utf-8"))
    assert trouble["worked on"] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    for name in ("source", "status", "row", "score"):
        assert again.column(name) == before.column(name)
    assert again.data["photos"] == before.data["photos"] and again.data["command"] == before.data["command"]


def test_page_of_somebody_else_keeps_its_name(built, tmp_path):
    assert report_path(built / "f.h5") == built / "report.html"
    assert report_path(built / "g.h5") == built / "g-report.html"
    assert report_path(tmp_path / "f.h5") == tmp_path / "report.html"
    (tmp_path / "report.html").write_text("<p>my own")
    assert report_path(tmp_path / "f.h5") == tmp_path / "f-report.html"
    (tmp_path / "f-report.html").write_text("<p>my own, too")
    (tmp_path / "f-report-2.html").mkdir()
    assert report_path(tmp_path / "f.h5") == tmp_path / "f-report-3.html"
