"""Archives that torch does not write, files cut short or changed, and what is no checkpoint: refused with a reason."""

import os
import pickle
import re
import struct
import sys
import types
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from zoo.importers import LAYOUTS, CheckpointImportError, import_checkpoint, import_networks
from zoo.importers.network_pickle import TensorFlowNetwork, TheanoNetwork
from zoo.importers.torch_file import BaseConfig


class Network:
    """A released program's network."""

    def __init__(self, variables):
        self.variables = variables


@pytest.fixture(autouse=True)
def tfutil(monkeypatch):
    monkeypatch.setitem(sys.modules, "tfutil", types.ModuleType("tfutil"))
    sys.modules["tfutil"].Network = Network
    monkeypatch.setattr(Network, "__module__", "tfutil")


def rewritten(path, change, compressed=False) -> None:
    """Write a torch file again with its entries, name -> bytes, changed."""
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    before = dict(entries)
    change(entries)
    assert entries != before or compressed
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def pickled_in(entries) -> str:
    return next(name for name in entries if name.endswith("data.pkl"))


ZIPS = {
    "a bomb": (lambda e: e.update({"model/data/99": bytes(10**7)}), "not compressed"),
    "a path upwards": (lambda e: e.update({"../../outside": b"x"}), "without a path"),
    "an absolute path": (lambda e: e.update({"/etc/cron.d/x": b"x"}), "without a path"),
    "a Windows path": (lambda e: e.update({r"..\outside": b"x"}), "without a path"),
    "no pickle": (lambda e: e.pop(pickled_in(e)), "expected a file that torch.save wrote"),
    "two pickles": (lambda e: e.update({"other/data.pkl": b"}."}), "expected a file that torch.save wrote"),
    "a program": (lambda e: e.update({"model/code/__torch__.py": b"import os"}), "TorchScript"),
    "a storage cut short": (lambda e: e.update({next(n for n in e if "/data/" in n): b"1234"}), "4 in the file"),
    "a storage gone": (lambda e: e.pop(next(n for n in e if "/data/" in n)), "none in the file"),
    "a storage of a trillion": (
        lambda e: e.update({pickled_in(e): e[pickled_in(e)].replace(b"M\xe0\x01", b"J\xff\xff\xff\x7f")}),
        "8589934588 bytes declared",
    ),
    "a negative size": (
        lambda e: e.update({pickled_in(e): e[pickled_in(e)].replace(b"K`K\x05\x86", b"J\xa0\xff\xff\xffK\x05\x86")}),
        "damaged|whole tensors",
    ),
}


@pytest.mark.parametrize("name", ZIPS)
def test_torch_archives_that_torch_does_not_write_are_refused(tmp_path, name, refused, gan_zoo_state):
    path = tmp_path / "model.pth"
    torch.save({"avgG": gan_zoo_state}, path)
    change, match = ZIPS[name]
    rewritten(path, change, compressed=name == "a bomb")
    refused(path, match)


@pytest.mark.parametrize("spelling", [str, str.upper])
def test_two_entries_of_one_name_are_refused(tmp_path, spelling, refused, gan_zoo_state):
    """What is checked must be what is loaded: one reader takes the first, another the last."""
    path = tmp_path / "model.pth"
    torch.save({"avgG": gan_zoo_state}, path)
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "a") as archive:
        archive.writestr(spelling("model/data/0"), b"1234")
    refused(path, "two entries of one name")


def test_entries_that_lie_over_each_other_are_refused(tmp_path, refused, gan_zoo_state):
    path = tmp_path / "model.pth"
    torch.save({"avgG": gan_zoo_state}, path)
    data = path.read_bytes()
    directory = data.rindex(b"PK\x01\x02")
    start = data.index(b"PK\x01\x02")
    count = data.count(b"PK\x01\x02")
    entry = data[start : data.index(b"PK\x01\x02", start + 1)]
    end = data[data.rindex(b"PK\x05\x06") :]
    assert directory > start
    many = entry * 2000
    end = end[:8] + struct.pack("<HHII", 2000, 2000, len(many), start) + end[20:]
    path.write_bytes(data[:start] + many + end)
    assert count > 1
    refused(path, "damaged|together|wanted")


@pytest.mark.parametrize("zipped", [True, False])
def test_a_tensor_that_repeats_a_few_numbers_is_refused(tmp_path, zipped, refused, gan_zoo_state):
    bomb = torch.zeros(1).expand(2**20, 2**20)
    torch.save({"avgG": gan_zoo_state | {"x": bomb}}, tmp_path / "model.pth", _use_new_zipfile_serialization=zipped)
    refused(tmp_path / "model.pth", "without the data for it")


