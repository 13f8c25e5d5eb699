"""Run a network over an image of any size in bounded memory: tiles that overlap by what the network can see."""

from collections.abc import Callable

import numpy as np

CELL = 4  # tiles begin at multiples of it: the artifact network sees an image in cells of 4x4 pixels

Box = tuple[int, int, int, int]
"""(left, top, right, bottom), pixels."""
Window = tuple[tuple[int, int], tuple[int, int]]
"""Of one axis: (begin, end) of what a tile is to give, and (begin, end) of what must be shown for it."""


def windows(length: int, tile: int, margin: int, part: tuple[int, int] | None = None) -> list[Window]:
    """Divide an axis, or the part (begin, end) of it, into pieces of about `tile` pixels, 1.5 times that at most."""
    begin, end = part or (0, length)
    begin -= begin % CELL
    count = max(1, round((end - begin) / tile))
    step = -(-(end - begin) // (count * CELL)) * CELL
    pieces = [(at, min(at + step, end)) for at in range(begin, end, step)]
    return [((at, stop), (max(at - margin, 0), min(stop + margin, length))) for at, stop in pieces]


def run_tiled(
    function: Callable[[np.ndarray], np.ndarray],
    image: np.ndarray,
    *,
    scale: int,
    tile: int,
    margin: int,
    batch: int = 1,
    dtype: type = np.uint8,
    part: Box | None = None,
) -> np.ndarray:
    """Apply a function to an image tile by tile, as if to the whole at once.

    Args:
        function: (N, h, w, 3) uint8 -> (N, scale h, scale w, 3) of `dtype`; what it gives may depend on nothing that is
            more than `margin` pixels away.
        image: (H, W, 3) uint8.
        tile: side of what one tile gives, pixels of the image.
        margin: a multiple of CELL where the function sees cells.
        batch: how many tiles of one size are worked on at once.
        part: what of the image is wanted; None: all. The rest of the result is black, and takes neither time nor, as a
            rule, memory.

    Returns:
        (scale H, scale W, 3) of `dtype`.
    """
    height, width = image.shape[:2]
    result = np.zeros((scale * height, scale * width, 3), dtype)
    x_part, y_part = (None, None) if part is None else (part[::2], part[1::2])
    waiting: dict[tuple[int, int], list[tuple[Window, Window]]] = {}

    def work_off(places: list[tuple[Window, Window]]) -> None:
        given = np.stack([image[y0:y1, x0:x1] for (_, (y0, y1)), (_, (x0, x1)) in places])
        for made, ((rows, (y0, _)), (columns, (x0, _))) in zip(function(given), places, strict=True):
            (top, bottom), (left, right) = rows, columns
            result[scale * top : scale * bottom, scale * left : scale * right] = made[
                scale * (top - y0) : scale * (bottom - y0), scale * (left - x0) : scale * (right - x0)
            ]
        places.clear()

    for y in windows(height, tile, margin, y_part):
        for x in windows(width, tile, margin, x_part):
            places = waiting.setdefault((y[1][1] - y[1][0], x[1][1] - x[1][0]), [])
            places.append((y, x))
            if len(places) == batch:
                work_off(places)
    for places in waiting.values():
        if places:
            work_off(places)
    return result
