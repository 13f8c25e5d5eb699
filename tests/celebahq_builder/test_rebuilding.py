"""The same command after a finished build: whatever changed, it ends as a build from scratch does, kills included."""

import contextlib
import json
import os
import random
import signal
import time
from dataclasses import replace

import h5py
import pytest

from celebahq_builder import build as module
from celebahq_builder import process_photos
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5_format.partial_file import PartialFile
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.manifest import ManifestWriter


class Killed(BaseException):
    """Ends a build wherever it is."""


def killed_at(moment, config, monkeypatch):
    """Build, but end it at one moment of those at which something is put onto the disk; say whether it came."""
    left = [moment]

    def ending(function):
        def wrapped(*args, **more):
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            result = function(*args, **more)
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return result

        return wrapped

    with monkeypatch.context() as patch:
        for owner, name in (
            *((BuildFolder, "write_face"), (BuildFolder, "remove"), (BuildFolder, "remove_all_faces_but")),
            *((ManifestWriter, "append"), (PartialFile, "publish"), (module, "write_row_tables")),
            (process_photos, "write_manifest"),
        ):
            patch.setattr(owner, name, ending(getattr(owner, name)))
        try:
            build(config)
        except Killed:
            return True
        except BuildError as error:
            assert "no face in the" in str(error)
        return False


def killed_after(seconds, config):
    """Build in another process and kill it with SIGKILL; say whether that came before its end."""
    process = os.fork()
    if process == 0:
        with contextlib.suppress(BaseException):
            build(config)
        os._exit(0)
    time.sleep(seconds)
    os.kill(process, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


@pytest.fixture(autouse=True)
def no_page(request, rebuilding, monkeypatch):
    """The page is not what this is about, but for the random changes, which would find a fault in it."""
    if "random" not in request.node.originalname:
        rebuilding.without_page(monkeypatch)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 24))])
def test_random_changes_with_kills_in_between_equal_a_build_from_scratch(
    tmp_path, png, looked_at, monkeypatch, rebuilding, seed
):
    sequence = rebuilding.Sequence(tmp_path, seed, png, faces=("largest", "all")[seed % 2])
    rng, output, there = random.Random(seed), sequence.config.output, False
    for step in range(5):
        changes = [sequence.change() for _ in range(rng.randint(1, 2))] if step else []
        before = output.read_bytes() if there else None
        for _ in range(4):
            if seed % 4 // 2:
                killed = killed_after(rng.uniform(0, 2), sequence.config)
            else:
                killed = killed_at(rng.randint(1, 40), sequence.config, monkeypatch)
            if before is not None and output.read_bytes() != before:
                before = None  # the new one is whole: what follows may not lose it
            assert output.exists() or not there
            if not killed:
                break
        with contextlib.suppress(BuildError):  # without a face
            build(sequence.config)
        fresh = rebuilding.from_scratch(sequence.config, tmp_path / f"fresh-{step}")
        if fresh is None:
            assert before is None or output.read_bytes() == before, "a build without a face took the file along"
            continue
        there = True
        assert rebuilding.differences(output, fresh) == [], (step, changes)
        assert not sequence.config.build_folder.exists() and not list(tmp_path.glob("*.partial"))


def test_more_and_fewer_photos_look_at_the_new_ones_alone(sequence, looked_at):
    sequence.rebuild(looked_at)
    sequence.add()
    sequence.add()
    assert sequence.rebuild(looked_at) == sequence.names()[4:5] + sequence.names()[-1:]
    (sequence.photos / sequence.names()[0]).unlink()
    assert sequence.rebuild(looked_at) == []
    assert sequence.rebuild(looked_at) == []


def test_larger_keep_renders_what_was_beaten_and_nothing_else(sequence, looked_at):
    sequence.set(keep=3)
    sequence.rebuild(looked_at)
    beaten = {row["source"] for row in sequence.rows().values() if row["status"] == "beaten"}
    sequence.set(keep=4)
    (again,) = sequence.rebuild(looked_at)
    assert again in beaten
    sequence.set(keep=2, compression="gzip")
    assert sequence.rebuild(looked_at) == []


