"""pro_gan_pytorch (akanimax), version 3: imported networks generate and score as that program defines them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint


def normalized(x):
    return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def layer(p, name, x, eql, padding=0):
    w = p[f"{name}.weight"]
    return F.conv2d(x, w * (2 / w[0].numel()) ** 0.5 if eql else w, p[f"{name}.bias"], padding=padding)


def generate(p, z, eql=True, depth=None, alpha=1.0):
    """The generator: no normalization between the projection and the first convolution, gain sqrt(2) everywhere."""
    last = len({key.split(".")[1] for key in p if key.startswith("layers")}) if depth is None else depth - 1
    w = p["layers.0.conv_1.weight"] * ((2 / z.shape[1]) ** 0.5 if eql else 1)
    x = F.conv_transpose2d(normalized(z)[:, :, None, None], w, p["layers.0.conv_1.bias"])
    x = normalized(F.leaky_relu(layer(p, "layers.0.conv_2", F.leaky_relu(x, 0.2), eql, 1), 0.2))
    image = layer(p, "rgb_converters.0", x, eql)
    for b in range(1, last):
        x, coarse = F.interpolate(x, scale_factor=2), F.interpolate(image, scale_factor=2)
        for name in (f"layers.{b}.conv_1", f"layers.{b}.conv_2"):
            x = normalized(F.leaky_relu(layer(p, name, x, eql, 1), 0.2))
        image = layer(p, f"rgb_converters.{b}", x, eql)
    return image if last == 1 else alpha * image + (1 - alpha) * coarse


def score(p, images, eql=True, alpha=1.0):
    """The discriminator: layers.0 and from_rgb.0 belong to the full resolution; groups of 4 neighbours."""
    layers = len({key.split(".")[1] for key in p if key.startswith("layers")})
    x = F.leaky_relu(layer(p, "from_rgb.0.0", images, eql), 0.2)
    for b in range(layers - 1):
        x = F.leaky_relu(layer(p, f"layers.{b}.conv_1", x, eql, 1), 0.2)
        x = F.avg_pool2d(F.leaky_relu(layer(p, f"layers.{b}.conv_2", x, eql, 1), 0.2), 2)
        if b == 0:
            coarse = F.leaky_relu(layer(p, "from_rgb.1.0", F.avg_pool2d(images, 2), eql), 0.2)
            x = alpha * x + (1 - alpha) * coarse
    maps = [torch.sqrt((y - y.mean(0)).square().mean(0) + 1e-8).mean().expand(len(y), 1, 4, 4) for y in x.split(4)]
    x = torch.cat([x, torch.cat(maps)], dim=1)
    x = F.leaky_relu(layer(p, f"layers.{layers - 1}.conv_1", x, eql, 1), 0.2)
    x = F.leaky_relu(layer(p, f"layers.{layers - 1}.conv_2", x, eql), 0.2)
    return layer(p, f"layers.{layers - 1}.conv_3", x, eql).view(-1)


def networks(seed, widths, latent=12, channels=3, eql=True):
    """Seeded weights of both networks: {"conf", "state_dict"} each, as the program saves them."""
    random, last, g, d = torch.Generator().manual_seed(seed), len(widths) - 1, {}, {}

    def add(p, name, shape, fan_in):
        p[f"{name}.weight"] = torch.randn(shape, generator=random) * (1 if eql else (2 / fan_in) ** 0.5)
        p[f"{name}.bias"] = torch.randn(shape[0], generator=random) * 0.3

    for b, width in enumerate(widths):
        inputs = widths[b - 1]
        add(g, f"layers.{b}.conv_1", (width, inputs, 3, 3) if b else (width, latent, 4, 4), inputs * 9 if b else latent)
        add(g, f"layers.{b}.conv_2", (width, width, 3, 3), width * 9)
        add(g, f"rgb_converters.{b}", (channels, width, 1, 1), width)
        add(d, f"from_rgb.{last - b}.0", (width, channels, 1, 1), channels)
        if b:
            add(d, f"layers.{last - b}.conv_1", (width, width, 3, 3), width * 9)
            add(d, f"layers.{last - b}.conv_2", (inputs, width, 3, 3), width * 9)
    g["layers.0.conv_1.weight"] = g["layers.0.conv_1.weight"].transpose(0, 1).contiguous()
    add(d, f"layers.{last}.conv_1", (widths[0], widths[0] + 1, 3, 3), widths[0] * 9)
    add(d, f"layers.{last}.conv_2", (latent, widths[0], 4, 4), widths[0] * 16)
    add(d, f"layers.{last}.conv_3", (1, latent, 1, 1), latent)
    conf = {"depth": last + 2, "num_channels": channels, "latent_size": latent, "use_eql": eql}
    return {"conf": conf, "state_dict": g}, {"conf": {**conf, "num_classes": None}, "state_dict": d}


OPTIONS = {
    "as published": {"widths": (12, 12, 8)},
    "without equalization": {"widths": (12, 12, 8), "eql": False},
    "gray": {"widths": (12, 8), "channels": 1},
    "odd widths": {"widths": (7, 13, 5, 11)},
}


@pytest.fixture(params=OPTIONS, ids=lambda name: name.replace(" ", "_"))
def case(request, tmp_path):
    options = OPTIONS[request.param]
    shadow, _ = networks(1, **options)
    raw, d = networks(2, **options)
    content = {"generator": raw, "discriminator": d, "shadow_generator": shadow}
    torch.save(content | {"gen_optim": {}, "dis_optim": {}}, tmp_path / "depth_4.bin")
    return tmp_path / "depth_4.bin", shadow["state_dict"], d["state_dict"], options


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_generator_generates_as_the_program_defines_it(case, alpha):
    path, shadow, _, options = case
    z = torch.randn(3, 12)
    theirs = generate(shadow, z, options.get("eql", True), alpha=alpha)
    torch.testing.assert_close(import_checkpoint(path)(z, alpha=alpha), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_discriminator_scores_as_the_program_defines_it(case, alpha):
    path, _, d, options = case
    side = 4 << (len(options["widths"]) - 1)
    images = torch.randn(8, options.get("channels", 3), side, side)
    theirs = score(d, images, options.get("eql", True), alpha)
    ours = import_checkpoint(path, network="discriminator")(images, alpha=alpha)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


def test_without_a_shadow_the_generator_itself_is_taken(tmp_path):
    g, d = networks(1, (12, 8))
    torch.save({"generator": g, "discriminator": d}, tmp_path / "depth_3.bin")
    z = torch.randn(3, 12)
    theirs = generate(g["state_dict"], z)
    torch.testing.assert_close(import_checkpoint(tmp_path / "depth_3.bin")(z), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("resolution", "images"), [(None, "images"), (16, "images_depth_minus_1")])
def test_published_vector_is_generated(real_data, resolution, images):
    vectors = np.load(real_data / "zoo_vectors/akanimax_32_noeql.npz")
    generator = import_checkpoint(real_data / "zoo_vectors/akanimax_32_noeql.bin")
    ours = generator(torch.from_numpy(vectors["z"]), resolution=resolution)
    np.testing.assert_allclose(ours.numpy(), vectors[images], atol=1e-4)


def test_a_projection_discriminator_is_refused_with_the_reason(tmp_path):
    g, d = networks(1, (12, 8))
    d["conf"]["num_classes"] = 10
    d["state_dict"]["layers.1.label_embedder.weight"] = torch.randn(10, 12)
    torch.save({"generator": g, "discriminator": d}, tmp_path / "depth_3.bin")
    assert import_checkpoint(tmp_path / "depth_3.bin").config.label_size == 0
    with pytest.raises(CheckpointImportError, match="label_embedder"):
        import_checkpoint(tmp_path / "depth_3.bin", network="discriminator")


def test_a_damaged_file_is_refused(refuses_damage):
    g, d = networks(1, (9, 7))
    refuses_damage(g["state_dict"], lambda damaged: {"generator": {**g, "state_dict": damaged}})
    refuses_damage(d["state_dict"], lambda damaged: {"discriminator": {**d, "state_dict": damaged}}, "discriminator")


@pytest.mark.parametrize("use_eql", [None, 1, "True"])
def test_a_file_that_does_not_say_whether_it_is_equalized_is_refused(tmp_path, use_eql):
    g, _ = networks(1, (9, 7))
    torch.save({"generator": {**g, "conf": {**g["conf"], "use_eql": use_eql}}}, tmp_path / "file")
    with pytest.raises(CheckpointImportError, match="use_eql"):
        import_checkpoint(tmp_path / "file")
