"""Remove the faint checkerboard that adversarial super-resolution leaves on smooth skin (Odena et al. 2016)."""

from torch import Tensor, nn
from torch.nn import functional as F

from zoo.restoration.networks import SCALE, SuperResolver

RADIUS = 4  # of the neighborhood, pixels of the photo
SMOOTH = 6.0 / 255  # half of it is taken off where the photo varies by this, all of it where it is flat
LARGEST = 4.0 / 255  # what a checkerboard can be; more is detail


class CheckerboardFilter(nn.Module):
    """A SuperResolver whose 16 subpixels have, around every pixel of a smooth area, no bias of their own.

    One pixel shuffle makes 16 subpixels by 16 filters. Trained adversarially those do not agree on a flat area: they
    differ by 2 to 4 gray levels, always in the same places. Detail has no such habit: over a neighborhood its mean at
    each of the 16 places is the same. So the means are taken, of what the network adds to bilinear enlargement, and
    their differences are taken off.
    """

    def __init__(self, network: SuperResolver) -> None:
        super().__init__()
        self.network = network

    @property
    def margin(self) -> int:
        """As SuperResolver.margin."""
        return self.network.margin + RADIUS

    def forward(self, photo: Tensor) -> Tensor:
        """Enlarge. photo: (N, 3, H, W) RGB in [0, 1]. Returns (N, 3, 4H, 4W) RGB, nominally in [0, 1]."""
        return F.pixel_shuffle(self.subpixels(photo), SCALE)

    def subpixels(self, photo: Tensor) -> Tensor:
        """As forward, but (N, 48, H, W): the 4x4 pixels that each one becomes, not in their places yet."""
        enlarged = self.network.subpixels(photo)
        # Bilinear is enough where it is smooth, and seven times faster than bicubic.
        smooth = F.interpolate(photo, scale_factor=SCALE, mode="bilinear", align_corners=False)
        added = (enlarged - F.pixel_unshuffle(smooth, SCALE)).clamp_(-2 * LARGEST, 2 * LARGEST)
        means = _around(added).unflatten(1, (3, SCALE**2))
        pattern = (means - means.mean(dim=2, keepdim=True)).flatten(1, 2).clamp_(-LARGEST, LARGEST)
        gray = photo.mean(dim=1, keepdim=True)
        variance = (_around(gray.square()) - _around(gray).square()).clamp(min=0)
        return enlarged - pattern / (1 + variance / SMOOTH**2)


def _around(maps: Tensor) -> Tensor:
    """Mean over the square of RADIUS around every pixel, the border repeated. (N, C, h, w)."""
    side = 2 * RADIUS + 1
    padded = F.pad(maps, (RADIUS, RADIUS, RADIUS, RADIUS), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, (side, 1), stride=1), (1, side), stride=1)
