"""The device that training's commands compute on, made the current one."""

import socket

import torch

from celebahq.device import choose_device
from celebahq.errors import DeviceError
from train.distributed import ALONE, Ranks


def use_device(name: str, ranks: Ranks = ALONE) -> torch.device:
    """Return the device of --device; a numbered CUDA device becomes the current one, whose streams a capture takes.

    Under torchrun a rank takes the CUDA device of its number on its machine.

    Raises:
        DeviceError: a name that no device has, or a device that is not here.
    """
    device = choose_device(name)
    if ranks.count > 1 and device.type == "cuda":
        if device.index is not None:
            raise DeviceError(
                f"--device: got {name}, expected cuda: under torchrun each rank takes a device of its own"
            )
        if ranks.local_rank >= torch.cuda.device_count():
            raise DeviceError(
                f"torchrun --nproc-per-node: got {ranks.local_rank + 1} or more, expected at most "
                f"{torch.cuda.device_count()}, the CUDA devices of {socket.gethostname()}"
            )
        device = torch.device("cuda", ranks.local_rank)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    return device


def multiplies_bf16(device: torch.device) -> bool:
    """Whether a device multiplies bf16 itself; others emulate it, slower than float32.

    CUDA from compute capability 8.0 (TF32 too), processors with AVX512-BF16 or AMX where PyTorch has oneDNN.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    asked = (getattr(torch.cpu, f"_is_{unit}_supported", None) for unit in ("avx512_bf16", "amx_tile"))
    return torch.backends.mkldnn.is_available() and any(ask is not None and ask() for ask in asked)
