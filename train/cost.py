"""What a run will take: arithmetic per resolution, times what was timed, added up over the whole schedule."""

from collections.abc import Mapping

from train.config import TrainConfig
from train.plan import Plan
from train.schedule import at_resolution, growth_at
from zoo.architecture import ProGANConfig


def step_gflop(architecture: ProGANConfig, resolution: int) -> float:
    """Return the billions of multiply-adds of one iteration an image, at a resolution.

    Of G: two forward passes and one backward (twice a forward pass). Of D: four images forward (real, fake, mixed, G's
    own), the penalty's adjoint, the backward passes of all these, and G's gradient through D without that of weights.
    """
    generator, discriminator = _forward_gflop(architecture, resolution)
    return generator * (2 + 2) + discriminator * (4 + 1 + 2 * 3 + 2 + 1)


def _forward_gflop(architecture: ProGANConfig, resolution: int) -> tuple[float, float]:
    maps, colors = architecture.feature_maps, architecture.image_channels
    generator = (architecture.latent_size + architecture.label_size) * maps(4) * 16 + 9 * maps(4) ** 2 * 16
    discriminator = 9 * (maps(4) + 1) * maps(4) * 16 + maps(4) * 16 * architecture.hidden_size
    for r in architecture.resolutions[1:]:
        if r <= resolution:
            generator += 9 * (maps(r // 2) + maps(r)) * maps(r) * r * r
            discriminator += 9 * (maps(r) + maps(r // 2)) * maps(r) * r * r
    rgb = colors * maps(resolution) * resolution**2
    return (generator + rgb) / 1e9, (discriminator + rgb) / 1e9


class Cost:
    """Seconds a thousand images at each resolution: measured where it was, else from the nearest measured one.

    A step's time is a + b * arithmetic: what launching its kernels takes whatever their size, and what computing does.

    Args:
        config: of the run, for its minibatches.
        architecture: of its networks.
        plan: where growth goes and how long training lasts.
    """

    def __init__(self, config: TrainConfig, architecture: ProGANConfig, plan: Plan) -> None:
        self.plan = plan
        self.resolutions = [r for r in architecture.resolutions if plan.growth["first_resolution"] <= r]
        self.minibatch = {r: int(at_resolution(config.minibatch_at, r, config.minibatch)) for r in self.resolutions}
        self.gflop = {r: step_gflop(architecture, r) * self.minibatch[r] for r in self.resolutions}
        self._estimated: dict[int, float] = {}
        self._measured: dict[int, float] = {}

    def estimated(self, resolution: int, sec_per_kimg: float) -> None:
        """Say what a few iterations at a resolution took, before the run."""
        self._estimated[resolution] = sec_per_kimg

    def update(self, resolution: int, sec_per_kimg: float) -> None:
        """Say what a tick at a resolution took; the newest counts."""
        self._measured[resolution] = sec_per_kimg

    def sec_per_kimg(self) -> dict[int, float]:
        """Return what each resolution takes, measured or estimated; empty where nothing was measured yet."""
        # The machine may be busier, or less, than in the moment before the run: estimates are shifted by what they
        # were wrong where both are known, and count for nothing where training is beyond them.
        both = [r for r in self._measured if r in self._estimated]
        shift = self._measured[max(both)] / self._estimated[max(both)] if both else float(not self._measured)
        rates = {r: rate * shift for r, rate in self._estimated.items() if shift} | self._measured
        if not rates:
            return {}
        steps = {r: rate * self.minibatch[r] / 1000 for r, rate in rates.items()}  # of one minibatch of reals
        per_gflop, launch = self._fit(steps)
        largest = max(steps)
        # the fit goes through the largest measured one: it is the nearest to those that are still to come
        shift = steps[largest] / (launch + per_gflop * self.gflop[largest])
        seconds = {r: steps.get(r, shift * (launch + per_gflop * self.gflop[r])) for r in self.resolutions}
        return {r: seconds[r] / self.minibatch[r] * 1000 for r in self.resolutions}

    def _fit(self, steps: Mapping[int, float]) -> tuple[float, float]:
        """Return (seconds a billion multiply-adds, seconds a step beside them), neither below 0."""
        largest = max(steps)
        smaller = [r for r in steps if self.gflop[r] < 0.7 * self.gflop[largest]]
        if not smaller:
            return steps[largest] / self.gflop[largest], 0.0
        other = max(smaller)
        slope = (steps[largest] - steps[other]) / (self.gflop[largest] - self.gflop[other])
        slope = max(slope, 0.2 * steps[largest] / self.gflop[largest])  # a noisy pair may say that arithmetic is free
        return slope, max(steps[largest] - slope * self.gflop[largest], 0.0)

    def kimg_left(self, nimg: int) -> dict[int, float]:
        """Return how many thousands of images each resolution still gets, from nimg to the end."""
        end = round(self.plan.total_kimg * 1000)
        stable = round(self.plan.growth["stable_kimg"] * 1000)
        fade = round(self.plan.growth["fade_kimg"] * 1000)
        left = dict.fromkeys(self.resolutions, 0.0)
        at = nimg
        while at < end:
            growth = growth_at(at, **self.plan.growth)
            if growth.resolution == self.plan.resolution and growth.alpha == 1:
                until = end
            else:  # the end of this phase's stable part, boundary included, or of its fade
                phase, into = divmod(at, stable + fade)
                into_next = min(stable + 1, stable + fade) if into <= stable else stable + fade
                until = min(end, phase * (stable + fade) + into_next)
            left[growth.resolution] += (until - at) / 1000
            at = until
        return left

    def seconds_left(self, nimg: int) -> float | None:
        """Return how long the rest of training takes; None before anything was measured."""
        rates = self.sec_per_kimg()
        if not rates:
            return None
        return sum(kimg * rates[r] for r, kimg in self.kimg_left(nimg).items())


def duration(seconds: float) -> str:
    """Return a length of time as people say it: 40 s, 12 minutes, 3.4 hours, 2.1 days, 40 years."""
    for unit, length in (("years", 365.25 * 86400), ("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            count = seconds / length
            return f"{count:,.0f} {unit}" if count >= 10 else f"{count:.1f} {unit}"
    whole = round(seconds)
    return f"{whole} second" if whole == 1 else f"{whole} seconds"


def levels_text(cost: Cost, nimg: int) -> str:
    """Return the time that each resolution takes from nimg on, in one line."""
    rates = cost.sec_per_kimg()
    times = {r: kimg * rates[r] for r, kimg in cost.kimg_left(nimg).items() if kimg}
    return ", ".join(f"{r}x{r} {duration(seconds)}" for r, seconds in times.items())
