"""One function a metric: pictures of the generator and of the data in, figures out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train.metrics.config import MetricsConfig
from train.metrics.fakes import Fakes
from train.metrics.reals import Reals
from train.metrics.refusal import MetricError


@dataclass(frozen=True)
class Subject:
    """What is measured. reals is None where no data set was given; folder takes pictures."""

    config: MetricsConfig
    fakes: Fakes
    reals: Reals | None
    device: torch.device
    folder: Path
    say: Callable[[str], None]


def measure_swd(subject: Subject, num_images: int) -> dict[str, Any]:
    """Sliced Wasserstein distance x 1e3 a level, and beside it the noise floor of as many reals against reals."""
    from train.metrics.swd import swd

    reals, seed, device = subject.reals, subject.config.seed, subject.device
    values = swd(reals.batches(num_images), subject.fakes.batches(num_images), seed=seed, device=device)
    others = len(reals) >= 2 * num_images
    start = num_images if others else 0
    floor = swd(reals.batches(num_images), reals.batches(num_images, start), seed=seed + 1, device=device)
    return {
        "values": {str(level): value for level, value in values.items()},
        "noise_floor": {str(level): value for level, value in floor.items()},
        "noise_floor_of": "other reals" if others else "the same reals, other patches",
        "num_reals": num_images,
    }


def measure_msssim(subject: Subject, num_images: int) -> dict[str, Any]:
    """Mean MS-SSIM of adjacent pictures: how alike a generator's pictures are; the reals' own beside it."""
    from train.metrics.ms_ssim import ms_ssim

    def mean(batches: Any) -> float:
        total, pairs = 0.0, 0
        for batch in batches:
            even = len(batch) // 2 * 2
            if even:
                total += float(ms_ssim(batch[0:even:2], batch[1:even:2]).sum())
            pairs += even // 2
        return total / pairs

    result: dict[str, Any] = {"values": {"ms_ssim": mean(subject.fakes.batches(num_images))}, "pairs": num_images // 2}
    if subject.reals is not None:
        count = min(num_images, len(subject.reals))
        result |= {"reals": {"ms_ssim": mean(subject.reals.batches(count))}, "num_reals": count}
    return result


def measure_modes(subject: Subject, num_images: int) -> dict[str, Any]:
    """Modes of MNIST-1K that the generator covers, and KL(generated || uniform)."""
    from train.metrics.digit_classifier import load_or_train
    from train.metrics.mnist import read_mnist, stacked_triples
    from train.metrics.mnist_modes import count_modes, kl_of_sampling

    fakes = subject.fakes
    if (fakes.channels, fakes.resolution) != (3, 32):
        raise MetricError(
            f"--metrics modes: {subject.config.model} paints {fakes.channels} channels of "
            f"{fakes.resolution}x{fakes.resolution}, a generator of three digits, 3 x 32x32, is wanted"
        )
    mnist = subject.config.mnist
    classifier, error = load_or_train(mnist, subject.device, subject.say)
    found = count_modes(fakes.batches(num_images), classifier)
    result = {
        "values": {"modes": found.modes, "kl": found.kl},
        "noise_floor": {"kl": kl_of_sampling(num_images)},
        "noise_floor_of": "sampling alone",
        "classifier_error": error,
    }
    if mnist is not None:
        triples, _ = stacked_triples(*read_mnist(mnist, "t10k"), num_images, subject.config.seed)
        real = count_modes(np.array_split(triples, max(1, num_images // 1000)), classifier)
        result |= {"reals": {"modes": real.modes, "kl": real.kl}, "num_reals": num_images}
    return result


MEASURES: dict[str, Callable[[Subject, int], dict[str, Any]]] = {
    "swd": measure_swd,
    "msssim": measure_msssim,
    "modes": measure_modes,
}
