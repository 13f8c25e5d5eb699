"""Training of the restoration networks: the damage, the protocols, the loop, resuming, the files."""

import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from train.restoration.batches import DrawnBatches, PooledBatches
from train.restoration.checkpoint import load_weights, save_weights
from train.restoration.config import RestorationConfig
from train.restoration.degrade import artifact_pair, draw_patch, jpeg, resize, superres_pair
from train.restoration.discriminator import PatchDiscriminator
from train.restoration.loop import train
from train.restoration.photos import PhotoStore, read_photos, read_testset
from train.restoration.protocol import artifacts_psnr, luma, psnr, restorer, superres_psnr
from train.restoration.step import learning_rate_at, rms_share_at
from train.restoration.texture import texture_distance
from zoo.restoration.networks import build


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Three photographs with smooth shading, edges and texture, as a folder of PNGs."""
    root, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    y, x = np.mgrid[0:150, 0:170]
    for i in range(3):
        shading = np.stack([128 + 80 * np.sin(x / (9 + i) + c) * np.cos(y / (13 - i)) for c in range(3)], axis=2)
        shading[(x // 24 + y // 31) % 2 == 0] *= 0.6
        photo = np.clip(shading + rng.normal(0, 6, shading.shape), 0, 255).astype(np.uint8)
        Image.fromarray(photo).save(root / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def store(folder, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store")
    PhotoStore.write(path, list(read_photos(folder).values()))
    return path


def config_for(folder: Path, outdir: Path, **changes) -> RestorationConfig:
    base = RestorationConfig(
        photos=folder, net="artifacts", size="fast", outdir=outdir, steps=6, batch=2, patch=32, device="cpu"
    )
    return dataclasses.replace(base, **changes)


# Protocols: the published baselines, to 0.02 dB.


def test_bicubic_on_set5_and_set14_gives_the_published_baseline(real_data):
    for name, wanted in (("Set5", 28.43), ("Set14", 26.09)):
        photos = list(read_testset(real_data / "testsets", name).values())
        assert superres_psnr(None, photos) == pytest.approx(wanted, abs=0.02)


def test_jpeg_on_classic5_gives_the_published_baseline(real_data):
    photos = list(read_testset(real_data / "testsets", "Classic5").values())
    for quality, wanted in ((10, 27.82), (20, 30.12), (30, 31.48), (40, 32.43)):
        assert artifacts_psnr(None, photos, quality) == pytest.approx(wanted, abs=0.02)


def test_psnr_of_an_error_of_one_level_is_48_13_db():
    black = np.zeros((4, 4), np.uint8)
    assert psnr(black, black + 1) == pytest.approx(20 * np.log10(255))
    assert psnr(black, black) == np.inf


def test_luma_runs_from_16_to_235():
    black, white = (np.full((1, 1, 3), value, np.uint8) for value in (0, 255))
    assert luma(black)[0, 0] == pytest.approx(16) and luma(white)[0, 0] == pytest.approx(235, abs=1e-6)


# Damage.


def test_jpeg_subsampling_blurs_color_only_with_4_2_0():
    photo = np.zeros((32, 32, 3), np.uint8)
    photo[:, ::2] = (255, 0, 0)
    photo[:, 1::2] = (0, 130, 0)  # about the same luma: color alone carries the stripes
    errors = {name: psnr(photo, jpeg(photo, 95, name)) for name in ("4:2:0", "4:4:4")}
    assert errors["4:4:4"] > errors["4:2:0"] + 10


def test_the_shares_of_gray_and_undamaged_pairs_are_as_documented(store):
    rng, photos = np.random.default_rng(1), PhotoStore(store)
    pairs = [artifact_pair(rng, photos.draw(rng), 32) for _ in range(600)]
    gray = np.mean([(target == target[..., :1]).all() for _, target in pairs])
    untouched = np.mean([(damaged == target).all() for damaged, target in pairs])
    assert gray == pytest.approx(0.45, abs=0.07)
    assert untouched == pytest.approx(2 / 14, abs=0.04)
    for damaged, target in pairs:
        assert damaged.shape == target.shape == (32, 32, 3) and damaged.dtype == target.dtype == np.uint8


def test_damage_never_shifts_the_photo(store):
    rng, photos = np.random.default_rng(2), PhotoStore(store)
    damaged, target = (
        np.stack(images)[..., 1].astype(np.float32)
        for images in zip(*[artifact_pair(rng, photos.draw(rng), 64) for _ in range(64)], strict=True)
    )
    still = np.abs(damaged - target).mean()
    for axis in (1, 2):
        assert np.abs(np.roll(damaged, 1, axis) - target)[:, 4:-4, 4:-4].mean() > 1.2 * still


def test_ideal_reduction_is_pillow_bicubic_of_the_whole_and_not_of_the_crop(store):
    photo = np.array(PhotoStore(store)[0])
    rng = np.random.default_rng(3)
    small, target = superres_pair(rng, photo, 64, ideal=1.0)
    assert small.shape == (16, 16, 3) and target.shape == (64, 64, 3)
    # The patch reduced alone agrees inside, and differs at the border, where the kernel would have left the patch.
    alone = resize(target, 16, 16).astype(int)
    assert np.abs(alone - small)[3:-3, 3:-3].max() <= 1
    assert np.abs(alone - small)[[0, -1]].mean() > 0.5


def test_a_photo_smaller_than_the_patch_is_mirrored_not_stretched():
    photo = np.tile(np.arange(20, dtype=np.uint8)[None, :, None] * 10, (20, 1, 3))
    patch = draw_patch(np.random.default_rng(0), photo, 48)
    assert patch.shape == (48, 48, 3)
    steps = np.abs(np.diff(patch.astype(int), axis=0)).max(), np.abs(np.diff(patch.astype(int), axis=1)).max()
    assert max(steps) <= 10


def test_batches_are_a_function_of_seed_and_step(store):
    make = lambda seed: DrawnBatches(store, "superres", "psnr", 32, 3, seed)  # noqa: E731
    first, again, later, other = make(0).draw(5), make(0).draw(5), make(0).draw(6), make(1).draw(5)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], later[0]) and not torch.equal(first[0], other[0])


def test_the_pool_holds_pairs_that_belong_together_and_turns_them_together(store):
    what = {"step": 0, "workers": 1, "pool": 64, "device": torch.device("cpu")}
    pool = PooledBatches(store, "superres", "psnr", 32, 16, 0, **what)
    try:
        for step in range(8):
            inputs, targets = pool.draw(step)
            assert inputs.shape == (16, 8, 8, 3) and targets.shape == (16, 32, 32, 3)
            means = targets.float().reshape(16, 8, 4, 8, 4, 3).mean((2, 4))
            assert (means - inputs.float()).abs().mean() < 12
    finally:
        pool.close()


# Schedules, discriminator, texture.


def test_learning_rate_warms_up_and_ends_at_zero():
    assert learning_rate_at(0, 1.0) < 0.1 and learning_rate_at(0.02, 1.0) == pytest.approx(1.0)
    assert learning_rate_at(0.51, 1.0) == pytest.approx(0.5) and learning_rate_at(1.0, 1.0) == pytest.approx(0.0)
    assert rms_share_at(0.5) == 0 and rms_share_at(0.7) == pytest.approx(0.5) and rms_share_at(1.0) == 1


def test_the_judge_is_divided_by_its_true_singular_values():
    torch.manual_seed(0)
    layer = PatchDiscriminator().layers[2]
    for _ in range(200):
        layer.iterate()
    sigma = layer.left @ layer.weight.flatten(1) @ layer.right
    assert sigma.item() == pytest.approx(torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item(), rel=1e-3)


def test_blur_is_further_from_the_texture_of_the_original_than_a_slight_change(folder):
    photos = list(read_photos(folder).values())
    blurred = [cv2.GaussianBlur(photo, (0, 0), 2.0) for photo in photos]
    slightly = [cv2.GaussianBlur(photo, (0, 0), 0.5) for photo in photos]
    assert texture_distance(photos, photos) == 0
    assert texture_distance(photos, blurred) > 2 * texture_distance(photos, slightly) > 0


# The loop and its files.


@pytest.mark.slow
def test_training_raises_psnr_over_the_damaged_photo(real_data, tmp_path):
    """A hundred tiny steps on four real photographs, measured on another one."""
    for source in sorted((real_data / "photos" / "t91").glob("*.png"))[:40:10]:
        (tmp_path / source.name).symlink_to(source)
    photo = [read_testset(real_data / "testsets", "Classic5")["Classic5/lena.png"][128:256]]
    config = config_for(tmp_path, tmp_path / "runs", steps=150, batch=4, patch=48, ema=0.97, learning_rate=3e-3)
    train(config)
    restore = restorer(load_weights(tmp_path / "runs/artifacts-fast/artifacts-fast.safetensors"))
    assert artifacts_psnr(restore, photo, 10) > artifacts_psnr(None, photo, 10) + 0.1


@pytest.mark.parametrize("kind", ["psnr", "gan"])
def test_stop_and_resume_equals_uninterrupted_bit_for_bit(folder, tmp_path, kind):
    init = tmp_path / "init.safetensors"
    save_weights(init, build("superres", "fast"), "superres", "fast")
    changes = {"net": "superres", "kind": kind, "init": init}
    name = f"superres-fast-{kind}"
    # A stop in the middle of a longer schedule: the clock ends the first slice after a step.
    train(config_for(folder, tmp_path / "whole", **changes))
    for _ in range(20):
        if train(config_for(folder, tmp_path / "slices", **changes), stop_at=_clock_for(2)):
            break
    else:
        pytest.fail("the slices never finished")
    ours, theirs = (load_weights(tmp_path / run / name / f"{name}.safetensors") for run in ("whole", "slices"))
    for (key, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(a, b), key
    lines = [json.loads(line) for line in (tmp_path / "slices" / name / "log.jsonl").read_text().splitlines()]
    assert len(lines) > 1 and lines[-1]["step"] == 6
    assert (tmp_path / "slices" / name / "strip.png").exists()


class _clock_for(float):
    """A deadline that lets a given number of steps pass, whatever the speed of the machine."""

    def __new__(cls, steps: int):
        self = super().__new__(cls, 0.0)
        self._left = steps
        return self

    def __gt__(self, now: float) -> bool:  # time.monotonic() < stop_at asks us first: we are the subclass
        self._left -= 1
        return self._left >= 0


def test_other_settings_in_the_same_folder_are_refused(folder, tmp_path):
    train(config_for(folder, tmp_path, steps=1))
    with pytest.raises(ValueError, match=r"--batch: got 3, expected 2 as of .*artifacts-fast"):
        train(config_for(folder, tmp_path, steps=1, batch=3))


def test_weights_survive_in_half_precision(tmp_path):
    network = build("artifacts", "fast").eval()
    save_weights(tmp_path / "w.safetensors", network, "artifacts", "fast")
    photo = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        assert torch.allclose(load_weights(tmp_path / "w.safetensors")(photo), network(photo), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minutes": 1.0}, "--minutes, --steps: got"),
        ({"kind": "gan"}, "--kind gan: got --net artifacts"),
        ({"patch": 30}, "--patch: got 30, expected a multiple of 8"),
        (
            {"net": "superres", "kind": "gan", "init": Path("w"), "patch": 24},
            "--patch: got 24, expected at least 32 with --kind gan",
        ),
        ({"batch": 0}, "--batch: got 0, expected at least 1"),
    ],
)
def test_nonsense_is_refused_at_birth(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        config_for(tmp_path, tmp_path, **changes)


def test_a_folder_without_photos_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"got no photo in it, expected files \.jpg"):
        read_photos(tmp_path)
    with pytest.raises(FileNotFoundError, match="not there, expected a folder or a zip"):
        read_photos(tmp_path / "nowhere")
