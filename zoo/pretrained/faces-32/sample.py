"""Paint images from an .onnx file with onnxruntime and numpy alone. This one file is all that is needed beside it.

python sample.py --seeds 0-15 --output grid.png
"""

import argparse
import contextlib
import io
import math
import os
import re
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

MAX_SEED = 2**32 - 1
"""The largest that numpy.random.RandomState takes."""
MAX_IMAGES = 1_000_000


class UsageError(ValueError):
    """An option or a file that cannot be used; the message is one line that names it and the remedy."""


class UnusableModel(UsageError):
    """An .onnx file that cannot be sampled here."""


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of "7", "0-15" (both ends count) or "0-3,8,100-103", in the order given.

    Raises:
        UsageError: it is not of this form, a seed comes twice or is too large.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        if not match:
            raise UsageError(f"--seeds: {text!r}, seeds like 7, 0-15 or 0-3,8 are wanted")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise UsageError(f"--seeds: {part.strip()} runs backwards, {last}-{first} is wanted")
        if last > MAX_SEED:
            raise UsageError(f"--seeds: {last}, at most {MAX_SEED} is wanted")
        if len(seeds) + last - first >= MAX_IMAGES:
            raise UsageError(f"--seeds: {text!r} is more than {MAX_IMAGES:,} images, fewer a command are wanted")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds: {Counter(seeds).most_common(1)[0][0]} comes twice, each seed once is wanted")
    return seeds


def latents(seeds: Iterable[int], latent_size: int, truncation: float | None = None) -> np.ndarray:
    """Return the latents of seeds, (n, latent_size) float32 ~ N(0, 1).

    Each seed has its own numpy.random.RandomState, the stream of the released program and of StyleGAN's: numpy
    guarantees that it never changes.

    Args:
        seeds: each 0 to MAX_SEED.
        latent_size: components of z.
        truncation: draw components again, from the same stream, until none is larger in magnitude (the truncation
            trick of BigGAN, Brock et al. 2019, section 3.1). ProGAN normalizes z, so it narrows the variety little.

    Raises:
        UsageError: truncation is below 0.01, where drawing would take for ever.
    """
    if truncation is not None and not truncation >= 0.01:
        raise UsageError(f"--truncation: {truncation}, at least 0.01 is wanted")
    rows = []
    for seed in seeds:
        random = np.random.RandomState(seed)
        z = random.randn(latent_size)
        while truncation is not None and (outside := np.abs(z) > truncation).any():
            z[outside] = random.randn(np.count_nonzero(outside))
        rows.append(z)
    return np.asarray(rows, np.float32).reshape(-1, latent_size)


