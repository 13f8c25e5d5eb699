"""The images command: seeds and grids as typed, and files that are never lost."""

import shutil

import numpy as np
import onnx
import pytest
from PIL import Image

from export.config import UsageError
from export.image_files import check_size
from export.sample import image_grid, latents, load_onnx, parse_seeds, squarest_grid
from export.seeds import parse_grid


def test_grid_is_filled_row_by_row():
    tiles = np.arange(6, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    assert image_grid(tiles, columns=3)[::2, ::2, 0].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(("count", "grid"), [(1, (1, 1)), (16, (4, 4)), (12, (4, 3)), (7, (7, 1)), (8, (4, 2))])
def test_grid_is_as_square_as_the_number_of_seeds_allows(count, grid):
    assert squarest_grid(count) == grid


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("7", [7]), ("0-3", [0, 1, 2, 3]), ("5,0-2, 9", [5, 0, 1, 2, 9]), ("4294967295", [4294967295])],
)
def test_seeds_are_read_as_written(text, seeds):
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected seeds like 7, 0-15 or 0-3,8"),
        ("a-b", "expected seeds like 7, 0-15 or 0-3,8"),
        ("1,,2", "expected seeds like 7, 0-15 or 0-3,8"),
        ("1.5", "expected seeds like 7, 0-15 or 0-3,8"),
        ("9-3", "got 9-3, expected 3-9"),
        ("4294967296", "got 4294967296, expected at most 4294967295"),
        ("0-4294967295", "expected at most 1,000,000 images"),
        ("0-5,3", "got 3 twice"),
    ],
)
def test_wrong_seeds_are_refused(text, message):
    with pytest.raises(UsageError, match=message) as error:
        parse_seeds(text)
    assert str(error.value).startswith("--seeds: ")


@pytest.mark.parametrize("text", ["", "4", "4x", "0x4", "4x-1", "2x2x2", "four"])
def test_wrong_grids_are_refused(text):
    with pytest.raises(UsageError, match="expected columns and rows like 4x4"):
        parse_grid(text)


def test_a_conditional_model_generates_the_class_that_is_asked_for(
    save_model, tmp_path, capsys, images, refusal, read_image
):
    from export.onnx_export.to_onnx import export_onnx

    folder = save_model(tmp_path / "model", label_size=3, image_channels=1)
    path = export_onnx(folder).path
    for label in (0, 2):
        for kind, source in (("torch", folder), ("onnx", path)):
            images("--model", source, "--seeds", "5", "--label", label, "--output", tmp_path / f"{kind}{label}.png")
        found = read_image(tmp_path / f"onnx{label}.png")
        assert found.shape == (16, 16)
        assert np.abs(found - read_image(tmp_path / f"torch{label}.png")).max() <= 1
    assert np.abs(read_image(tmp_path / "onnx0.png") - read_image(tmp_path / "onnx2.png")).max() > 1
    assert refusal(capsys, "--model", path).startswith("--label: got none, expected a class from 0 to 2 or 3 numbers")
    assert refusal(capsys, "--model", folder, "--label", 3).startswith("--label: got '3', expected a class from 0 to 2")


