"""Whoever calls this suite from Python may give a path as text or as a Path, everywhere."""

import dataclasses
import functools
import importlib
import inspect
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch

import celebahq
import zoo
from zoo import weights
from zoo.progan import Discriminator, Generator, ProGANConfig

PUBLIC = (
    "zoo", "zoo.architecture", "zoo.metrics", "zoo.folder", "zoo.importers", "zoo.locate", "zoo.progan",
    "zoo.restoration.weights", "zoo.weights", "celebahq_builder.hdf5", "celebahq.files", "export.sample",
    "export.onnx_export.to_onnx", "hubconf",
)  # fmt: skip
"""Modules whose functions others call."""
CONFIGS = (
    "celebahq_builder.config.BuildConfig", "train.config.TrainConfig", "train.metrics.config.MetricsConfig",
    "export.config.OnnxConfig", "export.config.ImagesConfig", "export.config.VideoConfig",
    "export.hub.config.HubConfig", "export.web.config.WebConfig", "export.demo.config.DemoConfig",
    "zoo.commands.config.ImportConfig",
)  # fmt: skip
INTERNAL = {
    "export.onnx_export.to_onnx.describe", "export.onnx_export.to_onnx.is_export_of",
    "export.onnx_export.to_onnx.save", "zoo.locate.is_somebodys", "celebahq.files.partial_path",
    "celebahq.files.sync_folder", "export.sample.OnnxGenerator.__init__",
    "export.onnx_export.to_onnx.OnnxReport.__init__", "zoo.importers.build_from", "zoo.importers.recognise",
    "celebahq.BuildConfig.__init__", "celebahq.TrainConfig.__init__", "celebahq.HubConfig.__init__",
    "celebahq.BuildResult.__init__", "celebahq.TrainResult.__init__", "celebahq.PushResult.__init__",
}  # fmt: skip
"""What lies in those modules for this suite alone; options, which have a test of their own; and results."""
TINY = ProGANConfig(resolution=8, latent_size=8, fmap_base=16, fmap_max=4)


@functools.cache
def public_functions():
    found = {f"celebahq.{name}": getattr(celebahq, name) for name in celebahq.__all__ if name != "__version__"}
    for module in map(importlib.import_module, PUBLIC):
        for name, member in vars(module).items():
            if not name.startswith("_") and getattr(member, "__module__", "") == module.__name__:
                found[f"{module.__name__}.{name}"] = member
    for name, member in list(found.items()):
        if inspect.isclass(member):
            methods = inspect.getmembers(member, inspect.isroutine)
            found |= {f"{name}.{key}": method for key, method in methods if key == "__init__" or key[0] != "_"}
    strangers = (None, "builtins")
    return {
        name: member
        for name, member in found.items()
        if inspect.isroutine(member) and name not in INTERNAL and getattr(member, "__module__", None) not in strangers
    }


@pytest.mark.parametrize("name", sorted(public_functions()))
def test_a_parameter_that_takes_a_path_takes_text_as_well(name):
    function = public_functions()[name]
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError):  # of a class that is only known to type checkers
        hints = {key: value.annotation for key, value in inspect.signature(function).parameters.items()}
    for parameter, hint in hints.items():
        kinds = str(hint).split("|") if isinstance(hint, str) else get_args(hint) or (hint,)
        kinds = [kind.strip() if isinstance(kind, str) else kind for kind in kinds]
        if parameter != "return" and (Path in kinds or "Path" in kinds):
            assert str in kinds or "str" in kinds, f"{name}({parameter}: {hint})"


@pytest.mark.parametrize("name", CONFIGS)
def test_an_option_that_is_a_path_takes_text_as_well(name):
    module, _, cls = name.rpartition(".")
    config = getattr(importlib.import_module(module), cls)
    hints, given = get_type_hints(config), {}
    for field in dataclasses.fields(config):
        kinds = get_args(hints[field.name]) or (hints[field.name],)
        if Path in kinds and str not in kinds and kinds != (Path, ...):
            given[field.name] = f"{field.name}.h5"
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            given[field.name] = "me/faces"
    if "work" in given:  # goes with a URL alone
        del given["work"]
        assert config(**given | {"output": "s3://bucket/faces.h5", "work": "w"}).work == Path("w")
    made = config(**given)
    paths = {key: value for key, value in given.items() if value.endswith(".h5")}
    assert paths
    assert {key: getattr(made, key) for key in paths} == {key: Path(value) for key, value in paths.items()}


def test_a_model_is_saved_loaded_and_exported_by_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = Generator(TINY)
    assert weights.save(generator, "folder") == Path("folder/model.safetensors")
    weights.save(Discriminator(TINY), "folder")
    for folder in ("folder", Path("folder")):
        assert torch.equal(zoo.load(folder)(torch.ones(1, 8)), weights.load(folder)(torch.ones(1, 8)))
        assert weights.load(folder, "discriminator").config == TINY
    made = celebahq.export_onnx("folder", "faces.onnx").path
    assert celebahq.load_onnx("faces.onnx")(np.ones((1, 8), np.float32)).shape == (1, 3, 8, 8)
    assert celebahq.load_onnx(made).latent_size == 8
