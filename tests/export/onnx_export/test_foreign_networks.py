"""ONNX of networks that other programs trained: every switch of their configs, in onnxruntime as in PyTorch."""

import numpy as np
import pytest
import torch

from export.onnx_export.to_onnx import export_onnx
from export.sample import load_onnx
from zoo import weights
from zoo.progan import Generator, ProGANConfig

TINY = {"resolution": 16, "latent_size": 12, "fmap_base": 64, "fmap_max": 10}
SWITCHES = {
    "as pytorch_GAN_zoo, half grown": {
        "per_pixel_bias": True, "tanh": True, "lod": 0.25, "generator_slope": 0.1, "widths": (10, 7, 5),
    },
    "as mmgen and akanimax, labelled and gray": {
        "pixelnorm": "not_first", "epsilon_outside_root": True, "latent_epsilon": 1e-6, "pixelnorm_epsilon": 1e-5,
        "latent_norm": "both", "label_size": 3, "image_channels": 1,
    },
    "nothing normalized, ReLU, a resolution short": {
        "pixelnorm": "none", "latent_norm": "none", "generator_slope": 0.0, "lod": 1.5,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", SWITCHES)
def test_onnx_generates_what_pytorch_generates(tmp_path, name):
    torch.manual_seed(0)
    generator = Generator(ProGANConfig(**TINY, **SWITCHES[name]))
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter)
    weights.save(generator, tmp_path)
    report = export_onnx(tmp_path)
    latents = [torch.randn(3, 12), torch.zeros(3, 12), 1e-4 * torch.randn(3, 12)]  # where an epsilon shows
    inputs = [torch.eye(3)] if generator.config.label_size else []
    generate = load_onnx(report.path, device="cpu")
    for z in latents:
        with torch.no_grad():
            ours = generator(z, *inputs).numpy()
        np.testing.assert_allclose(generate(z.numpy(), *[x.numpy() for x in inputs]), ours, atol=1e-4)
    assert ours.shape == (3, generator.config.image_channels, 16, 16)
