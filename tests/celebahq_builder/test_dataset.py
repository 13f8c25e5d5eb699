"""celebahq-data: imports real faces, checks, compares, shows and unpacks files; refuses in one line."""

import csv
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from celebahq_builder.dataset import main
from celebahq_builder.hdf5 import DatasetWriter, FaceRecord, open_dataset
from celebahq_builder.pyramid import pyramid

ROOT = Path(__file__).resolve().parents[2]


def run(*args: object) -> int:
    with pytest.raises(SystemExit) as exited:
        main([str(arg) for arg in args])
    return exited.value.code


def refusal(capsys, *args: object) -> str:
    """The one line on stderr of a command that must exit with 2."""
    capsys.readouterr()
    assert run(*args) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def picture(seed: int, side: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def folder(tmp_path) -> Path:
    """Five PNG faces in two folders, and a file that is none."""
    for i, name in enumerate(("a/1.png", "a/2.PNG", "b/1.png", "b/10.png", "b/2.png")):
        (tmp_path / "faces" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "faces" / name).write_bytes(png(picture(i)))
    (tmp_path / "faces" / "notes.txt").write_text("not a face")
    return tmp_path / "faces"


@pytest.fixture
def dataset(tmp_path) -> Path:
    """Twelve scored rows with labels, as celebahq-build writes them."""
    path = tmp_path / "scored.h5"
    with DatasetWriter(path, 16, 12, labels=np.eye(12, 3)) as writer:
        for i in range(12):
            face = FaceRecord(
                source=f"day {i // 2}/p.jpg",
                source_sha256="0" * 64,
                pixel_sha256="1" * 64,
                face_index=i % 2,
                scale=1.0,
                landmarks=np.ones((5, 2)),
                quad=np.ones((4, 2)),
                score=1 - i / 20,
                breadth=0.5,
                isotropy=0.5,
            )
            writer.write(pyramid(picture(i)), face)
    return path


# import


def test_import_keeps_pixels_order_and_names(folder, tmp_path):
    assert run("import", folder, "--output", tmp_path / "f.h5") == 0
    with open_dataset(tmp_path / "f.h5") as dataset:
        assert list(dataset.faces["source"]) == ["a/1.png", "a/2.PNG", "b/1.png", "b/10.png", "b/2.png"]
        for i in range(5):
            np.testing.assert_array_equal(dataset.read(16, [i])[0].transpose(1, 2, 0), picture(i))
        assert json.loads(dataset.attributes["config"])["sources"] == ["faces"]  # and not where it was made
    assert run("verify", tmp_path / "f.h5", "--photos", folder) == 0


def test_import_takes_several_sources_and_archives(folder, tmp_path):
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x/z.png", png(picture(7)))
        file.writestr("x/y.png", png(picture(8)))
    assert run("import", folder, archive, "--output", tmp_path / "f.h5") == 0
    with open_dataset(tmp_path / "f.h5") as dataset:
        assert list(dataset.faces["source"][-3:]) == ["faces/b/2.png", "more.zip/x/y.png", "more.zip/x/z.png"]
        np.testing.assert_array_equal(dataset.read(16, [5])[0].transpose(1, 2, 0), picture(8))
    assert run("verify", tmp_path / "f.h5", "--photos", tmp_path) == 0


def test_folders_and_tables_become_labels(folder, tmp_path):
    run("import", folder, "--output", tmp_path / "folders.h5", "--labels", "folders")
    a, b = [1, 0], [0, 1]
    np.testing.assert_array_equal(open_dataset(tmp_path / "folders.h5").labels, [a, a, b, b, b])
    np.testing.assert_array_equal(np.load(tmp_path / "folders-labels.npy"), [a, a, b, b, b])

    table = tmp_path / "classes.csv"
    table.write_text("file,class\na/1,10\na/2,2\nb/1.png,2\nb/2,1\nb/10,10\nelsewhere,7\n")
    run("import", folder, "--output", tmp_path / "classes.h5", "--labels", table)
    one, two, ten = [1, 0, 0], [0, 1, 0], [0, 0, 1]
    np.testing.assert_array_equal(open_dataset(tmp_path / "classes.h5").labels, [ten, two, two, ten, one])

    table.write_text("file,smile,age\na/1,.5,30\na/2,0,31\nb/1,1,32\nb/2,0,34\nb/10,0,33\n")
    run("import", folder, "--output", tmp_path / "numbers.h5", "--labels", table)
    np.testing.assert_array_equal(open_dataset(tmp_path / "numbers.h5").labels[:, 1], [30, 31, 32, 33, 34])


def test_crop_and_resize_are_done_only_when_asked(tmp_path, capsys):
    source = tmp_path / "wide"
    source.mkdir()
    wide = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    (source / "w.png").write_bytes(png(wide))
    assert "w.png: 24x16, 16x16 is wanted" in refusal(
        capsys, "import", source, "--output", tmp_path / "f.h5", "--resolution", 16
    )
    assert run("import", source, "--output", tmp_path / "f.h5", "--crop", "center") == 0
    np.testing.assert_array_equal(open_dataset(tmp_path / "f.h5").read(16, [0])[0].transpose(1, 2, 0), wide[:, 4:20])
    options = ("--crop", "center", "--resize", "box", "--resolution", 8)
    assert run("import", source, "--output", tmp_path / "half.h5", *options) == 0
    expected = np.rint(wide[:, 4:20].reshape(8, 2, 8, 2, 3).mean(axis=(1, 3)))
    half = open_dataset(tmp_path / "half.h5").read(8, [0])[0].transpose(1, 2, 0)
    assert np.abs(half - expected).max() <= 1  # Pillow rounds halves up


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("z.png", png(picture(0, 32)), "z.png: 32x32, 16x16 is wanted"),
        ("z.png", png(picture(0)[:, :, 0]), "z.png: mode L, RGB is wanted"),
        ("z.jpg", b"no picture", "z.jpg: not a whole image"),
        ("z.png", png(picture(0))[:-200], "z.png: not a whole image"),
        ("z.png", b"", "z.png: not a whole image"),
    ],
)
def test_an_image_that_does_not_fit_stops_the_import_and_leaves_nothing(folder, tmp_path, capsys, name, data, message):
    (folder / name).write_bytes(data)
    before = sorted(tmp_path.rglob("*"))
    assert message in refusal(capsys, "import", folder, "--output", tmp_path / "f.h5")
    assert sorted(tmp_path.rglob("*")) == before


