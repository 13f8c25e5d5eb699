"""What the tests of the importers share: a sample file of every layout with the images that its program generates."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo.importers import LAYOUTS, CheckpointImportError, import_checkpoint, import_networks
from zoo.importers.read_file import read_file


@dataclass(frozen=True)
class Sample:
    """A file, the layout it is of, and what that layout's own program generates."""

    path: Path
    layout: str
    z: Tensor
    images: np.ndarray


def _genforce_flat(content: Any) -> Any:
    return content["generator_smooth"]


def _higan(content: Any) -> Any:
    """The same network under higan's and mganprior's names, their fused kernels as TensorFlow keeps them."""
    renamed = {}
    for name, tensor in content["generator_smooth"].items():
        layer, _, part = name.partition(".")
        if part == "bias":
            name = f"{layer}.wscale.bias"
        elif part and layer in ("layer2", "layer4", "layer6", "layer8"):
            tensor = tensor.permute(2, 3, 0, 1).contiguous()
        elif part:
            name = f"{layer}.conv.weight"
        renamed[name] = tensor
    return renamed


def _interfacegan(content: Any) -> Any:
    return {name.replace(".wscale.b", ".wscale.bias"): tensor for name, tensor in content.items()}


def _ptrblck(content: Any) -> Any:
    """The same network under ptrblck's names; its scales stored, halved, and its weights twice as large."""
    renamed = {}
    for name, tensor in content.items():
        layer, part = name.split(".", 1)
        layer = "output" if layer.startswith("output") else f"features.{int(layer.removeprefix('layer')) - 1}"
        renamed[f"{layer}.{part}"] = tensor * 2 if part == "conv.weight" else tensor
        if part == "conv.weight":
            gain = 1.0 if layer == "output" else 2**0.5
            renamed[f"{layer}.wscale.scale"] = torch.tensor([gain / tensor[0].numel() ** 0.5 / 2])
    return renamed


def _akanimax_v2(content: Any) -> Any:
    renamed = {}
    for name, tensor in content["shadow_generator"]["state_dict"].items():
        part, number, rest = name.split(".", 2)
        if part == "layers":
            name = f"initial_block.{rest}" if number == "0" else f"layers.{int(number) - 1}.{rest}"
        renamed[f"module.{name}"] = tensor
    return renamed


SAMPLES: dict[str, tuple[str, str, Callable[[Any], Any] | None]] = {
    "tkarras": ("tkarras_64_narrow.pkl", "tkarras", None),
    "gan_zoo": ("ganzoo_32_alpha025.pth", "gan_zoo", None),
    "genforce": ("genforce_64_narrow_fused.pth", "genforce", None),
    "mmgen": ("mmgen_128_narrow.pth", "mmgen", None),
    "gandissect": ("gandissect_64.pth", "gandissect", None),
    "akanimax_v3": ("akanimax_32_noeql.bin", "akanimax_v3", None),
    "huggan": ("genforce_64_narrow_fused.pth", "huggan", _genforce_flat),
    "higan": ("genforce_64_narrow_fused.pth", "interfacegan", _higan),
    "interfacegan": ("gandissect_64.pth", "interfacegan", _interfacegan),
    "ptrblck": ("gandissect_64.pth", "ptrblck", _ptrblck),
    "akanimax_v2": ("akanimax_32_noeql.bin", "akanimax_v2", _akanimax_v2),
}
"""Name -> (vector, layout, what turns it into the same network of another layout; None: it is of this one)."""


@pytest.fixture(params=SAMPLES)
def sample(request, real_data, tmp_path) -> Sample:
    """A file of each layout: a published family's vector, or the same network under another family's names."""
    file, layout, rename = SAMPLES[request.param]
    path = real_data / "zoo_vectors" / file
    vectors = np.load(path.with_suffix(".npz"))
    if rename is not None:
        content = rename(read_file(path))
        path = tmp_path / "checkpoint"
        torch.save(content, path)
    return Sample(path, layout, torch.from_numpy(vectors["z"]), vectors["images"])


@pytest.fixture
def layouts_of() -> Callable[[Path], list[str]]:
    """The names of the layouts that recognise a file."""

    def names(path: Path) -> list[str]:
        content = read_file(path)
        return [layout.NAME for layout in LAYOUTS if layout.recognises(content)]

    return names


@pytest.fixture
def refuses_damage(tmp_path) -> Callable[..., None]:
    """A check that a file is refused, in one line, with any tensor missing, of another shape, NaN, or one too many."""

    def check(
        tensors: dict[str, Tensor],
        wrap: Callable[[dict[str, Tensor]], Any],
        network: str = "generator",
        free: str = "",  # tensors that are not used, or whose length nothing else in the file tells
    ) -> None:
        path = tmp_path / "damaged"

        def refused(damaged: dict[str, Tensor], what: str) -> None:
            torch.save(wrap(damaged), path)
            with pytest.raises(CheckpointImportError) as failure:
                import_checkpoint(path, network)
                pytest.fail(f"imported with {what}")
            assert str(path) in str(failure.value) and "\n" not in str(failure.value), what

        torch.save(wrap(tensors), path)
        import_checkpoint(path, network)
        for name, tensor in tensors.items():
            refused({key: value for key, value in tensors.items() if key != name}, f"no {name}")
            if tensor.ndim and not (free and name.startswith(free)):
                refused({**tensors, name: tensor[:, None]}, f"{name} with a dimension more")
                refused({**tensors, name: torch.cat([tensor, tensor])}, f"{name} twice as long")
                refused({**tensors, name: tensor[:0]}, f"{name} empty")
                refused({**tensors, name: torch.full_like(tensor, torch.nan)}, f"{name} of NaN")
                refused({**tensors, name: tensor.long()}, f"{name} of whole numbers")
        refused({**tensors, "layer99.extra": torch.zeros(3)}, "a tensor more")

    return check


@pytest.fixture(scope="session")
def one_pair():
    """A function: the two networks of a file share a config, and the discriminator scores as it does alone."""

    def check(path: Path, images: Tensor) -> None:
        found = import_networks(path)
        assert found.generator.config == found.discriminator.config
        alone = import_checkpoint(path, "discriminator")(images)
        torch.testing.assert_close(found.discriminator(images), alone, rtol=0, atol=0)

    return check
