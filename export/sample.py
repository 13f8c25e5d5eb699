"""Generate images from an .onnx file with onnxruntime and numpy alone: this one file is all that is needed beside it.

python sample.py --seeds 0-15 --output grid.png
"""

import argparse
import contextlib
import io
import json
import math
import os
import re
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from celebahq.errors import CelebAHQError
else:
    try:
        from celebahq.errors import CelebAHQError
    except ImportError:  # alone beside an .onnx
        CelebAHQError = Exception

MAX_SEED = 2**32 - 1  # the largest that numpy.random.RandomState takes
MAX_IMAGES = 1_000_000
TOO_NEW = re.compile(r"(?:(IR version: \d+), max supported IR version:|(Opset \d+) is .* till opset) (\d+)")
LARGEST = 1 << 16  # components of a latent or label, and pixels a side: more is a damaged file, and memory


class UsageError(ValueError, CelebAHQError):
    """An option or a file that cannot be used; one line that names it and the remedy."""


class UnusableModelError(UsageError):
    """An .onnx file that cannot be sampled here."""


def parse_seeds(text: str) -> list[int]:
    """Return the seeds of "7", "0-15" (both ends count) or "0-3,8,100-103", in that order; UsageError for else."""
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,10})(?:-([0-9]{1,10}))?\s*", part)
        if not match:
            raise UsageError(f"--seeds: got {text!r}, expected seeds like 7, 0-15 or 0-3,8")
        first, last = int(match[1]), int(match[2] or match[1])
        if first > last:
            raise UsageError(f"--seeds: got {part.strip()}, expected {last}-{first}")
        if last > MAX_SEED:
            raise UsageError(f"--seeds: got {last}, expected at most {MAX_SEED}")
        if len(seeds) + last - first >= MAX_IMAGES:
            raise UsageError(f"--seeds: got {text!r}, expected at most {MAX_IMAGES:,} images a command")
        seeds += range(first, last + 1)
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"--seeds: got {Counter(seeds).most_common(1)[0][0]} twice, expected each seed once")
    return seeds


def latents(seeds: Iterable[int], latent_size: int, truncation: float | None = None) -> np.ndarray:
    """Return the latents of seeds, (n, latent_size) float32 ~ N(0, 1), each of its own RandomState, for ever the same.

    truncation: draw components again, from the same stream, until none is larger in magnitude (BigGAN's trick, Brock et
    al. 2019, section 3.1). ProGAN normalizes z, so it narrows the variety little. UsageError below 0.01."""
    if truncation is not None and not truncation >= 0.01:
        raise UsageError(f"--truncation: got {truncation}, expected at least 0.01")
    rows = []
    for seed in seeds:
        random = np.random.RandomState(seed)
        z = random.randn(latent_size)
        while truncation is not None and (outside := np.abs(z) > truncation).any():
            z[outside] = random.randn(int(np.count_nonzero(outside)))
        rows.append(z)
    return np.asarray(rows, np.float32).reshape(-1, latent_size)


def slerp(start: np.ndarray, end: np.ndarray, fraction: np.ndarray | float) -> np.ndarray:
    """Interpolate between latents (n, latent_size) along the great circle, fraction: 0 to 1, a number or (n, 1).

    A line would leave the hypersphere. Returns (n, latent_size) float32, of a length between those of both."""
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


