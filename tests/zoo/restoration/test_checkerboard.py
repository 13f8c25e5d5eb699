"""The checkerboard of adversarial super-resolution: gone where the photo is smooth, and nothing else is."""

import pytest
import torch
from torch.nn import functional as F

from zoo.restoration.checkerboard import CheckerboardFilter
from zoo.restoration.networks import build


@pytest.fixture
def checkered():
    """A network that enlarges well, but for a checkerboard: its last layer's biases differ by up to 3 gray levels."""
    network = build("superres", "fast").eval().requires_grad_(False)
    network.tail.weight.zero_()
    bias = torch.linspace(-1.5, 1.5, 48)[torch.randperm(48)].view(3, 16) / 255
    network.tail.bias.copy_((bias - bias.mean(dim=1, keepdim=True)).flatten())  # a checkerboard, and no tint
    return network


def shades(side=40):
    """A gentle slope of about a gray level a pixel, as on a cheek."""
    x = torch.linspace(0.3, 0.45, side)
    return (x[:, None] + 0.5 * x)[None, None].expand(1, 3, side, side).contiguous()


def inner(images):
    return images[..., 32:-32, 32:-32]


def test_checkerboard_on_a_smooth_photo_is_gone(checkered):
    flat = torch.full((1, 3, 40, 40), 0.5)
    assert inner(checkered(flat)).std(dim=(2, 3)).min() > 0.5 / 255
    assert inner(CheckerboardFilter(checkered)(flat)).std(dim=(2, 3)).max() < 1e-4
    wanted = F.interpolate(shades(), scale_factor=4, mode="bicubic", align_corners=False)
    before, after = (
        (inner(net(shades())) - inner(wanted)).abs().mean() for net in (checkered, CheckerboardFilter(checkered))
    )
    assert after < 0.35 * before


def test_mean_color_stays(checkered):
    before, after = checkered(shades()), CheckerboardFilter(checkered)(shades())
    assert torch.allclose(before.mean((2, 3)), after.mean((2, 3)), atol=0.1 / 255)


def test_texture_is_left_alone(checkered):
    photo = torch.rand(1, 3, 40, 40)
    change = inner(CheckerboardFilter(checkered)(photo) - checkered(photo)).abs()
    assert change.mean() < 0.02 / 255 * 2


def test_margin_grows_by_the_neighborhood(checkered):
    even = CheckerboardFilter(build("superres", "fast").eval().requires_grad_(False))
    side = 2 * even.margin + 20
    photo = torch.full((1, 3, side, side), 0.5)
    other = photo.clone()
    other[..., side // 2, side // 2] = 1
    changed = (even(photo) != even(other)).any(dim=1)[0].nonzero() // 4
    assert checkered.margin < (changed - side // 2).abs().max() <= even.margin


def test_photo_of_one_pixel_is_enlarged(checkered):
    assert CheckerboardFilter(checkered)(torch.rand(1, 3, 1, 1)).shape == (1, 3, 4, 4)
