"""Self-ensemble: the mean over eight positions, so exact that a turned or mirrored photo gives the turned result."""

import numpy as np
import pytest

from zoo.restoration.self_ensemble import self_ensemble


def lopsided(photo, part=None):
    """Make something twice as large that depends on place and direction, as a network with cells does."""
    made = np.cumsum(photo, axis=1, dtype=np.int64) + 3 * np.arange(len(photo))[:, None, None]
    return np.repeat(np.repeat(made % 256, 2, axis=0), 2, axis=1).astype(np.uint8)


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (7, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarters", range(4))
def test_a_turned_or_mirrored_photo_gives_the_turned_or_mirrored_result(photo, quarters, mirrored):
    def moved(image):
        return np.rot90(image[:, ::-1] if mirrored else image, quarters)

    expected = moved(self_ensemble(lopsided, photo))
    assert np.array_equal(self_ensemble(lopsided, moved(photo)), expected)
    if quarters or mirrored:
        assert not np.array_equal(lopsided(moved(photo)), moved(lopsided(photo))), "the function alone is lopsided"


def test_it_is_the_rounded_mean_of_the_eight(photo):
    back = [np.rot90(lopsided(np.rot90(photo, k)), -k) for k in range(4)]
    mirror = photo[:, ::-1]
    back += [np.rot90(lopsided(np.rot90(mirror, k)), -k)[:, ::-1] for k in range(4)]
    mean = np.mean(np.array(back, float), axis=0)
    assert np.abs(self_ensemble(lopsided, photo) - mean).max() <= 0.5
    assert np.array_equal(self_ensemble(lambda given, _: given, photo), photo), "what does nothing does nothing"


def test_the_part_that_is_wanted_is_wanted_in_every_position(photo):
    wanted = photo.copy()
    wanted[2:6, 1:3] = 0
    seen = []

    def cut(given, part):
        left, top, right, bottom = part
        seen.append(not given[top:bottom, left:right].any() and (right - left) * (bottom - top) == 8)
        return given

    self_ensemble(cut, wanted, (1, 2, 3, 6))
    assert seen == 8 * [True]
