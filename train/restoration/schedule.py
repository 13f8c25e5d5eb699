"""Learning rate and loss as functions of progress alone: resuming needs no state."""

import math

WARM_UP = 0.02


def learning_rate_at(progress: float, peak: float) -> float:
    """A linear warm-up over the first 2 %, then a half cosine to 0. progress: 0..1, the share of training done."""
    if progress < WARM_UP:
        return peak * (progress + 1e-3) / (WARM_UP + 1e-3)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - WARM_UP) / (1 - WARM_UP))))


def rms_share_at(progress: float) -> float:
    """Share of root mean square error in the loss: 0 up to 0.6, then rising to 1 at 0.8.

    The absolute error trains faster and steadier; the other is nearer to what PSNR measures.
    """
    return min(1.0, max(0.0, (progress - 0.6) / 0.2))
