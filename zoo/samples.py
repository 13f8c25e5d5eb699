"""samples.png of a model folder: a few seeds side by side, for people to look at."""

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from zoo.progan import Generator

SAMPLES_NAME = "samples.png"


@torch.inference_mode()
def save_samples(folder: Path, generator: Generator) -> Path:
    """Generate seeds 0, 1, ... into samples.png: 4x4 images up to 128x128, 2x2 above, none of them larger than 512x512.

    The latents of a seed are numpy.random.RandomState(seed).randn(latent_size), as everywhere; classes take turns.
    """
    config = generator.config
    side = 4 if config.resolution <= 128 else 2
    images = []
    for seed in range(side * side):
        z = np.random.RandomState(seed).randn(1, config.latent_size).astype(np.float32)
        inputs = [torch.from_numpy(z)]
        if config.label_size:
            inputs.append(torch.eye(config.label_size)[[seed % config.label_size]])
        image = generator(*inputs)[0].permute(1, 2, 0).numpy()
        pixels = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)
        shown = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
        if config.resolution > 512:
            shown = shown.reduce(config.resolution // 512)
        images.append(np.atleast_3d(np.asarray(shown)))
    rows = [np.concatenate(images[i : i + side], axis=1) for i in range(0, side * side, side)]
    sheet = np.concatenate(rows)
    notes = PngInfo()
    notes.add_text("seeds", ",".join(map(str, range(side * side))))
    path = folder / SAMPLES_NAME
    Image.fromarray(sheet if sheet.shape[2] == 3 else sheet[..., 0]).save(path, pnginfo=notes)
    return path
