"""The fused operations: their derivatives against finite differences, their shapes without data, and each other."""

import pytest
import torch

from zoo import fused, fused_plain

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
        (lambda a, b: fused.fade(a, b, ALPHA), (X, G)),
        (lambda g: fused.unfade(g, ALPHA), (G,)),
        (lambda x: fused.scale_cast(x, 0.3, torch.float64), (X,)),
    ],
)
def test_derivative_is_that_of_finite_differences(function, inputs):
    assert torch.autograd.gradcheck(function, inputs)


def test_pool_is_the_adjoint_of_unpool():
    spread, _ = fused.unpool(HALF, FIXED_X, FIXED_BIAS, SLOPE)
    torch.testing.assert_close((spread * G).sum(), (HALF * fused.pool(G, FIXED_X, FIXED_BIAS, SLOPE)).sum())


def test_what_differentiates_once_refuses_to_do_so_twice():
    x = draw(1, 3, 2, 2)
    gradient = torch.autograd.grad(fused.lrelu(x, BIAS, SLOPE).square().sum(), x, create_graph=True)[0]
    with pytest.raises(RuntimeError, match="no autograd formula was registered"):
        gradient.sum().backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_without_data_have_the_shapes_dtypes_and_strides_of_those_with(dtype):
    x, g, half, bias = (draw(*s, dtype=dtype, grad=False) for s in ((2, 3, 4, 6), (2, 3, 4, 6), (2, 3, 2, 3), (3,)))
    bias, alpha = bias.float(), torch.tensor(0.3)
    y, factor = fused_plain.lrelu_pixelnorm(x, bias, SLOPE, 1e-8)
    calls = {
        fused.lrelu: (x, bias, SLOPE), fused.lrelu_backward: (g, y, SLOPE), fused.lrelu_pool: (x, bias, SLOPE),
        fused.lrelu_pixelnorm: (x, bias, SLOPE, 1e-8), fused.lrelu_pixelnorm_backward: (g, y, factor, SLOPE),
        fused.unpool: (half, x, bias, SLOPE), fused.pool: (g, x, bias, SLOPE), fused.fade: (x, g, alpha),
        fused.unfade: (g, alpha), fused.scale_cast: (x, 0.3, torch.bfloat16),
    }  # fmt: skip
    for op, arguments in calls.items():
        empty = [a.to("meta") if isinstance(a, torch.Tensor) else a for a in arguments]
        for real, meta in zip(as_tuple(op(*arguments)), as_tuple(op(*empty)), strict=True):
            assert (real.shape, real.dtype, real.stride()) == (meta.shape, meta.dtype, meta.stride()), op


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)
