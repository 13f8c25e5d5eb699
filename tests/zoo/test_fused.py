"""The fused operations: their derivatives against finite differences, their shapes without data, and each other."""

import pytest
import torch
import torch.nn.functional as F

from zoo import fused, fused_plain
from zoo.layers import upsample

SLOPE = 0.2


def draw(*shape: int, seed: int = 0, dtype=torch.float64, grad: bool = True) -> torch.Tensor:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)
    x = x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
    return x.requires_grad_(grad)


X, G, HALF, BIAS = draw(2, 3, 4, 6), draw(2, 3, 4, 6, seed=1), draw(2, 3, 2, 3, seed=2), draw(3, seed=3)
FIXED_X, FIXED_BIAS = X.detach(), BIAS.detach()
ALPHA = torch.tensor(0.3, dtype=torch.float64)


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (lambda x, b: fused.lrelu(x, b, SLOPE), (X, BIAS)),
        (lambda x, b: fused.lrelu_pixelnorm(x, b, SLOPE, 1e-8)[0], (X, BIAS)),
        (lambda x, b: fused.lrelu_pool(x, b, SLOPE), (X, BIAS)),
        (lambda g: fused.unpool(g, FIXED_X, FIXED_BIAS, SLOPE)[0], (HALF,)),
        (lambda g: fused.pool(g, FIXED_X, FIXED_BIAS, SLOPE), (G,)),
        (lambda a, b: fused.fade(a, b, ALPHA, SLOPE), (X, G)),
        (lambda g: fused.unfade(g, FIXED_X, ALPHA, SLOPE), (G,)),
        (lambda x, w, b: fused.from_rgb(x, w, b, SLOPE), (X, draw(5, 3), draw(5))),
        (lambda w, b: fused.from_rgb(FIXED_X, w, b, SLOPE), (draw(5, 3), draw(5))),
        (lambda g, w: fused.to_rgb(g, FIXED_X, w, SLOPE), (G, draw(3, 2))),
        (lambda x: fused.fold(x, 0.3, torch.float64), (draw(2, 3, 3, 3),)),
        (lambda x: fused.fold(x, 0.3, torch.float64), (draw(2, 3, 4, 4),)),
        (lambda x: fused.scale_cast(x, 0.3, torch.float64), (X,)),
    ],
)
def test_derivative_is_that_of_finite_differences(function, inputs):
    assert torch.autograd.gradcheck(function, inputs)


def test_pool_is_the_adjoint_of_unpool():
    spread, _ = fused.unpool(HALF, FIXED_X, FIXED_BIAS, SLOPE)
    torch.testing.assert_close((spread * G).sum(), (HALF * fused.pool(G, FIXED_X, FIXED_BIAS, SLOPE)).sum())


def test_refade_is_the_adjoint_of_unfade_and_fold_of_itself():
    of_coarse, of_fine = fused.unfade(G, FIXED_X, ALPHA, SLOPE)
    a, b = draw(2, 3, 4, 6, seed=4), draw(2, 3, 4, 6, seed=5)
    back = fused.refade(a, b, FIXED_X, ALPHA, SLOPE)
    torch.testing.assert_close((of_coarse * a + of_fine * b).sum(), (G * back).sum())
    small, large = draw(2, 3, 3, 3), draw(2, 3, 4, 4)
    folded, unfolded = fused.fold(small, 0.3, torch.float64), fused.fold(large, 0.3, torch.float64)
    torch.testing.assert_close((folded * large).sum(), (small * unfolded).sum())


def test_to_rgb_is_the_adjoint_of_what_from_rgb_does_to_colors():
    weight, colors = draw(3, 2, grad=False), draw(2, 2, 4, 6, grad=False)
    y = fused.from_rgb(colors, weight, FIXED_BIAS, SLOPE)
    slopes = torch.where(y > 0, 1.0, SLOPE)
    linear = F.conv2d(colors, weight[:, :, None, None]) * slopes
    back = fused.to_rgb(G.detach(), y, weight, SLOPE)
    torch.testing.assert_close((linear * G).sum(), (colors * back).sum())


def test_a_folded_kernel_enlarges_and_convolves_at_once():
    x, weight = draw(2, 3, 5, 6), draw(4, 3, 3, 3)
    kernel = fused.fold(weight, 0.5, torch.float64).transpose(0, 1)
    at_once = F.conv_transpose2d(x, kernel, stride=2, padding=1)
    torch.testing.assert_close(at_once, F.conv2d(upsample(x), 0.5 * weight, padding=1))


def test_what_differentiates_once_refuses_to_do_so_twice():
    x = draw(1, 3, 2, 2)
    gradient = torch.autograd.grad(fused.lrelu(x, BIAS, SLOPE).square().sum(), x, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        gradient.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_without_data_have_the_shapes_dtypes_and_strides_of_those_with(dtype):
    x, g, half, bias = (draw(*s, dtype=dtype, grad=False) for s in ((2, 3, 4, 6), (2, 3, 4, 6), (2, 3, 2, 3), (3,)))
    bias, alpha, weight, wide = bias.float(), torch.tensor(0.3), torch.ones(5, 3), torch.zeros(5)
    y, factor = fused_plain.lrelu_pixelnorm(x, bias, SLOPE, 1e-8)
    calls = {
        fused.lrelu: (x, bias, SLOPE), fused.lrelu_backward: (g, y, SLOPE), fused.lrelu_pool: (x, bias, SLOPE),
        fused.lrelu_pixelnorm: (x, bias, SLOPE, 1e-8), fused.lrelu_pixelnorm_backward: (g, y, factor, SLOPE),
        fused.unpool: (half, x, bias, SLOPE), fused.pool: (g, x, bias, SLOPE), fused.fade: (x, g, alpha, SLOPE),
        fused.unfade: (g, x, alpha, SLOPE), fused.refade: (x, g, y, alpha, SLOPE),
        fused.scale_cast: (x, 0.3, torch.bfloat16),
        fused.from_rgb: (g, weight, wide, SLOPE), fused.to_rgb: (y, x, weight[:3, :2], SLOPE),
        fused.from_rgb_backward: (x, y, g, weight[:3], SLOPE, True),
        fused.to_rgb_backward: (g, x, y, weight[:3], SLOPE),
        fused.fold: (draw(2, 3, 3, 3, dtype=dtype, grad=False), 0.3, torch.bfloat16),
    }  # fmt: skip
    for op, arguments in calls.items():
        empty = [a.to("meta") if isinstance(a, torch.Tensor) else a for a in arguments]
        for real, meta in zip(as_tuple(op(*arguments)), as_tuple(op(*empty)), strict=True):
            assert (real.shape, real.dtype, real.stride()) == (meta.shape, meta.dtype, meta.stride()), op


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)
