"""Export a generator to ONNX: one file, batch free, no local path in it, checked against PyTorch before it is named."""

import contextlib
import json
import logging
import math
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np
import onnx
import torch

import zoo
from celebahq.files import partial_path, sha256_of
from celebahq.version import version
from export.config import UsageError
from export.onnx_export.parity import BATCHES, check, parity
from export.onnx_export.rewriting import rewrite, store_weights_as_float16
from export.onnx_export.tracing import OPSET, trace
from export.sample import UnusableModelError, load_onnx
from zoo import weights
from zoo.folder import WEIGHTS_NAMES, ModelError, label_names, read_config
from zoo.locate import file_beside_the_caller, is_somebodys
from zoo.progan import Generator, fade_state

_log = logging.getLogger("celebahq.export")

LARGEST_FILE = 2**31 - 2**20
"""Bytes of weights above which they go beside the .onnx: a protobuf holds less than 2 GiB."""

ITEM_BYTES = {onnx.TensorProto.FLOAT: 4, onnx.TensorProto.FLOAT16: 2, onnx.TensorProto.INT64: 8}
"""Of an element of each type of constant that an export holds."""


@dataclass(frozen=True)
class OnnxReport:
    """What an export wrote and how well it agrees."""

    path: Path
    size: int
    """Bytes, of the weights beside the file too."""
    inputs: str
    outputs: str
    worst: dict[str, dict[str, float]]
    """What ran -> kind of latent -> largest difference from PyTorch, as export.onnx_export.parity.parity gives it."""
    written: bool
    """False where the file was there already and only checked."""
    note: str = ""
    """Why the weights lie beside the file."""

    def __str__(self) -> str:
        lines = [
            f"{self.path}: {'written' if self.written else 'already there, checked'}, {self.size / 1e6:.1f} MB, "
            f"opset {OPSET}, {self.inputs} -> {self.outputs}{self.note}"
        ]
        for runs_on, worst in self.worst.items():
            agreement = ", ".join(f"{kind} {error:.1e}" for kind, error in worst.items())
            lines.append(f"largest difference from PyTorch, {runs_on}, batches of 1, 3 and 5: {agreement}")
        return "\n".join(lines)


def export_onnx(
    model: str | Path,
    output: str | Path | None = None,
    *,
    overwrite: bool = False,
    resolution: int | None = None,
    uint8: bool = False,
    precision: str = "fp32",
    external_data: bool = False,
) -> OnnxReport:
    """Export a generator to ONNX and check the file against PyTorch, on the CPU and, where it works, on CUDA.

    Args:
        model: a model folder, the run folder that holds one, or the name of a published model.
        output: the .onnx file; by default model.onnx in the model folder, or, of somebody else's model (shipped, of the
            catalogue or the Hub), <name>.onnx in the current folder. It takes its name only after the check.
        overwrite: replace another file of that name. An export of the same weights is only checked again.
        resolution: side of the images, 4 to the generator's own, which is the default.
        uint8: give images (batch, R, R, C) uint8.
        precision: "fp32", or "fp16": weights stored in half the bytes, the same computation.
        external_data: put the weights into a file .data beside it; above 2 GiB it is done anyway.

    Raises:
        UsageError: the model cannot be used, the file is there and something else, or it cannot be written.
        ParityError: onnxruntime and PyTorch disagree; no file is left behind.
    """
    if precision not in ("fp32", "fp16"):
        raise UsageError(f"--precision: got {precision!r}, expected fp32 or fp16")
    try:
        folder = zoo.model_folder(model)
        generator, config = weights.load(folder), read_config(folder)
    except ModelError as error:
        raise UsageError(str(error)) from None
    stop = trained_resolution(generator, resolution)
    options = [str(resolution)] * (resolution is not None) + ["uint8"] * uint8 + ["fp16"] * (precision == "fp16")
    if output is None and is_somebodys(model, folder):
        output = file_beside_the_caller(model, "".join(f"-{option}" for option in options) + ".onnx")
    output = Path(output or folder / f"{'-'.join(['model', *options])}.onnx")
    if output.suffix != ".onnx" or output.is_dir():
        raise UsageError(f"--output: got {output}, expected the name of an .onnx file")
    properties = describe(generator, config, folder / WEIGHTS_NAMES["Generator"])
    properties |= {
        "resolution": str(resolution or generator.config.resolution),
        "range": "[0, 255]" if uint8 else "[-1, 1]",
        "layout": "NHWC uint8" if uint8 else "NCHW float32",
        "precision": precision,
    }

    if output.exists() and not overwrite:
        if not is_export_of(output, properties):
            raise UsageError(
                f"{output}: got no export of these weights there, expected one; give another --output or --overwrite"
            )
        return _checked(output, generator, stop, precision, written=False)

    partial = partial_path(output)  # a folder: the .onnx holds the name of the .data beside it
    data = output.with_name(output.name + ".data")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()  # now, not after the minutes that a large network takes
        try:
            graph = build_model(generator, stop, uint8, precision)
            onnx.helper.set_model_props(graph, properties)
            size = sum(math.prod(tensor.dims) * ITEM_BYTES[tensor.data_type] for tensor in graph.graph.initializer)
            beside = external_data or size > LARGEST_FILE
            save(graph, partial / output.name, data.name if beside else None)
            report = _checked(partial / output.name, generator, stop, precision, written=True, name=output)
            if beside:
                (partial / data.name).replace(data)
            (partial / output.name).replace(output)
            if not beside:
                data.unlink(missing_ok=True)  # of the export that was replaced
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise UsageError(
            f"{output}: cannot be written ({error.strerror}), expected a writable place with room"
        ) from None
    return report


