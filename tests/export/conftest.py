"""Small generators to export, with every weight and bias random: a new network's zero biases would hide mistakes."""

import pytest
import torch

from zoo import weights
from zoo.progan import Generator, ProGANConfig

TINY = {"resolution": 16, "latent_size": 32, "fmap_base": 128, "fmap_max": 16}


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
    from export.to_onnx import export_onnx

    return export_onnx(model, model.parent / "faces.onnx").path
