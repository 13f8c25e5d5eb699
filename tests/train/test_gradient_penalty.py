"""The written-out adjoint against autograd's double backward, the oracle."""

import pytest
import torch

from train.gradient_penalty import input_gradient, input_gradient_by_double_backward
from zoo.progan import Discriminator, ProGANConfig

FOREIGN = [
    {"stddev": "contiguous", "stddev_unbiased": True, "stddev_remainder": "batch", "discriminator_fades_from": 16},
    {"stddev": "contiguous", "stddev_unbiased": True, "stddev_group": 1, "discriminator_slope": 0.1},
    {"stddev": "none", "pool_first": True, "discriminator_slope": 0.0},
    {"discriminator_conv": False, "stddev": "strided", "discriminator_hidden": 7},
    {"widths": (12, 10, 6), "stddev_unbiased": True},
    {"from_rgb_slope": 1.0},
]
"""What the discriminators of other programs differ in: see zoo.importers."""


def critic(variant: str, label_size: int = 0, **foreign) -> Discriminator:
    torch.manual_seed(0)
    config = ProGANConfig(resolution=16, fmap_base=64, fmap_max=12, variant=variant, label_size=label_size, **foreign)
    discriminator = Discriminator(config)
    for p in discriminator.parameters():
        if p.ndim == 1:
            p.data.normal_()  # zero biases would hide a missing one
    return discriminator


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("label_size", [0, 3])
@pytest.mark.parametrize(
    ("resolution", "alpha"), [(4, 1.0), (8, 1.0), (16, 1.0), (8, 0.2), (16, 0.37), (16, torch.tensor(1.0))]
)
def test_adjoint_equals_double_backward_in_value_and_in_every_weights_gradient(variant, label_size, resolution, alpha):
    check_adjoint(critic(variant, label_size), torch.randn(8, 3, resolution, resolution), alpha)


@pytest.mark.parametrize(("resolution", "alpha"), [(4, 1.0), (8, 0.2), (16, torch.tensor(0.6))])
@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda fields: ",".join(fields))
def test_adjoint_holds_for_discriminators_of_other_programs(foreign, resolution, alpha):
    check_adjoint(critic("paper", **foreign), torch.randn(8, 3, resolution, resolution), alpha)


def test_adjoint_holds_where_a_batch_fills_no_whole_groups():
    foreign = {"stddev": "contiguous", "stddev_unbiased": True, "stddev_remainder": "batch"}
    check_adjoint(critic("paper", **foreign), torch.randn(6, 3, 8, 8), 1.0)


def check_adjoint(discriminator: Discriminator, images: torch.Tensor, alpha: torch.Tensor | float) -> None:
    oracle = input_gradient_by_double_backward(discriminator, images, alpha)
    tape = []
    discriminator(images, alpha=alpha, tape=tape)
    gradient = input_gradient(discriminator, tape, len(images), alpha)
    torch.testing.assert_close(gradient, oracle, rtol=1e-4, atol=1e-6)

    found, wanted = (
        torch.autograd.grad(
            (g.square().sum(dim=(1, 2, 3)).sqrt() - 1).square().mean(),
            list(discriminator.parameters()),
            allow_unused=True,
            materialize_grads=True,
        )
        for g in (gradient, oracle)
    )
    for (name, _), a, b in zip(discriminator.named_parameters(), found, wanted, strict=True):
        torch.testing.assert_close(
            a, b, rtol=1e-3, atol=1e-5 * max(1.0, b.abs().max().item()), msg=lambda m, n=name: f"{n}: {m}"
        )


def test_adjoint_of_the_last_set_of_a_merged_batch_is_that_of_the_set_alone():
    discriminator = critic("released")
    images = torch.randn(12, 3, 16, 16)
    merged, alone = [], []
    discriminator(images, alpha=0.5, sets=3, tape=merged)
    discriminator(images[8:], alpha=0.5, tape=alone)
    torch.testing.assert_close(
        input_gradient(discriminator, merged, 4, 0.5),
        input_gradient(discriminator, alone, 4, 0.5),
        rtol=1e-4,
        atol=1e-6,
    )


def test_penalty_sees_through_minibatch_stddev():
    """Cross-sample terms: another sample's pixels change a sample's input gradient."""
    discriminator = critic("paper")
    images = torch.randn(4, 3, 4, 4)
    changed = images.clone()
    changed[3] += 1
    gradients = []
    for x in (images, changed):
        tape = []
        discriminator(x, tape=tape)
        gradients.append(input_gradient(discriminator, tape, 4, 1.0)[0])
    assert (gradients[0] - gradients[1]).abs().max() > 1e-6


@pytest.mark.slow
def test_adjoint_compiles_as_one_graph():
    discriminator = critic("paper")

    def loss(images):
        tape = []
        scores = discriminator(images, alpha=0.5, tape=tape)
        return scores.mean() + input_gradient(discriminator, tape, 4, 0.5).square().mean()

    images = torch.randn(4, 3, 8, 8)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(images), loss(images))
    weights = list(discriminator.blocks["8x8"].parameters())
    for a, b in zip(
        torch.autograd.grad(compiled(images), weights), torch.autograd.grad(loss(images), weights), strict=True
    ):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)