def test_images_of_other_modes_are_converted_on_request(folder, tmp_path):
    grey = picture(0)[:, :, 0]
    (folder / "z.png").write_bytes(png(grey))
    assert run("import", folder, "--output", tmp_path / "f.h5", "--to-rgb") == 0
    with open_dataset(tmp_path / "f.h5") as dataset:
        np.testing.assert_array_equal(dataset.read(16, [5])[0], np.stack([grey] * 3))


def test_import_says_in_one_line_what_is_wrong(folder, tmp_path, capsys):
    output = tmp_path / "f.h5"
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.csv").write_text("file,class\na/1,x\n")
    cases = {
        ("import", tmp_path / "nowhere", "--output", output): "nowhere: no such file or folder",
        ("import", tmp_path / "empty", "--output", output): "empty: no .png, .jpg, .jpeg, .webp in it",
        ("import", folder / "notes.txt", "--output", output): "notes.txt: no zip archive",
        ("import", folder, "--output", tmp_path / "no" / "f.h5"): "f.h5.partial: No such file or directory",
        ("import", folder, "--output", output, "--resolution", 100): "--resolution: 100 pixels a side, a power of two",
        ("import", folder, "--output", output, "--limit", 0): "--limit: 0, at least 1 is wanted",
        ("import", folder, "--output", output, "--crop", "celeba"): "1.png: 16x16, 178x218 is wanted",
        ("import", folder, "--output", output, "--labels", tmp_path / "words.csv"): "words.csv: no label for 4 of 5",
        ("import", folder, folder, "--output", output): "two sources of the same name",
        ("import", "--output", output): "SOURCE: none given",
    }
    for args, message in cases.items():
        assert message in refusal(capsys, *args)
    assert not output.exists()
    output.write_bytes(b"precious")
    assert "f.h5: exists already, and is not overwritten" in refusal(capsys, "import", folder, "--output", output)
    assert output.read_bytes() == b"precious"


