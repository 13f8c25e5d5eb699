"""The choice of a device."""

import pytest
import torch

from celebahq.device import choose_device
from celebahq.errors import CelebAHQError


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.parametrize(("name", "device"), [("auto", "cuda"), (None, "cuda"), ("cpu", "cpu"), ("cuda:1", "cuda:1")])
def test_device_is_what_its_name_says_where_cuda_is_there(two_gpus, name, device):
    assert choose_device(name) == torch.device(device)


def test_auto_is_the_cpu_where_there_is_no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    with pytest.raises(CelebAHQError, match="--device cuda: PyTorch finds no CUDA device here; use --device cpu"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cuda:2", "cpu:0", "cuda:-1"])
def test_other_devices_are_refused_by_name(two_gpus, name):
    with pytest.raises(ValueError, match="--device"):
        choose_device(name)