@pytest.fixture
def whole_files(tmp_path, gan_zoo_state):
    """One good file of every kind that is read."""
    files = {kind: tmp_path / f"whole-{kind}" for kind in ("zip", "legacy", "pickle", "safetensors")}
    torch.save({"avgG": gan_zoo_state}, files["zip"])
    torch.save({"avgG": gan_zoo_state}, files["legacy"], _use_new_zipfile_serialization=False)
    random = np.random.default_rng(0)
    names = {"4x4/Dense": (5, 96), "4x4/Conv": (3, 3, 6, 6), "ToRGB_lod0": (1, 1, 6, 3)}
    variables = [(f"{n}/weight", random.standard_normal(s).astype(np.float32)) for n, s in names.items()]
    variables += [(f"{n}/bias", np.ones(6 if "4" in n else 3, np.float32)) for n in names]
    files["pickle"].write_bytes(pickle.dumps(Network(variables)))
    genforce = {"layer0.weight": torch.ones(6, 5, 4, 4), "layer0.bias": torch.ones(6)}
    genforce |= {"layer1.weight": torch.ones(6, 6, 3, 3), "layer1.bias": torch.ones(6), "lod": torch.zeros(())}
    save_file(
        genforce | {"output0.weight": torch.ones(3, 6, 1, 1), "output0.bias": torch.ones(3)}, files["safetensors"]
    )
    return files


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "safetensors"])
def test_a_file_cut_at_any_tenth_is_refused(whole_files, kind, refused):
    path = whole_files[kind]
    assert import_checkpoint(path)(torch.zeros(1, 5)).shape == (1, 3, 4, 4)
    data = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(data[: len(data) * tenth // 10])
        refused(path, "expected|empty")


def test_what_was_seen_of_a_file_that_is_cut_short_is_listed(whole_files, refused):
    for kind, seen in (("zip", "/data.pkl'"), ("pickle", "'tfutil', 'Network'")):
        data = whole_files[kind].read_bytes()
        whole_files[kind].write_bytes(data[: len(data) // 2])
        message = refused(whole_files[kind], f"{len(data) // 2} bytes.*cut short")
        assert seen in message


@pytest.mark.parametrize("kind", ["zip", "legacy", "pickle", "safetensors"])
def test_a_file_with_any_byte_changed_imports_or_is_refused_and_never_crashes(whole_files, kind):
    path = whole_files[kind]
    data, random = path.read_bytes(), np.random.default_rng(0)
    for place in random.integers(0, len(data), 60).tolist() + list(range(0, 400, 3)):
        changed = bytearray(data)
        changed[place] ^= 1 << random.integers(8)
        path.write_bytes(changed)
        try:
            import_networks(path)
        except CheckpointImportError as error:
            assert re.match(rf"{re.escape(str(path))}: .", str(error))


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>Quota exceeded</html>", "a web page"),
        (b'{"error": "not found"}', "a web page or other text"),
        (b"\x1f\x8b\x08" + bytes(40), "gzip"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "HDF5"),
        (bytes(257) + b"ustar" + bytes(300), "tar archive"),
        (b"\xff\xd8\xff\xe0" + bytes(40), "begins with ff d8 ff e0"),
        (b"PK\x03\x04" + bytes(40), "cut short"),
        (b"PK\x05\x06" + bytes(18), "begins with 50 4b"),
    ],
)
def test_what_is_no_checkpoint_is_called_what_it_is(tmp_path, data, match, refused):
    (tmp_path / "model").write_bytes(data)
    refused(tmp_path / "model", match)


def records():
    for kind in (TensorFlowNetwork, TheanoNetwork, BaseConfig):
        for fields in (
            {},
            {"variables": 3},
            {"variables": [(1, 2), "ab"]},
            {"build_func_spec": {"func": []}},
            {"x": {}},
        ):
            record = kind()
            record.__setstate__(fields)
            yield record


ODD = [None, 3, "text", [], {}, {1: 2}, {"a": None}, {"netG": {}}, {"netG": {"formatLayer.weight": 1}}, {"config": 1},
       {"generator": {"conf": 3}}, {"generator": {}, "generator_smooth": 7}, {"state_dict": 5}, {"state_dict": {}},
       {"shadow_generator": {"conf": {"depth": "x"}, "state_dict": {}}}, {"layer0.weight": torch.zeros(())},
       {"features.0.conv.weight": "x"}, {"layer1.conv.weight": torch.zeros(2)}, [torch.zeros(3)], torch.zeros(3),
       dict.fromkeys(("formatLayer.weight", "groupScale0.0.weight", "toRGBLayers.0.weight"), torch.zeros(())),
        [[[]]], *records(), [*records()]]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.NAME)
def test_recognising_never_stumbles_over_odd_contents(layout):
    for content in ODD:
        assert layout.recognises(content) in (True, False)
        assert set(layout.networks(content)) <= {"generator", "discriminator"}


def test_no_file_at_all(tmp_path, refused):
    refused(tmp_path, "no file")
    refused(tmp_path / "missing.pth", "No such file")
    os.mkfifo(tmp_path / "pipe")
    refused(tmp_path / "pipe", "no file")


def test_an_unknown_layout_lists_what_was_seen(tmp_path, refused):
    torch.save({"model": {"fc.weight": torch.zeros(4, 2), "step": 3}, "epoch": 7}, tmp_path / "x.pth")
    message = refused(tmp_path / "x.pth", "a layout that is not known")
    assert "'fc.weight': float32 (4, 2), 'step': 3" in message and "'epoch': 7" in message
