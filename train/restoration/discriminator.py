"""The discriminator of adversarial training: spectrally normalised, a score for every patch, features for matching."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SpectralConv2d(nn.Conv2d):
    """A convolution divided by its largest singular value (Miyato et al., 2018).

    The power iteration is a method of its own, called once a step: the forward pass stays a pure function, so one
    captured graph can run it on reals and fakes alike.
    """

    left: Tensor
    right: Tensor

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
        self.register_buffer("left", F.normalize(torch.randn(outputs), dim=0))
        self.register_buffer("right", F.normalize(torch.randn(inputs * kernel * kernel), dim=0))

    @torch.no_grad()
    def iterate(self) -> None:
        """One power iteration on the singular vectors."""
        matrix = self.weight.flatten(1)
        self.right.copy_(F.normalize(matrix.t() @ self.left, dim=0))
        self.left.copy_(F.normalize(matrix @ self.right, dim=0))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            sigma = self.left @ (self.weight.flatten(1) @ self.right)
            weight = self.weight / sigma
        return self._conv_forward(x, weight, self.bias)


class PatchDiscriminator(nn.Module):
    """Score how real every 32x32 or so of a photo looks (SRGAN's discriminator, by patch as in pix2pix)."""

    def __init__(self, channels: tuple[int, ...] = (48, 96, 128, 192)) -> None:
        super().__init__()
        layers = [SpectralConv2d(3, channels[0], 3)]
        for inputs, outputs in pairwise(channels):
            layers += [SpectralConv2d(inputs, inputs, 3, stride=2), SpectralConv2d(inputs, outputs, 3)]
        self.layers = nn.ModuleList(layers)
        self.score = SpectralConv2d(channels[-1], 1, 3)
        for _ in range(10):
            self.iterate()

    def iterate(self) -> None:
        """One power iteration in every layer."""
        for layer in (*self.layers, self.score):
            layer.iterate()

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """images: (N, 3, H, W) in [0, 1]. Returns scores (N, 1, H/8, W/8) and the features of every scale."""
        x, features = images * 2 - 1, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
            if layer.stride == (1, 1):
                features.append(x)
        return self.score(x).float(), features
