"""Five layers of VGG as a distance between faces (the paper's Fig. 10, after Chen and Koltun, 2017)."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from train.metrics.errors import MetricError
from train.metrics.pretrained_file import PretrainedFile, read_tensors

VGG_FILES = [
    PretrainedFile("vgg16-397923af.pth", "397923af", "https://download.pytorch.org/models/vgg16-397923af.pth"),
    PretrainedFile("vgg19-dcbb9e9d.pth", "dcbb9e9d", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth"),
]
LAYERS = ("conv1_2", "conv2_2", "conv3_2", "conv4_2", "conv5_2")
_CHANNELS = (64, 128, 256, 512, 512)
_DEPTHS = {"VGG-16": (2, 2, 3, 3, 3), "VGG-19": (2, 2, 4, 4, 4)}


class VggLayers:
    """The five layers, read from the usual file of VGG-16 or VGG-19 (torchvision's names), or .safetensors of it.

    Raises:
        MetricError: no such file, another one, or a damaged one.
    """

    def __init__(self, weights: Path, device: torch.device | str = "cpu") -> None:
        tensors, self.sha256 = read_tensors(Path(weights), VGG_FILES)
        keys = {key for key in tensors if key.startswith("features.") and key.endswith(".weight")}
        for self.name, depths in _DEPTHS.items():
            places = _places(depths)
            if keys == {f"features.{index}.weight" for index in places}:
                break
        else:
            raise MetricError(f"{weights}: got {len(keys)} convolutions named features.N, expected VGG-16 or VGG-19")
        self._layers, channels_in = [], 3
        for index, (block, nth) in places.items():
            weight, bias = tensors[f"features.{index}.weight"], tensors.get(f"features.{index}.bias")
            shape = (_CHANNELS[block], channels_in, 3, 3)
            if tuple(weight.shape) != shape or bias is None or tuple(bias.shape) != shape[:1]:
                raise MetricError(f"{weights}: features.{index}.weight: got {tuple(weight.shape)}, expected {shape}")
            self._layers.append((block, nth, weight.float().to(device), bias.float().to(device)))
            channels_in = _CHANNELS[block]
        self._device = device

    @torch.no_grad()
    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return the five activations, after ReLU, of images (N, 3, R, R) uint8, R >= 16: (N, C, r, r) float32 each."""
        mean = torch.tensor([0.485, 0.456, 0.406], device=self._device)[:, None, None]  # of ImageNet
        deviation = torch.tensor([0.229, 0.224, 0.225], device=self._device)[:, None, None]
        x = (images.to(self._device).float() / 255 - mean) / deviation
        outputs, last = [], 0
        for block, nth, weight, bias in self._layers:
            if block != last:
                x, last = F.max_pool2d(x, 2), block
            x = F.relu(F.conv2d(x, weight, bias, padding=1))
            if nth == 2:
                outputs.append(x)
            if len(outputs) == len(LAYERS):
                break
        return outputs

    @torch.no_grad()
    def distances(self, fakes: list[Tensor], reals: Tensor) -> Tensor:
        """Return (F, N, 5): mean absolute difference a layer, of the activations of F fakes and N reals' pixels."""
        activations = self(reals)
        rows = []
        for i in range(len(fakes[0])):
            rows.append(
                torch.stack([(b - a[i]).abs().mean(dim=(1, 2, 3)) for a, b in zip(fakes, activations, strict=True)], 1)
            )
        return torch.stack(rows)


def _places(depths: tuple[int, ...]) -> dict[int, tuple[int, int]]:
    """Return index in torchvision's `features` -> (block from 0, convolution in it from 1): conv, ReLU, ..., pool."""
    places, index = {}, 0
    for block, depth in enumerate(depths):
        for nth in range(1, depth + 1):
            places[index] = (block, nth)
            index += 2
        index += 1
    return places
