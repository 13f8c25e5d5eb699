"""The block spectrum: white noise has its variance as power, falls nowhere and is the floor; a screen is a peak."""

import numpy as np
import pytest

from celebahq_builder.block_spectrum import RINGS, block_spectrum


def noise(side: int, sigma: float) -> np.ndarray:
    return np.random.default_rng(0).normal(128, sigma, (side, side)).astype(np.float32)


@pytest.mark.parametrize("side", [256, 512, 1024])
def test_white_noise_has_its_variance_as_power_and_floor(side):
    found = block_spectrum(noise(side, 10))
    assert found.rings.shape == (RINGS,)
    assert found.rings[:5] == pytest.approx(100, rel=0.2)  # a geometric mean over few frequencies lies lower
    assert found.floor == pytest.approx(90, rel=0.2)
    assert found.peak < 1


def test_a_screen_stands_out_and_noise_does_not():
    x = np.arange(256)
    screen = noise(256, 3) + 20 * np.cos(2 * np.pi * x / 5).astype(np.float32)
    assert block_spectrum(screen).peak > 3 > block_spectrum(noise(256, 3)).peak


def test_one_direction_is_not_isotropic():
    lines = np.repeat(noise(256, 10)[:, :1], 256, axis=1)
    assert block_spectrum(lines).isotropy.max() < 0.3 < 0.6 < block_spectrum(noise(256, 10)).isotropy.min()
