"""`python -m train.restoration validate`: weights on the photographs that are held out; every choice is made here."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from celebahq.options import check_options
from train.restoration.as_found import as_found_pair
from train.restoration.checkpoint import load_weights
from train.restoration.loop import HELD_OUT_SIDE, validate
from train.restoration.photos import held_out_names, middle, read_photos
from train.restoration.protocol import Restore, ensembled, luma, psnr, reduced_pair, restorer
from train.restoration.texture import texture_distance
from zoo.restoration.checkerboard import CheckerboardFilter
from zoo.restoration.networks import SuperResolver

_log = logging.getLogger("celebahq.train")

AS_FOUND_SIDE = 192


@dataclass(frozen=True, kw_only=True)
class ValidateConfig:
    """Compare weights on photographs that none of them was trained on, so that the test sets decide nothing."""

    weights: tuple[Path, ...]
    """Weights of python -m train.restoration, or model folders; a name that ends in gan is measured as it is used."""
    photos: Path
    """Folder or zip of photographs, as for training."""
    held_out: Path | None = None
    """List of the photos to validate on, as for training. Default: every 25th."""
    self_ensemble: bool = False
    """Measure them with self-ensemble (x8), at eight times the work."""

    def __post_init__(self) -> None:
        check_options(self)


def as_found_psnr(restore: Restore, photos: list[np.ndarray]) -> float:
    """Mean luma PSNR in dB on patches as photographs are found (soft, grainy, compressed), the same ones every time."""
    metrics = []
    for seed, photo in enumerate(photos):
        small, target = as_found_pair(np.random.default_rng(seed), photo, AS_FOUND_SIDE)
        metrics.append(psnr(luma(target), luma(restore(np.ascontiguousarray(small)))))
    return float(np.mean(metrics))


def validate_weights(config: ValidateConfig) -> dict[str, dict[str, float]]:
    """Print a line for each of the weights, and return its metrics in dB (and texture distance) by path.

    Raises:
        FileNotFoundError, ValueError: there are no such photos or weights.
    """
    photos = read_photos(config.photos, "photos/")
    held_out = [middle(photos[name], HELD_OUT_SIDE) for name in held_out_names(config.held_out, list(photos))]
    results = {}
    for path in config.weights:
        network: nn.Module = load_weights(path)
        is_superres = isinstance(network, SuperResolver)
        if isinstance(network, SuperResolver) and path.stem.endswith("gan"):
            network = CheckerboardFilter(network)
        restore = ensembled(restorer(network)) if config.self_ensemble else restorer(network)
        metrics = validate(restore, "superres" if is_superres else "artifacts", {"held-out": held_out})
        if is_superres:
            pairs = [reduced_pair(photo) for photo in held_out]
            restored: list[np.ndarray] = [restore(small) for _, small in pairs]
            metrics["texture"] = texture_distance([original for original, _ in pairs], restored)
            metrics["as found"] = as_found_psnr(restore, held_out)
        results[str(path)] = metrics
        _log.info(f"{path}: {', '.join(f'{name} {value:.3f}' for name, value in metrics.items())}")
    return results
