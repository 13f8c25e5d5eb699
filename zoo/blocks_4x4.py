"""Where ProGAN's networks meet 4x4: the generator's block that takes the latent, the discriminator's that scores."""

from torch import Tensor, nn

from zoo.architecture import ProGANConfig
from zoo.layers import (
    Across,
    EqualizedConv2d,
    EqualizedLinear,
    LayerNoise,
    full_precision,
    leaky_relu,
    minibatch_stddev,
)
from zoo.normalization import (
    MinibatchDiscrimination,
    lrelu_pixelnorm,
    make_norm,
    normalized_conv,
    normalized_dense,
)


class GeneratorInput(nn.Module):
    """4x4: the latent vector becomes a 4x4 image of features (Table 2's 'Conv 4x4'), then one 3x3 convolution."""

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config, self.channels = config, config.feature_maps(4)
        inputs, outputs = config.latent_size + config.label_size, self.channels * 16
        bias_size = outputs if config.per_pixel_bias else self.channels
        self.dense = EqualizedLinear(inputs, outputs, 2**0.5 / 4, bias_size, config.equalized)
        self.conv = EqualizedConv2d(self.channels, self.channels, 3, equalized=config.equalized)
        self.norm0, self.norm1 = (make_norm(config.generator_norm, self.channels) for _ in range(2))

    def forward(self, z: Tensor) -> Tensor:
        side = 4 if self.config.per_pixel_bias else 1
        bias = self.dense.bias.to(z.dtype).view(self.channels, side, side)
        x = (z @ self.dense.scaled_weight(z.dtype).T).view(-1, self.channels, 4, 4)
        x = (x if self.norm0 is None else self.norm0(x)) + bias
        x = lrelu_pixelnorm(x, self.config, first=True)
        return lrelu_pixelnorm(normalized_conv(self.conv, self.norm1, x), self.config)


class DiscriminatorOutput(nn.Module):
    """4x4: minibatch stddev, a 3x3 convolution, a dense layer (Table 2's 'Conv 4x4') and the linear score."""

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config = config
        self.across: Across | None = None
        """Where the rest of a minibatch lies whose minibatch stddev is over all of it; None: nowhere."""
        channels = config.feature_maps(4)
        maps = channels + (config.stddev_kind != "none")
        if config.discriminator_conv:
            self.conv = EqualizedConv2d(maps, channels, 3, equalized=config.equalized)
            self.norm0 = make_norm(config.discriminator_norm, channels)
        inputs, hidden = channels if config.discriminator_conv else maps, config.hidden_size
        self.dense0 = EqualizedLinear(inputs * 16, hidden, equalized=config.equalized)
        self.norm1 = make_norm(config.discriminator_norm, hidden)
        if kernels := config.minibatch_discrimination:
            self.discrimination = MinibatchDiscrimination(hidden, kernels)
        self.dense1 = EqualizedLinear(hidden + kernels, 1 + config.label_size, gain=1.0, equalized=config.equalized)

    def forward(
        self, x: Tensor, sets: int, tape: list[Tensor] | None = None, noise: LayerNoise | None = None
    ) -> Tensor:
        slope = self.config.discriminator_slope
        x = full_precision(x)
        conv = with_stddev(x, self.config, sets, self.across)
        if self.config.discriminator_conv:
            conv = noise(conv) if noise else conv
            conv = leaky_relu(normalized_conv(self.conv, self.norm0, conv, sets), slope)
        conv = noise(conv) if noise else conv
        dense = leaky_relu(normalized_dense(self.dense0, self.norm1, conv.flatten(1), sets), slope)
        if tape is not None:
            tape += [x, conv, dense]
        if self.config.minibatch_discrimination:
            dense = self.discrimination(dense, sets)
        return self.dense1(dense)


def with_stddev(x: Tensor, config: ProGANConfig, sets: int, across: Across | None) -> Tensor:
    """Return D's features (sets * N, C, 4, 4) with the map of minibatch stddev, if the network has one."""
    kind = config.stddev_kind
    if kind == "none":
        return x
    group = config.stddev_group_for(len(x) // sets)
    return minibatch_stddev(x, group, sets, kind == "contiguous", config.stddev_unbiased, across)
