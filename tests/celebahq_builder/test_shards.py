"""--shards: several files that are one dataset; which set is the dataset changes in one step, whatever is killed."""

import contextlib
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder import build as module
from celebahq_builder.build import build
from celebahq_builder.commands.merge import MergeConfig, merge
from celebahq_builder.commands.select import SelectConfig, select
from celebahq_builder.commands.verify import VerifyConfig, verify
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5 import DatasetError, open_dataset
from celebahq_builder.hdf5_format.shards import bounds


@pytest.fixture(autouse=True)
def no_page(monkeypatch):
    """A page takes longer than all else here, and is the same."""
    monkeypatch.setattr(
        module, "_write_report", lambda config, rows, choice, *kept: config.output.with_name("report.html")
    )


@pytest.fixture
def built(sequence):
    """A build of six faces in three shards, and the same in one file."""
    one = replace(sequence.config, output=sequence.folder / "one.h5")
    build(one)
    sequence.set(shards=3)
    build(sequence.config)
    return sequence.config.output, one.output


def shards(output: Path) -> list[str]:
    return sorted(path.name for path in output.parent.glob(f"{output.stem}-0*"))


def test_bounds_cover_every_row_once_and_differ_by_one_row():
    for num_faces, count in ((12, 12), (7, 3), (10_001, 2)):
        parts = bounds(num_faces, count)
        assert [row for first, stop in parts for row in range(first, stop)] == list(range(num_faces))
        assert {stop - first for first, stop in parts} <= {num_faces // count, -(-num_faces // count)}


def test_shards_hold_the_bytes_of_one_file_in_its_order_and_each_is_a_dataset(built):
    output, one = built
    assert shards(output) == [f"f-0000{k}-of-00003.h5" for k in range(3)]
    with h5py.File(output) as joined, h5py.File(one) as whole:  # as a reader of 2017 opens them
        for name in [key for key in whole if key.startswith("data")]:
            assert joined[name].is_virtual and not whole[name].is_virtual
            for i in range(6):
                np.testing.assert_array_equal(joined[name][i], whole[name][i])
    with open_dataset(output) as joined, open_dataset(one) as whole:
        np.testing.assert_array_equal(joined.read(32, [5, 0, 3, 3, 1]), whole.read(32, [5, 0, 3, 3, 1]))
        np.testing.assert_array_equal(joined.read(1, range(6)), whole.read(1, range(6)))
        for k, name in enumerate(shards(output)):
            with open_dataset(output.with_name(name)) as shard:
                np.testing.assert_array_equal(shard.read(32, [0, 1]), whole.read(32, [2 * k, 2 * k + 1]))
                assert shard.faces["source"].tolist() == whole.faces["source"][2 * k : 2 * k + 2].tolist()


def test_every_command_takes_shards_as_it_takes_one_file(built, tmp_path, run, capsys):
    output, one = built
    assert run("info", output) == run("verify", output) == 0
    assert run("preview", output, "--output", tmp_path / "p.png") == 0
    assert run("extract", output, "--output", tmp_path / "x") == 0
    assert run("compare", output, one) == 0
    out = capsys.readouterr().out
    assert "3, the first is f-00000-of-00003.h5" in out and "shards      ok" in out and "the faces are the same" in out
    assert all(verify(VerifyConfig(file=output.with_name(name))) for name in shards(output))
    assert run("convert", output, "--to", "stylegan-zip", "--output", tmp_path / "f.zip") == 0
    assert run("select", output, "--where", "row < 5", "--output", tmp_path / "five.h5") == 0
    assert run("sort", tmp_path / "f.h5", "--ascending", "--output", tmp_path / "sorted.h5") == 0
    merge(MergeConfig(files=(output.with_name("five.h5"), output), output=tmp_path / "both.h5"))
    assert run("compare", tmp_path / "both.h5", one) == 0
    assert run("import", output, "--output", tmp_path / "imported.h5") == 0


def test_training_reads_shards_also_from_other_processes_and_threads(built):
    import pickle
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from train.data import RealFaces

    output, one = built
    with open_dataset(output) as joined, open_dataset(one) as whole:
        copy = pickle.loads(pickle.dumps(joined))
        np.testing.assert_array_equal(copy.read(16, [4, 1]), whole.read(16, [4, 1]))
        with ThreadPoolExecutor(4) as pool:
            for found in pool.map(lambda _: joined.read(32, [5, 2, 0]), range(20)):
                np.testing.assert_array_equal(found, whole.read(32, [5, 2, 0]))
        faces = [RealFaces(dataset, torch.device("cpu"), 0, resident_bytes=0) for dataset in (joined, whole)]
        assert torch.equal(*(found.batch(32, 0, 4).reals for found in faces))


def damage(path: Path, kind: str) -> None:
    if kind == "missing":
        path.unlink()
    elif kind == "link":
        shutil.move(path, path.parent / "elsewhere")
        path.symlink_to(path.parent / "elsewhere")
    elif kind == "truncated":
        os.truncate(path, path.stat().st_size - 100)
    elif kind == "of another set":
        with h5py.File(path, "r+") as file:
            file.attrs["shard_set"] = "0" * 32
    elif kind == "shorter":
        with h5py.File(path, "r+") as file:
            file["data32x32"].resize(1, axis=0)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "missing, expected the shard with rows 2..3 of f.h5"),
        ("link", "got a link, expected the shard with rows 2..3 of f.h5"),
        ("truncated", "not HDF5, or cut short, .*the shard with rows 2..3 of f.h5"),
        ("of another set", "got a shard of another set .*, expected rows 2..3 of f.h5"),
        ("shorter", "got 1 rows in data32x32, expected rows 2..3 of f.h5"),
    ],
)
def test_shard_that_is_not_whole_is_named_in_one_line_and_never_read_as_black(built, run, capsys, kind, words):
    output, _ = built
    opened = open_dataset(output)
    opened.read(32, [0])
    damage(output.with_name("f-00001-of-00003.h5"), kind)
    for reading in (lambda: open_dataset(output), lambda: opened.read(32, [3])):
        with pytest.raises(DatasetError, match=r"f-00001-of-00003\.h5: "):
            reading()
    with pytest.raises(DatasetError, match=rf"f-00001-of-00003\.h5: {words}"):
        open_dataset(output)
    capsys.readouterr()
    assert run("info", output) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_shard_of_that_name_in_the_current_folder_is_not_read_instead(built, tmp_path, monkeypatch):
    output, _ = built  # HDF5 itself would look there, and where HDF5_VDS_PREFIX says
    (tmp_path / "here").mkdir()
    shutil.move(output.with_name("f-00001-of-00003.h5"), tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HDF5_VDS_PREFIX", str(tmp_path / "here"))
    with pytest.raises(DatasetError, match=r"f-00001-of-00003\.h5: missing"):
        open_dataset(output)


@pytest.mark.parametrize(
    ("source", "rows"), [("f-00001-of-00003.h5", 6), ("f-00000-of-00001.h5", 3), ("../f-00000-of-00001.h5", 6)]
)
def test_virtual_levels_that_join_anything_but_whole_shards_in_order_are_refused(built, source, rows):
    output, one = built
    shutil.copy(one, output.with_name("f-00000-of-00001.h5"))
    with h5py.File(output, "r+") as file:
        del file["data8x8"]
        layout = h5py.VirtualLayout((6, 3, 8, 8), np.uint8)
        layout[:rows] = h5py.VirtualSource(source, "data8x8", (6, 3, 8, 8))[:rows]
        file.create_virtual_dataset("data8x8", layout)
    with pytest.raises(DatasetError, match=r"f\.h5: got data8x8"):
        open_dataset(output)


def test_somebody_elses_file_of_a_shards_name_is_refused_before_any_work_and_stays(sequence, looked_at):
    foreign = sequence.folder / "f-00000-of-00002.h5"
    foreign.write_bytes(b"mine")
    sequence.set(shards="auto")
    with pytest.raises(BuildError, match=r"f-00000-of-00002\.h5: would be taken for a shard of f\.h5"):
        build(sequence.config)
    assert looked_at == [] and foreign.read_bytes() == b"mine" and not sequence.config.output.exists()


def test_more_shards_than_faces_and_odd_names_are_fine_and_numbers_below_one_are_not(sequence):
    with pytest.raises(BuildError, match="--shards: got 0, expected auto or a number from 1 to 99,999"):
        BuildConfig(input=Path("x"), shards=0)
    sequence.set(shards=50, output=sequence.folder / "50%b é.h5")
    build(sequence.config)
    assert len(shards(sequence.config.output)) == 6
    assert verify(VerifyConfig(file=sequence.config.output))
    with h5py.File(sequence.config.output) as file, open_dataset(sequence.config.output) as ours:
        np.testing.assert_array_equal(file["data32x32"][:], ours.read(32, range(6)))


def test_labels_and_masks_lie_in_every_shard(sequence, png):
    masks = sequence.folder / "masks"
    for i, name in enumerate(sequence.names()):
        path = masks / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(np.full((48, 48), i + 1, np.uint8)))
    sequence.set(labels="folders", masks=masks, shards=2)
    build(sequence.config)
    assert verify(VerifyConfig(file=sequence.config.output))
    with open_dataset(sequence.config.output) as whole:
        assert whole.has_masks and whole.labels.shape == (6, 2)
        for k, name in enumerate(shards(sequence.config.output)):
            with open_dataset(sequence.config.output.with_name(name)) as shard:
                rows = range(3 * k, 3 * k + 3)
                np.testing.assert_array_equal(shard.labels, whole.labels[rows])
                assert shard.label_names == whole.label_names == ("a", "b")
                np.testing.assert_array_equal(shard.read_masks(range(3)), whole.read_masks(rows))
    select(SelectConfig(file=sequence.config.output, output=sequence.folder / "s.h5", top=4))
    with open_dataset(sequence.folder / "s.h5") as some:
        assert some.has_masks and len(some) == 4


