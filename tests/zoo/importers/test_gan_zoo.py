"""pytorch_GAN_zoo's checkpoints: imported networks work as its progressive_conv_net.py defines them."""

import re
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint

NOISE = 10


class BaseConfig:
    """The class whose object lies in every such file."""


@pytest.fixture(autouse=True)
def their_package(monkeypatch):
    for name in ("models", "models.utils", "models.utils.config"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["models.utils.config"].BaseConfig = BaseConfig
    monkeypatch.setattr(BaseConfig, "__module__", "models.utils.config")


def settings(**fields):
    config = BaseConfig()
    config.__dict__.update({"leakyReluLeak": 0.2, "perChannelNormalization": True, "equalizedlR": True, "alpha": 0.0})
    config.__dict__.update({"lossCriterion": "WGANGP", "categoryVectorDim": 0, **fields})
    return config


def weights(seed, network, widths, channels=3, categories=0, stddev=True, scale=1.0):
    """Random tensors under their names and shapes; biases are not zero, they would hide mistakes."""
    random, found = torch.Generator().manual_seed(seed), {}

    def layer(name, *shape):
        found[f"{name}.module.weight"] = torch.randn(*shape, generator=random) * scale
        found[f"{name}.module.bias"] = torch.randn(shape[0], generator=random) * scale

    for i, width in enumerate(widths):
        if network == "G":
            layer(f"toRGBLayers.{i}", channels, width, 1, 1)
        else:
            layer(f"fromRGBLayers.{i}", width, channels, 1, 1)
        if i:
            below = widths[i - 1]
            layer(f"scaleLayers.{i - 1}.0", width, below if network == "G" else width, 3, 3)
            layer(f"scaleLayers.{i - 1}.1", width if network == "G" else below, width, 3, 3)
        elif network == "G":
            layer("formatLayer", width * 16, NOISE + categories)
            layer("groupScale0.0", width, width, 3, 3)
        else:
            layer("groupScaleZero.0", width, width + stddev, 3, 3)
            layer("groupScaleZero.1", width, width * 16)
            layer("decisionLayer", 1 + categories, width)
    return found


class Program:
    """progressive_conv_net.py: y = (W x + b) c with c = sqrt(2 / fan_in), everywhere."""

    def __init__(self, found, alpha=0.0, slope=0.2, equalized=True):
        self.p, self.alpha, self.slope, self.equalized = found, alpha, slope, equalized
        self.scales = len({name.split(".")[1] for name in found if name.startswith("scaleLayers")})

    def layer(self, x, name):
        w, b = self.p[f"{name}.module.weight"].double(), self.p[f"{name}.module.bias"].double()
        x = F.linear(x, w, b) if w.ndim == 2 else F.conv2d(x, w, b, padding=w.shape[2] // 2)
        return x * (2.0 / w[0].numel()) ** 0.5 if self.equalized else x

    def act(self, x, name):
        return F.leaky_relu(self.layer(x, name), self.slope)

    def generate(self, z, tanh=False):
        def norm(x):
            return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + 1e-8)

        def rgb(x, i):
            return self.layer(x, f"toRGBLayers.{i}")

        x = norm(self.act(norm(z), "formatLayer").view(len(z), -1, 4, 4))
        x = norm(self.act(x, "groupScale0.0"))
        before = x
        for i in range(self.scales):
            before, x = x, F.interpolate(x, scale_factor=2)
            for j in (0, 1):
                x = norm(self.act(x, f"scaleLayers.{i}.{j}"))
        image = rgb(x, self.scales)
        if self.alpha > 0 and self.scales:
            coarse = F.interpolate(rgb(before, self.scales - 1), scale_factor=2)
            image = self.alpha * coarse + (1 - self.alpha) * image
        return torch.tanh(image) if tanh else image

    def score(self, images, stddev=True):
        y = None
        if self.alpha > 0 and self.scales:
            y = self.act(F.avg_pool2d(images, 2), f"fromRGBLayers.{self.scales - 1}")
        x = self.act(images, f"fromRGBLayers.{self.scales}")
        merge = self.alpha > 0 and self.scales > 1
        for i in reversed(range(self.scales)):
            for j in (0, 1):
                x = self.act(x, f"scaleLayers.{i}.{j}")
            x = F.avg_pool2d(x, 2)
            if merge:
                merge, x = False, self.alpha * y + (1 - self.alpha) * x
        if stddev:
            n = len(x)
            group = min(n, 4) if n % min(n, 4) == 0 else n
            parts = []
            for part in x.split(group):
                value = torch.zeros(()) if group == 1 else (part.var(dim=0) + 1e-8).sqrt().mean()
                parts.append(value.expand(len(part), 1, 4, 4))
            x = torch.cat([x, torch.cat(parts)], dim=1)
        x = self.act(x, "groupScaleZero.0").flatten(1)
        return self.layer(self.act(x, "groupScaleZero.1"), "decisionLayer")


CASES = {
    "plain": ({"widths": (12, 10, 6)}, {}),
    "fading": ({"widths": (12, 10, 6)}, {"alpha": 0.25}),
    "fading, hardly begun": ({"widths": (12, 10, 6)}, {"alpha": 1.0}),
    "8x8, fading": ({"widths": (9, 7)}, {"alpha": 0.6}),
    "8x8, hardly begun": ({"widths": (9, 7)}, {"alpha": 1.0}),
    "4x4": ({"widths": (9,)}, {"alpha": 0.5}),
    "gray, odd widths": ({"widths": (7, 11, 5, 6), "channels": 1}, {"dimOutput": 1}),
    "DCGAN": ({"widths": (12, 8)}, {"lossCriterion": "DCGAN"}),
    "MSE, fading": ({"widths": (12, 8, 8)}, {"lossCriterion": "MSE", "alpha": 0.25}),
    "AC-GAN": ({"widths": (12, 8), "categories": 5}, {"categoryVectorDim": 5, "attribKeysOrder": {"a": {"order": 0}}}),
    "another slope": ({"widths": (12, 8)}, {"leakyReluLeak": 0.1}),
    "not equalized": ({"widths": (12, 8), "scale": 0.2}, {"equalizedlR": False}),
    "no minibatch stddev": ({"widths": (12, 8), "stddev": False}, {"miniBatchStdDev": False}),
}


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    given, fields = CASES[request.param]
    sizes = {name: given[name] for name in given if name != "stddev"}
    g, avg, d = weights(1, "G", **sizes), weights(2, "G", **sizes), weights(3, "D", **given)
    path = tmp_path / "celebaHQ_s2_i1-00000000.pth"
    torch.save({"config": settings(**fields), "netG": g, "netD": d, "avgG": avg}, path)
    options = {"slope": fields.get("leakyReluLeak", 0.2), "equalized": fields.get("equalizedlR", True)}
    options["alpha"] = fields.get("alpha", 0.0)
    return path, Program(avg, **options), Program(d, **options), given, fields


def test_generator_generates_as_its_program_defines_it(case):
    path, program, _, given, fields = case
    categories = given.get("categories", 0)
    z = torch.randn(4, NOISE + categories, dtype=torch.double) * torch.tensor([[1], [1], [1e-4], [0]])
    label = z[:, NOISE:].float() if categories else None
    theirs = program.generate(z, tanh=fields.get("lossCriterion") in ("DCGAN", "MSE"))
    ours = import_checkpoint(path)(z[:, :NOISE].float(), label)
    torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=0)


