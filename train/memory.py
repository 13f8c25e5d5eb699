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


def release(device: torch.device) -> None:
    """Give back what nothing refers to any more; called outside of the except block, whose traceback refers to much."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
