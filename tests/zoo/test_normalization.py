"""Batch and layer normalization, He's initial weights and minibatch discrimination, against plain formulas."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo import weights
from zoo.layers import EqualizedConv2d, EqualizedLinear
from zoo.normalization import BatchNorm, LayerNorm, MinibatchDiscrimination, normalized_conv
from zoo.progan import Discriminator, Generator, ProGANConfig

TINY = {"resolution": 8, "latent_size": 8, "fmap_base": 32, "fmap_max": 8}


def test_batch_norm_in_training_is_torchs_and_sets_have_statistics_of_their_own():
    x = torch.randn(6, 4, 3, 3) * 3 + 1
    norm = BatchNorm(4)
    norm.gain.data.normal_()
    expected = torch.cat([F.batch_norm(part, None, None, norm.gain, None, True, eps=1e-4) for part in x.chunk(2)])
    torch.testing.assert_close(norm(x, sets=2), expected)


def test_running_statistics_are_of_all_sets():
    x, norm = torch.randn(6, 4, 3, 3) * 3 + 1, BatchNorm(4)
    x[3:] += 5
    norm(x, sets=2)
    torch.testing.assert_close(norm.mean, 0.1 * x.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(norm.variance, 0.9 + 0.1 * sum(part.var((0, 2, 3), False) for part in x.chunk(2)) / 2)


def test_running_statistics_move_a_tenth_where_gradients_are_wanted_and_are_used_in_evaluation():
    x, norm = torch.randn(8, 4, 3, 3) * 3 + 1, BatchNorm(4)
    with torch.no_grad():
        norm(x)
    assert norm.mean.abs().max() == 0
    norm(x)
    torch.testing.assert_close(norm.mean, 0.1 * x.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(norm.variance, 0.9 + 0.1 * x.var(dim=(0, 2, 3), unbiased=False))
    expected = F.batch_norm(x, norm.mean, norm.variance, norm.gain, None, False, eps=1e-4)
    torch.testing.assert_close(norm.eval()(x), expected)


def test_layer_norm_is_torchs_with_one_gain_and_the_layers_bias_comes_after_it():
    x, norm, conv = torch.randn(3, 4, 5, 5), LayerNorm(), EqualizedConv2d(4, 6, 3)
    norm.gain.data.fill_(1.7)
    conv.bias.data.normal_()
    linear = F.conv2d(x, conv.scaled_weight(torch.float32), padding=1)
    expected = 1.7 * F.layer_norm(linear, linear.shape[1:], eps=1e-4) + conv.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(normalized_conv(conv, norm, x), expected)


def test_minibatch_discrimination_is_salimans_formula_in_numpy_within_each_set():
    torch.manual_seed(0)
    layer, x = MinibatchDiscrimination(6, kernels=3), torch.randn(8, 6)
    layer.log_scale.data.normal_()
    theta = layer.weight.detach().double().numpy().reshape(3, 5, 6)
    scale = layer.log_scale.detach().double().numpy().reshape(3, 5)
    found = layer(x, sets=2).detach().numpy()
    for n in range(8):
        for kernel in range(3):
            near = -1.0
            for other in range(n // 4 * 4, n // 4 * 4 + 4):
                if other != n:
                    direction = theta[kernel] / np.linalg.norm(theta[kernel], axis=1, keepdims=True)
                    difference = direction @ (x[n] - x[other]).double().numpy() * np.exp(scale[kernel])
                    near += np.exp(-np.abs(difference).sum())
            assert found[n, 6 + kernel] == pytest.approx(near, rel=1e-4)
    np.testing.assert_array_equal(found[:, :6], x.numpy())


def test_without_equalized_rate_the_first_images_are_the_same_and_the_weights_carry_hes_constant():
    def generator(**changes):
        torch.manual_seed(0)
        return Generator(ProGANConfig(**TINY, **changes))

    one, other, z = generator(), generator(equalized=False), torch.randn(2, 8)
    torch.testing.assert_close(one(z), other(z))
    layers = [m for m in other.modules() if isinstance(m, EqualizedConv2d | EqualizedLinear)]
    assert len(layers) == 6 and all(layer.scale == 1 for layer in layers)
    wide = EqualizedConv2d(64, 128, 3, equalized=False)
    assert wide.weight.std().item() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.02)


def test_a_model_with_batch_norm_is_saved_with_its_statistics_and_generates_one_face_as_among_many(tmp_path):
    generator = Generator(
        ProGANConfig(**TINY, generator_norm="batch", pixelnorm="none", tanh=True, generator_slope=0.0)
    )
    for _ in range(3):
        generator(torch.randn(16, 8))
    generator.eval()
    weights.save(generator, tmp_path)
    loaded, z = weights.load(tmp_path), torch.randn(4, 8)
    torch.testing.assert_close(loaded(z), generator(z), rtol=0, atol=0)
    torch.testing.assert_close(loaded(z)[:1], loaded(z[:1]))
    assert loaded.blocks["8x8"].norm1.mean.abs().max() > 0


@pytest.mark.parametrize("fields", [{"discriminator_norm": "layer"}, {"minibatch_discrimination": 3}])
def test_scores_of_a_set_do_not_depend_on_the_sets_beside_it(fields):
    discriminator, images = Discriminator(ProGANConfig(**TINY, **fields)), torch.randn(8, 3, 8, 8)
    for p in discriminator.parameters():
        p.data += 0.1 * torch.randn_like(p)
    together = discriminator(images, sets=2)
    torch.testing.assert_close(together[4:], discriminator(images[4:]), rtol=1e-4, atol=1e-5)


def test_old_configs_read_as_they_were_and_nothing_new_is_written_for_the_papers_network():
    new = {"equalized", "generator_norm", "discriminator_norm", "minibatch_discrimination"}
    assert not new & set(ProGANConfig(**TINY).to_dict())
    changed = ProGANConfig(**TINY, generator_norm="batch", equalized=False)
    assert ProGANConfig.from_dict(changed.to_dict()) == changed
