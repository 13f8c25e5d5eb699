"""Presets against the paper's and the released programs' printed tables."""

from pathlib import Path

import pytest

from train.config import TrainConfig, TrainError
from train.minibatch import check_minibatches
from train.options import changes, forbidden_change
from train.presets import PRESETS, preset_config
from train.schedule import at_resolution, schedule_kimg
from train.setup import architecture_of


def preset(name: str, **options) -> TrainConfig:
    return TrainConfig(dataset="faces.h5", preset=name, **{**PRESETS[name], **options})


def test_papers_minibatches_are_those_of_appendix_a():
    config = preset("paper")
    sizes = [at_resolution(config.minibatch_at, 4 << i, config.minibatch) for i in range(9)]
    assert sizes == [16, 16, 16, 16, 16, 16, 14, 6, 3]


def test_papers_optimizer_and_loss_are_those_of_appendix_a():
    config = preset("paper")
    assert (config.learning_rate, config.beta1, config.beta2, config.epsilon) == (0.001, 0.0, 0.99, 1e-8)
    assert (config.gp_weight, config.gp_target, config.drift) == (10, 1, 0.001)
    assert (config.stable_kimg, config.fade_kimg, config.variant) == (800, 800, "paper")


def test_released_preset_is_v2_1gpu():
    config = preset("released")
    sizes = [at_resolution(config.minibatch_at, 4 << i, config.minibatch) for i in range(9)]
    assert sizes == [128, 128, 128, 64, 32, 16, 8, 4, 4]
    rates = [at_resolution(config.learning_rate_at, 4 << i, config.learning_rate) for i in range(9)]
    assert rates == [0.001] * 8 + [0.0015]
    assert (config.total_kimg, config.stable_kimg, config.ema_beta, config.variant) == (12000, 600, 0.999, "released")


def test_default_length_is_the_growth_and_two_stable_phases():
    config = preset("paper")
    growth = schedule_kimg(stable_kimg=config.stable_kimg, fade_kimg=config.fade_kimg, max_resolution=1024)
    assert (config.total_kimg, growth + 2 * config.stable_kimg) == (None, 14_400)


def test_an_option_that_would_mix_two_runs_is_found_as_typed_and_those_that_a_run_may_change_are_told():
    before, harmless = preset("smoke").to_dict(), preset("smoke", total_kimg=99, device="cpu", tick_kimg=3).to_dict()
    assert forbidden_change(before, preset("smoke", seed=7).to_dict()) == ("--seed 0", "--seed 7")
    assert forbidden_change(before, preset("smoke", grow=False).to_dict()) == ("--grow", "--no-grow")
    assert forbidden_change(before, harmless) is None and changes(before, harmless) == {}
    after = preset("smoke", drift=0.1, learning_rate_at=((32, 0.001),)).to_dict()
    assert forbidden_change(before, after) is None
    assert changes(before, after) == {"drift": [0.001, 0.1], "learning_rate_at": [[], [[32, 0.001]]]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 2}, "--resolution: got 2, expected a power of two from 4"),
        ({"drift": -1}, "--drift: got -1, expected 0 or more"),
        ({"beta2": 1.0}, "--beta2: got 1.0, expected from 0 to below 1"),
        ({"stable_kimg": 0, "fade_kimg": 0}, "got 0 for both, expected more"),
        ({"total_kimg": 0}, "--total-kimg: got 0, expected more than 0"),
    ],
)
def test_nonsense_is_refused_at_birth(options, message):
    with pytest.raises(TrainError, match=message):
        preset("smoke", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"total_kimg": float("nan")}, "--total-kimg: got nan, expected a finite number"),
        ({"seed": -1}, "--seed: got -1, expected 0 or more"),
        ({"minibatch_at": ((4, 0),)}, "--minibatch-at: got 0 at 4, expected more than 0"),
        ({"minibatch_at": ((100, 4),)}, "--minibatch-at: got resolution 100, expected a power of two from 4"),
        ({"learning_rate_at": ((8, 0.1), (8, 0.2))}, "--learning-rate-at: got a resolution twice"),
    ],
)
def test_numbers_that_would_fail_or_be_ignored_later_are_refused_at_birth(options, message):
    with pytest.raises(TrainError, match=message):
        preset("smoke", **options)


def test_the_way_out_of_a_small_gpu_keeps_the_other_resolutions_minibatches():
    assert preset("paper").minibatch_flag(512, 3) == "--minibatch-at 256 14 512 3 1024 3"


def checked(resolutions: list[int], config: TrainConfig) -> None:
    check_minibatches(config, resolutions, architecture_of(config))


def test_minibatch_that_breaks_a_stddev_group_is_refused_before_any_work():
    with pytest.raises(
        TrainError, match=r"minibatch at 8x8: got 6 images, expected a multiple of 4 .*; give --minibatch-at 4 2 8 4"
    ):
        checked([4, 8], preset("released", minibatch_at=((4, 2), (8, 6))))
    checked([4], preset("released", minibatch_at=((4, 2), (8, 6))))  # fewer than a group are one group
    checked([4, 8], preset("paper", minibatch_at=((8, 6),)))  # the paper's group is the whole batch


def test_preset_from_python_is_that_of_the_command_line_and_a_wrong_name_is_refused():
    config = preset_config("smoke", dataset="faces.h5", minibatch=8)
    expected = TrainConfig(**{"dataset": Path("faces.h5"), "preset": "smoke", **PRESETS["smoke"], "minibatch": 8})
    assert config == expected
    with pytest.raises(TrainError, match="preset: got 'smok', expected one of paper"):
        preset_config("smok", dataset="faces.h5")
