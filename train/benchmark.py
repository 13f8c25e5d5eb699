"""python -m train.benchmark: seconds a thousand images at each resolution, eager and captured, in each precision."""

if __name__ == "__main__":  # while the rest is imported
    from celebahq.command import interrupted_in_one_line

    interrupted_in_one_line("train.benchmark")

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
    against: Literal["nothing", "reference"] = "nothing"
    """reference: beside a plain step of the same networks (double backward, torch's Adam, nothing captured or merged),
    in each phase; each cell then says how many times as fast as that one it is."""
    kernels: Literal["auto", "fused", "plain"] = "auto"
    """See python -m train --help."""
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
    from train.reference_step import check_reference

    if config.against == "reference":
        check_reference(_train_config(config))
    device = use_device(config.device)
    modes = [mode for mode in config.modes if mode == "eager" or device.type == "cuda"]
    precisions = [p for p in config.precisions if p != "tf32" or device.type == "cuda"]
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    yield f"sec/kimg, preset {config.preset}, {name}, torch {torch.__version__}"
    cells = [(p, m) for p in precisions for m in modes]
    against = config.against == "reference"
    columns = [f"{p} {m}" for p, m in cells] + [f"{p} reference" for p in precisions if against]
    yield "  resolution minibatch   phase" + "".join(f"{column:>22}" for column in columns)
    for resolution in resolutions:
        for phase in ("fade", "stable") if against and resolution > 4 else ("stable" if against else "fade",):
            with progress(f"{resolution}x{resolution} {phase}", len(columns), "measurements") as bar:
                row = _speed_row(config, resolution, cells, device, bar, phase)
            yield row  # outside of the bar, which would take what is printed


def _speed_row(
    config: BenchmarkConfig, resolution: int, cells: Sequence[tuple[str, str]], device, bar: Progress, phase: str
) -> str:
    """Return one line: sec/kimg of every (precision, mode), and of the reference of each precision."""
    size = config.minibatch or minibatch_of(config.preset, resolution)
    row, references = f"{resolution:>12} {size:>9} {phase:>7}", {}
    if config.against == "reference":
        for precision in dict.fromkeys(p for p, _ in cells):
            references[precision] = _seconds(config, resolution, size, precision, "reference", device, phase)
            bar.advance(note=f"{precision} reference")
    for precision, mode in cells:
        seconds, reference = (
            _seconds(config, resolution, size, precision, mode, device, phase),
            references.get(precision),
        )
        times = f" ({reference / seconds:.2f}x)" if reference and seconds else ""
        row += f"{_number(seconds) + times:>22}"
        bar.advance(note=f"{precision} {mode}")
    return row + "".join(f"{_number(seconds):>22}" for seconds in references.values())


def _number(seconds: float | None) -> str:
    return "out of memory" if seconds is None else f"{seconds:.3f}"


def _seconds(
    config: BenchmarkConfig, resolution: int, size: int, precision: str, mode: str, device, phase: str
) -> float | None:
    """Return sec/kimg; None where memory is too small."""
    import torch

    if device.type == "cuda":
        torch.cuda.empty_cache()
    try:
        return time_cell(config, resolution, size, precision, mode, device, phase == "fade")
    except torch.OutOfMemoryError:
        return None


def minibatch_of(preset: str, resolution: int) -> int:
    """Return the preset's minibatch at a resolution."""
    settings = PRESETS[preset]
    return dict(settings.get("minibatch_at", ())).get(resolution, settings.get("minibatch", 16))


def time_cell(
    config: BenchmarkConfig, resolution: int, size: int, precision: str, mode: str, device, fading: bool = True
) -> float:
    """Return the median seconds a thousand images of one setting, each image shown to D and one made by G."""
    from train.setup import architecture_of, choose_precision
    from train.timing import TimedStep

    choose_precision(precision, device)
    train_config = _train_config(config)
    architecture = architecture_of(train_config, resolution)
    step = TimedStep(
        train_config, architecture, size, precision, mode == "captured", device, fading, mode == "reference"
    )
    return step.sec_per_kimg(config.seconds)


def _train_config(config: BenchmarkConfig) -> TrainConfig:
    settings = {k: v for k, v in PRESETS[config.preset].items() if k != "resolution"}
    return TrainConfig(dataset=Path(), preset=config.preset, **settings, kernels=config.kernels)


if __name__ == "__main__":
    main()
