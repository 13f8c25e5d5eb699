"""Growth, learning rate: against the released program's formula and the paper's numbers."""

import math
from fractions import Fraction

import pytest

from train.schedule import at_resolution, growth_at, learning_rate_at, schedule_kimg

PAPER = {"stable_kimg": 800, "fade_kimg": 800, "max_resolution": 1024}


def released_lod(nimg: int, *, stable_kimg: float, fade_kimg: float, max_resolution: int) -> Fraction:
    """The level of detail as the TensorFlow program counts it, starting at 4x4; exact: rounding is not the claim."""
    train, transition = (Fraction(str(kimg)) for kimg in (stable_kimg, fade_kimg))
    kimg = Fraction(nimg, 1000)
    phase_idx = math.floor(kimg / (train + transition))
    phase_kimg = kimg - phase_idx * (train + transition)
    lod = round(math.log2(max_resolution)) - 2 - phase_idx
    lod -= max(phase_kimg - train, 0) / transition
    return max(lod, Fraction(0))


@pytest.mark.parametrize("stable_kimg", [800, 600, 0.8, 0])
@pytest.mark.parametrize("fade_kimg", [800, 600, 0.4])
def test_growth_is_the_released_programs_lod_read_backwards(stable_kimg, fade_kimg):
    plan = {"stable_kimg": stable_kimg, "fade_kimg": fade_kimg, "max_resolution": 1024}
    stable, period = round(stable_kimg * 1000), round((stable_kimg + fade_kimg) * 1000)
    boundaries = [phase * period + offset for phase in range(10) for offset in (0, stable)]
    moments = {max(at + step, 0) for at in boundaries for step in (-17, -1, 0, 1, 16, 117)}
    for nimg in sorted(moments):
        growth, lod = growth_at(nimg, **plan), released_lod(nimg, **plan)
        assert growth.resolution == 2 ** (10 - math.floor(lod)), nimg
        assert growth.alpha == pytest.approx(1 - (lod - math.floor(lod)), abs=1e-9), nimg


def test_first_fade_of_the_paper_starts_after_800_kimg_and_lasts_800():
    assert (growth_at(799_999, **PAPER).resolution, growth_at(1_200_000, **PAPER).alpha) == (4, 0.5)
    assert growth_at(1_600_000, **PAPER) == growth_at(2_399_999, **PAPER)


def test_stage_changes_at_both_ends_of_every_fade_and_nowhere_else():
    stages = [growth_at(1000 * k + 1, stable_kimg=3, fade_kimg=2, max_resolution=16).stage for k in range(15)]
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