def slerp(start: np.ndarray, end: np.ndarray, fraction: np.ndarray | float) -> np.ndarray:
    """Interpolate between latents along the great circle: a straight line would leave the hypersphere z is drawn from.

    start, end: (n, latent_size); fraction: a number or (n, 1), 0 at the start and 1 at the end. Returns
    (n, latent_size) float32, whose length goes linearly from one to the other.
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    from_length, to_length = (np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12) for z in (start, end))
    a, b = start / from_length, end / to_length
    angle = np.arccos(np.clip((a * b).sum(axis=1, keepdims=True), -1.0, 1.0))
    angle = np.clip(angle, 1e-6, np.pi - 1e-6)  # parallel latents: the arc is the line
    direction = (np.sin((1.0 - fraction) * angle) * a + np.sin(fraction * angle) * b) / np.sin(angle)
    return (direction * (from_length + (to_length - from_length) * fraction)).astype(np.float32)


def one_hot(label: int, label_size: int, count: int) -> np.ndarray:
    """Return count times the label vector of a class, (count, label_size) float32."""
    return np.eye(label_size, dtype=np.float32)[[label] * count]


def check_label(label: int | None, label_size: int) -> None:
    """Raise UsageError unless label is a class of the model, or None where it has none."""
    if label is None and label_size:
        raise UsageError(f"--label: none given, the model is conditional: 0 to {label_size - 1} is wanted")
    if label is not None and not label_size:
        raise UsageError(f"--label: {label} given, the model is unconditional and wants none")
    if label is not None and not 0 <= label < label_size:
        raise UsageError(f"--label: {label}, 0 to {label_size - 1} is wanted")


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Turn images (N, C, R, R) float into pictures (N, R, R, C) uint8: [-1, 1] is [0, 255], NaN a UsageError."""
    if np.isnan(images).any():
        raise UsageError("--model: it paints NaN, so its weights are damaged; the file as it was published is wanted")
    return np.clip(np.rint(images * 127.5 + 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def squarest_grid(count: int) -> tuple[int, int]:
    """Return the (columns, rows) of a full grid of count places that is nearest to a square, wider than high."""
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return count // rows, rows


def grid_picture(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Lay out pictures (columns * rows, R, R, C) row by row, as one (rows * R, columns * R, C)."""
    count, height, width, channels = pictures.shape
    rows = count // columns
    tiles = pictures.reshape(rows, columns, height, width, channels)
    return tiles.transpose(0, 2, 1, 3, 4).reshape(rows * height, columns * width, channels)


def write_png(path: Path, picture: np.ndarray) -> None:
    """Write a picture, (H, W, 3) or (H, W, 1) uint8, as a PNG, with nothing but zlib."""
    height, width, channels = picture.shape
    rows = picture.reshape(height, width * channels)
    filtered = np.full((height, 1 + rows.shape[1]), 2, np.uint8)  # 2 before each row: differences from the one above
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    header = struct.pack(">2I5B", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(data)


class OnnxGenerator:
    """An .onnx generator: call it with latents.

    Attributes:
        latent_size: components of z.
        label_size: components of the label; 0 is unconditional.
        resolution: side of the images.
        is_uint8: whether the file gives pictures (N, R, R, C) uint8, not images (N, C, R, R) float32.
        metadata: what the export wrote into the file: config, license, source_sha256, ...
        note: one sentence where CUDA was hoped for and the CPU paints, else empty.
    """

    def __init__(self, path: Path, session: Any, note: str = "") -> None:
        self._session = session
        self.note = note
        inputs = {value.name: value.shape for value in session.get_inputs()}
        outputs = {value.name: value.shape for value in session.get_outputs()}
        latent, image = inputs.get("z"), outputs.get("images")
        if latent is None or image is None or set(inputs) - {"z", "label"}:
            found = f"inputs {', '.join(inputs) or 'none'} and outputs {', '.join(outputs) or 'none'}"
            raise UnusableModel(f"{path}: a model with {found}, input z and output images are wanted")
        types = {value.name: value.type for value in (*session.get_inputs(), *session.get_outputs())}
        self.is_uint8 = types["images"] == "tensor(uint8)"
        if {types[name] for name in types if name != "images" or not self.is_uint8} != {"tensor(float)"}:
            raise UnusableModel(f"{path}: z is {types['z']} and images is {types['images']}, float32 is wanted")
        if latent and isinstance(latent[0], int):
            raise UnusableModel(f"{path}: it takes batches of {latent[0]} alone, a free batch is wanted")
        if len(latent) != 2 or len(image) != 4 or not all(isinstance(size, int) for size in (latent[1], *image[1:])):
            raise UnusableModel(
                f"{path}: z is {latent} and images is {image}, (batch, latent) and (batch, channels, R, R) are wanted"
            )
        self.latent_size: int = latent[1]
        self.label_size: int = inputs["label"][1] if "label" in inputs else 0
        self.resolution: int = image[2]
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    @property
    def runs_on(self) -> str:
        """The library and the provider that really runs, "onnxruntime CPUExecutionProvider" say."""
        return f"onnxruntime {self._session.get_providers()[0]}"

    def __call__(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Paint z, (N, latent_size) ~ N(0, 1), and of a conditional model label, (N, label_size).

        Returns (N, C, R, R) float32, nominally in [-1, 1]; of a file with is_uint8, pictures (N, R, R, C) uint8.
        Raises ValueError where z or label is of another shape, or a label is missing or too much.
        """
        if z.ndim != 2 or z.shape[1] != self.latent_size:
            raise ValueError(f"z: shape {z.shape}, (N, {self.latent_size}) is wanted")
        if (label is None) != (self.label_size == 0):
            raise ValueError(f"label: {'none' if label is None else 'one'} given, label_size is {self.label_size}")
        feed = {"z": np.ascontiguousarray(z, np.float32)}
        if label is not None:
            feed["label"] = np.ascontiguousarray(label, np.float32)
            if label.shape != (len(z), self.label_size):
                raise ValueError(f"label: shape {label.shape}, ({len(z)}, {self.label_size}) is wanted")
        return self._session.run(["images"], feed)[0]

    def pictures(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Paint (N, R, R, C) uint8, whichever the file gives."""
        images = self(z, label)
        return images if self.is_uint8 else to_uint8(images)


def load_onnx(path: str | Path, device: str = "auto") -> OnnxGenerator:
    """Load an .onnx file that python -m export onnx wrote.

    Args:
        path: the .onnx; weights that lie beside it (--external-data) are found.
        device: "cpu", "cuda", or "auto": CUDA where it works, else the CPU. `.runs_on` says which it became.

    Raises:
        UnusableModel: the file is missing, damaged or no generator, or CUDA was asked for and does not work.
    """
    # onnxruntime >= 1.29 sends events to Microsoft from Linux too; only this, and before its import, stops all of them
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as errors
    except ImportError:
        raise UnusableModel(f"{path}: onnxruntime is not installed, pip install onnxruntime is wanted") from None

    path = Path(path)
    if not path.is_file():
        raise UnusableModel(f"{path}: not there or no file, an .onnx file is wanted")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors
    providers: list[Any] = ["CPUExecutionProvider"]
    has_cuda_build = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device != "cpu" and has_cuda_build:
        # TF32 off: it costs three digits of the parity that the export has proved
        providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0"}))
        # Without its libraries CUDA gives way to the CPU with pages of complaints; we ask the session who runs instead.
        onnxruntime.set_default_logger_severity(4)
        options.log_severity_level = 4
        if hasattr(onnxruntime, "preload_dlls"):  # finds the CUDA libraries that pip installed
            with contextlib.redirect_stdout(io.StringIO()):
                onnxruntime.preload_dlls()
    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NotImplemented", "RuntimeException")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except tuple(getattr(errors, name) for name in names) as error:
        reason = str(error).splitlines()[0].rpartition(" failed:")[2]
        if "data path does not exist" in reason:
            reason = "the weights that were beside it, in a .data file, are not"
        raise UnusableModel(f"{path}: onnxruntime cannot load it ({reason}); damaged or no .onnx?") from None
    note = ""
    if device != "cpu" and "CUDAExecutionProvider" not in session.get_providers():
        what = "finds no CUDA that works" if has_cuda_build else "is a build without CUDA"
        remedy = "a GPU with onnxruntime-gpu[cuda,cudnn] is wanted"
        if device == "cuda":
            raise UnusableModel(f"--device cuda: onnxruntime {what}, {remedy}")
        note = f"onnxruntime {what}, so the CPU paints; for CUDA, {remedy}." if has_cuda_build else ""
    return OnnxGenerator(path, session, note)


def main() -> int:
    """Paint the pictures of seeds into one grid. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = Path(__file__).with_name("model.onnx")
    parser.add_argument("--model", type=Path, default=beside, help="an .onnx file; model.onnx beside this file")
    parser.add_argument("--seeds", default="0-15", help="7, 0-15 or 0-3,8: the same face on every machine")
    parser.add_argument("--output", type=Path, default=Path("grid.png"), help="the .png to write")
    parser.add_argument("--label", type=int, help="class to paint, where the model is conditional")
    parser.add_argument("--truncation", type=float, help="largest magnitude of a latent's component, say 1.5")
    parser.add_argument("--batch", type=int, default=4, help="images painted at once")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options = parser.parse_args()
    try:
        if options.output.suffix.lower() != ".png" or not options.output.parent.is_dir():
            raise UsageError(f"--output: {options.output}, the name of a .png in a folder that is there is wanted")
        seeds, paint = parse_seeds(options.seeds), load_onnx(options.model, options.device)
        print(paint.note or f"{paint.runs_on} paints", file=sys.stderr)
        check_label(options.label, paint.label_size)
        z, pictures, start = latents(seeds, paint.latent_size, options.truncation), [], time.perf_counter()
        for batch in np.array_split(z, math.ceil(len(z) / max(options.batch, 1))):
            label = None if options.label is None else one_hot(options.label, paint.label_size, len(batch))
            pictures.append(paint.pictures(batch, label))
        rate = len(seeds) / (time.perf_counter() - start)
        write_png(options.output, grid_picture(np.concatenate(pictures), squarest_grid(len(seeds))[0]))
    except (UsageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: {len(seeds)} images, {paint.runs_on}, {rate:.2f} images/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
