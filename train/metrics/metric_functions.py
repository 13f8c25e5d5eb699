"""One function a metric: images of the generator and of the data in, its values out."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from train.distributed import ALONE, Ranks
from train.metrics.config import MetricsConfig
from train.metrics.errors import MetricError
from train.metrics.fakes import Fakes
from train.metrics.inception_views import InceptionViews
from train.metrics.reals import Reals
from zoo.metrics import MEASURED
from zoo.progan import ProGANConfig


@dataclass(frozen=True)
class EvalContext:
    """What is measured. reals is None where no dataset was given, inception where no metric wants it; images go
    beside output, the file of the metrics. The first of the ranks is told every metric, the others may be told none."""

    config: MetricsConfig
    fakes: Fakes
    reals: Reals | None
    inception: InceptionViews | None
    device: torch.device
    output: Path
    info: Callable[[str], None]
    ranks: Ranks = ALONE

    def required_reals(self) -> Reals:
        """Return the reals, for a metric that needs them: config.__post_init__ has seen to a dataset."""
        assert self.reals is not None
        return self.reals

    def required_inception(self) -> InceptionViews:
        """Return Inception's features, for a metric that needs them."""
        assert self.inception is not None
        return self.inception


def compute_swd(context: EvalContext, num_images: int) -> dict[str, Any]:
    """Sliced Wasserstein distance x 1e3 a level, and beside it the noise floor of as many reals against reals."""
    from train.metrics.swd import descriptor_swd

    return _distance_of_patches(context, num_images, descriptor_swd)


def compute_swd_iterative(context: EvalContext, num_images: int) -> dict[str, Any]:
    """The iterative form of Rabin et al. x 1e3 a level, of 4096 patches, and its noise floor."""
    from train.metrics.iterative_swd import iterative_swd
    from train.metrics.patch_descriptors import SwdDescriptors

    def distance(reals: SwdDescriptors, fakes: SwdDescriptors, ranks: Ranks) -> dict[int | str, float]:
        return iterative_swd(reals, fakes) if ranks.first else {}

    return _distance_of_patches(context, num_images, distance)


def _distance_of_patches(context: EvalContext, num_images: int, distance: Callable[..., Any]) -> dict[str, Any]:
    from train.metrics.by_ranks import patches_of
    from train.metrics.noise_floor import swd_noise_floor

    reals, seed, device, ranks = context.required_reals(), context.config.seed, context.device, context.ranks
    of_reals = patches_of(reals, num_images, seed, 0, device, ranks)
    floor, floor_of = swd_noise_floor(of_reals, reals, seed, device, distance, ranks)
    values = distance(of_reals, patches_of(context.fakes, num_images, seed, 1, device, ranks), ranks)
    return {
        "values": {str(level): value for level, value in values.items()},
        "noise_floor": floor,
        "noise_floor_of": floor_of,
        "num_reals": num_images,
    }


