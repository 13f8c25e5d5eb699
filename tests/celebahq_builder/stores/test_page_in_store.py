"""A page of so many faces that its images lie beside it goes to a store and back with its set."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.report import build_report


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A folder that a URL names: such a store states no checksums."""
    monkeypatch.setenv("CELEBAHQ_DATASET_CACHE", str(tmp_path / "cache"))
    return tmp_path / "store"


@pytest.fixture
def config(store, made_photos, trouble, tmp_path):
    output = Path(f"file://{store}/faces.h5")
    return BuildConfig(
        input=made_photos, output=output, work=tmp_path / "work", resolution=16, restore="off", workers=0, shards=2
    )


@pytest.fixture
def sheets(monkeypatch):
    """Pages of more than two faces keep their images beside them."""
    monkeypatch.setattr(build_report, "MOST_IN_PAGE", 2)


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_images_of_a_page_of_many_faces_go_along_are_fetched_and_are_swept(config, store, sheets, trouble):
    build(config)
    first = {name for name in names(store) if name.startswith("faces-report-files/")}
    assert len(first) == 1 and first <= names(config.work)
    (store / "faces-report-files" / "of somebody.txt").write_text("theirs")
    shutil.rmtree(config.work)
    trouble["worked on"].clear()
    build(config)
    assert not trouble["worked on"] and names(store) - names(config.work) == {"faces-report-files/of somebody.txt"}
    build(replace(config, keep=3))
    now = {name for name in names(store) if name.startswith("faces-report-files/")}
    assert len(now) == 2 and not first & now and "faces-report-files/of somebody.txt" in now
