"""The released program's last step: its box in the image, to four times the output by bilinear samples, then Lanczos.

Pillow before 3.4 samples at the corner of each output pixel, not at its center, and truncates. Both passes over the
large image are fused: it never exists as a whole.
"""

import numpy as np

from celebahq_builder.released.lanczos_float32 import lanczos_taps, resize_rows, truncated

OVERSAMPLING = 4
_ROWS = 8  # at a time: what is at work stays in a core's cache


def sample_released(image: np.ndarray, quad: np.ndarray, resolution: int) -> np.ndarray:
    """Return what the released program makes of a box, byte for byte.

    Args:
        image: (H, W, 3) uint8, the extended part of the photo.
        quad: (4, 2) float32 corners in it; inside by a pixel or more, as `plan_crop` leaves them.
        resolution: side of the output.

    Returns:
        (resolution, resolution, 3) uint8.
    """
    fine = OVERSAMPLING * resolution
    across = _Across(resolution)
    table = _neighbours(image)
    samples = np.empty((3, _ROWS, OVERSAMPLING, resolution), np.float32)
    # Every fourth column together: what one tap of the filter reads lies side by side.
    x = np.arange(fine, dtype=np.float64).reshape(resolution, OVERSAMPLING).T.ravel()
    at_x, at_y = (_along_rows(coefficients, x) for coefficients in _bilinear_map(quad, fine))
    rows = np.empty((fine, resolution * 3), np.uint8)
    for top in range(0, fine, _ROWS):
        y = np.arange(top, min(top + _ROWS, fine), dtype=np.float64)
        block = samples[:, : len(y)]
        _bilinear(table, image.shape, at_x(y), at_y(y), block.reshape(3, len(y), fine))
        across.resize(block, rows[top : top + len(y)].reshape(len(y), 3, resolution))
    face = resize_rows(rows, lanczos_taps(fine, resolution), range(resolution))
    return np.ascontiguousarray(face.reshape(resolution, 3, resolution).transpose(0, 2, 1))


def _bilinear_map(quad: np.ndarray, fine: int) -> list[list[float]]:
    """(a0, a1, a2, a3) of x and of y: a0 + a1 x + a2 y + a3 x y. Sums in float32, then divided, as released."""
    nw, sw, se, ne = quad.astype(np.float32) + np.float32(0.5)
    steps = (nw, (ne - nw) / np.float64(fine), (sw - nw) / np.float64(fine))
    twist = (((se - sw) - ne) + nw) / np.float64(fine) / np.float64(fine)
    return [[float(part[axis]) for part in (*steps, twist)] for axis in (0, 1)]


def _along_rows(coefficients: list[float], x: np.ndarray):
    """A function from row numbers (n,) to positions (n, len(x)): ((a0 + a1 x) + a2 y) + (a3 x) y, in double."""
    a0, a1, a2, a3 = coefficients
    start, twist = a0 + a1 * x, a3 * x

    def positions(y: np.ndarray) -> np.ndarray:
        at = start + (a2 * y)[:, None]
        if a3:
            at += twist * y[:, None]
        return at

    return positions


def _neighbours(image: np.ndarray) -> np.ndarray:
    """(H * W,) uint64: the bytes R G B 0 of a pixel, then those of the one to its right."""
    height, width = image.shape[:2]
    table = np.zeros((height, width, 2, 4), np.uint8)
    table[:, :, 0, :3] = image
    table[:, :-1, 1, :3] = image[:, 1:]
    return table.reshape(-1, 8).view(np.uint64)[:, 0]


def _bilinear(table: np.ndarray, shape: tuple[int, ...], x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    """Fill out (3, n, m) with the truncated samples at x, y (n, m), which lie inside by a pixel or more."""
    x -= 0.5
    y -= 0.5
    left, top = np.floor(x), np.floor(y)
    x -= left
    y -= top
    top *= shape[1]
    top += left
    index = top.astype(np.intp)
    upper = table.take(index, mode="clip").view(np.uint8).reshape(*index.shape, 2, 4)
    index += shape[1]
    lower = table.take(index, mode="clip").view(np.uint8).reshape(*index.shape, 2, 4)
    v1, v2, other = np.empty_like(x), np.empty_like(x), np.empty_like(x)
    for c in range(3):
        for value, pair in ((v1, upper), (v2, lower)):
            np.copyto(value, pair[..., 0, c])
            np.copyto(other, pair[..., 1, c])
            other -= value
            other *= x
            value += other
        v2 -= v1
        v2 *= y
        v1 += v2
        np.trunc(v1, out=v1)
        out[c] = v1


class _Across:
    """Lanczos along rows whose columns lie in four phases: column 4 i + p at [p, i].

    All outputs but the few at both ends have the same 24 weights, so that a tap is one product of whole stretches.
    """

    def __init__(self, resolution: int) -> None:
        taps = lanczos_taps(OVERSAMPLING * resolution, resolution)
        most = taps.weights.shape[1]
        first = OVERSAMPLING * np.arange(resolution) - (most // 2 - OVERSAMPLING // 2)
        middle = (taps.first == first) & (taps.end == first + most)
        inner, self._edge = np.flatnonzero(middle), np.flatnonzero(~middle)
        if len(inner):
            self._inner = slice(int(inner[0]), int(inner[-1]) + 1)
            self._first, self._weights = int(taps.first[inner[0]]), taps.weights[inner[0]]
        else:
            self._inner, self._first, self._weights = slice(0, 0), 0, taps.weights[0, :0]
        columns = np.minimum(taps.first[self._edge] + np.arange(most)[:, None], OVERSAMPLING * resolution - 1)
        self._edge_at = columns % OVERSAMPLING, columns // OVERSAMPLING  # (most, edges) each
        self._edge_weights = taps.weights[self._edge].T

    def resize(self, samples: np.ndarray, out: np.ndarray) -> None:
        """samples: (3, n, 4, resolution) float32; out: (n, 3, resolution) uint8, filled."""
        total = np.full((*samples.shape[:2], samples.shape[3]), 0.5, np.float32)
        middle = total[..., self._inner]
        product = np.empty_like(middle)
        for k, weight in enumerate(self._weights):
            start, phase = divmod(self._first + k, OVERSAMPLING)
            np.multiply(samples[:, :, phase, start : start + middle.shape[2]], weight, out=product)
            np.add(middle, product, out=middle)
        edge = np.full((*samples.shape[:2], len(self._edge)), 0.5, np.float32)
        products = samples[:, :, *self._edge_at] * self._edge_weights
        for k in range(products.shape[2]):
            edge += products[:, :, k]
        total[..., self._edge] = edge
        out[:] = truncated(total).transpose(1, 0, 2)
