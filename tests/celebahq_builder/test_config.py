"""Options that make no sense are refused before anything is read, and --help answers without the image libraries."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from celebahq_builder.config import BuildConfig, BuildError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("resolution", 1000, "--resolution: got 1000, expected a power of two from 16 to 1024"),
        ("resolution", 8, "--resolution: got 8, expected a power of two from 16 to 1024"),
        ("output", Path(), "--output: got ., expected the name of a file to make"),
        ("keep", 0, "--keep: got 0, expected at least 1"),
        ("workers", -1, "--workers: got -1, expected at least 1"),
        ("photo_seconds", 0.0, "--photo-seconds: got 0.0, expected a number above 0"),
        ("photo_seconds", float("nan"), "--photo-seconds: got nan, expected a number above 0"),
        ("photo_gib", -1.0, "--photo-gib: got -1.0, expected a number above 0"),
        # Below one pixel a listed face can have a box that is too small to crop.
        ("min_face", 0.9, "--min-face: got 0.9, expected a number of pixels from 1 up"),
        ("min_face", float("nan"), "--min-face: got nan, expected a number of pixels from 1 up"),
        ("min_face", float("inf"), "--min-face: got inf, expected a number of pixels from 1 up"),
    ],
)
def test_senseless_option_is_refused_before_anything_is_touched(tmp_path, option, value, text):
    with pytest.raises(BuildError) as caught:
        BuildConfig(**{"input": tmp_path, "output": tmp_path / "f.h5", option: value})
    assert str(caught.value).startswith(text)


def test_list_of_landmarks_with_a_choice_of_faces_is_refused(tmp_path):
    with pytest.raises(BuildError, match="--faces: got all with --landmarks, expected largest"):
        BuildConfig(input=tmp_path, output=tmp_path / "f.h5", landmarks=tmp_path / "list.txt", faces="all")


def test_command_ends_with_2_and_one_line(tmp_path):
    for arguments, text in (
        (["--input", tmp_path / "nowhere"], f"--input: got {tmp_path}/nowhere, which does not exist"),
        (
            ["--input", tmp_path, "--resolution", "100"],
            "--resolution: got 100, expected a power of two from 16 to 1024",
        ),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "celebahq_builder", *map(str, arguments), "--output", str(tmp_path / "f.h5")],
            capture_output=True,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith(f"celebahq-build: {text}")
        assert list(tmp_path.iterdir()) == []


def test_help_loads_no_image_library():
    code = (
        "import sys; sys.argv = ['celebahq-build', '--help']\n"
        "from celebahq_builder.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(sorted({'torch', 'cv2', 'dlib', 'numpy', 'h5py', 'PIL', 'matplotlib', 'scipy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert "--input" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
