"""How a test runs the command, and small generators to export.

Every weight and bias of them is random: a new network's zero biases would hide mistakes.
"""

import numpy as np
import pytest
import torch
from PIL import Image

from export.__main__ import main
from zoo import weights
from zoo.progan import Generator, ProGANConfig

TINY = {"resolution": 16, "latent_size": 32, "fmap_base": 128, "fmap_max": 16}


def images(*args) -> None:
    try:
        main(["images", *map(str, args)])
    except SystemExit as end:
        if end.code:
            raise


def refusal(capsys, *args) -> str:
    """What the command says when it ends with exit code 2: one line."""
    capsys.readouterr()  # what was said before
    with pytest.raises(SystemExit) as error:
        images(*args)
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and message.startswith("python -m export: ")
    return message.removeprefix("python -m export: ").strip()


def read_image(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


@pytest.fixture(scope="session")
def save_model():
    """A function (folder, seed, **architecture) that writes a model folder and returns it."""

    def save(folder, seed=0, **architecture):
        torch.manual_seed(seed)
        generator = Generator(ProGANConfig(**{**TINY, **architecture}))
        for name, parameter in generator.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(parameter, std=0.3)
        training = {"dataset": "/home/somebody/data/celebahq.h5", "nimg": 1000}
        weights.save(generator, folder, license="CC-BY-NC-4.0", training=training)
        return folder

    return save


@pytest.fixture(scope="session")
def model(save_model, tmp_path_factory):
    """A model folder that no test may change."""
    return save_model(tmp_path_factory.mktemp("export") / "model")


@pytest.fixture(scope="session")
def onnx_file(model):
    """Its .onnx, made by the command's own function."""
    from export.onnx_export.to_onnx import export_onnx

    return export_onnx(model, model.parent / "faces.onnx").path


@pytest.fixture(name="images", scope="session")
def images_fixture():
    return images


@pytest.fixture(name="refusal", scope="session")
def refusal_fixture():
    return refusal


@pytest.fixture(name="read_image", scope="session")
def read_image_fixture():
    return read_image
