"""A generator or discriminator as the paper's Table 2 prints it: activation, output shape, parameters of a layer."""

from dataclasses import dataclass

import torch
from torch import nn

from zoo.normalization import BatchNorm
from zoo.progan import Discriminator, Generator, ProGANConfig


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    layer: str
    activation: str
    """LReLU, ReLU, tanh, linear, or - where nothing is learned."""
    shape: tuple[int, int, int]
    """Channels, height, width of what comes out."""
    parameters: int


def generator_table(config: ProGANConfig) -> list[Row]:
    """Return the rows of a generator at its full resolution, from the latent vector to the image."""
    with torch.device("meta"):
        network = Generator(config)
    act = activation(config.generator_slope)
    small = config.variant == "mnist1k"
    rows = [Row("Latent vector", "-", (config.latent_size + config.label_size, 1, 1), 0)]
    for r in config.resolutions:
        shape = (config.feature_maps(r), r, r)
        if r == 4:
            entry = network.entry()
            rows += layer_rows("Conv 4x4", act, shape, entry.dense, entry.norm0)
            if not small:
                rows += layer_rows("Conv 3x3", act, shape, entry.conv, entry.norm1)
        else:
            block = network.block(r)
            rows += [
                Row("Upsample", "-", (config.feature_maps(r // 2), r, r), 0),
                *layer_rows("Conv 3x3", act, shape, block.conv0, block.norm0),
                *([] if small else layer_rows("Conv 3x3", act, shape, block.conv1, block.norm1)),
            ]
    last = network.rgb(config.resolution)
    shape = (config.image_channels, config.resolution, config.resolution)
    return [*rows, Row("Conv 3x3" if small else "Conv 1x1", "tanh" if config.tanh else "linear", shape, count(last))]


def discriminator_table(config: ProGANConfig) -> list[Row]:
    """Return the rows of a discriminator at its full resolution, from the image to the score."""
    with torch.device("meta"):
        network = Discriminator(config)
    act, top, small = activation(config.discriminator_slope), config.resolution, config.variant == "mnist1k"
    rows = [Row("Input image", "-", (config.image_channels, top, top), 0)]
    if top != config.direct_input:
        rows.append(Row("Conv 1x1", act, (config.discriminator_maps(top), top, top), count(network.rgb(top))))
    for r in reversed(config.resolutions[1:]):
        block, width, narrow = network.block(r), config.discriminator_maps(r), config.discriminator_maps(r // 2)
        rows += [
            *layer_rows("Conv 3x3", act, (narrow if small else width, r, r), block.conv0, block.norm0),
            *([] if small else layer_rows("Conv 3x3", act, (narrow, r, r), block.conv1, block.norm1)),
            Row("Downsample", "-", (narrow, r // 2, r // 2), 0),
        ]
    output, width = network.output(), config.discriminator_maps(4)
    if config.stddev_kind != "none":
        rows.append(Row("Minibatch stddev", "-", (width + 1, 4, 4), 0))
    if config.discriminator_conv and not small:
        rows += layer_rows("Conv 3x3", act, (width, 4, 4), output.conv, output.norm0)
    if not small:
        rows += layer_rows("Conv 4x4", act, (config.hidden_size, 1, 1), output.dense0, output.norm1)
    if kernels := config.minibatch_discrimination:
        shape = (config.hidden_size + kernels, 1, 1)
        rows.append(Row("Discrimination", "-", shape, count(output.discrimination)))
    return [
        *rows,
        Row("Fully-connected", "linear", (1 + config.label_size, 1, 1), count(output.dense1)),
    ]


def layer_rows(name: str, act: str, shape: tuple[int, int, int], layer: nn.Module, norm: nn.Module | None) -> list[Row]:
    """Return the row of a layer, or where it is normalized two: of the layer, and of the norm with its activation."""
    if norm is None:
        return [Row(name, act, shape, count(layer))]
    kind = "Batch" if isinstance(norm, BatchNorm) else "Layer"
    return [Row(name, "-", shape, count(layer)), Row(f"{kind} norm", act, shape, count(norm))]


def activation(slope: float) -> str:
    """Return the name of a leaky ReLU with a slope."""
    return "LReLU" if slope else "ReLU"


def count(module: nn.Module) -> int:
    """Return the number of parameters."""
    return sum(parameter.numel() for parameter in module.parameters())


def short(parameters: int) -> str:
    """Return a number as Table 2 prints it: 4.2M, 590k, 51, - for none."""
    if not parameters:
        return "-"
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if parameters >= size:
            value = parameters / size
            return f"{value:.1f}{unit}" if value < 10 else f"{value:.0f}{unit}" if unit == "k" else f"{value:.1f}{unit}"
    return str(parameters)


def as_lines(title: str, rows: list[Row]) -> list[str]:
    """Return the table as text, a total at its end."""
    lines = [f"{title:<18}{'Act.':<8}{'Output shape':>20}{'Params':>9}"]
    for row in rows:
        shape = f"{row.shape[0]} x {row.shape[1]} x {row.shape[2]}"
        lines.append(f"{row.layer:<18}{row.activation:<8}{shape:>20}{short(row.parameters):>9}")
    return [*lines, f"{'Total trainable parameters':<46}{short(sum(row.parameters for row in rows)):>9}"]
