"""Paint images from an .onnx file: onnxruntime and numpy only, no torch."""

import contextlib
import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np


class UnusableModel(ValueError):
    """An .onnx file that cannot be sampled here; the message is one line that names it and what is wanted."""


def latents(seeds: Iterable[int], latent_size: int) -> np.ndarray:
    """Return the latents of seeds, (n, latent_size) float32 ~ N(0, 1).

    Each seed has its own numpy.random.RandomState, the stream of the released program and of StyleGAN's: numpy
    guarantees that it never changes.
    """
    rows = [np.random.RandomState(seed).randn(latent_size) for seed in seeds]
    return np.asarray(rows, np.float32).reshape(-1, latent_size)


def one_hot(label: int, label_size: int, count: int) -> np.ndarray:
    """Return count times the label vector of a class, (count, label_size) float32."""
    return np.eye(label_size, dtype=np.float32)[[label] * count]


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Turn images (N, C, R, R) float, nominally [-1, 1], into pictures (N, R, R, C) uint8: [-1, 1] spans [0, 255]."""
    return np.clip(np.rint(images * 127.5 + 127.5), 0, 255).astype(np.uint8).transpose(0, 2, 3, 1)


class OnnxGenerator:
    """An .onnx generator: call it with latents.

    Attributes:
        latent_size: components of z.
        label_size: components of the label; 0 is unconditional.
        resolution: side of the images.
        runs_on: the library and the provider that really runs, "onnxruntime CPUExecutionProvider" say.
        metadata: what the export wrote into the file: config, license, source_sha256, ...
    """

    def __init__(self, path: Path, session: Any) -> None:
        self._session = session
        inputs = {value.name: value.shape for value in session.get_inputs()}
        outputs = {value.name: value.shape for value in session.get_outputs()}
        latent, image = inputs.get("z"), outputs.get("images")
        if latent is None or image is None or set(inputs) - {"z", "label"}:
            found = f"inputs {', '.join(inputs) or 'none'} and outputs {', '.join(outputs) or 'none'}"
            raise UnusableModel(f"{path}: a model with {found}, input z and output images are wanted")
        types = {value.name: value.type for value in (*session.get_inputs(), *session.get_outputs())}
        if set(types.values()) != {"tensor(float)"}:
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
        self.runs_on = f"onnxruntime {session.get_providers()[0]}"
        self.metadata: dict[str, str] = dict(session.get_modelmeta().custom_metadata_map)

    def __call__(self, z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        """Paint.

        Args:
            z: (N, latent_size) ~ N(0, 1).
            label: (N, label_size), wanted if and only if the model is conditional.

        Returns:
            (N, C, R, R) float32, nominally in [-1, 1].

        Raises:
            ValueError: z or label is of another shape, or a label is missing or too much.
        """
        if z.ndim != 2 or z.shape[1] != self.latent_size:
            raise ValueError(f"z: shape {z.shape}, (N, {self.latent_size}) is wanted")
        if (label is None) != (self.label_size == 0):
            raise ValueError(f"label: {'none' if label is None else 'one'} given, label_size is {self.label_size}")
        feed = {"z": np.ascontiguousarray(z, np.float32)}
        if label is not None:
            if label.shape != (len(z), self.label_size):
                raise ValueError(f"label: shape {label.shape}, ({len(z)}, {self.label_size}) is wanted")
            feed["label"] = np.ascontiguousarray(label, np.float32)
        return self._session.run(["images"], feed)[0]


def load_onnx(path: str | Path, device: str = "auto") -> OnnxGenerator:
    """Load an .onnx file that python -m export onnx wrote.

    Example:
        >>> paint = load_onnx("model.onnx")  # doctest: +SKIP
        >>> images = paint(latents([0, 1, 2], paint.latent_size))  # doctest: +SKIP

    Args:
        path: the file.
        device: "cpu", "cuda", or "auto": CUDA where it works, else the CPU. `.runs_on` says which it became.

    Raises:
        UnusableModel: the file is missing, damaged or no generator, or CUDA was asked for and does not work.
    """
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

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
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NotImplemented,
        errors.RuntimeException,
    ) as error:
        reason = str(error).splitlines()[0].rpartition(" failed:")[2]
        raise UnusableModel(f"{path}: onnxruntime cannot load it ({reason}); damaged or no .onnx?") from None
    if device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
        what = "found no CUDA that works" if has_cuda_build else "is a build without CUDA"
        raise UnusableModel(f"--device cuda: onnxruntime {what}, a GPU with onnxruntime-gpu[cuda,cudnn] is wanted")
    return OnnxGenerator(path, session)
