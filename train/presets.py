"""Settings by name: what the paper and the released programs trained with, and two of ours for small machines."""

import os
from typing import TYPE_CHECKING, Any

from train.mnist1k import MNIST1K
from train.table1 import TABLE1

if TYPE_CHECKING:
    from train.config import TrainConfig

PAPER_MINIBATCH = ((256, 14), (512, 6), (1024, 3))
"""Appendix A.1: 16 up to 128x128, then what a GPU's memory held."""

RELEASED_TICKS = ((4, 160), (8, 140), (16, 120), (32, 100), (64, 80), (128, 60), (256, 40), (512, 20), (1024, 10))
"""kimg a tick in the TensorFlow program (train.py:100)."""

PRESETS: dict[str, dict[str, Any]] = {
    # The paper's CelebA-HQ run (Appendix A.1); the ramp of the learning rate is in the Theano program only.
    "paper": {
        "minibatch_at": PAPER_MINIBATCH,
        "rampup_kimg": 40,
        "tick_kimg": 50,
        "tick_kimg_at": ((32, 20), (64, 10), (128, 10), (256, 5), (512, 2), (1024, 1)),
        "image_ticks": 4,
        "checkpoint_ticks": 40,
    },
    # The TensorFlow program's preset-v2-1gpu (config.py:100): its networks, its tables, 0.999 an update (which it makes
    # before G's step, we after it: the average is one iteration ahead of its).
    "released": {
        "variant": "released",
        "stable_kimg": 600,
        "fade_kimg": 600,
        "total_kimg": 12000,
        "minibatch": 4,
        "minibatch_at": ((4, 128), (8, 128), (16, 128), (32, 64), (64, 32), (128, 16), (256, 8), (512, 4)),
        "learning_rate_at": ((1024, 0.0015),),
        "ema_beta": 0.999,
        "tick_kimg": 10,
        "tick_kimg_at": RELEASED_TICKS,
    },
    # (With 2, 4 and 8 GPUs it has other tables, see RELEASED_BY_GPUS.)
    # LSUN at 256x256 (Theano config.py:108-125): one minibatch size, mirrored but for bedroom and dog.
    "lsun256": {
        "resolution": 256,
        "total_kimg": 20000,
        "rampup_kimg": 40,
        "tick_kimg": 50,
        "tick_kimg_at": ((32, 20), (64, 10), (128, 10), (256, 5)),
    },
    **TABLE1,
    # CIFAR-10 (Appendix D; Theano config.py:171-178). The paper: a slope of 750 for the penalty, else as CelebA. The
    # program also has 400 + 400 kimg, 20,000 in all, latents and at most 128 feature maps, both networks updated at
    # once from one minibatch, and no mirror images: its settings are these.
    "cifar10": {
        "resolution": 32,
        "stable_kimg": 400,
        "fade_kimg": 400,
        "total_kimg": 20000,
        "fmap_base": 4096,
        "fmap_max": 128,
        "latent_size": 128,
        "gp_target": 750.0,
        "simultaneous": True,
        "mirror": False,
        "tick_kimg": 50,
    },
    **MNIST1K,
    # Appendix B: the paper's network with LSGAN and noise in D's layers that follows D's output, as printed. In the
    # program the noise follows D's loss (--lsgan-noise loss), and its shipped configuration has it off.
    "lsgan": {
        "loss": "lsgan",
        "minibatch_at": PAPER_MINIBATCH,
        "rampup_kimg": 40,
        "tick_kimg": 50,
        "tick_kimg_at": ((32, 20), (64, 10), (128, 10), (256, 5), (512, 2), (1024, 1)),
        "image_ticks": 4,
        "checkpoint_ticks": 40,
    },
    # Ours: good faces at 128x128 within minutes on a data center GPU.
    "celeba128": {
        "resolution": 128,
        "stable_kimg": 200,
        "fade_kimg": 200,
        "total_kimg": 4000,
        "minibatch": 64,
        "minibatch_at": ((4, 128), (8, 128), (16, 128)),
        "learning_rate": 0.0015,
        "fmap_base": 2048,
        "fmap_max": 256,
        "tick_kimg": 40,
    },
    # Ours: 4 to 32 in about two minutes on two CPU cores; to see everything work. Many small steps at a large rate
    # give blurred but recognizable faces.
    "smoke": {
        "resolution": 32,
        "stable_kimg": 1.5,
        "fade_kimg": 1.5,
        "total_kimg": 10.5,
        "minibatch": 8,
        "learning_rate": 0.003,
        "latent_size": 64,
        "fmap_base": 512,
        "fmap_max": 64,
        "ema_kimg": 0.5,
        "tick_kimg": 0.75,
        "checkpoint_ticks": 2,
    },
}


RELEASED_BY_GPUS: dict[int, dict[str, Any]] = {
    2: {
        "minibatch": 8,
        "minibatch_at": ((4, 256), (8, 256), (16, 128), (32, 64), (64, 32), (128, 16)),
        "learning_rate_at": ((512, 0.0015), (1024, 0.002)),
    },
    4: {
        "minibatch": 16,
        "minibatch_at": ((4, 512), (8, 256), (16, 128), (32, 64), (64, 32)),
        "learning_rate_at": ((256, 0.0015), (512, 0.002), (1024, 0.003)),
    },
    8: {
        "minibatch": 32,
        "minibatch_at": ((4, 512), (8, 256), (16, 128), (32, 64)),
        "learning_rate_at": ((128, 0.0015), (256, 0.002), (512, 0.003), (1024, 0.003)),
    },
}
"""What the TensorFlow program's preset-v2-2gpus, -4gpus and -8gpus have in the place of its preset-v2-1gpu's
(config.py:101-103); minibatches are over all GPUs."""


def preset_values(preset: str, gpus: int | None = None) -> dict[str, Any]:
    """Return the options of a preset at the first launch of a run; a resumed one keeps those that it was given then.

    Args:
        preset: a name in PRESETS.
        gpus: processes that train together; None: those of torchrun. `released` takes the tables of the largest of 1,
            2, 4, 8 that is not more.
    """
    gpus = int(os.environ.get("WORLD_SIZE", "1")) if gpus is None else gpus
    fitting = [count for count in RELEASED_BY_GPUS if count <= gpus] if preset == "released" else []
    return PRESETS[preset] | (RELEASED_BY_GPUS[max(fitting)] if fitting else {})


def preset_config(preset: str, **options: Any) -> "TrainConfig":
    """Return the options of a preset with some of one's own, as the command line `--preset NAME ...` does.

    Args:
        preset: a name in PRESETS.
        options: fields of TrainConfig; `dataset` at least.

    Raises:
        TrainError: there is no such preset.
    """
    from train.config import TrainConfig, TrainError

    if preset not in PRESETS:
        raise TrainError(f"preset: got {preset!r}, expected one of {', '.join(PRESETS)}")
    return TrainConfig(**({"preset": preset, **preset_values(preset)} | options))
