"""celebahq-data import: bad images become rows, and what a kill, a power cut or Ctrl-C stopped goes on."""

import csv
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from celebahq_builder.hdf5 import open_dataset

ROOT = Path(__file__).resolve().parents[3]


def test_bad_images_become_rows_with_a_reason_on_request(folder, tmp_path, capsys, run, noise_image, png):
    (folder / "a/0.png").write_bytes(b"no image")
    (folder / "b/small.png").write_bytes(png(noise_image(9, 8)))
    (folder / "b/small2.png").write_bytes(png(noise_image(9, 8)))
    (folder / "b/gray.png").write_bytes(png(noise_image(9)[..., 0]))
    output = tmp_path / "f.h5"
    assert run("import", folder, "--output", output, "--bad", "skip", "--labels", "folders") == 0
    out = capsys.readouterr().out
    assert f"{output}: 5 images of 16x16, 2 labels (a, b)" in out
    assert "skipped: 4 (8x8 2, not a whole image 1, mode L 1)" in out
    assert "no images, and left alone: 1 (.txt 1)" in out
    assert out.splitlines()[-1] == f"train on it: python -m train --dataset {output}"
    with (tmp_path / "f.h5.rows.csv").open(newline="") as file:
        rows = {row["source"]: row for row in csv.DictReader(file)}
    assert len(rows) == 9 and rows["b/gray.png"]["reason"] == "mode L" and rows["a/1.png"]["status"] == "kept"
    with open_dataset(output) as dataset:
        np.testing.assert_array_equal(dataset.labels[:, 0], [1, 1, 0, 0, 0])
        assert dataset.label_names == ("a", "b")


KILLED = """
import os, sys
from pathlib import Path
from celebahq_builder.commands import import_images
calls = [0]
plain = import_images.load_image
def load_image(*args):
    calls[0] += 1
    if calls[0] == 60:
        os.kill(os.getpid(), 9)
    return plain(*args)
import_images.load_image, import_images._SECONDS_A_SAVE, import_images._THREADS = load_image, 0, 1
import_images.import_images(import_images.ImportConfig(sources=(Path(sys.argv[1]),), output=Path(sys.argv[2]),
    compression=sys.argv[3]))
"""


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_an_import_that_was_killed_goes_on_and_ends_the_same(
    tmp_path, capsys, run, refusal, noise_image, png, monkeypatch, compression
):
    source, output = tmp_path / "many", tmp_path / "f.h5"
    source.mkdir()
    for i in range(80):
        (source / f"{i:03}.png").write_bytes(png(noise_image(i)))
    killed = subprocess.run([sys.executable, "-c", KILLED, source, output, compression], cwd=ROOT, check=False)
    assert killed.returncode == -9 and not output.exists()
    begun = (tmp_path / "f.h5.import.jsonl").read_text().splitlines()
    assert 20 < len(begun) < 62
    options = ("--compression", compression)
    message = refusal(capsys, "import", source, "--output", output, "--crop", "center", *options)
    assert "got an import begun with --crop none, expected center as now" in message

    from celebahq_builder.commands import import_images

    (source / "010.png").write_bytes(png(noise_image(999)))  # changed since: from there on all is done again
    seen = []
    plain = import_images.load_image
    monkeypatch.setattr(import_images, "load_image", lambda *args: seen.append(args[1]) or plain(*args))
    assert run("import", source, "--output", output, *options) == 0
    assert min(seen).endswith("010.png") and len(seen) == 70
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5", "many"]
    assert run("import", source, "--output", tmp_path / "whole.h5", *options) == 0
    assert run("compare", output, tmp_path / "whole.h5") == 0
    assert run("verify", output, "--photos", source) == 0
    capsys.readouterr()
    assert run("import", source, "--output", output, *options) == 0
    assert "complete already, 80 images" in capsys.readouterr().out


def test_rows_that_a_power_cut_lost_are_written_again(tmp_path, run, noise_image, png, capsys, refusal):
    source, output = tmp_path / "many", tmp_path / "f.h5"
    source.mkdir()
    for i in range(6):
        (source / f"{i}.png").write_bytes(png(noise_image(i)))
    (source / "7.png").write_bytes(b"")
    refusal(capsys, "import", source, "--output", output)
    with h5py.File(tmp_path / "f.h5.partial", "r+") as file:
        file["data8x8"][3] = 0
    (source / "7.png").unlink()
    assert run("import", source, "--output", output) == 0
    assert run("verify", output) == 0


def test_ctrl_c_is_one_line_and_the_same_command_goes_on(folder, tmp_path, capsys, run, monkeypatch):
    from celebahq_builder.commands import import_images

    plain, calls = import_images.load_image, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(*args)

    monkeypatch.setattr(import_images, "load_image", interrupted)
    monkeypatch.setattr(import_images, "_THREADS", 1)
    assert run("import", folder, "--output", tmp_path / "f.h5") == 130
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("celebahq-data: ")]
    assert line.startswith("celebahq-data: stopped; the same command again goes on where it was")
    assert run("import", folder, "--output", tmp_path / "f.h5") == 0
    assert len(calls) < 4 + 5  # not all of them again
