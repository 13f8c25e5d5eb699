"""Which device and which arithmetic: old GPUs get no bf16, the float32 layers no TF32, numbered devices are found."""

import pytest
import torch

from celebahq.errors import DeviceError
from train.config import TrainConfig, TrainError
from train.device import use_device
from train.setup import choose_precision

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
