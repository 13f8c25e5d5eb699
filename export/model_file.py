"""A MODEL as one .onnx file of a given place and size: what the page, the demo and its Space carry."""

import logging
import shutil
from pathlib import Path

import zoo
from export.sample import UnusableModelError, UsageError, load_onnx
from zoo.folder import ModelError, check_folder_name, read_config
from zoo.remote.hub_address import is_address

_log = logging.getLogger("celebahq.export")


def folder_named(folder: Path, flag: str) -> None:
    """Raise UsageError where a folder that is to be made was meant as a file: page.html, space.zip, -."""
    try:
        check_folder_name(folder, flag)
    except ModelError as error:
        raise UsageError(str(error)) from None


def place_onnx(
    model: str, target: Path, *, resolution: int | None = None, largest: int | None = None, precision: str = "fp32"
) -> None:
    """Write the .onnx of a model: a copy of an .onnx file, else an export, which checks it against PyTorch.

    Args:
        model: model folder, run folder, name of a published model, or .onnx file.
        target: the .onnx file to write.
        resolution: side of the images; None is the generator's own, or largest where that is smaller.
        largest: the largest resolution that is of use there.
        precision: "fp32" or "fp16", of an export.

    Raises:
        UsageError: the model cannot be used, or is too large.
        export.onnx_export.parity.ParityError: the export does not generate what PyTorch generates.
    """
    if resolution is not None and largest is not None and resolution > largest:
        raise UsageError(f"--resolution: got {resolution}, expected at most {largest}")
    if Path(model).suffix == ".onnx" and not Path(model).is_dir() and not is_address(model):
        if Path(f"{model}.data").is_file():
            raise UsageError(f"{model}: got weights that lie beside it, expected an export without --external-data")
        generator = load_onnx(model, "cpu")
        if generator.is_uint8:
            raise UnusableModelError(f"{model}: got one that gives uint8 images, expected an export without --uint8")
        if precision != "fp32" or resolution not in (None, generator.resolution):
            raise UsageError(f"--resolution, --precision: got them with {model}, expected a model folder to export")
        if largest is not None and generator.resolution > largest:
            raise UsageError(
                f"{model}: got images of {generator.resolution}x{generator.resolution}, expected at most {largest}: "
                f"a model folder, or python -m export onnx --resolution {largest}"
            )
        shutil.copyfile(model, target)
        return
    try:
        folder = zoo.model_folder(model)
        config = read_config(folder)
    except ModelError as error:
        raise UsageError(f"--model: {error}") from None
    if config.get("class") != "Generator":
        raise UsageError(f"--model: got {model} of class {config.get('class')}, expected a Generator")
    own = config["architecture"].get("resolution")
    if resolution is None and largest is not None and isinstance(own, int) and own > largest:
        resolution = largest
        _log.warning(f"{model}: a generator of {own}x{own}, exported at {largest}x{largest}")
    from export.onnx_export.to_onnx import export_onnx  # torch, which an .onnx file does without

    export_onnx(folder, target, resolution=resolution, precision=precision)
