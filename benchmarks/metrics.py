"""Speed and peak memory of SWD and MS-SSIM against a straightforward numpy computation of the same definition.

python benchmarks/metrics.py [--images 16384] [--resolution 128] [--device cpu] [--skip-numpy] [--dataset F.h5]

Images are smoothed noise unless a dataset is given. Each computation runs in a process of its own, so that its peak
memory is its own; both are given the same number of threads. --numpy-images takes fewer images for the numpy side,
whose time and memory are then scaled up, which the print says.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # runs from a clone, too

from celebahq.command import run_command
from celebahq.device import choose_device

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=16384, help="images a set")
    parser.add_argument("--pairs", type=int, default=500, help="pairs for MS-SSIM")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dataset", help="HDF5 file of faces; its first rows are the reals, the next ones the fakes")
    parser.add_argument("--numpy-images", type=int, help="images a set for numpy")
    parser.add_argument("--skip-numpy", action="store_true")
    parser.add_argument("--run", choices=COMPUTATIONS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    choose_device(options.device)
    if options.run:
        return run_one(options)
    print(f"{options.images} against {options.images} images of {options.resolution}x{options.resolution}, ", end="")
    print(f"{options.device}, {os.environ.get('OMP_NUM_THREADS', 'all')} threads; load {os.getloadavg()[0]:.1f}")
    for metric, count in (("swd", options.images), ("ms-ssim", options.pairs)):
        ours = in_process(options, metric, count)
        print(f"{metric:8} ours  {line(ours, metric)}", flush=True)
        if options.skip_numpy:
            continue
        fewer = min(options.numpy_images or count, count)
        plain = in_process(options, f"{metric}-numpy", fewer)
        scale = count / fewer
        note = f"   (measured on {fewer}, times {scale:g})" if scale > 1 else ""
        print(f"{metric:8} numpy {line(plain, metric)}")
        faster, cheaper = (scale * plain[k] / ours[k] for k in ("seconds", "cpu_seconds"))
        print(f"{metric:8} ratio {faster:.1f} in time, {cheaper:.1f} in CPU time{note}", flush=True)
    return None


def line(found: dict, metric: str) -> str:
    value = "  ".join(f"{key} {number:.4f}" for key, number in found["value"].items())
    return (
        f"{found['seconds']:8.1f} s {found['cpu_seconds']:8.1f} CPU-s "
        f"{found['working_gib']:6.2f} GiB beyond the start   {value}"
    )


def in_process(options: argparse.Namespace, name: str, count: int) -> dict:
    command = [sys.executable, __file__, "--run", name, "--images", str(count), "--resolution", str(options.resolution)]
    command += ["--device", options.device] + (["--dataset", options.dataset] if options.dataset else [])
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def run_one(options: argparse.Namespace) -> None:
    computation = COMPUTATIONS[options.run]
    computation(batches(options, 0, 32), batches(options, 32, 32), options.device)  # imports, plans, caches
    reals, fakes = batches(options, 0, options.images), batches(options, options.images, options.images)
    at_start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, cpu = time.perf_counter(), time.process_time()
    value = computation(reals, fakes, options.device)
    found = {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - cpu,
        "working_gib": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_start) / 2**20,
        "value": {str(key): float(number) for key, number in value.items()},
    }
    print(json.dumps(found))


def batches(options: argparse.Namespace, first: int, count: int) -> Iterator[np.ndarray]:
    """Yield images first .. first + count - 1 of the dataset, or of an endless stream of smooth random ones."""
    resolution = options.resolution
    dataset = None
    if options.dataset:
        from celebahq_builder.hdf5 import open_dataset

        dataset = open_dataset(options.dataset)
    for start in range(first, first + count, BATCH):
        size = min(BATCH, first + count - start)
        if dataset:
            yield dataset.read(resolution, np.arange(start, start + size))
        else:
            random = np.random.default_rng(start)
            coarse = random.integers(40, 216, (size, 3, resolution // 8, resolution // 8), dtype=np.uint8)
            yield coarse.repeat(8, axis=2).repeat(8, axis=3) + random.integers(
                0, 40, dtype=np.uint8, size=(size, 3, resolution, resolution)
            )


def ours_swd(reals: Iterator[np.ndarray], fakes: Iterator[np.ndarray], device: str) -> dict:
    from train.metrics.swd import swd

    return swd(reals, fakes, device=device)


def ours_ms_ssim(reals: Iterator[np.ndarray], fakes: Iterator[np.ndarray], device: str) -> dict:
    from train.metrics.ms_ssim import ms_ssim

    return {"mean": np.concatenate([ms_ssim(a, b, device) for a, b in zip(reals, fakes, strict=True)]).mean()}


def numpy_swd(reals: Iterator[np.ndarray], fakes: Iterator[np.ndarray], device: str) -> dict:
    """Descriptors of every level in memory, scipy's convolution, numpy's sort: the definition, line by line."""
    from train.metrics.patch_descriptors import unit_directions

    found = [numpy_descriptors(batches, stream) for stream, batches in enumerate((reals, fakes))]
    distances = {}
    for resolution in found[0]:
        repeats = []
        for directions in np.split(unit_directions(0, resolution), 4):
            a, b = (np.sort(descriptors[resolution] @ directions.T, axis=0) for descriptors in found)
            repeats.append(np.abs(a - b).mean())
        distances[resolution] = np.mean(repeats) * 1e3
    return distances | {"average": np.mean(list(distances.values()))}


def numpy_descriptors(batches: Iterator[np.ndarray], stream: int) -> dict[int, np.ndarray]:
    from scipy.ndimage import convolve

    from train.metrics.patch_descriptors import patch_positions

    kernel = (np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256).astype(np.float32)[None, None]
    patches: dict[int, list[np.ndarray]] = {}
    number = 0
    for images in batches:
        x = images.astype(np.float32)
        while True:
            resolution = x.shape[-1]
            level, smaller = x, None
            if resolution > 16:
                smaller = convolve(x, kernel, mode="mirror")[:, :, ::2, ::2]
                zeros = np.zeros_like(x)
                zeros[:, :, ::2, ::2] = smaller
                level = x - convolve(zeros, 4 * kernel, mode="mirror")
            positions = patch_positions(0, stream, resolution, number, len(images))
            rows = positions[:, :, 0, None, None, None] + np.arange(7)[:, None]
            columns = positions[:, :, 1, None, None, None] + np.arange(7)
            which, channels = np.arange(len(images))[:, None, None, None, None], np.arange(3)[:, None, None]
            patches.setdefault(resolution, []).append(level[which, channels, rows, columns].reshape(-1, 3, 7, 7))
            if smaller is None:
                break
            x = smaller
        number += len(images)
    descriptors = {}
    for resolution in list(patches):
        d = np.concatenate(patches.pop(resolution))
        d -= d.mean(axis=(0, 2, 3), keepdims=True)
        d /= d.std(axis=(0, 2, 3), keepdims=True)
        descriptors[resolution] = d.reshape(len(d), -1)
    return descriptors


def numpy_ms_ssim(reals: Iterator[np.ndarray], fakes: Iterator[np.ndarray], device: str) -> dict:
    """Windows by scipy's FFT convolution, as the released program has them."""
    from scipy.signal import fftconvolve

    scores = []
    for a, b in zip(reals, fakes, strict=True):
        a, b = a.astype(np.float64), b.astype(np.float64)
        product = np.ones(len(a))
        for scale, weight in enumerate([0.0448, 0.2856, 0.3001, 0.2363, 0.1333]):
            size = min(11, a.shape[-1])
            y, x = np.mgrid[:size, :size] - (size - 1) / 2
            window = np.exp(-(x**2 + y**2) / (2 * (1.5 * size / 11) ** 2))
            window = (window / window.sum())[None, None]
            mean_a, mean_b, aa, bb, ab = (
                fftconvolve(z, window, "valid", axes=(2, 3)) for z in (a, b, a * a, b * b, a * b)
            )
            structure = (2 * (ab - mean_a * mean_b) + 7.65**2) / (aa - mean_a**2 + bb - mean_b**2 + 7.65**2)
            luminance = (2 * mean_a * mean_b + 2.55**2) / (mean_a**2 + mean_b**2 + 2.55**2)
            similarity = structure if scale < 4 else luminance * structure
            product *= np.maximum(similarity.mean((1, 2, 3)), 0) ** weight
            n, half = len(a), a.shape[-1] // 2
            a, b = (z.reshape(n, 3, half, 2, half, 2).mean((3, 5)) for z in (a, b))
        scores.append(product)
    return {"mean": np.concatenate(scores).mean()}


COMPUTATIONS = {"swd": ours_swd, "swd-numpy": numpy_swd, "ms-ssim": ours_ms_ssim, "ms-ssim-numpy": numpy_ms_ssim}

if __name__ == "__main__":
    run_command(main, "metrics.py", interrupted="stopped")
