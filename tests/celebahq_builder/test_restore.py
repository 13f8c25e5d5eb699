"""Restoration of a photo by the networks that ship: better than before, whatever the tiles, the batch and the size."""

import io
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from celebahq_builder.restore import forward, load_network, remove_artifacts, super_resolve
from celebahq_builder.tiles import run_tiled

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "in-the-wild"


@pytest.fixture(scope="module")
def original():
    """A face and what is around it, from a PNG that never was a JPEG; no network was trained on it."""
    return np.asarray(Image.open(EXAMPLES / "astronaut.png").convert("RGB"))[30:222, 130:322]


def jpeg(photo, quality):
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream).convert("RGB"))


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


@pytest.mark.parametrize("size", ["fast", "fast-free"])
@pytest.mark.parametrize("quality", [10, 20, 40])
def test_artifact_removal_brings_a_jpeg_nearer_to_its_original(original, quality, size):
    damaged = jpeg(original, quality)
    assert psnr(original, remove_artifacts(damaged, size)) > psnr(original, damaged) + 0.5


def test_undamaged_photo_is_left_as_it_is(original):
    restored = remove_artifacts(original, "fast")
    assert np.array_equal(restored, original) and restored is not original


@pytest.mark.parametrize("size", ["fast", "fast-free"])
def test_super_resolution_is_nearer_to_the_original_than_bicubic(original, size):
    small = np.asarray(Image.fromarray(original).resize((48, 48), Image.Resampling.BICUBIC))
    bicubic = np.asarray(Image.fromarray(small).resize((192, 192), Image.Resampling.BICUBIC))
    assert psnr(original, super_resolve(small, size, "psnr")) > psnr(original, bicubic) + 1
    # Texture costs error, but neither place nor color.
    enlarged = super_resolve(small, size, "gan")
    assert psnr(original, enlarged) > psnr(original, bicubic) - 2
    reduced = cv2.resize(enlarged, (48, 48), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.mean((0, 1)) - small.mean((0, 1))).max() < 1
    assert psnr(reduced, cv2.resize(original, (48, 48), interpolation=cv2.INTER_AREA)) > 30


@pytest.mark.parametrize("name", ["artifacts-fast", "superres-fast-psnr", "superres-fast-gan"])
def test_result_depends_neither_on_tiles_nor_on_batch(original, name):
    network, scale = load_network(name, "cpu"), 4 if name.startswith("superres") else 1
    photo = jpeg(original, 30)[:150, :131]

    def run(tile, margin, batch, rounded):
        dtype = np.uint8 if rounded else np.float32
        return run_tiled(
            lambda images: forward(network, images, rounded),
            photo, scale=scale, tile=tile, margin=margin, batch=batch, dtype=dtype,
        )  # fmt: skip

    whole, whole_rounded = (run(10_000, 0, 1, rounded) for rounded in (False, True))
    for tile, batch in ((32, 1), (32, 4), (52, 2)):
        assert np.abs(run(tile, network.margin, batch, False) - whole).max() < 1e-3
        assert np.abs(run(tile, network.margin, batch, True).astype(int) - whole_rounded).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (3, 5000), (5, 2)])
def test_photo_of_any_size_comes_back_whole(size):
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert remove_artifacts(photo, "fast").shape == photo.shape
    assert super_resolve(photo[:, :500], "fast").shape == (4 * size[0], 4 * min(size[1], 500), 3)


def test_gray_photo_stays_gray(original):
    gray = np.asarray(Image.fromarray(jpeg(original, 30)).convert("L").convert("RGB"))[40:120, 40:120]
    for restored in (remove_artifacts(gray, "fast"), super_resolve(gray, "fast")):
        assert np.ptp(restored, axis=2).max() == 0
        reduced = cv2.resize(restored, (80, 80), interpolation=cv2.INTER_AREA)
        assert psnr(reduced, gray) > 25 and not np.array_equal(reduced, gray)


@pytest.mark.parametrize("value", [0, 255])
def test_black_and_white_stay_black_and_white(value):
    photo = np.full((24, 24, 3), value, np.uint8)
    assert np.abs(super_resolve(photo, "fast").astype(int) - value)[16:-16, 16:-16].max() <= 2


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda photo: remove_artifacts(photo, "huge"), "size: got 'huge', expected 'full', 'fast' or 'fast-free'"),
        (lambda photo: super_resolve(photo, "fast", "vgg"), "kind: got 'vgg', expected 'gan' or 'psnr'"),
        (
            lambda photo: remove_artifacts(photo, "fast", "tpu"),
            "--device: got 'tpu', expected auto, cpu, cuda or cuda:N",
        ),
        (lambda photo: super_resolve(photo[..., 0], "fast"), r"photo: got shape \(8, 8\) of uint8"),
        (lambda photo: remove_artifacts(photo / 255, "fast"), r"photo: got shape \(8, 8, 3\) of float64"),
    ],
)
def test_nonsense_is_refused_by_name(call, text):
    with pytest.raises(ValueError, match=text):
        call(np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("restore", [remove_artifacts, super_resolve])
def test_self_ensemble_of_a_mirrored_or_turned_photo_is_the_mirrored_or_turned_result(original, restore):
    damaged = jpeg(original, 10)[40:93, 20:89]  # the network alone has its cells elsewhere in a mirrored one
    whole = restore(damaged, "fast", ensemble=True)
    for moved in (lambda image: image[:, ::-1], np.rot90):
        given = np.ascontiguousarray(moved(damaged))
        assert np.array_equal(restore(given, "fast", ensemble=True), moved(whole))
        assert not np.array_equal(restore(given, "fast"), moved(restore(damaged, "fast")))


def test_self_ensemble_is_nearer_to_the_original_but_for_texture(original):
    damaged = jpeg(original, 20)
    alone, together = (remove_artifacts(damaged, "fast", ensemble=ensemble) for ensemble in (False, True))
    assert psnr(original, together) > psnr(original, alone) + 0.03
    small = np.asarray(Image.fromarray(original).resize((48, 48), Image.Resampling.BICUBIC))
    alone, together = (super_resolve(small, "fast", "psnr", ensemble=ensemble) for ensemble in (False, True))
    assert psnr(original, together) > psnr(original, alone)


@pytest.mark.gpu
def test_cuda_agrees_with_the_cpu_within_one_level(original):
    damaged = jpeg(original, 30)
    for name, restore in (("artifacts", remove_artifacts), ("superres", super_resolve)):
        cpu, cuda = (restore(damaged, "fast", device=device).astype(int) for device in ("cpu", "cuda"))
        assert (np.abs(cpu - cuda) > 1).mean() < 1e-3, name


def test_loading_a_network_does_not_import_the_compiler():
    """It did, to draw weights that are loaded in the next line: a CPU second of every worker."""
    code = "import sys\nfrom celebahq_builder.restore import load_network\nload_network('superres-fast-gan', 'cpu')\n"
    code += "load_network('artifacts-fast', 'cpu')\nassert 'torch._dynamo' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=EXAMPLES.parents[1])
