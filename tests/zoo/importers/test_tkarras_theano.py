"""tkarras's Theano pickles, as Python 2 wrote them: imported networks work as network.py of that program defines it."""

import pickle
import struct
import sys
import types
from itertools import pairwise
from typing import ClassVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint, import_networks

LATENT = 10


class Network:
    """What network.Network saves; build_module_src is code that its __setstate__ would run."""

    def __init__(self, values, lod=0.0, **spec):
        self.state = {
            "build_func_spec": spec, "build_module_src": "raise SystemError('the source in a pickle was run')",
            "param_values": values, "toplevel_params": {"cur_lod": np.array(lod, np.float32)},
        }  # fmt: skip

    def __getstate__(self):
        return self.state


class Python2Pickler(pickle._Pickler):
    """Python 2's opcodes: no bytes, so an array's numbers are a string; numpy's old module names."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, value):
        value = value if isinstance(value, bytes) else value.encode("ascii")
        self.write(pickle.BINSTRING + struct.pack("<i", len(value)) + value)
        self.memoize(value)

    dispatch[bytes] = dispatch[str] = save_string

    def save_global(self, obj, name=None):
        module = obj.__module__.replace("numpy._core", "numpy.core")
        self.write(pickle.GLOBAL + f"{module}\n{obj.__name__}\n".encode())
        self.memoize(obj)

    dispatch[type] = dispatch[types.FunctionType] = save_global


@pytest.fixture(autouse=True)
def network_module(monkeypatch):
    module = types.ModuleType("network")
    module.Network = Network
    monkeypatch.setitem(sys.modules, "network", module)
    monkeypatch.setattr(Network, "__module__", "network")


def values(seed, network, widths, channels=3, labels=0, wscale=True, stddev=True, hidden=9):
    """Parameter values in Lasagne's order: kernel, scale, bias of each layer, with scales that no formula gives."""
    random = np.random.default_rng(seed)
    found = []

    def layer(*shape, bias):
        found.append(random.standard_normal(shape).astype(np.float32) * (1 if wscale else 0.2))
        if wscale:
            found.append(np.array(random.uniform(0.1, 0.3), np.float32))
        found.append(random.standard_normal(bias).astype(np.float32))

    if network == "G":
        layer(widths[0], LATENT + labels, 4, 4, bias=widths[0])
        layer(widths[0], widths[0], 3, 3, bias=widths[0])
        for coarse, width in pairwise(widths):
            layer(width, coarse, 3, 3, bias=width)
            layer(width, width, 3, 3, bias=width)
        for width in reversed(widths):
            layer(width, channels, bias=channels)
    else:
        layer(channels, widths[-1], bias=widths[-1])
        for coarse, width in reversed(list(pairwise(widths))):
            layer(width, width, 3, 3, bias=width)
            layer(coarse, width, 3, 3, bias=coarse)
            layer(channels, coarse, bias=coarse)
        layer(widths[0], widths[0] + stddev, 3, 3, bias=widths[0])
        layer(hidden, widths[0], 4, 4, bias=hidden)
        layer(hidden, 1, bias=1)
        if labels:
            layer(hidden, labels, bias=labels)
    return found