def test_other_thresholds_look_again_at_the_photos_they_decide_about(sequence, looked_at):
    sequence.set(max_invented=1.0, keep=20)
    sequence.rebuild(looked_at)
    cut = {row["source"] for row in sequence.rows().values() if row["invented"] and row["invented"] > 0.1}
    assert cut and len(cut) < len(sequence.names())
    sequence.set(max_invented=0.1)
    assert sequence.rebuild(looked_at) == sorted(cut)
    sequence.set(max_invented=1.0)
    assert sequence.rebuild(looked_at) == sorted(cut)
    small = min(row["eye_distance"] for row in sequence.rows().values() if row["status"] == "kept")
    sequence.set(min_face=small + 0.01)
    assert 0 < len(sequence.rebuild(looked_at)) < 4


def test_smaller_min_face_than_was_looked_for_asks_for_another_output(sequence, looked_at):
    build(sequence.config)
    sequence.set(min_face=9.0)
    build(sequence.config)
    with h5py.File(sequence.config.output) as file:
        options = json.loads(file.attrs["config"])
    assert (options["min_face"], options["looked_for"]) == (9.0, 5.0)
    sequence.set(min_face=6.0)
    build(sequence.config)
    sequence.set(min_face=4.0)
    said = r"--min-face: got 4, expected at least 5: the faces of .*f\.h5 were looked for from there up; .*another"
    with pytest.raises(BuildError, match=said):
        build(sequence.config)


@pytest.mark.parametrize(("option", "value"), [("resolution", 16), ("geometry", "ffhq"), ("faces", "all")])
def test_options_that_change_pixels_ask_for_another_output_and_say_which(sequence, option, value):
    build(sequence.config)
    before = sequence.config.output.read_bytes()
    sequence.set(**{option: value})
    with pytest.raises(BuildError, match=rf"--{option}: .* this command says {value}; .* choose another --output"):
        build(sequence.config)
    assert sequence.config.output.read_bytes() == before


def test_input_without_any_of_the_photos_is_refused_and_the_file_stays(sequence, tmp_path, png, rebuilding):
    build(sequence.config)
    before = sequence.config.output.read_bytes()
    rebuilding.make_photo(tmp_path / "other" / "z.png", 1, png)
    sequence.set(input=tmp_path / "other")
    with pytest.raises(BuildError, match=r"--input: got .*other with none of the 8 photos that .*f.h5 was made from"):
        build(sequence.config)
    assert sequence.config.output.read_bytes() == before


def test_file_of_before_without_rows_is_left_alone_or_built_again_in_one_line(sequence, looked_at, logged):
    build(sequence.config)
    output = sequence.config.output
    with h5py.File(output, "r+") as file:
        del file["rows"]
    before = output.read_bytes()
    del looked_at[:]
    build(sequence.config)
    assert output.read_bytes() == before and looked_at == []
    sequence.add()
    assert sequence.rebuild(looked_at) == sequence.names()
    assert any("kept no rows to go on from; all photos are looked at again" in line.getMessage() for line in logged)


def test_faces_of_an_older_score_are_scored_anew_and_other_rows_stay(sequence, looked_at, monkeypatch):
    build(sequence.config)
    used = {row["source"] for row in sequence.rows().values() if row["score"] is not None}
    assert 0 < len(used) < len(sequence.names())
    monkeypatch.setattr(module, "SCORE_VERSION", module.SCORE_VERSION + 1)
    del looked_at[:]
    build(sequence.config)
    assert looked_at == [], "a finished file is left alone"
    sequence.add()
    assert sequence.rebuild(looked_at) == sorted(used | {"a/08.png"})


