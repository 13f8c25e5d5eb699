"""The time that a run will take: arithmetic as PyTorch counts it, the schedule as the loop walks it."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from train.config import TrainConfig
from train.cost import Cost, duration, levels_text, step_gflop
from train.plan import Plan
from train.randomness import draw_noise
from train.schedule import growth_at
from train.setup import make_networks, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_inputs import Batch
from train.timing import time_first_levels
from zoo.architecture import ProGANConfig

GROWTH = {"stable_kimg": 1.5, "fade_kimg": 1.0, "max_resolution": 16, "first_resolution": 4}


def cost(total_kimg: float = 12.0, **options) -> Cost:
    config = TrainConfig(dataset="faces.h5", fmap_base=128, fmap_max=64, latent_size=32, **options)
    architecture = ProGANConfig(resolution=16, fmap_base=128, fmap_max=64, latent_size=32)
    return Cost(config, architecture, Plan(16, GROWTH, total_kimg))


@pytest.mark.parametrize("resolution", [4, 16])
def test_arithmetic_of_an_iteration_is_what_pytorch_counts(resolution):
    config = TrainConfig(dataset="faces.h5", fmap_base=512, fmap_max=64, latent_size=64)
    cpu = torch.device("cpu")
    nets = make_networks(config, resolution=16, image_channels=3, label_size=0, device=cpu, precision="fp32")
    optimizers = make_optimizers(nets, config, resolution)
    batch = Batch(torch.zeros(8, 3, resolution, resolution, dtype=torch.uint8))
    noise = draw_noise(torch.Generator(), 0, 0, 8, 64)
    with FlopCounterMode(display=False) as counter:
        train_step(
            nets, optimizers, batch, noise, torch.tensor(1.0), torch.zeros(len(STATISTICS)), step_settings(config)
        )
    counted = counter.get_total_flops() / 2 / 8 / 1e9
    # the counter also sees the path that fades out, which is computed at any alpha
    assert step_gflop(nets.generator.config, resolution) == pytest.approx(counted, rel=0.12)


@pytest.mark.parametrize("nimg", [0, 700, 1500, 2100, 4999, 5000, 11000])
def test_images_left_are_those_that_the_loop_will_show(nimg):
    left = dict.fromkeys((4, 8, 16), 0.0)
    for n in range(nimg, 12_000):
        left[growth_at(n, **GROWTH).resolution] += 0.001
    assert cost().kimg_left(nimg) == pytest.approx(left)


def test_without_growth_everything_is_at_the_top():
    flat = Plan(16, {"stable_kimg": 0, "fade_kimg": 0, "max_resolution": 16, "first_resolution": 16}, 3.0)
    config = TrainConfig(dataset="faces.h5", grow=False, stable_kimg=0, fade_kimg=0)
    assert Cost(config, ProGANConfig(resolution=16), flat).kimg_left(1000) == {16: 2.0}


def test_time_left_is_of_the_whole_schedule_not_of_the_rate_of_the_moment():
    """Steps that take 2 ms and 1 ms a billion multiply-adds: said at 4x4, and exactly once all levels were seen."""
    run = cost(minibatch=16, minibatch_at=((16, 8),))
    truth = {r: (0.002 + 0.001 * run.gflop[r]) / run.minibatch[r] * 1000 for r in run.resolutions}
    assert run.seconds_left(0) is None
    run.update(4, truth[4])
    expected = sum(kimg * truth[r] for r, kimg in run.kimg_left(1500).items())
    assert run.seconds_left(1500) > 12 * truth[4]  # more than 4x4's rate says, which knows of no arithmetic
    run.update(8, truth[8])
    assert run.seconds_left(1500) == pytest.approx(expected, rel=1e-6)
    run.update(16, truth[16])
    assert run.seconds_left(1500) == pytest.approx(expected, rel=1e-6)


def test_estimates_of_a_moment_before_the_run_are_shifted_by_what_ticks_show():
    run = cost(minibatch=16)
    truth = {r: (0.002 + 0.001 * run.gflop[r]) / 16 * 1000 for r in run.resolutions}
    for r in (4, 8):
        run.estimated(r, truth[r])
    expected = sum(kimg * truth[r] for r, kimg in run.kimg_left(0).items())
    assert run.seconds_left(0) == pytest.approx(expected, rel=1e-6)
    run.update(4, 3 * truth[4])  # another process has come
    assert run.seconds_left(0) == pytest.approx(3 * expected, rel=1e-6)
    assert levels_text(run, 9000) == f"16x16 {duration(9 * truth[16])}"  # 3 kimg, each three times as long


def test_first_levels_are_timed_before_the_run_and_a_run_says_what_it_will_take(tmp_path):
    run = cost(minibatch=4)
    architecture = ProGANConfig(resolution=16, fmap_base=128, fmap_max=64, latent_size=32)
    options = {"fmap_base": 128, "fmap_max": 64, "latent_size": 32, "minibatch": 4}
    time_first_levels(run, TrainConfig(dataset="faces.h5", **options), architecture, "fp32", torch.device("cpu"))
    assert run.seconds_left(0) > 0
    assert list(run.sec_per_kimg()) == [4, 8, 16] and all(rate > 0 for rate in run.sec_per_kimg().values())


def test_memory_that_runs_out_before_the_run_is_no_matter_yet(monkeypatch):
    def short(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("train.capture.train_step", short)
    run, config = cost(), TrainConfig(dataset="faces.h5", fmap_base=128, fmap_max=64, latent_size=32)
    architecture = ProGANConfig(resolution=16, fmap_base=128, fmap_max=64, latent_size=32)
    time_first_levels(run, config, architecture, "fp32", torch.device("cpu"))
    assert run.seconds_left(0) is None


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1.2, "1 second"),
        (4, "4 seconds"),
        (80, "80 seconds"),
        (130, "2.2 minutes"),
        (7200, "2.0 hours"),
        (40 * 365.25 * 86400, "40 years"),
    ],
)
def test_lengths_of_time_are_said_as_people_say_them(seconds, text):
    assert duration(seconds) == text
