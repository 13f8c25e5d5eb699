"""python -m train.benchmark: seconds a thousand images at each resolution, eager and captured, in each precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from celebahq.command import run_command
from celebahq.options import check_options
from celebahq.progress import Progress, progress
from train.config import TrainConfig, TrainError
from train.presets import PRESETS
from zoo.architecture import ProGANConfig


@dataclass(frozen=True, kw_only=True)
class BenchmarkConfig:
    """Time whole training iterations (both networks, penalty, Adam, EMA) on random images; print a table."""

    preset: str = "paper"
    """Whose networks and minibatches; see python -m train --help."""
    resolutions: str = "4-1024"
    """A range of powers of two, or one: 4-1024, 128."""
    device: str = "auto"
    """Where to run: auto (CUDA when there is one), cpu, cuda or cuda:1."""
    precisions: tuple[Literal["fp32", "tf32", "bf16"], ...] = ("fp32", "tf32", "bf16")
    """Which arithmetic."""
    modes: tuple[Literal["eager", "captured"], ...] = ("eager", "captured")
    """Launch every kernel by hand, or replay one CUDA graph (CUDA only)."""
    minibatch: int | None = None
    """Images a minibatch; by default the preset's."""
    seconds: float = 1.0
    """Time given to each cell of the table, after a warm-up."""

    def __post_init__(self) -> None:
        check_options(self)


def main() -> None:
    """Parse, measure, print."""
    run_command(_main, "train.benchmark", interrupted="stopped; the lines above stand")


def _main() -> None:
    config = tyro.cli(BenchmarkConfig, prog="python -m train.benchmark")
    if config.preset not in PRESETS:
        raise TrainError(f"--preset: got {config.preset!r}, expected one of {', '.join(PRESETS)}")
    if config.minibatch is not None and config.minibatch <= 0:
        raise TrainError(f"--minibatch: got {config.minibatch}, expected more than 0")
    for row in speed_table(config, _resolutions(config.resolutions)):
        print(row, flush=True)


def _resolutions(text: str) -> list[int]:
    """Return the powers of two of "4-1024" or "128"."""
    low, _, high = text.partition("-")
    try:
        found = [r for r in (4 << i for i in range(9)) if int(low) <= r <= int(high or low)]
    except ValueError:
        found = []
    if not found:
        raise TrainError(f"--resolutions: got {text!r}, expected powers of two like 128 or 4-1024")
    return found


def speed_table(config: BenchmarkConfig, resolutions: list[int]):
    """Yield the table's lines: a resolution each, sec/kimg for every precision and mode."""
    import torch

    from train.device import use_device

    device = use_device(config.device)
    modes = [mode for mode in config.modes if mode == "eager" or device.type == "cuda"]
    precisions = [p for p in config.precisions if p != "tf32" or device.type == "cuda"]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    yield f"sec/kimg, preset {config.preset}, {name}, torch {torch.__version__}"
    cells = [(p, m) for p in precisions for m in modes]
    yield "  resolution minibatch" + "".join(f"{p + ' ' + m:>16}" for p, m in cells)
    for resolution in resolutions:
        with progress(f"{resolution}x{resolution}", len(cells), "measurements") as bar:
            row = _speed_row(config, resolution, cells, device, bar)
        yield row  # outside of the bar, which would take what is printed


def _speed_row(
    config: BenchmarkConfig, resolution: int, cells: Sequence[tuple[str, str]], device, bar: Progress
) -> str:
    """Return one line: sec/kimg of every (precision, mode)."""
    import torch

    size = config.minibatch or minibatch_of(config.preset, resolution)
    row = f"{resolution:>12} {size:>9}"
    for precision, mode in cells:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        try:
            row += f"{time_cell(config, resolution, size, precision, mode == 'captured', device):>16.3f}"
        except torch.OutOfMemoryError:
            row += f"{'out of memory':>16}"
        bar.advance(note=f"{precision} {mode}")
    return row


def minibatch_of(preset: str, resolution: int) -> int:
    """Return the preset's minibatch at a resolution."""
    settings = PRESETS[preset]
    return dict(settings.get("minibatch_at", ())).get(resolution, settings.get("minibatch", 16))


def time_cell(config: BenchmarkConfig, resolution: int, size: int, precision: str, captured: bool, device) -> float:
    """Return the median seconds a thousand images of one setting, each image shown to D and one made by G."""
    from train.setup import choose_precision
    from train.timing import TimedStep

    choose_precision(precision, device)
    settings = {k: v for k, v in PRESETS[config.preset].items() if k != "resolution"}
    train_config = TrainConfig(dataset=Path(), preset=config.preset, **settings)
    architecture = ProGANConfig(
        resolution=resolution, latent_size=train_config.latent_size, fmap_base=train_config.fmap_base,
        fmap_max=train_config.fmap_max, variant=train_config.variant,
    )  # fmt: skip
    return TimedStep(train_config, architecture, size, precision, captured, device).sec_per_kimg(config.seconds)


if __name__ == "__main__":
    main()
