"""tkarras's TensorFlow pickles: imported networks generate and score as networks.py of that program defines it."""

import pickle
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from zoo.importers import CheckpointImportError, import_checkpoint

LATENT = 10


class Network:
    """What tfutil.Network saves; build_module_src is code that its __setstate__ would run."""

    def __init__(self, variables, **static_kwargs):
        self.state = {
            "version": 2, "name": "any", "static_kwargs": static_kwargs, "build_func_name": "G_paper",
            "build_module_src": "raise SystemError('the source in a pickle was run')", "variables": variables,
        }  # fmt: skip

    def __getstate__(self):
        return self.state


@pytest.fixture(autouse=True)
def tfutil(monkeypatch):
    module = types.ModuleType("tfutil")
    module.Network = Network
    monkeypatch.setitem(sys.modules, "tfutil", module)
    monkeypatch.setattr(Network, "__module__", "tfutil")


def variables(seed, network, widths, channels=3, labels=0, fused=False, hidden=9, group=4, lod=0.0):
    """Random weights under that program's names and shapes; biases are not zero, they would hide mistakes."""
    random = np.random.default_rng(seed)
    found = {"lod": np.float32(lod)}

    def layer(name, *shape, bias=None):
        found[f"{name}/weight"] = random.standard_normal(shape).astype(np.float32)
        found[f"{name}/bias"] = random.standard_normal(bias or shape[-1]).astype(np.float32)

    for i, width in enumerate(widths):
        size, lod_name = f"{4 << i}x{4 << i}", f"lod{len(widths) - 1 - i}"
        if network == "G":
            layer(f"ToRGB_{lod_name}", 1, 1, width, channels)
            if i == 0:
                layer("4x4/Dense", LATENT + labels, width * 16, bias=width)
                layer("4x4/Conv", 3, 3, width, width)
                continue
            if fused:
                layer(f"{size}/Conv0_up", 3, 3, width, widths[i - 1], bias=width)
            else:
                layer(f"{size}/Conv0", 3, 3, widths[i - 1], width)
            layer(f"{size}/Conv1", 3, 3, width, width)
        else:
            layer(f"FromRGB_{lod_name}", 1, 1, channels, width)
            if i == 0:
                layer("4x4/Conv", 3, 3, width + (group > 1), width)
                layer("4x4/Dense0", width * 16, hidden)
                layer("4x4/Dense1", hidden, 1 + labels)
                continue
            layer(f"{size}/Conv0", 3, 3, width, width)
            layer(f"{size}/Conv1_down" if fused else f"{size}/Conv1", 3, 3, width, widths[i - 1])
    return found


