"""python -m train.ema: a model of any averaging length, from the power-law averages in a run's checkpoints."""

import json
import logging
from pathlib import Path
from typing import Any

import torch

from train.config import TrainError
from train.ema import EmaConfig
from train.parameters import FlatParameters
from train.power_ema import LENGTHS, LONGEST, Profile, combination, exponent
from train.state.checkpoint import checkpoints, load_checkpoint
from train.state.initial import architecture_of_checkpoint
from zoo import weights
from zoo.progan import Generator

LOG = logging.getLogger("celebahq.train")


def write_posthoc(config: EmaConfig) -> Path:
    """Write the model folder; see EmaConfig.

    Raises:
        TrainError: no checkpoint of the run has such averages, or the length is none.
        CheckpointError: a checkpoint is damaged.
    """
    if not 0.01 <= config.length <= LONGEST:
        raise TrainError(f"--length: got {config.length}, expected 0.01 to {LONGEST}")
    states = [load_checkpoint(path) for path in checkpoints(config.run / "checkpoints")]
    states = [state for state in states if "power_ema" in state]
    if not states:
        raise TrainError(f"{config.run}: got no checkpoint with power-law averages, expected a run folder that has one")
    newest = states[-1]
    start = newest["power_ema"]["start"]
    states = [state for state in states if state["power_ema"]["start"] == start and state["nimg"] > start]
    known, vectors = [], []
    for state in states:
        for length in LENGTHS:
            known.append(Profile(state["nimg"] - start, exponent(length)))
            vectors.append(state["power_ema"][f"{length:g}"])
    if not known:
        raise TrainError(f"{config.run}: the last resolution has only just come in, there is nothing to average yet")
    shares, missed = combination(known, Profile(newest["nimg"] - start, exponent(config.length)))
    vector = sum(float(share) * vector.double() for share, vector in zip(shares, vectors, strict=True))
    folder = config.output or config.run / f"model-ema-{config.length:g}"
    weights.save(_generator(newest, vector.float()), folder, **_card(config, newest, len(states), missed))
    LOG.info(
        "%s: averages of %d checkpoint%s; its profile is missed by %.1f %%%s",
        folder, len(states), "" if len(states) == 1 else "s", 100 * missed,
        "" if missed < 0.1 else "; more checkpoints (--keep-checkpoints) or a length nearer to 0.05 ... 0.1 miss less",
    )  # fmt: skip
    return folder


def _generator(state: dict[str, Any], vector: torch.Tensor) -> Generator:
    """Return the generator whose parameters up to the averaged resolution are those of the vector, as files hold it."""
    architecture = architecture_of_checkpoint(state)
    if architecture.generator_norm == "batch":
        raise TrainError(
            "got a generator with batch normalization, expected one without (its statistics are of the "
            "average that it was trained with); take the run's own model"
        )
    resolution = FlatParameters(Generator(architecture)).resolution_of(vector)
    generator = Generator(architecture.at(resolution))
    flat = FlatParameters(generator)
    flat.vector.copy_(flat.spread(vector))
    return generator


def _card(config: EmaConfig, state: dict[str, Any], count: int, missed: float) -> dict[str, Any]:
    """Return what config.json of the model says beside the architecture: as the run's own, and how it was averaged."""
    try:
        published = json.loads((config.run / "model" / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        published = {}
    training = {**published.get("training", {}), "kimg": state["nimg"] / 1000}
    training["ema"] = {"length": config.length, "checkpoints": count, "missed": round(missed, 4)}
    kept = {name: value for name, value in published.items() if name not in ("class", "architecture", "training")}
    return {**kept, "training": training}
