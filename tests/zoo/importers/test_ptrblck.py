"""ptrblck and the older gandissect files: the scales that they store are the scales that are used."""

import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint


def normalized(x):
    return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def generate(layers, output, z):
    """A chain of: normalize, (double,) convolve, times the stored scale, bias, activate; layers: (w, scale, b) each."""
    x = z[:, :, None, None]
    for n, (w, scale, b) in enumerate(layers):
        x = F.interpolate(normalized(x), scale_factor=2) if n and n % 2 == 0 else normalized(x)
        x = F.leaky_relu(F.conv2d(x, w, padding=1 if n else 3) * scale + b[:, None, None], 0.2)
    w, scale, b = output
    return F.conv2d(normalized(x), w) * scale + b[:, None, None]


def weights(seed, widths, latent=10):
    """Seeded (weight, stored scale, bias) of each layer; the scales are nobody's formula."""
    random, layers = torch.Generator().manual_seed(seed), []

    def layer(width, inputs, kernel):
        w = torch.randn(width, inputs, kernel, kernel, generator=random)
        scale = torch.rand(1, generator=random) * 0.2 + 0.05
        return w, scale, torch.randn(width, generator=random) * 0.3

    for n in range(2 * len(widths)):
        layers.append(layer(widths[n // 2], latent if n == 0 else widths[(n - 1) // 2], 3 if n else 4))
    return layers, layer(3, widths[-1], 1)


def features_names(layers, output):
    named = {f"features.{n}": layer for n, layer in enumerate(layers)} | {"output": output}
    return {
        f"{name}.{key}": value
        for name, layer in named.items()
        for key, value in zip(("conv.weight", "wscale.scale", "wscale.b"), layer, strict=True)
    }


def first_names(layers, output):
    """The names of the program's first version: plain sequences at both ends."""
    p = {}
    for name, (w, scale, b) in (("in_layer", layers[0]), ("out_layer", output)):
        p |= {f"{name}.1.weight": w, f"{name}.2.scale": scale, f"{name}.2.b": b}
    for n, (w, scale, b) in enumerate(layers[1:]):
        name = f"upsampling_layers.{n}"
        p |= {f"{name}.conv.weight": w, f"{name}.wscale.scale": scale, f"{name}.wscale.b": b}
    return p


@pytest.mark.parametrize("widths", [(12, 12, 8), (7, 13, 5, 11)])
@pytest.mark.parametrize("names", [features_names, first_names])
def test_generator_generates_with_the_stored_scales(tmp_path, widths, names):
    layers, output = weights(1, widths)
    path = tmp_path / "100_celeb_hq_network-snapshot-010403.pth"
    torch.save(names(layers, output), path)
    z = torch.randn(3, 10, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(import_checkpoint(path)(z), generate(layers, output, z), atol=1e-4, rtol=0)


def test_without_stored_scales_they_are_those_of_the_paper(tmp_path):
    layers, output = weights(1, (12, 12, 8))
    p = {key: value for key, value in features_names(layers, output).items() if not key.endswith("scale")}
    torch.save(p, tmp_path / "old.pth")
    he = [(w, 2**0.5 / w[0].numel() ** 0.5 if n else 2**0.5 / 4 / 10**0.5, b) for n, (w, _, b) in enumerate(layers)]
    z = torch.randn(3, 10, generator=torch.Generator().manual_seed(3))
    theirs = generate(he, (output[0], 1 / 8**0.5, output[2]), z)
    torch.testing.assert_close(import_checkpoint(tmp_path / "old.pth")(z), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("names", [features_names, first_names])
def test_a_damaged_file_is_refused(refuses_damage, names):
    p = names(*weights(1, (9, 7)))
    scales = {key: value for key, value in p.items() if key.endswith("scale")}  # a file may lack them: see above
    refuses_damage({key: value for key, value in p.items() if key not in scales}, lambda damaged: damaged | scales)


@pytest.mark.parametrize("scale", [torch.rand(2), torch.rand(1, 1), torch.tensor([torch.nan]), torch.zeros(1)])
def test_a_stored_scale_is_one_finite_number(tmp_path, scale):
    torch.save(features_names(*weights(1, (9, 7))) | {"features.1.wscale.scale": scale}, tmp_path / "file")
    with pytest.raises(CheckpointImportError, match="scale"):
        import_checkpoint(tmp_path / "file")


@pytest.mark.parametrize("names", [features_names, first_names])
def test_each_form_is_recognised_as_what_it_is(tmp_path, layouts_of, names):
    torch.save(names(*weights(1, (9, 7))), tmp_path / "file")
    assert layouts_of(tmp_path / "file") == ["ptrblck"]
