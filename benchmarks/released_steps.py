"""The released program's steps in the libraries of its time: a worker for benchmarks/official.py released --python.

Runs under Python 2.7 or 3.5 to 3.6 with Pillow 3.1.1, numpy and scipy, and imports nothing of this project. Reads a job
a line (JSON), answers with one: md5 of the crop, CPU seconds (user and system) of each step. The plan, some hundreds of
scalar operations, comes with the job; pixels come as .npy, so that no decoder matters to them.
"""

import hashlib
import json
import os
import sys

import numpy as np
import PIL
from PIL import Image
from scipy.ndimage import gaussian_filter

FINE, RESOLUTION = 4096, 1024


class Laps(object):  # noqa: UP004 - Python 2.7 too
    """CPU seconds between the calls of lap, by name."""

    def __init__(self):
        self.seconds = {}
        self._begun = sum(os.times()[:2])

    def lap(self, name):
        now = sum(os.times()[:2])
        self.seconds[name] = now - self._begun
        self._begun = now


def extended(image, pad, sigma):
    """Mirrored beyond its edges, blurred there, fading to the median: in float32, as numpy 1.x and scipy do it."""
    left, top, right, bottom = pad
    pixels = np.pad(np.float32(image), ((top, bottom), (left, right), (0, 0)), "reflect")
    height, width, _ = pixels.shape
    row, column, _ = np.mgrid[:height, :width, :1]
    across = np.minimum(np.float32(column) / left, np.float32(width - 1 - column) / right)
    down = np.minimum(np.float32(row) / top, np.float32(height - 1 - row) / bottom)
    outside = 1.0 - np.minimum(across, down)
    blurred = gaussian_filter(pixels, [sigma, sigma, 0])
    pixels += (blurred - pixels) * np.clip(outside * 3.0 + 1.0, 0.0, 1.0)
    median = np.median(pixels, axis=(0, 1))
    pixels += (median - pixels) * np.clip(outside, 0.0, 1.0)
    return Image.fromarray(np.uint8(np.clip(np.round(pixels), 0, 255)), "RGB")


def crop(job):
    """Every step from a photo's pixels to the face, on the clock; see CropPlan for the names of the plan."""
    plan = job["plan"]
    photo = Image.fromarray(np.load(job["pixels"]), "RGB")
    laps = Laps()
    image = photo
    if plan["shrink"] > 1:
        image = image.resize(tuple(plan["shrunk_size"]), Image.ANTIALIAS)
    laps.lap("shrink")
    if tuple(plan["crop"]) != (0, 0) + image.size:  # noqa: RUF005 - Python 2.7 too
        image = image.crop(tuple(plan["crop"]))
    image.load()
    if plan["enlarge"] > 1:
        image = image.resize(tuple(side * plan["enlarge"] for side in image.size), Image.ANTIALIAS)
    laps.lap("enlarge")
    if any(plan["pad"]):
        image = extended(image, plan["pad"], plan["blur_px"])
    laps.lap("pad")
    corners = np.array(plan["quad"], np.float32) + np.float32(0.5)
    image = image.transform((FINE, FINE), Image.QUAD, corners.ravel(), Image.BILINEAR)
    face = np.asarray(image.resize((RESOLUTION, RESOLUTION), Image.ANTIALIAS)).transpose(2, 0, 1)
    laps.lap("sample")
    return {"md5": hashlib.md5(face.tobytes()).hexdigest(), "seconds": laps.seconds}


def decode(job):
    """The decoder that this Pillow was built with; an error where it was built with none."""
    laps = Laps()
    try:
        pixels = np.array(Image.open(job["decode"]))
    except IOError as error:  # noqa: UP024 - Python 2.7 too
        return {"error": str(error)}
    laps.lap("decode")
    return {"md5": hashlib.md5(pixels.tobytes()).hexdigest(), "seconds": laps.seconds}


def main():
    version = getattr(PIL, "PILLOW_VERSION", "none")
    sys.stdout.write(json.dumps({"pillow": version, "numpy": np.__version__, "python": sys.version.split()[0]}) + "\n")
    sys.stdout.flush()
    for line in iter(sys.stdin.readline, ""):
        job = json.loads(line)
        sys.stdout.write(json.dumps(decode(job) if "decode" in job else crop(job)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
