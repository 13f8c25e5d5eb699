"""celebahq-build --image-list: the listed photographs, all of them, in the list's order; and --decoder libjpeg8d."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.photos import decode_with_orientation

NAMES = ("000001.jpg", "000002.jpg", "000003.jpg", "000004.jpg")


def photo(i: int) -> bytes:
    coarse = np.random.default_rng(i).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    data = io.BytesIO()
    Image.fromarray(coarse).resize((200, 200), Image.Resampling.BICUBIC).save(data, "JPEG", quality=90)
    return data.getvalue()


@pytest.fixture
def celeba(tmp_path):
    """Four photos with landmarks, the last the same as the third; the list has 3, 1, 4 and one that is not there."""
    folder = tmp_path / "img_celeba"
    folder.mkdir()
    lines = [str(len(NAMES)), "names"]
    for i, name in enumerate(NAMES):
        (folder / name).write_bytes(photo(min(i, 2)))
        lines.append(f"{name} 80 90 121 91 100 112 82 130 119 131")
    (tmp_path / "landmarks.txt").write_text("\n".join(lines))
    rows = ["idx orig_idx orig_file proc_md5 final_md5"]
    for idx, i in enumerate((3, 1, 4, 202599)):
        rows.append(f"{idx} {i - 1} {i:06d}.jpg {'0' * 32} {'1' * 32}")
    (tmp_path / "image_list.txt").write_text("\n".join(rows))
    return tmp_path


def options(celeba, **more) -> BuildConfig:
    return BuildConfig(
        input=celeba / "img_celeba",
        output=celeba / "hq.h5",
        landmarks=celeba / "landmarks.txt",
        image_list=celeba / "image_list.txt",
        resolution=64,
        restore="off",
        workers=0,
        **more,
    )


def test_listed_photos_come_in_the_lists_order_equal_ones_included(celeba, logged):
    build(options(celeba))
    with open_dataset(celeba / "hq.h5") as dataset:
        assert dataset.faces["source"].tolist() == ["000003.jpg", "000001.jpg", "000004.jpg"]
        assert dataset.faces["idx"].tolist() == [0, 1, 2]
        scores = dataset.faces["score"]
        faces = dataset.read(64, range(3))
    assert scores[0] == scores[2] != scores[1]
    np.testing.assert_array_equal(faces[0], faces[2])
    assert "--image-list: 3 of its 4 photos are in --input" in [line.getMessage() for line in logged]
    build(options(celeba))
    assert "already finished, 3 faces" in logged[-1].getMessage()


def test_fewer_to_keep_are_the_first_of_the_list(celeba):
    build(options(celeba, keep=2))
    with open_dataset(celeba / "hq.h5") as dataset:
        assert dataset.faces["source"].tolist() == ["000003.jpg", "000001.jpg"]


def test_a_file_of_the_list_is_not_taken_for_one_without(celeba):
    build(options(celeba))
    config = BuildConfig(
        input=celeba / "img_celeba", output=celeba / "hq.h5", landmarks=celeba / "landmarks.txt", resolution=64,
        restore="off", workers=0, dedupe="off", max_invented=1.0,
    )  # fmt: skip
    with pytest.raises(BuildError, match="this command says nothing of it"):
        build(config)


def test_what_the_list_cannot_do_is_one_line(celeba):
    shutil.copytree(celeba / "img_celeba", celeba / "img_celeba" / "again")
    with pytest.raises(BuildError, match="expected one photo a name"):
        build(options(celeba))
    shutil.rmtree(celeba / "img_celeba" / "again")
    for name in NAMES:
        (celeba / "img_celeba" / name).rename(celeba / "img_celeba" / f"x{name}")
    with pytest.raises(BuildError, match="got none of its 4 photos"):
        build(options(celeba))
    (celeba / "image_list.txt").write_text("something else")
    with pytest.raises(BuildError, match=r"--image-list: .*expected the columns idx"):
        build(options(celeba))


def test_decoder_changes_jpegs_and_a_finished_file_remembers_it(celeba):
    build(options(celeba, decoder="libjpeg8d"))
    with pytest.raises(BuildError, match=r"--decoder: .* was made with libjpeg8d"):
        build(options(celeba))


def test_libjpeg8d_decodes_an_ordinary_photo_upright_and_into_srgb():
    data = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.open(io.BytesIO(photo(1))).resize((60, 40))
    image.save(data, "JPEG", quality=90, exif=exif)
    turbo, orientation = decode_with_orientation(data.getvalue())
    other, _ = decode_with_orientation(data.getvalue(), decoder="libjpeg8d")
    assert orientation == 6
    assert turbo.shape == other.shape == (60, 40, 3)
    assert 0 < np.abs(turbo.astype(int) - other).max() < 60


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_gray_and_cmyk_jpegs_are_decoded_as_ever(mode):
    data = io.BytesIO()
    Image.open(io.BytesIO(photo(1))).convert(mode).save(data, "JPEG")
    expected, _ = decode_with_orientation(data.getvalue())
    np.testing.assert_array_equal(decode_with_orientation(data.getvalue(), decoder="libjpeg8d")[0], expected)