def test_output_that_is_a_link_keeps_its_shards_beside_the_file_it_leads_to(sequence, tmp_path):
    (tmp_path / "disk").mkdir()
    sequence.config.output.symlink_to(tmp_path / "disk" / "big.h5")
    sequence.set(shards=2)
    build(sequence.config)
    assert shards(tmp_path / "disk" / "big.h5") == ["big-00000-of-00002.h5", "big-00001-of-00002.h5"]
    assert verify(VerifyConfig(file=sequence.config.output)) and shards(sequence.config.output) == []


def ended_at(step: int, config: BuildConfig) -> bool:
    """Build in another process, which ends without a word before its n-th change of the disk; say whether it came."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    left = [step]

    def counted(function):
        def wrapped(*args, **more):
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return function(*args, **more)

        return wrapped

    for owner, name in ((Path, "replace"), (Path, "unlink"), (os, "fsync")):
        setattr(owner, name, counted(getattr(owner, name)))
    with contextlib.suppress(BaseException):
        build(config)
    os._exit(0)


@pytest.mark.parametrize(
    ("change", "stride"),
    [
        ("keep", 13),
        *(pytest.param(c, 1, marks=pytest.mark.slow) for c in ("keep", "shards", "to one file", "from one file")),
    ],
)
def test_kill_at_any_step_leaves_the_old_set_or_the_new_one_whole(sequence, rebuilding, tmp_path, change, stride):
    sequence.set(shards=None if change == "from one file" else 2)
    build(sequence.config)
    before = tmp_path / "before"
    shutil.copytree(sequence.folder, before, ignore=shutil.ignore_patterns("before"))
    goals = {"keep": {"keep": 5}, "shards": {"shards": 3}, "to one file": {"shards": None}}
    new = replace(sequence.config, **goals.get(change, {"shards": 2}))
    fresh = rebuilding.from_scratch(new, tmp_path / "fresh")
    with open_dataset(sequence.config.output) as old, open_dataset(fresh) as wanted:
        faces = {"old": old.read(32, range(len(old))), "new": wanted.read(32, range(len(wanted)))}
    seen, step = set(), 1 - stride
    while ended_at(step := step + stride, new):
        with open_dataset(sequence.config.output) as now:
            found = now.read(32, range(len(now)))
        seen.add(next(name for name, whole in faces.items() if np.array_equal(whole, found)))
        if step % 3 == 0:  # else the next one begins with what this one left
            build(new)
            assert rebuilding.differences(new.output, fresh) == []
            left = {path.name.removesuffix(".partial") for path in new.output.parent.glob("f-0*")}
            assert len(left) == (new.shards or 0) and not new.build_folder.exists(), left
            for path in tmp_path.glob("f*h5*"):
                path.unlink()
            for path in before.glob("f*"):
                shutil.copy2(path, tmp_path)
    assert step > 10 and seen == ({"old", "new"} if change == "keep" else {"old"})  # the others hold the same faces


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 9))
def test_random_changes_and_kills_end_as_a_build_from_scratch(tmp_path, png, looked_at, rebuilding, seed):
    sequence = rebuilding.Sequence(tmp_path, seed, png, shards=2)
    rng = random.Random(seed)
    for step in range(4):
        for _ in range(2 if step else 0):
            sequence.change()
        for _ in range(3):
            ended_at(rng.randint(1, 40), sequence.config)
            if sequence.config.output.exists():
                with open_dataset(sequence.config.output) as now:
                    now.read(32, range(len(now)))
        with contextlib.suppress(BuildError):  # without a face
            build(sequence.config)
        fresh = rebuilding.from_scratch(sequence.config, tmp_path / f"fresh-{step}")
        if fresh is not None:
            assert rebuilding.differences(sequence.config.output, fresh) == []
            assert (
                len(shards(sequence.config.output)) == len(shards(fresh)) and not sequence.config.build_folder.exists()
            )
