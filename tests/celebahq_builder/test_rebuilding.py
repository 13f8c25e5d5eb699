"""The same command after a finished build: whatever changed, it ends as a build from scratch does, kills included."""

import importlib.util
import json
import random
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder import build as module
from celebahq_builder import landmarks, process_photos
from celebahq_builder import process_photo as process_photo_module
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5_format.partial_file import PartialFile
from celebahq_builder.hdf5_format.rows import read_rows
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.manifest import ManifestWriter


def load(name: str):
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


rebuilding = load("rebuilding")


@pytest.fixture
def looked_at(monkeypatch):
    """The detector replaced by one that needs no face; gives the names of the photos that were looked at."""
    names = []
    process_task = process_photo_module.process_task

    def counted(task):
        names.append(task.name)
        return process_task(task)

    monkeypatch.setattr(landmarks, "find_faces", rebuilding.found_faces)
    monkeypatch.setattr(process_photos, "process_task", counted)
    return names


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


@pytest.fixture
def sequence(tmp_path, png, looked_at):
    return rebuilding.Sequence(tmp_path, 0, png)


def rebuild(sequence, looked_at):
    """Build, compare with a build from scratch; return the photos that were looked at."""
    del looked_at[:]
    build(sequence.config)
    seen = sorted(looked_at)
    number = len(list(sequence.folder.glob("fresh*")))
    fresh = rebuilding.from_scratch(sequence.config, sequence.folder / f"fresh{number}")
    assert rebuilding.differences(sequence.config.output, fresh) == []
    return seen


def change(sequence, **options):
    sequence.config = replace(sequence.config, **options)


def rows_of(sequence):
    return {f"{row['source']}#{row['face_index']}": row for row in read_rows(sequence.config.output).as_dicts()}


def name_of(sequence, **wanted):
    """The name of the first row that is like this."""
    rows = rows_of(sequence).items()
    return next(name for name, row in rows if all(row[key] == value for key, value in wanted.items()))


def listed(sequence, option, *lines):
    path = sequence.folder / f"{option}.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    change(sequence, **{option: path})


@pytest.mark.parametrize("seed", range(6))
def test_random_changes_with_kills_in_between_equal_a_build_from_scratch(tmp_path, png, looked_at, monkeypatch, seed):
    sequence = rebuilding.Sequence(tmp_path, seed, png, faces=("largest", "all")[seed % 2])
    rng, output, there = random.Random(seed), sequence.config.output, False
    for step in range(5):
        changes = [sequence.change() for _ in range(rng.randint(1, 2))] if step else []
        before = output.read_bytes() if there else None
        while killed_at(rng.randint(1, 40), sequence.config, monkeypatch):
            if before is not None and output.read_bytes() != before:
                before = None  # the new one is whole: what follows may not lose it
            assert there is False or output.exists()
        fresh = rebuilding.from_scratch(sequence.config, tmp_path / f"fresh-{step}")
        if fresh is None:
            assert before is None or output.read_bytes() == before, "a build without a face took the file along"
            continue
        there = True
        assert rebuilding.differences(output, fresh) == [], (step, changes)
        assert not sequence.config.build_folder.exists() and not list(tmp_path.glob("*.partial"))


def test_more_and_fewer_photos_look_at_the_new_ones_alone(sequence, looked_at):
    rebuild(sequence, looked_at)
    sequence.add()
    sequence.add()
    assert rebuild(sequence, looked_at) == sequence.names()[4:5] + sequence.names()[-1:]
    (sequence.photos / sequence.names()[0]).unlink()
    assert rebuild(sequence, looked_at) == []
    assert rebuild(sequence, looked_at) == []


def test_larger_keep_renders_what_was_beaten_and_nothing_else(sequence, looked_at):
    change(sequence, keep=3)
    rebuild(sequence, looked_at)
    beaten = {row["source"] for row in rows_of(sequence).values() if row["status"] == "beaten"}
    change(sequence, keep=4)
    (again,) = rebuild(sequence, looked_at)
    assert again in beaten
    change(sequence, keep=2, compression="gzip")
    assert rebuild(sequence, looked_at) == []


