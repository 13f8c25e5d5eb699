"""ProGAN's generator and discriminator (Karras et al., ICLR 2018, Table 2), as printed and as released."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from zoo.architecture import ProGANConfig
from zoo.fading import blend, fade_state, fades, is_fading
from zoo.layers import (
    Across,
    EqualizedConv2d,
    EqualizedLinear,
    downsample,
    full_precision,
    leaky_relu,
    minibatch_stddev,
    pixel_norm,
    upsample,
)
from zoo.network_inputs import check_images, check_resolution, concat_label


def size_key(resolution: int) -> str:
    """Return the name of a resolution's modules: '8x8'."""
    return f"{resolution}x{resolution}"


class GeneratorInput(nn.Module):
    """4x4: the latent vector becomes a 4x4 image of features (Table 2's 'Conv 4x4'), then one 3x3 convolution."""

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config, self.channels = config, config.feature_maps(4)
        inputs, outputs = config.latent_size + config.label_size, self.channels * 16
        bias_size = outputs if config.per_pixel_bias else self.channels
        self.dense = EqualizedLinear(inputs, outputs, gain=2**0.5 / 4, bias_size=bias_size)
        self.conv = EqualizedConv2d(self.channels, self.channels, 3)

    def forward(self, z: Tensor) -> Tensor:
        side = 4 if self.config.per_pixel_bias else 1
        bias = self.dense.bias.to(z.dtype).view(self.channels, side, side)
        x = (z @ self.dense.scaled_weight(z.dtype).T).view(-1, self.channels, 4, 4) + bias
        return lrelu_pixelnorm(self.conv(lrelu_pixelnorm(x, self.config, first=True)), self.config)