def test_refuse_decides_by_the_rows_and_taken_back_renders_only_what_is_missing(sequence, looked_at, logged):
    sequence.set(keep=50)
    sequence.rebuild(looked_at)
    marked = [name for name, row in sequence.rows().items() if "gray" in row["marks"].split()]
    assert 0 < len(marked) < len([row for row in sequence.rows().values() if row["status"] == "kept"])
    sequence.set(refuse=("gray",))
    assert sequence.rebuild(looked_at) == [], "no photo is looked at"
    rows = sequence.rows()
    for name in marked:
        assert (rows[name]["status"], rows[name]["reason"], rows[name]["row"]) == ("refused", "marked gray", -1)
        assert rows[name]["score"] is not None
    result = build(replace(sequence.config, output=sequence.folder / "other.h5"))
    assert result.refused["marked gray"] == len(marked) and "gray" not in result.marks
    assert any(line.getMessage().strip().endswith("refused: marked gray") for line in logged)
    sequence.listed("include", marked[0])
    assert sequence.rebuild(looked_at) == [marked[0].split("#")[0]]
    assert sequence.rows()[marked[0]]["status"] == "kept", "a person knows better"
    sequence.set(refuse=(), include=None)
    assert sequence.rebuild(looked_at) == sorted({name.split("#")[0] for name in marked[1:]})


def test_marks_of_another_version_are_unknown_until_refuse_asks_for_them(sequence, looked_at, monkeypatch):
    sequence.set(keep=50)
    build(sequence.config)
    with h5py.File(sequence.config.output, "r+") as file:  # as of before, when nothing was marked
        del file.attrs["marks_version"], file["faces/marks"]
        marks = file["rows/marks"]
        marks[:] = [""] * len(marks)
        recipe = json.loads(file.attrs["config"])
        del recipe["refuse"]
        file.attrs["config"] = json.dumps(recipe)
    before = sequence.config.output.read_bytes()
    del looked_at[:]
    build(sequence.config)
    assert looked_at == [] and sequence.config.output.read_bytes() == before, "a finished file is left alone"
    sequence.add()
    build(sequence.config)
    assert looked_at == [sequence.names()[4]] == ["a/08.png"]
    known = {name: row["marks"] for name, row in sequence.rows().items() if row["status"] == "kept"}
    assert known.pop("a/08.png#0") != "unmeasured" and set(known.values()) == {"unmeasured"}
    sequence.set(refuse=("gray",))
    assert sequence.rebuild(looked_at) == sorted({name.split("#")[0] for name in known})
    assert "unmeasured" not in {row["marks"] for row in sequence.rows().values()}


def test_damaged_face_of_the_file_is_one_line_and_nothing_is_lost(sequence, monkeypatch):
    from celebahq_builder.hdf5 import Dataset, DatasetError

    build(sequence.config)
    before = sequence.config.output.read_bytes()
    sequence.add()
    with monkeypatch.context() as patch:
        patch.setattr(Dataset, "read", lambda *args: (_ for _ in ()).throw(DatasetError("f.h5: got damaged rows")))
        with pytest.raises(BuildError, match="got damaged rows; move it away, and the same command makes all faces"):
            build(sequence.config)
    assert sequence.config.output.read_bytes() == before
    build(sequence.config)


def test_listed_face_may_be_smaller_than_before(tmp_path, png, rebuilding):
    rebuilding.make_photo(tmp_path / "p" / "0.png", 0, png)
    points = " ".join(f"{x:g} {y:g}" for x, y in (rebuilding.FACE + 24).tolist())
    (tmp_path / "l.txt").write_text(f"1\nnames\n0.png {points}\n")
    config = BuildConfig(
        input=tmp_path / "p", output=tmp_path / "f.h5", landmarks=tmp_path / "l.txt", resolution=32, restore="off",
        workers=0, min_face=5.0, max_invented=1.0,
    )  # fmt: skip
    build(config)
    build(replace(config, min_face=4.0))
    assert (
        rebuilding.differences(config.output, rebuilding.from_scratch(replace(config, min_face=4.0), tmp_path / "x"))
        == []
    )
