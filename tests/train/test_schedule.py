"""Growth, learning rate: against the released program's formula and the paper's numbers."""

import math

import pytest

from train.schedule import at_resolution, growth_at, learning_rate_at, schedule_kimg

PAPER = {"stable_kimg": 800, "fade_kimg": 800, "max_resolution": 1024}


def released_lod(nimg: int, *, stable_kimg: float, fade_kimg: float, max_resolution: int) -> float:
    """The level of detail as the TensorFlow program counts it (FACTS C.4), starting at 4x4."""
    train, transition = stable_kimg, fade_kimg
    kimg = nimg / 1000
    phase_idx = math.floor(kimg / (train + transition))
    phase_kimg = kimg - phase_idx * (train + transition)
    lod = math.log2(max_resolution) - 2 - phase_idx
    lod -= max(phase_kimg - train, 0.0) / transition
    return max(lod, 0.0)


@pytest.mark.parametrize("nimg", [0, 1, 799_999, 800_000, 800_001, 1_200_000, 1_599_999, 1_600_000, 2_500_000,
                                  5_000_123, 12_000_001, 12_800_000, 19_000_000])  # fmt: skip
def test_growth_is_the_released_programs_lod_read_backwards(nimg):
    growth = growth_at(nimg, **PAPER)
    lod = released_lod(nimg, **PAPER)
    if nimg == 800_000:  # the boundary image itself already has the new resolution, at weight 0: the same picture
        assert (growth.resolution, growth.alpha) == (8, 0.0)
        return
    assert growth.resolution == 2 ** (10 - math.floor(lod))
    assert growth.alpha == pytest.approx(1 - (lod - math.floor(lod)), abs=1e-9)


def test_first_fade_of_the_paper_starts_after_800_kimg_and_lasts_800():
    assert (growth_at(799_999, **PAPER).resolution, growth_at(1_200_000, **PAPER).alpha) == (4, 0.5)
    assert growth_at(1_600_000, **PAPER) == growth_at(2_399_999, **PAPER)


def test_stage_changes_at_both_ends_of_every_fade_and_nowhere_else():
    stages = [growth_at(1000 * k, stable_kimg=3, fade_kimg=2, max_resolution=16).stage for k in range(15)]
    assert stages == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 4, 4]


def test_no_growth_starts_and_stays_at_the_top():
    growth = growth_at(0, stable_kimg=800, fade_kimg=800, max_resolution=64, first_resolution=64)
    assert (growth.resolution, growth.alpha) == (64, 1.0)


def test_growth_without_fades_switches_at_once():
    assert growth_at(999, stable_kimg=1, fade_kimg=0, max_resolution=8).resolution == 4
    assert growth_at(1000, stable_kimg=1, fade_kimg=0, max_resolution=8).alpha == 1.0
    assert growth_at(1000, stable_kimg=1, fade_kimg=0, max_resolution=8).resolution == 8


def test_resolution_stays_an_int():
    assert all(type(growth_at(1000 * k, **PAPER).resolution) is int for k in range(0, 15_000, 700))


def test_growth_to_1024_takes_the_papers_12_8_million_images():
    assert schedule_kimg(**PAPER) == 12_800


def test_learning_rate_rises_as_the_theano_program_lets_it():
    assert learning_rate_at(20_000, base=0.001, rampup_kimg=40) == pytest.approx(0.001 * math.exp(-5 * 0.25))
    assert learning_rate_at(0, base=0.001, rampup_kimg=40) == pytest.approx(0.001 * math.exp(-5))
    assert learning_rate_at(40_000, base=0.001, rampup_kimg=40) == 0.001
    assert learning_rate_at(0, base=0.001, rampup_kimg=0) == 0.001


def test_a_table_falls_back_to_its_default():
    assert at_resolution(((256, 14),), 256, 16) == 14
    assert at_resolution(((256, 14),), 128, 16) == 16
