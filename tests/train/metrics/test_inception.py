"""The 2015 Inception network: its shape against published figures, its blocks and resize against plain numpy."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.signal import correlate

from train.metrics.inception import Inception, InceptionFeatures, resize_as_tensorflow1

# tf.compat.v1.image.resize_bilinear(x, size, align_corners=False, half_pixel_centers=False) of TensorFlow 2.21.
SHRUNK = (
    [[161, 139, 143, 239, 71, 208, 171], [0, 100, 219, 141, 8, 195, 186], [216, 44, 22, 220, 5, 138, 20],
     [76, 123, 108, 103, 7, 1, 31], [2, 171, 134, 165, 65, 157, 195], [98, 117, 255, 206, 251, 97, 175],
     [243, 166, 215, 176, 180, 99, 224]],
    [[161.0, 142.0, 155.0, 198.75], [162.0, 67.9375, 103.0, 129.5625], [39.0, 127.5, 85.0, 87.5],
     [134.25, 216.0625, 215.875, 119.9375]],
)  # fmt: skip
ENLARGED = (
    [[241, 101, 66, 188, 148], [38, 134, 76, 77, 69], [70, 147, 8, 230, 31]],
    [[241.0, 153.5, 92.25, 70.375, 127.0, 183.0, 158.0, 148.0],
     [164.875, 132.6875, 102.46875, 75.203125, 108.0625, 142.875, 125.375, 118.375],
     [88.75, 111.875, 112.6875, 80.03125, 89.125, 102.75, 92.75, 88.75],
     [42.0, 100.515625, 118.59375, 76.015625, 81.8125, 92.140625, 72.21875, 64.25],
     [54.0, 108.0625, 115.875, 54.3125, 97.75, 140.5625, 75.875, 50.0],
     [66.0, 115.609375, 113.15625, 32.609375, 113.6875, 188.984375, 79.53125, 35.75],
     [70.0, 118.125, 112.25, 25.375, 119.0, 205.125, 80.75, 31.0],
     [70.0, 118.125, 112.25, 25.375, 119.0, 205.125, 80.75, 31.0]],
)  # fmt: skip
# tf.nn.avg_pool2d(x, 3, 1, "SAME"), the same program.
POOLED_ROW = [-0.1112, 0.1614, 0.3813, 0.6867, 0.6768]


def seeded(network: Inception) -> Inception:
    """Weights that keep the signal's size, and statistics that are not 0 and 1."""
    random = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.weight.data.normal_(0, (2 / layer.weight[0].numel()) ** 0.5, generator=random)
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(0, 0.3, generator=random)
            layer.running_var.uniform_(0.5, 2, generator=random)
            layer.weight.data.uniform_(0.5, 1.5, generator=random)
            layer.bias.data.normal_(0, 0.3, generator=random)
    network.fc.weight.data.normal_(0, 0.02, generator=random)
    network.fc.bias.data.normal_(0, 5, generator=random)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def network() -> Inception:
    return seeded(Inception())


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """TF1's ResizeBilinear from its formula, a pixel at a time, in float64."""
    rows, columns = image.shape
    out = np.empty((height, width))
    for y in range(height):
        for x in range(width):
            v, u = y * rows / height, x * columns / width
            top, left = int(v), int(u)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            dy, dx = v - top, u - left
            above = image[top, left] * (1 - dx) + image[top, right] * dx
            below = image[bottom, left] * (1 - dx) + image[bottom, right] * dx
            out[y, x] = above * (1 - dy) + below * dy
    return out


@pytest.mark.parametrize(("image", "wanted"), [SHRUNK, ENLARGED])
def test_resize_is_what_tensorflow_computes(image, wanted):
    found = resize_as_tensorflow1(torch.tensor(image, dtype=torch.float32)[None, None], len(wanted))[0, 0]
    assert torch.equal(found, torch.tensor(wanted))


