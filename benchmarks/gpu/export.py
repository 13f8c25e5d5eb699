"""The exported .onnx on onnxruntime's CUDA provider: does it generate what PyTorch generates, and how fast?

    python benchmarks/gpu/export.py [--output export.txt]

Needs an NVIDIA GPU and onnxruntime-gpu with its CUDA libraries: pip install "onnxruntime-gpu[cuda,cudnn]". Each network
of Table 2 with random weights is exported with each option; the export checks itself on the CPU and on CUDA (float32
within 1e-4, float16 weights within one gray level). Then images a second: onnxruntime against PyTorch on the same GPU,
float32 without TF32 in both, and the .onnx with the graph as PyTorch's exporter leaves it.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))  # run from a source tree

import numpy as np  # noqa: E402
import onnx  # noqa: E402
import torch  # noqa: E402

import zoo  # noqa: E402
from celebahq.command import run_command  # noqa: E402
from celebahq.device import choose_device  # noqa: E402
from export.onnx_export.parity import ParityError  # noqa: E402
from export.onnx_export.to_onnx import export_onnx  # noqa: E402
from export.onnx_export.tracing import trace  # noqa: E402
from export.sample import OnnxGenerator, UnusableModelError, latents, load_onnx  # noqa: E402
from zoo import weights  # noqa: E402
from zoo.progan import Generator, ProGANConfig  # noqa: E402

OPTIONS = (("fp32", False), ("fp32", True), ("fp16", False), ("fp16", True))
"""(precision, uint8) of each export."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, help="file for the table")
    parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--seconds", type=float, default=3.0, help="length of each timing")
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu tries the script, not the GPU")
    options = parser.parse_args()
    choose_device(options.device)
    lines = [f"torch {torch.__version__}, {device_name(options.device)}"]
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        for resolution in options.resolutions:
            folder = Path(scratch) / str(resolution)
            torch.manual_seed(0)
            generator = Generator(ProGANConfig(resolution=resolution))
            for name, parameter in generator.named_parameters():
                if name.endswith("bias"):  # zero in a new network, which would hide mistakes
                    torch.nn.init.normal_(parameter, std=0.1)
            weights.save(generator, folder)
            for precision, uint8 in OPTIONS if resolution < 1024 else OPTIONS[::3]:
                try:
                    report = export_onnx(folder, precision=precision, uint8=uint8)
                except ParityError as error:
                    lines.append(f"FAILED {error}")
                    failed = True
                    continue
                lines.append(str(report).replace(scratch, "."))
                if options.device == "cuda" and not any("CUDA" in runs_on for runs_on in report.worst):
                    lines.append("FAILED the CUDA provider did not run")
                    failed = True
            lines += speeds(folder, resolution, options)
            print("\n".join(lines), flush=True)
            if options.output:
                options.output.write_text("\n".join(lines) + "\n")
    return int(failed)


def device_name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else "CPU"


def speeds(folder: Path, resolution: int, options: argparse.Namespace) -> list[str]:
    """Return lines of images a second for batches of 1 and 16."""
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    plain = folder / "as-traced.onnx"
    onnx.save(trace(zoo.load(folder)), plain)
    generators: dict[str, Callable[[np.ndarray], np.ndarray]] = {}
    for name, file in (("onnxruntime", "model.onnx"), ("as traced", plain.name), ("uint8", "model-uint8.onnx")):
        with contextlib.suppress(UnusableModelError):
            generators[name] = load_onnx(folder / file, options.device)
    for name, layout in (("eager", torch.contiguous_format), ("channels_last", torch.channels_last)):
        generators[name] = eager(zoo.load(folder).to(options.device, memory_format=layout), options.device)
    lines = []
    for batch in (1, 16):
        z = latents(range(batch), 512)
        rates = {name: rate(generate, z, options.seconds) for name, generate in generators.items()}
        found = ", ".join(f"{name} {value:.1f}" for name, value in rates.items())
        lines.append(f"{resolution}x{resolution}, batch {batch}, images/s: {found}")
    runs_on = {p.runs_on for p in generators.values() if isinstance(p, OnnxGenerator)}
    return [*lines, f"ran on {', '.join(sorted(runs_on))}"]


def eager(generator: Generator, device: str) -> Callable[[np.ndarray], np.ndarray]:
    @torch.inference_mode()
    def generate(z: np.ndarray) -> np.ndarray:
        return generator(torch.from_numpy(z).to(device)).cpu().numpy()

    return generate


def rate(generate: Callable[[np.ndarray], np.ndarray], z: np.ndarray, seconds: float) -> float:
    """Return images a second, transfers to the host included, after three calls that warm up."""
    for _ in range(3):
        generate(z)
    start, images = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        generate(z)
        images += len(z)
    return images / (time.perf_counter() - start)


if __name__ == "__main__":
    run_command(main, "export.py")
