"""The two restoration networks: JPEG-artifact removal (RED-Net family) and 4x super-resolution (SRResNet family)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SCALE = 4


@dataclass(frozen=True, kw_only=True)
class ArtifactRemoverConfig:
    """An encoder-decoder with symmetric skips that works on half and quarter resolution."""

    channels: tuple[int, int] = (64, 96)
    """Feature maps at half and at quarter resolution."""
    blocks: tuple[int, int] = (4, 2)
    """Residual blocks of the encoder at half and at quarter resolution; the decoder mirrors them."""


@dataclass(frozen=True, kw_only=True)
class SuperResolverConfig:
    """Residual blocks on the low-resolution image, then one pixel shuffle by four."""

    channels: int = 64
    blocks: int = 14


ARTIFACT_REMOVERS = {
    "full": ArtifactRemoverConfig(),
    "fast": ArtifactRemoverConfig(channels=(32, 48), blocks=(2, 1)),
}
SUPER_RESOLVERS = {"full": SuperResolverConfig(), "fast": SuperResolverConfig(channels=32, blocks=7)}


def _conv(inputs: int, outputs: int, bias: bool = False, scale: float = 1.0) -> nn.Conv2d:
    """A 3x3 convolution with He's initialisation times scale.

    Without biases, as in bias-free denoisers (Mohan et al., 2020): one network then holds over many strengths of
    damage, and two passes over memory a layer are saved in training.
    """
    conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias)
    if not conv.weight.is_meta:  # where weights are loaded; drawing there imports PyTorch's compiler, a CPU second
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    with torch.no_grad():
        conv.weight.mul_(scale)
        if conv.bias is not None:
            conv.bias.zero_()
    return conv


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(x))): SRResNet's block without batch normalisation (EDSR, Lim et al., 2017)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv0 = _conv(channels, channels)
        self.conv1 = _conv(channels, channels, scale=0.1)  # a deep stack starts near the identity

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv1(F.relu(self.conv0(x)))


class ArtifactRemover(nn.Module):
    """Remove JPEG artifacts from a photo of unknown quality (Appendix C; RED-Net, Mao et al., 2016).

    As in RED-Net every encoder stage is added to the decoder stage that mirrors it and the network learns the
    residual. Unlike it the features live at half and quarter resolution: blocking is a matter of 8x8 blocks and
    their neighbours, which are seen whole at a fraction of the cost.
    """

    def __init__(self, config: ArtifactRemoverConfig = ARTIFACT_REMOVERS["full"]) -> None:
        super().__init__()
        self.config = config
        wide, deep = config.channels
        num_wide, num_deep = config.blocks
        self.head = _conv(3 * 4, wide, bias=True)
        self.encoder2 = nn.ModuleList(ResidualBlock(wide) for _ in range(num_wide))
        self.down = nn.Conv2d(wide, deep, 2, stride=2, bias=False)
        self.encoder4 = nn.ModuleList(ResidualBlock(deep) for _ in range(num_deep))
        self.decoder4 = nn.ModuleList(ResidualBlock(deep) for _ in range(num_deep))
        self.up = nn.ConvTranspose2d(deep, wide, 2, stride=2, bias=False)  # keeps channels_last; a shuffle does not
        self.decoder2 = nn.ModuleList(ResidualBlock(wide) for _ in range(num_wide))
        self.tail = _conv(wide, 3 * 4, bias=True, scale=0.01)  # starts by leaving the photo alone

    @property
    def margin(self) -> int:
        """How many pixels away the input can still change an output pixel, rounded up to whole 4x4 cells."""
        wide, deep = self.config.blocks
        # There and back: a 3x3 and two a block at half resolution; two a block at quarter; the cells' own corners.
        at_half = 2 * (1 + 2 * wide) + 2 * (2 * 2 * deep) + 2
        return -(-(2 * at_half + 1) // 4) * 4

    def forward(self, photo: Tensor) -> Tensor:
        """Clean a photo. photo: (N, 3, H, W) RGB in [0, 1], any H and W. Returns the same shape, about [0, 1]."""
        height, width = photo.shape[-2:]
        padded = F.pad(photo, (0, -width % 4, 0, -height % 4), mode="replicate")
        x = self.head(F.pixel_unshuffle(padded, 2))
        skips = []
        for block in self.encoder2:
            skips.append(x)
            x = block(x)
        skips.append(x)
        x = self.down(x)
        for block in self.encoder4:
            skips.append(x)
            x = block(x)
        for block in self.decoder4:
            x = block(x) + skips.pop()
        x = self.up(x) + skips.pop()
        for block in self.decoder2:
            x = block(x) + skips.pop()
        # The photo itself is added in its own precision: bf16 holds only 8 of its bits.
        residual = F.pixel_shuffle(self.tail(x), 2).to(photo.dtype)
        return (padded + residual)[..., :height, :width]


class SuperResolver(nn.Module):
    """Enlarge a photo four times (Appendix C; SRResNet, Ledig et al., 2017).

    One pixel shuffle by 4 replaces SRResNet's two by 2: every layer stays at the low resolution. The enlarged input
    (each pixel repeated 4x4) is added before the shuffle, so the network learns the detail alone.
    """

    def __init__(self, config: SuperResolverConfig = SUPER_RESOLVERS["full"]) -> None:
        super().__init__()
        self.config = config
        self.head = _conv(3, config.channels, bias=True)
        self.body = nn.ModuleList(ResidualBlock(config.channels) for _ in range(config.blocks))
        self.tail = _conv(config.channels, 3 * SCALE**2, bias=True, scale=0.01)

    @property
    def margin(self) -> int:
        """How many pixels away the input can still change the pixels made of one: a 3x3 each end, two a block."""
        return 2 + 2 * self.config.blocks

    def forward(self, photo: Tensor) -> Tensor:
        """Enlarge. photo: (N, 3, H, W) RGB in [0, 1]. Returns (N, 3, 4H, 4W) RGB, nominally in [0, 1]."""
        return F.pixel_shuffle(self.subpixels(photo), SCALE)

    def subpixels(self, photo: Tensor) -> Tensor:
        """As forward, but (N, 48, H, W): the 4x4 pixels that each one becomes, not in their places yet."""
        first = x = self.head(photo)
        for block in self.body:
            x = block(x)
        detail = self.tail(x + first).to(photo.dtype)
        return detail + photo.repeat_interleave(SCALE**2, dim=1)


def build(net: str, size: str) -> ArtifactRemover | SuperResolver:
    """An untrained network. net: "artifacts" or "superres"; size: "full" or "fast"."""
    if net == "artifacts":
        return ArtifactRemover(ARTIFACT_REMOVERS[size])
    if net == "superres":
        return SuperResolver(SUPER_RESOLVERS[size])
    raise ValueError(f"net: got {net!r}, expected 'artifacts' or 'superres'")
