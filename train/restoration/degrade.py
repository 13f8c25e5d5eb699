"""What photographs suffer before we get them: JPEG (the real encoder), and reduction to a quarter of their size."""

import cv2
import numpy as np
from PIL import Image

SUBSAMPLING = {"4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420, "4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444}
# Luma of JPEG (JFIF) and of Pillow's "L".
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


def jpeg(photo: np.ndarray, quality: int, subsampling: str = "4:2:0") -> np.ndarray:
    """Compress and decompress with libjpeg. photo: (H, W, 3) or gray (H, W) uint8 RGB; quality 1..100. Same shape."""
    gray = photo.ndim == 2
    options = [cv2.IMWRITE_JPEG_QUALITY, int(quality)]
    if not gray:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, SUBSAMPLING[subsampling]]
    _, data = cv2.imencode(".jpg", photo if gray else cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), options)
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if gray else cv2.IMREAD_COLOR))
    return decoded if gray else cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def resize(photo: np.ndarray, height: int, width: int, filter_name: str = "bicubic") -> np.ndarray:
    """Resize with antialiasing (Pillow: the same kernels as MATLAB's imresize). photo: (H, W, 3) or (H, W) uint8."""
    kernel = Image.Resampling[filter_name.upper()]
    return np.asarray(Image.fromarray(photo).resize((width, height), kernel))


def draw_patch(rng: np.random.Generator, photo: np.ndarray, side: int) -> np.ndarray:
    """A random patch, one of eight orientations, reduced up to 0.6 in three cases of five. (side, side, 3) uint8.

    Most photographs one can find have been JPEGs; a reduction averages their own artifacts out of the targets, and
    shows the network other scales of the same texture.
    """
    shortest = min(photo.shape[:2])
    scale = rng.uniform(0.6, 1.0) if rng.random() < 0.6 else 1.0
    cut = min(round(side / scale), max(shortest, side))
    if shortest < cut:
        below, right = (max(0, cut - n) for n in photo.shape[:2])
        photo = cv2.copyMakeBorder(photo, 0, below, 0, right, cv2.BORDER_REFLECT)
    y, x = (int(rng.integers(n - cut + 1)) for n in photo.shape[:2])
    patch = np.ascontiguousarray(photo[y : y + cut, x : x + cut])
    if cut > side:
        patch = resize(patch, side, side, "lanczos")
    if rng.random() < 0.5:
        patch = patch.transpose(1, 0, 2)
    if rng.random() < 0.5:
        patch = patch[:, ::-1]
    if rng.random() < 0.5:
        patch = patch[::-1]
    return np.ascontiguousarray(patch)


def _quality(rng: np.random.Generator) -> int:
    # Half of all draws from the coarse end: that is where there is something to repair.
    return int(rng.integers(5, 51)) if rng.random() < 0.5 else int(rng.integers(5, 96))


def artifact_pair(rng: np.random.Generator, photo: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """A damaged patch and the original. Both (side, side, 3) uint8; a gray one has three equal channels.

    Gray or color, 4:2:0 or 4:4:4, quality 5..95; compressed once or twice, the second time off the first one's
    grid; cropped off the grid; one in 14 resized after compression, two not damaged at all: a network that has rarely
    seen an undamaged photo repairs it too.
    """
    fate = rng.random()
    resized = fate < 1 / 14
    margin = 8
    whole = round(side / rng.uniform(0.6, 1.0)) if resized else side
    clean = draw_patch(rng, photo, whole + 2 * margin)
    if rng.random() < 0.45:
        clean = np.rint(clean @ _LUMA).astype(np.uint8)
    if fate > 12 / 14:
        damaged = clean
    else:
        subsampling = "4:2:0" if rng.random() < 0.7 else "4:4:4"
        damaged = jpeg(clean, _quality(rng), subsampling)
        if rng.random() < 0.15:
            y, x = rng.integers(0, 8, 2)
            damaged, clean = damaged[y:, x:], clean[y:, x:]
            damaged = jpeg(np.ascontiguousarray(damaged), _quality(rng), subsampling)
    y, x = (rng.integers(0, n - whole + 1) for n in clean.shape[:2])
    damaged, clean = (image[y : y + whole, x : x + whole] for image in (damaged, clean))
    if resized:
        damaged, clean = (resize(np.ascontiguousarray(image), side, side) for image in (damaged, clean))
    if clean.ndim == 2:
        damaged, clean = (np.repeat(image[..., None], 3, axis=2) for image in (damaged, clean))
    return damaged, clean


def superres_pair(
    rng: np.random.Generator, photo: np.ndarray, side: int, ideal: float = 0.9
) -> tuple[np.ndarray, np.ndarray]:
    """A patch at a quarter of the size and the original: (side/4, side/4, 3) and (side, side, 3) uint8.

    Args:
        ideal: the share reduced by plain antialiased bicubic, the published protocol. The others use bicubic,
            Lanczos, bilinear (a tent) or box reduction, some after a slight blur, some then noisy or compressed.
    """
    margin = 16  # target pixels: no kernel reaches further, so the crop's border leaves no trace
    target = draw_patch(rng, photo, side + 2 * margin)
    small = (side + 2 * margin) // 4
    if rng.random() < ideal:
        reduced = resize(target, small, small)
    else:
        source = target
        if rng.random() < 0.4:
            source = cv2.GaussianBlur(source, (0, 0), rng.uniform(0.4, 1.6))
        reduced = resize(source, small, small, ("bicubic", "lanczos", "bilinear", "box")[rng.integers(4)])
        if rng.random() < 0.3:
            noise = rng.normal(0.0, rng.uniform(0.5, 4.0), reduced.shape)
            reduced = np.clip(np.rint(reduced + noise), 0, 255).astype(np.uint8)
        if rng.random() < 0.4:
            reduced = jpeg(reduced, int(rng.integers(60, 96)), "4:2:0" if rng.random() < 0.5 else "4:4:4")
    inner = margin // 4
    return reduced[inner:-inner, inner:-inner], target[margin:-margin, margin:-margin]