def test_other_thresholds_look_again_at_the_photos_they_decide_about(sequence, looked_at):
    change(sequence, max_invented=1.0, keep=20)
    rebuild(sequence, looked_at)
    cut = {row["source"] for row in rows_of(sequence).values() if row["invented"] and row["invented"] > 0.1}
    assert cut and len(cut) < len(sequence.names())
    change(sequence, max_invented=0.1)
    assert rebuild(sequence, looked_at) == sorted(cut)
    change(sequence, max_invented=1.0)
    assert rebuild(sequence, looked_at) == sorted(cut)
    small = min(row["eye_distance"] for row in rows_of(sequence).values() if row["status"] == "kept")
    change(sequence, min_face=small + 0.01)
    assert 0 < len(rebuild(sequence, looked_at)) < 4


def test_smaller_min_face_than_was_looked_for_asks_for_another_output(sequence, looked_at):
    build(sequence.config)
    change(sequence, min_face=9.0)
    build(sequence.config)
    with h5py.File(sequence.config.output) as file:
        options = json.loads(file.attrs["config"])
    assert (options["min_face"], options["looked_for"]) == (9.0, 5.0)
    change(sequence, min_face=6.0)
    build(sequence.config)
    change(sequence, min_face=4.0)
    with pytest.raises(BuildError, match=r"--min-face: .* looked for from 5 pixels up, this command says 4; .*another"):
        build(sequence.config)


@pytest.mark.parametrize(("option", "value"), [("resolution", 16), ("geometry", "ffhq"), ("faces", "all")])
def test_options_that_change_pixels_ask_for_another_output_and_say_which(sequence, option, value):
    build(sequence.config)
    before = sequence.config.output.read_bytes()
    change(sequence, **{option: value})
    with pytest.raises(BuildError, match=rf"--{option}: .* this command says {value}; .* choose another --output"):
        build(sequence.config)
    assert sequence.config.output.read_bytes() == before


def test_excluded_faces_leave_and_everything_else_stays(sequence, looked_at, logged):
    change(sequence, keep=20)
    rebuild(sequence, looked_at)
    with h5py.File(sequence.config.output) as file:
        faces, sources = file["data32x32"][:], file["faces/source"].asstr()[:]
    listed(sequence, "exclude", "# what I do not like", f"{sources[1]}#0", sources[0], "nobody.png#1", "", "x.png")
    assert rebuild(sequence, looked_at) == []
    with h5py.File(sequence.config.output) as file:
        np.testing.assert_array_equal(file["data32x32"][:], faces[2:])
    found = rows_of(sequence)[f"{sources[1]}#0"]
    assert (found["status"], found["reason"]) == ("refused", "excluded by --exclude") and found["score"] is not None
    lines = [line.getMessage() for line in logged]
    assert "--exclude: 2 of 4 names match nothing: nobody.png#1, x.png" in lines
    change(sequence, exclude=None)
    rebuild(sequence, looked_at)
    with h5py.File(sequence.config.output) as file:
        np.testing.assert_array_equal(file["data32x32"][:], faces)


def test_included_face_stays_though_beaten_or_alike_or_refused_by_a_threshold(sequence, looked_at):
    sequence.next = 13
    sequence.add()  # equal to number 3
    change(sequence, keep=2, max_invented=0.05)
    rebuild(sequence, looked_at)
    beaten, alike = name_of(sequence, status="beaten"), "b/13.png#0"
    cut = name_of(sequence, reason="cut by the edge of the photo")
    listed(sequence, "include", beaten, cut, "b/03.png", alike)
    rebuild(sequence, looked_at)
    rows = rows_of(sequence)
    kept = {name for name, row in rows.items() if row["status"] == "kept"}
    assert kept == {beaten, cut, "b/03.png#0", alike}, "they are kept though they are more than --keep"
    assert rows[cut]["overridden"] == "cut by the edge of the photo"
    listed(sequence, "include", beaten)
    assert cut.split("#")[0] in rebuild(sequence, looked_at)
    assert rows_of(sequence)[cut]["status"] == "refused" and rows_of(sequence)[beaten]["status"] == "kept"


