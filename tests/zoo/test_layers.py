"""The layers against the definitions in the paper, computed another way."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    downsample,
    leaky_relu,
    minibatch_stddev,
    pixel_norm,
    upsample,
)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("gain", "variance"), [(1.0, 1.0), (math.sqrt(2), 2.0)])
def test_equalized_convolution_keeps_unit_variance_times_gain_squared(gain, variance):
    conv = EqualizedConv2d(64, 256, 3, gain=gain)
    out = conv(torch.randn(8, 64, 10, 10))[:, :, 1:-1, 1:-1]  # the padding's zeros are not unit variance
    assert out.var().item() == pytest.approx(variance, rel=0.05)


def test_equalized_dense_layer_keeps_unit_variance():
    out = EqualizedLinear(512, 512, gain=1.0)(torch.randn(256, 512))
    assert out.var().item() == pytest.approx(1.0, rel=0.05)


def test_weights_start_as_standard_normal_and_biases_at_zero():
    for layer in (EqualizedConv2d(64, 64, 3), EqualizedLinear(256, 256)):
        assert layer.weight.std().item() == pytest.approx(1.0, rel=0.05)
        assert not layer.bias.any()


def test_bias_is_not_scaled():
    conv, dense = EqualizedConv2d(9, 2, 3), EqualizedLinear(9, 2)
    with torch.no_grad():
        conv.bias.fill_(3.0)
        dense.bias.fill_(3.0)
    assert (conv(torch.zeros(1, 9, 4, 4)) == 3).all()
    assert (dense(torch.zeros(1, 9)) == 3).all()


def test_scale_is_a_constant_and_not_part_of_the_weights():
    assert set(EqualizedConv2d(2, 3, 3).state_dict()) == {"weight", "bias"}


def test_leaky_relu_has_slope_one_fifth():
    torch.testing.assert_close(leaky_relu(torch.tensor([-5.0, 0.0, 5.0])), torch.tensor([-1.0, 0.0, 5.0]))


def test_pixel_norm_gives_each_pixel_unit_mean_square():
    out = pixel_norm(torch.randn(2, 32, 5, 5) * torch.rand(1, 1, 5, 5) * 10)
    torch.testing.assert_close(out.square().mean(1), torch.ones(2, 5, 5), rtol=1e-4, atol=1e-4)


def test_pixel_norm_keeps_its_epsilon():
    # b = a / sqrt(mean(a^2) + 1e-8): with every a = 1e-4 the two terms of the root are equal
    torch.testing.assert_close(pixel_norm(torch.full((1, 8), 1e-4)), torch.full((1, 8), math.sqrt(0.5)))
    assert not pixel_norm(torch.zeros(1, 8)).any()


def test_epsilon_outside_the_root_is_added_to_the_rms():
    x = torch.tensor([[3e-3, -4e-3]])
    expected = x / (math.sqrt((9e-6 + 16e-6) / 2) + 1e-3)
    torch.testing.assert_close(pixel_norm(x, 1e-3, outside_root=True), expected)
    assert not pixel_norm(torch.zeros(1, 8), 1e-6, outside_root=True).any()


def test_pixel_norm_takes_its_statistics_in_float32():
    x = (torch.randn(4, 512, 2, 2) * 7).bfloat16()
    expected = x.double() / (x.double().square().mean(1, keepdim=True) + 1e-8).sqrt()
    out = pixel_norm(x)
    assert out.dtype == torch.bfloat16
    # two roundings to bfloat16 (2^-9 each): the statistics add nothing to them
    torch.testing.assert_close(out.double(), expected, rtol=2.1 * 2**-8, atol=0)


def test_downsampling_is_the_adjoint_of_upsampling_up_to_the_area():
    x, y = torch.randn(2, 3, 4, 4, dtype=torch.double), torch.randn(2, 3, 8, 8, dtype=torch.double)
    torch.testing.assert_close((upsample(x) * y).sum(), 4 * (x * downsample(y)).sum())
    torch.testing.assert_close(downsample(upsample(x)), x)


def test_resampling_repeats_and_averages_whole_pixels():
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[None, None]
    expected = np.repeat(np.repeat(x[0, 0].numpy(), 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(upsample(x)[0, 0].numpy(), expected)
    assert downsample(x).item() == 2.5


def stddev_by_definition(x: np.ndarray, groups: list[list[int]], ddof: int = 0) -> np.ndarray:
    """One value a sample, by loops: stddev of each feature and pixel over the group, averaged over both."""
    value = np.zeros(len(x))
    _, channels, height, width = x.shape
    for group in groups:
        total = 0.0
        for c in range(channels):
            for i in range(height):
                for j in range(width):
                    total += math.sqrt(np.var([x[n, c, i, j] for n in group], ddof=ddof) + 1e-8)
        value[group] = total / (channels * height * width)
    return value


@pytest.mark.parametrize(
    ("group_size", "groups"),
    [
        (None, [[0, 1, 2, 3, 4, 5, 6, 7]]),  # the paper: the whole minibatch
        (4, [[0, 2, 4, 6], [1, 3, 5, 7]]),  # the released program: sample n in group n mod 2
        (2, [[0, 4], [1, 5], [2, 6], [3, 7]]),
        (16, [[0, 1, 2, 3, 4, 5, 6, 7]]),  # a minibatch smaller than the group is one group
    ],
)
def test_minibatch_stddev_follows_its_definition(group_size, groups):
    x = torch.randn(8, 3, 4, 4) * torch.arange(1, 9)[:, None, None, None]
    out = minibatch_stddev(x, group_size)
    assert out.shape == (8, 4, 4, 4)
    torch.testing.assert_close(out[:, :3], x)
    expected = stddev_by_definition(x.double().numpy(), groups)
    np.testing.assert_allclose(out[:, 3].numpy(), np.broadcast_to(expected[:, None, None], (8, 4, 4)), rtol=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_groups_of_neighbours_and_unbiased_variances_follow_their_definition(unbiased):
    x = torch.randn(8, 3, 4, 4) * torch.arange(1, 9)[:, None, None, None]
    out = minibatch_stddev(x, 4, contiguous=True, unbiased=unbiased)
    expected = stddev_by_definition(x.double().numpy(), [[0, 1, 2, 3], [4, 5, 6, 7]], ddof=int(unbiased))
    np.testing.assert_allclose(out[:, 3].numpy(), np.broadcast_to(expected[:, None, None], (8, 4, 4)), rtol=1e-5)


def test_an_unbiased_stddev_of_one_sample_is_zero():
    assert not minibatch_stddev(torch.randn(1, 3, 4, 4), 4, contiguous=True, unbiased=True)[:, 3].any()


@pytest.mark.parametrize(("group_size", "contiguous"), [(None, False), (4, False), (4, True)])
def test_merged_sets_never_share_a_group(group_size, contiguous):
    sets = [torch.randn(8, 3, 4, 4) * scale for scale in (1, 5, 25)]
    merged = minibatch_stddev(torch.cat(sets), group_size, 3, contiguous)
    torch.testing.assert_close(merged, torch.cat([minibatch_stddev(x, group_size, 1, contiguous) for x in sets]))


def test_minibatch_stddev_refuses_a_broken_group():
    with pytest.raises(ValueError, match="minibatch: got 6 samples, expected whole groups of 4 for its stddev"):
        minibatch_stddev(torch.randn(6, 1, 4, 4), 4)


def test_minibatch_stddev_of_equal_samples_has_a_finite_gradient():
    x = torch.ones(4, 2, 4, 4, requires_grad=True)
    minibatch_stddev(x)[:, 2].sum().backward()
    assert x.grad.isfinite().all()


def test_fused_upscale_of_the_released_program_is_upsampling_then_convolving():
    # networks.py of the released program: one transposed 4x4 convolution of stride 2, its kernel four shifted 3x3s
    x, conv = torch.randn(2, 5, 6, 6), EqualizedConv2d(5, 7, 3)
    kernel = F.pad(conv.weight * math.sqrt(2) / math.sqrt(5 * 9), (1, 1, 1, 1)).flip(2, 3).transpose(0, 1)
    kernel = kernel[..., 1:, 1:] + kernel[..., :-1, 1:] + kernel[..., 1:, :-1] + kernel[..., :-1, :-1]
    fused = F.conv_transpose2d(x, kernel, stride=2, padding=1)
    torch.testing.assert_close(conv(upsample(x)), fused, rtol=1e-4, atol=1e-5)
