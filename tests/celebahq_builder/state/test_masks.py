"""--masks: label maps go through the crop of their faces, exactly, and one that does not fit is one line."""

import h5py
import numpy as np
import pytest
from PIL import Image

from celebahq_builder.align import face_quad
from celebahq_builder.build import build
from celebahq_builder.config import BuildError
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.report.file_page import build_command
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.masks import OTHER_SIZE, face_mask, mask_path, masks_digest


@pytest.fixture(autouse=True)
def no_page(rebuilding, monkeypatch):
    """The page is not what this is about."""
    rebuilding.without_page(monkeypatch)


def write_masks(sequence, side=48):
    """A label map for every photo: 1 to 4, by quarters."""
    folder = sequence.folder / "masks"
    quarters = np.kron(np.array([[1, 2], [3, 4]], np.uint8), np.ones((side // 2, side // 2), np.uint8))
    for name in sequence.names():
        path = mask_path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(quarters).save(path)
    sequence.set(masks=folder)
    return folder


def row(quad, size):
    stamp = {"source_bytes": 1, "source_mtime_ns": 1}
    return Row(source="p.jpg", status="aligned", quad=quad, width=size[0], height=size[1], **stamp)


def test_upright_square_of_whole_pixels_is_cut_out_exactly_and_padded_with_zero(tmp_path):
    labels = np.random.default_rng(0).integers(1, 19, (40, 30), dtype=np.uint8)
    Image.fromarray(labels).save(tmp_path / "p.png")
    inside = face_mask(tmp_path, row(((4, 6), (4, 22), (20, 22), (20, 6)), (30, 40)), 16, "paper")
    np.testing.assert_array_equal(inside, labels[6:22, 4:20])
    twice = face_mask(tmp_path, row(((4, 6), (4, 14), (12, 14), (12, 6)), (30, 40)), 16, "paper")
    np.testing.assert_array_equal(twice, labels[6:14, 4:12].repeat(2, axis=0).repeat(2, axis=1))
    beyond = face_mask(tmp_path, row(((-8, 32), (-8, 48), (8, 48), (8, 32)), (30, 40)), 16, "paper")
    np.testing.assert_array_equal(beyond[:8, 8:], labels[32:, :8])
    assert not beyond[8:].any() and not beyond[:, :8].any()
    quarter = face_mask(tmp_path, row(((20, 6), (4, 6), (4, 22), (20, 22)), (30, 40)), 16, "paper")
    np.testing.assert_array_equal(quarter, np.rot90(labels[6:22, 4:20]))


@pytest.mark.parametrize("geometry", ["paper", "ffhq", "released"])
def test_mask_lies_where_the_face_does_in_every_geometry(tmp_path, geometry):
    """A photo of two flat colors, whose mask is the photo: crop and mask agree but along the border."""
    from celebahq_builder.align import align_face

    labels = np.zeros((200, 200), np.uint8)
    labels[:, 97:] = 1
    labels[110:] = 2
    Image.fromarray(labels).save(tmp_path / "p.png")
    landmarks = np.array([(80, 80), (118, 86), (98, 100), (80, 120), (112, 125)], np.float32)
    face = align_face(np.repeat(labels[..., None] * 100, 3, axis=2), landmarks, 64, geometry)[..., 0]
    quad = tuple(map(tuple, face_quad(landmarks, geometry).tolist()))
    mask = face_mask(tmp_path, row(quad, (200, 200)), 64, geometry)
    flat = (face % 100 <= 2) | (face % 100 >= 98)
    assert flat.mean() > 0.9
    assert (np.rint(face / 100) == mask)[flat].mean() > 0.995


def test_masks_are_stored_go_along_and_are_replaced(sequence, looked_at, run, logged):
    folder = write_masks(sequence)
    sequence.rebuild(looked_at)
    with h5py.File(sequence.config.output) as file:
        masks, quads = file["masks32x32"][:], file["faces/quad"][:]
    assert masks.shape == (len(quads), 32, 32) and set(np.unique(masks)) <= {0, 1, 2, 3, 4} and masks.any()
    assert run("verify", sequence.config.output) == 0
    assert run("select", sequence.config.output, "--output", sequence.folder / "g.h5", "--where", "row = 1") == 0
    with h5py.File(sequence.folder / "g.h5") as file:
        np.testing.assert_array_equal(file["masks32x32"][:], masks[1:2])
    for path in folder.rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path)) + 4).save(path)
    assert sequence.rebuild(looked_at) == [], "no face is made again for its mask"
    with h5py.File(sequence.config.output) as file:
        np.testing.assert_array_equal(file["masks32x32"][:], np.where(masks, masks + 4, 0))
    with open_dataset(sequence.config.output) as dataset:
        assert str(build_command(dataset, sequence.config.input)).endswith(" --masks DIR")
    sequence.set(masks=None)
    assert sequence.rebuild(looked_at) == []
    assert any("--masks: " in line.getMessage() and "has them" in line.getMessage() for line in logged)
    with h5py.File(sequence.config.output) as file:
        assert "masks32x32" not in file


def test_missing_mask_is_one_line_before_any_work(sequence, looked_at):
    folder = write_masks(sequence)
    (folder / "a" / "02.png").unlink()
    with pytest.raises(BuildError, match=r"--masks: got none for 1 of 8 photos, the first is a/02.png, expected .*png"):
        build(sequence.config)
    assert looked_at == []


def test_two_photos_that_would_share_a_mask_are_one_line_before_any_work(tmp_path):
    with pytest.raises(BuildError, match=r"--masks: got one mask for both a/1.jpg and a/1.png, expected"):
        masks_digest(tmp_path, ["a/1.jpg", "a/1.png"])


def test_mask_of_another_size_or_in_color_is_a_row_until_it_fits(sequence, looked_at):
    folder = write_masks(sequence)
    sequence.set(keep=20)
    sequence.rebuild(looked_at)
    kept = sequence.name_of(status="kept").split("#")[0]
    other = next(name for name in sequence.names() if name != kept and name != "b/07.png")
    right = (folder / kept).read_bytes()
    Image.new("L", (48, 40)).save(folder / kept)
    Image.new("RGB", (48, 48)).save(folder / other)
    assert sequence.rebuild(looked_at) == sorted([kept, other])
    found = sequence.rows()[f"{kept}#-1"]
    assert (found["status"], found["reason"]) == ("refused", OTHER_SIZE)
    assert found["detail"] == "got 48x40, expected 48x48 as the photo"
    assert sequence.rows()[f"{other}#-1"]["detail"] == "got RGB, expected a PNG of one channel, 8 bits"
    (folder / kept).write_bytes(right)
    (folder / other).write_bytes(right)
    assert sequence.rebuild(looked_at) == sorted([kept, other])
