"""celebahq-build --output URL: whatever fails or is killed on the way, the store holds a whole set under its name."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from celebahq_builder import build as module
from celebahq_builder.build import build
from celebahq_builder.commands.verify import VerifyConfig, verify
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.sources import remote

URL, OWNER = "s3://photos/sets/faces.h5", "faces.h5.owner.json"
ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from process_end import finish, wait_until  # noqa: E402


@pytest.fixture
def config(flaky, store, made_photos, trouble, tmp_path, monkeypatch):
    """A build of four faces to the store, which is empty."""
    monkeypatch.setenv("CELEBAHQ_DATASET_CACHE", str(tmp_path / "cache"))
    yield BuildConfig(
        input=made_photos, output=Path(URL), work=tmp_path / "work", resolution=16, restore="off", workers=0, shards=2
    )
    for item in store.list_objects_v2(Bucket="photos").get("Contents", []):
        store.delete_object(Bucket="photos", Key=item["Key"])


@pytest.fixture
def no_page(monkeypatch):
    """A page takes longer than all else here."""

    def write(config, rows, choice, *kept):
        from celebahq_builder.report.build_report import report_path

        page = report_path(config.output)
        page.write_text(f'<meta name="celebahq-build" content="{config.output.name}">{len(choice.kept)}')
        return page

    monkeypatch.setattr(module, "_write_report", write)


def there(store) -> dict[str, bytes]:
    """Name -> bytes of what the store holds beside the dataset."""
    items = store.list_objects_v2(Bucket="photos", Prefix="sets/").get("Contents", [])
    return {
        item["Key"].removeprefix("sets/"): store.get_object(Bucket="photos", Key=item["Key"])["Body"].read()
        for item in items
    }


def is_whole(store, folder: Path, num_faces: int) -> bool:
    """Say whether what the store holds is a dataset of so many faces that passes every check."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in there(store).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    with open_dataset(folder / "faces.h5") as dataset:
        return len(dataset) == num_faces and verify(VerifyConfig(folder / "faces.h5"))


def words(logged) -> str:
    return "\n".join(record.getMessage() for record in logged)


def test_full_disk_before_a_set_is_fetched_is_one_line_and_the_same_command_goes_on(
    config, no_page, tmp_path, monkeypatch
):
    build(config)
    shutil.rmtree(tmp_path / "work")
    with (
        monkeypatch.context() as full,
        pytest.raises(BuildError, match=r"needs .* are free; free some space and run the"),
    ):
        full.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(0, 0, 100))
        build(config)
    assert build(config).num_faces == 4


def test_set_in_the_store_is_the_set_on_this_machine_and_the_same_command_sends_nothing_again(
    config, store, flaky, tmp_path, logged
):
    result = build(config)
    assert (result.num_faces, result.url, result.output) == (4, URL, tmp_path / "work" / "faces.h5")
    found = there(store)
    assert {"faces.h5", "faces-00000-of-00002.h5", "faces-00001-of-00002.h5", "faces.h5.rows.csv"} <= found.keys()
    assert "faces-report.html" in found and "report.html" not in found
    assert b"--output s3://photos/sets/faces.h5" in found["faces-report.html"]
    for name, data in found.items():
        assert (tmp_path / "work" / name).read_bytes() == data
    assert is_whole(store, tmp_path / "copy", 4)
    flaky.sent.clear()
    assert build(config).num_faces == 4
    assert set(+flaky.sent) == {OWNER} and f"{URL} is complete already" in words(logged)


def test_resets_503s_and_slow_answers_while_sending_pass_unseen(config, store, flaky, tmp_path, no_page):
    flaky.methods, flaky.seconds = ("GET", "PUT", "POST", "HEAD"), 0.02
    flaky.faults.update({"faces.h5": 3, "faces-00000-of-00002.h5": 2, "faces-00001-of-00002.h5": 4, "sets": 2})
    build(config)
    assert not any(flaky.faults[name] for name in ("faces.h5", "faces-00000-of-00002.h5", "faces-00001-of-00002.h5"))
    assert is_whole(store, tmp_path / "copy", 4)


def test_store_that_stays_away_leaves_no_half_set_and_the_same_command_sends_what_is_missing(
    config, store, flaky, tmp_path, no_page, trouble
):
    flaky.methods = ("PUT",)
    flaky.faults["faces-00001-of-00002.h5"] = 10_000
    with pytest.raises(BuildError, match=r"faces-00001-of-00002\.h5: could not be sent .* the same command goes on"):
        build(config)
    assert there(store).keys() == {"faces-00000-of-00002.h5"}
    flaky.faults.clear()
    flaky.sent.clear()
    trouble["worked on"].clear()
    build(config)
    assert flaky.sent["faces-00000-of-00002.h5"] == 0 and not trouble["worked on"]
    assert is_whole(store, tmp_path / "copy", 4)


@pytest.mark.slow
@pytest.mark.parametrize("blocked", ["faces-00000-of-00001-r2.h5", "faces-00000-of-00001.h5", "faces.h5", "rows.csv"])
def test_set_of_before_stays_whole_until_the_next_one_is_there(config, store, flaky, tmp_path, no_page, blocked):
    config = replace(config, shards=1)
    build(config)
    flaky.methods = ("PUT",)
    if blocked == "faces-00000-of-00001.h5":  # two changes, of which the first never arrived
        flaky.faults["faces-00000-of-00001-r2.h5"] = 10_000
        with pytest.raises(BuildError):
            build(replace(config, keep=3))
        flaky.faults.clear()
        blocked = "faces-00000-of-00001-r3.h5"  # neither the one there nor the one here
    flaky.faults[blocked if blocked.startswith("faces") else "faces.h5.rows.csv"] = 10_000
    with pytest.raises(BuildError, match="could not be sent"):
        build(replace(config, keep=2))
    assert is_whole(store, tmp_path / "copy", 2 if blocked == "rows.csv" else 4)
    flaky.faults.clear()
    build(replace(config, keep=2))
    assert is_whole(store, tmp_path / "copy", 2)
    shards = [name for name in there(store) if "-of-" in name]
    assert len(shards) == 1 and there(store)["faces.h5.rows.csv"].count(b"kept") == 2