def test_the_celeba_crop_is_that_of_the_released_program(real_data, tmp_path):
    # The same faces exist untouched (JPEG) and cropped by the rule of the released create_celeba (WebP, lossy).
    with (real_data / "celeba128.csv").open() as file:
        both = [row for row in csv.DictReader(file) if row["in_celeba128"] == row["in_celeba_aligned"] == "1"][:20]
    source = tmp_path / "aligned"
    source.mkdir()
    for row in both:
        shutil.copy(real_data / "celeba_aligned" / row["celeba_name"], source)
    assert run("import", source, "--crop", "celeba", "--output", tmp_path / "f.h5") == 0
    names = {Path(row["celeba_name"]).stem + ".webp" for row in both}
    archives = [zipfile.ZipFile(real_data / f"celeba128-{i}.zip") for i in (0, 1)]
    found = {name: archive.read(name) for archive in archives for name in names & set(archive.namelist())}
    with open_dataset(tmp_path / "f.h5") as dataset:
        assert (dataset.resolution, len(dataset)) == (128, 20)
        for row, name in enumerate(dataset.faces["source"]):
            cropped = np.asarray(Image.open(io.BytesIO(found[Path(name).stem + ".webp"])).convert("RGB"), np.float64)
            ours = dataset.read(128, [row])[0].transpose(1, 2, 0)
            psnr = 10 * np.log10(255**2 / ((ours - cropped) ** 2).mean())
            shifted = 10 * np.log10(255**2 / ((ours[:, 1:] - cropped[:, :-1]) ** 2).mean())
            assert psnr > 28
            assert psnr > shifted + 2  # one pixel aside is clearly worse


# info, verify, compare


def test_info_tells_levels_labels_scores_and_attributes(dataset, capsys):
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
        (_damage_score, "row 3 scores more than the row before"),
        (_damage_landmarks, "landmarks is no finite number in row 2"),
        (_damage_column, "scale has 11 entries for 12 rows"),
        (_damage_labels, "scored-labels.npy is not equal to the labels in the file"),
        (_damage_config, "config is missing or no JSON"),
    ],
)
def test_verify_finds_each_kind_of_damage(dataset, capsys, damage, complaint):
    assert run("verify", dataset) == 0
    assert "all is well" in capsys.readouterr().out
    with h5py.File(dataset, "r+") as file:
        damage(file)
    assert run("verify", dataset) == 1
    assert complaint in capsys.readouterr().out


def test_verify_notices_photos_that_changed_or_went(folder, tmp_path, capsys):
    run("import", folder, "--output", tmp_path / "f.h5")
    (folder / "a/1.png").write_bytes(png(picture(99)))
    (folder / "b/2.png").unlink()
    assert run("verify", tmp_path / "f.h5", "--photos", folder) == 1
    out = capsys.readouterr().out
    assert "1 of 5 photos cannot be read, the first is b/2.png" in out
    assert "1 of 5 photos changed, the first is a/1.png" in out


def test_compare_counts_the_rows_that_differ(dataset, tmp_path, capsys):
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


def test_preview_shows_best_worst_and_others(dataset, tmp_path, capsys):
    options = ("--rows", 1, "--columns", 3, "--cell", 16)
    assert run("preview", dataset, "--output", tmp_path / "grid.png", *options) == 0
    sheet = np.asarray(Image.open(tmp_path / "grid.png"))
    for i in range(3):
        np.testing.assert_array_equal(sheet[24:40, 16 * i : 16 * i + 16], picture(i))  # best
        np.testing.assert_array_equal(sheet[104:120, 16 * i : 16 * i + 16], picture(9 + i))  # worst
    message = refusal(capsys, "preview", dataset, "--output", tmp_path / "grid.png")
    assert message.endswith("grid.png: exists already, and is not overwritten")


