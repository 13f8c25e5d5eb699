"""pro_gan_pytorch (akanimax) up to version 2: imported networks generate and score as that program defines them."""

import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint


def normalized(x):
    return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def layer(p, name, x, eql, padding=0):
    w = p[f"{name}.weight"]
    return F.conv2d(x, w * (2 / w[0].numel()) ** 0.5 if eql else w, p[f"{name}.bias"], padding=padding)


def generate(p, z, eql=True, alpha=1.0):
    """The generator, which leaves z as it is: its caller divides z by its norm and multiplies by sqrt(size)."""
    z = z / z.norm(dim=1, keepdim=True) * z.shape[1] ** 0.5
    w = p["initial_block.conv_1.weight"] * ((2 / z.shape[1]) ** 0.5 if eql else 1)
    x = F.leaky_relu(F.conv_transpose2d(z[:, :, None, None], w, p["initial_block.conv_1.bias"]), 0.2)
    x = normalized(F.leaky_relu(layer(p, "initial_block.conv_2", x, eql, 1), 0.2))
    image = layer(p, "rgb_converters.0", x, eql)
    for b in range(len({key.split(".")[1] for key in p if key.startswith("layers")})):
        x, coarse = F.interpolate(x, scale_factor=2), F.interpolate(image, scale_factor=2)
        for name in (f"layers.{b}.conv_1", f"layers.{b}.conv_2"):
            x = normalized(F.leaky_relu(layer(p, name, x, eql, 1), 0.2))
        image = layer(p, f"rgb_converters.{b + 1}", x, eql)
    return alpha * image + (1 - alpha) * coarse


def score(p, images, eql=True, alpha=1.0):
    """The discriminator: nothing is activated after rgb_to_features; one value of stddev for the whole batch."""
    last = len({key.split(".")[1] for key in p if key.startswith("layers")})
    x = layer(p, f"rgb_to_features.{last}", images, eql)
    for b in reversed(range(last)):
        x = F.leaky_relu(layer(p, f"layers.{b}.conv_1", x, eql, 1), 0.2)
        x = F.avg_pool2d(F.leaky_relu(layer(p, f"layers.{b}.conv_2", x, eql, 1), 0.2), 2)
        if b == last - 1:
            coarse = layer(p, f"rgb_to_features.{b}", F.avg_pool2d(images, 2), eql)
            x = alpha * x + (1 - alpha) * coarse
    y = torch.sqrt((x - x.mean(0)).square().mean(0) + 1e-8).mean()
    x = F.leaky_relu(layer(p, "final_block.conv_1", torch.cat([x, y.expand(len(x), 1, 4, 4)], 1), eql, 1), 0.2)
    return layer(p, "final_block.conv_3", F.leaky_relu(layer(p, "final_block.conv_2", x, eql), 0.2), eql).view(-1)


def add(p, random, name, shape, fan_in, eql, prefix=""):
    """Put one seeded layer under the names of the later versions, or, with a prefix, of the first."""
    p[f"{name}.{prefix}weight"] = torch.randn(shape, generator=random) * (1 if eql else (2 / fan_in) ** 0.5)
    p[f"{name}.bias"] = torch.randn(shape[1 if name == "initial_block.conv_1" else 0], generator=random) * 0.3


def generator_file(seed, widths, latent=12, channels=3, eql=True, first_version=False):
    random, p, deconv, conv = torch.Generator().manual_seed(seed), {}, "", ""
    if first_version:
        deconv, conv = "deconv.", "conv."
    add(p, random, "initial_block.conv_1", (latent, widths[0], 4, 4), latent, eql, deconv)
    add(p, random, "initial_block.conv_2", (widths[0], widths[0], 3, 3), widths[0] * 9, eql, conv)
    for b, width in enumerate(widths):
        if b:
            add(p, random, f"layers.{b - 1}.conv_1", (width, widths[b - 1], 3, 3), widths[b - 1] * 9, eql, conv)
            add(p, random, f"layers.{b - 1}.conv_2", (width, width, 3, 3), width * 9, eql, conv)
        add(p, random, f"rgb_converters.{b}", (channels, width, 1, 1), width, eql, conv)
    return p


