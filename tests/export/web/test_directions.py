"""The sliders' directions are those along which a known generator changes most."""

import numpy as np
import pytest

from export.web.directions import principal_directions


def orthonormal(rows, columns, seed):
    return np.linalg.qr(np.random.RandomState(seed).randn(columns, rows))[0].T


@pytest.fixture
def linear():
    """A generator of 64x64 whose images are three blocks' brightness: (generate, the directions, strongest first)."""
    latent_size = 24
    wanted = orthonormal(3, latent_size, seed=1)
    strengths = np.array([0.2, 0.1, 0.05])

    def generator(z):
        images = np.zeros((len(z), 3, 64, 64), np.float32)
        for k in range(3):
            images[:, :, 20 * k : 20 * k + 16] += (z @ wanted[k] * strengths[k])[:, None, None, None]
        return images

    return generator, wanted


def test_directions_are_those_that_move_most_pixels_in_order_and_brighter(linear):
    generator, wanted = linear
    found = principal_directions(generator, 24, 3)
    assert found.shape == (3, 24) and found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=0.02)  # the sign too: each makes its block brighter


def test_directions_are_orthonormal_and_each_explains_less(onnx_file):
    from export.sample import load_onnx

    generator = load_onnx(onnx_file, "cpu")
    found = principal_directions(generator, 32, 6)
    np.testing.assert_allclose(found @ found.T, np.eye(6), atol=1e-5)
    z = np.random.RandomState(9).randn(64, 32).astype(np.float32)

    def change(direction):
        step = np.float32(1.5) * direction
        return np.square(np.clip(generator(z + step), -1, 1) - np.clip(generator(z - step), -1, 1)).mean()

    first, last = change(found[0]), change(found[5])
    other = np.mean([change(row) for row in orthonormal(8, 32, seed=2).astype(np.float32)])
    assert first > last and first > 1.5 * other


def test_progress_counts_every_image(linear):
    seen = []
    principal_directions(linear[0], 24, 1, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (512, 512) and [done for done, _ in seen] == sorted(done for done, _ in seen)
