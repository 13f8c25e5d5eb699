"""The fingerprint is near for copies of a face and far for other faces."""

import io
import itertools

import numpy as np
import pytest
from PIL import Image

from celebahq_builder.perceptual_hash import HASH_BITS, MOST_BITS_APART, perceptual_hash


def apart(a, b):
    return (int(a, 16) ^ int(b, 16)).bit_count()


@pytest.fixture(scope="module")
def faces(real_data):
    """28 official CelebA-HQ faces, (256, 256, 3) uint8."""
    paths = sorted(path for path in (real_data / "celebahq_rank").iterdir() if path.suffix == ".jpg")
    return [np.asarray(Image.open(path).convert("RGB").resize((256, 256), Image.Resampling.BOX)) for path in paths]


def jpeg(face, quality):
    stream = io.BytesIO()
    Image.fromarray(face).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def resized(face, side):
    return np.asarray(Image.fromarray(face).resize((side, side), Image.Resampling.LANCZOS))


@pytest.mark.parametrize(
    "change",
    [
        lambda face: jpeg(face, 30),
        lambda face: resized(face, 64),
        lambda face: jpeg(resized(face, 128), 50),
        lambda face: (face * 0.8).astype(np.uint8),
    ],
)
def test_copies_are_near(faces, change):
    assert max(apart(perceptual_hash(face), perceptual_hash(change(face))) for face in faces) <= MOST_BITS_APART


def test_other_faces_are_far(faces):
    hashes = [perceptual_hash(face) for face in faces]
    assert min(apart(a, b) for a, b in itertools.combinations(hashes, 2)) > MOST_BITS_APART


def test_hash_has_its_length_and_needs_32_pixels(faces):
    assert len(perceptual_hash(faces[0])) == HASH_BITS // 4
    assert perceptual_hash(resized(faces[0], 16)) == ""


@pytest.mark.parametrize("side", [32, 64, 256, 1024])
def test_bits_are_those_of_means_in_float64(side):
    rng, cells = np.random.default_rng(side), side // 32
    waves = np.cos(np.pi * np.outer(np.arange(16), np.arange(32) + 0.5) / 32)
    for make in range(4):
        blocks = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) if make else np.full((32, 32, 3), 255, np.uint8)
        face = blocks.repeat(cells, 0).repeat(cells, 1)
        face = np.where(rng.random(face.shape) < 0.1 * make, rng.integers(0, 256, face.shape), face).astype(np.uint8)
        gray = face.reshape(32, cells, 32, cells, 3).mean((1, 3), dtype=np.float64) @ (0.299, 0.587, 0.114)
        low = (waves @ gray @ waves.T).ravel()
        assert perceptual_hash(face) == np.packbits(low > np.median(low[1:])).tobytes().hex()
