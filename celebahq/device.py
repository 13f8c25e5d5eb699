"""Which device PyTorch computes on, and on how many cores: one choice and one refusal for every command."""

import os
from typing import TYPE_CHECKING, Any, TypeVar

from celebahq.errors import DeviceError

if TYPE_CHECKING:
    import torch

Module = TypeVar("Module")


def choose_device(name: "str | torch.device | None" = "auto") -> "torch.device":
    """Return the device of --device.

    Args:
        name: "auto" or None (CUDA where PyTorch finds it, else the CPU), "cpu", "cuda" (the current one), "cuda:1" ...

    Raises:
        DeviceError: another name, or a CUDA device that is not here.
    """
    import torch

    name = "auto" if name is None else str(name)
    kind, _, index = name.partition(":")
    if kind == "auto" and not index:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if kind == "cpu" and not index:
        return torch.device("cpu")
    if kind != "cuda" or (":" in name and not index.isdecimal()):
        raise DeviceError(f"--device: got {name!r}, expected auto, cpu, cuda or cuda:N")
    if not torch.cuda.is_available():
        raise DeviceError(f"--device {name}: PyTorch finds no CUDA device here; use --device cpu, or a CUDA build")
    if index and int(index) >= torch.cuda.device_count():
        raise DeviceError(f"--device {name}: got one of {torch.cuda.device_count()} CUDA devices, counted from 0")
    return torch.device(name)


def cpu_cores() -> int:
    """Return the cores that this process may use, which in a container can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def channels_last(module: Module) -> Module:
    """Return a module with its 4-d weights in channels_last order: what tensor cores want, and less work on a CPU."""
    import torch

    network: Any = module  # torch's types lack this overload of to()
    return network.to(memory_format=torch.channels_last)
