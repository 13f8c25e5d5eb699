"""The catalogue: every published source is in it, named alike, and what it says of files is what their names say."""

import re
from pathlib import Path

import pytest

from zoo.catalog import NAME, read_catalog
from zoo.commands.sources_page import sources_page
from zoo.importers import LAYOUTS

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = read_catalog().entries
SOURCES = [(entry, source) for entry in ENTRIES.values() for source in entry.sources]
LSUN = """
    airplane bedroom bicycle bird boat bottle bridge bus car cat chair churchoutdoor classroom conferenceroom cow
    diningroom diningtable dog horse kitchen livingroom motorbike person pottedplant restaurant sheep sofa tower train
    tvmonitor
"""
"""The categories of the released networks."""


def test_released_networks_are_there_for_faces_and_thirty_categories():
    released = {name for name, entry in ENTRIES.items() if entry.family == "tkarras"}
    assert released == {"celebahq-1024"} | {f"lsun-{category}-256" for category in LSUN.split()}


def test_every_address_that_genforce_published_is_there(real_data):
    lines = (real_data / "genforce_pggan_urls.txt").read_text().splitlines()
    published = {line.split("\t")[2] for line in lines if line.strip()}
    assert len(published) == 31
    assert published == {source.url for entry, source in SOURCES if entry.family == "genforce"}


@pytest.mark.parametrize(
    ("family", "models"),
    {"gan_zoo": 4, "mmgen": 3, "gandissect": 7, "ganseeing": 8, "ptrblck": 1, "akanimax": 2, "huggan": 1}.items(),
)
def test_every_model_of_a_family_is_there(family, models):
    assert sum(entry.family == family for entry in ENTRIES.values()) == models


def test_a_hash_in_a_file_s_name_is_the_one_that_is_checked():
    named = [(source, re.search(r"-([0-9a-f]{8})\.pth$", source.file)) for _, source in SOURCES]
    assert sum(match is not None for _, match in named) == 4 + 2 * 3 + 2 * 8
    for source, match in named:
        assert source.sha256_prefix == (match and match[1])


def test_mirrors_of_one_file_say_the_same_of_it():
    for entry in ENTRIES.values():
        by_file = {}
        for source in entry.sources:
            known = (source.sha256_prefix, source.size, source.layout)
            assert by_file.setdefault(source.file, known) == known, entry.name


def test_names_are_dataset_resolution_origin():
    for name, entry in ENTRIES.items():
        assert NAME.fullmatch(name)
        assert entry.resolution >= 4 and entry.resolution & (entry.resolution - 1) == 0
        assert (entry.origin is None) == (entry.family == "tkarras")


def test_a_released_network_s_category_is_that_of_its_file():
    for entry, source in SOURCES:
        if match := re.search(
            r"lsun-(\w+)-256x256|pggan_([a-z]+)256|(?:proggan_)?([a-z]+)(?:_lsun|-[0-9a-f]{8})\.pth", source.file
        ):
            category = next(filter(None, match.groups())).replace("_", "")
            if entry.dataset.startswith("lsun-"):
                assert entry.dataset == f"lsun-{'churchoutdoor' if category == 'church' else category}", source.file


def test_every_license_of_weights_and_data_is_stated_and_the_page_s_sentence_on_use_holds():
    for entry in ENTRIES.values():
        assert entry.license and entry.data_license and entry.citation and entry.quality
        assert entry.non_commercial  # docs/zoo.md says so of all


def test_layouts_and_importers_know_each_other():
    layouts = read_catalog().layouts
    assert {key for key, layout in layouts.items() if not layout.missing} == {importer.NAME for importer in LAYOUTS}


def test_what_is_called_verified_has_a_test_that_compares_images():
    for key, layout in read_catalog().layouts.items():
        assert (layout.tests is None) == (layout.missing is not None), key
        if layout.tests:
            assert "1e-4" in (ROOT / layout.tests).read_text(), f"{layout.tests}: no comparison within 1e-4"


def test_documentation_is_what_the_catalogue_says():
    assert (ROOT / "docs" / "zoo.md").read_text() == sources_page(), "python -m zoo list --markdown > docs/zoo.md"


# Mistakes of whoever edits it.

TOML = """
[citation]
us = "us"
[dataset]
faces = "CC0"
[layout.ours]
title = "ours"
[family.ours]
layout = "ours"
publisher = "us"
home = ""
license = "CC0"
non_commercial = false
citation = "us"
quality = "good"
"""
MODEL = '[[model]]\nname = "faces-32.ours"\nfamily = "ours"\nsources = [{ url = "http://x/faces.pth" }]\n'


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (MODEL.replace("url", "ulr"), "expected one with just one of url, hub and manual"),
        (MODEL.replace('faces.pth"', 'faces.pth", sha265 = "0"'), "unknown field sha265"),
        (MODEL.replace("[{", '[{ layout = "theirs",'), "layout 'theirs' is not described"),
        (MODEL.replace("faces-32.ours", "faces_32"), r"expected dataset-resolution\[\.origin\]"),
        (MODEL.replace('"http://x/faces.pth"', '"http://x/", file = "../faces.pth"'), "as the name of a file"),
        (MODEL * 2, "comes twice"),
    ],
)
def test_a_mistake_in_the_catalogue_is_named(tmp_path, wrong, said):
    path = tmp_path / "catalog.toml"
    path.write_text(TOML + MODEL)
    assert list(read_catalog(path).entries) == ["faces-32.ours"]
    path = tmp_path / "wrong.toml"
    path.write_text(TOML + wrong)
    with pytest.raises(ValueError, match=said):
        read_catalog(path)
