"""Record a function of static tensors as one CUDA graph: what every captured iteration of this package goes through."""

from collections.abc import Callable
from typing import TypeVar

import torch

Result = TypeVar("Result")
WARM_UP = 3
"""Plain calls before a capture: libraries pick their kernels and allocate their work space."""


def call_on_side_stream(function: Callable[[], Result]) -> Result:
    """Call a function as CUDA wants it before a capture: on a stream of its own, which the current one waits for."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        result = function()
    torch.cuda.current_stream().wait_stream(stream)
    return result


def record(function: Callable[[], Result]) -> tuple[torch.cuda.CUDAGraph, Result]:
    """Return the graph of one call, which has not run yet, and the tensors that every replay() fills."""
    graph = torch.cuda.CUDAGraph()
    # thread_local: by default any thread's allocation breaks a capture, and the read-ahead thread pins memory.
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = function()
    return graph, result
