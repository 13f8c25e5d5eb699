"""genforce and huggan: imported networks generate and score as genforce's own definition of them does."""

import json

import pytest
import torch
import torch.nn.functional as F

from zoo import weights
from zoo.importers import CheckpointImportError, import_checkpoint, import_networks


def normalized(x):
    return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def four_shifts(kernel):
    """A 3x3 kernel becomes the 4x4 one that resamples and convolves in one stride-2 step."""
    padded = F.pad(kernel, (1, 1, 1, 1))
    return padded[..., 1:, 1:] + padded[..., 1:, :-1] + padded[..., :-1, 1:] + padded[..., :-1, :-1]


def he(fan_in, wscale, gain=2**0.5):
    return gain / fan_in**0.5 if wscale else 1.0


def generate(p, z, label=None, fused=False, wscale=True, until_2020=False):
    """The generator as genforce defines it: each block normalizes, (doubles,) convolves and activates.

    until_2020: as it was before commit 3038720, with z multiplied by the root of its size before the label joins it.
    """
    blocks = sum(key.startswith("output") and key.endswith("bias") for key in p)
    x = normalized(z) * (z.shape[1] ** 0.5 if until_2020 else 1)
    x = x if label is None else torch.cat([x, label], dim=1)
    x, lod, image = x[:, :, None, None], float(p["lod"]), None
    for b in range(blocks):
        here = blocks - 1 - b
        if lod >= here + 1:
            image = F.interpolate(image, scale_factor=2)
            continue
        x, w = normalized(x), p[f"layer{2 * b}.weight"]
        if b == 0:
            x = F.conv2d(x, w * he(w.shape[1] * 16, wscale), padding=3)
        elif fused:
            x = F.conv_transpose2d(x, four_shifts(w * he(w.shape[0] * 9, wscale)), stride=2, padding=1)
        else:
            x = F.conv2d(F.interpolate(x, scale_factor=2), w * he(w.shape[1] * 9, wscale), padding=1)
        x = normalized(F.leaky_relu(x + p[f"layer{2 * b}.bias"][:, None, None], 0.2))
        w = p[f"layer{2 * b + 1}.weight"]
        x = F.leaky_relu(F.conv2d(x, w * he(w.shape[1] * 9, wscale), p[f"layer{2 * b + 1}.bias"], padding=1), 0.2)
        w = p[f"output{b}.weight"]
        rgb = F.conv2d(normalized(x), w * he(w.shape[1], wscale, 1.0), p[f"output{b}.bias"])
        image = rgb if here >= lod else torch.lerp(F.interpolate(image, scale_factor=2), rgb, here + 1 - lod)
    return image


def score(p, image, fused=False, wscale=True, group=16):
    """The discriminator as genforce defines it; input0 and layer0 belong to the full resolution."""
    blocks = sum(key.startswith("input") and key.endswith("bias") for key in p)
    lod, x = float(p["lod"]), None
    for b in range(blocks):
        w = p[f"input{b}.weight"]
        entry = F.leaky_relu(F.conv2d(image, w * he(w.shape[1], wscale), p[f"input{b}.bias"]), 0.2)
        if b <= lod < b + 1:
            x = entry
        elif b - 1 < lod < b:
            x = torch.lerp(x, entry, lod - int(lod))
        if lod < b + 1:
            if b == blocks - 1 and group > 1:
                members = min(group, len(x))
                y = x.view(members, -1, *x.shape[1:])
                y = torch.sqrt((y - y.mean(0)).square().mean(0) + 1e-8).mean((1, 2, 3), keepdim=True)
                x = torch.cat([x, y.repeat(members, 1, 4, 4)], dim=1)
            w, bias = p[f"layer{2 * b}.weight"], p[f"layer{2 * b}.bias"]
            x = F.leaky_relu(F.conv2d(x, w * he(w[0].numel(), wscale), bias, padding=1), 0.2)
            w, bias = p[f"layer{2 * b + 1}.weight"], p[f"layer{2 * b + 1}.bias"]
            scaled = w * he(w[0].numel(), wscale)
            if b == blocks - 1:
                x = F.leaky_relu(F.linear(x.flatten(1), scaled, bias), 0.2)
            elif fused:
                x = F.leaky_relu(F.conv2d(x, four_shifts(scaled) / 4, bias, stride=2, padding=1), 0.2)
            else:
                x = F.avg_pool2d(F.leaky_relu(F.conv2d(x, scaled, bias, padding=1), 0.2), 2)
        if lod > b:
            image = F.avg_pool2d(image, 2)
    w = p[f"layer{2 * blocks}.weight"]
    return F.linear(x, w * he(w.shape[1], wscale, 1.0), p[f"layer{2 * blocks}.bias"])


