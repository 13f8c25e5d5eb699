"""The build: killed at any moment it continues to the same bytes, it keeps the best N, it refuses in one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder import build as module
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.state.manifest import read_manifest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from process_end import finish, wait_until  # noqa: E402

PHOTOS = (
    "faceapijs__angry.jpg",
    "ultralight__13.jpg",
    "insightface__inspireface_bulk_Rob_Lowe_0002.jpg",
    "deepface__img51.jpg",
    "insightface__inspireface_search_Mary_Katherine_Smart_0001_5k.jpg",
    "fddb__001620.jpg",
    "fddb__002247.jpg",
    "fddb__001379.jpg",
    "fddb__001770.jpg",
    "fddb__001642.jpg",
    "insightface__inspireface_bulk_Nathalie_Baye_0002.jpg",
    "fddb__002523.jpg",
)


@pytest.fixture(scope="session")
def photos(real_data, tmp_path_factory):
    """A dozen photographs, two of them equal, in folders; one without a face, and a file that is no photo."""
    root = tmp_path_factory.mktemp("photos")
    (root / "news").mkdir()
    for i, name in enumerate(PHOTOS):
        shutil.copy(real_data / "in_the_wild" / name, root / ("news" if i % 2 else "") / name)
    shutil.copy(real_data / "in_the_wild" / PHOTOS[0], root / "news" / "again.jpg")
    (root / "broken.jpg").write_bytes(b"not a photo")
    shutil.copy(real_data / "testsets" / "Set14" / "zebra.png", root / "no face.png")
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755)
    return root


def options(photos, output, **more):
    return BuildConfig(**{"input": photos, "output": output, "resolution": 64, "workers": 0, "restore": "off"} | more)


def command(photos, output, *more):
    options = ["--input", photos, "--output", output, "--resolution", "64", "--restore", "off", *more]
    return [sys.executable, "-m", "celebahq_builder", *map(str, options)]


def start_holding(num_photos, photos, output):
    """Start a build that does not end by itself: holding_build.py."""
    holding = str(Path(__file__).with_name("holding_build.py"))
    words = [sys.executable, holding, str(num_photos), *command(photos, output, "--workers", "2")[3:]]
    return subprocess.Popen(
        words, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True,
        stdout=subprocess.DEVNULL, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip


def run(*words, **more):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    return subprocess.run(command(*words), capture_output=True, text=True, env=environment, **more)


def contents(path):
    """Every dataset of a file, as bytes, with its kind."""
    found = {}
    with h5py.File(path) as file:

        def visit(name, item):
            if isinstance(item, h5py.Dataset):
                values = item[:]
                data = values.tolist() if item.dtype.kind == "O" else values.tobytes()
                found[name] = (str(item.dtype), values.shape, data)

        file.visititems(visit)
    return found


@pytest.fixture(scope="session")
def uninterrupted(photos, tmp_path_factory):
    """A build with one worker, never interrupted."""
    output = tmp_path_factory.mktemp("uninterrupted") / "f.h5"
    done = run(photos, output, "--workers", "1")
    assert done.returncode == 0, done.stderr
    return output, done


@pytest.fixture(scope="session")
def left_behind(photos, tmp_path_factory):
    """The folder of a finished build that was told to keep its build folder."""
    folder = tmp_path_factory.mktemp("left")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_write_report", lambda config, rows, choice, *kept: config.output.with_name("none.html"))
        build(options(photos, folder / "f.h5", keep_build_folder=True))
    (folder / "f.h5").unlink()
    return folder


@pytest.fixture(autouse=True)
def no_page(rebuilding, monkeypatch):
    """A page takes as long as all else; those of commands are written, and report/ is about what stands on them."""
    rebuilding.without_page(monkeypatch)


def test_every_photo_becomes_a_row_or_a_reason(uninterrupted, photos):
    output, done = uninterrupted
    with h5py.File(output) as file:
        assert file["data64x64"].shape == (len(PHOTOS), 3, 64, 64)
        scores = file["faces/score"][:]
        sources = file["faces/source"].asstr()[:]
    assert (np.diff(scores) <= 0).all()
    # Of the two equal photos the first by name is kept: f before n.
    assert sorted(Path(source).name for source in sources) == sorted(PHOTOS)
    refused = ("1  refused: not an image", "1  refused: no face found")
    for line in ("15  photos", "12  faces in", "1  duplicates", *refused):
        assert line in done.stdout
    assert f"python -m train --dataset {output}" in done.stdout


def test_finished_build_leaves_the_file_and_the_report_alone(uninterrupted):
    output, _ = uninterrupted
    names = ["f.h5", "f.h5.rows.csv", "f.h5.rows.parquet", "report.html"]
    assert sorted(path.name for path in output.parent.iterdir()) == names


@pytest.mark.slow
def test_two_workers_and_none_make_the_same_bytes_as_one(uninterrupted, photos, tmp_path):
    assert run(photos, tmp_path / "two.h5", "--workers", "2").returncode == 0
    build(options(photos, tmp_path / "none.h5"))
    expected = contents(uninterrupted[0])
    assert contents(tmp_path / "two.h5") == expected
    assert contents(tmp_path / "none.h5") == expected


@pytest.mark.slow
def test_build_killed_again_and_again_ends_with_the_same_bytes(uninterrupted, photos, tmp_path):
    output = tmp_path / "f.h5"
    manifest = tmp_path / "f.h5.build" / "manifest.jsonl"

    def lines():
        return manifest.read_bytes().count(b"\n") if manifest.exists() else 0

    moments = [
        (1, manifest.parent.exists),
        (1, lambda: lines() >= 1),
        (4, lambda: lines() >= 4),
        (8, lambda: lines() >= 9),
        (0, (tmp_path / "f.h5.partial").exists),
    ]
    before = []
    for num_photos, moment in moments:
        process = start_holding(num_photos, photos, output)
        wait_until(moment, process)
        process.kill()
        finish(process)
        assert not output.exists()
        after = read_manifest(manifest)[1] if lines() else []
        assert after[: len(before)] == before, "a photo that was done was lost or done again"
        before = after
    done = run(photos, output, "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "continuing: 15 of 15 photos are done" in done.stdout
    assert contents(output) == contents(uninterrupted[0])
    assert not manifest.parent.exists()


def test_interrupt_from_the_keyboard_is_one_line_and_130_and_the_build_continues(photos, uninterrupted, tmp_path):
    output, manifest = tmp_path / "f.h5", tmp_path / "f.h5.build" / "manifest.jsonl"
    process = start_holding(4, photos, output)
    wait_until(lambda: manifest.exists() and manifest.read_bytes().count(b"\n") >= 2, process)
    os.killpg(process.pid, signal.SIGINT)  # as the terminal does: to the whole group
    _, errors = finish(process)
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "celebahq-build: interrupted; run the same command again to continue"
    assert "Traceback" not in errors
    build(options(photos, output))
    assert contents(output) == contents(uninterrupted[0])


def test_keep_holds_the_best_and_no_more_files_at_any_moment(uninterrupted, photos, tmp_path, monkeypatch):
    from celebahq_builder.state.build_folder import BuildFolder

    most, write_face = [], BuildFolder.write_face

    def count(folder, row, data):
        write_face(folder, row, data)
        most.append(len(list(folder.faces.iterdir())))

    monkeypatch.setattr(BuildFolder, "write_face", count)
    build(options(photos, tmp_path / "f.h5", keep=3))
    assert max(most) == 3
    assert len(most) > 3, "no face was ever driven out: nothing was tested"
    kept, everything = contents(tmp_path / "f.h5"), contents(uninterrupted[0])
    for name, (dtype, shape, values) in kept.items():
        if name.startswith("rows/"):  # of all that was looked at
            continue
        assert shape[0] == 3
        assert (dtype, values) == (everything[name][0], everything[name][2][: len(values)]), name


def test_larger_keep_and_other_dedupe_render_again_what_was_let_go(uninterrupted, photos, tmp_path):
    output = tmp_path / "f.h5"
    build(options(photos, output, keep=3, keep_build_folder=True))
    output.unlink()
    build(options(photos, output))
    assert contents(output) == contents(uninterrupted[0])


def test_photos_that_came_went_and_changed_are_seen(photos, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(photos, mine)
    build(options(mine, tmp_path / "f.h5", keep_build_folder=True))
    (tmp_path / "f.h5").unlink()
    (mine / PHOTOS[2]).unlink()
    shutil.copy(mine / "news" / PHOTOS[3], mine / PHOTOS[4])
    shutil.copy(mine / "news" / PHOTOS[5], mine / "new.jpg")
    build(options(mine, tmp_path / "f.h5"))
    build(options(mine, tmp_path / "fresh.h5"))
    assert contents(tmp_path / "f.h5") == contents(tmp_path / "fresh.h5")


def test_torn_last_line_is_done_again(uninterrupted, left_behind, photos, tmp_path):
    output = shutil.copytree(left_behind, tmp_path / "build") / "f.h5"
    manifest = output.with_name("f.h5.build") / "manifest.jsonl"
    manifest.write_bytes(manifest.read_bytes()[:-40])
    build(options(photos, output))
    assert contents(output) == contents(uninterrupted[0])


def test_face_that_was_cut_short_is_aligned_again(uninterrupted, left_behind, photos, tmp_path):
    output = shutil.copytree(left_behind, tmp_path / "build") / "f.h5"
    faces = sorted((output.with_name("f.h5.build") / "faces").iterdir())
    faces[0].write_bytes(faces[0].read_bytes()[:100])
    faces[1].write_bytes(b"")
    faces[2].unlink()
    build(options(photos, output))
    assert contents(output) == contents(uninterrupted[0])


def test_one_photo_is_input_enough(photos, tmp_path):
    build(options(photos / PHOTOS[0], tmp_path / "f.h5"))
    with h5py.File(tmp_path / "f.h5") as file:
        assert file["faces/source"].asstr()[:].tolist() == [PHOTOS[0]]
        assert json.loads(file.attrs["config"])["resolution"] == 64


def test_output_among_the_photos_is_no_input(photos, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(photos, mine)
    build(options(mine, mine / "f.h5", keep_build_folder=True))
    (mine / "f.h5").unlink()
    build(options(mine, mine / "f.h5"))
    with h5py.File(mine / "f.h5") as file:
        assert len(file["data64x64"]) == len(PHOTOS)


def test_same_command_on_a_finished_file_says_so_and_touches_nothing(uninterrupted, photos):
    output, _ = uninterrupted
    before = output.read_bytes(), output.stat().st_mtime_ns
    done = run(photos, output, "--workers", "2")
    assert done.returncode == 0
    assert f"{output}: already finished, 12 faces" in done.stdout
    assert (output.read_bytes(), output.stat().st_mtime_ns) == before


def test_kept_manifest_says_what_became_of_every_face(photos, tmp_path):
    build(options(photos, tmp_path / "f.h5", keep=3, keep_build_folder=True))
    _, rows = read_manifest(tmp_path / "f.h5.build" / "manifest.jsonl")
    with h5py.File(tmp_path / "f.h5") as file:
        sources = file["faces/source"].asstr()[:]
    outcomes = {row.source: row.outcome or row.reason for row in rows}
    assert [outcomes[source] for source in sources] == ["row 0", "row 1", "row 2"]
    assert outcomes["news/again.jpg"] in (f"duplicate of {PHOTOS[0]}", "not among the best")
    assert outcomes["broken.jpg"] == "not an image"
    assert sorted(outcomes.values()).count("not among the best") >= len(PHOTOS) - 3
