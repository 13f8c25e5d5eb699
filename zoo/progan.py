"""ProGAN's generator and discriminator (Karras et al., ICLR 2018, Table 2), as printed and as released."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from zoo.architecture import ProGANConfig, size_key
from zoo.blocks_4x4 import DiscriminatorOutput, GeneratorInput
from zoo.fading import blend, blend_activated, fade_state, fades, is_fading
from zoo.layers import EqualizedConv2d, LayerNoise, downsample, full_precision, leaky_relu, upsample
from zoo.mnist1k import SmallDiscriminatorBlock, SmallDiscriminatorOutput, SmallGeneratorBlock, SmallGeneratorInput
from zoo.network_inputs import Scores, check_images, check_resolution, concat_label
from zoo.normalization import lrelu_pixelnorm, make_norm, normalized_conv


class GeneratorBlock(nn.Module):
    """Double the size, then two 3x3 convolutions, each with leaky ReLU and pixelwise normalization."""

    def __init__(self, config: ProGANConfig, resolution: int) -> None:
        super().__init__()
        self.config, channels = config, config.feature_maps(resolution)
        self.conv0 = EqualizedConv2d(config.feature_maps(resolution // 2), channels, 3, equalized=config.equalized)
        self.conv1 = EqualizedConv2d(channels, channels, 3, equalized=config.equalized)
        self.norm0, self.norm1 = (make_norm(config.generator_norm, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        x = lrelu_pixelnorm(normalized_conv(self.conv0, self.norm0, upsample(x)), self.config)
        return lrelu_pixelnorm(normalized_conv(self.conv1, self.norm1, x), self.config)


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
            small = config.variant == "mnist1k"
            if r == 4:
                self.blocks[size_key(r)] = SmallGeneratorInput(config) if small else GeneratorInput(config)
            else:
                self.blocks[size_key(r)] = SmallGeneratorBlock(config, r) if small else GeneratorBlock(config, r)
            if r == config.resolution or not config.single_resolution:
                sizes = (config.feature_maps(r), config.image_channels, 3 if small else 1)
                self.to_rgb[size_key(r)] = EqualizedConv2d(*sizes, gain=1.0, equalized=config.equalized)

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
        if self.config.single_resolution and (resolution < self.config.resolution or is_fading(alpha)):
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
        channels, narrow = config.feature_maps(resolution), config.feature_maps(resolution // 2)
        self.conv0 = EqualizedConv2d(channels, channels, 3, equalized=config.equalized)
        self.conv1 = EqualizedConv2d(channels, narrow, 3, equalized=config.equalized)
        self.norm0, self.norm1 = (make_norm(config.discriminator_norm, maps) for maps in (channels, narrow))
        self.slope = config.discriminator_slope
        # The released program fuses convolution and pooling, so its bias and activation come after the pooling;
        # the bias commutes with the mean, the activation does not.
        self.pool_first = config.fused_pooling

    def forward(
        self, x: Tensor, tape: list[Tensor] | None = None, sets: int = 1, noise: LayerNoise | None = None
    ) -> Tensor:
        x = noise(x) if noise else x
        hidden = leaky_relu(normalized_conv(self.conv0, self.norm0, x, sets), self.slope)
        out = normalized_conv(self.conv1, self.norm1, noise(hidden) if noise else hidden, sets)
        if self.pool_first:
            out = activation = leaky_relu(downsample(out), self.slope)
        else:
            activation = leaky_relu(out, self.slope)
            out = downsample(activation)
        if tape is not None:
            tape += [hidden, activation]
        return out


class Discriminator(nn.Module):
    """Faces to scores. 23.1M parameters as of Table 2."""

    config: ProGANConfig
    blend = staticmethod(blend_activated)

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        """dtype of the activations above 4x4; from the minibatch stddev on, all is float32."""
        self.blocks = nn.ModuleDict()
        self.from_rgb = nn.ModuleDict()
        for r in config.resolutions:
            sizes, small = (config.image_channels, config.discriminator_maps(r), 1), config.variant == "mnist1k"
            if r != config.direct_input:
                self.from_rgb[size_key(r)] = EqualizedConv2d(*sizes, equalized=config.equalized)
            if r == 4:
                self.blocks[size_key(r)] = SmallDiscriminatorOutput(config) if small else DiscriminatorOutput(config)
            else:
                self.blocks[size_key(r)] = (SmallDiscriminatorBlock if small else DiscriminatorBlock)(config, r)

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
        self,
        images: Tensor,
        alpha: Tensor | float | None = None,
        sets: int = 1,
        tape: list[Tensor] | None = None,
        noise: LayerNoise | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Return the scores of score(), or with labels a tuple of scores and logits."""
        scores, logits = self.score(images, alpha, sets, tape, noise)
        return scores if logits is None else (scores, logits)

    def score(
        self,
        images: Tensor,
        alpha: Tensor | float | None = None,
        sets: int = 1,
        tape: list[Tensor] | None = None,
        noise: LayerNoise | None = None,
    ) -> Scores:
        """Score faces: high for real.

        Args:
            images: (sets * N, channels, R, R) float32 in [-1, 1], at any resolution of the network.
            alpha: weight of the newest block while it fades in, a number or a () tensor; 1, fully in, by default. Not
                given, a network that was saved half grown scores images of its full resolution as it stands.
            sets: batches merged into one call; minibatch stddev keeps them apart.
            tape: collects what the gradient penalty's adjoint needs, in order: activations, or what they are made from.
            noise: applied to what goes into each 3x3 and 4x4 convolution, in order (Appendix B).

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
        resolution, slope = images.shape[-1], self.config.input_slope
        fading = fades(self.config, resolution, alpha)
        images = images.to(self.compute_dtype)
        x = images
        if resolution != self.config.direct_input:
            x = self.rgb(resolution).activated(images, slope)
        if tape is not None:
            tape.append(x)
        for r in reversed(self.config.resolutions):
            if r > resolution or r == 4:
                continue
            x = self.blocks[size_key(r)](x, tape, sets, noise)
            if r == resolution and fading:
                coarse = self.from_rgb[size_key(r // 2)](downsample(images))
                x = self.blend(coarse, x, alpha, slope)
                if tape is not None:
                    tape.append(coarse)
        out = self.blocks["4x4"](x, sets, tape, noise)
        return Scores(out[:, 0], out[:, 1:] if self.config.label_size else None)
