"""The losses of restoration training: what they punish, and how much."""

import cv2
import numpy as np
import pytest
import torch

from train.restoration import texture_loss as module
from train.restoration.step import LEAST_ERROR, PsnrStep
from train.restoration.texture_loss import draw_projections, texture_loss
from zoo.restoration.networks import build


@pytest.fixture
def photos():
    """(3, 3, 96, 96) float32 in [0, 1]: soft shapes with grain, another one each."""
    rng = np.random.default_rng(5)
    soft = [cv2.GaussianBlur(rng.random((96, 96, 3)), (0, 0), 3) for _ in range(3)]
    grainy = np.stack([s + rng.normal(0, 0.02, s.shape) for s in soft]).clip(0, 1)
    return torch.from_numpy(grainy).permute(0, 3, 1, 2).float()


def softened(photos):
    blurred = [cv2.GaussianBlur(photo.permute(1, 2, 0).numpy(), (0, 0), 1) for photo in photos]
    return torch.from_numpy(np.stack(blurred)).permute(0, 3, 1, 2)


def test_the_texture_loss_of_equal_photos_is_zero(photos):
    assert texture_loss(photos, photos, *draw_projections((1,))).item() == 0


def test_its_levels_are_opencv_s_laplacian_pyramid(photos):
    photo = photos[0].permute(1, 2, 0).numpy()
    smaller = cv2.pyrDown(photo)
    expected = [photo - cv2.pyrUp(smaller), smaller - cv2.pyrUp(cv2.pyrDown(smaller))]
    for level, wanted in zip(module._laplacian(photos[:1]), expected, strict=True):
        np.testing.assert_allclose(level[0].permute(1, 2, 0).numpy(), wanted[4:-4, 4:-4], atol=1e-6)


@pytest.mark.slow
def test_its_value_is_the_sliced_wasserstein_distance_written_out_in_numpy(photos, monkeypatch):
    monkeypatch.setattr(module, "PLACES", 20_000)
    monkeypatch.setattr(module, "DIRECTIONS", 192)
    rng, distances = np.random.default_rng(1), []
    blurred = softened(photos)
    for ours, theirs in zip(module._laplacian(blurred), module._laplacian(photos), strict=True):
        deviation = theirs.numpy().std(axis=(0, 2, 3))[:, None, None]
        directions = rng.standard_normal((192, 3 * 7 * 7))
        directions /= np.linalg.norm(directions, axis=1, keepdims=True)
        for restored, original in zip(ours.numpy(), theirs.numpy(), strict=True):
            windows = [
                np.lib.stride_tricks.sliding_window_view(image / deviation, (7, 7), axis=(1, 2))
                .transpose(1, 2, 0, 3, 4)
                .reshape(-1, 3 * 7 * 7)
                for image in (restored, original)
            ]
            ranked = [np.sort(window @ directions.T, axis=0) for window in windows]
            distances.append(np.abs(ranked[0] - ranked[1]).mean())
    assert texture_loss(blurred, photos, *draw_projections((1,))).item() == pytest.approx(np.mean(distances), rel=0.05)


def test_it_asks_for_grain_like_the_original_s_wherever_it_lies_and_not_for_blur(photos):
    torch.manual_seed(0)
    grain = 0.02 * torch.randn_like(photos)
    regrained = softened(photos) + grain
    pixels = [(made - photos).abs().mean().item() for made in (regrained, softened(photos))]
    textures = [texture_loss(made, photos, *draw_projections((1,))).item() for made in (regrained, softened(photos))]
    assert pixels[0] > pixels[1]  # pixel by pixel other grain is worse than none
    assert textures[0] < 0.25 * textures[1]


def test_at_the_end_of_training_a_coarse_and_a_fine_jpeg_pull_equally():
    network = build("artifacts", "fast")
    step = PsnrStep(network, network, shapes=((2, 32, 32, 3), (2, 32, 32, 3)), ema_decay=0.999, bf16=False)
    step.rms_share.fill_(1.0)
    torch.manual_seed(0)
    targets = torch.full((2, 3, 32, 32), 0.5)
    strength = torch.tensor([0.1, 0.01])[:, None, None, None]  # PSNR of 20 and of 40 dB
    error = strength * torch.randn_like(targets)
    outputs = (targets + error).requires_grad_(True)
    loss = step._content_loss(outputs, targets)
    powers = error.double().square().flatten(1).mean(dim=1) + LEAST_ERROR**2
    assert loss.item() == pytest.approx(powers.sqrt().mean().item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(loss, outputs)
    coarse, fine = gradient.flatten(1).norm(dim=1)
    assert fine / coarse == pytest.approx(1, abs=0.05)  # of the squared error's it is a tenth


def test_what_the_texture_loss_compares_is_a_function_of_seed_and_step():
    draws = [draw_projections(seed) for seed in ((0, 5), (0, 5), (0, 6), (1, 5))]
    assert all(torch.equal(a, b) for a, b in zip(draws[0], draws[1], strict=True))
    assert not any(torch.equal(a, b) for draw in draws[2:] for a, b in zip(draws[0], draw, strict=True))
    directions, places = draws[0]
    assert torch.allclose(directions.flatten(2).norm(dim=2), torch.ones(2, module.DIRECTIONS))
    assert places.min() >= 0 and places.max() < 1
