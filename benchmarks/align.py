"""python benchmarks/align.py: a face's crop against the straightforward computation of the same stages, as a ratio.

Straightforward is what the released programs do: numpy's reflect padding, scipy's Gaussian over the extended float32
image, Pillow's QUAD transform to 4096 x 4096 and its resize to 1024. Both sides use one thread and the same run. The
faces are the released program's test vectors (the folder crop_vectors of CELEBAHQ_TEST_DATA, default ../shared/data)
at several scales; four times is what super-resolution makes of them. tests/celebahq_builder/test_align.py takes
`straightforward_align` as its reference, so what is timed is also what is compared.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import scipy.ndimage
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
SCALES = {"astronaut": (1, 4, 16), "padded": (0.25, 0.5, 0.8, 1, 2, 4), "tiny": (1, 4), "huge": (4,)}
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # runs from a clone, too

from celebahq_builder.align import align_face, face_quad  # noqa: E402


def straightforward_align(
    photo: np.ndarray, landmarks: np.ndarray, resolution: int = 1024, geometry: str = "paper"
) -> np.ndarray:
    """The stages of geometry "paper" or "ffhq" written down plainly: (H, W, 3) uint8 -> (R, R, 3) uint8."""
    paper = geometry == "paper"
    points = np.asarray(landmarks, dtype=np.float64) + (0.5 if paper else 0.0)
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    x1, y1 = points[1] - points[0], eyes - mouth
    side = max(4.0 * np.hypot(*x1), 3.6 * np.hypot(*y1))
    x = x1 - np.array([y1[1], -y1[0]])
    x = x / np.hypot(*x) * side / 2
    y = np.array([x[1], -x[0]])
    center = eyes - 0.1 * y1
    quad = np.stack([center - x + y, center - x - y, center + x - y, center + x + y])

    image = Image.fromarray(photo)
    shrink = int(np.floor(side / resolution * 0.5))
    if shrink > 1 and paper:
        whole = (image.width // shrink * shrink, image.height // shrink * shrink)
        image = image.crop((0, 0, *whole)).reduce(shrink)
    elif shrink > 1:
        size = (round(image.width / shrink), round(image.height / shrink))
        image = image.resize(size, Image.Resampling.LANCZOS)
    if shrink > 1:
        quad, side = quad / shrink, side / shrink

    border = max(round(side * 0.1), 3)
    low, high = np.floor(quad.min(axis=0)).astype(int), np.ceil(quad.max(axis=0)).astype(int)
    crop = (*np.maximum(low - border, 0).tolist(), *np.minimum(high + border, image.size).tolist())
    image = image.crop(crop)
    quad, low, high = quad - crop[:2], low - crop[:2], high - crop[:2]

    pad = np.maximum([*(border - low), *(high - image.size + border)], 0)
    if pad.max() > border - 4:
        left, top, right, bottom = np.maximum(pad, round(side * 0.3))
        image = Image.fromarray(straightforward_extend(np.asarray(image), (left, top, right, bottom), side * 0.02))
        quad = quad + np.array([left, top])

    fine, to_center = resolution * 4, 0.0 if paper else 0.5
    corners = (quad + to_center).ravel().tolist()
    image = image.transform((fine, fine), Image.Transform.QUAD, corners, Image.Resampling.BILINEAR)
    return np.asarray(
        image.resize((resolution, resolution), Image.Resampling.BOX if paper else Image.Resampling.LANCZOS)
    )


def straightforward_extend(image: np.ndarray, pad: tuple[int, int, int, int], sigma: float) -> np.ndarray:
    """The padding of the released programs at full size: (H, W, 3) uint8 -> (H + pads, W + pads, 3) uint8."""
    left, top, right, bottom = pad
    padded = np.pad(image.astype(np.float32), ((top, bottom), (left, right), (0, 0)), "reflect")
    height, width = padded.shape[:2]
    rows, columns, _ = np.ogrid[:height, :width, :1]
    across = np.minimum(columns / np.float32(left), (width - 1 - columns) / np.float32(right))
    along = np.minimum(rows / np.float32(top), (height - 1 - rows) / np.float32(bottom))
    mask = 1.0 - np.minimum(across, along)
    padded += (scipy.ndimage.gaussian_filter(padded, [sigma, sigma, 0]) - padded) * np.clip(3 * mask + 1, 0, 1)
    padded += (np.median(padded, axis=(0, 1)) - padded) * np.clip(mask, 0, 1)
    return np.clip(np.rint(padded), 0, 255).astype(np.uint8)


def beyond_photo(size: tuple[int, int], quad: np.ndarray, resolution: int = 1024) -> np.ndarray:
    """Which pixels of a face lie outside its photo of (width, height) pixels: (R, R) bool."""
    steps = (np.arange(resolution) + 0.5) / resolution
    right, down = quad[3] - quad[0], quad[1] - quad[0]
    at = quad[0] + steps[None, :, None] * right + steps[:, None, None] * down
    return ((at < 0) | (at > size)).any(axis=-1)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 arrays; nan when they are empty."""
    if a.size == 0:
        return float("nan")
    return float(10 * np.log10(255**2 / max(np.mean((a.astype(np.float64) - b) ** 2), 1e-9)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--geometry", choices=["paper", "ffhq"], default="paper")
    parser.add_argument("--repeats", type=int, default=7, help="runs of ours a face; the fastest counts (default 7)")
    geometry, repeats = (options := parser.parse_args()).geometry, options.repeats
    vectors = Path(os.environ.get("CELEBAHQ_TEST_DATA", ROOT.parent / "shared" / "data")) / "crop_vectors"
    if not (vectors / "vectors.json").is_file():
        print(
            f"{vectors}: no vectors.json there, set CELEBAHQ_TEST_DATA to a folder with crop_vectors", file=sys.stderr
        )
        return 2
    cv2.setNumThreads(1)

    print(f"geometry {geometry}, one thread, cpu milliseconds a face, fastest run; opencv {cv2.__version__}")
    columns = f"{'face':>13} {'photo':>11} {'box':>5} {'padded':>6} {'plain':>7} {'ours':>6} {'ratio':>7}"
    print(f"{columns}  PSNR padding, photo")
    slowest = {False: np.inf, True: np.inf}
    for name, case in json.loads((vectors / "vectors.json").read_text()).items():
        original = np.asarray(Image.open(vectors / f"{name}.input.png").convert("RGB"))
        for times in SCALES[name]:
            photo, landmarks = original, np.array(case["landmarks"], dtype=np.float64)
            if case["repeat"] > 1:
                photo = photo.repeat(times, axis=0).repeat(times, axis=1)
            elif times != 1:
                way = cv2.INTER_CUBIC if times > 1 else cv2.INTER_AREA
                photo = cv2.resize(photo, None, fx=times, fy=times, interpolation=way)
                landmarks = (landmarks + 0.5) * times - 0.5
            quad = face_quad(landmarks, geometry)
            outside = beyond_photo(photo.shape[1::-1], quad)
            plain_ms, plain = fastest(straightforward_align, (photo, landmarks, 1024, geometry), 2)
            our_ms, ours = fastest(align_face, (photo, landmarks, 1024, geometry), repeats)
            padded, ratio = bool(outside.any()), plain_ms / our_ms
            slowest[padded] = min(slowest[padded], ratio)
            size, side = f"{photo.shape[1]}x{photo.shape[0]}", np.linalg.norm(quad[3] - quad[0])
            row = f"{name + f' x{times}':>13} {size:>11} {side:5.0f} {'yes' if padded else 'no':>6}"
            row += f" {plain_ms:7.0f} {our_ms:6.1f} {ratio:6.1f}x"
            print(f"{row}  {psnr(ours[outside], plain[outside]):7.1f}, {psnr(ours[~outside], plain[~outside]):.1f} dB")
    print(f"least ratio: unpadded {slowest[False]:.1f}x (goal 5x), padded {slowest[True]:.1f}x (goal 20x)")
    return 0


def fastest(function, arguments: tuple, repeats: int) -> tuple[float, np.ndarray]:
    """(CPU milliseconds of the fastest call, its result)."""
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        result = function(*arguments)
        seconds.append(time.process_time() - start)
    return min(seconds) * 1000, result


if __name__ == "__main__":
    sys.exit(main())
