"""A set sent to a store, or fetched from it, by a run that was killed between two steps; pages with many images."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from celebahq_builder.build import build
from celebahq_builder.commands.verify import VerifyConfig, verify
from celebahq_builder.config import BuildConfig
from celebahq_builder.hdf5 import DatasetError, open_dataset
from celebahq_builder.report import build_report
from celebahq_builder.sources import remote
from celebahq_builder.stores import fetch
from celebahq_builder.stores.place import Place
from celebahq_builder.stores.upload_record import UploadRecord, read_record, shards_in_store


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


@pytest.fixture
def killed(monkeypatch):
    """A function: the next run ends where it would note that a name is there."""

    def at(name):
        plain = UploadRecord.confirm

        def confirm(self, this, *args):
            if this == name:
                monkeypatch.setattr(UploadRecord, "confirm", plain)
                raise KeyboardInterrupt
            plain(self, this, *args)

        monkeypatch.setattr(UploadRecord, "confirm", confirm)

    return at


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


def test_killed_before_the_last_file_was_noted_the_same_command_goes_on(config, store, killed):
    build(config)
    killed("faces.h5")
    with pytest.raises(KeyboardInterrupt):
        build(replace(config, keep=3))
    assert len(open_dataset(store / "faces.h5")) == 3  # it had arrived
    build(replace(config, keep=3))
    assert verify(VerifyConfig(store / "faces.h5"))
    assert shards_in_store(config.work / "faces.h5") == {"faces-00000-of-00002-r2.h5", "faces-00001-of-00002-r2.h5"}
    assert not any("-of-" in name and "-r2" not in name for name in names(store))


@pytest.mark.parametrize("last", ["faces-00000-of-00002.h5", "faces.h5"])
def test_killed_while_it_was_fetched_the_same_command_goes_on(config, store, sheets, killed, trouble, last):
    build(config)
    before = {name: (store / name).read_bytes() for name in names(store)}
    shutil.rmtree(config.work)
    trouble["worked on"].clear()
    killed(last)
    with pytest.raises(KeyboardInterrupt):
        build(config)
    build(config)
    now = {name: (store / name).read_bytes() for name in names(store)}
    assert now == before and not trouble["worked on"]
    assert set(read_record(config.work / "faces.h5").joined) == {name for name in before if "-of-" in name}


def test_tag_of_encrypted_bytes_does_not_refuse_an_object_and_damaged_bytes_are_refused(dataset, monkeypatch, tmp_path):
    monkeypatch.setenv("CELEBAHQ_DATASET_CACHE", str(tmp_path / "cache"))
    system, _ = remote.open_url("memory://encrypted/faces.h5")
    system.pipe_file("/encrypted/faces.h5", dataset.read_bytes())
    plain, read = Place.listing, fetch.read_part
    tagged = lambda self, *more: {k: v | {"ETag": f'"{"0" * 32}"'} for k, v in plain(self, *more).items()}  # noqa: E731
    monkeypatch.setattr(Place, "listing", tagged)
    monkeypatch.setattr(fetch, "read_part", lambda *args: read(*args)[:-1] + b"?")
    with pytest.raises(DatasetError, match="with other bytes than its etag says"):
        open_dataset("memory://encrypted/faces.h5")
    monkeypatch.setattr(fetch, "read_part", read)
    with open_dataset("memory://encrypted/faces.h5") as found, open_dataset(dataset) as here:
        assert len(found) == len(here)