def parse_label(text: str | None, label_size: int, names: Sequence[str] = ()) -> np.ndarray | None:
    """Return the label, (label_size,) float32, of "3" or "Smiling", a class, or "0.3,-1", all its numbers; else
    UsageError. None is that of an unconditional model, whose label_size is 0."""
    if text is None and not label_size:
        return None
    classes = f"a class from 0 to {label_size - 1}" + f", a name ({', '.join(names[:8])} ...)" * bool(names)
    wanted = f"{classes} or {label_size} numbers with commas" if label_size else "none, the model is unconditional"
    if text is None or not label_size:
        raise UsageError(f"--label: got {'none' if text is None else text}, expected {wanted}")
    if text in names or (re.fullmatch(r"[0-9]{1,9}", text) and int(text) < label_size):
        return one_hot(list(names).index(text) if text in names else int(text), label_size, 1)[0]
    with contextlib.suppress(ValueError):
        label = np.asarray([float(part) for part in text.split(",")], np.float32)
        if label.shape == (label_size,) and np.isfinite(label).all():
            return label
    raise UsageError(f"--label: got {text!r}, expected {wanted}")


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Turn images (N, C, R, R) float into images (N, R, R, C) uint8: [-1, 1] is [0, 255], NaN a UsageError."""
    if np.isnan(images).any():
        raise UsageError("--model: got NaN from it, expected numbers; its weights are damaged, fetch the file again")
    return np.clip(np.rint(images * 127.5 + 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


def squarest_grid(count: int) -> tuple[int, int]:
    """Return the (columns, rows) of a full grid of count places that is nearest to a square, wider than high."""
    rows = next(rows for rows in range(math.isqrt(count), 0, -1) if count % rows == 0)
    return count // rows, rows


def image_grid(images: np.ndarray, columns: int) -> np.ndarray:
    """Lay out images (columns * rows, R, R, C) row by row, as one (rows * R, columns * R, C)."""
    _, height, width, channels = images.shape
    tiles = images.reshape(-1, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return tiles.reshape(-1, columns * width, channels)


def write_png(path: str | Path, image: np.ndarray) -> None:
    """Write an image, (H, W, 3) or (H, W, 1) uint8, as a PNG, with nothing but zlib."""
    height, width, channels = image.shape
    rows = image.reshape(height, width * channels)
    filtered = np.full((height, 1 + rows.shape[1]), 2, np.uint8)  # 2 before each row: differences from the one above
    filtered[:, 1:] = np.diff(rows, axis=0, prepend=np.zeros_like(rows[:1]))
    header = struct.pack(">2I5B", width, height, 8, 2 if channels == 3 else 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes())), (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    Path(path).write_bytes(data)


class OnnxGenerator:
    """An .onnx generator: call it with latents.

    Attributes: latent_size, components of z; label_size, of the label, 0 is unconditional; label_names of its classes,
    [] where nobody named them; resolution; is_uint8, whether it gives images (N, R, R, C) uint8, not images
    (N, C, R, R) float32; metadata that the export wrote into the file (config, license, source_sha256 ...); note, a
    sentence where the machine has a GPU and the CPU generates, else empty."""

    def __init__(self, path: Path, session: Any, note: str = "") -> None:
        self._session = session
        self.note = note
        inputs = {value.name: value.shape for value in session.get_inputs()}
        outputs = {value.name: value.shape for value in session.get_outputs()}
        latent, image = inputs.get("z"), outputs.get("images")
        if latent is None or image is None or set(inputs) - {"z", "label"}:
            raise UnusableModelError(f"{path}: got {[*inputs]} to {[*outputs]}, expected input z, output images")
        types = {value.name: value.type for value in (*session.get_inputs(), *session.get_outputs())}
        self.is_uint8 = types["images"] == "tensor(uint8)"
        if {types[name] for name in types if name != "images" or not self.is_uint8} != {"tensor(float)"}:
            raise UnusableModelError(f"{path}: got z {types['z']}, images {types['images']}, expected float32")
        label = inputs.get("label", ["batch", 0])
        fixed = [*latent[1:], *label[1:], *image[1:]]
        free = not any(isinstance(shape[0] if shape else 1, int) for shape in (latent, label))
        if not free or list(map(len, (latent, label, image))) != [2, 2, 4] or not all(type(n) is int for n in fixed):
            wanted = "(batch, latent), (batch, label) and (batch, channels, R, R) with a free batch"
            raise UnusableModelError(f"{path}: got z {latent}, label {label}, images {image}, expected {wanted}")
        if max(fixed) > LARGEST or (image[3] if self.is_uint8 else image[1]) not in (1, 3):
            raise UnusableModelError(f"{path}: got z {latent} and images {image}, expected a generator's sizes")
        self.latent_size, self.label_size, self.resolution = latent[1], label[1], image[2]
        self.runs_on = f"onnxruntime {session.get_providers()[0]}"
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)
        self.label_names = read_names(self.metadata.get("label_names", "[]"), self.label_size)

    def __call__(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Generate from z, (N, latent_size) ~ N(0, 1), and of a conditional model label, (N, label_size).
        Returns (N, C, R, R) float32, nominally in [-1, 1]; of a file with is_uint8, images (N, R, R, C) uint8.
        ValueError: a shape is another, or a label is missing or too much."""
        feed = {"z": z} if label is None else {"z": z, "label": label}
        for name, size in (("z", self.latent_size), ("label", self.label_size)):
            found = np.shape(feed[name]) if name in feed else "none"
            wanted = (np.shape(z)[0] if np.ndim(z) else 1, size) if size else "none"
            if found != wanted:
                raise ValueError(f"{name}: got {found}, expected {wanted}")
        try:
            return self._session.run(["images"], {k: np.ascontiguousarray(v, np.float32) for k, v in feed.items()})[0]
        except Exception as error:  # onnxruntime's errors have no common class
            raise UnusableModelError(f"--model: onnxruntime failed while it ran ({reason_of(error)})") from None

    def uint8_images(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Generate (N, R, R, C) uint8, whichever the file gives."""
        images = self(z, label)
        return images if self.is_uint8 else to_uint8(images)


def reason_of(error: Exception) -> str:
    """Return what onnxruntime says, in one line, without the place in its source."""
    words = ascii(" ".join(str(error).split()).rpartition(" failed:")[2])[1:-1]  # no ESC of a node's name
    return re.sub(r"^/\S+\.(?:cc|h):\d+ .*?\) (?=\w)", "", words)[:300]


def read_names(text: str, label_size: int) -> list[str]:
    """Return the names of the classes that an export wrote into its file; [] where they are missing or damaged."""
    with contextlib.suppress(ValueError, RecursionError):
        names = json.loads(text)
        if isinstance(names, list) and len(names) == label_size and all(isinstance(name, str) for name in names):
            return names
    return []


def load_onnx(path: str | Path, device: str = "auto") -> OnnxGenerator:
    """Load an .onnx file of python -m export onnx, with weights that lie beside it, or raise UnusableModelError.
    device: "cpu", "cuda", or "auto": CUDA where it works, else the CPU; `.runs_on` says which."""
    # onnxruntime >= 1.29 sends events to Microsoft from Linux too; only this, and before its import, stops all of them
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        import onnxruntime
    except ImportError:
        raise UnusableModelError(f"{path}: got no onnxruntime, expected it: pip install onnxruntime") from None

    path = Path(path)
    if not path.is_file():
        raise UnusableModelError(f"{path}: got nothing or no file, expected an .onnx file")
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
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common class
        reason = reason_of(error)
        if match := TOO_NEW.search(str(error)):
            newer = f"newer than onnxruntime {onnxruntime.__version__}, pip install --upgrade onnxruntime"
            raise UnusableModelError(
                f"{path}: got {match[1] or match[2]}, expected at most {match[3]}: {newer}"
            ) from None
        if "data path does not exist" in reason:
            reason = "its weights, a .data file beside it, are not there"
        raise UnusableModelError(f"{path}: onnxruntime cannot load it ({reason}); damaged or no .onnx?") from None
    if device == "cpu" or "CUDAExecutionProvider" in session.get_providers():
        return OnnxGenerator(path, session)
    what = "CUDA that does not work" if has_cuda_build else "a build without CUDA"
    found = f"onnxruntime: got {what}, expected a GPU with onnxruntime-gpu[cuda,cudnn]"
    if device == "cuda":
        raise UnusableModelError(f"--device cuda: {found}")
    has_gpu = has_cuda_build and any(map(os.path.exists, ("/proc/driver/nvidia", "/dev/dxg")))  # Linux, WSL
    return OnnxGenerator(path, session, f"{found}; the CPU generates" if has_gpu else "")


def main() -> int:
    """Generate the images of seeds into one grid. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = Path(__file__).with_name("model.onnx")
    parser.add_argument("--model", type=Path, default=beside, help="an .onnx file; model.onnx beside this file")
    parser.add_argument("--seeds", default="0-15", help="7, 0-15 or 0-3,8: the same face on every machine")
    parser.add_argument("--output", type=Path, default=Path("grid.png"), help="the .png to write")
    parser.add_argument("--label", help="3, a class's name or all numbers, --label=-1,0.3, of a conditional model")
    parser.add_argument("--truncation", type=float, help="largest magnitude of a latent's component, say 1.5")
    parser.add_argument("--batch", type=int, default=4, help="images generated at once")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    options = parser.parse_args()
    try:
        if options.output.suffix.lower() != ".png" or not options.output.parent.is_dir():
            raise UsageError(f"--output: got {options.output}, expected the name of a .png in a folder that is there")
        seeds, generator = parse_seeds(options.seeds), load_onnx(options.model, options.device)
        print(generator.note or f"{generator.runs_on} generates", file=sys.stderr)
        label = parse_label(options.label, generator.label_size, generator.label_names)
        z, images, start = latents(seeds, generator.latent_size, options.truncation), [], time.perf_counter()
        for batch in np.array_split(z, math.ceil(len(z) / max(options.batch, 1))):
            images.append(generator.uint8_images(batch, None if label is None else label[None].repeat(len(batch), 0)))
        rate = len(seeds) / (time.perf_counter() - start)
        write_png(options.output, image_grid(np.concatenate(images), squarest_grid(len(seeds))[0]))
    except (UsageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{options.output}: {len(seeds)} images, {generator.runs_on}, {rate:.2f} images/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
