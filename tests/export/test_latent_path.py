"""Latents of a film: on the hypersphere, as fast as the paper's, and a circle."""

import numpy as np
import pytest
import scipy.ndimage

from export.latent_path import blur_over_time, latent_path


def test_blur_is_the_gaussian_filter_of_the_released_program():
    # util_scripts.py: scipy.ndimage.gaussian_filter(all_latents, [sigma, 0, 0], mode="wrap")
    noise = np.random.RandomState(1).randn(90, 2, 5)
    for sigma in (0.75, 7.5, 30.0):
        expected = scipy.ndimage.gaussian_filter(noise, [sigma, 0, 0], mode="wrap")
        np.testing.assert_allclose(blur_over_time(noise, sigma), expected, rtol=0, atol=1e-12)


def test_released_latents_are_the_released_programs():
    noise = np.random.RandomState(1000).randn(60, 3, 16)
    expected = scipy.ndimage.gaussian_filter(noise, [1.0 * 30, 0, 0], mode="wrap")
    expected /= np.sqrt(np.mean(np.square(expected)))
    found = latent_path(60, 3, 16, fps=30, seed=1000, style="released")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("loop", [True, False])
def test_every_latent_of_the_paper_lies_on_the_hypersphere(loop):
    z = latent_path(40, 2, 32, fps=10, seed=0, loop=loop)
    assert z.shape == (40, 2, 32)
    np.testing.assert_allclose(np.linalg.norm(z, axis=2), np.sqrt(32), rtol=1e-6)


@pytest.mark.parametrize(("fps", "sigma"), [(60, 45), (30, 22.5)])
@pytest.mark.parametrize("loop", [True, False])
def test_latents_forget_as_a_gaussian_of_45_frames_at_60_hz_makes_them(fps, sigma, loop):
    # white noise blurred by a Gaussian has the autocorrelation exp(-t^2 / (4 sigma^2))
    z = latent_path(20 * fps, 1, 512, fps=fps, seed=3, loop=loop)[:, 0].astype(np.float64)
    for lag in (round(sigma / 2), round(sigma), round(2 * sigma)):
        found = np.mean(z[lag:] * z[:-lag])  # of components of unit mean square
        assert abs(found - np.exp(-(lag**2) / (4 * sigma**2))) < 0.03


def test_a_loop_closes_and_another_film_does_not():
    for loop in (True, False):
        z = latent_path(300, 1, 64, fps=30, seed=0, loop=loop)[:, 0]
        step = np.linalg.norm(np.diff(z, axis=0), axis=1)
        seam = np.linalg.norm(z[0] - z[-1])
        assert (seam < step.max() * 1.2) == loop


def test_a_film_is_known_by_its_seed():
    a, b, other = (latent_path(30, 1, 8, fps=10, seed=seed) for seed in (5, 5, 6))
    assert np.array_equal(a, b) and not np.allclose(a, other)
