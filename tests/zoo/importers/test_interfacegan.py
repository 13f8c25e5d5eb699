"""interfacegan, higan and mganprior: imported networks generate and score as those programs define them."""

import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint


def normalized(x):
    return x / torch.sqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)


def four_shifts(kernel):
    """A (3, 3, in, out) kernel becomes the 4x4 one that resamples and convolves in one stride-2 step."""
    padded = F.pad(kernel, (0, 0, 0, 0, 1, 1, 1, 1))
    return padded[1:, 1:] + padded[1:, :-1] + padded[:-1, 1:] + padded[:-1, :-1]


def block(p, name, x, padding=1, gain=2**0.5, up=False, down=False):
    """Convolution, scale, bias; the fused form stores its kernel as TensorFlow does."""
    bias = p[f"{name}.wscale.bias"][:, None, None]
    if f"{name}.weight" in p:
        kernel = four_shifts(p[f"{name}.weight"])
        scale = gain / (9 * kernel.shape[2]) ** 0.5
        if up:
            return F.conv_transpose2d(x, kernel.permute(2, 3, 0, 1), stride=2, padding=1) * scale + bias
        return F.conv2d(x, kernel.permute(3, 2, 0, 1) / 4, stride=2, padding=1) * scale + bias
    w = p[f"{name}.conv.weight"]
    x = F.conv2d(F.interpolate(x, scale_factor=2) if up else x, w, padding=padding)
    return x * (gain / w[0].numel() ** 0.5) + bias