@pytest.mark.parametrize("side", [16, 128, 299, 512])
def test_resize_is_the_formula(side):
    image = np.random.default_rng(side).integers(0, 256, (side, side)).astype(np.float32)
    found = resize_as_tensorflow1(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(found, resized(image.astype(np.float64), 299, 299), atol=0.02)  # float32 places
    if side == 299:
        np.testing.assert_array_equal(found, image)


def test_resize_is_not_torchs_own():
    image = torch.rand(1, 1, 64, 64) * 255
    for align_corners in (False, True):
        other = torch.nn.functional.interpolate(image, (299, 299), mode="bilinear", align_corners=align_corners)
        assert (other - resize_as_tensorflow1(image)).abs().max() > 5


def test_number_of_weights_is_the_published_one(network):
    # Keras prints 23,851,784 for InceptionV3: 1000 classes, and no scale in its batch normalization.
    normalized = sum(layer.num_features for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d))
    keras_classes, classes = 2049 * 1000, 2049 * 1008
    wanted = 23_851_784 - keras_classes + classes + normalized
    state = {key: value for key, value in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    assert sum(value.numel() for value in state.values()) == wanted == 23_885_392


def test_layers_have_the_shapes_of_the_public_graph(network):
    # Table 1 of Szegedy et al., and the tensors of the frozen graph (mixed ... mixed_10).
    wanted = {
        "Conv2d_1a_3x3": (32, 149), "Conv2d_2a_3x3": (32, 147), "Conv2d_2b_3x3": (64, 147),
        "Conv2d_3b_1x1": (80, 73), "Conv2d_4a_3x3": (192, 71),
        "Mixed_5b": (256, 35), "Mixed_5c": (288, 35), "Mixed_5d": (288, 35),
        "Mixed_6a": (768, 17), "Mixed_6b": (768, 17), "Mixed_6c": (768, 17), "Mixed_6d": (768, 17),
        "Mixed_6e": (768, 17), "Mixed_7a": (1280, 8), "Mixed_7b": (2048, 8), "Mixed_7c": (2048, 8),
    }  # fmt: skip
    found, hooks = {}, []
    for name in wanted:
        note = lambda _layer, _in, out, name=name: found.update({name: tuple(out.shape)})  # noqa: E731
        hooks.append(getattr(network, name).register_forward_hook(note))
    features, logits = network(torch.zeros(1, 3, 32, 32))
    for hook in hooks:
        hook.remove()
    assert found == {name: (1, channels, side, side) for name, (channels, side) in wanted.items()}
    assert features.shape == (1, 2048) and logits.shape == (1, 1008)


class Plain:
    """The blocks once more, in numpy and scipy, from the state dict and the paper's figures."""

    def __init__(self, network: Inception, block: str) -> None:
        self.state = {k: v.double().numpy() for k, v in getattr(network, block).state_dict().items()}

    def conv(self, x: np.ndarray, name: str, stride: int = 1) -> np.ndarray:
        kernel = self.state[f"{name}.conv.weight"]
        if stride == 1:
            high, wide = kernel.shape[2] // 2, kernel.shape[3] // 2
            x = np.pad(x, ((0, 0), (high, high), (wide, wide)))
        y = np.stack([correlate(x, k, mode="valid")[0] for k in kernel])[:, ::stride, ::stride]
        mean, var, scale, shift = (
            self.state[f"{name}.bn.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return np.maximum((y - mean) / np.sqrt(var + 0.001) * scale + shift, 0)

    def chain(self, x: np.ndarray, *names: str, last_stride: int = 1) -> np.ndarray:
        for name in names:
            x = self.conv(x, name, last_stride if name == names[-1] else 1)
        return x


def windows(x: np.ndarray, fill: float) -> np.ndarray:
    """(C, H, W) -> (C, H, W, 9): the 3x3 neighbourhood of every pixel."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), constant_values=fill)
    return np.stack([padded[:, i : i + x.shape[1], j : j + x.shape[2]] for i in range(3) for j in range(3)], axis=-1)


def average(x: np.ndarray) -> np.ndarray:
    return np.nanmean(windows(x, np.nan), axis=-1)  # the padding is in no mean


def test_average_pool_of_the_oracle_is_tensorflows():
    # x: the first draws of numpy.random, a row of TensorFlow's answer.
    x = np.array([[-0.14001189, -0.4958983, 0.6589429], [0.41385496, -0.22281261, 0.75408024]])
    assert average(x[None])[0, 0, 0] == pytest.approx(POOLED_ROW[0], abs=5e-5)


def same(network: Inception, block: str, side: int, channels: int, plain) -> None:
    x = np.random.default_rng(1).standard_normal((channels, side, side))
    found = getattr(network, block)(torch.from_numpy(x).float()[None])[0].numpy()
    wanted = np.concatenate(plain(Plain(network, block), x.astype(np.float32).astype(np.float64)))
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, atol=2e-4, rtol=2e-4)


def test_first_block_is_figure_5_with_averages_that_leave_out_the_padding(network):
    def plain(block, x):
        return (
            block.conv(x, "branch1x1"),
            block.chain(x, "branch5x5_1", "branch5x5_2"),
            block.chain(x, "branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3"),
            block.conv(average(x), "branch_pool"),
        )

    same(network, "Mixed_5b", 5, 192, plain)


def test_reduction_blocks_have_stride_two_everywhere(network):
    def pool(x):
        return windows(x, -np.inf).max(axis=-1)[:, 1:-1:2, 1:-1:2]

    def first(block, x):
        threes = ("branch3x3dbl_1", "branch3x3dbl_2", "branch3x3dbl_3")
        return block.conv(x, "branch3x3", 2), block.chain(x, *threes, last_stride=2), pool(x)

    def second(block, x):
        sevens = [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)]
        threes = ("branch3x3_1", "branch3x3_2")
        return block.chain(x, *threes, last_stride=2), block.chain(x, *sevens, last_stride=2), pool(x)

    same(network, "Mixed_6a", 5, 288, first)
    same(network, "Mixed_7a", 5, 768, second)


def test_middle_block_is_figure_6(network):
    def plain(block, x):
        return (
            block.conv(x, "branch1x1"),
            block.chain(x, *(f"branch7x7_{i}" for i in (1, 2, 3))),
            block.chain(x, *(f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5))),
            block.conv(average(x), "branch_pool"),
        )

    same(network, "Mixed_6b", 4, 768, plain)


@pytest.mark.parametrize(("name", "channels", "maximum"), [("Mixed_7b", 1280, False), ("Mixed_7c", 2048, True)])
def test_last_blocks_are_figure_7_the_very_last_with_a_maximum(network, name, channels, maximum):
    def plain(block, x):
        three, double = block.conv(x, "branch3x3_1"), block.chain(x, "branch3x3dbl_1", "branch3x3dbl_2")
        pooled = windows(x, -np.inf).max(axis=-1) if maximum else average(x)
        return (
            block.conv(x, "branch1x1"),
            block.conv(three, "branch3x3_2a"),
            block.conv(three, "branch3x3_2b"),
            block.conv(double, "branch3x3dbl_3a"),
            block.conv(double, "branch3x3dbl_3b"),
            block.conv(pooled, "branch_pool"),
        )

    same(network, name, 3, channels, plain)


@pytest.fixture(scope="module")
def weights(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "inception.safetensors"
    save_file(network.state_dict(), path)
    return path


def test_features_come_from_gray_levels_0_to_255_and_logits_without_the_bias(network, weights):
    images = np.random.default_rng(2).integers(0, 256, (2, 3, 64, 64)).astype(np.uint8)
    features, logits = InceptionFeatures(weights)(images)
    seen = []
    hook = network.Conv2d_1a_3x3.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    wanted, _ = network(torch.from_numpy(images).float())
    hook.remove()
    resized_first = resized(images[0, 0].astype(np.float64), 299, 299)
    np.testing.assert_allclose(seen[0][0, 0].numpy(), (resized_first - 128) / 128, atol=1e-4)
    np.testing.assert_allclose(features, wanted.numpy(), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(logits, features @ network.fc.weight.numpy().T, rtol=1e-4, atol=1e-4)
    assert features.dtype == logits.dtype == np.float32


def test_gray_images_are_three_equal_channels(weights):
    gray = np.random.default_rng(3).integers(0, 256, (1, 1, 32, 32)).astype(np.uint8)
    features = InceptionFeatures(weights)
    np.testing.assert_array_equal(features(gray)[0], features(gray.repeat(3, axis=1))[0])


def test_batches_give_what_one_call_gives(weights):
    images = np.random.default_rng(4).integers(0, 256, (3, 3, 32, 32)).astype(np.uint8)
    features = InceptionFeatures(weights)
    together, _ = features.of([images[:2], images[2:]])
    np.testing.assert_allclose(together, features(images)[0], rtol=1e-4, atol=1e-4)


def test_images_of_another_type_are_refused(weights):
    with pytest.raises(ValueError, match="float32, expected \\(N, 3 or 1, R, R\\) uint8"):
        InceptionFeatures(weights)(np.zeros((1, 3, 8, 8), np.float32))
