"""Mode count on MNIST-1K: how many of the 1000 triples of digits a generator generates, and how evenly (Appendix E)."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from train.metrics.digit_classifier import SIDE, DigitClassifier
from train.metrics.errors import MetricError
from train.metrics.mnist import MODES


@dataclass(frozen=True)
class ModeCount:
    """modes: covered ones of 1000. kl: KL(generated || uniform) in nats. num_images: images counted."""

    modes: int
    kl: float
    num_images: int


def count_modes(batches: Iterable[np.ndarray], classifier: DigitClassifier) -> ModeCount:
    """Classify the three digits of each image and compare the histogram of triples with the uniform one.

    Args:
        batches: (n, 3, 32, 32) uint8 each, a digit a channel, padded by two black pixels.
        classifier: of single digits, on its device.

    Raises:
        MetricError: the images are of another shape.
    """
    device = next(classifier.parameters()).device
    counts = np.zeros(MODES, np.int64)
    for batch in batches:
        if batch.shape[1:] != (3, SIDE, SIDE):
            channels, height, width = batch.shape[1:]
            raise MetricError(
                f"modes: got {channels}-channel images of {width}x{height}, expected three digits, 3-channel images of "
                f"{SIDE}x{SIDE}"
            )
        digits = torch.from_numpy(np.ascontiguousarray(batch)).to(device).flatten(0, 1)
        found = classifier.classes(digits).view(-1, 3).cpu().numpy()
        counts += np.bincount(found @ np.array([100, 10, 1]), minlength=MODES)
    return ModeCount(int(np.count_nonzero(counts)), kl_to_uniform(counts), int(counts.sum()))


def kl_to_uniform(counts: np.ndarray) -> float:
    """Return KL(histogram || uniform) in nats; empty cells add nothing (Metz et al., 2017)."""
    p = counts[counts > 0] / counts.sum()
    return float((p * np.log(p * len(counts))).sum())


def kl_of_sampling(num_images: int) -> float:
    """Return what KL a perfectly uniform generator is expected to show for want of samples: (K - 1) / 2N nats.

    The leading term of the bias of the plug-in entropy (Miller and Madow, 1955); 0.0195 at 25,600 images.
    """
    return (MODES - 1) / (2 * num_images)
