"""Mirror padding and Gaussian filtering: what a crop shows where the photo ends (paper, Appendix C and Fig. 8)."""

import cv2
import numpy as np

CELLS_PER_SIGMA = 3  # the blur is computed on cells of a third of its sigma: a small fraction of a gray level off
MEDIAN_SAMPLES = 384  # a side, at most: the median is taken over a grid of so many by so many pixels


def extend(
    image: np.ndarray,
    pad: tuple[int, int, int, int],
    blur_px: float,
    region: tuple[int, int, int, int] | None = None,
) -> np.ndarray:
    """Continue an image beyond its edges: mirrored, ever more blurred, fading to its median color.

    The stages are the released program's (dataset_tool.py 542-555). With t the distance from the edge of the padded
    image in units of the padding (0 at that edge, 1 at the seam, more inside the image), the blur's weight is
    clip(4 - 3 t, 0, 1), so that it sets in a third of the padding inside the image and is full at the seam; the
    median's weight is clip(1 - t, 0, 1).

    What is sharp is computed at full size and what is smooth is not: the background, blurred and faded, is made on
    cells of several pixels, and only `region` of the result is composed. That is where the speed comes from.

    Args:
        image: (H, W, 3) uint8.
        pad: (left, top, right, bottom) pixels to add, each at least 1; more than the image has repeats the mirror.
        blur_px: standard deviation of the blur, pixels.
        region: (left, top, right, bottom) of the padded image to return; all of it when None.

    Returns:
        (H', W', 3) uint8, the region.
    """
    left, top, right, bottom = pad
    width, height = left + image.shape[1] + right, top + image.shape[0] + bottom

    # Whole cells: the last row and column reach beyond the edge, where nothing of the blur is left to be seen.
    cell = max(int(blur_px / CELLS_PER_SIGMA), 1)
    rim = right + -width % cell, bottom + -height % cell
    padded = cv2.copyMakeBorder(image, top, rim[1], left, rim[0], cv2.BORDER_REFLECT_101)
    cells = (padded.shape[1] // cell, padded.shape[0] // cell)
    blur_x, fade_x = _weights(padded.shape[1], left, width, right)
    blur_y, fade_y = _weights(padded.shape[0], top, height, bottom)

    # Taking the cells' means and interpolating between them blur by themselves: that much less is left to do.
    sigma = np.sqrt(blur_px**2 - (cell**2 - 1) / 4) / cell
    means = cv2.resize(padded, cells, interpolation=cv2.INTER_AREA).astype(np.float32)
    blurred = cv2.GaussianBlur(means, (0, 0), sigmaX=sigma, borderType=cv2.BORDER_REFLECT)

    # The median color of the whole image as it stands after the blur.
    every = -(-max(cells) // MEDIAN_SAMPLES)
    at = slice(cell // 2, None, cell * every)
    sharp, smooth = padded[at, at], blurred[::every, ::every]
    weight = np.maximum.outer(blur_y[at], blur_x[at])[..., None]
    median = np.median(sharp + (smooth - sharp) * weight, axis=(0, 1)).astype(np.float32)

    # The background fades from the blurred image to that color; over it lies the image itself.
    fade = np.maximum.outer(_cell_means(fade_y, cell), _cell_means(fade_x, cell))[..., None]
    background = np.clip(np.rint(blurred + (median - blurred) * fade), 0, 255).astype(np.uint8)
    background = cv2.resize(background, padded.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    x0, y0, x1, y1 = region or (0, 0, width, height)
    weight = np.maximum.outer(blur_y[y0:y1], blur_x[x0:x1])
    return cv2.blendLinear(padded[y0:y1, x0:x1], background[y0:y1, x0:x1], 1 - weight, weight)


def _weights(size: int, before: int, end: int, after: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights of blur and median along an axis whose padded image ends at `end`: two of (size,) float32 in [0, 1].

    The weight of a pixel is the greater of those of its column and its row: it is as far out as either says.
    """
    at = np.arange(size)
    t = np.minimum(at / before, (end - 1 - at) / after)
    return np.clip(4 - 3 * t, 0, 1).astype(np.float32), np.clip(1 - t, 0, 1).astype(np.float32)


def _cell_means(weights: np.ndarray, cell: int) -> np.ndarray:
    return weights.reshape(-1, cell).mean(axis=1)