class Program:
    """networks.py of the released program, in double precision, kernels and formulas as written there."""

    def __init__(self, found, wscale=True, normalize_latents=True, pixelnorm=True, epsilon=1e-8, relu=False):
        self.v = {name: torch.from_numpy(np.asarray(x, np.float64)) for name, x in found.items()}
        self.wscale, self.normalize, self.pn, self.epsilon = wscale, normalize_latents, pixelnorm, epsilon
        self.slope = 0.0 if relu else 0.2
        self.count = sum("RGB_lod" in name for name in found) // 2

    def weight(self, name, gain, fan_in=None):
        w = self.v[f"{name}/weight"]
        fan_in = fan_in or w.numel() // w.shape[-1]
        return w * (gain / fan_in**0.5) if self.wscale else w

    def bias(self, x, name):
        b = self.v[f"{name}/bias"]
        return x + (b if x.ndim == 2 else b[None, :, None, None])

    def conv(self, x, name, gain=2**0.5):
        w = self.weight(name, gain)
        return F.conv2d(x, w.permute(3, 2, 0, 1), padding=w.shape[0] // 2)

    def act(self, x):
        return torch.maximum(x * self.slope, x)

    def pixel_norm(self, x):
        return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + self.epsilon)

    def g_layer(self, x, name):
        x = self.act(self.bias(x, name))
        return self.pixel_norm(x) if self.pn else x

    @staticmethod
    def four(w):
        """The kernel of a fused layer: four shifts, added."""
        w = F.pad(w.permute(2, 3, 0, 1), (1, 1, 1, 1))
        return w[..., 1:, 1:] + w[..., :-1, 1:] + w[..., 1:, :-1] + w[..., :-1, :-1]

    def generator(self, z, label=None):
        x = z if label is None else torch.cat([z, label], dim=1)
        if self.normalize:
            x = self.pixel_norm(x)
        lod, image = float(self.v["lod"]), None
        for i in range(self.count):
            size, here = f"{4 << i}x{4 << i}", self.count - 1 - i
            if i == 0:
                x = (x @ self.weight("4x4/Dense", 2**0.5 / 4)).reshape(len(z), -1, 4, 4)
                x = self.g_layer(x, "4x4/Dense")
                x = self.g_layer(self.conv(x, "4x4/Conv"), "4x4/Conv")
            else:
                if f"{size}/Conv0_up/weight" in self.v:
                    w = self.weight(f"{size}/Conv0_up", 2**0.5, fan_in=9 * x.shape[1])
                    x = F.conv_transpose2d(x, self.four(w).transpose(0, 1), stride=2, padding=1)
                    x = self.g_layer(x, f"{size}/Conv0_up")
                else:
                    up = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
                    x = self.g_layer(self.conv(up, f"{size}/Conv0"), f"{size}/Conv0")
                x = self.g_layer(self.conv(x, f"{size}/Conv1"), f"{size}/Conv1")
            rgb = self.bias(self.conv(x, f"ToRGB_lod{here}", gain=1.0), f"ToRGB_lod{here}")
            if i:  # the 'linear' structure: lerp_clip at every resolution
                image = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
                image = rgb + (image - rgb) * min(max(lod - here, 0.0), 1.0)
            else:
                image = rgb
        return image

    def score(self, image, group=4):
        def rgb(x, here):
            return self.act(self.bias(self.conv(x, f"FromRGB_lod{here}"), f"FromRGB_lod{here}"))

        lod, x = float(self.v["lod"]), rgb(image, 0)
        for i in range(self.count - 1, 0, -1):
            size, here = f"{4 << i}x{4 << i}", self.count - 1 - i
            x = self.act(self.bias(self.conv(x, f"{size}/Conv0"), f"{size}/Conv0"))
            if f"{size}/Conv1_down/weight" in self.v:
                kernel = self.four(self.weight(f"{size}/Conv1_down", 2**0.5)).transpose(0, 1) * 0.25
                x = self.act(self.bias(F.conv2d(x, kernel, stride=2, padding=1), f"{size}/Conv1_down"))
            else:
                x = F.avg_pool2d(self.act(self.bias(self.conv(x, f"{size}/Conv1"), f"{size}/Conv1")), 2)
            image = F.avg_pool2d(image, 2)
            x = x + (rgb(image, here + 1) - x) * min(max(lod - here, 0.0), 1.0)
        if group > 1:
            n, c = x.shape[:2]
            group = min(group, n)
            y = x.reshape(group, -1, c, 4, 4)
            y = ((y - y.mean(0)).square().mean(0) + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)
            x = torch.cat([x, y.repeat(group, 1, 4, 4)], dim=1)
        x = self.act(self.bias(self.conv(x, "4x4/Conv"), "4x4/Conv"))
        x = self.act(self.bias(x.flatten(1) @ self.weight("4x4/Dense0", 2**0.5), "4x4/Dense0"))
        return self.bias(x @ self.weight("4x4/Dense1", 1.0), "4x4/Dense1")


CASES = {
    "plain": ({}, {}, {}),
    "fused": ({"fused": True}, {}, {}),
    "labelled": ({"labels": 4}, {"label_size": 4}, {}),
    "gray, odd widths": ({"channels": 1, "widths": (7, 11, 5)}, {}, {}),
    "4x4 alone": ({"widths": (8,)}, {}, {}),
    "without wscale": ({"fused": True, "small": True}, {"use_wscale": False}, {"wscale": False}),
    "fading": ({"lod": 0.3}, {}, {}),
    "fading one resolution lower": ({"lod": 1.75, "fused": True}, {}, {}),
    "a resolution not begun": ({"lod": 1.0}, {}, {}),
    "beyond 4x4": ({"lod": 9.0}, {}, {}),
    "latents as they are": ({}, {"normalize_latents": False}, {"normalize_latents": False}),
    "half precision's epsilon": ({}, {"pixelnorm_epsilon": 1e-4}, {"epsilon": 1e-4}),
    "without pixelnorm": ({}, {"use_pixelnorm": False}, {"pixelnorm": False}),
    "ReLU": ({}, {"use_leakyrelu": False}, {"relu": True}),
    "groups of 2": ({"group": 2}, {"mbstd_group_size": 2}, {}),
    "no minibatch stddev": ({"group": 0}, {"mbstd_group_size": 0}, {}),
}


