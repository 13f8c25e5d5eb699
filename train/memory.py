"""Running out of memory: how PyTorch says it, and how to give back what it still holds."""

import gc

import torch


class OutOfMemoryError(Exception):
    """Even without resident data there is not enough; the message says for what."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that a device has no memory left: a GPU, or the CPU's allocator."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


RESERVE = 0.1
"""Of a device's memory, left to grids of samples, metrics and the recording of the next graph."""


def room_beside_step(device: torch.device, captured: bool) -> int:
    """Return the bytes that data may take on a CUDA device on which a step has just run.

    Args:
        device: where.
        captured: the step is a CUDA graph, which keeps the memory that it needs; else what its peak took comes off.
    """
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    again = 0 if captured else torch.cuda.max_memory_allocated(device) - torch.cuda.memory_allocated(device)
    return max(0, free - again - round(RESERVE * total))


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more; called outside of the except block, whose traceback refers to much."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
