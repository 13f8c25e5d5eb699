"""ProGAN's generator and discriminator (Karras et al., ICLR 2018, Table 2), as printed and as released."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zoo.layers import (
    EqualizedConv2d,
    EqualizedLinear,
    downsample,
    leaky_relu,
    minibatch_stddev,
    pixel_norm,
    upsample,
)


@dataclass(frozen=True, kw_only=True)
class ProGANConfig:
    """Everything that rebuilds the two networks. The defaults are Table 2."""

    resolution: int = 1024
    """Side of the images, a power of two from 4."""
    latent_size: int = 512
    """Components of z."""
    label_size: int = 0
    """Components of the label; 0 is unconditional."""
    image_channels: int = 3
    """Channels of the images: 3 RGB, 1 grey."""
    fmap_base: int = 8192
    """Feature maps at resolution R: min(2 * fmap_base / R, fmap_max)."""
    fmap_max: int = 512
    """Most feature maps of any layer."""
    variant: Literal["paper", "released"] = "paper"
    """paper: activation, then pooling, in D; minibatch stddev over the whole batch; z normalized, then the label joins.
    released: the TensorFlow program's defaults, pooling before bias and activation, groups of stddev_group, strided,
    z and label normalized together."""
    stddev_group: int = 4
    """Samples that share a minibatch stddev in the released variant."""

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name != "variant" and type(value) is not int:  # 512.0 would fail much later, far from the file
                raise ValueError(f"{name}: {value!r}, a whole number is wanted")
        if self.resolution < 4 or self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution: {self.resolution}, a power of two from 4 is wanted")
        for name in ("latent_size", "image_channels", "fmap_base", "fmap_max", "stddev_group"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)}, at least 1 is wanted")
        if self.label_size < 0:
            raise ValueError(f"label_size: {self.label_size}, 0 or more is wanted")
        if self.variant not in ("paper", "released"):
            raise ValueError(f"variant: {self.variant!r}, 'paper' or 'released' is wanted")

    @property
    def resolutions(self) -> list[int]:
        """The resolutions of the blocks, 4 first."""
        return [4 << i for i in range(self.resolution.bit_length() - 2)]

    def feature_maps(self, resolution: int) -> int:
        """Feature maps that G's block of this resolution gives and D's takes (paper, Table 2)."""
        return max(1, min(2 * self.fmap_base // resolution, self.fmap_max))

    @property
    def stddev_group_size(self) -> int | None:
        """Samples a minibatch stddev group; None is the whole batch."""
        return self.stddev_group if self.variant == "released" else None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, for config.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "ProGANConfig":
        """Build from config.json's fields; an unknown one is an error, never ignored."""
        unknown = sorted(set(fields) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(f"architecture: unknown {', '.join(unknown)}; a newer version of this package wrote it?")
        return cls(**fields)


def size_key(resolution: int) -> str:
    """Return the name of a resolution's modules: '8x8'."""
    return f"{resolution}x{resolution}"


class GeneratorInput(nn.Module):
    """4x4: the latent vector becomes a 4x4 picture of features (Table 2's 'Conv 4x4'), then one 3x3 convolution."""

    def __init__(self, latent_size: int, channels: int) -> None:
        super().__init__()
        self.dense = EqualizedLinear(latent_size, channels * 16, gain=2**0.5 / 4, bias_size=channels)
        self.conv = EqualizedConv2d(channels, channels, 3)

    def forward(self, z: Tensor) -> Tensor:
        channels = self.dense.bias.shape[0]
        x = (z @ self.dense.scaled_weight(z.dtype).T).view(-1, channels, 4, 4) + self.dense.bias.to(z.dtype)[
            :, None, None
        ]
        x = pixel_norm(leaky_relu(x))
        return pixel_norm(leaky_relu(self.conv(x)))


class GeneratorBlock(nn.Module):
    """Double the size, then two 3x3 convolutions, each with leaky ReLU and pixelwise normalization."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv0 = EqualizedConv2d(in_channels, out_channels, 3)
        self.conv1 = EqualizedConv2d(out_channels, out_channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = pixel_norm(leaky_relu(self.conv0(upsample(x))))
        return pixel_norm(leaky_relu(self.conv1(x)))


class Generator(nn.Module):
    """Latent vectors to faces. 23.1M parameters as of Table 2."""

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        """dtype of the activations of the blocks; weights, latents and images stay float32."""
        self.blocks = nn.ModuleDict()
        self.to_rgb = nn.ModuleDict()
        for r in config.resolutions:
            channels = config.feature_maps(r)
            if r == 4:
                self.blocks[size_key(r)] = GeneratorInput(config.latent_size + config.label_size, channels)
            else:
                self.blocks[size_key(r)] = GeneratorBlock(config.feature_maps(r // 2), channels)
            self.to_rgb[size_key(r)] = EqualizedConv2d(channels, config.image_channels, 1, gain=1.0)

    def forward(
        self, z: Tensor, label: Tensor | None = None, resolution: int | None = None, alpha: Tensor | float = 1.0
    ) -> Tensor:
        """Paint faces.

        Args:
            z: (N, latent_size) float32 ~ N(0, 1); only its direction matters, it is normalized first.
            label: (N, label_size) float32, wanted if and only if the network is conditional.
            resolution: the resolution to stop at; the full one by default.
            alpha: weight of the newest block while it fades in, a number or a () tensor; 1 is fully in.

        Returns:
            (N, channels, R, R) float32, nominally in [-1, 1] (no tanh).
        """
        resolution = resolution or self.config.resolution
        x = self.join_label(z, label).to(self.compute_dtype)
        previous = x
        for r in self.config.resolutions:
            if r > resolution:
                break
            previous, x = x, self.blocks[size_key(r)](x)
        image = self.to_rgb[size_key(resolution)](x).float()
        if resolution > 4 and is_fading(alpha):
            coarse = self.to_rgb[size_key(resolution // 2)](previous).float()
            image = torch.lerp(upsample(coarse), image, as_weight(alpha, image))
        return image

    def join_label(self, z: Tensor, label: Tensor | None) -> Tensor:
        """Return the normalized input of the first layer (N, latent_size + label_size)."""
        if (label is None) != (self.config.label_size == 0):
            raise ValueError(
                f"label: {'none' if label is None else 'one'} given, label_size is {self.config.label_size}"
            )
        if label is None:
            return pixel_norm(z)
        if self.config.variant == "released":
            return pixel_norm(torch.cat([z, label], dim=1))
        return torch.cat([pixel_norm(z), label], dim=1)


class DiscriminatorBlock(nn.Module):
    """Two 3x3 convolutions with leaky ReLU, then half the size."""

    def __init__(self, in_channels: int, out_channels: int, pool_first: bool) -> None:
        super().__init__()
        self.conv0 = EqualizedConv2d(in_channels, in_channels, 3)
        self.conv1 = EqualizedConv2d(in_channels, out_channels, 3)
        # The released program fuses convolution and pooling, so its bias and activation come after the pooling;
        # the bias commutes with the mean, the activation does not.
        self.pool_first = pool_first

    def forward(self, x: Tensor, tape: list[Tensor] | None = None) -> Tensor:
        hidden = leaky_relu(self.conv0(x))
        if self.pool_first:
            out = activation = leaky_relu(downsample(self.conv1(hidden)))
        else:
            activation = leaky_relu(self.conv1(hidden))
            out = downsample(activation)
        if tape is not None:
            tape += [hidden, activation]
        return out


class DiscriminatorOutput(nn.Module):
    """4x4: minibatch stddev, a 3x3 convolution, a dense layer (Table 2's 'Conv 4x4') and the linear score."""

    def __init__(self, channels: int, hidden: int, label_size: int) -> None:
        super().__init__()
        self.conv = EqualizedConv2d(channels + 1, channels, 3)
        self.dense0 = EqualizedLinear(channels * 16, hidden)
        self.dense1 = EqualizedLinear(hidden, 1 + label_size, gain=1.0)

    def forward(self, x: Tensor, stddev_group: int | None, sets: int, tape: list[Tensor] | None = None) -> Tensor:
        x = x.float()
        conv = leaky_relu(self.conv(minibatch_stddev(x, stddev_group, sets)))
        dense = leaky_relu(self.dense0(conv.flatten(1)))
        if tape is not None:
            tape += [x, conv, dense]
        return self.dense1(dense)


class Discriminator(nn.Module):
    """Faces to scores. 23.1M parameters as of Table 2."""

    def __init__(self, config: ProGANConfig) -> None:
        super().__init__()
        self.config = config
        self.compute_dtype = torch.float32
        """dtype of the activations above 4x4; from the minibatch stddev on, all is float32."""
        self.blocks = nn.ModuleDict()
        self.from_rgb = nn.ModuleDict()
        for r in config.resolutions:
            channels = config.feature_maps(r)
            self.from_rgb[size_key(r)] = EqualizedConv2d(config.image_channels, channels, 1)
            if r == 4:
                hidden = min(config.fmap_base, config.fmap_max)  # the released program counts the dense layer as 2x2
                self.blocks[size_key(r)] = DiscriminatorOutput(channels, hidden, config.label_size)
            else:
                coarser = config.feature_maps(r // 2)
                self.blocks[size_key(r)] = DiscriminatorBlock(channels, coarser, config.variant == "released")

    def forward(
        self,
        images: Tensor,
        alpha: Tensor | float = 1.0,
        sets: int = 1,
        tape: list[Tensor] | None = None,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Score faces: high for real.

        Args:
            images: (sets * N, channels, R, R) float32 in [-1, 1], at any resolution of the network.
            alpha: weight of the newest block while it fades in, a number or a () tensor.
            sets: batches merged into one call; minibatch stddev keeps them apart.
            tape: collects the activations, in order, that the gradient penalty's adjoint needs.

        Returns:
            (sets * N,) float32 scores, no sigmoid; with labels, also the (sets * N, label_size) logits.
        """
        resolution = images.shape[-1]
        fading = resolution > 4 and is_fading(alpha)
        images = images.to(self.compute_dtype)
        x = leaky_relu(self.from_rgb[size_key(resolution)](images))
        if tape is not None:
            tape.append(x)
        for r in reversed(self.config.resolutions):
            if r > resolution or r == 4:
                continue
            x = self.blocks[size_key(r)](x, tape)
            if r == resolution and fading:
                coarse = leaky_relu(self.from_rgb[size_key(r // 2)](downsample(images)))
                x = torch.lerp(coarse, x, as_weight(alpha, x))
                if tape is not None:
                    tape.append(coarse)
        out = self.blocks["4x4"](x, self.config.stddev_group_size, sets, tape)
        return (out[:, 0], out[:, 1:]) if self.config.label_size else out[:, 0]


def is_fading(alpha: Tensor | float) -> bool:
    """Whether the faded path is computed: a tensor always does, so that one captured graph serves fade and stable."""
    return isinstance(alpha, Tensor) or alpha < 1


def as_weight(alpha: Tensor | float, like: Tensor) -> Tensor | float:
    """Return alpha as torch.lerp wants it: a number, or a tensor of the images' dtype."""
    return alpha.to(like.dtype) if isinstance(alpha, Tensor) else alpha
