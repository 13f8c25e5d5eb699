"""python -m train.restoration as it is typed: what a user can mend is one line, what nobody meant has a traceback."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def _run_program(tmp_path, *options, limit=0):
    program = f"""
import resource, signal, sys
import train.restoration.loop
if {limit}:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
from train.restoration.__main__ import main
sys.argv = ["restoration", "--net", "artifacts", "--size", "fast", "--steps", "2", "--batch", "2", "--patch", "16",
            "--outdir", {str(tmp_path / "runs")!r}, *{[str(option) for option in options]!r}]
main()
"""
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)


@pytest.mark.slow
def test_full_disk_and_files_that_are_no_photos_are_one_line(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(2):
        noise = np.random.default_rng(i).integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(photos / f"{i}.png")
    cases = {"full": _run_program(tmp_path, "--photos", photos, limit=60_000)}
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no image")
    cases["broken"] = _run_program(tmp_path, "--photos", photos)
    (tmp_path / "photos.zip").write_bytes(b"PK no zip")
    cases["zip"] = _run_program(tmp_path, "--photos", tmp_path / "photos.zip")
    wanted = {
        "full": "the same command resumes",
        "broken": "got broken.jpg, which cannot be decoded",
        "zip": "got no zip",
    }
    for name, done in cases.items():
        lines = done.stderr.strip().splitlines()
        assert done.returncode == 2 and len(lines) == 1, f"{name}: {done.stderr}"
        assert lines[0].startswith("train.restoration: ") and wanted[name] in lines[0], lines[0]


def test_a_fault_of_the_program_is_no_mistake_of_the_user(tmp_path, monkeypatch):
    """A ValueError that nobody meant for users keeps its traceback."""
    from train.restoration import __main__ as command

    monkeypatch.setattr(command, "_main", lambda: int("no number"))
    with pytest.raises(ValueError, match="invalid literal"):
        command.main()
