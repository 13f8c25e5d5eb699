"""The device that training's commands compute on, made the current one."""

import torch

from celebahq.device import choose_device


def use_device(name: str) -> torch.device:
    """Return the device of --device; a numbered CUDA device becomes the current one, whose streams a capture takes.

    Raises:
        DeviceError: a name that no device has, or a device that is not here.
    """
    device = choose_device(name)
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    return device


def multiplies_bf16(device: torch.device) -> bool:
    """Whether a CUDA device has units for bf16 and TF32: from compute capability 8.0; older ones emulate bf16."""
    return torch.cuda.get_device_capability(device) >= (8, 0)
