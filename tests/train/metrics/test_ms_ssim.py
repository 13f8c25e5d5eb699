"""MS-SSIM against a plain computation of its written definition, and against values known beforehand."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.signal import convolve2d

from train.metrics.ms_ssim import ms_ssim, ms_ssim_of


@pytest.fixture(scope="module")
def faces(real_data) -> np.ndarray:
    """(40, 3, 128, 128) uint8: CelebA."""
    images = []
    with zipfile.ZipFile(real_data / "celeba128-0.zip") as archive:
        for name in sorted(n for n in archive.namelist() if n.endswith(".webp"))[:40]:
            images.append(np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")).transpose(2, 0, 1))
    return np.stack(images)


def plain_ms_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """One pair (3, R, R), channel by channel with a two-dimensional window, in float64."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    product = 1.0
    for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
        size = min(11, a.shape[-1])
        y, x = np.mgrid[:size, :size] - (size - 1) / 2
        window = np.exp(-(x**2 + y**2) / (2 * (1.5 * size / 11) ** 2))
        window /= window.sum()
        maps = []
        for p, q in zip(a, b, strict=True):
            mp, mq, pp, qq, pq = (convolve2d(z, window, mode="valid") for z in (p, q, p * p, q * q, p * q))
            structure = (2 * (pq - mp * mq) + 7.65**2) / (pp - mp**2 + qq - mq**2 + 7.65**2)
            luminance = (2 * mp * mq + 2.55**2) / (mp**2 + mq**2 + 2.55**2)
            maps.append(structure if scale < 4 else luminance * structure)
        product *= max(0.0, float(np.mean(maps))) ** weight
        half = a.shape[-1] // 2
        a, b = (z[:, : 2 * half, : 2 * half].reshape(3, half, 2, half, 2).mean((2, 4)) for z in (a, b))
    return product


@pytest.mark.parametrize("resolution", [128, 64, 32, 16])  # the window shrinks below 11, from 8 and 4 to 1
def test_ms_ssim_is_the_written_definition(faces, resolution):
    step = 128 // resolution
    small = faces[..., ::step, ::step]
    a, b = small[:6], small[6:12]
    wanted = [plain_ms_ssim(p, q) for p, q in zip(a, b, strict=True)]
    np.testing.assert_allclose(ms_ssim(a, b, device="cpu"), wanted, rtol=1e-9)


def test_an_image_is_like_itself(faces):
    np.testing.assert_allclose(ms_ssim(faces[:4], faces[:4], device="cpu"), 1, rtol=1e-12)


def test_flat_images_differ_by_luminance_at_the_coarsest_scale_only():
    a, b = (np.full((1, 3, 64, 64), gray, np.uint8) for gray in (50, 200))
    luminance = (2 * 50 * 200 + 2.55**2) / (50**2 + 200**2 + 2.55**2)
    np.testing.assert_allclose(ms_ssim(a, b, device="cpu"), luminance**0.1333, rtol=1e-10)


def test_a_negative_scores_zero(faces):
    assert np.all(ms_ssim(faces[:4], 255 - faces[:4], device="cpu") == 0)  # below 0, clipped, not NaN


def test_order_of_a_pair_and_mirroring_change_nothing(faces):
    a, b = faces[:5], faces[5:10]
    scores = ms_ssim(a, b, device="cpu")
    np.testing.assert_allclose(ms_ssim(b, a, device="cpu"), scores, rtol=1e-12)
    np.testing.assert_allclose(ms_ssim(a[..., ::-1].copy(), b[..., ::-1].copy(), device="cpu"), scores, rtol=1e-12)


def test_a_set_is_paired_by_neighbours_however_it_comes(faces):
    wanted = ms_ssim(faces[0:20:2], faces[1:20:2], device="cpu").mean()
    odd_batches = (faces[start : start + 3] for start in range(0, 40, 3))
    assert ms_ssim_of(faces, pairs=10, device="cpu") == pytest.approx(wanted, rel=1e-12)
    assert ms_ssim_of(odd_batches, pairs=10, device="cpu") == pytest.approx(wanted, rel=1e-12)


def test_too_few_pairs_are_refused(faces):
    with pytest.raises(ValueError, match="images: got 20 pairs, expected 21"):
        ms_ssim_of(faces, pairs=21, device="cpu")


def test_wrong_pairs_are_refused(faces):
    with pytest.raises(ValueError, match="expected the same shape"):
        ms_ssim(faces[:2], faces[:3], device="cpu")
    with pytest.raises(ValueError, match="expected a multiple of 16"):
        ms_ssim(faces[:2, :, :72, :72], faces[2:4, :, :72, :72], device="cpu")
    with pytest.raises(ValueError, match=r"expected \(N, 3, R, R\) uint8"):
        ms_ssim(faces[:2] / 255, faces[2:4] / 255, device="cpu")


@pytest.mark.gpu
def test_ms_ssim_on_a_gpu_is_that_on_the_cpu(faces):
    on_cpu = ms_ssim(faces[:20], faces[20:], device="cpu")
    np.testing.assert_allclose(ms_ssim(faces[:20], faces[20:], device="cuda"), on_cpu, rtol=1e-9)
