"""Which device and which arithmetic: old GPUs get no bf16, the float32 layers no TF32, numbered devices are found."""

from dataclasses import replace

import pytest
import torch

from celebahq.errors import DeviceError
from train import setup
from train.config import TrainConfig, TrainError
from train.device import use_device
from train.loop import train
from train.setup import choose_precision
from train.state.checkpoint import load_checkpoint

CUDA = torch.device("cuda")


@pytest.fixture
def gpu(monkeypatch):
    """A GPU of a compute capability, as far as the choice of arithmetic looks at one."""

    def make(capability: tuple[int, int]) -> None:
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=None: "Tesla T4")

    flags = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    yield make
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = flags


def test_auto_is_bf16_from_compute_capability_8_on_and_fp32_below_which_is_said(gpu, caplog):
    gpu((8, 0))
    assert choose_precision("auto", CUDA) == "bf16"
    gpu((9, 0))
    assert choose_precision("auto", CUDA) == "bf16"
    gpu((7, 5))
    with caplog.at_level("INFO", logger="celebahq.train"):
        assert choose_precision("auto", CUDA) == "fp32"
    assert "Tesla T4 has compute capability 7.5: it trains in fp32" in caplog.text


@pytest.mark.parametrize(("units", "expected"), [((), "fp32"), (("avx512_bf16",), "bf16"), (("amx_tile",), "bf16")])
def test_auto_is_bf16_on_a_processor_that_multiplies_it_and_a_run_keeps_what_it_began_with(
    monkeypatch, units, expected
):
    for unit in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(torch.cpu, f"_is_{unit}_supported", lambda unit=unit: unit in units, raising=False)
    cpu = torch.device("cpu")
    assert choose_precision("auto", cpu) == expected
    for began in ("fp32", "bf16"):  # on another processor too
        assert choose_precision("auto", cpu, began, "runs/a") == choose_precision(began, cpu) == began
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert choose_precision("auto", cpu) == "fp32"


@pytest.mark.parametrize(("multiplies", "why"), [
    (True, "bf16, which this processor multiplies (--precision fp32 for float32)"),
    (False, "fp32, for this processor does not multiply bf16"),
])  # fmt: skip
def test_a_run_says_why_it_has_its_precision_and_goes_on_in_it_anywhere(
    dataset, tmp_path, monkeypatch, caplog, multiplies, why
):
    options = {"fmap_base": 32, "fmap_max": 6, "latent_size": 7, "stable_kimg": 0.024, "fade_kimg": 0.024}
    options |= {"minibatch": 8, "tick_kimg": 0.04, "image_ticks": 0, "device": "cpu", "dataset": dataset}
    run = TrainConfig(outdir=tmp_path, name="run", **options)
    caplog.set_level("INFO", logger="celebahq.train")
    monkeypatch.setattr(setup, "multiplies_bf16", lambda device: multiplies)
    train(replace(run, total_kimg=0.04))
    assert f", {why}\n" in caplog.text
    caplog.clear()
    monkeypatch.setattr(setup, "multiplies_bf16", lambda device: not multiplies)
    train(replace(run, total_kimg=0.08))
    precision = "bf16" if multiplies else "fp32"
    assert f", {precision} as it began\n" in caplog.text
    assert ("this processor only emulates it" in caplog.text) is multiplies
    with pytest.raises(TrainError, match=f"got --precision tf32, expected {precision}, as it was trained"):
        train(replace(run, total_kimg=0.09, precision="tf32"))
    whole = replace(run, name="whole", precision=precision, total_kimg=0.08)
    states = [load_checkpoint(train(config).checkpoint) for config in (replace(run, total_kimg=0.08), whole)]
    for role in ("generator", "discriminator", "g_ema"):
        for name, expected in states[1][role].items():
            torch.testing.assert_close(states[0][role][name], expected, rtol=0, atol=0)


@pytest.mark.parametrize("precision", ["bf16", "tf32"])
def test_an_old_gpu_refuses_what_it_would_emulate_or_ignore(gpu, precision):
    gpu((7, 5))
    with pytest.raises(TrainError, match=f"--precision: got {precision}, expected fp32: Tesla T4"):
        choose_precision(precision, CUDA)
    with pytest.raises(TrainError, match=f"runs/a: was trained in {precision}, expected fp32"):
        choose_precision("auto", CUDA, precision, "runs/a")
    assert choose_precision("fp32", CUDA) == "fp32"


def test_only_tf32_lets_float32_products_be_tf32(gpu):
    gpu((9, 0))
    for precision, allowed in (("tf32", True), ("bf16", False), ("fp32", False)):
        choose_precision(precision, CUDA)
        assert torch.backends.cuda.matmul.allow_tf32 is allowed
        assert torch.backends.cudnn.allow_tf32 is allowed


def test_a_numbered_device_becomes_the_current_one(monkeypatch):
    current = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert use_device("cuda:1") == torch.device("cuda", 1) and current == [torch.device("cuda", 1)]
    with pytest.raises(DeviceError, match="--device cuda:2: got one of 2 CUDA devices"):
        use_device("cuda:2")
    assert use_device("cpu").type == "cpu" and len(current) == 1


def test_config_takes_a_numbered_device():
    assert TrainConfig(dataset="faces.h5", device="cuda:1").device == "cuda:1"
