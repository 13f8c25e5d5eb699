"""Training on CUDA: kernels, parity with the CPU, exact resume, sec/kimg of 4..1024. Resumable, the most telling first.

    python benchmarks/gpu/progan.py --output progan.json [--minutes 9]

Run the same command again until its last line says "done"; what was measured is kept in --output and printed each time.
A line that misses its mark ends in FAILED, and the exit code is then 1. With --device cpu it runs to its end on a CPU
(64x64 becomes 16x16, nothing is timed above it): that tries this script, not a GPU.

Marks that a correct GPU passes. Images and scores agree to rounding. The input gradient does not: one to three of
millions of pre-activations change their sign in the last bit, and there a leaky ReLU's slope jumps. So it is compared
on the masks of the CPU's forward pass; on its own masks the share of samples that agree is printed, without a mark.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from train.benchmark import BenchmarkConfig, speed_table  # noqa: E402
from train.capture import GraphedStep  # noqa: E402
from train.config import TrainConfig  # noqa: E402
from train.gradient_penalty import input_gradient, input_gradient_by_double_backward  # noqa: E402
from train.kernels import problem_of_kernels  # noqa: E402
from train.randomness import draw_noise  # noqa: E402
from train.setup import choose_precision, make_networks, step_settings  # noqa: E402
from train.state.run_state import load_training_state, make_optimizers, training_state  # noqa: E402
from train.step import STATISTICS  # noqa: E402
from train.step_inputs import Batch  # noqa: E402

CPU = torch.device("cpu")
MARKS = {"fp32": 1e-5, "tf32": 1e-2, "bf16": 3e-2}
"""Largest relative difference from the CPU in fp32, on the same masks."""


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return |a - b| / |b| in float64."""
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    return ((a - b).norm() / b.norm()).item()


def verdict(line: str, *pairs: tuple[float, float]) -> str:
    """Return the line, with FAILED where a value is above its mark, or no number."""
    return line if all(value <= mark for value, mark in pairs) else f"{line}  FAILED"


def networks(device: torch.device, precision: str, resolution: int, variant: str = "paper", **options):
    choose_precision(precision, device)
    config = TrainConfig(dataset=Path(), variant=variant, fmap_base=2048, fmap_max=128, augment="none", **options)
    sizes = {"resolution": resolution, "image_channels": 3, "label_size": 0}
    return config, make_networks(config, **sizes, device=device, precision=precision)


def kernels(device: torch.device) -> list[str]:
    """The fused Triton kernels against their plain counterparts."""
    problem = "Triton is not for a CPU" if device.type == "cpu" else problem_of_kernels(device)
    failed = "  FAILED" if problem and device.type == "cuda" else ""
    return [f"fused kernels: {problem or 'each equals its plain counterpart'}{failed}"]


def precisions_of(device: torch.device) -> tuple[str, ...]:
    if device.type == "cpu":
        return ("fp32", "bf16")
    return ("fp32", "tf32", "bf16") if torch.cuda.get_device_capability(device) >= (8, 0) else ("fp32",)