def discriminator_file(seed, widths, hidden=12, channels=3, eql=True):
    random, p = torch.Generator().manual_seed(seed), {}
    for b, width in enumerate(widths):
        add(p, random, f"rgb_to_features.{b}", (width, channels, 1, 1), channels, eql)
        if b:
            add(p, random, f"layers.{b - 1}.conv_1", (width, width, 3, 3), width * 9, eql)
            add(p, random, f"layers.{b - 1}.conv_2", (widths[b - 1], width, 3, 3), width * 9, eql)
    add(p, random, "final_block.conv_1", (widths[0], widths[0] + 1, 3, 3), widths[0] * 9, eql)
    add(p, random, "final_block.conv_2", (hidden, widths[0], 4, 4), widths[0] * 16, eql)
    add(p, random, "final_block.conv_3", (1, hidden, 1, 1), hidden, eql)
    return p


OPTIONS = pytest.mark.parametrize(
    "options",
    [{"widths": (12, 12, 8)}, {"widths": (12, 12, 8), "eql": False}, {"widths": (12, 8), "channels": 1}],
    ids=["as published", "without equalization", "gray"],
)


@OPTIONS
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_generator_generates_as_the_program_defines_it(tmp_path, options, prefix, alpha):
    p, path = generator_file(1, **options), tmp_path / "GAN_GEN_SHADOW_8.pth"
    torch.save({prefix + key: value for key, value in p.items()}, path)
    z = 3 * torch.randn(3, 12)
    theirs = generate(p, z, options.get("eql", True), alpha)
    torch.testing.assert_close(import_checkpoint(path)(z, alpha=alpha), theirs, atol=1e-4, rtol=0)


@OPTIONS
@pytest.mark.parametrize("alpha", [1.0, 0.3])
def test_discriminator_scores_as_the_program_defines_it(tmp_path, options, alpha):
    p, path = discriminator_file(2, **options), tmp_path / "GAN_DIS_8.pth"
    torch.save({f"module.{key}": value for key, value in p.items()}, path)
    images = torch.randn(6, options.get("channels", 3), *2 * (4 << (len(options["widths"]) - 1),))
    theirs = score(p, images, options.get("eql", True), alpha)
    ours = import_checkpoint(path, network="discriminator")(images, alpha=alpha)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("two_biases", [False, True])
def test_the_first_version_is_read_with_the_scales_it_drew_on_average(tmp_path, two_biases):
    p = generator_file(1, (12, 12, 8), first_version=True)
    later = {key.replace(".deconv.", ".").replace(".conv.", "."): value.clone() for key, value in p.items()}
    for (
        key,
        value,
    ) in later.items():  # these are used at (2 / fan_in) ** 0.5, the first at 1 / fan_in ** 0.5
        if key == "initial_block.conv_1.weight":
            value.mul_((1 / 12 / 16) ** 0.5 / (2 / 12) ** 0.5)
        elif key.endswith("weight"):
            value.mul_(0.5**0.5)
    if two_biases:
        p["layers.0.conv_1.conv.bias"] = torch.randn(12)
        later["layers.0.conv_1.bias"] += p["layers.0.conv_1.conv.bias"]
    torch.save(p, tmp_path / "GAN_GEN_4.pth")
    z = torch.randn(3, 12)
    theirs = generate(later, z)
    torch.testing.assert_close(import_checkpoint(tmp_path / "GAN_GEN_4.pth")(z), theirs, atol=1e-4, rtol=0)


FIRST_LAYERS = ("initial_block.conv_1.weight", "initial_block.conv_1.deconv.weight")


def test_a_damaged_file_is_refused(refuses_damage):
    first_layer = {free: generator_file(1, (9, 7), first_version="deconv" in free) for free in FIRST_LAYERS}
    for free, tensors in first_layer.items():  # (latent, ...): a longer one would be another latent
        refuses_damage(tensors, lambda damaged: damaged, free=free)
    refuses_damage(discriminator_file(1, (9, 7)), lambda damaged: damaged, "discriminator")


def test_a_discriminator_of_the_first_version_is_refused_with_the_reason(tmp_path):
    p = {key.replace(".weight", ".conv.weight"): value for key, value in discriminator_file(1, (9, 7)).items()}
    torch.save(p, tmp_path / "GAN_DIS_4.pth")
    with pytest.raises(CheckpointImportError, match="first version"):
        import_checkpoint(tmp_path / "GAN_DIS_4.pth", network="discriminator")


def test_each_form_is_recognised_as_what_it_is(tmp_path, layouts_of):
    first = generator_file(1, (9, 7), first_version=True)
    for content in (generator_file(1, (9, 7)), first, discriminator_file(1, (9, 7))):
        torch.save(content, tmp_path / "file")
        assert layouts_of(tmp_path / "file") == ["akanimax_v2"]
