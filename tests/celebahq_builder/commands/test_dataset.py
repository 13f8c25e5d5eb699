"""celebahq-data: imports real faces, checks, compares, shows and unpacks files; refuses in one line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from celebahq_builder.dataset import COMMANDS
from celebahq_builder.hdf5 import DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.pyramid import pyramid

ROOT = Path(__file__).resolve().parents[3]


def test_info_tells_levels_labels_scores_and_attributes(dataset, capsys, run):
    assert run("info", dataset) == 0
    table = capsys.readouterr().out
    for text in ("12 faces at 16x16", "data1x1", "12x3x16x16", "12x3 float32", "1.0000 best", "6 different"):
        assert text in table
    assert run("info", dataset, "--json") == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["levels"]["data4x4"] == {
        "shape": [12, 3, 4, 4],
        "chunk_rows": 3,
        "compression": None,
        "stored_bytes": 12 * 48,
    }
    assert (summary["faces"], summary["labels"], summary["score"]["min"]) == (12, [12, 3], pytest.approx(0.45))


def test_info_shows_attributes_of_any_kind(dataset, capsys, run):
    with h5py.File(dataset, "a") as file:
        file.attrs["config"] = np.arange(3)
        file.attrs["author"] = np.bytes_(b"somebody")
    assert run("info", dataset) == 0
    assert run("info", dataset, "--json") == 0


def _damage_level(file):
    file["data8x8"][5, 0, 0, 0] ^= 1


def _damage_chunk(file):
    del file["data16x16"]
    file.create_dataset("data16x16", (12, 3, 16, 16), np.uint8, chunks=(1, 3, 16, 16))


def _damage_name(file):
    file["dataset"] = 1


def _damage_score(file):
    file["faces/score"][3] = 0.99


def _damage_landmarks(file):
    file["faces/landmarks"][2, 0, 0] = np.nan


def _damage_column(file):
    del file["faces/scale"]
    file["faces/scale"] = np.ones(11)


def _damage_labels(file):
    file["labels"][0, 0] = 5


def _damage_config(file):
    file.attrs["config"] = "{"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_damage_level, "data8x8 is not the mean of the level above in 1 rows, the first is 5"),
        (_damage_chunk, "data16x16 has 0 of 12 chunks"),
        (_damage_name, "dataset begins with 'data'"),
        (_damage_score, "row 3: got a higher score than the row before"),
        (_damage_landmarks, "landmarks is no finite number in row 2"),
        (_damage_column, "scale has 11 entries for 12 rows"),
        (_damage_labels, "scored-labels.npy is not equal to the labels in the file"),
        (_damage_config, "config is missing or no JSON"),
    ],
)
def test_verify_finds_each_kind_of_damage(dataset, capsys, damage, complaint, run):
    assert run("verify", dataset) == 0
    assert "all is well" in capsys.readouterr().out
    with h5py.File(dataset, "r+") as file:
        damage(file)
    assert run("verify", dataset) == 1
    assert complaint in capsys.readouterr().out


def _damage_masks_shape(file):
    del file["masks16x16"]
    file["masks16x16"] = np.zeros((3, 8, 8), np.uint8)


def _damage_masks_chunk(file):
    del file["masks16x16"]
    file.create_dataset("masks16x16", (3, 16, 16), np.uint8, chunks=(1, 16, 16))


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_damage_masks_shape, "got masks16x16 of (3, 8, 8) uint8, expected (3, 16, 16) uint8"),
        (_damage_masks_chunk, "masks16x16 has 0 of 3 chunks"),
    ],
)
def test_masks_are_told_of_and_verified(tmp_path, noise_image, record, capsys, run, damage, complaint):
    path = tmp_path / "f.h5"
    with DatasetWriter(path, 16, 3, masks=True) as writer:
        for i in range(3):
            writer.write(pyramid(noise_image(i)), record(i), mask=np.full((16, 16), i, np.uint8))
    assert run("verify", path) == 0
    assert run("info", path) == 0
    assert "masks       masks16x16" in capsys.readouterr().out
    with h5py.File(path, "r+") as file:
        damage(file)
    assert run("verify", path) == 1
    assert f"masks       {complaint}" in capsys.readouterr().out
    assert run("info", path) == 0


def test_verify_notices_photos_that_changed_or_went(folder, tmp_path, capsys, run, noise_image, png):
    run("import", folder, "--output", tmp_path / "f.h5")
    (folder / "a/1.png").write_bytes(png(noise_image(99)))
    (folder / "b/2.png").unlink()
    assert run("verify", tmp_path / "f.h5", "--photos", folder) == 1
    out = capsys.readouterr().out
    assert "1 of 5 photos cannot be read, the first is b/2.png (no such file)" in out
    assert "1 of 5 photos changed, the first is a/1.png" in out


def test_compare_counts_the_rows_that_differ(dataset, tmp_path, capsys, run):
    other = tmp_path / "other.h5"
    shutil.copy(dataset, other)
    assert run("compare", dataset, other) == 0
    with h5py.File(other, "r+") as file:
        file["data16x16"][3] = 0
        file["data16x16"][9, 0, 0, 0] ^= 1
        file["faces/score"][11] = 0
        del file["labels"]
        file.attrs["config"] = '{"other": 1}'
    capsys.readouterr()
    assert run("compare", dataset, other) == 1
    lines = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert lines["data16x16"] == "2 of 12 rows differ, the first is 3"
    assert lines["faces/score"] == "1 of 12 rows differ, the first is 11"
    assert lines["labels"] == "only in the first file"
    assert lines["data8x8"] == lines["faces/source"] == "equal"


# preview, extract


def test_preview_shows_best_worst_and_others(dataset, tmp_path, capsys, run, refusal, noise_image):
    options = ("--rows", 1, "--columns", 3, "--cell", 16)
    assert run("preview", dataset, "--output", tmp_path / "grid.png", *options) == 0
    sheet = np.asarray(Image.open(tmp_path / "grid.png"))
    for i in range(3):
        np.testing.assert_array_equal(sheet[24:40, 16 * i : 16 * i + 16], noise_image(i))  # best
        np.testing.assert_array_equal(sheet[104:120, 16 * i : 16 * i + 16], noise_image(9 + i))  # worst
    message = refusal(capsys, "preview", dataset, "--output", tmp_path / "grid.png")
    assert message.endswith("grid.png: exists already, and is not overwritten")


def test_preview_of_a_single_face(tmp_path, run, noise_image):
    with DatasetWriter(tmp_path / "one.h5", 4, 1) as writer:
        writer.write(pyramid(noise_image(0, 4)))
    assert run("preview", tmp_path / "one.h5", "--output", tmp_path / "one.png") == 0


def test_extracted_images_import_to_the_same_file(dataset, tmp_path, run):
    assert run("extract", dataset, "--output", tmp_path / "png") == 0
    assert run("import", tmp_path / "png", "--output", tmp_path / "f.h5", "--labels", tmp_path / "png/labels.csv") == 0
    with open_dataset(dataset) as a, open_dataset(tmp_path / "f.h5") as b:
        for r in a.resolutions:
            np.testing.assert_array_equal(a.read(r, range(12)), b.read(r, range(12)))
        np.testing.assert_array_equal(a.labels, b.labels)


def test_extract_takes_rows_levels_and_names(dataset, tmp_path, run, noise_image):
    options = ("--rows", "10:12,1,11,1", "--resolution", 4, "--names", "source")
    assert run("extract", dataset, "--output", tmp_path / "png", *options) == 0
    expected = {"day 5/p.png": 10, "day 5/p-1.png": 11, "day 0/p-1.png": 1}
    found = {path.relative_to(tmp_path / "png").as_posix() for path in (tmp_path / "png").rglob("*.png")}
    assert found == set(expected)
    for name, row in expected.items():
        image = np.asarray(Image.open(tmp_path / "png" / name))
        np.testing.assert_array_equal(image, pyramid(noise_image(row))[4].transpose(1, 2, 0))


def test_extract_refuses_in_one_line_and_overwrites_nothing(dataset, tmp_path, capsys, refusal):
    png_folder = tmp_path / "png"
    for rows, message in {
        "12": "--rows: got '12', expected rows of 0..11",
        "5:5": "expected rows of 0..11",
        "a": "--rows: got 'a', expected a list of rows",
        "-1": "got '-1', expected a list of rows",
        "1,,2": "expected a list of rows",
    }.items():
        assert message in refusal(capsys, "extract", dataset, "--output", png_folder, f"--rows={rows}")
    assert "--resolution: got 5, expected a level of" in refusal(
        capsys, "extract", dataset, "--output", png_folder, "--resolution", 5
    )
    png_folder.mkdir()
    (png_folder / "00003.png").write_bytes(b"precious")
    assert "00003.png: exists already" in refusal(capsys, "extract", dataset, "--output", png_folder)
    assert [path.name for path in png_folder.iterdir()] == ["00003.png"]


def test_the_same_extract_goes_on_and_another_one_is_refused(dataset, tmp_path, capsys, run, refusal):
    output = tmp_path / "png"
    assert run("extract", dataset, "--output", output) == 0
    whole = {path.name: path.read_bytes() for path in output.iterdir()}
    (output / "00005.png").unlink()
    (output / "00007.png").write_bytes(b"ours, and not made again")
    assert run("extract", dataset, "--output", output) == 0
    assert (output / "00005.png").read_bytes() == whole["00005.png"]
    assert (output / "00007.png").read_bytes() == b"ours, and not made again"
    out = capsys.readouterr().out
    assert "12 images of 16x16, 11 of them there before" in out
    assert f"celebahq-data import {output} --output FILE.h5 --labels {output / 'labels.csv'}" in out
    assert "exists already" in refusal(capsys, "extract", dataset, "--output", output, "--resolution", 8)


def test_damaged_rows_stop_an_extract_or_become_lines(tmp_path, capsys, run, refusal, random_faces, write):
    path, output = write(tmp_path / "f.h5", random_faces(3, 16), compression="gzip"), tmp_path / "png"
    with h5py.File(path, "r") as file:
        at = file["data16x16"].id.get_chunk_info(1).byte_offset
    data = bytearray(path.read_bytes())
    data[at : at + 20] = b"\xff" * 20
    path.write_bytes(data)
    assert "--bad skip goes on without such rows" in refusal(capsys, "extract", path, "--output", output)
    assert run("extract", path, "--output", output, "--bad", "skip") == 0
    assert "2 images of 16x16, 1 of them there before; 1 rows skipped, damaged" in capsys.readouterr().out
    names = [".extract.json", "00000.png", "00002.png", "metadata.jsonl", "skipped.csv"]
    assert sorted(p.name for p in output.iterdir()) == names
    assert "1," in (output / "skipped.csv").read_text().splitlines()[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here, which is a disk that is always full")
@pytest.mark.parametrize(("command", "name"), [("extract", "00000.png"), ("preview", "sheet.png")])
def test_full_disk_is_one_line_that_names_the_image(dataset, tmp_path, capsys, refusal, command, name):
    folder = tmp_path / "png"
    folder.mkdir()
    (folder / f"{name}.partial").symlink_to("/dev/full")
    output = folder if command == "extract" else folder / name
    line = refusal(capsys, command, dataset, "--output", output)
    assert line == f"{folder / name}: No space left on device"
    assert [path.name for path in folder.iterdir() if path.name != ".extract.json"] == []


def test_extract_never_writes_outside_its_folder(tmp_path, capsys, refusal, noise_image):
    path = tmp_path / "evil.h5"
    with DatasetWriter(path, 4, 1) as writer:
        writer.write(pyramid(noise_image(0, 4)), FaceRecord("../../escaped.png", "0" * 64, "0" * 64))
    message = refusal(capsys, "extract", path, "--output", tmp_path / "a/b", "--names", "source")
    assert "expected a relative name" in message
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize("command", ["info", "verify", "preview", "extract", "compare"])
def test_a_file_that_is_no_dataset_is_one_line(tmp_path, capsys, command, refusal):
    (tmp_path / "x.h5").write_text("hello")
    more = {"preview": ["--output", tmp_path / "x.png"], "extract": ["--output", tmp_path / "x"]}
    args = more.get(command, [tmp_path / "x.h5"] if command == "compare" else [])
    assert "x.h5: not HDF5, or cut short" in refusal(capsys, command, tmp_path / "x.h5", *args)


def test_help_names_every_command_and_loads_none_of_them():
    code = (
        "import sys\nfrom celebahq_builder.dataset import COMMANDS, main\ntry:\n    main(['--help'])\nfinally:\n"
        "    assert not {'h5py', 'numpy', 'celebahq_builder.commands.info'} & set(sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    for command in COMMANDS:
        assert f"• {command} " in found.stdout
    assert "Say what is in a dataset file" in found.stdout
