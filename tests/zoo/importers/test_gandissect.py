"""gandissect and ganseeing: imported generators generate as those programs define them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint


def normalized(x):
    return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def generate(p, z):
    """A chain of: normalize, (double,) convolve, scale, bias, activate; then the one output layer."""
    count, x = sum(key.startswith("layer") and key.endswith("weight") for key in p), z[:, :, None, None]
    for n in range(1, count + 1):
        w, x = p[f"layer{n}.conv.weight"], normalized(x)
        x = F.interpolate(x, scale_factor=2) if n > 1 and n % 2 else x
        x = F.conv2d(x, w, padding=3 if n == 1 else 1) * (2**0.5 / w.shape[-1] / w.shape[1] ** 0.5)
        x = F.leaky_relu(x + p[f"layer{n}.wscale.b"][:, None, None], 0.2)
    side = x.shape[-1]
    w = p[f"output_{side}x{side}.conv.weight"]
    return F.conv2d(normalized(x), w) / w.shape[1] ** 0.5 + p[f"output_{side}x{side}.wscale.b"][:, None, None]


def weights(seed, widths, latent=10):
    random, p = torch.Generator().manual_seed(seed), {}

    def layer(name, width, inputs, kernel):
        p[f"{name}.conv.weight"] = torch.randn(width, inputs, kernel, kernel, generator=random)
        p[f"{name}.wscale.b"] = torch.randn(width, generator=random) * 0.3

    for n in range(2 * len(widths)):
        inputs = latent if n == 0 else widths[(n - 1) // 2]
        layer(f"layer{n + 1}", widths[n // 2], inputs, 3 if n else 4)
    side = 4 << (len(widths) - 1)
    layer(f"output_{side}x{side}", 3, widths[-1], 1)
    return p


@pytest.mark.parametrize("widths", [(12,), (12, 12, 8), (7, 13, 5, 11)])
@pytest.mark.parametrize("wrapped", [False, True], ids=["flat", "in state_dict"])
def test_generator_generates_as_the_program_defines_it(tmp_path, widths, wrapped):
    p, path = weights(1, widths), tmp_path / "proggan_kitchen-67f1e16c.pth"
    torch.save({"state_dict": p} if wrapped else p, path)
    for size in (1.0, 1e-4, 0.0):
        z = size * torch.randn(3, 10)
        torch.testing.assert_close(import_checkpoint(path)(z), generate(p, z), atol=1e-4, rtol=0)


def test_published_vector_is_generated(real_data):
    vectors = np.load(real_data / "zoo_vectors/gandissect_64.npz")
    images = import_checkpoint(real_data / "zoo_vectors/gandissect_64.pth")(torch.from_numpy(vectors["z"]))
    np.testing.assert_allclose(images.numpy(), vectors["images"], atol=1e-4)


def test_there_is_no_discriminator_and_the_error_says_so(tmp_path):
    torch.save(weights(1, (12, 8)), tmp_path / "g.pth")
    with pytest.raises(CheckpointImportError, match="discriminator"):
        import_checkpoint(tmp_path / "g.pth", network="discriminator")


def test_a_damaged_file_is_refused(refuses_damage):
    refuses_damage(weights(1, (9, 7)), lambda damaged: {"state_dict": damaged})
