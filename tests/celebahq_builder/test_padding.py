"""The extension of a photo, against the same stages computed at full size."""

import importlib.util

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.padding import extend


@pytest.fixture(scope="module")
def plain(pytestconfig):
    """benchmarks/align.py: the straightforward computation."""
    spec = importlib.util.spec_from_file_location("benchmark_align", pytestconfig.rootpath / "benchmarks" / "align.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _photograph(real_data) -> np.ndarray:
    return np.asarray(Image.open(real_data / "crop_vectors" / "padded.input.png").convert("RGB").reduce(2))


@pytest.mark.parametrize("blur_px", [1.0, 3.4, 7.1, 16.0])
def test_extension_looks_like_the_full_size_computation(real_data, plain, blur_px):
    photo, pad = _photograph(real_data), (95, 60, 71, 130)
    ours, expected = extend(photo, pad, blur_px), plain.straightforward_extend(photo, pad, blur_px)
    assert plain.psnr(ours, expected) > 48
    assert np.abs(ours.astype(int) - expected).max() <= 4


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (2, 3), (9, 7), (55, 43)])
def test_an_image_smaller_than_its_padding_is_mirrored_again_and_again(plain, size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    ours, expected = (
        extend(image, (50, 61, 47, 90), 3.3),
        plain.straightforward_extend(image, (50, 61, 47, 90), 3.3),
    )
    assert ours.shape == expected.shape
    assert plain.psnr(ours, expected) > 40  # white noise: nothing in a photo is as rough


def test_inside_of_the_image_is_untouched():
    image = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    extended = extend(image, (60, 60, 60, 60), 4.0)
    kept = slice(80, 60 + 200 - 20), slice(80, 60 + 300 - 20)  # the blur sets in a third of the padding inside
    np.testing.assert_array_equal(extended[kept], image[20:-20, 20:-20])


def test_seam_is_continuous(real_data):
    photo = _photograph(real_data)
    extended = extend(photo, (90, 90, 90, 90), 7.0).astype(int)
    across_seam = np.abs(extended[:, 90] - extended[:, 89])
    in_photo = np.abs(np.diff(photo.astype(int), axis=1))
    assert across_seam.max() <= 8 < in_photo.max()
    assert across_seam.mean() < in_photo.mean() / 2


def test_outer_edge_is_one_colour():
    rows, columns = np.mgrid[:120, :160]
    image = np.stack([rows, columns, rows + columns // 2], axis=-1).astype(np.uint8)
    extended = extend(image, (40, 40, 40, 40), 4.0)
    edges = [extended[0], extended[-1], extended[:, 0], extended[:, -1]]
    assert np.ptp(np.concatenate(edges).astype(int), axis=0).max() <= 3
    assert np.abs(np.median(extended, axis=(0, 1)) - extended[0, 0]).max() <= 4


def test_flat_colour_stays_flat():
    assert (extend(np.full((30, 20, 3), 77, dtype=np.uint8), (50, 5, 6, 70), 9.0) == 77).all()


def test_region_is_cut_out_of_the_whole(real_data):
    photo, pad = _photograph(real_data), (100, 80, 90, 70)
    whole = extend(photo, pad, 7.5)
    np.testing.assert_array_equal(extend(photo, pad, 7.5, (33, 71, 402, 399)), whole[71:399, 33:402])
