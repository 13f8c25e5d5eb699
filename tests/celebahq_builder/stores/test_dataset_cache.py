"""Datasets named by a URL: every command reads them from a copy that is fetched once, gone on with, and checked."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetError, open_dataset
from celebahq_builder.sources import remote
from celebahq_builder.stores import checksums, fetch

URL = "s3://photos/sets/faces.h5"


@pytest.fixture
def sent(dataset, store, flaky, tmp_path, monkeypatch):
    """Twelve faces with labels in the store, and the same file here."""
    monkeypatch.setenv("CELEBAHQ_DATASET_CACHE", str(tmp_path / "cache"))
    for path, name in ((dataset, "faces.h5"), (dataset.with_name("scored-labels.npy"), "faces-labels.npy")):
        store.upload_file(str(path), "photos", f"sets/{name}")
    yield dataset
    for item in store.list_objects_v2(Bucket="photos").get("Contents", []):
        store.delete_object(Bucket="photos", Key=item["Key"])


def test_commands_and_open_dataset_read_a_url_and_fetch_it_once(sent, store, flaky, tmp_path, run, capsys):
    assert run("verify", URL) == 0
    asked = flaky.asked["faces.h5"], flaky.asked["faces-labels.npy"]
    assert run("info", URL) == 0 and run("compare", URL, sent) == 0
    assert run("select", URL, "--output", tmp_path / "some.h5", "--top", "3") == 0
    with open_dataset(URL) as dataset, open_dataset(sent) as here:
        assert dataset.path.is_relative_to(tmp_path / "cache")
        np.testing.assert_array_equal(dataset.read(16, range(12)), here.read(16, range(12)))
    assert asked == (flaky.asked["faces.h5"], flaky.asked["faces-labels.npy"]) > (0, 0)
    assert "fetching" in capsys.readouterr().out


def test_changed_dataset_is_fetched_again_and_an_unreachable_store_leaves_the_copy(
    sent, store, flaky, tmp_path, logged
):
    with open_dataset(URL) as dataset:
        assert len(dataset) == 12
    flaky.faults["photos"] = 10_000
    with open_dataset(URL) as dataset:
        assert len(dataset) == 12
    assert any("is used" in record.getMessage() for record in logged)
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(DatasetError, match=r"^got s3://photos/sets/faces\.h5 \("):
        open_dataset(URL)
    flaky.faults.clear()
    open_dataset(URL).close()
    store.put_object(Bucket="photos", Key="sets/faces.h5", Body=b"no dataset")
    with pytest.raises(DatasetError, match="not HDF5"):
        open_dataset(URL)


def test_full_disk_is_one_line_that_names_the_file_and_the_same_call_goes_on(sent, tmp_path, monkeypatch):
    with (
        monkeypatch.context() as full,
        pytest.raises(DatasetError, match=r"faces\.h5: needs .*; free some space, or set CELEB"),
    ):
        full.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, 100))
        open_dataset(URL)
    resource = pytest.importorskip("resource")
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, most))
    try:
        with pytest.raises(DatasetError, match=r"faces\.h5\.partial: File too large; put that right$"):
            open_dataset(URL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    open_dataset(URL).close()


def test_resets_pass_unseen_and_what_was_fetched_before_the_end_is_not_fetched_again(
    sent, flaky, tmp_path, monkeypatch
):
    size = sent.stat().st_size
    for module in (checksums, fetch):
        monkeypatch.setattr(module, "PART_BYTES", 1000)
    flaky.faults["faces.h5"] = 3
    reads, count = [], 0
    plain = fetch.read_part

    def ends(system, place, first, stop):
        nonlocal count
        count += 1
        if count > 12:
            raise KeyboardInterrupt
        return plain(system, place, first, stop)

    monkeypatch.setattr(fetch, "_AT_ONCE", 1)
    monkeypatch.setattr(fetch, "read_part", ends)
    with pytest.raises(KeyboardInterrupt):
        open_dataset(URL)

    def counted(system, place, first, stop):
        reads.append((Path(place).name, first))
        return plain(system, place, first, stop)

    monkeypatch.setattr(fetch, "read_part", counted)
    with open_dataset(URL) as dataset:
        assert dataset.path.read_bytes() == sent.read_bytes()
    assert [first for name, first in reads if name == "faces.h5"] == list(range(12_000, size, 1000))


def test_bytes_that_were_damaged_on_the_way_are_refused(sent, monkeypatch):
    plain = fetch.read_part
    monkeypatch.setattr(fetch, "read_part", lambda *args: plain(*args)[:-1] + b"?")
    with pytest.raises(DatasetError, match=r"faces\.h5 with other bytes than its etag says"):
        open_dataset(URL)


def test_set_without_one_of_its_shards_is_one_line(tmp_path, flaky, store, monkeypatch, made_photos, trouble):
    from celebahq_builder.build import build
    from celebahq_builder.config import BuildConfig

    monkeypatch.setenv("CELEBAHQ_DATASET_CACHE", str(tmp_path / "cache"))
    build(BuildConfig(input=made_photos, output=tmp_path / "s.h5", resolution=16, restore="off", workers=0, shards=2))
    system, _ = remote.open_url("memory://lost/s.h5")
    for name in ("s.h5", "s-00000-of-00002.h5"):
        system.pipe_file(f"/lost/{name}", (tmp_path / name).read_bytes())
    with pytest.raises(DatasetError, match=r"memory://lost/s\.h5 without s-00001-of-00002\.h5"):
        open_dataset("memory://lost/s.h5")
    system.pipe_file("/lost/s-00001-of-00002.h5", (tmp_path / "s-00001-of-00002.h5").read_bytes())
    with open_dataset("memory://lost/s.h5") as dataset:
        assert len(dataset) == 4
