"""`python -m train.restoration average`: the mean of a run's weights and of those that it started from."""

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from celebahq.options import check_options
from train.restoration.checkpoint import load_weights, save_weights
from train.restoration.errors import RestorationError

_log = logging.getLogger("celebahq.train")


@dataclass(frozen=True, kw_only=True)
class AverageConfig:
    """Average the weights of a short further run with those that it started from (--init), kept where they were.

    Two ends of one descent lie around the middle of a basin that is flatter than either (Izmailov et al., 2018,
    "Averaging Weights Leads to Wider Optima"): the mean is often better than both. Between an adversarial network and
    the PSNR network that it started from, every share is a compromise between texture and error (network interpolation,
    Wang et al., 2018, "ESRGAN"). Validate it before you publish it.
    """

    run: Path
    """Folder OUTDIR/NAME of python -m train.restoration, with its config.json and weights."""
    output: Path
    """Where the folder NAME of the mean goes, ready for publish."""
    start_share: float = 0.5
    """Weight of those that the run started from, from 0 to 1."""

    def __post_init__(self) -> None:
        check_options(self)
        if not 0 <= self.start_share <= 1:
            raise RestorationError(f"--start-share: got {self.start_share}, expected a share from 0 to 1")


def average(config: AverageConfig) -> Path:
    """Write the mean of two sets of weights, with the run's config and log; returns its folder. See AverageConfig.

    Raises:
        FileNotFoundError: a file of the run, or the weights that it started from, is missing.
        ValueError: it started from nothing, or from a network of another shape.
    """
    name, settings = config.run.name, json.loads((config.run / "config.json").read_text(encoding="utf-8"))
    if settings["init"] == "None":
        raise RestorationError(f"--run: got {config.run}, which started from no weights, expected a run with --init")
    network, before = load_weights(config.run / f"{name}.safetensors"), load_weights(Path(settings["init"]))
    if network.config != before.config:
        raise RestorationError(
            f"--run: got {config.run} and {settings['init']} of different shapes, expected networks of one shape"
        )
    ours, theirs = network.state_dict(), before.state_dict()
    network.load_state_dict({key: torch.lerp(ours[key], theirs[key], config.start_share) for key in ours})
    folder = config.output / name
    folder.mkdir(parents=True, exist_ok=True)
    save_weights(folder / f"{name}.safetensors", network, settings["net"], settings["size"])
    (folder / "config.json").write_text(
        json.dumps(settings | {"start_share": str(config.start_share)}, indent=2) + "\n"
    )
    shutil.copyfile(config.run / "log.jsonl", folder / "log.jsonl")
    _log.info(folder)
    return folder
