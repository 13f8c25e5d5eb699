"""Inception score (Salimans et al., 2016): exp of the mean KL between an image's classes and all images' classes."""

import itertools

import numpy as np
from scipy.special import log_softmax, logsumexp

from train.metrics.errors import MetricError


def inception_score(logits: np.ndarray, splits: int = 10) -> tuple[float, float]:
    """Return the mean over the splits and their standard deviation, between 1 and the number of classes.

    Args:
        logits: (N, classes), in the order the images were made; Inception's 1008 without the last bias.
        splits: runs of consecutive images, N // splits each (give or take one).

    Raises:
        MetricError: fewer images than splits.
    """
    if len(logits) < splits:
        raise MetricError(f"fakes: got {len(logits)} images, expected at least {splits} for {splits} splits")
    log_p = log_softmax(np.asarray(logits, np.float64), axis=1)
    edges = np.arange(splits + 1) * len(log_p) // splits
    scores = []
    for a, b in itertools.pairwise(edges):
        part = log_p[a:b]
        log_mean = logsumexp(part, axis=0) - np.log(b - a)  # of probabilities: finite even where all underflow
        scores.append(np.exp((np.exp(part) * (part - log_mean)).sum(axis=1).mean()))
    return float(np.mean(scores)), float(np.std(scores))
