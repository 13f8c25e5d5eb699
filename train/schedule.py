"""What changes while training: resolution and fade, minibatch, learning rate; each a function of the images shown."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Growth:
    """Where the growth stands.

    resolution: side of the images now. alpha: weight of its newest block, 1 once it is fully in.
    stage: counts the phases, stable and fading, from 0; the optimizers start afresh whenever it changes.
    """

    resolution: int
    alpha: float
    stage: int


def growth_at(
    nimg: int, *, stable_kimg: float, fade_kimg: float, max_resolution: int, first_resolution: int = 4
) -> Growth:
    """Return the state of growth after nimg real images (paper, section 2 and Appendix A.1).

    Training holds the first resolution for stable_kimg, fades the next one in over fade_kimg, holds it, and so on;
    at max_resolution it stays. The released program packs both into one number that runs backwards:
    lod = log2(max_resolution / resolution) + (1 - alpha), so that its integer part drops when a fade begins.

    Args:
        nimg: real images shown to the discriminator so far.
        stable_kimg: thousands of images for which a resolution is held.
        fade_kimg: thousands of images over which the next one fades in; 0 switches at once.
        max_resolution: where growth ends, a power of two.
        first_resolution: where it begins; max_resolution to train without growing.
    """
    stable, fade = round(stable_kimg * 1000), round(fade_kimg * 1000)
    last_phase = int(math.log2(max_resolution // first_resolution))
    phase, into_phase = divmod(nimg, stable + fade) if stable + fade else (last_phase, 0)
    if phase >= last_phase:
        return Growth(max_resolution, 1.0, 2 * last_phase)
    # As the released program counts, an iteration at alpha 0, on the boundary itself, still has the old resolution.
    if into_phase <= stable:
        return Growth(first_resolution << phase, 1.0, 2 * phase)
    return Growth(first_resolution << (phase + 1), (into_phase - stable) / fade, 2 * phase + 1)


def published_resolution(resolution: int, alpha: float) -> int:
    """Return the last resolution that is fully in: a half-grown block is no face yet."""
    return resolution // 2 if alpha < 1 and resolution > 4 else resolution


def schedule_kimg(*, stable_kimg: float, fade_kimg: float, max_resolution: int, first_resolution: int = 4) -> float:
    """Return the thousands of images after which the last fade is over."""
    return int(math.log2(max_resolution // first_resolution)) * (stable_kimg + fade_kimg)


def at_resolution(table: tuple[tuple[int, float], ...], resolution: int, default: float) -> float:
    """Return the table's entry for a resolution, or the default where it names none."""
    return dict(table).get(resolution, default)


def learning_rate_at(nimg: int, *, base: float, rampup_kimg: float) -> float:
    """Return the learning rate: base, after a ramp of rampup_kimg at the start of training (Theano program).

    The ramp is base * exp(-5 (1 - t)^2) with t from 0 to 1; the paper's text does not mention it.
    """
    if rampup_kimg <= 0:
        return base
    t = min(nimg / (rampup_kimg * 1000), 1.0)
    return base * math.exp(-5 * (1 - t) ** 2)
