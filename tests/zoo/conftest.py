"""What the tests of the zoo share: random numbers, biases that hide no mistake."""

import logging
from pathlib import Path

import pytest
import torch

from zoo.catalog import Entry, Source
from zoo.importers import CheckpointImportError, import_checkpoint, import_networks


def with_random_biases(network):
    """A new network's biases are zero, and a zero hides mistakes."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return network


@pytest.fixture(name="with_random_biases", scope="session")
def with_random_biases_fixture():
    return with_random_biases


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.fixture
def logged():
    """What the zoo's functions say while a test runs: a list of lines."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("celebahq.zoo")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def entry_of():
    """A function: sources and a name -> an entry as the catalogue has them."""

    def make(*sources: Source, name: str = "faces-32.faulty") -> Entry:
        return Entry(
            name=name, dataset="faces", resolution=32, origin="test", family="test", publisher="us", home="",
            license="CC-BY-NC-4.0", data_license="CelebA: non-commercial", non_commercial=True, quality="",
            citation="", architecture=None, sources=sources,
        )  # fmt: skip

    return make


@pytest.fixture
def gan_zoo_state() -> dict[str, torch.Tensor]:
    """The whole state dict of a 4x4 generator of pytorch_GAN_zoo."""
    whole = {"formatLayer": (96, 5), "groupScale0.0": (6, 6, 3, 3), "toRGBLayers.0": (3, 6, 1, 1)}
    found = {f"{name}.weight": torch.randn(shape) for name, shape in whole.items()}
    return found | {f"{name}.bias": torch.randn(shape[0]) for name, shape in whole.items()}


@pytest.fixture(scope="session")
def refused():
    """A function: imports a file both ways and returns the reason, one line that names it and can be shown as it is."""

    def reason(path: Path, match: str | None = None) -> str:
        for use in (import_checkpoint, import_networks):
            with pytest.raises(CheckpointImportError, match=match) as failure:
                use(path)
        message = str(failure.value)
        assert message.startswith(f"{path}: ") and message.isprintable()
        return message

    return reason
