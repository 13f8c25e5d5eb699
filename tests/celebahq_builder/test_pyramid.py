"""The levels of a face, against cascades written independently."""

import numpy as np
import pytest

from celebahq_builder.pyramid import pyramid


def _face(resolution: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (resolution, resolution, 3), dtype=np.uint8)


@pytest.mark.parametrize("resolution", [1, 2, 16, 256, 1024])
def test_levels_are_means_of_the_unrounded_level_above_rounded_once(resolution):
    face = _face(resolution)
    levels = pyramid(face)
    for r, level in levels.items():
        # Down to 256 times smaller, a mean of so many bytes is exact in float64 and in float32 alike.
        blocks = face.reshape(r, resolution // r, r, resolution // r, 3).astype(np.float64)
        expected = np.rint(blocks.mean(axis=(1, 3))).transpose(2, 0, 1)
        np.testing.assert_array_equal(level, expected)


def test_levels_further_down_than_float32_is_exact_are_summed_in_the_original_order():
    face = np.zeros((2048, 2048, 3), dtype=np.uint8)
    for (row, column), value in {(0, 0): 128, (0, 1): 128, (1, 0): 125, (1, 1): 125}.items():
        face[256 * row : 256 * (row + 1), 256 * column : 256 * (column + 1)] = value
    face[0, 0] += 1
    face[256, 0] += 1
    # Means of 128 and 125 and 2^-16 more: from left to right each of these is lost beside 256, and 126.5 becomes 126;
    # by columns first they add up to what is not lost, and a little more than 126.5 becomes 127.
    assert pyramid(face)[4][:, 0, 0].tolist() == [126] * 3


def test_levels_run_from_the_faces_own_down_to_one_pixel():
    levels = pyramid(_face(64))
    assert list(levels) == [64, 32, 16, 8, 4, 2, 1]
    for r, level in levels.items():
        assert level.shape == (3, r, r)
        assert level.dtype == np.uint8
        assert level.flags.c_contiguous


def test_first_level_is_the_face_channels_first():
    face = _face(8)
    np.testing.assert_array_equal(pyramid(face)[8][2], face[..., 2])


@pytest.mark.parametrize(("ones", "expected"), [(2, 0), (6, 2)])  # means 0.5 and 1.5: both to the even neighbour
def test_halves_are_rounded_to_even(ones, expected):
    face = np.zeros((2, 2, 3), dtype=np.uint8)
    face[0] = ones // 2
    np.testing.assert_array_equal(pyramid(face)[1], np.full((3, 1, 1), expected))


def test_no_level_is_computed_from_a_rounded_one():
    # Means of 2x2 are 0.5 everywhere but in one corner (0.75): rounded first, the last level would be 0.25 -> 0.
    face = np.zeros((4, 4, 3), dtype=np.uint8)
    face[0] = face[2] = 1
    face[1, 0] = 1
    np.testing.assert_array_equal(pyramid(face)[1], np.ones((3, 1, 1)))


def test_face_is_left_as_it_was():
    face = _face(16)
    before = face.copy()
    pyramid(face)[16][:] = 0
    np.testing.assert_array_equal(face, before)


@pytest.mark.parametrize("shape", [(48, 48, 3), (32, 64, 3), (0, 0, 3)])
def test_a_side_that_is_no_power_of_two_is_refused(shape):
    with pytest.raises(ValueError, match="power of two"):
        pyramid(np.zeros(shape, dtype=np.uint8))


@pytest.mark.parametrize("face", [np.zeros((8, 8, 3)), np.zeros((8, 8), np.uint8), np.zeros((3, 8, 8), np.uint8)])
def test_anything_but_rgb_bytes_is_refused(face):
    with pytest.raises(ValueError, match=r"expected \(R, R, 3\) or \(R, R, 1\) of uint8"):
        pyramid(face)
