"""The published generator: an exponential moving average of the trained one; python -m train.ema RUN --length 0.1."""

if __name__ == "__main__":  # while the rest is imported
    from celebahq.command import interrupted_in_one_line

    interrupted_in_one_line("train.ema")

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from celebahq.command import run_command
from celebahq.options import check_options

if TYPE_CHECKING:
    from torch import Tensor


def ema_beta(nimg: int, half_life_kimg: float) -> float:
    """Return the weight of the old average after nimg more images.

    The paper's 0.999 an update of 16 images is a half-life of 11.1 kimg; counted in images it does not depend on
    the minibatch (the Theano program's own ablations scale it so: 0.999**5 for 5 x 16 images).
    """
    return 0.5 ** (nimg / (half_life_kimg * 1000)) if half_life_kimg > 0 else 0.0


def update_ema(average: "Tensor", current: "Tensor", beta: float) -> None:
    """Move the average towards the current parameters, in place. Both (P,) float32, prefixes of the same layout."""
    average.lerp_(current, 1 - beta)


@dataclass(frozen=True, kw_only=True)
class EmaConfig:
    """Make the model of another averaging length from the two power-law averages in a run's checkpoints.

    More checkpoints (--keep-checkpoints of python -m train) make it more exact. Compare lengths with train.metrics.

    Example: python -m train.ema runs/celebahq-paper --length 0.1
    """

    run: tyro.conf.Positional[Path]
    """The run folder."""
    length: Annotated[float, tyro.conf.arg(metavar="L")] = 0.1
    """Standard deviation of what is averaged, as a share of the time trained at the last resolution: 0.01 to 0.28."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """The model folder to write; by default RUN/model-ema-L."""

    def __post_init__(self) -> None:
        check_options(self)


def main() -> None:
    """Parse, combine, write."""
    run_command(_main, "train.ema")


def _main() -> None:
    config = tyro.cli(EmaConfig, prog="python -m train.ema")
    from train.posthoc import write_posthoc  # torch is imported only once there is work: --help stays instant

    write_posthoc(config)


if __name__ == "__main__":
    main()
