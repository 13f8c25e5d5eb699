"""Metrics while a run trains: when, of which images, and which generator was the best so far."""

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from celebahq.files import sha256_of
from celebahq_builder.hdf5 import Dataset
from train.config import TrainConfig
from train.distributed import ALONE, Ranks
from train.metrics.by_ranks import mean_ms_ssim, patches_of
from train.metrics.fakes import Fakes
from train.metrics.metrics_file import command_of, save_metric
from train.metrics.noise_floor import swd_noise_floor
from train.metrics.reals import Reals
from train.metrics.swd import descriptor_swd
from zoo.progan import Generator

SMALLEST = 16
"""From this resolution on both metrics exist."""


def training_metrics(
    config: TrainConfig, dataset: Dataset, device: torch.device, rows: Iterable[dict[str, Any]], ranks: Ranks = ALONE
) -> "TrainingMetrics":
    """Return what measures a run of this config; rows: those of its metrics.jsonl so far."""
    return TrainingMetrics(
        config.metrics,
        every_kimg=config.metrics_kimg,
        num_images=config.metrics_images,
        dataset=dataset,
        mirror=config.mirror,
        seed=config.seed,
        device=device,
        rows=rows,
        ranks=ranks,
    )


def keep_row(folder: Path, row: dict[str, Any], config: TrainConfig, facts: dict[str, Any]) -> None:
    """Write a row as metrics.json of the model folder that it was measured on, as python -m train.metrics does."""
    entry = {key: value for key, value in row.items() if key not in ("metric", "best", "distance")}
    provenance = {
        "dataset": facts,
        "mirror": config.mirror,
        "seed": config.seed,
        "model_sha256": sha256_of(folder / "model.safetensors"),
        "command": command_of(
            folder, row["metric"], row["num_images"], config.seed, config.dataset, "yes" if config.mirror else "no"
        ),
    }
    save_metric(folder / "metrics.json", row["metric"], {**entry, **provenance})


class TrainingMetrics:
    """Measure the averaged generator every so many images, at the resolution of the moment.

    Only while no block fades in: a half-grown image has no reals that it should resemble. Nothing that training draws
    or changes is touched: images come from a random stream of their own, and when to measure follows from the images
    shown alone, so that a resumed run writes the rows of an uninterrupted one.

    Args:
        metrics: some of "swd", "msssim".
        every_kimg: thousands of images between two measurements.
        num_images: images, and as many reals, or all where there are fewer.
        dataset: the open file of the run.
        mirror: as in training.
        seed: of the latents, of the reals' order and of the patches.
        device: where to compute.
        rows: those of metrics.jsonl so far; the best is found among them.
        ranks: that share the work, each with the same generator; values do not depend on their number.
    """

    def __init__(
        self,
        metrics: tuple[str, ...],
        *,
        every_kimg: float,
        num_images: int,
        dataset: Dataset,
        mirror: bool,
        seed: int,
        device: torch.device,
        rows: Iterable[dict[str, Any]] = (),
        ranks: Ranks = ALONE,
    ) -> None:
        self.metrics, self._ranks = metrics, ranks
        self.every = round(every_kimg * 1000)
        self.dataset, self.mirror, self.seed, self.device = dataset, mirror, seed, device
        self.num_images = min(num_images, len(dataset) * (2 if mirror else 1))
        self._best: dict[tuple[str, int, int], float] = {}
        for row in rows:
            with contextlib.suppress(KeyError, TypeError):  # no row of ours
                self._is_best(row)
        self._resolution: int | None = None
        self._of_reals: dict[str, Any] = {}

    def due(self, nimg: int, shown: int, resolution: int, alpha: float, done: bool) -> bool:
        """Whether the last `shown` images, up to nimg, crossed a multiple of every_kimg, or were the run's last."""
        crossed = nimg // self.every > (nimg - shown) // self.every
        return (crossed or done) and alpha == 1 and resolution >= SMALLEST

    def measure(self, g_ema: Generator, nimg: int, resolution: int) -> list[dict[str, Any]]:
        """Return a row a metric; called by all ranks.

        Each has kimg, resolution, metric, num_images, seconds, "values" (name -> number), what they are compared with
        ("noise_floor" or "reals"), "distance" (the one number that is better when smaller) and "best" (whether it is
        the smallest so far at this resolution).
        """
        labels = self._enter(resolution).labels
        fakes = Fakes(g_ema, seed=self.seed, resolution=resolution, labels=labels, keep_bytes=1 << 30)
        rows = []
        for metric in self.metrics:
            start = time.monotonic()
            row = {"kimg": nimg / 1000, "resolution": resolution, "metric": metric, "num_images": self.num_images}
            row |= {"swd": self._swd, "msssim": self._msssim}[metric](fakes)
            row["seconds"] = round(time.monotonic() - start, 2)
            row["best"] = self._is_best(row)
            rows.append(row)
        return rows

    def _enter(self, resolution: int) -> Reals:
        """Return the reals of a resolution; what was kept of another one is forgotten."""
        if resolution != self._resolution:
            self._resolution, self._of_reals = resolution, {}
        return Reals(self.dataset, resolution, mirror=self.mirror, seed=self.seed)

    def _swd(self, fakes: Fakes) -> dict[str, Any]:
        """SWD x 1e3 a level; the reals' patches and their noise floor are taken once a resolution."""
        if "swd" not in self._of_reals:
            reals = self._enter(fakes.resolution)
            patches = patches_of(reals, self.num_images, self.seed, 0, self.device, self._ranks)
            self._of_reals["swd"] = patches, swd_noise_floor(patches, reals, self.seed, self.device, ranks=self._ranks)
        patches, (floor, floor_of) = self._of_reals["swd"]
        of_fakes = patches_of(fakes, self.num_images, self.seed, 1, self.device, self._ranks)
        found = descriptor_swd(patches, of_fakes, self._ranks)
        values = {str(level): value for level, value in found.items()}
        return {"values": values, "noise_floor": floor, "noise_floor_of": floor_of, "distance": values["average"]}

    def _msssim(self, fakes: Fakes) -> dict[str, Any]:
        """Mean MS-SSIM; the best is the one that comes nearest to the reals' own."""
        pairs = self.num_images // 2
        if "msssim" not in self._of_reals:
            reals = self._enter(fakes.resolution)
            self._of_reals["msssim"] = mean_ms_ssim(reals, pairs, self.device, self._ranks)
        of_reals = self._of_reals["msssim"]
        value = mean_ms_ssim(fakes, pairs, self.device, self._ranks)
        return {"values": {"ms_ssim": value}, "reals": {"ms_ssim": of_reals}, "distance": abs(value - of_reals)}

    def _is_best(self, row: dict[str, Any]) -> bool:
        """Whether no row of the same metric, resolution and count was as good; remember it if so."""
        key = row["metric"], row["resolution"], row["num_images"]
        if row["distance"] >= self._best.get(key, float("inf")):
            return False
        self._best[key] = row["distance"]
        return True
