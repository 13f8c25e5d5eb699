"""report.html: one file that asks for nothing else, shows what was made and refused, and survives any name."""

import base64
import io
import re
import shutil
from html.parser import HTMLParser

import h5py
import numpy as np
import pytest
from PIL import Image

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.report.build_report import _licenses, report_path
from celebahq_builder.report.page import histogram

EVIL = '<script>alert("x")</script> & \n \udcff.jpg'


class Page(HTMLParser):
    """What a browser would make of the file: tags with their attributes, and the text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def pictures(self):
        return [attrs["src"] for tag, attrs in self.tags if tag == "img"]


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
    assert not [tag for tag, _ in page.tags if tag in ("script", "link", "iframe", "object", "embed", "video", "audio")]
    addresses = [attrs[key] for _, attrs in page.tags for key in ("src", "href", "srcset", "data") if key in attrs]
    assert addresses and all(address.startswith("data:image/webp;base64,") for address in addresses)
    assert "url(" not in text and "@import" not in text


def test_every_picture_opens(page):
    for address in page.pictures():
        with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
            image.load()
            assert min(image.size) > 8


def test_names_of_any_characters_are_shown_as_text(page):
    assert "script" not in [tag for tag, _ in page.tags]
    titles = " ".join(attrs.get("title", "") for _, attrs in page.tags)
    assert 'alert("x")' in titles and "\\n" in titles and "\\xff" in titles


def test_contact_sheet_shows_the_faces_of_the_file_in_order(built, page):
    with h5py.File(built / "f.h5") as file:
        faces, scores = file["data64x64"][:].transpose(0, 2, 3, 1), file["faces/score"][:]
    captions = [word for word in page.words if re.fullmatch(r"\d+ · [\d.]+", word)]
    assert captions == [f"{i} · {score:.3f}" for i, score in enumerate(scores)]
    for face, address in zip(faces, page.pictures(), strict=False):
        with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
            assert np.abs(np.asarray(image.convert("RGB")).astype(int) - face).mean() < 6  # lossy, but this face


def test_counts_and_reasons_are_those_of_the_build(page):
    text = " ".join(page.words)
    for words in ("6 photos", "3 faces kept, from 3 photos", "2 photos and faces refused", "1 duplicates left out"):
        assert words in text
    assert "1 no face found" in text and "1 truncated or corrupt file" in text
    assert "b.jpg: duplicate of row" in text and "b again.jpg" in text


def test_stages_are_shown_extended_where_the_box_leaves_the_photo(page):
    text = " ".join(page.words)
    assert "extended by its mirror image" in text and "around the box" in text


def test_options_and_command_are_shown(page):
    text = " ".join(page.words)
    assert "celebahq-build --input" in text and "--resolution 64" in text and "--geometry" in text


def test_licenses_of_the_models_that_were_used_are_told_and_of_no_others(tmp_path):
    def told(**options):
        return " ".join(Page(_licenses(BuildConfig(input=tmp_path, **options))).words)

    detected = told(restore="off")
    assert "iBUG 300-W, whose license excludes commercial use" in detected and "BSDS500" not in detected
    given = told(restore="fast", landmarks=tmp_path / "list.txt")
    assert "300-W" not in given and "CC BY-NC 4.0" in given
    nothing = told(restore="off", landmarks=tmp_path / "list.txt")
    assert "commercial" not in nothing and "photographs keep the licenses" in nothing


def test_options_and_command_end_with_the_licenses(page):
    text = " ".join(page.words)
    assert text.index("How it was made") < text.index("excludes commercial use")


def test_page_of_somebody_else_keeps_its_name(built, tmp_path):
    assert report_path(built / "f.h5") == built / "report.html"
    assert report_path(built / "g.h5") == built / "g-report.html"
    assert report_path(tmp_path / "f.h5") == tmp_path / "report.html"
    (tmp_path / "report.html").write_text("<p>my own")
    assert report_path(tmp_path / "f.h5") == tmp_path / "f-report.html"
    (tmp_path / "f-report.html").write_text("<p>my own, too")
    (tmp_path / "f-report-2.html").mkdir()
    assert report_path(tmp_path / "f.h5") == tmp_path / "f-report-3.html"


def test_histogram_stacks_every_score_once():
    svg = histogram([0.1, 0.1, 0.5, 1.0], [0.0, 0.1], num_bins=10)
    heights = [float(h) for h in re.findall(r'class="(?:kept|other)".*?height="([\d.]+)"', svg)]
    # Three scores lie in the fullest bin, which is 185 units tall; all six are somewhere.
    assert sum(heights) == pytest.approx(6 / 3 * 185, abs=0.5)
    assert len(re.findall('class="kept"', svg)) == 3
    assert len(re.findall('class="other"', svg)) == 2


def test_histogram_of_one_score_is_one_bar():
    assert histogram([0.4], []).count("<rect") == 1
