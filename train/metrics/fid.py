"""Frechet Inception distance (Heusel et al., 2017): means and covariances in float64, and the distance of two."""

from dataclasses import dataclass

import numpy as np

from train.metrics.errors import MetricError


@dataclass(frozen=True)
class Statistics:
    """What FID keeps of a set: count, mean (D,) float64, scatter (D, D) float64 = sum of outer products around it.

    Merging is exact up to rounding, so every process may keep its own and one of them merge all.
    """

    count: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> "Statistics":
        """Return the statistics of features (N, D), N >= 1."""
        features = np.asarray(features, np.float64)
        if features.ndim != 2 or not len(features):
            raise ValueError(f"features: got {features.shape}, expected (N, D) with N >= 1")
        mean = features.mean(axis=0)
        deviations = features - mean
        return cls(len(features), mean, deviations.T @ deviations)

    def merge(self, other: "Statistics") -> "Statistics":
        """Return the statistics of both sets together (Chan, Golub and LeVeque, 1979)."""
        count = self.count + other.count
        step = other.mean - self.mean
        between = np.outer(step, step) * (self.count * other.count / count)
        mean = self.mean + step * (other.count / count)
        return Statistics(count, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> np.ndarray:
        """(D, D) float64, unbiased: divided by count - 1."""
        return self.scatter / (self.count - 1)


def fid(reals: Statistics, fakes: Statistics) -> float:
    """Return the Frechet distance of two Gaussians: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).

    tr (C1 C2)^(1/2) is the sum of the singular values of C1^(1/2) C2^(1/2): no root of a matrix that is not symmetric,
    no complex numbers, and nothing added to the diagonal when there are fewer images than features.

    Raises:
        MetricError: fewer than two images in a set.
    """
    for name, each in (("reals", reals), ("fakes", fakes)):
        if each.count < 2:
            raise MetricError(f"{name}: got {each.count} images, expected at least 2 for a covariance")
    if reals.mean.shape != fakes.mean.shape:
        raise ValueError(f"fakes: got {len(fakes.mean)} features, expected {len(reals.mean)} as the reals have")
    root1, root2 = _root(reals.covariance), _root(fakes.covariance)
    shared = np.linalg.svd(root1.T @ root2, compute_uv=False).sum()
    distance = np.sum((reals.mean - fakes.mean) ** 2) + np.sum(root1**2) + np.sum(root2**2) - 2 * shared
    return max(float(distance), 0.0)  # rounding may leave equal sets a hair below zero


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return (D, r) float64 whose product with its transpose is the covariance; r its numerical rank."""
    values, vectors = np.linalg.eigh(covariance)
    # Below this a value is rounding, of either sign; the root of rounding, summed over a thousand, would show in FID.
    kept = values > values.max() * len(values) * np.finfo(np.float64).eps
    return vectors[:, kept] * np.sqrt(values[kept])
