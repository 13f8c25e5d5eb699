"""The critic's gradient at its input, which WGAN-GP penalizes, written out as plain operations."""

import torch
import torch.nn.functional as F
from torch import Tensor

from train.compiled import compiled
from zoo.architecture import ProGANConfig
from zoo.fading import fades, weighted
from zoo.fused import MOST_COLORS, to_rgb, unfade, unpool
from zoo.fused_blocks import FusedConv2d, FusedDiscriminatorBlock, fused_blend
from zoo.layers import Across, EqualizedConv2d, mean_over_group, stddev_groups, ungrouped, upsample
from zoo.progan import Discriminator


@compiled
def input_gradient(discriminator: Discriminator, tape: list[Tensor], count: int, alpha: Tensor | float) -> Tensor:
    """Return d(sum of scores) / d(images) of the last `count` images, differentiable in the weights.

    The adjoint of the network is written out layer by layer from the activations that its forward pass left on
    the tape. The slopes of the leaky ReLUs are constants almost everywhere, so only minibatch stddev makes the
    gradient depend on activations. Against autograd.grad(create_graph=True) this saves a quarter of the
    convolutions' launches, compiles, and is captured like any forward pass.

    Args:
        discriminator: the network whose forward pass filled the tape.
        tape: activations of a batch whose last `count` images are the ones asked for.
        count: number of those images; they form one set of the minibatch stddev.
        alpha: the weight of the newest block that the forward pass was given.

    Returns:
        (count, channels, R, R) in the discriminator's compute dtype.
    """
    config, dtype, slope = discriminator.config, discriminator.compute_dtype, discriminator.config.discriminator_slope
    tape = [x[-count:] for x in tape]
    last = discriminator.output()
    dense, conv, x = tape.pop().detach(), tape.pop().detach(), tape.pop()

    # 4x4, in float32: score, dense layer, convolution, minibatch stddev.
    g = last.dense1.scaled_weight(dense.dtype)[:1].expand(count, -1)
    g = (_through_leaky_relu(g, dense, slope) @ last.dense0.scaled_weight(dense.dtype)).view_as(conv)
    if config.discriminator_conv:
        g = _through_conv(_through_leaky_relu(g, conv, slope), last.conv)
    if config.stddev_kind != "none":
        g = g[:, :-1] + _through_stddev(g[:, -1], x, config, last.across)
    g = g.to(dtype)

    # The blocks, coarse to fine. The newest one shares its output with the faded path.
    resolution = tape[0].shape[-1]
    coarse_gradient = None
    for r in config.resolutions[1:]:
        if r > resolution:
            break
        if r == resolution and fades(config, resolution, alpha):
            g_coarse, g = _through_blend(discriminator, g, tape.pop().detach(), alpha)
            coarse_gradient = _through_pool(_through_conv(g_coarse, discriminator.rgb(r // 2)))
        block = discriminator.block(r)
        activation, hidden = tape.pop().detach(), tape.pop().detach()
        if (
            isinstance(block, FusedDiscriminatorBlock) and not block.pool_first
        ):  # the tape holds what the bias is added to
            g = unpool(g, activation, block.conv1.bias.detach(), slope)[0]
        elif block.pool_first:
            g = _through_pool(_through_leaky_relu(g, activation, slope))
        else:
            g = _through_leaky_relu(_through_pool(g), activation, slope)
        g = _through_leaky_relu(_through_conv(g, block.conv1), hidden, slope)
        g = _through_conv(g, block.conv0)
    g = _through_rgb(g, tape.pop().detach(), discriminator.rgb(resolution), config.input_slope)
    return g if coarse_gradient is None else g + coarse_gradient


def input_gradient_by_double_backward(
    discriminator: Discriminator, images: Tensor, alpha: Tensor | float = 1.0
) -> Tensor:
    """Return the same gradient by autograd.grad(create_graph=True): the oracle that the adjoint is tested against, and
    what serves discriminators whose layers it does not know (ProGANConfig.has_adjoint)."""
    images = images.detach().requires_grad_(True)
    out = discriminator(images, alpha=alpha)
    scores = out[0] if isinstance(out, tuple) else out
    return torch.autograd.grad(scores.sum(), images, create_graph=True)[0]


def _through_leaky_relu(g: Tensor, activation: Tensor, slope: float) -> Tensor:
    """Adjoint of the leaky ReLU; an activation has the sign of what went in, so either will do, and 0 takes the slope
    of the negatives."""
    return torch.ops.aten.leaky_relu_backward(g, activation, slope, True)


def _through_conv(g: Tensor, conv: EqualizedConv2d) -> Tensor:
    """Adjoint of an equalized convolution."""
    return F.conv_transpose2d(g, conv.scaled_weight(g.dtype), padding=conv.padding)


def _through_rgb(g: Tensor, activation: Tensor, conv: EqualizedConv2d, slope: float) -> Tensor:
    """Adjoint of the layer that makes features of colors."""
    if isinstance(conv, FusedConv2d) and conv.weight.shape[1] <= MOST_COLORS:
        return to_rgb(g, activation, conv.scaled_weight(torch.float32).flatten(1), slope)
    return _through_conv(_through_leaky_relu(g, activation, slope), conv)


def _through_blend(
    discriminator: Discriminator, g: Tensor, coarse: Tensor, alpha: Tensor | float
) -> tuple[Tensor, Tensor]:
    """Adjoint of the fade: what reaches the coarse path before its leaky ReLU, and what the newest block."""
    slope = discriminator.config.input_slope
    if discriminator.blend is fused_blend and isinstance(alpha, Tensor):
        return unfade(g, coarse, alpha, slope)
    return _through_leaky_relu(weighted(g, 1 - alpha), coarse, slope), weighted(g, alpha)


def _through_pool(g: Tensor) -> Tensor:
    """Adjoint of the 2x2 mean."""
    return upsample(g * 0.25)


def _through_stddev(g_map: Tensor, x: Tensor, config: ProGANConfig, across: Across | None) -> Tensor:
    """Adjoint of minibatch stddev: from the appended map's gradient (N, H, W) to the features' (N, C, H, W)."""
    group, contiguous = config.stddev_group_for(len(x)), config.stddev_kind == "contiguous"
    grouped = stddev_groups(x, group, contiguous=contiguous)  # (1, group, groups, C, H, W)
    across = across if group is None else None
    members, (c, h, w) = across.samples if across else grouped.shape[1], x.shape[1:]
    if config.stddev_unbiased and members == 1:
        return torch.zeros_like(x)
    centered = grouped - mean_over_group(grouped, across)
    variance, divisor = mean_over_group(centered.square(), across), members
    if config.stddev_unbiased:
        divisor = members - 1
        variance = variance * (members / divisor)
    stddev = torch.sqrt(variance + 1e-8)
    # every pixel of every member's map shows the group's one value, so their gradients add up
    g_value = stddev_groups(g_map, group, contiguous=contiguous).sum(dim=(1, 3, 4))
    if across:
        g_value = across.total(g_value)
    g_value = g_value[:, None, :, None, None, None]
    return ungrouped(g_value * centered / (stddev * (divisor * c * h * w)), contiguous)