def compute_msssim(context: EvalContext, num_images: int) -> dict[str, Any]:
    """Mean MS-SSIM of adjacent images: how alike a generator's images are; the reals' own beside it."""
    from train.metrics.by_ranks import mean_ms_ssim

    pairs, device, ranks = num_images // 2, context.device, context.ranks
    result: dict[str, Any] = {
        "values": {"ms_ssim": mean_ms_ssim(context.fakes, pairs, device, ranks)},
        "pairs": pairs,
    }
    if context.reals is not None and len(context.reals) > 1:  # a single real has no pair
        real_pairs = min(pairs, len(context.reals) // 2)
        of_reals = mean_ms_ssim(context.reals, real_pairs, device, ranks)
        result |= {"reals": {"ms_ssim": of_reals}, "num_reals": 2 * real_pairs}
    return result


def compute_fid(context: EvalContext, num_images: int) -> dict[str, Any]:
    """Frechet Inception distance; reals: as many as images, or all that there are."""
    from train.metrics.fid import Statistics, fid

    reals = context.required_inception().of_reals(num_images)
    fakes, _ = context.required_inception().of_fakes(num_images)
    if not context.ranks.first:
        return {}
    values = {"fid": fid(Statistics.of(reals), Statistics.of(fakes))}
    return {"values": values, "num_reals": len(reals), "inception_sha256": context.required_inception().sha256}


def compute_kid(context: EvalContext, num_images: int) -> dict[str, Any]:
    """Kernel Inception distance and its standard deviation over 100 subsets of 1000."""
    from train.metrics.kid import kid

    reals = context.required_inception().of_reals(num_images)
    fakes, _ = context.required_inception().of_fakes(num_images)
    if not context.ranks.first:
        return {}
    mean, deviation = kid(reals, fakes, seed=context.config.seed, device=context.device)
    values = {"kid": mean, "deviation": deviation}
    return {"values": values, "num_reals": len(reals), "inception_sha256": context.required_inception().sha256}


def compute_is(context: EvalContext, num_images: int) -> dict[str, Any]:
    """Inception score and its standard deviation over ten splits."""
    from train.metrics.inception_score import inception_score

    _, logits = context.required_inception().of_fakes(num_images)
    if not context.ranks.first:
        return {}
    mean, deviation = inception_score(logits)
    return {"values": {"is": mean, "deviation": deviation}, "inception_sha256": context.required_inception().sha256}


def compute_precision_recall(context: EvalContext, num_images: int) -> dict[str, Any]:
    """Precision and recall of the k-nearest-neighbour manifolds, k = 3."""
    from train.metrics.precision_recall import precision_recall

    reals = context.required_inception().of_reals(num_images)
    fakes, _ = context.required_inception().of_fakes(num_images)
    if not context.ranks.first:
        return {}
    found = precision_recall(reals, fakes, device=context.device)
    values = {"precision": found.precision, "recall": found.recall}
    return {"values": values, "num_reals": len(reals), "inception_sha256": context.required_inception().sha256}


def compute_neighbours(context: EvalContext, num_images: int) -> dict[str, Any]:
    """The closest reals of the first few images, as neighbours.png (paper, Fig. 10)."""
    from train.metrics.neighbours import nearest_reals, nearest_reals_image

    fakes = np.concatenate(list(context.fakes.batches(num_images)))
    # faces-32-metrics.json goes with faces-32-neighbours.png, metrics.json with neighbours.png
    name = f"{context.output.stem.removesuffix('metrics')}neighbours.png"
    reals, path = context.required_reals(), context.output.with_name(name)
    dataset = reals.dataset
    found = nearest_reals(fakes, dataset, mirror=reals.mirror, vgg=context.config.vgg, device=context.device)
    nearest_reals_image(path, fakes, dataset, found)
    context.info(f"the closest reals: {path}")
    values = {"smallest": float(found.distances.min()), "median": float(np.median(found.distances[:, 0]))}
    return {"values": values, "num_reals": len(dataset), "features": found.features, "picture": path.name}


def compute_modes(context: EvalContext, num_images: int) -> dict[str, Any]:
    """Modes of MNIST-1K that the generator covers, and KL(generated || uniform)."""
    from train.metrics.digit_classifier import load_or_train
    from train.metrics.mnist import read_mnist, stacked_triples
    from train.metrics.mnist_modes import count_modes, kl_of_sampling

    mnist = context.config.mnist
    classifier, error = load_or_train(mnist, context.device, context.info)
    found = count_modes(context.fakes.batches(num_images), classifier)
    result = {
        "values": {"modes": found.modes, "kl": found.kl},
        "noise_floor": {"kl": kl_of_sampling(num_images)},
        "noise_floor_of": "sampling alone",
        "classifier_error": error,
    }
    if mnist is not None:
        triples, _ = stacked_triples(*read_mnist(mnist, "t10k"), num_images, context.config.seed)
        real = count_modes(np.array_split(triples, max(1, num_images // 1000)), classifier)
        result |= {"reals": {"modes": real.modes, "kl": real.kl}, "num_reals": num_images}
    return result


def metric_function(name: str) -> Callable[[EvalContext, int], dict[str, Any]]:
    """Return what measures a metric of zoo.metrics.MEASURED: compute_<name> of this file."""
    return globals()[f"compute_{name.replace('-', '_')}"]


def check_measurable(config: MetricsConfig, model: ProGANConfig, reals: Reals | None) -> None:
    """Raise MetricError where a metric cannot be had of the model or of so few reals: before hours of work."""
    side = f"{model.resolution}x{model.resolution}"
    for name in config.names:
        metric = MEASURED[name]
        if model.resolution < (least := metric.from_resolution):
            raise MetricError(
                f"--metrics {name}: got {config.model}, which generates {side}, expected {least}x{least} or more"
            )
        if metric.images not in (None, (model.image_channels, model.resolution)):
            raise MetricError(
                f"--metrics {name}: got {config.model}, which generates {model.image_channels}-channel images of "
                f"{side}, expected a generator of three digits, 3-channel images of 32x32"
            )
        if reals is None:
            continue
        if metric.reals == "equal":
            reals.require(config.images_of(name))
        elif metric.reals == "some":
            reals.require(metric.at_least)
