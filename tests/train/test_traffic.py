"""Bytes of a training step: what the counter adds up, against counts by hand, and what each saving saves."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

from train.benchmark import minibatch_of
from train.config import TrainConfig
from train.traffic import META, TrafficCounter, bytes_of, step_traffic
from zoo.architecture import ProGANConfig

ROOT = Path(__file__).resolve().parents[2]


def test_kernels_count_what_they_read_and_write_and_views_nothing():
    x, y = torch.zeros(8, 3, device=META), torch.zeros(3, dtype=torch.bfloat16, device=META)
    with TrafficCounter() as counter:
        (x.t()[None].detach() * 2).to(torch.bfloat16)  # mul reads and writes 96 bytes, the cast reads 96, writes 48
        x.add_(y.float())  # 6 + 12; then 96 + 12 + 96
    assert counter.traffic.bytes == {"mul": 192, "_to_copy": 144 + 18, "add_": 204}
    assert counter.traffic.launches == {"mul": 1, "_to_copy": 2, "add_": 1}


def test_expanded_axes_count_once():
    assert bytes_of(torch.zeros(4, 1, 3, device=META).expand(4, 100, 3)) == 48
    assert bytes_of("no tensor") == 0


def test_fused_adam_counts_seven_passes():
    vectors = [torch.zeros(10, device=META) for _ in range(4)]
    one = torch.zeros((), device=META)
    with TrafficCounter() as counter:
        torch._fused_adam_(
            *([x] for x in vectors), [], [one], lr=one, beta1=0.0, beta2=0.9, weight_decay=0.0, eps=1e-8,
            amsgrad=False, maximize=False, grad_scale=None, found_inf=one,
        )  # fmt: skip
    assert counter.traffic.bytes["_fused_adam_"] == 7 * 40 + 3 * 4


@pytest.mark.parametrize(("precision", "launches"), [("fp32", 58), ("bf16", 95)])
def test_stable_phase_moves_less_than_a_fade(precision, launches):
    config = TrainConfig(dataset=".", augment="none", latent_size=16)
    architecture = ProGANConfig(resolution=64, latent_size=16, fmap_base=256, fmap_max=32)
    fade, stable = (step_traffic(config, architecture, 64, 8, precision, fading) for fading in (True, False))
    assert sum(stable.bytes.values()) < 0.95 * sum(fade.bytes.values())
    assert sum(fade.launches.values()) - sum(stable.launches.values()) == launches


@pytest.mark.parametrize(("resolution", "fade", "stable"), [(64, 0.5, 0.47), (128, 0.48, 0.45), (1024, 0.49, 0.44)])
def test_fused_kernels_move_half_of_what_the_plain_ones_of_a_fade_did(resolution, fade, stable):
    """Of the paper's networks, in bf16; before the stable phase had a graph of its own it moved as much as a fade."""
    architecture = ProGANConfig(resolution=resolution)
    plain, fused, fused_stable = (
        sum(step_traffic(TrainConfig(dataset=".", augment="none", kernels=kernels), architecture, resolution,
                         minibatch_of("paper", resolution), "bf16", fading).bytes.values())
        for kernels, fading in (("plain", True), ("fused", True), ("fused", False))
    )  # fmt: skip
    assert fused < fade * plain
    assert fused_stable < stable * plain


def test_table_has_a_row_a_resolution_and_phase(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["", "--preset", "smoke", "--resolutions", "4", "8"])
    runpy.run_path(str(ROOT / "benchmarks" / "memory_traffic.py"), run_name="__main__")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(row[0], row[2]) for row in rows] == [("4", "stable"), ("8", "fade"), ("8", "stable")]
    assert all(int(row[4]) > 0 for row in rows)