def trained_resolution(generator: Generator, resolution: int | None) -> int | None:
    """Return where the generator is to stop; None is as it stands, half grown perhaps.

    Raises:
        UsageError: it gives no images of that resolution.
    """
    config = generator.config
    if resolution is None or resolution == config.resolution:
        return None
    halvings, alpha = fade_state(config)
    grown = config.resolution >> halvings + (alpha < 1)  # of a network that was saved half grown
    trained = [] if config.single_resolution else [r for r in config.resolutions if r <= grown]
    if resolution not in trained:
        wanted = ", ".join(map(str, sorted({*trained, config.resolution})))
        raise UsageError(f"--resolution: got {resolution}, expected one that the generator gives: {wanted}")
    return resolution


def build_model(
    generator: Generator, resolution: int | None = None, uint8: bool = False, precision: str = "fp32"
) -> onnx.ModelProto:
    """Return the generator as an ONNX model: z[, label] to images, batch free, scales folded, work saved.

    Args:
        generator: in float32 on the CPU.
        resolution: where it stops; None generates as it stands.
        uint8: images are (batch, R, R, C) uint8.
        precision: "fp32" or "fp16", of the weights as stored.
    """
    model = trace(generator, resolution, uint8=uint8)
    rewrite(model)
    if precision == "fp16":
        store_weights_as_float16(model)
    return model


def save(model: onnx.ModelProto, path: Path, data_name: str | None) -> None:
    """Write a model, its weights if data_name is given into a file of that name beside it, and check it."""
    if data_name is None:
        onnx.save(model, path)
    else:
        onnx.save(model, path, save_as_external_data=True, location=data_name, size_threshold=1024)
        path.with_name(data_name).chmod(path.stat().st_mode)  # onnx makes it readable to its owner alone
    onnx.checker.check_model(str(path), full_check=True)


def describe(generator: Generator, config: dict[str, Any], weights_path: Path) -> dict[str, str]:
    """Return the metadata_props of an export: what is needed to use, credit and trace it, and no local path."""
    config = without_local_paths(config)
    license = config.get("license") or config.get("licence")
    names = label_names(config, generator.config.label_size)
    return {
        "config": json.dumps(config, sort_keys=True),
        "source_sha256": sha256_of(weights_path),
        "latent_size": str(generator.config.latent_size),
        "label_size": str(generator.config.label_size),
        "package": f"celebahq {version()}",
        **({"label_names": json.dumps(names)} if names else {}),
        **({"license": license if isinstance(license, str) else json.dumps(license)} if license else {}),
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
    except UnusableModelError:
        return False
    return {**found, "package": ""} == {**properties, "package": ""}


def _checked(
    path: Path, generator: Generator, stop: int | None, precision: str, *, written: bool, name: Path | None = None
) -> OnnxReport:
    """Compare the file with PyTorch on each provider that works here; name is what the reports call it."""
    name = name or path
    config, generators = generator.config, [load_onnx(path, device="cpu")]
    with contextlib.suppress(UnusableModelError):
        generators.append(load_onnx(path, device="cuda"))
    images = sum(map(len, BATCHES))
    worst = {}
    for generate in generators:
        _log.info(f"{name}: generating {images} images with {generate.runs_on} and with PyTorch, to compare")
        worst[generate.runs_on] = parity(generate, _as_numpy(generator, stop), config.latent_size, config.label_size)
        check(worst[generate.runs_on], str(name), precision)
    label = f", label (batch, {config.label_size})" if config.label_size else ""
    side, channels, data = generators[0].resolution, config.image_channels, path.with_name(f"{name.name}.data")
    weights_beside = data.stat().st_size if data.exists() else 0
    return OnnxReport(
        path=name,
        size=path.stat().st_size + weights_beside,
        inputs=f"z (batch, {config.latent_size}){label}",
        outputs=f"images (batch, {side}, {side}, {channels}) uint8"
        if generators[0].is_uint8
        else f"images (batch, {channels}, {side}, {side}) float32",
        worst=worst,
        written=written,
        note=f"; the weights lie in {data.name} beside it, to be kept with it" if weights_beside else "",
    )


def _as_numpy(generator: Generator, stop: int | None) -> Callable[..., np.ndarray]:
    @torch.inference_mode()
    def generate(z: np.ndarray, label: np.ndarray | None = None) -> np.ndarray:
        return generator(torch.from_numpy(z), None if label is None else torch.from_numpy(label), stop).numpy()

    return generate