def test_between_seeds_lie_faces_of_the_great_circle(onnx_file, tmp_path, images, read_image):
    images("--model", onnx_file, "--seeds", "3,8,5", "--interpolate", 1, "--output", tmp_path, "--device", "cpu")
    names = ["seed0003.png", "seed0003-0008-1of2.png", "seed0008.png", "seed0008-0005-1of2.png", "seed0005.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)
    a, b = (latents([seed], 32)[0] for seed in (3, 8))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    middle = load_onnx(onnx_file, "cpu").uint8_images((a + b)[None])[
        0
    ]  # the network normalizes: only the direction counts
    assert np.abs(read_image(tmp_path / names[1]) - middle).max() <= 1
    images("--model", onnx_file, "--seeds", "8", "--output", tmp_path / "alone", "--device", "cpu")
    np.testing.assert_array_equal(read_image(tmp_path / "alone" / "seed0008.png"), read_image(tmp_path / names[2]))


@pytest.mark.parametrize(("suffix", "kind"), [("jpg", "JPEG"), ("webp", "WEBP")])
def test_a_suffix_names_the_format_and_a_second_run_knows_its_images(
    onnx_file, tmp_path, capsys, images, refusal, read_image, suffix, kind
):
    one, folder = tmp_path / f"faces.{suffix}", tmp_path / "folder"
    same = ["--model", onnx_file, "--seeds", "0-3", "--device", "cpu"]
    images(*same, "--output", tmp_path / "faces.png")
    for _ in range(2):
        images(*same, "--output", one)
        images(*same, "--output", folder, "--format", suffix)
    assert capsys.readouterr().out.count("nothing to generate, 4 already there") == 1 + 1
    with Image.open(one) as image:
        assert image.format == kind
    pairs = [path.ravel() for path in (read_image(one), read_image(tmp_path / "faces.png"))]
    assert np.corrcoef(*pairs)[0, 1] > 0.8  # of noise, the colors of which are stored at half the resolution
    assert sorted(path.name for path in folder.iterdir()) == [f"seed000{i}.{suffix}" for i in range(4)]
    other = ["--model", onnx_file, "--seeds", "4-7", "--device", "cpu"]
    assert "got another image there already" in refusal(capsys, *other, "--output", one)


def test_what_cannot_be_written_is_refused_before_anything_is_generated(
    onnx_file, tmp_path, capsys, refusal, monkeypatch
):
    def unwanted(*args):
        raise AssertionError("generated")

    monkeypatch.setattr("export.sample.OnnxGenerator.__call__", unwanted)
    (tmp_path / "file").touch()
    for output, grid, message in [
        ("wide.webp", "1025x1", "16400x16 pixels, expected at most 16383 a side for WEBP; give a .png or fewer images"),
        ("file/grid.png", "1x1", "cannot be written (File exists), expected a writable folder"),
        ("file/folder", None, "cannot be written (Not a directory), expected a writable folder"),
    ]:
        args = [] if grid is None else ["--grid", grid]
        found = refusal(capsys, "--model", onnx_file, *args, "--output", tmp_path / output, "--device", "cpu")
        assert found.endswith(message)
    with pytest.raises(UsageError, match=r"23552x23552 pixels, expected at most 536,870,912 in one image"):
        check_size(tmp_path / "large.png", 23 * 1024, 23 * 1024)
    message = refusal(capsys, "--model", onnx_file, "--output", tmp_path / "file")
    assert message.endswith("expected a folder, or a .png, .jpg or .webp")


def test_a_hundred_seeds_fill_ten_rows(onnx_file, tmp_path, images, read_image):
    images(
        "--model", onnx_file, "--grid", "10x10", "--seeds", "0-99", "--output", tmp_path / "g.png", "--device", "cpu"
    )
    images("--model", onnx_file, "--seeds", "47", "--output", tmp_path / "47.png", "--device", "cpu")
    found = read_image(tmp_path / "g.png")
    assert found.shape == (160, 160, 3)
    assert np.abs(found[64:80, 112:128] - read_image(tmp_path / "47.png")).max() <= 1


# The files.


def test_the_same_command_again_generates_only_what_is_missing(
    model, onnx_file, tmp_path, capsys, images, refusal, read_image
):
    images("--model", onnx_file, "--seeds", "0-3", "--output", tmp_path)
    (tmp_path / "seed0002.png").unlink()
    truncated = tmp_path / "seed0001.png"
    whole = truncated.read_bytes()
    before = (tmp_path / "seed0000.png").stat().st_mtime_ns
    capsys.readouterr()
    images("--model", model, "--seeds", "0-3", "--output", tmp_path, "--device", "cpu")  # the same weights
    assert "1 image of 16x16 generated, 3 already there" in capsys.readouterr().out
    assert (tmp_path / "seed0000.png").stat().st_mtime_ns == before
    assert np.abs(read_image(tmp_path / "seed0002.png")).any()
    truncated.write_bytes(whole[:-40])
    message = refusal(capsys, "--model", onnx_file, "--seeds", "0-3", "--output", tmp_path)
    assert message.startswith(f"{truncated}: got another image there already")


def test_another_image_is_replaced_only_when_asked(onnx_file, save_model, tmp_path, capsys, images, refusal):
    other = save_model(tmp_path / "other", seed=1)
    path = tmp_path / "faces.png"
    images("--model", onnx_file, "--seeds", "0-3", "--output", path)
    before = path.read_bytes()
    for args in (["--model", other, "--seeds", "0-3"], ["--model", onnx_file, "--seeds", "4-7"]):
        assert "got another image there already" in refusal(capsys, *args, "--output", path)
        assert path.read_bytes() == before
    images("--model", other, "--seeds", "0-3", "--output", path, "--overwrite")
    assert path.read_bytes() != before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["faces.png", "other"]


def test_a_refused_seed_stops_before_anything_is_generated(onnx_file, tmp_path, capsys, refusal):
    (tmp_path / "seed0003.png").write_bytes(b"holiday")
    refusal(capsys, "--model", onnx_file, "--seeds", "0-3", "--output", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["seed0003.png"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--grid", "4x4", "--output", "g.png", "--seeds", "0-2"], "--grid: got 4x4, 16 places for 3 seeds"),
        (
            ["--grid", "4x4", "--output", "folder"],
            "--grid: got the folder folder as --output, expected a .png, .jpg or .webp",
        ),
        (["--grid", "4", "--output", "g.png"], "--grid: got '4', expected columns and rows like 4x4"),
        (["--interpolate", "-1"], "--interpolate: got -1, expected 0 to 9999"),
        (["--truncation", "0"], "--truncation: got 0.0, expected at least 0.01"),
        (["--batch", "0"], "--batch: got 0, expected at least 1"),
        (["--seeds", "x"], "--seeds: got 'x', expected seeds like"),
        (["--seeds", "0-999998,5"], "--seeds: got 5 twice, expected each seed once"),
        (["--output", "x.gif"], "--output: got x.gif, expected a folder, or one .png, .jpg or .webp"),
        (["--output", "x.tiff"], "--output: got x.tiff, expected a folder, or one .png"),
        (["--output", "x.PDF"], "--output: got x.PDF, expected a folder, or one .png"),
        (["--output", "-"], "--output: got standard output, expected a folder, or one .png"),
        (["--interpolate", "3", "--seeds", "5"], "--interpolate: got one seed, 5, expected two or more in --seeds"),
        (["--label", "1"], "--label: got 1, expected none, the model is unconditional"),
    ],
)
def test_wrong_options_are_one_line_each(onnx_file, tmp_path, monkeypatch, capsys, args, message, refusal):
    monkeypatch.chdir(tmp_path)
    assert refusal(capsys, "--model", onnx_file, *args).startswith(message)
    assert not list(tmp_path.iterdir())


def test_a_folder_may_have_a_dot_in_its_name_or_be_there_already(onnx_file, tmp_path, images):
    (tmp_path / "old.gif").mkdir()
    for name in ("faces.v2", "old.gif"):
        images("--model", onnx_file, "--seeds", "1", "--output", tmp_path / name)
        assert (tmp_path / name / "seed0001.png").is_file()


def test_a_foreign_onnx_of_a_generator_is_known_by_its_own_hash(onnx_file, tmp_path, images):
    """Without our metadata an image still says which file generated it."""
    stripped = onnx.load(onnx_file)
    del stripped.metadata_props[:]
    path = tmp_path / "foreign.onnx"
    onnx.save(stripped, path)
    images("--model", path, "--seeds", "1", "--output", tmp_path / "faces")
    copy = shutil.copy(path, tmp_path / "renamed.onnx")
    before = (tmp_path / "faces" / "seed0001.png").stat().st_mtime_ns
    images("--model", copy, "--seeds", "1", "--output", tmp_path / "faces")
    assert (tmp_path / "faces" / "seed0001.png").stat().st_mtime_ns == before
