"""The restoration networks: shapes of any photo, locality, cost, size."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from zoo.restoration.networks import build

NETS = [(net, size) for net in ("artifacts", "superres") for size in ("full", "fast")]


@pytest.mark.parametrize(("net", "size"), NETS)
def test_a_photo_of_any_shape_comes_back_at_its_size_or_four_times_it(net, size):
    network, scale = build(net, size).eval(), 4 if net == "superres" else 1
    for height, width in ((1, 1), (3, 50), (17, 8), (6, 7)):
        restored = network(torch.rand(2, 3, height, width))
        assert restored.shape == (2, 3, scale * height, scale * width)
        assert restored.isfinite().all()


@pytest.mark.parametrize(("net", "size"), NETS)
def test_every_parameter_gets_a_gradient(net, size):
    network = build(net, size)
    network(torch.rand(1, 3, 16, 16)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, f"no gradient for {name}"


@pytest.mark.parametrize("net", ["artifacts", "superres"])
def test_fast_does_at_least_six_times_fewer_multiplications(net):
    flops = {}
    for size in ("full", "fast"):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            build(net, size)(torch.rand(1, 3, 64, 64))
        flops[size] = counter.get_total_flops()
    assert flops["full"] >= 6 * flops["fast"]


def test_all_six_weights_fit_in_8_mb_of_half_precision():
    count = {(net, size): sum(p.numel() for p in build(net, size).parameters()) for net, size in NETS}
    kinds = {"artifacts": 1, "superres": 2}  # super-resolution ships for PSNR and adversarial
    assert sum(2 * kinds[net] * number for (net, _), number in count.items()) < 8e6


@pytest.mark.parametrize(("net", "size"), NETS)
def test_an_untrained_network_barely_changes_the_photo(net, size):
    torch.manual_seed(0)
    photo = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        restored = build(net, size)(photo)
    wanted = photo if net == "artifacts" else photo.repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert (restored - wanted).abs().mean() < 0.1


@pytest.mark.parametrize("size", ["full", "fast"])
def test_batch_and_alignment_do_not_change_a_clean_photo(size):
    network = build("artifacts", size).eval()
    photos = torch.rand(3, 3, 30, 22)
    with torch.no_grad():
        together, alone = network(photos), torch.cat([network(photo[None]) for photo in photos])
    assert torch.allclose(together, alone, atol=1e-5)


def test_an_unknown_net_is_named():
    with pytest.raises(ValueError, match="net: got 'denoise', expected 'artifacts' or 'superres'"):
        build("denoise", "full")


@pytest.mark.parametrize(("net", "size"), NETS)
def test_margin_is_how_far_an_input_pixel_can_change_the_output(net, size):
    network = build(net, size).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_()  # nothing cancels: what can reach a pixel does
    margin, scale = network.margin, 4 if net == "superres" else 1
    side = 2 * margin + 24
    photo = torch.zeros(1, 3, side, side)
    with torch.no_grad():
        before = network(photo)
        photo[..., side // 2, side // 2] = 1
        changed = (network(photo) != before).any(dim=1)[0].nonzero() // scale
    far = (changed - side // 2).abs().max().item()
    assert far <= margin
    assert far > margin - 8  # and not much is shown in vain
