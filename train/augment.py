"""--augment: transforms of what the discriminator sees, so that few faces are not learnt by heart.

diffaug is DiffAugment (Zhao et al. 2020, arXiv:2006.10738): color, translation and cutout, always. ada is the list of
StyleGAN2-ADA (Karras et al. 2020, arXiv:2006.06676, Appendix B: pixel blitting, geometry, color), each transform with a
probability p that follows how surely the discriminator tells its reals. Reals and fakes go through the same transforms,
differentiable in the image; every draw comes in from outside. Nothing leaks into what is generated as long as p < 1:
each transform then leaves most images as they are or is a distribution with an inverse (section 3 of the article).
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.fading import is_fading
from zoo.layers import downsample, upsample

DRAWS = 28
"""Uniform numbers an image."""
TARGET = 0.6
"""Of ADA's heuristic r_t; above it the discriminator overfits and p rises."""
LARGEST_P = 0.8
"""Up to here no transform of the article's list leaks in practice (its Figure 4)."""
SMOOTH = 0.25
"""Weight of the newest minibatch in the running mean of r_t: about the four minibatches of the article."""


def augment(images: Tensor, draws: Tensor, kind: str, p: Tensor, alpha: Tensor | float) -> Tensor:
    """Return the images transformed, each in its own way; while a block fades in, coarse and fine alike.

    At alpha 0 the images are enlarged ones of half the size, and so are the transformed ones: a fade begins with what
    the discriminator has seen before. The images come faded, their detail weighted by alpha, and are not faded again:
    what no transform is applied to comes out to the last bit, at every alpha.

    Args:
        images: (N, C, R, R) float32 in [-1, 1], faded as the networks are.
        draws: (N, DRAWS) ~ U[0, 1].
        kind: "diffaug" or "ada".
        p: () float32, probability of each transform; ada alone asks for it.
        alpha: () weight of the newest resolution.
    """
    transform = _diffaug if kind == "diffaug" else _ada
    fine = transform(images, draws, p)
    if images.shape[-1] <= 4 or not is_fading(alpha):
        return fine
    # The images are (1 - alpha) * coarse + alpha * full with coarse known and full not. A transform T is affine, so
    # (1 - alpha) * T(small) enlarged + alpha * T(full) is T(images) with that of the coarse part exchanged.
    small = downsample(images)
    exchanged = upsample(transform(small, draws, p)) - transform(upsample(small), draws, p)
    return fine + (1 - alpha) * exchanged


def augmented(
    images: Tensor, draws: Tensor | None, whose: int, kind: str, alpha: Tensor | float, ada: Tensor | None
) -> Tensor:
    """Return images as the discriminator sees them in an iteration.

    Args:
        images: (N, C, R, R) float32 in [-1, 1].
        draws: (2, N, DRAWS) ~ U[0, 1]; None: nothing is transformed.
        whose: 0 for the discriminator's own step, 1 for the generator's.
        kind, alpha: as in augment.
        ada: (2,) state of the probability, where it is adaptive.
    """
    if draws is None:
        return images
    p = torch.ones((), device=images.device) if ada is None else ada[0]
    return augment(images, draws[whose], kind, p, alpha)


def adapt(
    state: Tensor,
    real_scores: Tensor,
    fake_scores: Tensor,
    kimg: float,
    mean: Callable[[Tensor], Tensor] = torch.mean,
    total: int | None = None,
) -> None:
    """Move ADA's probability by one minibatch, in place and on the device.

    r_t is the mean sign of D on reals, counted from half-way between reals and fakes: a critic's scores, unlike a
    classifier's, have no zero of their own.

    Args:
        state: (2,) float32: p, running mean of r_t.
        real_scores, fake_scores: (N,) of the same iteration.
        kimg: thousands of images over which p can go from 0 to 1.
        mean: over the samples of the minibatch, of which others may lie in other processes.
        total: images of the minibatch; None: as many as there are scores.
    """
    middle = (mean(real_scores) + mean(fake_scores)) / 2
    state[1].lerp_(mean((real_scores - middle).sign()), SMOOTH)
    step = (state[1] - TARGET).sign() * ((total or len(real_scores)) / (kimg * 1000))
    state[0].add_(step).clamp_(0, LARGEST_P)


def _diffaug(x: Tensor, u: Tensor, p: Tensor) -> Tensor:
    """Brightness +-0.5, saturation 0..2, contrast 0.5..1.5, translation by an eighth, cutout of half the side."""
    n, _, size, _ = x.shape
    brightness, saturation, contrast = (u[:, i].view(n, 1, 1, 1) for i in range(3))
    x = x + (brightness - 0.5)
    gray = x.mean(dim=1, keepdim=True)
    x = (x - gray) * (2 * saturation) + gray
    level = x.mean(dim=(1, 2, 3), keepdim=True)
    x = (x - level) * (contrast + 0.5) + level
    x = _resample(x, _translation(_steps(u[:, 3], size), _steps(u[:, 4], size)), "zeros")
    side = size // 2
    at = torch.arange(size, device=x.device)
    corner = (u[:, 5:7] * (size + 1 - side % 2)).floor() - side // 2  # (N, 2), partly outside
    cut = (at >= corner[..., None]) & (at < corner[..., None] + side)  # (N, 2, size)
    return x * ~(cut[:, 0, :, None] & cut[:, 1, None, :])[:, None]


