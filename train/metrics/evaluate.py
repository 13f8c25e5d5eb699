"""evaluate(): a model and a dataset in, the asked metrics out; told, and kept beside the model."""

import logging
import os
import time
from pathlib import Path
from typing import Any

import torch

import zoo
from celebahq.files import sha256_of
from celebahq_builder.hdf5 import Dataset, open_dataset
from train.device import use_device
from train.distributed import ALONE, Ranks
from train.metrics.config import MetricsConfig
from train.metrics.errors import MetricError
from train.metrics.fakes import Fakes
from train.metrics.inception_views import InceptionViews
from train.metrics.metric_functions import EvalContext, check_measurable, metric_function
from train.metrics.metrics_file import check_replaced, command_of, save_metric, table
from train.metrics.reals import Reals
from train.setup import choose_precision
from train.state.run_folder import dataset_fingerprint
from zoo.folder import read_config
from zoo.locate import file_beside_the_caller, is_somebodys
from zoo.metrics import MEASURED, METRICS_NAME
from zoo.progan import ProGANConfig

_log = logging.getLogger("celebahq.train")


def evaluate(config: MetricsConfig, ranks: Ranks = ALONE) -> dict[str, dict[str, Any]]:
    """Measure and keep; see MetricsConfig.

    Args:
        ranks: that share the work, called by all of them; the first writes and is told the metrics. Values do not
            depend on their number.

    Returns:
        metric -> its entry: "values", and where it has them "noise_floor" and "reals", each name -> number, with
        num_images, seed, dataset, command, seconds and whatever else tells how they were made.

    Raises:
        MetricError, ModelError, DatasetError, TrainError: one line for the user.
    """
    # Model, device, data.
    folder = ranks.first_then_others(lambda: zoo.model_folder(config.model))
    generator = zoo.load(folder)
    device = use_device(config.device, ranks)
    choose_precision("fp32", device)  # metrics are compared with published ones: no shortcut in their arithmetic
    path = config.dataset
    dataset = ranks.first_then_others(lambda: open_dataset(path)) if path else None
    _check_fit(config, generator.config, dataset)
    mirror = _mirror(config, folder)
    reals = None
    if dataset is not None:
        reals = Reals(dataset, generator.config.resolution, mirror=mirror, seed=config.seed)
    check_measurable(config, generator.config, reals)
    fakes = Fakes(
        generator.to(device),
        seed=config.seed,
        labels=reals.labels if reals is not None and generator.config.label_size else None,
        keep_bytes=round(config.memory_gib * 2**30),
    )
    output = config.output or folder / METRICS_NAME
    if config.output is None and is_somebodys(config.model, folder):
        output = file_beside_the_caller(config.model, f"-{METRICS_NAME}")
    _make_folder(output)
    counts = [config.images_of(name) for name in config.names if MEASURED[name].inception]
    inception = InceptionViews(fakes, reals, config.inception, device, max(counts), ranks) if counts else None
    context = EvalContext(config, fakes, reals, inception, device, output, _log.info, ranks)
    provenance = {
        "dataset": dataset_fingerprint(dataset) if dataset else None,
        "mirror": mirror,
        "seed": config.seed,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU",
        "model_sha256": sha256_of(folder / "model.safetensors"),
    }
    planned = {name: {"num_images": config.images_of(name), **provenance} for name in config.names}
    if ranks.from_first(lambda: provenance | {"device": ""}) != provenance | {"device": ""}:
        raise MetricError(
            f"torchrun: got another model or other data on rank {ranks.rank} than on rank 0, expected the same"
        )
    replaced = ranks.from_first(lambda: check_replaced(output, planned, config.overwrite))
    _log.info("\n".join([_headline(config, generator.config, provenance), *replaced]))

    # One metric after the other; each is kept as soon as it is known.
    results = {}
    for name in config.names:
        if MEASURED[name].on_the_first_rank and not ranks.first:
            continue
        num_images, start = config.images_of(name), time.monotonic()
        entry = metric_function(name)(context, num_images)
        if not ranks.first:
            continue
        seconds = round(time.monotonic() - start, 1)
        command = command_of(config.model, name, num_images, config.seed, config.dataset, config.mirror)
        results[name] = {"num_images": num_images, **entry, **provenance, "seconds": seconds, "command": command}
        save_metric(output, name, results[name])
        _log.info("\n".join(table(name, results[name])))
    _log.info(f"kept in {output}")
    if dataset is not None:
        dataset.close()
    return results


def _check_fit(config: MetricsConfig, model: ProGANConfig, dataset: Dataset | None) -> None:
    """Raise MetricError when the dataset cannot be compared with the model, or a label is nowhere to be had."""
    if dataset is None:
        if model.label_size:
            raise MetricError(f"--dataset: got none, expected the data of {config.model}, which takes labels")
        return
    label_size = 0 if dataset.labels is None else dataset.labels.shape[1]
    channels = dataset.read(dataset.resolution, [0]).shape[1]
    if channels != model.image_channels:
        found = f"{channels}-channel images where {config.model} generates {model.image_channels}-channel ones"
    elif model.resolution > dataset.resolution:
        found = f"{dataset.resolution}x{dataset.resolution} at most where {config.model} generates {model.resolution}"
    elif model.label_size not in (0, label_size):
        found = f"labels of {label_size} entries where {config.model} takes {model.label_size}"
    else:
        return
    raise MetricError(f"{config.dataset}: got {found}, expected the data that the model was trained on")


def _make_folder(output: Path) -> None:
    """Make the folder of the metrics now: hours of work must not end for want of it."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MetricError(f"{output}: cannot be written ({error.strerror}), expected a writable --output") from None
    if output.is_dir() or not os.access(output.parent, os.W_OK):
        raise MetricError(f"{output}: cannot be written, expected a file in a writable folder, see --output")


def _mirror(config: MetricsConfig, folder: Path) -> bool:
    """Return --mirror, or whether the model's training mirrored its reals; False where its folder does not say."""
    if config.mirror != "auto":
        return config.mirror == "yes"
    return bool((read_config(folder).get("training") or {}).get("mirror", False))


def _headline(config: MetricsConfig, model: ProGANConfig, provenance: dict[str, Any]) -> str:
    text = f"{config.model}: {model.resolution}x{model.resolution}, {provenance['device']}, seed {config.seed}"
    if facts := provenance["dataset"]:
        mirrored = ", half of them mirrored" if provenance["mirror"] else ""
        text += f"\n{config.dataset}: {facts['faces']} faces{mirrored}, sha256 of its 4x4 level {facts['sha256_4x4']}"
    return text