def networks(seed, widths, latent=10, labels=0, channels=3, fused=False, wscale=True, lod=0.0, group=16):
    """Seeded weights of both networks under genforce's names; widths from 4x4 up."""
    random, last = torch.Generator().manual_seed(seed), len(widths) - 1

    def layer(p, name, shape, fan_in, gain=2**0.5):
        p[f"{name}.weight"] = torch.randn(shape, generator=random) * (1 if wscale else gain / fan_in**0.5)
        bias = shape[1] if fused and name in doubling else shape[0]
        p[f"{name}.bias"] = torch.randn(bias, generator=random) * 0.3

    doubling = {f"layer{2 * b}" for b in range(1, last + 1)}
    g = {"lod": torch.tensor(lod)}
    for b, width in enumerate(widths):
        inputs = latent + labels if b == 0 else widths[b - 1]
        shape = (inputs, width, 3, 3) if fused else (width, inputs, 3, 3)
        layer(g, f"layer{2 * b}", (width, inputs, 4, 4) if b == 0 else shape, inputs * (16 if b == 0 else 9))
        layer(g, f"layer{2 * b + 1}", (width, width, 3, 3), width * 9)
        layer(g, f"output{b}", (channels, width, 1, 1), width, 1.0)
    d, doubling = {"lod": torch.tensor(lod)}, set()
    for b, width in enumerate(reversed(widths)):
        layer(d, f"input{b}", (width, channels, 1, 1), channels)
        inputs = width + (b == last and group > 1)
        layer(d, f"layer{2 * b}", (width, inputs, 3, 3), inputs * 9)
        if b < last:
            coarser = widths[last - b - 1]
            layer(d, f"layer{2 * b + 1}", (coarser, width, 3, 3), width * 9)
    hidden = max(widths)
    layer(d, f"layer{2 * last + 1}", (hidden, widths[0] * 16), widths[0] * 16)
    layer(d, f"layer{2 * last + 2}", (1 + labels, hidden), hidden, 1.0)
    return g, d


OPTIONS = {
    "as released": {"widths": (12, 12, 8)},
    "fused": {"widths": (12, 12, 8, 6), "fused": True},
    "without wscale": {"widths": (12, 12, 8), "wscale": False},
    "fused without wscale": {"widths": (12, 8), "fused": True, "wscale": False},
    "gray": {"widths": (9, 5), "channels": 1},
    "labelled": {"widths": (12, 8), "labels": 4},
    "half grown": {"widths": (12, 12, 8, 6), "lod": 1.3},
    "a block short": {"widths": (12, 12, 8), "lod": 1.0},
    "without minibatch stddev": {"widths": (12, 8), "group": 0},
    "odd widths": {"widths": (7, 13, 5, 11)},
}


@pytest.fixture(params=OPTIONS, ids=lambda name: name.replace(" ", "_"))
def case(request, tmp_path):
    options = OPTIONS[request.param]
    smooth, _ = networks(1, **options)
    raw, d = networks(2, **options)
    path = tmp_path / "pggan.pth"
    torch.save({"generator": raw, "discriminator": d, "generator_smooth": smooth}, path)
    flags = {name: options[name] for name in ("fused", "wscale") if name in options}
    return path, smooth, d, flags, options


def test_generator_generates_as_genforce_defines_it(case):
    path, smooth, _, flags, options = case
    generator = import_checkpoint(path)
    label = torch.eye(4)[:3] if "labels" in options else None
    for size in (1.0, 1e-4, 0.0):
        z = size * torch.randn(3, 10, generator=torch.Generator().manual_seed(3))
        theirs = generate(smooth, z, label, **flags)
        torch.testing.assert_close(generator(z, label), theirs, atol=1e-4, rtol=0)


