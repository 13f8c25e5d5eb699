"""A process that degrades photographs in the background. Without a cleaner it imports no torch, and starts at once."""

from pathlib import Path

import numpy as np

from train.restoration.photos import PhotoStore

CHUNK = 32  # pairs a worker hands over at once


def input_side(net: str, side: int) -> int:
    """Side of the network's input in pixels for a target of that side."""
    return side // 4 if net == "superres" else side


def chunk_bytes(net: str, side: int) -> int:
    """Bytes of one chunk of pairs."""
    return CHUNK * 3 * (input_side(net, side) ** 2 + side**2)


def chunk_views(memory, net: str, side: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Shared memory as chunks of inputs (CHUNK, h, w, 3) and targets (CHUNK, H, W, 3), uint8."""
    small = input_side(net, side)
    split = CHUNK * small * small * 3
    return [
        (flat[:split].reshape(CHUNK, small, small, 3), flat[split:].reshape(CHUNK, side, side, 3))
        for flat in np.frombuffer(memory, dtype=np.uint8).reshape(-1, chunk_bytes(net, side))
    ]


def work(
    store: Path, net: str, kind: str, side: int, cleaner: Path | None, seed: tuple[int, ...], memory, free, ready
) -> None:
    """Fill free chunks with fresh pairs until told to stop (None)."""
    import cv2

    from train.restoration.draw_pair import PairDrawer

    cv2.setNumThreads(1)
    if cleaner is not None:
        import torch

        torch.set_num_threads(1)
    draw_pair = PairDrawer(net, kind, side, cleaner)
    photos, views = PhotoStore(store), chunk_views(memory, net, side)
    rng = np.random.default_rng(seed)
    while (slot := free.get()) is not None:
        inputs, targets = views[slot]
        for i in range(CHUNK):
            inputs[i], targets[i] = draw_pair(rng, photos.draw(rng))
        ready.put(slot)
