"""--kernels: whether the layers' pointwise work goes through fused kernels, and that these compute what they should."""

import functools
import logging
from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from train.config import TrainError
from zoo import fused_plain
from zoo.fused_blocks import shared_weights

LOG = logging.getLogger("celebahq.train")
TOLERANCE = {"float32": 1e-5, "bfloat16": 2e-2}
"""Largest relative difference from the plain counterpart: of float32 sums in another order, of bf16 rounded once."""


def sharing_weights(role: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorate a part of the step, whose first argument is Networks: within, one of them scales its weights once.

    Args:
        role: "generator" or "discriminator"; what is decorated must not use it after it has changed it.
    """

    def decorate(part: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(part)
        def shared(nets: Any, *args: Any, **options: Any) -> Any:
            with shared_weights(getattr(nets, role)):
                return part(nets, *args, **options)

        return shared

    return decorate


def use_fused_kernels(name: str, device: torch.device) -> bool:
    """Return what --kernels auto, fused or plain means on a device; auto says why where a CUDA device goes without.

    Raises:
        TrainError: fused on a CUDA device that cannot.
    """
    if name == "plain" or (name == "auto" and device.type != "cuda"):
        return False
    if device.type != "cuda":
        return True  # the plain counterparts: slower, and the same results
    LOG.info("fused kernels are compared with plain ones; to compile them takes half a minute the first time")
    problem = problem_of_kernels(device)
    if problem and name == "fused":
        raise TrainError(f"--kernels: got fused, expected plain on this machine: {problem}")
    if problem:
        LOG.info("fused kernels are not used: %s", problem)
    return not problem


@functools.cache
def problem_of_kernels(device: torch.device) -> str | None:
    """Return why the fused kernels cannot be used on a device: none there, or one that computes something else."""
    try:
        from zoo import fused_triton
    except ImportError as error:
        return f"Triton cannot be imported ({error})"
    try:
        differences = compare_kernels(fused_triton, device)
    except Exception as error:  # whatever a compiler that meets a new device raises
        return f"{type(error).__name__} ({' '.join(str(error).split())[:160]})"
    wrong = {name: x for name, x in differences.items() if not x <= TOLERANCE[name.split()[1]]}
    return f"they differ from plain ones: {wrong}" if wrong else None


def compare_kernels(kernels: ModuleType, device: torch.device) -> dict[str, float]:
    """Return the largest relative difference of each kernel from its plain counterpart, by its name and dtype.

    What a kernel does in two ways is called in both: "fold float32", "fold:adjoint float32".

    Args:
        kernels: zoo.fused_triton.
        device: where.
    """
    random = torch.Generator().manual_seed(0)
    found: dict[str, float] = {}
    for name_of_dtype in TOLERANCE:
        dtype = getattr(torch, name_of_dtype)
        channels = 24  # no power of two: the last of a block are masked

        def draw(*shape: int, dtype=dtype) -> torch.Tensor:
            x = torch.randn(shape, generator=random).to(device, dtype)
            return x.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else x

        x, g, half = draw(3, channels, 8, 6), draw(3, channels, 8, 6), draw(3, channels, 4, 3)
        bias, weight = draw(channels, dtype=torch.float32), draw(channels, 3, dtype=torch.float32)
        colors = draw(3, 3, 8, 6)
        y, factor = fused_plain.lrelu_pixelnorm(x, bias, 0.2, 1e-8)
        calls = {
            "lrelu": (x, bias, 0.2),
            "lrelu_backward": (g, y, 0.2),
            "lrelu_pixelnorm": (x, bias, 0.2, 1e-8),
            "lrelu_pixelnorm_backward": (g, y, factor, 0.2),
            "lrelu_pool": (x, bias, 0.2),
            "unpool": (half, x, bias, 0.2),
            "pool": (g, x, bias, 0.2),
            "fade": (x, g, torch.tensor(0.3, device=device), 0.2),
            "unfade": (g, x, torch.tensor(0.7, device=device), 0.2),
            "refade": (y, g, x, torch.tensor(0.7, device=device), 0.2),
            "scale_cast": (x, 0.3, dtype),
            "from_rgb": (colors, weight, bias, 0.2),
            "from_rgb_backward": (g, y, colors, weight, 0.2, True),
            "from_rgb_backward:weights": (g, y, colors, weight, 0.2, False),
            "to_rgb": (g, y, weight, 0.2),
            "to_rgb_backward": (colors, g, y, weight, 0.2),
            "fold": (draw(5, channels, 3, 3), 0.3, dtype),
            "fold:adjoint": (draw(5, channels, 4, 4), 0.3, dtype),
        }
        for call, arguments in calls.items():
            name = call.partition(":")[0]
            difference = _difference(getattr(kernels, name)(*arguments), getattr(fused_plain, name)(*arguments))
            found[f"{call} {name_of_dtype}"] = difference
    return found


def _difference(got: Any, expected: Any) -> float:
    got, expected = (x if isinstance(x, tuple) else (x,) for x in (got, expected))
    pairs = [(a, b) for a, b in zip(got, expected, strict=True) if a.numel() or b.numel()]
    return max(((a.float() - b.float()).abs().max() / b.float().abs().max()).item() for a, b in pairs)
