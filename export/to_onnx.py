"""Export a generator to ONNX: one file, batch free, no local path in it, checked against PyTorch before it is named."""

import hashlib
import json
import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import Message

import zoo
from export.config import UsageError
from export.folding import fold_equalized_scale
from export.parity import BATCHES, check, parity
from export.sample import UnusableModel, load_onnx
from zoo import weights
from zoo.progan import Generator

OPSET = 18
"""Everything ProGAN needs, and the oldest that PyTorch's exporter writes: it reaches the most runtimes."""


@dataclass(frozen=True)
class OnnxReport:
    """What an export wrote and how well it agrees."""

    path: Path
    size: int
    """Bytes of the file."""
    inputs: str
    outputs: str
    worst: dict[str, float]
    """Kind of latent -> largest difference from PyTorch, as export.parity.parity gives it."""
    written: bool
    """False where the file was there already and only checked."""

    def __str__(self) -> str:
        agreement = ", ".join(f"{kind} {error:.1e}" for kind, error in self.worst.items())
        return (
            f"{self.path}: {'written' if self.written else 'already there, checked'}, {self.size / 1e6:.1f} MB, "
            f"opset {OPSET}, {self.inputs} -> {self.outputs}\n"
            f"largest difference from PyTorch, onnxruntime on the CPU, batches of 1, 3 and 5: {agreement}"
        )


def export_onnx(model: str | Path, output: Path | None = None, *, overwrite: bool = False) -> OnnxReport:
    """Export a model folder to ONNX and check the file against PyTorch on the CPU.

    Args:
        model: a model folder, or the run folder that holds one.
        output: the .onnx file; model.onnx in the model folder by default. It takes its name only after the check.
        overwrite: replace another file of that name. An export of the same weights is only checked again.

    Raises:
        UsageError: the model cannot be used, the file is there and something else, or it cannot be written.
        ParityError: onnxruntime and PyTorch disagree; no file is left behind.
    """
    try:
        folder = zoo.model_folder(model)
        generator, config = weights.load(folder), weights.read_config(folder)
    except weights.ModelError as error:
        raise UsageError(str(error)) from None
    output = output or folder / "model.onnx"
    if output.suffix != ".onnx" or output.is_dir():
        raise UsageError(f"--output: {output}, the name of an .onnx file is wanted")
    properties = describe(generator, config, folder / weights.WEIGHTS_NAMES["Generator"])

    if output.exists() and not overwrite:
        if not is_export_of(output, properties):
            raise UsageError(
                f"{output}: already there and no export of these weights, another --output or --overwrite is wanted"
            )
        return _checked(output, generator, written=False)

    partial = output.with_name(output.name + ".partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()  # now, not after the minutes that a large network takes
        try:
            onnx.save(build_model(generator, properties), partial)
            report = _checked(partial, generator, written=True, name=output)
            partial.replace(output)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"{output}: cannot be written ({error.strerror}), a writable place with room is wanted"
        ) from None
    return report


def build_model(generator: Generator, properties: dict[str, str]) -> onnx.ModelProto:
    """Return the generator as an ONNX model: z[, label] to images, batch free, scales folded, traces stripped.

    Args:
        generator: in float32 on the CPU.
        properties: metadata_props of the model.
    """
    config, batch = generator.config, torch.export.Dim("batch")
    # traced at 2 images, checked at 1, 3 and 5
    inputs = [torch.zeros(2, config.latent_size)] + [torch.zeros(2, config.label_size)] * (config.label_size > 0)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns that torchvision, which nothing here uses, is not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of the exporter, about itself
            warnings.filterwarnings("ignore", message="# The axis name: batch will not be used")  # z and label share it
            program = torch.onnx.export(
                fold_equalized_scale(generator),
                tuple(inputs),
                dynamo=True,
                optimize=False,  # the optimizer takes PixelNorm's epsilon of 1e-8 for zero and removes it: NaN at z = 0
                opset_version=OPSET,
                input_names=["z", "label"][: len(inputs)],
                output_names=["images"],
                dynamic_shapes=tuple({0: batch} for _ in inputs),
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    model = program.model_proto
    strip_traces(model)
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    return model


def strip_traces(message: Message) -> None:
    """Remove every doc_string and metadata_props, at any depth: the exporter puts stack traces with paths there."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif isinstance(value, Message):
            strip_traces(value)
        elif field.message_type is not None:
            for item in value:
                strip_traces(item)


def describe(generator: Generator, config: dict[str, Any], weights_path: Path) -> dict[str, str]:
    """Return the metadata_props of an export: what is needed to use, credit and trace it, and no local path."""
    config = without_local_paths(config)
    licence = config.get("license") or config.get("licence")
    with weights_path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "config": json.dumps(config, sort_keys=True),
        "source_sha256": digest,
        "latent_size": str(generator.config.latent_size),
        "label_size": str(generator.config.label_size),
        "resolution": str(generator.config.resolution),
        "range": "[-1, 1]",
        "package": f"celebahq {_package_version()}",
        **({"license": licence if isinstance(licence, str) else json.dumps(licence)} if licence else {}),
    }


def without_local_paths(value: Any) -> Any:
    """Return plain JSON data with each absolute path shortened to its last part."""
    if isinstance(value, dict):
        return {key: without_local_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_local_paths(item) for item in value]
    if isinstance(value, str):
        for flavour in (PurePosixPath, PureWindowsPath):
            if flavour(value).is_absolute():
                return flavour(value).name
    return value


def is_export_of(path: Path, properties: dict[str, str]) -> bool:
    """Whether an .onnx file was exported from the weights and the config that properties describe, by any version."""
    try:
        found = load_onnx(path, device="cpu").metadata
    except UnusableModel:
        return False
    return {**found, "package": ""} == {**properties, "package": ""}


def _checked(path: Path, generator: Generator, *, written: bool, name: Path | None = None) -> OnnxReport:
    """Compare the file with PyTorch; name is what the reports call it."""
    name = name or path
    paint = load_onnx(path, device="cpu")
    config = generator.config
    images = sum(map(len, BATCHES))
    print(
        f"{name}: painting {images} images with onnxruntime and with PyTorch, to compare", file=sys.stderr, flush=True
    )
    worst = parity(paint, _as_numpy(generator), config.latent_size, config.label_size)
    check(worst, str(name))
    label = f", label (batch, {config.label_size})" if config.label_size else ""
    return OnnxReport(
        path=name,
        size=path.stat().st_size,
        inputs=f"z (batch, {config.latent_size}){label}",
        outputs=f"images (batch, {config.image_channels}, {config.resolution}, {config.resolution}) float32",
        worst=worst,
        written=written,
    )


def _as_numpy(generator: Generator) -> Callable[..., np.ndarray]:
    @torch.inference_mode()
    def paint(*inputs: np.ndarray) -> np.ndarray:
        return generator(*map(torch.from_numpy, inputs)).numpy()

    return paint


def _package_version() -> str:
    try:
        return metadata.version("celebahq")
    except metadata.PackageNotFoundError:  # run from a source tree that is not installed
        return "(source tree)"
