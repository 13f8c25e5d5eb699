"""python benchmarks/unchanged.py > before.txt: hashes of what the suite makes from fixed inputs and seeds.

A change that should not alter what is computed prints the same before and after, on the same machine:

    python benchmarks/unchanged.py --data ../shared/data > before.txt
    # ... the change ...
    python benchmarks/unchanged.py --data ../shared/data | diff before.txt -

Hashed are arrays (shape, dtype, bytes), never container files; only commands and functions that others call are used,
so that the same script runs on either side of a change. Every process has one thread. About a minute on a quiet core.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def main() -> None:
    """Print one line an array or group of arrays: its name and the first 16 digits of its sha256."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, help="folder with celeba128-0.zip and zoo_vectors/; without it, less is hashed"
    )
    parser.add_argument("--only", choices=PARTS, nargs="*", default=list(PARTS), help="parts to run")
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as folder:
        for part in options.only:
            for name, value in PARTS[part](Path(folder), options.data):
                print(f"{part}: {name}: {digest(value)}", flush=True)


def builds(folder: Path, data: Path | None) -> Iterator[tuple[str, Any]]:
    """Every dataset of a build of the examples, without and with restoration."""
    import h5py

    for restore in ("off", "fast"):
        path = folder / f"examples-{restore}.h5"
        photos = ROOT / "examples" / "in-the-wild"
        run("celebahq_builder", "--input", photos, "--output", path, "--resolution", 256, "--restore", restore)
        with h5py.File(path, "r") as file:
            for name in sorted([*file, *(f"faces/{column}" for column in file["faces"])]):
                if isinstance(file[name], h5py.Dataset):
                    yield f"{restore} {name}", file[name][()]


def training(folder: Path, data: Path | None) -> Iterator[tuple[str, Any]]:
    """The tensors by role of a short run that is stopped and resumed. Its input is drawn, so it needs no data."""
    import torch
    from safetensors.numpy import load_file

    faces = folder / "drawn"
    draw_faces(faces)
    run("celebahq_builder.dataset", "import", faces, "--output", folder / "drawn.h5")
    command = ("train", "--dataset", folder / "drawn.h5", "--preset", "smoke", "--resolution", 16, "--total-kimg", 3)
    command = (*command, "--outdir", folder, "--name", "run", "--device", "cpu", "--precision", "fp32", "--seed", 1)
    stop_when(lambda: (folder / "run" / "log.jsonl").exists(), command)
    run(*command)
    state = torch.load(sorted((folder / "run" / "checkpoints").iterdir())[-1], weights_only=True)
    for role in sorted(state):
        if tensors := list(tensors_of(state[role])):
            yield role, tensors
    yield "model", load_file(folder / "run" / "model" / "model.safetensors")


def exports(folder: Path, data: Path | None) -> Iterator[tuple[str, Any]]:
    """What the shipped generator makes in PyTorch and as ONNX."""
    import torch

    import zoo
    from export.sample import load_onnx

    z = np.random.default_rng(0).standard_normal((8, 512)).astype(np.float32)
    generator = zoo.load("faces-32")
    z = z[:, : generator.config.latent_size]
    with torch.no_grad():
        yield "faces-32 in PyTorch", generator(torch.from_numpy(z)).numpy()
    run("export", "onnx", "--model", "faces-32", "--output", folder / "faces.onnx")
    yield "faces-32 as ONNX", load_onnx(folder / "faces.onnx")(z)


def imports(folder: Path, data: Path | None) -> Iterator[tuple[str, Any]]:
    """What every file of another program's layout makes."""
    import torch

    import zoo

    for vector in sorted((data / "zoo_vectors").glob("*.npz")) if data else ():
        (checkpoint,) = (p for p in vector.parent.glob(f"{vector.stem}.*") if p.suffix not in (".npz", ".json"))
        with np.load(vector) as known, torch.no_grad():
            yield vector.stem, zoo.import_checkpoint(checkpoint)(torch.from_numpy(known["z"])).numpy()


def metrics(folder: Path, data: Path | None) -> Iterator[tuple[str, Any]]:
    """SWD and MS-SSIM of 500 faces."""
    import io
    import zipfile

    from PIL import Image

    from train.metrics.ms_ssim import ms_ssim
    from train.metrics.swd import swd

    if data is None:
        return
    with zipfile.ZipFile(data / "celeba128-0.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".webp"))[:500]
        faces = np.stack([np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in names])
    faces = np.ascontiguousarray(faces.transpose(0, 3, 1, 2))
    yield "swd", {str(key): np.float64(value) for key, value in swd(faces[::2], faces[1::2], device="cpu").items()}
    yield "ms_ssim", np.asarray(ms_ssim(faces[::2], faces[1::2]))


PARTS: dict[str, Callable[[Path, Path | None], Iterator[tuple[str, Any]]]] = {
    "builds": builds,
    "training": training,
    "exports": exports,
    "imports": imports,
    "metrics": metrics,
}


def draw_faces(folder: Path) -> None:
    """Write 64 images of 16x16 smooth colors."""
    from PIL import Image

    folder.mkdir()
    draws = np.random.default_rng(0).integers(0, 256, (64, 4, 4, 3), np.uint8)
    for index, colors in enumerate(draws):
        Image.fromarray(colors).resize((16, 16), Image.Resampling.BICUBIC).save(folder / f"{index:02}.png")


def run(module: str, *arguments: object) -> None:
    """Run a command of the suite; its output goes to stderr only where it fails."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def stop_when(reached: Callable[[], bool], command: tuple[object, ...]) -> None:
    """Start a command of the suite and stop it as Ctrl-C does, once something has come about."""
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, command)], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not reached() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    if process.wait() == 0:
        print("training: ended before it could be stopped: nothing was resumed", file=sys.stderr)


def tensors_of(value: Any) -> Iterator[np.ndarray]:
    """Yield the tensors in nested dicts and lists, in the order of their keys."""
    import torch

    if isinstance(value, torch.Tensor):
        yield value.detach().contiguous().numpy()
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from tensors_of(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from tensors_of(item)


def digest(value: Any) -> str:
    """Return 16 digits that stand for an array, or for a list or dict of them (names do not count, order does)."""
    hasher = hashlib.sha256()
    arrays = [value[key] for key in sorted(value)] if isinstance(value, dict) else value
    for array in arrays if isinstance(arrays, list) else [arrays]:
        array = np.asarray(array)
        hasher.update(f"{array.shape} {array.dtype.str}".encode())
        texts = json.dumps([str(item) for item in array.ravel()]).encode() if array.dtype == object else b""
        hasher.update(texts or np.ascontiguousarray(array).tobytes())
    return hasher.hexdigest()[:16]


if __name__ == "__main__":
    main()