@pytest.mark.parametrize("samples", [1, 3, 8, 6])
def test_discriminator_scores_as_its_program_defines_it(case, samples):
    path, _, program, given, _ = case
    side = 4 << (len(given["widths"]) - 1)
    images = torch.randn(samples, given.get("channels", 3), side, side, dtype=torch.double)
    theirs = program.score(images, given.get("stddev", True))
    ours = import_checkpoint(path, "discriminator")(images.float())
    ours = torch.cat([ours[0][:, None], ours[1]], dim=1) if "categories" in given else ours[:, None]
    torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=0)


def test_the_pair_has_one_config(case, one_pair):
    path, _, _, given, _ = case
    side = 4 << (len(given["widths"]) - 1)
    one_pair(path, torch.randn(4, given.get("channels", 3), side, side))


def test_its_own_images(real_data):
    path = real_data / "zoo_vectors" / "ganzoo_32_alpha025.pth"
    vectors = np.load(path.with_suffix(".npz"))
    images = import_checkpoint(path)(torch.from_numpy(vectors["z"])).numpy()
    assert np.abs(images - vectors["images"]).max() < 1e-4
    assert np.abs(images - vectors["images_raw_generator"]).max() > 1e-2  # avgG it is, not netG


@pytest.mark.parametrize("zipped", [True, False], ids=["new file", "file of torch before 1.6"])
@pytest.mark.parametrize(
    "rename",
    [lambda name: name.replace(".module.", "."), lambda name: "module." + name, lambda name: name],
    ids=["older names", "of a DataParallel", "names as they are"],
)
def test_every_name_and_file_format_that_it_has_had(tmp_path, rename, zipped):
    g, d = weights(1, "G", (9, 7)), weights(2, "D", (9, 7))
    old = {
        "config": settings(),
        "netG": {rename(k): v for k, v in g.items()},
        "netD": {rename(k): v for k, v in d.items()},
    }
    path = tmp_path / "any"
    torch.save(old, path, _use_new_zipfile_serialization=zipped)
    z, images = torch.randn(2, NOISE, dtype=torch.double), torch.randn(4, 3, 8, 8, dtype=torch.double)
    torch.testing.assert_close(import_checkpoint(path)(z.float()).double(), Program(g).generate(z), atol=1e-4, rtol=0)
    scores = import_checkpoint(path, "discriminator")(images.float())
    torch.testing.assert_close(scores.double(), Program(d).score(images)[:, 0], atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("fields", "change", "message"),
    [
        ({"perChannelNormalization": False}, {}, "perChannelNormalization: got False"),
        ({"lossCriterion": "Hinge"}, {}, "lossCriterion: got 'Hinge', expected one of DCGAN, MSE"),
        ({"alpha": 2.0}, {}, "alpha: got 2.0, expected 0 to 1"),
        ({}, {"groupScale0.0.module.bias": torch.zeros(3)}, r"blocks.4x4.conv.bias is \(3,\), expected \(9,\)"),
        ({}, {"extra.weight": torch.zeros(3)}, r"without a place.*extra.weight"),
        ({}, {"scaleLayers.0.1.module.weight": torch.full((7, 7, 3, 3), float("nan"))}, "not finite"),
        ({}, {"scaleLayers.0.1.module.weight": torch.ones((7, 7, 3, 3), dtype=torch.int64)}, "int64, expected float"),
    ],
)
def test_what_is_not_whole_or_cannot_be_is_refused(tmp_path, fields, change, message):
    torch.save({"config": settings(**fields), "avgG": weights(1, "G", (9, 7)) | change}, tmp_path / "any.pth")
    with pytest.raises(CheckpointImportError, match=message):
        import_checkpoint(tmp_path / "any.pth")


def test_a_file_without_a_discriminator_says_what_it_holds(tmp_path):
    torch.save({"config": settings(), "avgG": weights(1, "G", (9, 7))}, tmp_path / "any.pth")
    with pytest.raises(CheckpointImportError, match=re.escape("no discriminator in this gan_zoo file, dict of 2")):
        import_checkpoint(tmp_path / "any.pth", "discriminator")
