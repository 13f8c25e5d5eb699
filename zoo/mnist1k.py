"""The small networks of the paper's Appendix E (MNIST-1K; after Metz et al. 2016): one convolution a resolution.

As the Theano program has them (network.py): G's output layers are 3x3, D has 1/K of the feature maps, takes images of
its full resolution without an input layer, and has one dense layer. With fmap_base 64 that is 64, 32, 16, 8 maps in G,
and about 500 (K = 4) or 1800 (K = 2) parameters in D.
"""

from torch import Tensor, nn

from zoo.architecture import ProGANConfig
from zoo.blocks_4x4 import with_stddev
from zoo.layers import (
    Across,
    EqualizedConv2d,
    EqualizedLinear,
    LayerNoise,
    downsample,
    full_precision,
    leaky_relu,
    upsample,
)
from zoo.normalization import lrelu_pixelnorm, make_norm, normalized_conv


class SmallGeneratorInput(nn.Module):
    """4x4: the latent vector becomes a 4x4 image of features, as in Table 2, and no convolution follows."""

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config, self.channels = config, config.feature_maps(4)
        inputs = config.latent_size + config.label_size
        self.dense = EqualizedLinear(inputs, self.channels * 16, 2**0.5 / 4, self.channels, config.equalized)
        self.norm0 = make_norm(config.generator_norm, self.channels)

    def forward(self, z: Tensor) -> Tensor:
        x = (z @ self.dense.scaled_weight(z.dtype).T).view(-1, self.channels, 4, 4)
        x = (x if self.norm0 is None else self.norm0(x)) + self.dense.bias.to(z.dtype).view(-1, 1, 1)
        return lrelu_pixelnorm(x, self.config, first=True)


class SmallGeneratorBlock(nn.Module):
    """Double the size, then a 3x3 convolution."""

    def __init__(self, config: ProGANConfig, resolution: int) -> None:
        super().__init__()
        self.config, maps = config, config.feature_maps(resolution)
        self.conv0 = EqualizedConv2d(config.feature_maps(resolution // 2), maps, 3, equalized=config.equalized)
        self.norm0 = make_norm(config.generator_norm, maps)

    def forward(self, x: Tensor) -> Tensor:
        return lrelu_pixelnorm(normalized_conv(self.conv0, self.norm0, upsample(x)), self.config)


class SmallDiscriminatorBlock(nn.Module):
    """A 3x3 convolution, then half the size."""

    def __init__(self, config: ProGANConfig, resolution: int) -> None:
        super().__init__()
        maps, narrow = config.discriminator_maps(resolution), config.discriminator_maps(resolution // 2)
        self.conv0 = EqualizedConv2d(maps, narrow, 3, equalized=config.equalized)
        self.norm0 = make_norm(config.discriminator_norm, narrow)
        self.slope = config.discriminator_slope

    def forward(
        self, x: Tensor, tape: list[Tensor] | None = None, sets: int = 1, noise: LayerNoise | None = None
    ) -> Tensor:
        x = noise(x) if noise else x
        return downsample(leaky_relu(normalized_conv(self.conv0, self.norm0, x, sets), self.slope))


class SmallDiscriminatorOutput(nn.Module):
    """4x4: minibatch stddev, where there is one, and the linear score."""

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config = config
        self.across: Across | None = None
        maps = config.discriminator_maps(4) + (config.stddev_kind != "none")
        self.dense1 = EqualizedLinear(maps * 16, 1 + config.label_size, gain=1.0, equalized=config.equalized)

    def forward(
        self, x: Tensor, sets: int, tape: list[Tensor] | None = None, noise: LayerNoise | None = None
    ) -> Tensor:
        x = with_stddev(full_precision(x), self.config, sets, self.across)
        return self.dense1((noise(x) if noise else x).flatten(1))
