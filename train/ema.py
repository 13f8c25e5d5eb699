"""The published generator: an exponential moving average of the trained one, with its half-life in images."""

from torch import Tensor


def ema_beta(nimg: int, half_life_kimg: float) -> float:
    """Return the weight of the old average after nimg more images.

    The paper's 0.999 an update of 16 images is a half-life of 11.1 kimg; counted in images it does not depend on
    the minibatch (the Theano program's own ablations scale it so: 0.999**5 for 5 x 16 images).
    """
    return 0.5 ** (nimg / (half_life_kimg * 1000)) if half_life_kimg > 0 else 0.0


def update_ema(average: Tensor, current: Tensor, beta: float) -> None:
    """Move the average towards the current parameters, in place. Both (P,) float32, prefixes of the same layout."""
    average.lerp_(current, 1 - beta)
