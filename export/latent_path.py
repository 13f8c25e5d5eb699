"""Latents that wander: white noise over time, blurred, as the paper's video and the released program's have it."""

from typing import Literal

import numpy as np

SMOOTHING_SECONDS = {"paper": 45 / 60, "released": 1.0}
"""Sigma of the blur: 45 frames at 60 Hz (paper), or one second (the released program's smoothing_sec)."""


def gaussian_kernel(sigma: float) -> np.ndarray:
    """Return a Gaussian, sampled at whole frames up to four sigmas either side, of sum 1. sigma: frames."""
    radius = int(4 * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    return kernel / kernel.sum()


def blur_over_time(noise: np.ndarray, sigma: float) -> np.ndarray:
    """Blur along the first axis, as a circle: the last frame's neighbour is the first.

    Args:
        noise: (frames, ...) float.
        sigma: of the Gaussian, in frames.

    Returns:
        (frames, ...) float64.
    """
    frames, kernel = len(noise), gaussian_kernel(sigma)
    circle = np.zeros(frames)
    np.add.at(circle, (np.arange(len(kernel)) - len(kernel) // 2) % frames, kernel)  # wound round, maybe many times
    transfer = np.fft.rfft(circle).reshape(-1, *[1] * (noise.ndim - 1))
    return np.fft.irfft(np.fft.rfft(noise, axis=0) * transfer, n=frames, axis=0)


def latent_path(
    frames: int,
    faces: int,
    latent_size: int,
    *,
    fps: float,
    seed: int,
    style: Literal["paper", "released"] = "paper",
    loop: bool = True,
) -> np.ndarray:
    """Return the latents of a film.

    Each component of each face is noise of its own, numpy.random.RandomState(seed).randn(frames, faces, latent) in all,
    as in the released program; the blur makes it wander.

    Args:
        frames: of the film.
        faces: side by side in each.
        latent_size: components of z.
        fps: frames a second; the blur is given in seconds, so that the speed does not depend on it.
        seed: of the noise.
        style: paper: each latent is put onto the hypersphere. released: all are divided by their common root mean
            square, which leaves each near it, and the network puts it there.
        loop: the film's end meets its start. Otherwise longer noise is blurred and its middle taken.

    Returns:
        (frames, faces, latent_size) float32, of unit mean square.
    """
    sigma = SMOOTHING_SECONDS[style] * fps
    margin = 0 if loop else int(4 * sigma + 0.5)
    noise = np.random.RandomState(seed).randn(frames + 2 * margin, faces, latent_size)
    path = np.empty((frames, faces, latent_size), np.float32)
    for face in range(faces):  # one at a time: the transform is complex, and long films of many faces are large
        blurred = blur_over_time(noise[:, face], sigma)[margin : margin + frames]
        mean_square = np.square(blurred).mean(axis=1, keepdims=True)
        if style == "paper":
            blurred /= np.sqrt(mean_square)
        path[:, face] = blurred
    if style == "released":
        path /= np.sqrt(np.square(path, dtype=np.float64).mean())
    return path
