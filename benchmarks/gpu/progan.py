"""CUDA correctness and speed of training: parity with the CPU, exact resume, sec/kimg of 4..1024. About 6 minutes.

python benchmarks/gpu/progan.py [--seconds 0.6] [--output progan.txt]
"""

import argparse
import sys
import time
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from train.benchmark import BenchmarkConfig, speed_table  # noqa: E402
from train.capture import Iteration  # noqa: E402
from train.config import TrainConfig  # noqa: E402
from train.gradient_penalty import input_gradient, input_gradient_by_double_backward  # noqa: E402
from train.randomness import draw_noise  # noqa: E402
from train.setup import choose_precision, make_networks, step_settings  # noqa: E402
from train.state.run_state import gather, make_adams, restore  # noqa: E402
from train.step import STATISTICS, Batch  # noqa: E402

CUDA = torch.device("cuda")


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """Return |a - b| / |b| in float64."""
    a, b = a.detach().double().cpu(), b.detach().double().cpu()
    return ((a - b).norm() / b.norm()).item()


def networks(device: torch.device, precision: str, resolution: int, variant: str = "paper", **options):
    choose_precision(precision, device)
    config = TrainConfig(dataset=Path(), variant=variant, fmap_base=2048, fmap_max=128, **options)
    nets = make_networks(
        config, resolution=resolution, image_channels=3, label_size=0, device=device, precision=precision
    )
    return config, nets


def parity() -> list[str]:
    """Forward passes, input gradient and the penalty's weight gradient: CUDA in each precision against CPU fp32."""
    lines = ["relative difference to the CPU in fp32, 64x64, alpha 0.3: images, scores, input gradient, penalty's d/dw"]
    z, x = torch.randn(8, 512), torch.randn(8, 3, 64, 64)
    for variant in ("paper", "released"):
        rows = {}
        for device, precision in ((torch.device("cpu"), "fp32"), (CUDA, "fp32"), (CUDA, "tf32"), (CUDA, "bf16")):
            _, nets = networks(device, precision, 64, variant)
            alpha = torch.tensor(0.3, device=device)
            images = nets.generator(z.to(device), alpha=alpha)
            tape = []
            scores = nets.discriminator(x.to(device), alpha=alpha, tape=tape)
            gradient = input_gradient(nets.discriminator, tape, 8, alpha)
            penalty = (gradient.float().square().sum((1, 2, 3)).sqrt() - 1).square().mean()
            dw = torch.autograd.grad(penalty, nets.d_flat.active(64), allow_unused=True)
            # compare in one order: (out, in, height, width), whatever the memory's
            dw = torch.cat([torch.zeros(p.shape).flatten() if g is None else g.cpu().contiguous().flatten()
                            for g, p in zip(dw, nets.d_flat.active(64), strict=True)])  # fmt: skip
            rows[device.type, precision] = (images, scores, gradient, dw)
            if (device.type, precision) == ("cuda", "fp32"):
                oracle = input_gradient_by_double_backward(nets.discriminator, x.to(device), alpha)
                lines.append(f"  {variant:<9} adjoint against double backward on CUDA {relative(gradient, oracle):.1e}")
        for precision in ("fp32", "tf32", "bf16"):
            pairs = zip(rows["cuda", precision], rows["cpu", "fp32"], strict=True)
            lines.append(f"  {variant:<9} {precision}  " + "  ".join(f"{relative(a, b):.1e}" for a, b in pairs))
    return lines


def run_steps(nets, adams, statistics, config, captured: bool, first: int, count: int, reals: torch.Tensor) -> None:
    alpha = torch.tensor(0.5, device=CUDA)
    for adam in adams:
        adam.learning_rate.fill_(1e-3)
    iteration = Iteration(nets, adams, alpha, statistics, step_settings(config), captured)
    generator = torch.Generator(CUDA)
    for i in range(first, first + count):
        iteration(Batch(reals[i % len(reals)]), draw_noise(generator, 0, i * 8, 8, 512))


def exactness() -> list[str]:
    """Captured against eager, and stopped-and-resumed against uninterrupted, bit for bit where it is promised."""
    lines = ["20 iterations at 32x32, largest difference of the generator's weights"]
    reals = torch.randint(0, 256, (20, 8, 3, 32, 32), dtype=torch.uint8, device=CUDA)

    def trained(precision: str, deterministic: bool, captured: bool, stop: int | None = None) -> torch.Tensor:
        config, nets = networks(CUDA, precision, 32, deterministic=deterministic)
        adams, statistics = make_adams(nets, config, 32), torch.zeros(len(STATISTICS), device=CUDA)
        run_steps(nets, adams, statistics, config, captured, 0, stop or 20, reals)
        if stop:
            state = gather(nets, adams, statistics)
            config, nets = networks(CUDA, precision, 32, deterministic=deterministic)
            adams = restore(state, nets, config, statistics)
            run_steps(nets, adams, statistics, config, captured, stop, 20 - stop, reals)
        return nets.g_flat.vector.clone()

    for precision in ("fp32", "bf16"):
        for deterministic in (True, False):
            kind = f"  {precision} {'deterministic' if deterministic else 'fastest      '}"
            whole = trained(precision, deterministic, True)
            again = trained(precision, deterministic, True)
            resumed = trained(precision, deterministic, True, stop=7)
            eager = trained(precision, deterministic, False)
            distances = [(x - whole).abs().max().item() for x in (again, resumed, eager)]
            lines.append(f"{kind}  repeated {distances[0]:.1e}  resumed {distances[1]:.1e}  eager {distances[2]:.1e}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=0.6, help="time given to each cell of the speed table")
    parser.add_argument("--output", type=Path, help="also write the tables to this file")
    options = parser.parse_args()
    torch.manual_seed(0)
    began, lines = time.time(), [f"{torch.cuda.get_device_name()}, torch {torch.__version__}"]

    def show(new) -> None:
        for line in new:
            lines.append(line)
            print(line, flush=True)
            if options.output:
                options.output.write_text("\n".join(lines) + "\n")

    show(parity())
    show(exactness())
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    for preset in ("paper", "released", "celeba128"):
        resolutions = [4 << i for i in range(6 if preset == "celeba128" else 9)]
        precisions = ("fp32", "tf32", "bf16") if preset == "paper" else ("bf16",)
        config = BenchmarkConfig(preset=preset, device="cuda", seconds=options.seconds, precisions=precisions)
        show(speed_table(config, resolutions))
    # The paper's network at minibatches that fill the device.
    for minibatch in (32, 64):
        config = BenchmarkConfig(
            preset="paper", device="cuda", seconds=options.seconds, minibatch=minibatch, precisions=("bf16",),
            modes=("captured",),
        )  # fmt: skip
        show(speed_table(config, [64, 128, 256, 512]))
    show([f"{time.time() - began:.0f} s in all"])


if __name__ == "__main__":
    main()