def test_included_photo_without_a_face_stays_refused(sequence, looked_at):
    listed(sequence, "include", "b/07.png")  # no image
    rebuild(sequence, looked_at)
    assert rows_of(sequence)["b/07.png#-1"]["status"] == "refused"


@pytest.mark.parametrize("other", ["a/00.png", "a/00.png#0"])
def test_name_in_both_lists_is_one_line(sequence, other):
    listed(sequence, "include", "b/01.png", "a/00.png")
    listed(sequence, "exclude", other)
    with pytest.raises(BuildError, match=r"--include: got a/00.png in .*include.txt and in .*exclude.txt, expected"):
        build(sequence.config)


def test_list_that_cannot_be_read_is_one_line(sequence, tmp_path):
    change(sequence, exclude=tmp_path / "none.txt")
    with pytest.raises(BuildError, match=r"--exclude: got .*none.txt .No such file or directory., expected a list"):
        build(sequence.config)


def test_photo_named_like_a_face_or_a_comment_can_be_named(sequence, tmp_path, png, looked_at):
    for name in ("#1.png", "a#1"):
        rebuilding.make_photo(sequence.photos / "x.png", 50, png)
        (sequence.photos / "x.png").rename(sequence.photos / name)
    names = tmp_path / "photos.lst"
    names.write_text("photos/#1.png\nphotos/a#1\n")
    listed(sequence, "exclude", "./photos/#1.png", "photos/a#1")
    change(sequence, input=names, output=tmp_path / "g.h5")
    with pytest.raises(BuildError, match="no face in the"):
        build(sequence.config)
    listed(sequence, "exclude", "./photos/#1.png")
    build(sequence.config)
    assert [row["source"] for row in rows_of(sequence).values() if row["status"] == "kept"] == ["photos/a#1"]


def test_input_without_any_of_the_photos_is_refused_and_the_file_stays(sequence, tmp_path, png):
    build(sequence.config)
    before = sequence.config.output.read_bytes()
    rebuilding.make_photo(tmp_path / "other" / "z.png", 1, png)
    change(sequence, input=tmp_path / "other")
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
    assert rebuild(sequence, looked_at) == sequence.names()
    assert any("kept no rows to go on from; all photos are looked at again" in line.getMessage() for line in logged)


def test_faces_of_an_older_score_are_scored_anew_and_other_rows_stay(sequence, looked_at, monkeypatch):
    build(sequence.config)
    used = {row["source"] for row in rows_of(sequence).values() if row["score"] is not None}
    assert 0 < len(used) < len(sequence.names())
    monkeypatch.setattr(module, "SCORE_VERSION", module.SCORE_VERSION + 1)
    del looked_at[:]
    build(sequence.config)
    assert looked_at == [], "a finished file is left alone"
    sequence.add()
    assert rebuild(sequence, looked_at) == sorted(used | {"a/08.png"})


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


def test_all_excluded_is_one_line_and_the_file_stays(sequence, looked_at):
    build(sequence.config)
    before = sequence.config.output.read_bytes()
    listed(sequence, "exclude", *sequence.names())
    with pytest.raises(BuildError, match="no face in the"):
        build(sequence.config)
    assert sequence.config.output.read_bytes() == before


def test_lists_are_the_same_whatever_their_order_and_comments(sequence, looked_at):
    listed(sequence, "exclude", "a/00.png", "b/01.png#0")
    rebuild(sequence, looked_at)
    before = sequence.config.output.stat().st_mtime_ns
    listed(sequence, "exclude", "# again", "b/01.png#0", "b/01.png#0", "./a/00.png")
    rebuild(sequence, looked_at)
    assert sequence.config.output.stat().st_mtime_ns == before


def test_face_that_a_listed_photo_names_in_landmarks_mode_may_be_smaller_than_before(tmp_path, png):
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