def test_discriminator_scores_as_genforce_defines_it(case):
    path, _, d, flags, options = case
    discriminator = import_checkpoint(path, network="discriminator")
    side = 4 << (len(options["widths"]) - 1)
    images = torch.randn(4, options.get("channels", 3), side, side, generator=torch.Generator().manual_seed(4))
    theirs = score(d, images, group=options.get("group", 16), **flags)
    ours = discriminator(images)
    ours = torch.cat([ours[0][:, None], ours[1]], dim=1) if "labels" in options else ours[:, None]
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_the_older_program_of_a_file_with_labels_is_a_line_in_config_json(tmp_path):
    g, d = networks(1, (12, 8), labels=4)
    torch.save({"generator": g, "discriminator": d}, tmp_path / "file")
    imported = import_networks(tmp_path / "file")
    assert any("December 2020" in note and '"latent_norm": "both"' in note for note in imported.notes)
    folder = imported.save(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["architecture"]["latent_norm"] = "both"
    (folder / "config.json").write_text(json.dumps(config))
    z, label = torch.randn(3, 10, generator=torch.Generator().manual_seed(3)), torch.eye(4)[:3]
    older = generate(g, z, label, until_2020=True)
    torch.testing.assert_close(weights.load(folder)(z, label), older, atol=1e-4, rtol=0)
    assert (older - generate(g, z, label)).abs().max() > 0.01, "the two programs differ, or this test says nothing"


@pytest.mark.parametrize("wrap", [lambda g: g, lambda g: {"generator_smooth": g}], ids=["huggan", "genforce"])
def test_a_label_that_the_file_does_not_tell_is_said_by_the_user(tmp_path, wrap):
    g, _ = networks(1, (12, 8), labels=4)
    path = tmp_path / "file"
    torch.save(wrap(g), path)
    z, label = torch.randn(3, 10, generator=torch.Generator().manual_seed(3)), torch.eye(4)[:3]
    generator = import_checkpoint(path, label_size=4)
    torch.testing.assert_close(generator(z, label), generate(g, z, label), atol=1e-4, rtol=0)
    assert any("--label-size" in note for note in import_networks(path).notes)
    assert not any("--label-size" in note for note in import_networks(path, label_size=0).notes)
    with pytest.raises(CheckpointImportError, match=r"label_size: got 14, expected fewer than the 14 numbers"):
        import_checkpoint(path, label_size=14)
    for wrong in (-1, 2.0, True, "4"):
        with pytest.raises(ValueError, match=r"label_size: got .*, expected an integer from 0"):
            import_checkpoint(path, label_size=wrong)


def test_a_label_that_the_file_tells_is_not_said_otherwise(tmp_path):
    g, d = networks(1, (12, 8), labels=4)
    torch.save({"generator": g, "discriminator": d}, tmp_path / "file")
    assert import_checkpoint(tmp_path / "file", label_size=4).config.label_size == 4
    with pytest.raises(CheckpointImportError, match="label_size: got 3, expected 4 as the file says"):
        import_checkpoint(tmp_path / "file", label_size=3)


@pytest.mark.parametrize(
    "prefix",
    ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "_fsdp_wrapped_module."],
)
def test_a_lone_generator_is_read_without_any_configuration(tmp_path, prefix):
    g, _ = networks(1, (12, 12, 8))
    path = tmp_path / "pytorch_model.bin"  # the layout of huggan/pggan-celebahq-1024
    torch.save({prefix + key: value for key, value in g.items()}, path)
    z = torch.randn(3, 10, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(import_checkpoint(path)(z), generate(g, z), atol=1e-4, rtol=0)


def test_an_averaged_model_of_torch_is_read_without_its_count(tmp_path):
    g, _ = networks(1, (12, 8))
    averaged = torch.optim.swa_utils.AveragedModel(torch.nn.ParameterDict())
    assert list(averaged.state_dict()) == ["n_averaged"]  # what torch adds to the names that begin with module.
    torch.save({"n_averaged": torch.tensor(3)} | {f"module.{key}": value for key, value in g.items()}, tmp_path / "f")
    z = torch.randn(3, 10, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(import_checkpoint(tmp_path / "f")(z), generate(g, z), atol=1e-4, rtol=0)


def test_a_damaged_file_is_refused(refuses_damage):
    g, d = networks(1, (9, 7))
    refuses_damage(g, lambda damaged: {"generator_smooth": damaged, "discriminator": d})
    refuses_damage(g, lambda damaged: damaged)
    refuses_damage(d, lambda damaged: {"generator": g, "discriminator": damaged}, "discriminator")


def test_each_form_is_recognised_as_what_it_is(tmp_path, layouts_of):
    g, d = networks(1, (9, 7))
    forms = {"genforce": [{"generator": g}, {"discriminator": d}, {"generator_smooth": g}], "huggan": [g, d]}
    for name, contents in forms.items():
        for content in contents:
            torch.save(content, tmp_path / "file")
            assert layouts_of(tmp_path / "file") == [name]


@pytest.mark.parametrize("lod", [-1.0, 2.0, torch.inf, torch.nan])
@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_a_fade_state_that_cannot_be_is_refused(tmp_path, lod, network):
    g, d = networks(1, (9, 7), lod=lod)
    torch.save({"generator": g, "discriminator": d}, tmp_path / "file")
    with pytest.raises(CheckpointImportError, match="lod"):
        import_checkpoint(tmp_path / "file", network)


def test_final_tanh_which_no_file_tells_is_a_line_in_config_json(tmp_path):
    g, _ = networks(1, (9, 7))
    torch.save(g, tmp_path / "file")
    folder = import_networks(tmp_path / "file").save(tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["architecture"]["tanh"] = True
    (folder / "config.json").write_text(json.dumps(config))
    z = torch.randn(3, 10)
    torch.testing.assert_close(weights.load(folder)(z), torch.tanh(generate(g, z)), atol=1e-4, rtol=0)
