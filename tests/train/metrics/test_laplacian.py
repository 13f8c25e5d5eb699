"""The pyramid is OpenCV's, and its levels add up to the image again."""

import cv2
import numpy as np
import pytest
import torch

from train.metrics.laplacian import laplacian_pyramid, level_resolutions, pyramid_down, pyramid_up

IMAGES = np.random.default_rng(0).integers(0, 256, (2, 3, 64, 64), dtype=np.uint8)


def by_cv2(function, images: np.ndarray) -> np.ndarray:
    return np.stack([function(image.transpose(1, 2, 0)).transpose(2, 0, 1) for image in images.astype(np.float32)])


def test_down_is_cv2_pyrdown_to_the_border():
    np.testing.assert_allclose(pyramid_down(torch.from_numpy(IMAGES).float()), by_cv2(cv2.pyrDown, IMAGES), rtol=1e-6)


def test_up_is_cv2_pyrup_to_the_border():
    np.testing.assert_allclose(pyramid_up(torch.from_numpy(IMAGES).float()), by_cv2(cv2.pyrUp, IMAGES), rtol=1e-6)


def test_levels_add_up_to_the_image():
    levels = laplacian_pyramid(torch.from_numpy(IMAGES))
    assert list(levels) == [64, 32, 16]
    image = levels[16].numpy()
    for resolution in (32, 64):
        image = levels[resolution].numpy() + by_cv2(cv2.pyrUp, image)
    np.testing.assert_allclose(image, IMAGES, atol=1e-4)


def test_a_flat_image_is_in_the_last_level_only():
    levels = laplacian_pyramid(torch.full((1, 3, 128, 128), 77, dtype=torch.uint8))
    assert not any(levels[r].any() for r in (128, 64, 32))
    assert torch.all(levels[16] == 77)


@pytest.mark.parametrize("resolution", [8, 48, 0])
def test_a_resolution_without_level_16_is_refused(resolution):
    with pytest.raises(ValueError, match=f"resolution: got {resolution}, expected a power of two from 16"):
        level_resolutions(resolution)
