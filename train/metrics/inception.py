"""The 2015 Inception network that FID, KID and the Inception score are defined on: its graph, resize and features.

Szegedy et al., "Rethinking the Inception Architecture" (2015), as frozen in the file inception-2015-12-05 that the
published figures use. It is not torchvision's network: average pools leave the padding out of their mean, the last
block pools by maximum, there are 1008 classes, and images are resized as TensorFlow 1 did.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from celebahq.device import channels_last
from train.metrics.errors import MetricError
from train.metrics.pretrained_file import PretrainedFile, find, read_tensors

INCEPTION_FILE = PretrainedFile(
    name="pt_inception-2015-12-05-6726825d.pth",
    sha256_prefix="6726825d",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
)
INPUT_SIDE, NUM_FEATURES, NUM_CLASSES = 299, 2048, 1008


def resize_as_tensorflow1(images: Tensor, side: int = INPUT_SIDE) -> Tensor:
    """Resize bilinearly as TF1's ResizeBilinear, align_corners and half_pixel_centers False: source = target x scale.

    The corner pixels, not the pixel centers, are made to agree, and nothing is filtered before images shrink: today's
    resizes differ, and so would the figures.

    Args:
        images: (N, C, H, W) float32.

    Returns:
        (N, C, side, side) float32.
    """
    for axis in (-1, -2):  # TensorFlow's own order: along the rows first, then between two of them
        size = images.shape[axis]
        scale = np.float32(size) / np.float32(side)
        source = np.arange(side, dtype=np.float32) * scale
        lower = np.floor(source).astype(np.int64)
        index = torch.from_numpy(lower).to(images.device)
        weight = torch.from_numpy(source - lower.astype(np.float32)).to(images.device)
        a, b = images.index_select(axis, index), images.index_select(axis, (index + 1).clamp_(max=size - 1))
        images = a + (b - a) * (weight if axis == -1 else weight[:, None])
    return images


class _Conv(nn.Module):
    """Convolution without bias, batch normalization with fixed statistics, ReLU; padded to keep the size, or not."""

    def __init__(
        self, channels_in: int, channels: int, kernel: int | tuple[int, int], stride: int = 1, padded: bool = True
    ) -> None:
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (height // 2, width // 2) if padded and stride == 1 else 0
        self.conv = nn.Conv2d(channels_in, channels, (height, width), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


Chain = list[tuple[str, int, int | tuple[int, int]]]
"""Convolutions one after another: name, channels, kernel (height, width)."""


class _Mixed(nn.Module):
    """An Inception block: chains of convolutions and a pool side by side, their channels concatenated.

    Args:
        chains: one a branch.
        forks: name of a convolution -> the pair that both read it, instead of one that follows it (Fig. 7).
        pool: "average" (3x3, padding not counted), "max" (3x3), each followed by a 1x1 convolution of pool_channels; or
            "reduce": a 3x3 maximum with stride 2, and the last convolution of every chain has stride 2 too.
    """

    def __init__(
        self,
        channels_in: int,
        chains: list[Chain],
        pool: str,
        pool_channels: int = 0,
        forks: dict[str, Chain] | None = None,
    ) -> None:
        super().__init__()
        self.pool = pool
        self.chains = [[name for name, _, _ in chain] for chain in chains]
        self.forks = {name: [fork for fork, _, _ in pair] for name, pair in (forks or {}).items()}
        for chain in chains:
            channels = channels_in
            for name, wanted, kernel in chain:
                last = name == chain[-1][0]
                setattr(self, name, _Conv(channels, wanted, kernel, stride=2 if last and pool == "reduce" else 1))
                channels = wanted
            for fork, wanted, kernel in (forks or {}).get(name, []):
                setattr(self, fork, _Conv(channels, wanted, kernel))
        if pool_channels:
            self.branch_pool = _Conv(channels_in, pool_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for chain in self.chains:
            y = x
            for name in chain:
                y = getattr(self, name)(y)
            outputs += [getattr(self, fork)(y) for fork in self.forks.get(chain[-1], [])] or [y]
        if self.pool == "reduce":
            return torch.cat([*outputs, F.max_pool2d(x, 3, stride=2)], dim=1)
        if self.pool == "max":
            pooled = F.max_pool2d(x, 3, stride=1, padding=1)
        else:
            pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        return torch.cat([*outputs, self.branch_pool(pooled)], dim=1)


def _block_35(channels_in: int, pool_channels: int) -> _Mixed:
    """Figure 5, at 35x35; the released file keeps one 5x5 where the paper has two 3x3."""
    fives: Chain = [("branch5x5_1", 48, 1), ("branch5x5_2", 64, 5)]
    threes: Chain = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
    return _Mixed(channels_in, [[("branch1x1", 64, 1)], fives, threes], "average", pool_channels)


def _block_17(channels: int) -> _Mixed:
    """Figure 6, at 17x17: 7x7 as 1x7 and 7x1."""
    wide, high = (1, 7), (7, 1)
    one: Chain = [("branch7x7_1", channels, 1), ("branch7x7_2", channels, wide), ("branch7x7_3", 192, high)]
    kernels: list[int | tuple[int, int]] = [1, high, wide, high]
    two: Chain = [(f"branch7x7dbl_{i}", channels, kernel) for i, kernel in enumerate(kernels, start=1)]
    return _Mixed(768, [[("branch1x1", 192, 1)], one, [*two, ("branch7x7dbl_5", 192, wide)]], "average", 192)


def _block_8(channels_in: int, pool: str) -> _Mixed:
    """Figure 7, at 8x8: 3x3 as 1x3 beside 3x1."""
    chains: list[Chain] = [
        [("branch1x1", 320, 1)],
        [("branch3x3_1", 384, 1)],
        [("branch3x3dbl_1", 448, 1), ("branch3x3dbl_2", 384, 3)],
    ]
    forks: dict[str, Chain] = {
        "branch3x3_1": [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))],
        "branch3x3dbl_2": [("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))],
    }
    return _Mixed(channels_in, chains, pool, 192, forks)


class Inception(nn.Module):
    """The network; names as in the usual file, so that its state dict loads as it is."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Conv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = _Conv(32, 32, 3, padded=False)
        self.Conv2d_2b_3x3 = _Conv(32, 64, 3)
        self.Conv2d_3b_1x1 = _Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = _Conv(80, 192, 3, padded=False)
        self.Mixed_5b = _block_35(192, 32)
        self.Mixed_5c = _block_35(256, 64)
        self.Mixed_5d = _block_35(288, 64)
        threes: Chain = [("branch3x3dbl_1", 64, 1), ("branch3x3dbl_2", 96, 3), ("branch3x3dbl_3", 96, 3)]
        self.Mixed_6a = _Mixed(288, [[("branch3x3", 384, 3)], threes], "reduce")
        self.Mixed_6b = _block_17(128)
        self.Mixed_6c = _block_17(160)
        self.Mixed_6d = _block_17(160)
        self.Mixed_6e = _block_17(192)
        sevens: Chain = [("branch7x7x3_1", 192, 1), ("branch7x7x3_2", 192, (1, 7)), ("branch7x7x3_3", 192, (7, 1))]
        threes = [("branch3x3_1", 192, 1), ("branch3x3_2", 320, 3)]
        self.Mixed_7a = _Mixed(768, [threes, [*sevens, ("branch7x7x3_4", 192, 3)]], "reduce")
        self.Mixed_7b = _block_8(1280, "average")
        self.Mixed_7c = _block_8(2048, "max")  # a maximum: so is the released graph
        self.fc = nn.Linear(NUM_FEATURES, NUM_CLASSES)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return pool3 (N, 2048) and logits (N, 1008) of images (N, 3, R, R) float32 in 0..255.

        The logits are without the last bias: the program that defined the Inception score multiplies by the matrix
        alone (Salimans et al., 2016; the released code does the same).
        """
        x = (resize_as_tensorflow1(images) - 128) / 128
        for name, layer in self.named_children():
            if name == "fc":
                break
            x = layer(x)
            if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
                x = F.max_pool2d(x, 3, stride=2)
        features = x.mean(dim=(2, 3))
        return features, features @ self.fc.weight.T


def load_inception(weights: Path | None = None) -> tuple[Inception, str]:
    """Return the network with its weights, in evaluation mode on the CPU, and the sha256 of their file.

    Args:
        weights: the usual file (INCEPTION_FILE), or the same tensors as .safetensors; None fetches it once.

    Raises:
        MetricError: no such file, another one, a damaged one, or none and no network.
    """
    path = find(INCEPTION_FILE, "--inception") if weights is None else Path(weights)
    tensors, sha256 = read_tensors(path, [INCEPTION_FILE])
    with torch.device("meta"):
        network = Inception()
    # The counters of batch normalization are in some files and not in others, and mean nothing here.
    counters = {key: torch.zeros((), dtype=torch.int64) for key in network.state_dict() if key.endswith("_tracked")}
    tensors = {key: value.float() for key, value in tensors.items() if not key.endswith("_tracked")}
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items() if key not in counters}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    if wanted != found:
        key = min(set(wanted.items()) ^ set(found.items()))[0]
        raise MetricError(
            f"{path}: {key}: got {found.get(key, 'none')}, expected {wanted.get(key, 'no such tensor')}: "
            f"not the network of {INCEPTION_FILE.name}"
        )
    network.load_state_dict(tensors | counters, strict=True, assign=True)
    return network.eval().requires_grad_(False), sha256


class InceptionFeatures:
    """Inception's view of images; load once, call a batch at a time.

    Args:
        weights, and MetricError: as load_inception.
        device: where it computes, in float32 without TF32.
    """

    def __init__(self, weights: Path | None = None, device: torch.device | str = "cpu") -> None:
        network, self.sha256 = load_inception(weights)
        self.device = torch.device(device)
        self._network = channels_last(network.to(self.device))

    @torch.no_grad()
    def __call__(self, images: np.ndarray | Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Return pool3 (N, 2048) and logits without bias (N, 1008), float32, of images (N, 3 or 1, R, R) uint8."""
        if images.ndim != 4 or images.shape[1] not in (1, 3) or str(images.dtype).split(".")[-1] != "uint8":
            raise ValueError(f"images: got {tuple(images.shape)} {images.dtype}, expected (N, 3 or 1, R, R) uint8")
        images = torch.as_tensor(images).to(self.device).float().expand(-1, 3, -1, -1)
        matmul = torch.backends.cuda.matmul.allow_tf32
        torch.backends.cuda.matmul.allow_tf32 = False
        try:
            with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
                features, logits = self._network(images)
        finally:
            torch.backends.cuda.matmul.allow_tf32 = matmul
        return features.cpu().numpy(), logits.cpu().numpy()

    def of(self, batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return pool3 (N, 2048) and logits (N, 1008) of all images of batches of (n, 3 or 1, R, R) uint8."""
        pairs = [self(batch) for batch in batches]
        return np.concatenate([features for features, _ in pairs]), np.concatenate([logits for _, logits in pairs])
