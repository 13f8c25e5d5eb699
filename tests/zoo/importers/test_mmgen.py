"""MMGeneration and MMagic: imported networks generate (RGB) and score as those programs define them (BGR)."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint


def normalized(x, eps):
    return x / (x.norm(dim=1, keepdim=True) / x.shape[1] ** 0.5 + eps)


def equalized(w, gain=2**0.5):
    """The fan is counted along dimension 1: that is the OUTPUT of a transposed convolution."""
    return w * gain / (w.shape[1] * w[0, 0].numel()) ** 0.5


def four_shifts(kernel):
    padded = F.pad(kernel, (1, 1, 1, 1))
    return padded[..., 1:, 1:] + padded[..., 1:, :-1] + padded[..., :-1, 1:] + padded[..., :-1, :-1]


def conv(p, name, x, gain=2**0.5, padding=1):
    return F.conv2d(x, equalized(p[f"{name}.conv.weight_orig"], gain), p[f"{name}.conv.bias"], padding=padding)


def generate(p, z, label=None, fused=True, scale=None, weight=1.0):
    """The generator as PGGANGenerator defines it: BGR, epsilon outside the root."""

    def activated(x):
        return normalized(F.leaky_relu(x, 0.2), 1e-5)

    x = normalized(z if label is None else torch.cat([z, label], dim=1), 1e-6)
    w = p["noise2feat.linear.weight_orig"]
    x = F.linear(x, equalized(w[:, :, None, None], 2**0.5 / 4)[..., 0, 0]).view(len(z), -1, 4, 4)
    x = activated(conv(p, "conv_blocks.0", activated(x + p["noise2feat.bias"])))
    image = conv(p, "torgb_layers.0", x, 1.0, 0)
    for s in range(1, scale.bit_length() - 2):
        name, coarse = f"conv_blocks.{2 * s - 1}", F.interpolate(image, scale_factor=2)
        if fused:
            kernel = four_shifts(equalized(p[f"{name}.conv.weight_orig"]))
            x = activated(F.conv_transpose2d(x, kernel, p[f"{name}.conv.bias"], stride=2, padding=1))
        else:
            x = activated(conv(p, name, F.interpolate(x, scale_factor=2)))
        x = activated(conv(p, f"conv_blocks.{2 * s}", x))
        image = conv(p, f"torgb_layers.{s}", x, 1.0, 0)
    return image if scale == 4 else coarse + weight * (image - coarse)


def score(p, images, fused=True, group=4, weight=1.0):
    """The discriminator as PGGANDiscriminator defines it: conv_blocks.0 is in the file and never called."""
    s = images.shape[-1].bit_length() - 3
    x = F.leaky_relu(conv(p, f"fromrgb_layers.{s}", images, padding=0), 0.2)
    for b in range(s, 0, -1):
        x, name = F.leaky_relu(conv(p, f"conv_blocks.{2 * b - 1}", x), 0.2), f"conv_blocks.{2 * b}"
        if fused:
            kernel = four_shifts(equalized(p[f"{name}.conv.weight_orig"])) / 4
            x = F.leaky_relu(F.conv2d(x, kernel, p[f"{name}.conv.bias"], stride=2, padding=1), 0.2)
        else:
            x = F.avg_pool2d(F.leaky_relu(conv(p, name, x), 0.2), 2)
        if b == s:
            coarse = conv(p, f"fromrgb_layers.{s - 1}", F.avg_pool2d(images, 2), padding=0)
            coarse = F.leaky_relu(coarse, 0.2)
            x = coarse + weight * (x - coarse)
    if group:
        members = min(group, len(x))
        y = x.view(members, -1, *x.shape[1:])
        y = torch.sqrt((y - y.mean(0)).square().mean(0) + 1e-8).mean((1, 2, 3), keepdim=True)
        x = torch.cat([x, y.repeat(members, 1, 4, 4)], dim=1)
    for n, gain in ((0, 2**0.5), (1, 1.0)):
        w = p[f"decision.linear{n}.weight_orig"]
        x = F.linear(x.flatten(1), w * gain / w.shape[1] ** 0.5, p[f"decision.linear{n}.bias"])
        x = x if n else F.leaky_relu(x, 0.2)
    return x


def generator_weights(seed, widths, latent=10, labels=0, fused=True):
    random = torch.Generator().manual_seed(seed)
    p = {
        "noise2feat.bias": torch.randn(1, widths[0], 1, 1, generator=random) * 0.3,
        "noise2feat.linear.weight_orig": torch.randn(widths[0] * 16, latent + labels, generator=random),
    }

    def layer(name, outputs, inputs, kernel, transposed=False):
        shape = (inputs, outputs) if transposed else (outputs, inputs)
        p[f"{name}.conv.weight_orig"] = torch.randn(*shape, kernel, kernel, generator=random)
        p[f"{name}.conv.bias"] = torch.randn(outputs, generator=random) * 0.3

    for s, width in enumerate(widths):
        if s:
            layer(f"conv_blocks.{2 * s - 1}", width, widths[s - 1], 3, transposed=fused)
        layer(f"conv_blocks.{2 * s}", width, width, 3)
        layer(f"torgb_layers.{s}", 3, width, 1)
    return p


def discriminator_weights(seed, widths, labels=0, group=4):
    random, p = torch.Generator().manual_seed(seed), {}

    def layer(name, outputs, inputs, kernel):
        p[f"{name}.conv.weight_orig"] = torch.randn(outputs, inputs, kernel, kernel, generator=random)
        p[f"{name}.conv.bias"] = torch.randn(outputs, generator=random) * 0.3

    for s, width in enumerate(widths):
        layer(f"fromrgb_layers.{s}", width, 3, 1)
        if s:
            layer(f"conv_blocks.{2 * s - 1}", width, width, 3)
        layer(f"conv_blocks.{2 * s}", widths[max(s - 1, 0)], width, 3)
    for n, outputs, inputs in ((0, 14, (widths[0] + bool(group)) * 16), (1, 1 + labels, 14)):
        p[f"decision.linear{n}.weight_orig"] = torch.randn(outputs, inputs, generator=random)
        p[f"decision.linear{n}.bias"] = torch.randn(outputs, generator=random) * 0.3
    return p


CONFIG = """
model = dict(
    type='ProgressiveGrowingGAN',
    generator=dict(type='PGGANGenerator', out_scale=32, fused_upconv={fused}),
    discriminator=dict(
        type='PGGANDiscriminator', in_scale=32, mbstd_cfg=dict(group_size={group}), fused_convdown={fused}))