def _ada(x: Tensor, u: Tensor, p: Tensor) -> Tensor:
    """The transforms "bgc" of the article's Appendix B; one resampling for the geometry, one matrix for the colors."""
    n, channels, size, _ = x.shape
    columns = iter(u.unbind(1))
    zero = torch.zeros(n, device=x.device)

    def applied(value: Callable[[Tensor], Tensor], probability: Tensor) -> Tensor:
        """(N,): value of a uniform number for the images that the transform is applied to, else 0."""
        return torch.where(next(columns) < probability, value(next(columns)), zero)

    # Pixel blitting: mirror, quarter turns, whole pixels.
    flip = 1 - 2 * applied(lambda t: (t < 0.5).float(), p)
    geometry = _scaling(flip, zero + 1)
    geometry = geometry @ _rotation(applied(lambda t: (4 * t).floor() * (math.pi / 2), p))
    moved = next(columns) < p
    shift = (torch.where(moved, _steps(next(columns), size), zero) for _ in range(2))
    geometry = geometry @ _translation(*shift)
    # Geometry: scale, turn, stretch, turn, shift. One of the two turns is applied with probability p.
    turns = 1 - torch.sqrt(1 - p)
    scale = torch.exp2(applied(lambda t: 0.2 * _normal(t), p))
    geometry = geometry @ _scaling(1 / scale, 1 / scale)
    geometry = geometry @ _rotation(applied(lambda t: (2 * t - 1) * math.pi, turns))
    stretch = torch.exp2(applied(lambda t: 0.2 * _normal(t), p))
    geometry = geometry @ _scaling(1 / stretch, stretch)
    geometry = geometry @ _rotation(applied(lambda t: (2 * t - 1) * math.pi, turns))
    moved = next(columns) < p
    shift = (torch.where(moved, 0.25 * _normal(next(columns)), zero) for _ in range(2))
    geometry = geometry @ _translation(*shift)
    x = _resample(x, geometry, "reflection")
    # Color: brightness, contrast; then luma flip, hue and saturation about the gray axis.
    x = x + applied(lambda t: 0.2 * _normal(t), p).view(n, 1, 1, 1)
    x = x * torch.exp2(applied(lambda t: 0.5 * _normal(t), p)).view(n, 1, 1, 1)
    if channels != 3:
        return x
    luma = 1 - 2 * applied(lambda t: (t < 0.5).float(), p)
    hue = applied(lambda t: (2 * t - 1) * math.pi, p)
    saturation = torch.exp2(applied(_normal, p))
    colored = torch.einsum("nij,njhw->nihw", _colors(luma, hue, saturation), x)
    same = (luma == 1) & (hue == 0) & (saturation == 1)
    return torch.where(same.view(n, 1, 1, 1), x, colored)


def _colors(luma: Tensor, hue: Tensor, saturation: Tensor) -> Tensor:
    """Return (N, 3, 3): the gray axis times luma, and across it a turn by hue and a stretch by saturation."""
    axis = torch.full((3,), 3**-0.5, device=hue.device)
    along = torch.outer(axis, axis)
    across = torch.eye(3, device=hue.device) - along
    turn = torch.linalg.cross(torch.eye(3, device=hue.device), axis.expand(3, 3)).T  # x -> axis x x
    luma, hue, saturation = (t.view(-1, 1, 1) for t in (luma, hue, saturation))
    return along * luma + saturation * (hue.cos() * across + hue.sin() * turn)


def _normal(uniform: Tensor) -> Tensor:
    """Return standard normal numbers of uniform ones."""
    return torch.erfinv((2 * uniform - 1).clamp(-0.999999, 0.999999)) * math.sqrt(2)


def _steps(uniform: Tensor, size: int) -> Tensor:
    """Return a shift by whole pixels, up to an eighth of the side, in halves of the side."""
    most = int(size / 8 + 0.5)
    return ((2 * most + 1) * uniform).floor().clamp(max=2 * most).sub(most) * (2 / size)


def _rows(*rows: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    return torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)


def _scaling(across: Tensor, down: Tensor) -> Tensor:
    zero, one = torch.zeros_like(down), torch.ones_like(down)
    return _rows((across, zero, zero), (zero, down, zero), (zero, zero, one))


def _translation(across: Tensor, down: Tensor) -> Tensor:
    zero, one = torch.zeros_like(down), torch.ones_like(down)
    return _rows((one, zero, across), (zero, one, down), (zero, zero, one))


def _rotation(angle: Tensor) -> Tensor:
    zero, one, cos, sin = torch.zeros_like(angle), torch.ones_like(angle), angle.cos(), angle.sin()
    return _rows((cos, -sin, zero), (sin, cos, zero), (zero, zero, one))


def _resample(x: Tensor, geometry: Tensor, padding: str) -> Tensor:
    """Return images moved by (N, 3, 3) matrices, which say where in [-1, 1] squared each pixel comes from; an image
    that is not moved is the same to the last bit."""
    grid = F.affine_grid(geometry[:, :2], list(x.shape), align_corners=False)
    moved = F.grid_sample(x, grid, mode="bilinear", padding_mode=padding, align_corners=False)
    still = (geometry == torch.eye(3, device=x.device)).all(dim=(1, 2))
    return torch.where(still.view(-1, 1, 1, 1), x, moved)
