"""Pairs as small photographs are found: what is asked of the adversarial network, and what it is given."""

import cv2
import numpy as np
import pytest
import torch

from train.restoration import as_found
from train.restoration.as_found import as_found_pair
from train.restoration.batches import DrawnBatches, PooledBatches
from train.restoration.checkpoint import save_weights
from train.restoration.config import RestorationConfig
from train.restoration.draw_pair import PairDrawer
from train.restoration.photos import PhotoStore
from train.restoration.protocol import psnr
from train.restoration.validate import as_found_psnr
from zoo.restoration.networks import build


@pytest.fixture(scope="module")
def photo():
    """(300, 320, 3) uint8: shading, edges and fine stripes, none of it at a multiple of eight."""
    y, x = np.mgrid[0:300, 0:320]
    stripes = 128 + 60 * np.sin(x / 1.3 + y / 7.0) * ((x // 37 + y // 41) % 2)
    shading = 40 * np.sin(y / 45.0)
    return np.clip(np.stack([stripes + shading, stripes, 0.6 * stripes + 40], axis=2), 0, 255).astype(np.uint8)


def pairs(photo, number=150, **options):
    rng = np.random.default_rng(0)
    return [as_found_pair(rng, photo, 64, **options) for _ in range(number)]


def test_pairs_belong_together_to_the_pixel(photo):
    for small, target in pairs(photo, 40):
        assert small.shape == (16, 16, 3) and target.shape == (64, 64, 3) and small.dtype == target.dtype == np.uint8
    differences = np.zeros(3)
    for small, target in pairs(photo):
        means = cv2.resize(target, (16, 16), interpolation=cv2.INTER_AREA).astype(float)
        for i, shift in enumerate((-1, 0, 1)):
            differences[i] += np.abs(np.roll(means, shift, axis=1) - small)[:, 2:-2].mean()
    assert differences[1] < 0.8 * min(differences[0], differences[2])


def test_three_in_five_are_soft_and_their_targets_keep_half_of_the_blur(photo, monkeypatch):
    sigmas, blur = [], cv2.GaussianBlur

    def spy(image, size, sigma):
        if image.dtype == np.uint8:  # the photo, not its grain
            sigmas.append((image.mean(), sigma))
        return blur(image, size, sigma)

    monkeypatch.setattr(as_found.cv2, "GaussianBlur", spy)
    pairs(photo)
    given, wanted = sigmas[::2], sigmas[1::2]
    assert len(given) / 150 == pytest.approx(0.6, abs=0.1)
    assert all(one == other and half == whole / 2 for (one, whole), (other, half) in zip(given, wanted, strict=True))
    assert min(sigma for _, sigma in given) >= 1 and max(sigma for _, sigma in given) <= 5


def test_no_target_is_grainy_or_compressed(photo):
    assert all((target == 120).all() for _, target in pairs(np.full_like(photo, 120), 40))


def test_half_of_the_inputs_are_grainy_by_1_to_6_levels(photo):
    flat = np.full_like(photo, 120)
    rng, spreads = np.random.default_rng(1), []
    for _ in range(200):
        small, _ = as_found_pair(rng, flat, 64, clean=lambda damaged: np.full_like(damaged, 120))
        spreads.append(small.std())
    uncompressed_and_grainy = np.array([spread for spread in spreads if spread > 0])
    assert len(uncompressed_and_grainy) / 200 == pytest.approx(0.5 * 0.3, abs=0.07)
    assert uncompressed_and_grainy.min() > 0.8 and uncompressed_and_grainy.max() < 7


def test_what_was_compressed_passes_the_cleaner_and_nothing_else_does(photo):
    seen = []

    def clean(damaged):
        seen.append(damaged.shape)
        return damaged

    pairs(photo, clean=clean)
    assert len(seen) / 150 == pytest.approx(0.7, abs=0.1) and set(seen) == {(32, 32, 3)}  # with what lies around


def test_the_adversarial_network_gets_two_in_five_ideal_pairs_and_the_other_only_its_own(photo, monkeypatch):
    calls = []
    pair = (np.zeros((8, 8, 3), np.uint8), np.zeros((32, 32, 3), np.uint8))
    monkeypatch.setattr("train.restoration.draw_pair.as_found_pair", lambda *args: calls.append("found") or pair)
    monkeypatch.setattr(
        "train.restoration.draw_pair.superres_pair", lambda *args, ideal=0.9: calls.append(ideal) or pair
    )
    rng = np.random.default_rng(0)
    gan, plain = (PairDrawer("superres", kind, 32) for kind in ("gan", "psnr"))
    for _ in range(500):
        gan(rng, photo)
    assert calls.count("found") / 500 == pytest.approx(0.6, abs=0.06)
    assert calls.count("found") + calls.count(1.0) == 500
    calls.clear()
    plain(rng, photo)
    assert calls == [0.9]


def test_batches_pass_the_cleaner_in_step_and_in_the_workers(photo, tmp_path):
    """One that adds to every pixel shows where it has been."""
    PhotoStore.write(tmp_path / "store", [np.full_like(photo, 100)])
    network = build("artifacts", "fast")
    torch.nn.init.zeros_(network.tail.weight)
    torch.nn.init.constant_(network.tail.bias, 100 / 255)
    save_weights(tmp_path / "adds.safetensors", network, "artifacts", "fast")
    what, cleaner = (tmp_path / "store", "superres", "gan", 32, 32, 0), tmp_path / "adds.safetensors"

    def cleaned(inputs):
        return (inputs.float().mean((1, 2, 3)) > 150).float().mean().item()

    assert cleaned(DrawnBatches(*what).draw(0)[0]) == 0
    assert cleaned(DrawnBatches(*what, cleaner=cleaner).draw(0)[0]) == pytest.approx(0.6 * 0.7, abs=0.2)
    more = {"step": 0, "workers": 1, "pool": 64, "device": torch.device("cpu")}
    pool = PooledBatches(*what, cleaner=cleaner, **more)
    try:
        assert cleaned(pool.draw(0)[0]) == pytest.approx(0.6 * 0.7, abs=0.2)
    finally:
        pool.close()


def test_a_cleaner_without_the_adversarial_kind_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--cleaner: got w with --kind psnr, expected it with --kind gan only"):
        RestorationConfig(photos=tmp_path, net="superres", steps=1, cleaner="w")


def test_the_validation_as_found_is_the_same_every_time_and_prefers_the_faithful(photo):
    rng = np.random.default_rng(0)

    def enlarge(small):
        return cv2.resize(small, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)

    def crack(small):
        return np.clip(enlarge(small) + rng.normal(0, 8, (192, 192, 1)), 0, 255).astype(np.uint8)

    photos = [photo] * 3
    assert as_found_psnr(enlarge, photos) == as_found_psnr(enlarge, photos) > as_found_psnr(crack, photos)
    inputs = []
    as_found_psnr(lambda small: inputs.append(small) or enlarge(small), photos)
    assert not np.array_equal(inputs[0], inputs[1]) and psnr(inputs[0], inputs[0]) == np.inf
    assert as_found.MARGIN % 4 == 0
