"""What a user can get wrong: each is one line that names what was found and what is expected, and destroys nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5 import DatasetWriter
from celebahq_builder.pyramid import pyramid
from celebahq_builder.state.build_folder import BuildFolder

ROOT = Path(__file__).resolve().parents[2]
PHOTO = "faceapijs__angry.jpg"


@pytest.fixture
def photos(real_data, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / PHOTO).write_bytes((real_data / "in_the_wild" / PHOTO).read_bytes())
    return folder


def options(photos, output, **more):
    return BuildConfig(**{"input": photos, "output": output, "resolution": 64, "workers": 0, "restore": "off"} | more)


def refusal(config):
    """The one line that a build is refused with."""
    with pytest.raises(BuildError) as caught:
        build(config)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_folder_that_does_not_exist(tmp_path):
    assert refusal(options(tmp_path / "x", tmp_path / "f.h5")) == (
        f"--input: got {tmp_path}/x, which does not exist, "
        "expected a folder, a zip, a tar, a list of paths, a URL or one photograph"
    )


def test_empty_folder_and_folder_without_photos(tmp_path):
    (tmp_path / "empty").mkdir()
    found, expected = (
        f"--input: got no photo in {tmp_path}/empty",
        "expected files like .jpg, .png, .webp, .heic or .tif",
    )
    assert refusal(options(tmp_path / "empty", tmp_path / "f.h5")) == f"{found}, {expected}"
    (tmp_path / "empty" / "notes.txt").write_text("no photo")
    assert refusal(options(tmp_path / "empty", tmp_path / "f.h5")) == f"{found} (but 1 .txt), {expected}"
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_photos_without_a_face_make_a_report_and_no_file(real_data, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(real_data / "testsets" / "Set14" / "zebra.png", folder / "zebra.png")
    (folder / "empty.jpg").touch()
    message = refusal(options(folder, tmp_path / "f.h5"))
    assert message == (
        f"--input: no face in the 2 photos of {folder} (1 empty file, 1 no face found); see {tmp_path}/report.html"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "report.html"]
    assert "zebra.png" in (tmp_path / "report.html").read_text()
    # Other options may now be tried at once: nothing of the fruitless build is in the way, unless it was asked for.
    assert "no face" in refusal(options(folder, tmp_path / "f.h5", min_face=40.0, keep_build_folder=True))
    assert (tmp_path / "f.h5.build" / "manifest.jsonl").exists()


def test_output_that_is_a_folder(photos, tmp_path):
    (tmp_path / "out").mkdir()
    assert refusal(options(photos, tmp_path / "out")) == (
        f"--output: got the folder {tmp_path}/out, expected the name of a file to make"
    )


def test_output_that_cannot_be_written(photos, tmp_path):
    (tmp_path / "file").touch()
    message = refusal(options(photos, tmp_path / "file" / "f.h5"))
    assert message.startswith(f"--output: {tmp_path}/file")
    assert message.endswith("got Not a directory, expected a folder that can be written to")
    message = refusal(options(photos, Path("/proc/celebahq/f.h5")))
    assert message.startswith("--output: /proc/celebahq: ")


def test_names_longer_than_the_file_system_takes(photos, tmp_path):
    name = "f" * 246 + ".h5"  # itself possible, but not with the -labels.npy that readers look for
    assert refusal(options(photos, tmp_path / name)).endswith("got File name too long, expected another name or folder")
    assert refusal(options(tmp_path / ("p" * 300), tmp_path / "f.h5")).startswith(f"--input: got {tmp_path}/ppp")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_output_of_any_name_is_told_on_a_terminal_that_takes_utf8_only(photos, tmp_path):
    arguments = [
        "--input",
        photos,
        "--output",
        os.fsencode(tmp_path / "f") + b"\xff\n.h5",
        "--resolution",
        "32",
        "--restore",
        "off",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "celebahq_builder", *arguments],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8:strict"},
    )
    assert done.returncode == 0
    assert rb"f\xff\n.h5, 32x32" in done.stdout


def test_foreign_file_in_the_way_is_left_alone(photos, tmp_path):
    archive = tmp_path / "faces.zip"
    archive.write_bytes(b"PK\x03\x04 my thesis")
    said = refusal(options(photos, archive))
    assert said.endswith("expected a dataset made by celebahq-build; move it away or choose another --output")
    output = tmp_path / "f.h5"
    output.write_text("my thesis")
    assert refusal(options(photos, output)).endswith("move it away or choose another --output")
    assert output.read_text() == "my thesis"
    output.unlink()
    with h5py.File(output, "w") as file:
        file["thesis"] = [1, 2, 3]
    before = output.read_bytes()
    assert refusal(options(photos, output)).endswith("move it away or choose another --output")
    assert output.read_bytes() == before


def test_finished_file_of_other_options_is_left_alone(photos, tmp_path):
    output = tmp_path / "f.h5"
    build(options(photos, output))
    before = output.read_bytes()
    assert refusal(options(photos, output, geometry="ffhq")) == (
        f"--geometry: {output} was made with paper, this command says ffhq; move it away or choose another --output"
    )
    assert output.read_bytes() == before


@pytest.mark.parametrize("foreign", ["no JSON", "[1]", [1, 2]])
def test_dataset_with_a_config_of_another_program_is_left_alone(photos, tmp_path, foreign):
    output = tmp_path / "f.h5"
    with DatasetWriter(output, 1, 1) as writer:
        writer.write(pyramid(np.zeros((1, 1, 3), np.uint8)))
    with h5py.File(output, "a") as file:
        file.attrs["config"] = foreign
    before = output.read_bytes()
    assert refusal(options(photos, output)).startswith(f"--resolution: {output} was made without it")
    assert output.read_bytes() == before


def test_option_that_would_mix_faces_is_refused_on_resume(photos, tmp_path):
    output = tmp_path / "f.h5"
    build(options(photos, output, keep_build_folder=True))
    output.unlink()
    manifest = tmp_path / "f.h5.build" / "manifest.jsonl"
    before = manifest.read_bytes()
    for option, value, text in (
        ("resolution", 128, "--resolution: this build was begun with 64, now it is 128; "),
        ("geometry", "ffhq", "--geometry: this build was begun with paper, now it is ffhq; "),
        ("input", photos / PHOTO, f"--input: this build was begun with {photos}, now it is {photos / PHOTO}; "),
    ):
        message = refusal(options(photos, output, **{option: value}))
        assert message.startswith(text)
        assert message.endswith(f"or choose another --output, or delete {tmp_path}/f.h5.build to start again")
    assert refusal(options(photos, output, min_face=10.0)) == (
        f"--min-face: got 10, expected at least 20: the faces of {tmp_path}/f.h5.build were looked for from there up; "
        "move it away or choose another --output"
    )
    manifest.write_bytes(before.replace(b'"builder_version": "', b'"builder_version": "0.'))
    assert refusal(options(photos, output)).startswith("builder_version: this build was begun with 0.")


def test_second_build_on_the_same_output_is_refused_while_the_first_is_at_work(photos, tmp_path):
    with BuildFolder(tmp_path / "f.h5.build"):
        assert refusal(options(photos, tmp_path / "f.h5")) == (
            f"{tmp_path}/f.h5.build: another build is at work; wait or choose another --output"
        )
    build(options(photos, tmp_path / "f.h5"))


def test_output_that_celebahq_data_is_writing_is_refused(photos, tmp_path):
    with DatasetWriter(tmp_path / "f.h5", 1, 1) as writer:
        assert refusal(options(photos, tmp_path / "f.h5")) == f"{tmp_path}/f.h5.partial: another process is writing it"
        writer.write(pyramid(np.zeros((1, 1, 3), np.uint8)))
    assert (tmp_path / "f.h5").exists()


def test_folder_of_somebody_else_is_not_taken_for_a_build_folder(photos, tmp_path):
    (tmp_path / "f.h5.build").mkdir()
    (tmp_path / "f.h5.build" / "thesis.txt").write_text("mine")
    assert refusal(options(photos, tmp_path / "f.h5")) == (
        f"{tmp_path}/f.h5.build: got another folder, expected room for the build folder; choose another --output"
    )
    assert (tmp_path / "f.h5.build" / "thesis.txt").read_text() == "mine"


def test_what_somebody_put_into_the_build_folder_survives_it(photos, tmp_path):
    build(options(photos, tmp_path / "f.h5", keep_build_folder=True))
    (tmp_path / "f.h5").unlink()
    (tmp_path / "f.h5.build" / "thesis.txt").write_text("mine")
    build(options(photos, tmp_path / "f.h5"))
    assert [path.name for path in (tmp_path / "f.h5.build").iterdir()] == ["thesis.txt"]


def test_input_inside_the_build_folder(photos, tmp_path):
    build(options(photos, tmp_path / "f.h5", keep_build_folder=True))
    (tmp_path / "f.h5").unlink()
    faces = tmp_path / "f.h5.build" / "faces"
    assert refusal(options(faces, tmp_path / "f.h5")) == (
        f"--input: got {faces}, inside this build's own folder {tmp_path}/f.h5.build"
    )


def test_list_of_landmarks_that_is_missing_malformed_or_of_other_photos(photos, tmp_path):
    path = tmp_path / "list.txt"
    config = options(photos, tmp_path / "f.h5", landmarks=path)
    assert refusal(config) == f"--landmarks: {path}: No such file or directory"
    path.write_text("these are no landmarks\n")
    assert refusal(config).startswith(f"--landmarks: {path}: line 1: ")
    path.write_text("1\nnames\n000001.jpg 165 184 244 176 196 249 194 271 266 260\n")
    assert refusal(config) == (
        f"--landmarks: {path} lists none of the 1 photos of {photos}: got 000001.jpg, expected names like {PHOTO}"
    )


def test_listed_landmarks_are_used_and_photos_that_are_not_listed_get_a_reason(photos, tmp_path):
    (photos / "other.jpg").write_bytes((photos / PHOTO).read_bytes())
    path = tmp_path / "list.txt"
    path.write_text(f"1\nlefteye_x ...\n{PHOTO} 80 90 120 88 101 110 84 132 118 130\n")
    build(options(photos, tmp_path / "f.h5", landmarks=path))
    with h5py.File(tmp_path / "f.h5") as file:
        assert file["faces/landmarks"][:].tolist() == [[[80, 90], [120, 88], [101, 110], [84, 132], [118, 130]]]
    assert "not in the list of landmarks" in (tmp_path / "report.html").read_text()


def test_full_disk_while_aligning_is_one_line_and_the_build_continues(photos, tmp_path, monkeypatch):
    """The real thing is a file that cannot grow: the kernel refuses the write just as on a full disk."""
    output = tmp_path / "f.h5"
    code = (
        "import resource, signal, sys\n"
        "from celebahq_builder.__main__ import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
        "main()"
    )
    words = ["--input", photos, "--output", output, "--resolution", "64", "--restore", "off", "--workers", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 2, done.stderr
    message = done.stderr.splitlines()[-1]
    assert message.startswith(f"celebahq-build: {output}.build/faces/") and "File too large" in message
    assert message.endswith("run the same command again to continue")
    assert not output.exists()
    build(options(photos, output))
    assert output.exists()


def test_labels_of_another_dataset_are_noticed_before_the_work(photos, tmp_path):
    (tmp_path / "f-labels.npy").write_bytes(b"labels")
    assert refusal(options(photos, tmp_path / "f.h5")) == (
        f"{tmp_path}/f-labels.npy: would be taken for the labels of {tmp_path}/f.h5; "
        "move it away or choose another --output"
    )
    assert not (tmp_path / "f.h5.build").exists()