def parity(device: torch.device, variant: str) -> list[str]:
    """Images, scores, input gradient and the penalty's weight gradient in each precision, against the CPU in fp32."""
    size = 64 if device.type == "cuda" else 16
    random = torch.Generator().manual_seed(0)
    z, x = torch.randn(8, 512, generator=random), torch.randn(8, 3, size, size, generator=random)
    _, expected = networks(CPU, "fp32", size, variant, kernels="plain")
    alpha, tape = torch.tensor(0.3), []
    images, scores = expected.generator(z, alpha=alpha), expected.discriminator(x, alpha=alpha, tape=tape)
    tape = [a.detach() for a in tape]  # as it will be moved
    gradient, slopes = penalty_gradients(expected, tape, alpha)
    lines = [
        f"{variant}, {size}x{size}, alpha 0.3, relative difference from the CPU in fp32; the gradients on its masks"
    ]
    for precision in precisions_of(device):
        _, nets = networks(device, precision, size, variant, kernels="plain")
        there, own_tape = alpha.to(device), []
        got = nets.generator(z.to(device), alpha=there), nets.discriminator(x.to(device), alpha=there, tape=own_tape)
        on_masks = [a.to(device, b.dtype) for a, b in zip(tape, own_tape, strict=True)]
        found = [*map(relative, got, (images, scores))]
        found += map(relative, penalty_gradients(nets, on_masks, there), (gradient, slopes))
        own = input_gradient(nets.discriminator, own_tape, 8, there)
        same = sum(relative(a, b) <= MARKS[precision] for a, b in zip(own, gradient, strict=True))
        named = zip(("images", "scores", "input gradient", "penalty's d/dw"), found, strict=True)
        told = "  ".join(f"{name} {value:.1e}" for name, value in named)
        mark = MARKS[precision]
        lines.append(verdict(f"  {precision}  {told}  own masks {same} of 8 samples", *((v, mark) for v in found)))
        if precision == "fp32":
            oracle = input_gradient_by_double_backward(nets.discriminator, x.to(device), there)
            difference = relative(own, oracle)  # the same device, and so the same masks
            lines.append(verdict(f"  adjoint against double backward {difference:.1e}", (difference, 1e-5)))
            _, fused = networks(device, precision, size, variant, kernels="fused")
            images_of = [relative(fused.generator(z.to(device), alpha=there), got[0])]
            images_of.append(relative(fused.discriminator(x.to(device), alpha=there), got[1]))
            told = "fused against plain: images {:.1e}, scores {:.1e}".format(*images_of)
            lines.append(verdict(f"  {told}", *((v, 1e-5) for v in images_of)))
    return lines


