"""celebahq-data import: pixels, names and labels arrive, and what does not fit stops it."""

import csv
import io
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.hdf5 import open_dataset

ROOT = Path(__file__).resolve().parents[3]


def test_import_keeps_pixels_order_and_names(folder, tmp_path, run, noise_image):
    assert run("import", folder, "--output", tmp_path / "f.h5") == 0
    with open_dataset(tmp_path / "f.h5") as dataset:
        assert list(dataset.faces["source"]) == ["a/1.png", "a/2.PNG", "b/1.png", "b/10.png", "b/2.png"]
        for i in range(5):
            np.testing.assert_array_equal(dataset.read(16, [i])[0].transpose(1, 2, 0), noise_image(i))
        assert json.loads(dataset.attributes["config"])["sources"] == ["faces"]  # and not where it was made
    assert run("verify", tmp_path / "f.h5", "--photos", folder) == 0


def test_import_takes_several_sources_and_archives(folder, tmp_path, run, noise_image, png):
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x/z.png", png(noise_image(7)))
        file.writestr("x/y.png", png(noise_image(8)))
    assert run("import", folder, archive, "--output", tmp_path / "f.h5") == 0
    with open_dataset(tmp_path / "f.h5") as dataset:
        assert list(dataset.faces["source"][-3:]) == ["faces/b/2.png", "more.zip/x/y.png", "more.zip/x/z.png"]
        np.testing.assert_array_equal(dataset.read(16, [5])[0].transpose(1, 2, 0), noise_image(8))
    assert run("verify", tmp_path / "f.h5", "--photos", tmp_path) == 0


def test_folders_and_tables_become_labels(folder, tmp_path, run):
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


def test_crop_and_resize_are_done_only_when_asked(tmp_path, capsys, run, refusal, png):
    source = tmp_path / "wide"
    source.mkdir()
    wide = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    (source / "w.png").write_bytes(png(wide))
    assert "w.png: got 24x16, expected 16x16" in refusal(
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
        ("z.png", lambda noise_image, png: png(noise_image(0, 32)), "z.png: got 32x32, expected 16x16"),
        ("z.png", lambda noise_image, png: png(noise_image(0)[:, :, 0]), "z.png: got mode L, expected RGB"),
        ("z.jpg", lambda noise_image, png: b"no image", "z.jpg: not a whole image"),
        ("z.png", lambda noise_image, png: png(noise_image(0))[:-200], "z.png: not a whole image"),
        ("z.png", lambda noise_image, png: b"", "z.png: not a whole image"),
    ],
)
def test_an_image_that_does_not_fit_stops_the_import_until_it_is_mended(
    folder, tmp_path, capsys, name, data, message, refusal, run, noise_image, png
):
    (folder / name).write_bytes(data(noise_image, png))
    line = refusal(capsys, "import", folder, "--output", tmp_path / "f.h5")
    assert message in line and line.endswith("--bad skip goes on without such images")
    assert not (tmp_path / "f.h5").exists()
    (folder / name).unlink()
    assert run("import", folder, "--output", tmp_path / "f.h5") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["f.h5", "faces"]


def test_a_first_image_that_does_not_fit_leaves_nothing(folder, tmp_path, capsys, refusal):
    (folder / "a/0.png").write_bytes(b"no image")
    refusal(capsys, "import", folder, "--output", tmp_path / "f.h5")
    refusal(capsys, "import", folder, "--output", tmp_path / "f.h5", "--resolution", 16)
    assert [path.name for path in tmp_path.iterdir()] == ["faces"]


def test_images_of_other_modes_are_converted_on_request(folder, tmp_path, run, noise_image, png):
    gray = noise_image(0)[:, :, 0]
    (folder / "z.png").write_bytes(png(gray))
    assert run("import", folder, "--output", tmp_path / "f.h5", "--to-rgb") == 0
    with open_dataset(tmp_path / "f.h5") as dataset:
        np.testing.assert_array_equal(dataset.read(16, [5])[0], np.stack([gray] * 3))


def test_import_says_in_one_line_what_is_wrong(folder, tmp_path, capsys, refusal, png):
    output = tmp_path / "f.h5"
    (tmp_path / "empty").mkdir()
    (tmp_path / "words.csv").write_text("file,class\na/1,x\n")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/photo.png").write_bytes(png(np.zeros((12, 16, 3), np.uint8)))
    cases = {
        ("import", tmp_path / "nowhere", "--output", output): "nowhere: no such file or folder",
        ("import", tmp_path / "empty", "--output", output): "empty: got nothing, expected .png, .jpg",
        ("import", folder / "notes.txt", "--output", output): "notes.txt: got a file of no known kind",
        ("import", folder, "--output", tmp_path / "no" / "f.h5"): "f.h5.partial: No such file or directory",
        ("import", folder, "--output", output, "--resolution", 100): "--resolution: got 100 pixels a side, expected",
        ("import", tmp_path / "photos", "--output", output): "photo.png: got 16x12, expected a square (--crop center",
        ("import", folder, "--output", output, "--limit", 0): "--limit: got 0, expected at least 1",
        ("import", folder, "--output", output, "--limit=-1"): "--limit: got -1, expected at least 1",
        ("import", folder, "--output", output, "--crop", "celeba"): "1.png: got 16x16, expected 178x218",
        (
            "import",
            folder,
            "--output",
            output,
            "--labels",
            tmp_path / "words.csv",
        ): "words.csv: got no label for 4",
        ("import", folder, folder, "--output", output): "got two sources of one name",
        ("import", "--output", output): "SOURCE: got none",
    }
    for args, message in cases.items():
        assert message in refusal(capsys, *args)
    assert not output.exists()
    output.write_bytes(b"precious")
    assert "f.h5: exists already, and is not overwritten" in refusal(capsys, "import", folder, "--output", output)
    assert output.read_bytes() == b"precious"


def test_the_celeba_crop_is_that_of_the_released_program(real_data, tmp_path, run):
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
