"""The two official ProGANs: the released program's own images, and forwards written another way."""

import math
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.network_inputs import concat_label
from zoo.progan import Discriminator, Generator, ProGANConfig

TINY = ProGANConfig(resolution=16, latent_size=8, fmap_base=32, fmap_max=8)
BOTH_VARIANTS = pytest.mark.parametrize("variant", ["paper", "released"])


def tiny(**changes) -> ProGANConfig:
    return ProGANConfig(**{**TINY.to_dict(), **changes})


class _ReleasedNetwork:
    """What the released pickles hold, as plain data: the code inside is never run."""

    def __setstate__(self, state):
        self.variables = dict(state["variables"])


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) == ("tfutil", "Network"):
            return _ReleasedNetwork
        if module.startswith("numpy") and name in ("_reconstruct", "ndarray", "dtype", "scalar"):
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        raise pickle.UnpicklingError(f"{module}.{name}")


def test_generator_generates_what_the_released_program_generated(real_data):
    with (real_data / "zoo_vectors" / "tkarras_64_narrow.pkl").open("rb") as file:
        variables = _Unpickler(file, encoding="latin1").load()[2].variables
    vectors = np.load(real_data / "zoo_vectors" / "tkarras_64_narrow.npz")
    config = ProGANConfig(resolution=64, latent_size=48, fmap_base=1024, fmap_max=48, variant="released")
    theirs = {}
    for resolution in config.resolutions:
        size = f"{resolution}x{resolution}"
        rgb = f"ToRGB_lod{int(math.log2(64 // resolution))}"
        theirs[f"to_rgb.{size}"] = rgb
        layers = {"dense": "Dense", "conv": "Conv"} if resolution == 4 else {"conv0": "Conv0", "conv1": "Conv1"}
        theirs |= {f"blocks.{size}.{ours}": f"{size}/{name}" for ours, name in layers.items()}
    state = {}
    for ours, name in theirs.items():
        weight = variables[f"{name}/weight"]  # (in, out) or (height, width, in, out)
        state[f"{ours}.weight"] = torch.from_numpy(weight.T if weight.ndim == 2 else weight.transpose(3, 2, 0, 1))
        state[f"{ours}.bias"] = torch.from_numpy(variables[f"{name}/bias"])
    generator = Generator(config)
    generator.load_state_dict(state)
    with torch.no_grad():
        images = generator(torch.from_numpy(vectors["z"])).numpy()
    assert np.abs(images - vectors["images_tf"]).max() < 1e-4


def plain_discriminator(weights: dict[str, Tensor], images: Tensor, variant: str) -> Tensor:
    """D written from Table 2 and from the released program's kernels, with nothing of ours but the weights."""

    def layer(name: str, x: Tensor, gain: float = 2.0, pooled: bool = False) -> Tensor:
        weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        weight = weight * (gain / weight[0].numel()) ** 0.5
        if weight.ndim == 2:
            return x.flatten(1) @ weight.T + bias
        if not pooled:
            return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        # convolution and 2x2 mean as one 4x4 convolution of stride 2: the mean of four shifted kernels
        wide = F.pad(weight, (1, 1, 1, 1))
        kernel = (wide[..., 1:, 1:] + wide[..., :-1, 1:] + wide[..., 1:, :-1] + wide[..., :-1, :-1]) / 4
        return F.conv2d(x, kernel, bias, stride=2, padding=1)

    def act(x: Tensor) -> Tensor:
        return torch.where(x > 0, x, 0.2 * x)

    resolution = images.shape[-1]
    x = act(layer(f"from_rgb.{resolution}x{resolution}", images))
    while resolution > 4:
        size = f"blocks.{resolution}x{resolution}"
        x = act(layer(f"{size}.conv0", x))
        if variant == "released":
            x = act(layer(f"{size}.conv1", x, pooled=True))
        else:
            x = act(layer(f"{size}.conv1", x))
            x = x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean((3, 5))
        resolution //= 2
    step = len(x) // 4 if variant == "released" else 1  # groups n, n + step, ... of 4; or all
    value = torch.stack([(x[n % step :: step].var(0, unbiased=False) + 1e-8).sqrt().mean() for n in range(len(x))])
    x = torch.cat([x, value[:, None, None, None].expand(-1, 1, 4, 4)], dim=1)
    x = act(layer("blocks.4x4.dense0", act(layer("blocks.4x4.conv", x))))
    return layer("blocks.4x4.dense1", x, gain=1.0)[:, 0]


@BOTH_VARIANTS
def test_discriminator_scores_as_a_plain_forward_of_its_variant(variant, with_random_biases):
    discriminator = with_random_biases(Discriminator(tiny(variant=variant))).double()
    discriminator.compute_dtype = torch.double
    images = torch.randn(8, 3, 16, 16, dtype=torch.double)
    expected = plain_discriminator(discriminator.state_dict(), images, variant)
    # the minibatch stddev and what follows it are float32 by design
    discriminator.blocks["4x4"].float()
    scores = discriminator(images)
    torch.testing.assert_close(scores.double(), expected, rtol=1e-4, atol=1e-5)


def test_the_two_discriminators_are_different_functions(with_random_biases):
    paper = with_random_biases(Discriminator(tiny(variant="paper", resolution=8)))
    released = Discriminator(tiny(variant="released", resolution=8))
    released.load_state_dict(paper.state_dict())
    images = torch.randn(4, 3, 8, 8)  # one stddev group in both, so that only the order differs
    assert (paper(images) - released(images)).abs().max() > 1e-2


@pytest.mark.parametrize(
    ("variant", "joined"),
    [
        ("paper", lambda z, label: np.concatenate([z / np.sqrt((z**2).mean(1, keepdims=True)), label], 1)),
        (
            "released",
            lambda z, label: (
                np.concatenate([z, label], 1) / np.sqrt((np.concatenate([z, label], 1) ** 2).mean(1, keepdims=True))
            ),
        ),
    ],
)
def test_label_joins_the_latent_as_each_program_does_it(variant, joined):
    z, label = torch.randn(4, 8), torch.eye(3)[[0, 2, 1, 1]]
    found = concat_label(tiny(variant=variant, label_size=3), z, label)
    np.testing.assert_allclose(found.numpy(), joined(z.numpy(), label.numpy()), rtol=1e-5, atol=1e-6)


def test_label_is_wanted_if_and_only_if_the_network_is_conditional():
    with pytest.raises(ValueError, match=r"label: got none, expected \(N, 3\)"):
        Generator(tiny(label_size=3))(torch.randn(2, 8))
    with pytest.raises(ValueError, match=r"label: got \(2, 3\), expected none"):
        Generator(TINY)(torch.randn(2, 8), torch.eye(3)[[0, 1]])


def test_conditional_discriminator_gives_scores_and_logits_from_one_dense_layer():
    discriminator = Discriminator(tiny(label_size=3))
    scores, logits = discriminator(torch.randn(4, 3, 16, 16))
    assert scores.shape == (4,) and logits.shape == (4, 3)
    assert discriminator.blocks["4x4"].dense1.weight.shape == (4, 8)


@BOTH_VARIANTS
def test_merged_sets_score_as_separate_calls(variant, with_random_biases):
    discriminator = with_random_biases(Discriminator(tiny(variant=variant)))
    sets = [torch.randn(4, 3, 16, 16) * scale for scale in (0.5, 1, 2)]
    separate = torch.cat([discriminator(images) for images in sets])
    torch.testing.assert_close(discriminator(torch.cat(sets), sets=3), separate, rtol=1e-4, atol=1e-5)
