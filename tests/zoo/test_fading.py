"""The weight of a block that fades in counts as it is given, whatever the features are kept in."""

import pytest
import torch

from train.gradient_penalty import input_gradient, input_gradient_by_double_backward
from zoo.fading import blend, weighted
from zoo.progan import Discriminator, ProGANConfig


@pytest.mark.parametrize("alpha", [0.50123, 0.0009, 0.99951])
def test_alpha_counts_in_float32_where_features_are_bf16(alpha):
    random = torch.Generator().manual_seed(0)
    coarse, fine = (torch.rand(4096, generator=random).add(k).bfloat16() for k in (0, 1))
    rounded_once = torch.lerp(coarse.float(), fine.float(), torch.tensor(alpha)).bfloat16()
    assert torch.equal(blend(coarse, fine, torch.tensor(alpha)), rounded_once)
    assert torch.equal(blend(coarse, fine, alpha), rounded_once)


def test_blend_of_float32_is_lerp_bit_for_bit_and_weighted_its_adjoint():
    coarse, fine, alpha = torch.randn(64, requires_grad=True), torch.randn(64, requires_grad=True), torch.tensor(0.3)
    out = blend(coarse, fine, alpha)
    assert torch.equal(out, torch.lerp(coarse, fine, alpha))
    g = torch.randn(64)
    expected = torch.autograd.grad(out, (coarse, fine), g)
    for mine, theirs in zip((weighted(g, 1 - alpha), weighted(g, alpha)), expected, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert weighted(g.bfloat16(), alpha).dtype == torch.bfloat16


def test_first_and_last_images_of_a_fade_differ_in_bf16_too():
    coarse, fine = torch.zeros(1, dtype=torch.bfloat16), torch.ones(1, dtype=torch.bfloat16)
    at = [blend(coarse, fine, torch.tensor(x)).item() for x in (0.0, 0.0001, 0.001, 0.002)]
    assert at == pytest.approx([0, 0.0001, 0.001, 0.002], rel=0.005)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_penalty_takes_the_gradient_of_the_same_blend(dtype):
    torch.manual_seed(0)
    discriminator = Discriminator(ProGANConfig(resolution=8, latent_size=8, fmap_base=64, fmap_max=16))
    discriminator.compute_dtype = dtype
    images, alpha, tape = torch.randn(4, 3, 8, 8), torch.tensor(0.50123), []
    discriminator(images, alpha=alpha, tape=tape)
    adjoint = input_gradient(discriminator, tape, 4, alpha).float()
    oracle = input_gradient_by_double_backward(discriminator, images, alpha).float()
    scale = oracle.abs().mean().item()
    torch.testing.assert_close(adjoint, oracle, rtol=0, atol=scale * (1e-4 if dtype == torch.float32 else 0.2))
