"""CPU seconds an image: the exported .onnx in onnxruntime against PyTorch, eager and eager in channels_last.

python benchmarks/export_speed.py [--resolutions 256 1024] [--threads 1] [--rounds 7] [--batch 1] [--model FOLDER]

The engines take turns in one process, so that whatever else the machine does hits all of them; the smallest and the
median of the rounds are printed. Each is then loaded once more in a process of its own, for the time that loading
takes and the memory beyond Python and its libraries. Weights are random (Table 2's network) unless a model is given.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ENGINES = ("onnxruntime", "eager", "channels_last")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolutions", type=int, nargs="+", default=[256, 1024])
    parser.add_argument("--threads", type=int, default=1, help="of every engine")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--model", type=Path, help="a model folder; its own resolution is measured")
    parser.add_argument("--load", nargs=2, metavar=("ENGINE", "MODEL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(options.threads)  # before torch is imported
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if options.load:
        print(json.dumps(load_alone(*options.load, options)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        models = [options.model] if options.model else [random_model(Path(scratch), r) for r in options.resolutions]
        for model in models:
            measure(model, Path(scratch), options)


def random_model(scratch: Path, resolution: int) -> Path:
    """Write a network of Table 2 with random weights and biases."""
    import torch

    from zoo import weights
    from zoo.progan import Generator, ProGANConfig

    torch.manual_seed(0)
    generator = Generator(ProGANConfig(resolution=resolution))
    for name, parameter in generator.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.1)
    weights.save(generator, scratch / str(resolution))
    return scratch / str(resolution)


def engine(name: str, model: Path, file: Path, threads: int):
    """Return a function z (N, latent) -> images, loaded and ready; imports only what it runs on."""
    if name == "onnxruntime":
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(file), settings, providers=["CPUExecutionProvider"])
        return lambda z: session.run(["images"], {"z": z})[0]
    import torch

    import zoo

    torch.set_num_threads(threads)
    generator = zoo.load(model)
    if name == "channels_last":
        generator = generator.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def generate(z):
        return generator(torch.from_numpy(z)).numpy()

    return generate


def measure(model: Path, scratch: Path, options: argparse.Namespace) -> None:
    """Print the table of one model."""
    import numpy as np

    import zoo
    from export.onnx_export.to_onnx import export_onnx

    file = export_onnx(model, scratch / f"{model.name}.onnx").path
    config = zoo.load(model).config
    z = np.random.RandomState(0).randn(options.batch, config.latent_size).astype(np.float32)
    engines = {name: engine(name, model, file, options.threads) for name in ENGINES}
    images = {name: generate(z) for name, generate in engines.items()}  # warm, and the same images
    worst = max(float(np.abs(images[name] - images["eager"]).max()) for name in ENGINES)
    spent: dict[str, list[float]] = {name: [] for name in ENGINES}
    wall: dict[str, list[float]] = {name: [] for name in ENGINES}
    for _ in range(options.rounds):
        for name, generate in engines.items():
            cpu, start = time.process_time(), time.perf_counter()
            generate(z)
            spent[name].append((time.process_time() - cpu) / options.batch)
            wall[name].append((time.perf_counter() - start) / options.batch)

    side, threads = config.resolution, options.threads
    print(
        f"{side}x{side}, batch {options.batch}, {threads} thread{'s' * (threads > 1)}, {options.rounds} rounds, ",
        end="",
    )
    print(f"load {os.getloadavg()[0]:.1f}, images agree to {worst:.1e}, .onnx of {file.stat().st_size / 1e6:.1f} MB")
    for name in ENGINES:
        command = [sys.executable, __file__, "--threads", str(threads), "--batch", str(options.batch)]
        alone = subprocess.run(
            [*command, "--load", name, f"{model}|{file}"], capture_output=True, text=True, check=True
        )
        found = json.loads(alone.stdout.splitlines()[-1])
        print(
            f"  {name:14} {min(spent[name]):6.3f} CPU-s an image (median {statistics.median(spent[name]):.3f}), "
            f"{min(wall[name]):.3f} s; loads in {found['cpu_seconds']:.2f} CPU-s, {found['mib']:.0f} MiB at its peak"
        )
    for name in ENGINES[1:]:
        least, middle = (kind(spent[name]) / kind(spent["onnxruntime"]) for kind in (min, statistics.median))
        print(f"  onnxruntime is {least:.2f} times (median {middle:.2f}) as fast as {name}", flush=True)


def load_alone(name: str, where: str, options: argparse.Namespace) -> dict[str, float]:
    """Load one engine and generate once; time of loading, and peak memory beyond the libraries."""
    import numpy as np

    model, file = map(Path, where.split("|"))
    if name == "onnxruntime":
        import onnxruntime  # noqa: F401 - libraries are no part of what is measured
    else:
        import torch  # noqa: F401

        import zoo.weights  # noqa: F401
    before, cpu = memory_kib("VmRSS"), time.process_time()
    generate = engine(name, model, file, options.threads)
    seconds = time.process_time() - cpu
    latent_size = json.loads((model / "config.json").read_text())["architecture"]["latent_size"]
    generate(np.zeros((options.batch, latent_size), np.float32))
    return {"cpu_seconds": seconds, "mib": (memory_kib("VmHWM") - before) / 1024}


def memory_kib(field: str) -> int:
    """Return VmRSS, what is held, or VmHWM, the most that was; getrusage's peak counts what the parent held, too."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(field))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # run from a source tree
    main()