@pytest.fixture(params=CASES)
def case(request, tmp_path):
    given, static, options = CASES[request.param]
    given = {"widths": (12, 10, 6), **given}
    small = given.pop("small", False)
    sizes = {name: given[name] for name in given if name != "group"}
    found = [variables(seed, "G", **sizes) for seed in (1, 2)] + [variables(3, "D", **given)]
    if small:
        found = [{name: x * np.float32(0.2) for name, x in each.items()} for each in found]
    g, gs, d = found
    path = tmp_path / "network-final.pkl"
    networks = tuple(Network(list(each.items()), **static) for each in (g, d, gs))
    path.write_bytes(pickle.dumps(networks, protocol=4))
    return path, gs, d, options, given


def test_generator_generates_as_networks_py_defines_it(case):
    path, gs, _, options, given = case
    z = torch.randn(4, LATENT, dtype=torch.double) * torch.tensor([[1], [1], [1e-4], [0]])  # where an epsilon shows
    label = torch.eye(4, dtype=torch.double) if "labels" in given else None
    theirs = Program(gs, **options).generator(z, label)
    ours = import_checkpoint(path)(z.float(), None if label is None else label.float())
    assert ours.shape == theirs.shape
    torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=0)


def test_discriminator_scores_as_networks_py_defines_it(case):
    path, _, d, options, given = case
    side = 4 << (len(given["widths"]) - 1)
    images = torch.randn(8, given.get("channels", 3), side, side, dtype=torch.double)
    theirs = Program(d, wscale=options.get("wscale", True)).score(images, given.get("group", 4))
    ours = import_checkpoint(path, "discriminator")(images.float())
    ours = torch.cat([ours[0][:, None], ours[1]], dim=1) if "labels" in given else ours[:, None]
    torch.testing.assert_close(ours.double(), theirs, atol=1e-4, rtol=0)


def test_the_pair_has_one_config_and_works_as_each_alone(case, one_pair):
    path, _, _, _, given = case
    side = 4 << (len(given["widths"]) - 1)
    one_pair(path, torch.randn(4, given.get("channels", 3), side, side))


def test_the_released_programs_own_images(real_data):
    path = real_data / "zoo_vectors" / "tkarras_64_narrow.pkl"
    vectors = np.load(path.with_suffix(".npz"))
    images = import_checkpoint(path)(torch.from_numpy(vectors["z"])).numpy()
    assert np.abs(images - vectors["images_tf"]).max() < 1e-4
    assert np.abs(images - vectors["images_raw_generator"]).max() > 1e-2  # Gs it is, not G


@pytest.mark.parametrize("how", ["pairs", "dict", "names and values", "one network"])
def test_every_way_in_which_variables_are_saved(tmp_path, how):
    g = variables(1, "G", (8, 6))
    saved = {"dict": g, "names and values": (list(g), list(g.values()))}.get(how, list(g.items()))
    path = tmp_path / "any.pkl"
    path.write_bytes(pickle.dumps(Network(saved) if how == "one network" else (Network(saved),), protocol=2))
    z = torch.randn(2, LATENT, dtype=torch.double)
    torch.testing.assert_close(import_checkpoint(path)(z.float()).double(), Program(g).generator(z), atol=1e-4, rtol=0)


def test_a_network_that_stylegans_program_saved_again(tmp_path, monkeypatch):
    """Its networks_progan.py keeps fused kernels as (height, width, in, out), and its Network has version 3."""
    g = variables(1, "G", (7, 7, 5), fused=True)
    saved = {name: x.swapaxes(2, 3) if "Conv0_up/weight" in name else x for name, x in g.items()}
    network = Network(list(saved.items()))
    network.state |= {"version": 3, "components": {}}
    for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["dnnlib.tflib.network"].Network = Network
    monkeypatch.setattr(Network, "__module__", "dnnlib.tflib.network")
    path = tmp_path / "any.pkl"
    path.write_bytes(pickle.dumps((network,) * 3, protocol=4))
    z = torch.randn(2, LATENT, dtype=torch.double)
    torch.testing.assert_close(import_checkpoint(path)(z.float()).double(), Program(g).generator(z), atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.pop("8x8/Conv1/bias"), "8x8/Conv1/bias"),
        (lambda g: g.update({"16x16/Noise/weight": np.zeros(3, np.float32)}), "without a place.*16x16/Noise/weight"),
        (
            lambda g: g.update({"4x4/Conv/bias": np.zeros(5, np.float32)}),
            r"blocks.4x4.conv.bias is \(5,\), expected \(8",
        ),
        (lambda g: g.update({"lod": np.float32("nan")}), "lod: got nan"),
    ],
)
def test_a_network_that_is_not_whole_is_refused(tmp_path, change, message):
    g = variables(1, "G", (8, 6))
    change(g)
    path = tmp_path / "any.pkl"
    path.write_bytes(pickle.dumps(Network(list(g.items()))))
    with pytest.raises(CheckpointImportError, match=message):
        import_checkpoint(path)