class Program:
    """network.py of the Theano version, in double precision: true convolutions, each with its stored scale."""

    def __init__(self, found, lod=0.0, wscale=True):
        self.values = iter(torch.from_numpy(np.asarray(x, np.float64)) for x in found)
        self.lod, self.wscale = lod, wscale

    def layer(self, x, pad=None, slope=0.2):
        w = next(self.values)
        if w.ndim == 4:  # a true convolution turns its kernel
            x = F.conv2d(x, w.flip(2, 3), padding=w.shape[2] // 2 if pad is None else pad)
        else:  # a dense layer, or a network in network layer
            x = torch.einsum("nc...,cd->nd...", x, w)
        x = x * (next(self.values) if self.wscale else 1)
        x = x + next(self.values).reshape(1, -1, *[1] * (x.ndim - 2))
        return torch.where(x > 0, x, slope * x)

    def generate(self, z, label=None, tanh=False):
        def norm(v):
            return v / torch.sqrt(v.square().mean(dim=1, keepdim=True) + 1e-8)

        x = norm(z) if label is None else torch.cat([norm(z), label], dim=1)
        x = norm(self.layer(x[:, :, None, None], pad=3))
        features = [norm(self.layer(x))]
        rest = list(self.values)
        blocks = (len(rest) // (3 if self.wscale else 2) - 1) // 3
        self.values = iter(rest)
        for _ in range(blocks):
            x = features[-1].repeat_interleave(2, 2).repeat_interleave(2, 3)
            features.append(norm(self.layer(norm(self.layer(x)))))
        images = [self.layer(x, slope=1) for x in reversed(features)]  # lod 0 first
        side = images[0].shape[-1]
        images = [image.repeat_interleave(side // image.shape[-1], 2) for image in images]
        images = [image.repeat_interleave(side // image.shape[-1], 3) for image in images]
        image = self.select(images, self.lod)
        return torch.tanh(image) if tanh else image

    @staticmethod
    def select(choices, t):
        i = min(max(int(np.floor(t)), 0), len(choices) - 1)
        part = min(max(t - i, 0), 1) if i + 1 < len(choices) else 0
        return choices[i] * (1 - part) + (choices[i + 1] * part if part else 0)

    def score(self, image, levels, stddev=True, labels=False):
        x = self.layer(image)
        for level in range(1, levels):
            x = F.avg_pool2d(self.layer(self.layer(x)), 2)
            x = self.select([x, self.layer(F.avg_pool2d(image, 2**level))], self.lod - (level - 1))
        if stddev:
            value = torch.sqrt((x - x.mean(0)).square().mean(0) + 1e-8).mean()
            x = torch.cat([x, value.expand(len(x), 1, 4, 4)], dim=1)
        x = self.layer(self.layer(x), pad=0).flatten(1)
        rest = list(self.values)
        heads = []
        for start in range(0, len(rest), 3 if self.wscale else 2):
            self.values = iter(rest[start:])
            heads.append(self.layer(x, slope=1))
        return torch.cat(heads, dim=1)


CASES = {
    "plain": ({"widths": (12, 10, 6)}, {}),
    "gray, one block": ({"widths": (7, 11), "channels": 1}, {"num_channels": 1}),
    "labelled": ({"widths": (12, 8), "labels": 4}, {"label_size": 4}),
    "fading": ({"widths": (12, 10, 6)}, {"lod": 0.3}),
    "fading one resolution lower": ({"widths": (12, 10, 6)}, {"lod": 1.6}),
    "without wscale": ({"widths": (12, 8), "wscale": False}, {"use_wscale": False}),
    "tanh": ({"widths": (12, 8)}, {"tanh_at_end": 1.0}),
    "no minibatch stddev": ({"widths": (12, 8), "stddev": False}, {"mbstat_avg": None}),
}


def write(path, networks):
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(networks)


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    given, spec = CASES[request.param]
    sizes = {name: given[name] for name in given if name != "stddev"}
    spec = {"resolution": 4 << (len(given["widths"]) - 1), **spec}
    found = [values(1, "G", **sizes), values(2, "D", **given), values(3, "G", **sizes)]
    path = tmp_path / "network-final.pkl"
    functions = ("G_paper", "D_paper", "G_paper")
    write(path, tuple(Network(each, func=name, **spec) for each, name in zip(found, functions, strict=True)))
    return path, found[2], found[1], given, spec


def test_generator_generates_as_network_py_defines_it(case):
    path, gs, _, given, spec = case
    z = torch.randn(4, LATENT, dtype=torch.double) * torch.tensor([[1], [1], [1e-4], [0]])  # where an epsilon shows
    label = torch.eye(4, dtype=torch.double) if "labels" in given else None
    program = Program(gs, spec.get("lod", 0.0), given.get("wscale", True))
    theirs = program.generate(z, label, tanh="tanh_at_end" in spec)
    assert not list(program.values)  # every parameter was used
    ours = import_checkpoint(path)(z.float(), None if label is None else label.float())
    torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=0)


def test_discriminator_scores_as_network_py_defines_it(case):
    path, _, d, given, spec = case
    levels = len(given["widths"])
    images = torch.randn(6, given.get("channels", 3), *[4 << (levels - 1)] * 2, dtype=torch.double)
    theirs = Program(d, spec.get("lod", 0.0), given.get("wscale", True)).score(
        images, levels, given.get("stddev", True)
    )
    ours = import_checkpoint(path, "discriminator")(images.float())
    ours = torch.cat([ours[0][:, None], ours[1]], dim=1) if "labels" in given else ours[:, None]
    torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=0)


def test_the_file_is_what_python_2_wrote(tmp_path):
    write(tmp_path / "any.pkl", Network(values(1, "G", (8, 6)), func="G_progressive_8", resolution=8))
    data = (tmp_path / "any.pkl").read_bytes()
    assert b"cnumpy.core.multiarray\n_reconstruct" in data and b"_codecs" not in data
    found = import_networks(tmp_path / "any.pkl")
    assert found.layout == "tkarras_theano" and found.discriminator is None
    assert found.generator.config.variant == "paper"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"use_batchnorm": True}, "use_batchnorm: got True, expected False"),
        ({"tanh_at_end": 0.5}, "tanh_at_end: 0.5"),
        ({"resolution": 16}, "expected more for a network of 16 px"),
        ({"resolution": 4}, "expected fewer for a network of 4 px"),
    ],
)
def test_what_our_networks_cannot_be_is_refused(tmp_path, spec, message):
    write(tmp_path / "any.pkl", Network(values(1, "G", (8, 6)), **{"func": "G_paper", "resolution": 8, **spec}))
    with pytest.raises(CheckpointImportError, match=message):
        import_checkpoint(tmp_path / "any.pkl")
