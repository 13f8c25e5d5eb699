"""--compile: iterations through torch.compile's inductor against eager ones (needs a C++ compiler)."""

import pytest
import torch

from train.compiled import forget_shapes
from train.config import TrainConfig, TrainError
from train.randomness import draw_noise
from train.setup import make_networks, step_settings
from train.state.run_state import make_optimizers
from train.step import STATISTICS, train_step
from train.step_inputs import Batch

CPU = torch.device("cpu")


def trained(compile: bool, alpha) -> tuple[torch.Tensor, torch.Tensor]:
    config = TrainConfig(dataset=".", fmap_base=32, fmap_max=8, latent_size=8, augment="none", compile=compile)
    nets = make_networks(config, resolution=8, image_channels=3, label_size=0, device=CPU, precision="fp32")
    optimizers, statistics = make_optimizers(nets, config, 8), torch.zeros(len(STATISTICS))
    for adam in optimizers:
        adam.learning_rate.fill_(1e-3)
    reals = torch.randint(0, 256, (4, 3, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
    for i in range(2):
        noise = draw_noise(torch.Generator(), 0, 4 * i, 4, 8)
        train_step(nets, optimizers, Batch(reals), noise, alpha, statistics, step_settings(config))
    return statistics, torch.cat([nets.g_flat.vector, nets.d_flat.vector, nets.ema_flat.vector])


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [1.0, torch.tensor(0.3)], ids=["stable", "fade"])
def test_compiled_iterations_equal_eager_ones_but_for_rounding(alpha):
    forget_shapes()
    eager_sums, eager = trained(False, alpha)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    sums, vector = trained(True, alpha)
    assert (
        torch._dynamo.utils.counters["stats"]["unique_graphs"] >= before + 4
    )  # G, D for itself and for G, the adjoint
    torch.testing.assert_close(sums, eager_sums, rtol=1e-4, atol=1e-5)
    assert (vector - eager).abs().mean() < 3e-5  # see test_step.py: Adam's first steps


def test_a_discriminator_that_needs_double_backward_is_refused():
    config = TrainConfig(dataset=".", fmap_base=32, fmap_max=8, latent_size=8, discriminator_norm="layer", compile=True)
    with pytest.raises(TrainError, match="--compile: got a discriminator with normalization"):
        make_networks(config, resolution=8, image_channels=3, label_size=0, device=CPU, precision="fp32")


def test_fused_kernels_and_compile_exclude_each_other():
    with pytest.raises(TrainError, match="--kernels: got fused with --compile, expected one of the two"):
        TrainConfig(dataset=".", kernels="fused", compile=True)
