"""Options that were given and that the run would never look at: refused, for it would not be what its command says."""

from collections.abc import Iterator

import torch

from train.config import TrainConfig, TrainError
from train.options import flag, typed
from train.plan import SMALL, Plan

TABLES = ("minibatch", "learning_rate", "tick_kimg")
"""Options with a table of exceptions beside them, <name>_at."""


def check_given(config: TrainConfig, plan: Plan, given: frozenset[str] | None) -> None:
    """Raise TrainError for the first option that was given and does nothing in this run.

    Values alone do not tell: those of a preset, and those that a resumed run keeps, may be idle.

    Args:
        config: the options of the run, with what is left to the program decided.
        plan: where it goes.
        given: the fields that were given; None: unknown, nothing is refused.
    """
    for name, reason, wanted in _unused(config, plan, given or frozenset()):
        if name in (given or ()):
            option, _, value = typed(name, getattr(config, name)).partition(" ")
            raise TrainError(f"{option}: got {value or 'it'} {reason}, expected {wanted}, or nothing")


def check_given_for(device: torch.device, config: TrainConfig, given: frozenset[str] | None) -> None:
    """Raise TrainError for an option that was given and that only another device looks at.

    Others that are of CUDA hold on a CPU as it is: --deterministic, --no-capture, --kernels fused.
    """
    if device.type != "cuda" and config.capture and "capture" in (given or ()):
        raise TrainError("--capture: got it on a CPU, expected CUDA, or nothing: only CUDA records graphs")


def _unused(config: TrainConfig, plan: Plan, given: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the options that do nothing here: name, why, what was to be expected instead."""
    if not config.metrics:
        for name in ("metrics_kimg", "metrics_images"):
            yield name, "without --metrics", "--metrics swd or msssim beside it"
    if config.augment != "ada":
        yield "augment_kimg", f"with --augment {config.augment}", f"--augment ada (auto is, below {SMALL:,} faces)"
    if config.ema_beta is not None:
        yield "ema_kimg", f"with --ema-beta {config.ema_beta}", "--ema-beta None beside it"
    if config.gp_weight == 0:
        yield "gp_target", "with --gp-weight 0", "a penalty"
    top, first = plan.resolution, plan.growth["first_resolution"]
    levels = [r for r in (4 << i for i in range(31)) if first <= r <= top]
    run = "in a run of " + " to ".join(dict.fromkeys(f"{r}x{r}" for r in (first, top)))
    if first == top:
        yield "fade_kimg", run, "a run that grows"
        if not config.optimizer_reset:
            yield "optimizer_reset", run, "a run that grows"
        if config.total_kimg is not None and not _derived_from_stable(config, given):
            yield "stable_kimg", f"{run} with --total-kimg {config.total_kimg:g}", "a run that grows"
    for name in TABLES:
        table = dict(getattr(config, f"{name}_at"))
        if table and not set(table) & set(levels):
            yield f"{name}_at", run, "some of its resolutions"
        if set(levels) <= set(table):
            own = " ".join(f"{r} {table[r]:g}" for r in levels)
            yield name, f"where {flag(name)}-at says what each resolution has", f"that changed: {flag(name)}-at {own}"


def _derived_from_stable(config: TrainConfig, given: frozenset[str]) -> bool:
    """Whether another option is left to the program, which takes a share of --stable-kimg for it."""
    of_ada = config.augment == "ada" and "augment_kimg" not in given
    return of_ada or (config.init is not None and "discriminator_kimg" not in given)