class GeneratorBlock(nn.Module):
    """Double the size, then two 3x3 convolutions, each with leaky ReLU and pixelwise normalization."""

    def __init__(self, config: ProGANConfig, resolution: int) -> None:
        super().__init__()
        self.config, channels = config, config.feature_maps(resolution)
        self.conv0 = EqualizedConv2d(config.feature_maps(resolution // 2), channels, 3)
        self.conv1 = EqualizedConv2d(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = lrelu_pixelnorm(self.conv0(upsample(x)), self.config)
        return lrelu_pixelnorm(self.conv1(x), self.config)


def lrelu_pixelnorm(x: Tensor, config: ProGANConfig, first: bool = False) -> Tensor:
    """Leaky ReLU, then pixelwise normalization, after a layer of G; first: after its first."""
    x = leaky_relu(x, config.generator_leak)
    if config.pixelnorm == "none" or (first and config.pixelnorm == "not_first"):
        return x
    return pixel_norm(x, config.pixelnorm_epsilon, config.epsilon_outside_root)


class Generator(nn.Module):
    """Latent vectors to faces. 23.1M parameters as of Table 2."""

    config: ProGANConfig

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        """dtype of the activations of the blocks; weights, latents and images stay float32."""
        self.blocks = nn.ModuleDict()
        self.to_rgb = nn.ModuleDict()
        for r in config.resolutions:
            self.blocks[size_key(r)] = GeneratorInput(config) if r == 4 else GeneratorBlock(config, r)
            if r == config.resolution or not config.last_rgb_only:
                self.to_rgb[size_key(r)] = EqualizedConv2d(config.feature_maps(r), config.image_channels, 1, gain=1.0)

    def entry(self) -> GeneratorInput:
        """Return the block that makes 4x4 of a latent."""
        return cast(GeneratorInput, self.blocks["4x4"])

    def block(self, resolution: int) -> GeneratorBlock:
        """Return the block that makes one resolution of the one below it, from 8 up."""
        return cast(GeneratorBlock, self.blocks[size_key(resolution)])

    def rgb(self, resolution: int) -> EqualizedConv2d:
        """Return the 1x1 convolution that makes an image of a resolution's features."""
        return cast(EqualizedConv2d, self.to_rgb[size_key(resolution)])

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, revision: str | None = None) -> "Generator":
        """Return zoo.load(name_or_path, revision), under the name that users of the Hub know: strict, never random."""
        import zoo  # late: it imports this module

        return zoo.load(name_or_path, revision)

    def forward(
        self,
        z: Tensor,
        label: Tensor | Sequence[int] | int | None = None,
        resolution: int | None = None,
        alpha: Tensor | float | None = None,
    ) -> Tensor:
        """Generate faces.

        Args:
            z: (N, latent_size) float32 ~ N(0, 1); only its direction matters, it is normalized first (where the config
                says nothing else).
            label: (N, label_size) float32, or N classes as whole numbers, or one for all; expected if and only if the
                network is conditional.
            resolution: the resolution to stop at; the full one by default.
            alpha: weight of the newest block while it fades in, a number or a () tensor; 1, fully in, by default.
                With neither resolution nor alpha given, a network that was saved half grown generates as it stands.

        Returns:
            (N, channels, R, R) float32, nominally in [-1, 1] (no tanh, where the config says nothing else).
        """
        enlarge = 0
        if resolution is None and alpha is None:
            enlarge, alpha = fade_state(self.config)
        resolution = check_resolution(self.config, resolution) >> enlarge
        alpha = 1.0 if alpha is None else alpha
        if self.config.last_rgb_only and (resolution < self.config.resolution or is_fading(alpha)):
            only = self.config.resolution
            raise ValueError(f"resolution: got {resolution} at alpha {alpha}, expected {only} at 1, its only output")
        x = concat_label(self.config, z, label).to(self.compute_dtype)
        previous = x
        for r in self.config.resolutions:
            if r > resolution:
                break
            previous, x = x, self.blocks[size_key(r)](x)
        image = full_precision(self.to_rgb[size_key(resolution)](x))
        if resolution > 4 and is_fading(alpha):
            coarse = full_precision(self.to_rgb[size_key(resolution // 2)](previous))
            image = blend(upsample(coarse), image, alpha)
        if self.config.tanh:
            image = torch.tanh(image)
        for _ in range(enlarge):
            image = upsample(image)
        return image


class DiscriminatorBlock(nn.Module):
    """Two 3x3 convolutions with leaky ReLU, then half the size."""

    def __init__(self, config: ProGANConfig, resolution: int) -> None:
        super().__init__()
        channels = config.feature_maps(resolution)
        self.conv0 = EqualizedConv2d(channels, channels, 3)
        self.conv1 = EqualizedConv2d(channels, config.feature_maps(resolution // 2), 3)
        self.leak = config.discriminator_leak
        # The released program fuses convolution and pooling, so its bias and activation come after the pooling;
        # the bias commutes with the mean, the activation does not.
        self.pool_first = config.fused_pooling

    def forward(self, x: Tensor, tape: list[Tensor] | None = None) -> Tensor:
        hidden = leaky_relu(self.conv0(x), self.leak)
        if self.pool_first:
            out = activation = leaky_relu(downsample(self.conv1(hidden)), self.leak)
        else:
            activation = leaky_relu(self.conv1(hidden), self.leak)
            out = downsample(activation)
        if tape is not None:
            tape += [hidden, activation]
        return out


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
            self.conv = EqualizedConv2d(maps, channels, 3)
        self.dense0 = EqualizedLinear((channels if config.discriminator_conv else maps) * 16, config.hidden_size)
        self.dense1 = EqualizedLinear(config.hidden_size, 1 + config.label_size, gain=1.0)

    def forward(self, x: Tensor, sets: int, tape: list[Tensor] | None = None) -> Tensor:
        leak = self.config.discriminator_leak
        x = full_precision(x)
        conv = self.with_stddev(x, sets)
        if self.config.discriminator_conv:
            conv = leaky_relu(self.conv(conv), leak)
        dense = leaky_relu(self.dense0(conv.flatten(1)), leak)
        if tape is not None:
            tape += [x, conv, dense]
        return self.dense1(dense)

    def with_stddev(self, x: Tensor, sets: int) -> Tensor:
        """Return the features (sets * N, C, 4, 4) with the map of minibatch stddev, if the network has one."""
        kind = self.config.stddev_kind
        if kind == "none":
            return x
        group = self.config.stddev_group_for(len(x) // sets)
        return minibatch_stddev(x, group, sets, kind == "contiguous", self.config.stddev_unbiased, self.across)


class Scores(NamedTuple):
    """What a discriminator says of images."""

    scores: Tensor
    """(sets * N,) float32, high for real, no sigmoid."""
    label_logits: Tensor | None
    """(sets * N, label_size) float32; None where the network has no labels."""


class Discriminator(nn.Module):
    """Faces to scores. 23.1M parameters as of Table 2."""

    config: ProGANConfig
    blend = staticmethod(blend)

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        """dtype of the activations above 4x4; from the minibatch stddev on, all is float32."""
        self.blocks = nn.ModuleDict()
        self.from_rgb = nn.ModuleDict()
        for r in config.resolutions:
            self.from_rgb[size_key(r)] = EqualizedConv2d(config.image_channels, config.feature_maps(r), 1)
            self.blocks[size_key(r)] = DiscriminatorOutput(config) if r == 4 else DiscriminatorBlock(config, r)

    def output(self) -> DiscriminatorOutput:
        """Return the block that makes scores of 4x4."""
        return cast(DiscriminatorOutput, self.blocks["4x4"])

    def block(self, resolution: int) -> DiscriminatorBlock:
        """Return the block that halves a resolution, from 8 up."""
        return cast(DiscriminatorBlock, self.blocks[size_key(resolution)])

    def rgb(self, resolution: int) -> EqualizedConv2d:
        """Return the 1x1 convolution that makes features of images of a resolution."""
        return cast(EqualizedConv2d, self.from_rgb[size_key(resolution)])

    def forward(
        self, images: Tensor, alpha: Tensor | float | None = None, sets: int = 1, tape: list[Tensor] | None = None
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return the scores of score(), or with labels a tuple of scores and logits."""
        scores, logits = self.score(images, alpha, sets, tape)
        return scores if logits is None else (scores, logits)

    def score(
        self, images: Tensor, alpha: Tensor | float | None = None, sets: int = 1, tape: list[Tensor] | None = None
    ) -> Scores:
        """Score faces: high for real.

        Args:
            images: (sets * N, channels, R, R) float32 in [-1, 1], at any resolution of the network.
            alpha: weight of the newest block while it fades in, a number or a () tensor; 1, fully in, by default. Not
                given, a network that was saved half grown scores images of its full resolution as it stands.
            sets: batches merged into one call; minibatch stddev keeps them apart.
            tape: collects the activations, in order, that the gradient penalty's adjoint needs.

        Returns:
            The scores; with labels, also their logits.
        """
        check_images(self.config, images)
        if alpha is None:
            shrink, alpha = fade_state(self.config) if images.shape[-1] == self.config.resolution else (0, 1.0)
            if shrink and (images.shape[-1] >> (shrink - 1)) < self.config.discriminator_fades_from:
                shrink, alpha = shrink - 1, 1.0
            for _ in range(shrink):
                images = downsample(images)
        resolution, leak = images.shape[-1], self.config.from_rgb_slope
        fading = fades(self.config, resolution, alpha)
        images = images.to(self.compute_dtype)
        x = leaky_relu(self.from_rgb[size_key(resolution)](images), leak)
        if tape is not None:
            tape.append(x)
        for r in reversed(self.config.resolutions):
            if r > resolution or r == 4:
                continue
            x = self.blocks[size_key(r)](x, tape)
            if r == resolution and fading:
                coarse = leaky_relu(self.from_rgb[size_key(r // 2)](downsample(images)), leak)
                x = self.blend(coarse, x, alpha)
                if tape is not None:
                    tape.append(coarse)
        out = self.blocks["4x4"](x, sets, tape)
        return Scores(out[:, 0], out[:, 1:] if self.config.label_size else None)
