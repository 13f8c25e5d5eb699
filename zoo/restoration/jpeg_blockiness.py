"""Does an image show that it was a JPEG? Where no trace is found there is nothing to repair, and it is left alone."""

import numpy as np

WINDOW = 88  # pixels a side: eleven blocks, of which ten are whole wherever the grid lies
WINDOWS = 3  # a side
FAINT, PLAIN = 0.12, 0.45  # of blockiness(): undamaged images lie below, JPEGs of quality 75 and less above
# Standard deviation among the grids that miss the best one both ways, as a share of blockiness(). JPEGs, from 96 pixels
# a side up, stay below 0.21; checkerboards, pixel art and text, whose edges lie on several grids, are at 0.25 to 1.1.
EVEN, UNEVEN = 0.22, 0.30

_K = np.arange(8)
_DCT = np.sqrt(2 / 8) * np.cos(np.pi * (2 * _K + 1) * _K[:, None] / 16)
_DCT[0] /= np.sqrt(2)
_DCT = _DCT.astype(np.float32)


def correction_weight(photo: np.ndarray) -> float:
    """How much of the artifact network's correction a photo needs: 0 none, 1 all of it.

    A network that has to be blind to the quality takes fine texture and blur for damage: it changes undamaged photos by
    37 to 48 dB. Whether there is damage can be measured apart. JPEG rounds the coefficients of 8x8 blocks, most of them
    to zero; seen on any other grid they are as unround as those of a photo that never was a JPEG. A photo that was
    resized since, and not compressed again, has lost its grid: it counts as undamaged.

    Drawn graphics have small coefficients where their edges lie on a grid. The 49 grids that are off JPEG's both ways
    are all alike; theirs are not. Flat squares of exactly 8 or 16 pixels are taken for a JPEG of the lowest quality.

    Args:
        photo: (H, W, 3) uint8 RGB.

    Returns:
        0 up to FAINT, 1 from PLAIN on, linear between, where qualities of 87 to 97 lie; less for drawn graphics.
    """
    grids = _grids(photo)
    found = _blockiness(grids)
    if found <= FAINT:
        return 0.0
    share = min((found - FAINT) / (PLAIN - FAINT), 1.0)
    if min(photo.shape[:2]) >= WINDOW:  # in fewer blocks the grids of a JPEG differ by chance
        share *= np.clip((UNEVEN - _spread(grids) / found) / (UNEVEN - EVEN), 0, 1)
    return float(share)


def blockiness(photo: np.ndarray) -> float:
    """How much smaller block coefficients are on the best of the 64 grids than on the others: mean of ln(|c| + 1/2).

    photo: (H, W, 3) uint8 RGB. Measured on at most nine windows of 88x88 pixels, spread evenly; 0 for photos of less
    than two blocks a side.
    """
    return _blockiness(_grids(photo))


def _grids(photo: np.ndarray) -> np.ndarray:
    """Mean of ln(|c| + 1/2) on each of the 64 grids, (8, 8) for its offsets down and right."""
    height, width = photo.shape[:2]
    logs = np.zeros((8, 8))
    if min(height, width) < 16:
        return logs
    for top in _starts(height):
        for left in _starts(width):
            window = photo[top : top + WINDOW, left : left + WINDOW]
            logs += _log_coefficients(window @ np.array([0.299, 0.587, 0.114], np.float32) - 128)
    return logs / (len(_starts(height)) * len(_starts(width)))


def _blockiness(grids: np.ndarray) -> float:
    logs = np.sort(grids.ravel())
    return float(logs[1:].mean() - logs[0])


def _spread(grids: np.ndarray) -> float:
    """Standard deviation among the 49 grids that miss the best one both ways."""
    down, right = np.unravel_index(grids.argmin(), grids.shape)
    return float(np.roll(grids, (-down, -right), (0, 1))[1:, 1:].std())


def _starts(length: int) -> list[int]:
    """Where the windows of one axis begin: multiples of 8, so that the grid lies the same in all of them."""
    last = max(length - WINDOW, 0)
    return sorted({int(at) // 8 * 8 for at in np.linspace(0, last, WINDOWS)})


def _log_coefficients(luma: np.ndarray) -> np.ndarray:
    """Mean of ln(|c| + 1/2) over the blocks of each grid, (8, 8) for its offsets down and right; luma: (h, w)."""
    rows, columns = ((n - 7) // 8 for n in luma.shape)
    means = np.empty((8, 8))
    for y in range(8):
        half_done = np.einsum("ui,biw->buw", _DCT, luma[y : y + 8 * rows].reshape(rows, 8, -1))
        for x in range(8):
            blocks = half_done[:, :, x : x + 8 * columns].reshape(rows, 8, columns, 8)
            means[y, x] = np.log(np.abs(blocks @ _DCT.T) + 0.5).mean()
    return means