img_norm_cfg = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], to_rgb={rgb})
"""

OPTIONS = {
    "as published": {"widths": (12, 12, 8, 6)},
    "mmagic": {"widths": (12, 12, 8), "ema": "generator_ema.module."},
    "data parallel": {"widths": (12, 12, 8), "prefix": "module."},
    "without average": {"widths": (12, 12, 8), "ema": None},
    "labelled": {"widths": (12, 8), "labels": 4},
    "not fused": {"widths": (12, 12, 8), "fused": False},
    "not fused, all of one width": {"widths": (12, 12, 12), "fused": False, "config": True},
    "RGB": {"widths": (12, 12, 8), "rgb": True, "config": True},
    "half grown": {"widths": (12, 12, 8, 6), "scale": 16, "weight": 0.3},
    "groups of 2": {"widths": (12, 8), "group": 2, "config": True},
    "without minibatch stddev": {"widths": (12, 8), "group": 0},
}


def checkpoint(widths, labels=0, fused=True, group=4, rgb=False, scale=None, weight=1.0, ema="generator_ema.",
               prefix="", config=False):  # fmt: skip
    """A file of the family: (its content, the generator that generates, the discriminator, the scale)."""
    average, raw = (generator_weights(seed, widths, labels=labels, fused=fused) for seed in (1, 2))
    d = discriminator_weights(3, widths, labels, group)
    scale = scale or 4 << (len(widths) - 1)
    state = {f"generator.{key}": value for key, value in raw.items()}
    state |= {f"discriminator.{key}": value for key, value in d.items()}
    state |= {f"{ema}{key}": value for key, value in average.items()} if ema else {}
    state |= {"generator_ema.steps": torch.tensor(7)} if ema == "generator_ema.module." else {}
    state |= {"shown_nkimg": torch.tensor(1.0), "_curr_transition_weight": torch.tensor(weight)}
    state |= {"_curr_scale_int": torch.tensor(scale), "_next_scale_int": torch.tensor(scale)}
    meta = {"mmgen_version": "0.1.0"}
    if config:
        meta["config"] = CONFIG.format(fused=fused, group=group, rgb=rgb)
    state = {prefix + key: value for key, value in state.items()}
    return {"meta": meta, "state_dict": state}, average if ema else raw, d, scale


@pytest.fixture(params=OPTIONS, ids=lambda name: name.replace(" ", "_"))
def case(request, tmp_path):
    options = OPTIONS[request.param]
    content, generator, d, scale = checkpoint(**options)
    torch.save(content, tmp_path / "pggan.pth")
    return tmp_path / "pggan.pth", generator, d, scale, options


def test_generator_generates_as_the_program_defines_it_but_rgb(case):
    path, published, _, scale, options = case
    label = torch.eye(4)[:3] if "labels" in options else None
    generator = import_checkpoint(path)
    for size in (1.0, 1e-6, 0.0):
        z = size * torch.randn(3, 10)
        theirs = generate(published, z, label, options.get("fused", True), scale, options.get("weight", 1.0))
        theirs = theirs if options.get("rgb") else theirs.flip(1)
        torch.testing.assert_close(generator(z, label), theirs, atol=1e-4, rtol=0)


def test_discriminator_scores_rgb_as_the_program_scores_bgr(case):
    path, _, d, scale, options = case
    images = torch.randn(4, 3, scale, scale)
    native = images if options.get("rgb") else images.flip(1)
    flags = {name: options[name] for name in ("fused", "group", "weight") if name in options}
    ours = import_checkpoint(path, network="discriminator")(images)
    ours = torch.cat([ours[0][:, None], ours[1]], dim=1) if "labels" in options else ours[:, None]
    torch.testing.assert_close(ours, score(d, native, **flags), atol=1e-4, rtol=0)


def test_published_vector_is_generated(real_data):
    vectors = np.load(real_data / "zoo_vectors/mmgen_128_narrow.npz")
    images = import_checkpoint(real_data / "zoo_vectors/mmgen_128_narrow.pth")(torch.from_numpy(vectors["z"]))
    np.testing.assert_allclose(images.numpy(), vectors["images"], atol=1e-4)


@pytest.mark.parametrize(("network", "prefix"), [("generator", "generator_ema."), ("discriminator", "discriminator.")])
def test_a_damaged_file_is_refused(refuses_damage, network, prefix):
    content, *_ = checkpoint((9, 7))
    others = {key: value for key, value in content["state_dict"].items() if not key.startswith(prefix[:9])}
    tensors = generator_weights(1, (9, 7)) if network == "generator" else discriminator_weights(1, (9, 7))

    def wrap(damaged):
        return {"meta": {}, "state_dict": others | {prefix + key: value for key, value in damaged.items()}}

    unused = "conv_blocks.0.conv." if network == "discriminator" else ""
    refuses_damage(tensors, wrap, network, free=unused)


@pytest.mark.parametrize("scale", [0, -4, 2, 12, 32])
def test_a_current_scale_that_the_network_lacks_is_refused(tmp_path, scale):
    content, *_ = checkpoint((9, 7))
    content["state_dict"]["_curr_scale_int"] = torch.tensor(scale)
    torch.save(content, tmp_path / "file")
    with pytest.raises(CheckpointImportError, match="_curr_scale_int"):
        import_checkpoint(tmp_path / "file")
