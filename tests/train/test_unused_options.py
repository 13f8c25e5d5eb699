"""Options that were given and would do nothing are refused; those of a preset, or kept by a resume, are not."""

import pytest
import torch

from train.config import TrainConfig, TrainError
from train.loop import train
from train.plan import Plan
from train.presets import PRESETS, preset_config
from train.unused_options import check_given, check_given_for


def check(options: dict, *given: str, first: int = 4, top: int = 32) -> None:
    config = preset_config(**{"preset": "smoke", "dataset": "f.h5", "augment": "none"} | options)
    growth = {"stable_kimg": 1, "fade_kimg": 1, "max_resolution": top, "first_resolution": first}
    check_given(config, Plan(top, growth, 9), frozenset(given))


RELEASED = {"preset": "released", "resolution": 32}
IDLE = [
    ({"metrics_kimg": 5.0}, "metrics_kimg", "--metrics-kimg: got 5.0 without --metrics, expected --metrics swd"),
    ({"metrics_images": 50}, "metrics_images", "--metrics-images: got 50 without --metrics"),
    ({"augment_kimg": 50.0}, "augment_kimg", "--augment-kimg: got 50.0 with --augment none, expected --augment ada"),
    ({"augment": "diffaug", "augment_kimg": 5.0}, "augment_kimg", "--augment-kimg: got 5.0 with --augment diffaug"),
    (RELEASED | {"ema_kimg": 5.0}, "ema_kimg", "--ema-kimg: got 5.0 with --ema-beta 0.999, expected --ema-beta None"),
    ({"gp_weight": 0.0, "gp_target": 9.0}, "gp_target", "--gp-target: got 9.0 with --gp-weight 0, expected a penalty"),
    (RELEASED | {"minibatch": 8}, "minibatch", "--minibatch: got 8 where --minibatch-at says what each resolution has"),
    (RELEASED | {"tick_kimg": 1.0}, "tick_kimg", "that changed: --tick-kimg-at 4 160 8 140 16 120 32 100, or nothing"),
    ({"minibatch_at": ((64, 4),)}, "minibatch_at", "--minibatch-at: got 64 4 in a run of 4x4 to 32x32, expected some"),
    ({"learning_rate_at": ((64, 0.1),)}, "learning_rate_at", "--learning-rate-at: got 64 0.1 in a run of 4x4 to 32x32"),
]


@pytest.mark.parametrize(("options", "given", "message"), IDLE)
def test_what_would_do_nothing_is_refused_where_it_was_given_and_only_there(options, given, message):
    with pytest.raises(TrainError) as refused:
        check(options, given, "seed")
    assert message in str(refused.value) and "\n" not in str(refused.value)
    check(options)  # of a preset, or of a run that is resumed


def test_stable_kimg_is_refused_where_nothing_is_left_that_asks_for_it():
    options = {"stable_kimg": 5.0, "total_kimg": 9.0}
    message = r"^--stable-kimg: got 5.0 in a run of 32x32 with --total-kimg 9, expected a run that grows, or nothing$"
    with pytest.raises(TrainError, match=message):
        check(options, "stable_kimg", "total_kimg", first=32)
    check(options, "stable_kimg", "total_kimg")
    check({"stable_kimg": 5.0, "total_kimg": None}, "stable_kimg", first=32)  # twice that is how long the run is
    check(options | {"augment": "ada", "augment_kimg": 1.0}, "stable_kimg", first=32)  # a share of it was taken
    check(options | {"init": "runs/a"}, "stable_kimg", first=32)
    with pytest.raises(TrainError, match=r"^--stable-kimg: got 5.0"):
        check(options | {"augment": "ada", "augment_kimg": 1.0}, "stable_kimg", "augment_kimg", first=32)


def test_capture_asked_for_on_a_cpu_is_refused_and_what_holds_there_anyway_is_not():
    config, cpu = TrainConfig(dataset="f.h5", capture=True, deterministic=True), torch.device("cpu")
    with pytest.raises(TrainError, match=r"^--capture: got it on a CPU, expected CUDA, or nothing"):
        check_given_for(cpu, config, frozenset({"capture"}))
    check_given_for(torch.device("cuda"), config, frozenset({"capture"}))
    check_given_for(cpu, TrainConfig(dataset="f.h5", capture=False), frozenset({"capture"}))
    for given in (None, frozenset({"deterministic"})):
        check_given_for(cpu, config, given)


@pytest.mark.parametrize("name", ["fade_kimg", "optimizer_reset"])
def test_nothing_fades_in_a_run_that_does_not_grow(name):
    options = {"fade_kimg": 2.0, "optimizer_reset": False}
    check(options, name)
    message = r"^--(fade-kimg: got 2.0|no-optimizer-reset: got it) in a run of 32x32, expected a run that grows"
    with pytest.raises(TrainError, match=message):
        check(options, name, first=32)


def test_what_does_something_is_taken():
    check({"metrics": ("swd",), "metrics_kimg": 5.0, "metrics_images": 9}, "metrics_kimg", "metrics_images")
    check({"augment": "ada", "augment_kimg": 5.0}, "augment_kimg")
    check({"ema_kimg": 5.0, "minibatch": 4, "tick_kimg": 1.0, "minibatch_at": ()}, "ema_kimg", "minibatch",
          "tick_kimg", "minibatch_at", "gp_target", "optimizer_reset")  # fmt: skip
    check({"minibatch_at": ((4, 8), (1024, 4))}, "minibatch_at", "minibatch")
    for preset in PRESETS:  # a preset alone has nothing to answer for
        check({"preset": preset}, "preset")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gp_weight": 0.0, "penalty_interval": 4}, "--penalty-interval: got 4 with --gp-weight 0, expected 1"),
        ({"loss": "r3gan", "gp_target": 2.0}, "--gp-target: got 2.0, expected nothing: r3gan has no such term"),
        ({"loss": "r3gan", "drift": 0.1}, "--drift: got 0.1, expected nothing: r3gan has no such term"),
    ],
)
def test_terms_that_a_loss_has_not_are_refused_whoever_asks(options, message):
    with pytest.raises(TrainError, match=message):
        TrainConfig(dataset="f.h5", **options)


def test_a_run_refuses_before_anything_is_written(dataset, tmp_path):
    options = {"dataset": dataset, "outdir": tmp_path / "runs", "device": "cpu", "resolution": 8}
    config = preset_config("smoke", **options, metrics_kimg=5.0)
    with pytest.raises(TrainError, match=r"--metrics-kimg: got 5\.0 without --metrics"):
        train(config, frozenset({"dataset", "metrics_kimg"}))
    with pytest.raises(TrainError, match=r"--total-kimg: got 2, expected 3 or more, .* or give --discriminator-kimg"):
        train(preset_config("smoke", **options, total_kimg=2.0, discriminator_kimg=3.0))
    assert not list(tmp_path.rglob("*.json"))
