"""The whole step on meta tensors under a guard: what a CUDA graph cannot hold, or would compute wrongly, trips it."""

import itertools
from collections import Counter

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from train.config import TrainConfig
from train.presets import preset_config
from train.randomness import DRAWS, Noise
from train.setup import architecture_of, networks_of, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_inputs import Batch
from train.traffic import meta_step
from zoo.architecture import ProGANConfig

META = torch.device("meta")
HOST_READS = {"_local_scalar_dense", "item", "is_nonzero", "equal"}
DATA_DEPENDENT = {"nonzero", "masked_select", "unique_dim", "_unique2", "unique_consecutive", "repeat_interleave"}


class GuardError(AssertionError):
    """A launch that does not belong into a captured iteration."""


class Guard(TorchDispatchMode):
    """Fails on host reads, shapes that depend on data, random draws, other devices, float64; counts the launches."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: Counter[str] = Counter()
        self.convolutions: Counter[torch.dtype] = Counter()
        self.products: Counter[torch.dtype] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in HOST_READS:
            raise GuardError(f"{func}: reads a number back to the host")
        if name in DATA_DEPENDENT or torch.Tag.data_dependent_output in func.tags:
            raise GuardError(f"{func}: its result's shape, or a number of the host, depends on data")
        if torch.Tag.dynamic_output_shape in func.tags:
            raise GuardError(f"{func}: its result's shape depends on data")
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise GuardError(f"{func}: draws random numbers")
        for x in tensors_of((args, kwargs)):
            check(func, x)
        in_place = name == "_fused_adam_"  # it has no meta kernel, and returns nothing
        out = None if in_place else func(*args, **kwargs)
        results = tensors_of(out)
        for x in results:
            check(func, x)
        if not func.is_view and name not in ("detach", "empty", "empty_like", "empty_strided"):
            self.launches[name] += 1
        if name in ("convolution", "convolution_backward"):
            self.convolutions[args[0].dtype] += 1
        if name in ("mm", "addmm"):
            self.products[results[0].dtype] += 1
        return out


def tensors_of(tree) -> list[torch.Tensor]:
    return [x for x in tree_flatten(tree)[0] if isinstance(x, torch.Tensor)]


def check(func, x: torch.Tensor) -> None:
    if x.device.type != "meta":  # a number from the CPU too: a graph would keep the one of its recording
        raise GuardError(f"{func}: a tensor lies on {x.device}")
    if x.dtype in (torch.float64, torch.complex64, torch.complex128):
        raise GuardError(f"{func}: {x.dtype}")


def step(
    variant, precision, labels, augment, resolution, loss="wgan-gp", plant=None, fading=True, kernels="plain"
) -> Guard:
    """Run one iteration under the guard; plant(nets, batch, noise) puts a fault into it."""
    config = TrainConfig(dataset=".", variant=variant, loss=loss, augment=augment, latent_size=16)
    architecture = ProGANConfig(
        resolution=16, latent_size=16, label_size=labels, fmap_base=128, fmap_max=32, variant=variant
    )
    nets = networks_of(architecture, seed=0, device=META, precision=precision, fused=kernels == "fused")
    optimizers = make_optimizers(nets, config, resolution)
    n = 8
    reals = torch.zeros(n, 3, resolution, resolution, dtype=torch.uint8, device=META)
    label = torch.zeros(n, labels, device=META) if labels else None
    batch = Batch(reals, label, label, label if variant == "paper" else None)
    z, uniform = torch.zeros(n, 16, device=META), torch.zeros(n, 1, 1, 1, device=META)
    draws = torch.zeros(2, n, DRAWS, device=META) if augment != "none" else None
    noise = Noise(z, z, uniform, uniform, draws)
    statistics = torch.zeros(len(STATISTICS), device=META)
    alpha = torch.zeros((), device=META) if fading else 1.0
    ada = torch.zeros(2, device=META) if augment == "ada" else None
    if plant:
        planted = plant(nets, alpha)
        alpha = alpha if planted is None else planted
    with Guard() as guard:
        train_step(nets, optimizers, batch, noise, alpha, statistics, step_settings(config), ada)
    return guard


CONFIGURATIONS = list(
    itertools.product(("paper", "released"), ("fp32", "bf16"), (0, 3), ("none", "ada"), (4, 16))
)  # 32


@pytest.mark.parametrize(("variant", "precision", "labels", "augment", "resolution"), CONFIGURATIONS)
def test_step_reads_nothing_draws_nothing_and_stays_on_its_device(variant, precision, labels, augment, resolution):
    guard = step(variant, precision, labels, augment, resolution)
    assert guard.launches["_fused_adam_"] == 2


@pytest.mark.parametrize("augment", ["none", "diffaug", "ada"])
def test_stable_phase_passes_the_guard_with_fewer_launches(augment):
    fade, stable = (step("paper", "bf16", 0, augment, 16, fading=fading) for fading in (True, False))
    assert sum(stable.launches.values()) < sum(fade.launches.values()) - 90


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_relativistic_step_passes_the_guard_too(precision):
    assert step("paper", precision, 3, "ada", 16, loss="r3gan").launches["_fused_adam_"] == 2


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_launches_and_their_dtypes_are_those_that_were_counted(variant):
    """A change that adds a launch, or moves a convolution to another dtype, is meant, and written here."""
    more = 4 if variant == "released" else 0  # groups of minibatch stddev
    fp32, bf16 = (step(variant, precision, 0, "none", 16) for precision in ("fp32", "bf16"))
    assert (sum(fp32.launches.values()), sum(bf16.launches.values())) == (602 + more, 774 + more)
    assert fp32.convolutions == {torch.float32: 63}
    # in bf16 the discriminator's 4x4 block stays float32: convolution and dense layers, forward and backward
    assert bf16.convolutions == {torch.bfloat16: 57, torch.float32: 6}
    assert bf16.products == {torch.bfloat16: 3, torch.float32: 13}


@pytest.mark.parametrize(("variant", "labels", "augment"), [("paper", 0, "none"), ("released", 3, "ada")])
@pytest.mark.parametrize("fading", [True, False])
def test_fused_step_passes_the_guard_too(variant, labels, augment, fading):
    step(variant, "bf16", labels, augment, 16, fading=fading, kernels="fused")


def test_fused_kernels_leave_fewer_launches():
    counted = [sum(step("paper", "bf16", 0, "none", 16, kernels=k).launches.values()) for k in ("plain", "fused")]
    assert counted == [774, 507]


def planted_read(nets, alpha):
    nets.generator.register_forward_hook(lambda module, inputs, out: out * float(out.mean()))


def planted_shape(nets, alpha):
    nets.generator.register_forward_hook(lambda module, inputs, out: out + out[out > 0].sum())


def planted_draw(nets, alpha):
    nets.discriminator.register_forward_pre_hook(lambda module, inputs: (inputs[0] + torch.randn_like(inputs[0]),))


def planted_dropout(nets, alpha):
    nets.generator.register_forward_hook(lambda module, inputs, out: torch.nn.functional.dropout(out, 0.1))


def planted_double(nets, alpha):
    nets.generator.register_forward_hook(lambda module, inputs, out: (out.double() * 2).float())


def planted_cpu_tensor(nets, alpha):
    shift = torch.zeros(3, 1, 1)  # as a constant that somebody forgot to move
    nets.generator.register_forward_hook(lambda module, inputs, out: out + shift)


def planted_cpu_number(nets, alpha):
    return torch.tensor(0.5)  # PyTorch mixes a () tensor of the CPU with any device, without a word


@pytest.mark.parametrize(
    ("plant", "message"),
    [
        (planted_read, "reads a number back"),
        (planted_shape, "depends on data"),
        (planted_draw, "draws random numbers"),
        (planted_dropout, "draws random numbers"),
        (planted_double, "float64"),
        (planted_cpu_tensor, "lies on cpu"),
        (planted_cpu_number, "lies on cpu"),
    ],
)
def test_planted_fault_trips_the_guard(plant, message):
    with pytest.raises(GuardError, match=message):
        step("paper", "fp32", 0, "none", 8, plant=plant)


@pytest.mark.parametrize(
    "preset", ["table1-b", "table1-e-star", "cifar10", "lsgan", "mnist1k-k4", "mnist1k-k4-wgan-gp"]
)
def test_the_steps_of_the_papers_other_experiments_pass_the_guard_too(preset):
    config = preset_config(preset, dataset="f.h5", fmap_base=64, fmap_max=16, latent_size=16)
    one = meta_step(config, architecture_of(config, 16), 16, 4, "fp32")
    with Guard() as guard:
        one()
    assert guard.launches["_fused_adam_"] == 1 + config.n_critic
