"""The 7x7 patches of a set of images that SWD compares: where they are drawn, how they are kept, their statistics."""

from collections.abc import Iterator, Sequence
from operator import itemgetter

import numpy as np
import torch
from torch import Tensor

from train.distributed import Ranks
from train.metrics.laplacian import laplacian_pyramid, level_resolutions
from train.metrics.shares import exchanged

PATCHES = 128
"""Patches an image and level."""
SIDE = 7
"""Side of a patch, in pixels of its level."""
COMPONENTS = 3 * SIDE * SIDE
"""Components of a descriptor: channel, row, column, the last fastest."""
REPEATS, DIRECTIONS = 4, 128
"""Random directions: 4 times 128."""

_CHUNK = 128  # images whose patches are gathered at once: 10 MB


def patch_positions(seed: int, stream: int, resolution: int, first: int, count: int) -> np.ndarray:
    """Return the corners of the patches of images first .. first + count - 1 at one level.

    A function of the image's number alone, so that a set may be cut into batches and processes at will. The numbers
    are those of numpy's Philox counter, keyed by (seed, 0, stream, resolution): image i has uniforms 256 i .. 256 i
    + 255, patch by patch, row before column, each scaled to 0 .. resolution - 7 and floored.

    Args:
        stream: 0 for reals, 1 for fakes: different patches of the same images.

    Returns:
        (count, 128, 2) int64: row and column of the top left pixel; the last row and column of pixels are within reach.
    """
    key = np.random.SeedSequence(seed, spawn_key=(0, stream, resolution)).generate_state(2, np.uint64)
    philox = np.random.Philox(key=key)
    philox.advance(first * PATCHES * 2 // 4)  # a step of the counter gives four numbers
    uniform = np.random.Generator(philox).random((count, PATCHES, 2))
    return (uniform * (resolution - SIDE + 1)).astype(np.int64)


def unit_directions(seed: int, resolution: int) -> np.ndarray:
    """Return (512, 147) float32 unit vectors, uniform on the sphere.

    Normal draws of numpy's PCG64, keyed by (seed, 1, resolution), each row divided by its length.
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(1, resolution))
    normal = np.random.Generator(np.random.PCG64(sequence)).standard_normal((REPEATS * DIRECTIONS, COMPONENTS))
    return (normal / np.linalg.norm(normal, axis=1, keepdims=True)).astype(np.float32)


class SwdDescriptors:
    """The patches of one set of images, added batch by batch, joined across processes by merge().

    Kept per level as float32: either the patches or, where that is less, the level itself (64x64 and below), from
    which they are gathered when needed. An image of 128x128 takes 139 kB, of 1024x1024 365 kB. Pickles.

    Args:
        resolution: of the images, a power of two from 16.
        seed: of the positions.
        stream: 0 for reals, 1 for fakes.
        device: where the work is done and the patches are kept.
    """

    def __init__(
        self, resolution: int, seed: int = 0, stream: int = 0, device: torch.device | str | None = None
    ) -> None:
        self.resolution = resolution
        self.resolutions = level_resolutions(resolution)
        self.seed = seed
        self.stream = stream
        self.device = torch.device(device or "cpu")
        self.num_images = 0
        self._blocks: dict[int, list[tuple[int, Tensor]]] = {r: [] for r in self.resolutions}
        self._sums: dict[int, list[tuple[int, np.ndarray]]] = {r: [] for r in self.resolutions}
        """Level -> the first image of each block, and sums (2, 3) of its values and of their squares."""

    def add(self, images: Tensor, first: int | None = None) -> None:
        """Add images (N, 3, R, R) uint8, numbers first .. first + N - 1 of the set; None goes on from the last.

        A set that is shared out among processes must give each image its own number.

        Raises:
            ValueError: images of another resolution.
        """
        if images.shape[-1] != self.resolution:
            expected = f"{self.resolution}x{self.resolution}"
            raise ValueError(f"images: got {images.shape[-1]}x{images.shape[-1]}, expected {expected}")
        first = self.num_images if first is None else first
        for resolution, level in laplacian_pyramid(images.to(self.device)).items():
            patches = self._gather(level, first)
            per_image = patches.unflatten(-1, (3, -1))
            sums = torch.stack([per_image.sum(-1), per_image.square().sum(-1)])
            self._sums[resolution].append((first, sums.double().sum((1, 2)).cpu().numpy()))
            self._blocks[resolution].append((first, patches if _keeps_patches(resolution) else level))
        self.num_images += len(images)

    def merge(self, other: "SwdDescriptors") -> None:
        """Add the images of another process; which was merged into which changes nothing.

        Raises:
            ValueError: drawn at another resolution, seed or stream.
        """
        mine, theirs = ((d.resolution, d.seed, d.stream) for d in (self, other))
        if mine != theirs:
            raise ValueError(f"descriptors of (resolution, seed, stream): got {theirs}, expected {mine}")
        for resolution in self.resolutions:
            self._blocks[resolution] += [(first, block.to(self.device)) for first, block in other._blocks[resolution]]
            self._sums[resolution] += other._sums[resolution]
        self.num_images += other.num_images

    def exchange(self, ranks: Ranks, sizes: Sequence[int]) -> None:
        """Give every rank the images of all, as if it had added them alone; called by all of them.

        Args:
            sizes: images of each block that was added, block i by rank i mod M.
        """
        if ranks.count == 1:
            return
        firsts = [sum(sizes[:i]) for i in range(len(sizes))]
        for resolution in self.resolutions:
            shape = (PATCHES, COMPONENTS) if _keeps_patches(resolution) else (3, resolution, resolution)
            blocks = [block for _, block in sorted(self._blocks[resolution], key=itemgetter(0))]
            blocks = exchanged(ranks, blocks, sizes, torch.empty(0, *shape, device=self.device))
            self._blocks[resolution] = list(zip(firsts, blocks, strict=True))
            sums = [torch.from_numpy(x)[None] for _, x in sorted(self._sums[resolution], key=itemgetter(0))]
            sums = exchanged(ranks, sums, [1] * len(sizes), torch.empty(0, 2, 3, dtype=torch.float64))
            self._sums[resolution] = [(first, x[0].numpy()) for first, x in zip(firsts, sums, strict=True)]
        self.num_images = sum(sizes)

    def statistics(self, resolution: int) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (3,) float64 of each channel over all patches of a level."""
        # In the order of the images: the same bits whoever added which.
        sums = sum((x for _, x in sorted(self._sums[resolution], key=itemgetter(0))), start=np.zeros((2, 3)))
        mean, square = sums / (self.num_images * PATCHES * SIDE * SIDE)
        return mean, np.sqrt(np.maximum(square - mean**2, 0))

    def patches(self, resolution: int) -> Iterator[Tensor]:
        """Yield the patches of a level by image, a few at a time: (n, 147) float32, centered by channel, not scaled."""
        mean = torch.from_numpy(self.statistics(resolution)[0]).float().repeat_interleave(SIDE * SIDE).to(self.device)
        for first, block in sorted(self._blocks[resolution], key=itemgetter(0)):
            for start in range(0, len(block), _CHUNK):
                part = block[start : start + _CHUNK]
                patches = part if _keeps_patches(resolution) else self._gather(part, first + start)
                yield patches.flatten(0, 1) - mean

    def scale(self, resolution: int) -> Tensor:
        """Return (147,) float32: one over the deviation of each component's channel; 1 where a channel never varies."""
        deviation = self.statistics(resolution)[1]
        scale = 1 / np.where(deviation > 0, deviation, 1)
        return torch.from_numpy(scale).float().repeat_interleave(SIDE * SIDE).to(self.device)

    def _gather(self, level: Tensor, first: int) -> Tensor:
        """Return (n, 128, 147) patches of a level (n, 3, r, r) of the images from number first."""
        positions = patch_positions(self.seed, self.stream, level.shape[-1], first, len(level))
        # numpy gathers twice as fast as torch, on a CPU
        return (patches_by_numpy if level.device.type == "cpu" else patches_by_torch)(level, positions)


def patches_by_numpy(level: Tensor, positions: np.ndarray) -> Tensor:
    """Return the patches (n, 128, 147) of a level (n, 3, r, r) on the CPU at positions (n, 128, 2)."""
    windows = np.lib.stride_tricks.sliding_window_view(level.numpy(), (SIDE, SIDE), axis=(2, 3))
    patches = windows[np.arange(len(level))[:, None], :, positions[..., 0], positions[..., 1]]
    return torch.from_numpy(patches).flatten(2)


def patches_by_torch(level: Tensor, positions: np.ndarray) -> Tensor:
    """Return the same on any device."""
    rows, columns = torch.from_numpy(positions).to(level.device).unbind(-1)
    images = torch.arange(len(level), device=level.device)[:, None]
    return level.unfold(2, SIDE, 1).unfold(3, SIDE, 1)[images, :, rows, columns].flatten(2)


def _keeps_patches(resolution: int) -> bool:
    return 3 * resolution * resolution > PATCHES * COMPONENTS