def penalty_gradients(nets, tape: list[torch.Tensor], alpha: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return D's gradient at its images and that of the penalty in the weights, as (out, in, height, width)."""
    gradient = input_gradient(nets.discriminator, tape, 8, alpha)
    penalty = (gradient.float().square().sum((1, 2, 3)).sqrt() - 1).square().mean()
    active = nets.d_flat.active(gradient.shape[-1])
    of_weights = torch.autograd.grad(penalty, active, allow_unused=True)
    pairs = zip(of_weights, active, strict=True)
    return gradient, torch.cat(
        [torch.zeros(p.numel()) if g is None else g.cpu().contiguous().flatten() for g, p in pairs]
    )


def exactness(device: torch.device, precision: str, deterministic: bool) -> list[str]:
    """Repeated, stopped-and-resumed and eager against an uninterrupted captured run: bit for bit where promised."""
    size, count = (32, 20) if device.type == "cuda" else (8, 6)
    reals = (
        torch.randint(0, 256, (count, 8, 3, size, size), generator=torch.Generator().manual_seed(0)).byte().to(device)
    )

    def trained(captured: bool, stop: int | None = None) -> torch.Tensor:
        config, nets = networks(device, precision, size, deterministic=deterministic)
        optimizers, statistics = make_optimizers(nets, config, size), torch.zeros(len(STATISTICS), device=device)
        run_steps(nets, optimizers, statistics, config, captured, 0, stop or count, reals)
        if stop:
            state = training_state(nets, optimizers, statistics)
            config, nets = networks(device, precision, size, deterministic=deterministic)
            optimizers = load_training_state(state, nets, config, statistics)
            run_steps(nets, optimizers, statistics, config, captured, stop, count - stop, reals)
        return nets.g_flat.vector.clone()

    capture = device.type == "cuda"
    whole = trained(capture)
    found = [
        (x - whole).abs().max().item() for x in (trained(capture), trained(capture, stop=count // 3), trained(False))
    ]
    told = "repeated {:.1e}  resumed {:.1e}  eager {:.1e}".format(*found)
    line = f"{count} iterations at {size}x{size}, {precision} {'deterministic' if deterministic else 'fastest'}: {told}"
    return [verdict(line, *((value, 0.0) for value in found if deterministic))]


def run_steps(
    nets, optimizers, statistics, config, captured: bool, first: int, count: int, reals: torch.Tensor
) -> None:
    alpha = torch.tensor(0.5, device=reals.device)
    for adam in optimizers:
        adam.learning_rate.fill_(1e-3)
    iteration = GraphedStep(nets, optimizers, alpha, statistics, step_settings(config), captured)
    generator = torch.Generator(reals.device)
    for i in range(first, first + count):
        iteration(Batch(reals[i % len(reals)]), draw_noise(generator, 0, i * 8, 8, 512))


def speed(device: torch.device, resolution: int, seconds: float, **options) -> list[str]:
    """sec/kimg of one resolution."""
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    precisions = options.pop("precisions", precisions_of(device))
    config = BenchmarkConfig(device=str(device), seconds=seconds, precisions=precisions, **options)
    title, *lines = speed_table(config, [resolution])
    return [f"{title}, {', '.join(f'{k} {v}' for k, v in options.items())}", *lines]


def jobs(device: torch.device, seconds: float) -> dict[str, Callable[[], list[str]]]:
    """Return what is to be done, by name, in order."""
    found: dict[str, Callable[[], list[str]]] = {"kernels": partial(kernels, device)}
    for variant in ("paper", "released"):
        found[f"parity {variant}"] = partial(parity, device, variant)
    for deterministic in (True, False):
        for precision in (p for p in precisions_of(device) if p != "tf32"):
            found[f"exactness {precision} {deterministic}"] = partial(exactness, device, precision, deterministic)
    if device.type == "cpu":
        return found | {"speed 4": partial(speed, device, 4, 0.01, preset="smoke", precisions=("fp32",))}
    order = (1024, 256, 64, 16, 4, 512, 128, 32, 8)
    for options in ({"preset": "paper", "kernels": "fused"}, {"preset": "paper", "kernels": "plain"},
                    {"preset": "paper", "against": "reference", "modes": ("captured",)},
                    {"preset": "released"}, {"preset": "paper", "minibatch": 32, "modes": ("captured",)}):  # fmt: skip
        for resolution in order[: 4 if "against" in options or "minibatch" in options else None]:
            found[f"speed {options} {resolution}"] = partial(speed, device, resolution, seconds, **options)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.4, help="time given to each cell of the speed tables")
    parser.add_argument("--minutes", type=float, default=9.0, help="length of this slice; a job that began is finished")
    parser.add_argument(
        "--output", type=Path, required=True, help="what was measured so far, JSON; read when it is there"
    )
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu tries this script, not the GPU")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("progan.py: got no CUDA device, expected one; --device cpu tries the script", file=sys.stderr)
        return 2
    device, began = torch.device(options.device), time.monotonic()
    name = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    title = f"{name}, torch {torch.__version__}"
    kept = json.loads(options.output.read_text()) if options.output.exists() else {"title": title, "lines": {}}
    if kept["title"] != title:
        print(f"--output {options.output}: got measurements of {kept['title']}, expected {title}", file=sys.stderr)
        return 2
    print(title)
    todo = jobs(device, options.seconds)
    for job, work in todo.items():
        if job not in kept["lines"]:
            if time.monotonic() - began > options.minutes * 60 - 60:
                break
            kept["lines"][job] = work()
            options.output.write_text(json.dumps(kept, indent=1))
        print("\n".join(kept["lines"][job]), flush=True)
    left = len(todo.keys() - kept["lines"].keys())
    failed = sum(line.endswith("FAILED") for lines in kept["lines"].values() for line in lines)
    print(f"{failed} FAILED; " + (f"{left} of {len(todo)} jobs left: the same command goes on" if left else "done"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