def generate(p, z):
    """The generator; a fractional lod is rounded up, for these programs do not blend."""
    first = 0 if "layer0.wscale.bias" in p else 1
    count = sum(key.startswith("layer") and key.endswith("bias") for key in p)
    lod, side, x, image = float(p.get("lod", 0.0)), 4 << (count // 2 - 1), z[:, :, None, None], None
    for n in range(count):
        b = n // 2
        if b + lod > count // 2 - 1:
            image = F.interpolate(image, scale_factor=2) if n % 2 else image
            continue
        x = block(p, f"layer{n + first}", normalized(x), padding=1 if n else 3, up=n > 0 and n % 2 == 0)
        x = F.leaky_relu(x, 0.2)
        output = f"output{b}" if first == 0 else f"output_{side}x{side}"
        if n % 2 and (first == 0 or n == count - 1):
            image = block(p, output, normalized(x), padding=0, gain=1.0)
    return image


def score(p, images, group=16):
    """The discriminator; input0 and layer0 belong to the full resolution."""
    blocks = sum(key.startswith("input") and key.endswith("bias") for key in p)
    lod, x = int(p["lod"]), None
    for b in range(blocks):
        if b < lod:
            images = F.avg_pool2d(images, 2)
            continue
        if b == lod:
            x = F.leaky_relu(block(p, f"input{b}", images, padding=0), 0.2)
        if b == blocks - 1:
            members = min(group, len(x))
            y = x.view(members, -1, *x.shape[1:])
            y = torch.sqrt((y - y.mean(0)).square().mean(0) + 1e-8).mean((1, 2, 3), keepdim=True)
            x = torch.cat([x, y.repeat(members, 1, 4, 4)], dim=1)
        x = F.leaky_relu(block(p, f"layer{2 * b}", x), 0.2)
        if b < blocks - 1:
            fused = f"layer{2 * b + 1}.weight" in p
            x = F.leaky_relu(block(p, f"layer{2 * b + 1}", x), 0.2)
            x = x if fused else F.avg_pool2d(x, 2)
    for n, gain in ((2 * blocks - 1, 2**0.5), (2 * blocks, 1.0)):
        w = p[f"layer{n}.fc.weight"]
        x = F.linear(x.flatten(1), w) * (gain / w.shape[1] ** 0.5) + p[f"layer{n}.wscale.bias"]
        x = F.leaky_relu(x, 0.2) if gain > 1 else x
    return x


def generator_file(seed, widths, latent=10, fused=False, lod=None, channels=3):
    """Seeded weights: with lod the later names, one output a resolution; without, the older ones with just the last."""
    random, first = torch.Generator().manual_seed(seed), 0 if lod is not None else 1
    p = {} if lod is None else {"lod": torch.tensor(lod)}

    def draw(*shape):
        return torch.randn(shape, generator=random)

    for n in range(2 * len(widths)):
        name, width = f"layer{n + first}", widths[n // 2]
        inputs = latent if n == 0 else widths[(n - 1) // 2]
        if fused and n and n % 2 == 0:
            p[f"{name}.weight"] = draw(3, 3, inputs, width)
        else:
            p[f"{name}.conv.weight"] = draw(width, inputs, *((3, 3) if n else (4, 4)))
        p[f"{name}.wscale.bias"] = draw(width) * 0.3
    side = 4 << (len(widths) - 1)
    outputs = dict(enumerate(widths)) if lod is not None else {f"_{side}x{side}": widths[-1]}
    for name, width in outputs.items():
        p[f"output{name}.conv.weight"] = draw(channels, width, 1, 1)
        p[f"output{name}.wscale.bias"] = draw(channels) * 0.3
    return p


def discriminator_file(seed, widths, fused=False, lod=0.0, labels=0):
    random, last = torch.Generator().manual_seed(seed), len(widths) - 1

    def draw(*shape):
        return torch.randn(shape, generator=random)

    p = {"lod": torch.tensor(lod)}
    for b, width in enumerate(reversed(widths)):
        p[f"input{b}.conv.weight"], p[f"input{b}.wscale.bias"] = draw(width, 3, 1, 1), draw(width) * 0.3
        p[f"layer{2 * b}.conv.weight"] = draw(width, width + (b == last), 3, 3)
        p[f"layer{2 * b}.wscale.bias"] = draw(width) * 0.3
        if b < last:
            coarser, name = widths[last - b - 1], f"layer{2 * b + 1}"
            shape = (
                {f"{name}.weight": (3, 3, width, coarser)} if fused else {f"{name}.conv.weight": (coarser, width, 3, 3)}
            )
            p |= {key: draw(*size) for key, size in shape.items()} | {f"{name}.wscale.bias": draw(coarser) * 0.3}
    for n, outputs, inputs in ((2 * last + 1, 14, widths[0] * 16), (2 * last + 2, 1 + labels, 14)):
        p[f"layer{n}.fc.weight"], p[f"layer{n}.wscale.bias"] = draw(outputs, inputs), draw(outputs) * 0.3
    return p


@pytest.mark.parametrize(
    "options",
    [
        {"widths": (12, 12, 8)},
        {"widths": (12, 12, 8), "channels": 1},
        {"widths": (12, 12, 8), "lod": 0.0},
        {"widths": (12, 12, 8, 6), "lod": 0.0, "fused": True},
        {"widths": (12, 12, 8, 6), "lod": 1.4},
    ],
    ids=["celebahq names", "gray", "bedroom names", "fused", "half grown"],
)
@pytest.mark.parametrize("prefix", ["", "module."])
def test_generator_generates_as_the_program_defines_it(tmp_path, options, prefix):
    p, path = generator_file(1, **options), tmp_path / "pggan.pth"
    torch.save({prefix + key: value for key, value in p.items()}, path)
    z = torch.randn(3, 10, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(import_checkpoint(path)(z), generate(p, z), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "options", [{}, {"fused": True}, {"lod": 1.0}, {"labels": 3}], ids=["plain", "fused", "half grown", "labelled"]
)
def test_discriminator_scores_as_the_program_defines_it(tmp_path, options):
    p, path = discriminator_file(2, (12, 12, 8), **options), tmp_path / "pggan_discriminator.pth"
    torch.save(p, path)
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(4))
    ours = import_checkpoint(path, network="discriminator")(images)
    ours = torch.cat([ours[0][:, None], ours[1]], dim=1) if "labels" in options else ours[:, None]
    torch.testing.assert_close(ours, score(p, images), atol=1e-4, rtol=0)


def test_a_file_without_the_other_resolutions_says_that_it_cannot_generate_them(tmp_path):
    torch.save(generator_file(1, (12, 12, 8)), tmp_path / "pggan_celebahq.pth")
    generator = import_checkpoint(tmp_path / "pggan_celebahq.pth")
    with pytest.raises(ValueError, match="16"):
        generator(torch.randn(2, 10), resolution=8)
    with pytest.raises(ValueError, match="16"):
        generator(torch.randn(2, 10), alpha=0.5)


@pytest.mark.parametrize("options", [{}, {"lod": 0.0}, {"lod": 0.0, "fused": True}])
def test_a_damaged_generator_is_refused(refuses_damage, options):
    refuses_damage(generator_file(1, (9, 7), **options), lambda damaged: damaged)


@pytest.mark.parametrize("fused", [False, True])
def test_a_damaged_discriminator_is_refused(refuses_damage, fused):
    refuses_damage(discriminator_file(1, (9, 7), fused=fused), lambda damaged: damaged, "discriminator")


def test_each_form_is_recognised_as_what_it_is(tmp_path, layouts_of):
    generators = [generator_file(1, (9, 7)), generator_file(1, (9, 7), lod=0.0, fused=True)]
    for content in (*generators, discriminator_file(1, (9, 7)), discriminator_file(1, (9, 7), fused=True)):
        torch.save(content, tmp_path / "file")
        assert layouts_of(tmp_path / "file") == ["interfacegan"]


@pytest.mark.parametrize("lod", [-1.0, 2.0, torch.inf, torch.nan])
def test_a_fade_state_that_cannot_be_is_refused(tmp_path, lod):
    torch.save(generator_file(1, (9, 7), lod=0.0) | {"lod": torch.tensor(lod)}, tmp_path / "file")
    with pytest.raises(CheckpointImportError):
        import_checkpoint(tmp_path / "file")