def test_preview_of_a_single_face(tmp_path):
    with DatasetWriter(tmp_path / "one.h5", 4, 1) as writer:
        writer.write(pyramid(picture(0, 4)))
    assert run("preview", tmp_path / "one.h5", "--output", tmp_path / "one.png") == 0


def test_extracted_images_import_to_the_same_file(dataset, tmp_path):
    assert run("extract", dataset, "--output", tmp_path / "png") == 0
    assert run("import", tmp_path / "png", "--output", tmp_path / "f.h5", "--labels", tmp_path / "png/labels.csv") == 0
    with open_dataset(dataset) as a, open_dataset(tmp_path / "f.h5") as b:
        for r in a.resolutions:
            np.testing.assert_array_equal(a.read(r, range(12)), b.read(r, range(12)))
        np.testing.assert_array_equal(a.labels, b.labels)


def test_extract_takes_rows_levels_and_names(dataset, tmp_path):
    options = ("--rows", "10:12,1", "--resolution", 4, "--names", "source")
    assert run("extract", dataset, "--output", tmp_path / "png", *options) == 0
    expected = {"day 5/p.png": 10, "day 5/p-1.png": 11, "day 0/p-1.png": 1}
    found = {path.relative_to(tmp_path / "png").as_posix() for path in (tmp_path / "png").rglob("*.png")}
    assert found == set(expected)
    for name, row in expected.items():
        image = np.asarray(Image.open(tmp_path / "png" / name))
        np.testing.assert_array_equal(image, pyramid(picture(row))[4].transpose(1, 2, 0))


def test_extract_refuses_in_one_line_and_overwrites_nothing(dataset, tmp_path, capsys):
    png_folder = tmp_path / "png"
    for rows, message in {
        "12": "'12' with 12 rows, rows of 0..11 are wanted",
        "5:5": "rows of 0..11",
        "a": "'a' is no list of rows",
        "-1": "'-1' is no list of rows",
        "1,,2": "is no list of rows",
    }.items():
        assert message in refusal(capsys, "extract", dataset, "--output", png_folder, f"--rows={rows}")
    assert "--resolution: 5 is not in" in refusal(capsys, "extract", dataset, "--output", png_folder, "--resolution", 5)
    png_folder.mkdir()
    (png_folder / "00003.png").write_bytes(b"precious")
    assert "00003.png: exists already" in refusal(capsys, "extract", dataset, "--output", png_folder)
    assert [path.name for path in png_folder.iterdir()] == ["00003.png"]


def test_extract_never_writes_outside_its_folder(tmp_path, capsys):
    path = tmp_path / "evil.h5"
    with DatasetWriter(path, 4, 1) as writer:
        writer.write(pyramid(picture(0, 4)), FaceRecord("../../escaped.png", "0" * 64, "0" * 64))
    message = refusal(capsys, "extract", path, "--output", tmp_path / "a/b", "--names", "source")
    assert "a relative name is wanted" in message
    assert not list(tmp_path.rglob("escaped*"))


@pytest.mark.parametrize("command", ["info", "verify", "preview", "extract", "compare"])
def test_a_file_that_is_no_dataset_is_one_line(tmp_path, capsys, command):
    (tmp_path / "x.h5").write_text("hello")
    more = {"preview": ["--output", tmp_path / "x.png"], "extract": ["--output", tmp_path / "x"]}
    args = more.get(command, [tmp_path / "x.h5"] if command == "compare" else [])
    assert "x.h5: not HDF5, or cut short" in refusal(capsys, command, tmp_path / "x.h5", *args)


def test_help_names_every_command():
    help_text = subprocess.run(
        [sys.executable, "-m", "celebahq_builder.dataset", "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    ).stdout
    for command in ("info", "verify", "preview", "extract", "compare", "import"):
        assert command in help_text