@pytest.mark.slow
def test_lost_work_folder_is_fetched_and_its_faces_are_not_made_again(config, store, flaky, tmp_path, trouble, logged):
    build(config)
    before = there(store)
    shutil.rmtree(config.work)
    trouble["worked on"].clear()
    flaky.sent.clear()
    build(config)
    assert not trouble["worked on"] and there(store) == before
    assert set(+flaky.sent) == {OWNER}
    assert f"{URL}: is there, and not in {config.work}" in words(logged)

    shutil.rmtree(config.work)
    (config.input / "e.jpg").write_bytes(b"photo e.jpg")
    build(config)
    assert trouble["worked on"] == ["e.jpg"]
    assert is_whole(store, tmp_path / "copy", 5)
    assert len(there(store)) == len(before)  # shards of before are gone


def test_what_others_put_there_is_not_overwritten(config, store, no_page, tmp_path):
    store.put_object(Bucket="photos", Key="sets/faces-00001-of-00002.h5", Body=b"somebody's")
    with pytest.raises(BuildError, match=r"sets/faces-00001-of-00002\.h5: exists already, and is not overwritten"):
        build(config)
    assert there(store) == {"faces-00001-of-00002.h5": b"somebody's"}
    store.delete_object(Bucket="photos", Key="sets/faces-00001-of-00002.h5")
    build(config)
    store.put_object(Bucket="photos", Key="sets/faces.h5", Body=b"somebody's")
    with pytest.raises(BuildError, match="which was changed since it was sent from"):
        build(config)
    with pytest.raises(BuildError, match=r"^--output: got s3://photos/sets/faces\.h5, no dataset .*not HDF5"):
        build(replace(config, work=tmp_path / "other"))
    assert there(store)["faces.h5"] == b"somebody's"


def test_work_folder_of_another_set_and_a_bucket_that_is_not_there_are_one_line(config, no_page, made_photos):
    build(config)
    with pytest.raises(BuildError, match=r"--work: got .*, where s3://photos/sets/faces\.h5 is made"):
        build(replace(config, output=Path("s3://photos/others/faces.h5")))
    with pytest.raises(BuildError, match=r"--output: got s3://no-such-bucket/a/faces\.h5 \(FileNotFoundError"):
        build(replace(config, output=Path("s3://no-such-bucket/a/faces.h5"), work=made_photos.parent / "w2"))


@pytest.mark.parametrize("url", ["memory://sets/faces.h5", "file://{}/far/away/faces.h5"])
def test_other_stores_take_a_set_by_a_name_of_its_own_first(config, tmp_path, no_page, url):
    url = url.format(tmp_path)
    table = tmp_path / "labels.csv"
    table.write_text("name,class\n" + "".join(f"{name}.jpg,{name}\n" for name in "abcd"))
    build(replace(config, output=Path(url), labels=str(table)))
    system, root = remote.open_url(url)
    folder = root.rpartition("/")[0]
    names = sorted(info["name"].rpartition("/")[2] for info in system.ls(folder, detail=True))
    assert "faces.h5" in names and "faces-labels.npy" in names and not any(name.endswith(".partial") for name in names)
    assert verify(VerifyConfig(Path(url)))
    build(replace(config, output=Path(url)))  # without labels: they go
    assert not system.exists(f"{folder}/faces-labels.npy") and verify(VerifyConfig(Path(url)))


@pytest.mark.slow
def test_killed_while_sending_the_same_command_sends_the_rest(config, store, flaky, tmp_path, no_page):
    flaky.methods = ("PUT",)
    config = replace(config, shards=4, resolution=64)
    flaky.faults.update({f"faces-0000{k}-of-00004.h5": 10_000 for k in range(4)})
    with pytest.raises(BuildError):  # made, and nothing sent
        build(config)
    flaky.faults.clear()
    command = [
        sys.executable,
        "-m",
        "celebahq_builder",
        "--input",
        config.input,
        "--output",
        URL,
        "--work",
        config.work,
    ]
    command += ["--resolution", "64", "--restore", "off", "--workers", "0", "--shards", "4"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    for arrived in (1, 2, 3):
        flaky.passes, flaky.held = 2, 0  # its owner.json and a shard
        process = subprocess.Popen(list(map(str, command)), env=environment, **pipes)
        wait_until(lambda: flaky.held, process)  # in the middle of the next one
        process.kill()
        process.communicate()
        assert there(store).keys() - {OWNER} == {f"faces-0000{k}-of-00004.h5" for k in range(arrived)}
    flaky.passes = None
    last = subprocess.Popen(list(map(str, command)), env=environment, **pipes)
    said, errors = finish(last)
    assert last.returncode == 0, said + errors
    assert "already finished, 4 faces" in said and f"{URL} is complete, each file checked" in said
    assert all(flaky.sent[f"faces-0000{k}-of-00004.h5"] == 1 for k in range(4)), flaky.sent
    assert is_whole(store, tmp_path / "copy", 4)
