"""Appendix B's remedy for LSGAN: multiplicative Gaussian noise in D, as strong as its scores have run away."""

from torch import Tensor

SMOOTH = 0.1
"""Weight of the newest minibatch in the running mean."""
LIMIT = 0.5
"""Up to this mean there is no noise."""
MAGNITUDE = 0.2


def strength(average: Tensor) -> Tensor:
    """Return 0.2 * max(0, average - 0.5)^2, () float32."""
    return MAGNITUDE * (average - LIMIT).clamp(min=0).square()


def follow(average: Tensor, newest: Tensor) -> None:
    """Move the running mean by a minibatch, in place: 0.9 of the old one, 0.1 of the newest clipped to [0, 1]."""
    average.lerp_(newest.clamp(0, 1), SMOOTH)


class LayerNoise:
    """Multiply each layer's input by 1 + draw * sqrt(channels), one draw a sample and channel, one layer after another.

    The root is the program's (its GDropLayer in mode 'prop'); the paper does not mention it.

    Args:
        draws: (N, channels of all layers) ~ N(0, 1) times the strength.
    """

    def __init__(self, draws: Tensor) -> None:
        self._draws, self._used = draws, 0

    def __call__(self, x: Tensor) -> Tensor:
        """x: (N, C, H, W), any float dtype. Returns the same."""
        channels = x.shape[1]
        draws = self._draws[:, self._used : self._used + channels]
        self._used += channels
        return x * (1 + draws * channels**0.5).to(x.dtype)[:, :, None, None]
