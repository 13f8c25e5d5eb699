"""Files made to harm whoever imports them: each is refused with a reason, and nothing in it is run."""

import io
import os
import pickle
import sys
import types

import numpy as np
import pytest
import torch

from zoo.importers import import_checkpoint


class Call:
    """Pickles as a call of a function, which happens on loading."""

    def __init__(self, function, *arguments):
        self.called = function, arguments

    def __reduce__(self):
        return self.called


class Network:
    """A released program's network, whose own __setstate__ would run the source that it carries."""

    def __init__(self, state):
        self.state = state

    def __getstate__(self):
        return self.state


@pytest.fixture(autouse=True)
def tfutil(monkeypatch):
    monkeypatch.setitem(sys.modules, "tfutil", types.ModuleType("tfutil"))
    sys.modules["tfutil"].Network = Network
    monkeypatch.setattr(Network, "__module__", "tfutil")


@pytest.fixture
def canary(tmp_path):
    """A file that exists only if something hostile was run."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists(), "something in the file was run"


def calls(canary):
    touch = f"touch {canary}"
    return {
        "os.system": Call(os.system, touch),
        "builtins.eval": Call(eval, f"open({str(canary)!r}, 'w')"),
        "builtins.exec": Call(exec, f"open({str(canary)!r}, 'w')"),
        "builtins.getattr": Call(getattr, "text", "upper"),
        "io.open": Call(io.open, str(canary), "w"),
        "torch.load": Call(torch.load, str(canary)),
        "torch.hub.load": Call(torch.hub.load, "somebody/repository", "model"),
        "torch.jit.load": Call(torch.jit.load, str(canary)),
        "numpy.load": Call(np.load, str(canary)),
        "pickle.loads": Call(pickle.loads, pickle.dumps(Call(os.system, touch))),
        "deeper down": [{"x": (1, Call(os.system, touch))}],
        "as a hook": torch._utils._rebuild_parameter,
    }


@pytest.mark.parametrize("name", calls(""))
@pytest.mark.parametrize("kind", ["torch", "torch before 1.6", "network pickle", "text pickle"])
def test_a_pickle_that_calls_something_is_refused_and_calls_nothing(
    tmp_path, canary, kind, name, refused, gan_zoo_state
):
    thing, path = calls(canary)[name], tmp_path / "model.pth"
    if kind.startswith("torch"):
        torch.save({"avgG": gan_zoo_state, "x": thing}, path, _use_new_zipfile_serialization=kind == "torch")
    else:
        path.write_bytes(pickle.dumps((Network({"variables": []}), thing), protocol=2 if kind[0] == "n" else 0))
    if name == "as a hook" and kind.startswith("torch"):
        assert import_checkpoint(path).config.resolution == 4  # a name alone does nothing, and torch's own is known
    else:
        refused(path, "asks for .*nothing was run")


def test_the_source_that_a_network_carries_is_never_run(tmp_path, canary, refused):
    source = f"open({str(canary)!r}, 'w')"
    network = Network({"version": 2, "build_module_src": source, "build_func_name": source, "variables": [("a", 1)]})
    (tmp_path / "model.pkl").write_bytes(pickle.dumps((network,) * 3))
    refused(tmp_path / "model.pkl", "a layout that is not known, tuple of 3 .tfutil.Network object")


RAW = {
    "a function that is given another state": (b"c_codecs\nencode\n}U\x01xK\x01sb.", "given a state"),
    "a class that is given another state": (b"cnumpy\nndarray\n}U\x01xK\x01sb.", "damaged"),
    "a part of a module": (b"ctfutil\nNetwork.__init__\n.", r"asks for tfutil.Network.__init__"),
    "an instance in the oldest way": (b"(S'touch x'\nios\nsystem\n.", r"asks for os.system"),
    "a registered extension": (b"\x82\x01.", "damaged|refused"),
    "a persistent name": (b"Pexternal\n.", "outside itself"),
    "room for four billion parts": (b"}r\xff\xff\xff\x7f.", "2147483647"),
    "a list in itself": (b"]q\x00h\x00a.", "20 deep"),
    "an empty stack": (b"}0.", "damaged"),
    "text without end": (b"}X\xff\xff\xff\x7fabc.", "damaged"),
    "terminal orders": (b"c\x1b[2J\nx\n.", r"asks for \\x1b\[2J.x"),
}


@pytest.mark.parametrize("name", RAW)
def test_opcodes_that_no_pickler_writes_are_refused(tmp_path, name, refused):
    code, match = RAW[name]
    for head in (b"", b"\x80\x02"):
        (tmp_path / "model.pkl").write_bytes(head + (b"(" if not head and code[:1] not in b"(]}c" else b"") + code)
        refused(tmp_path / "model.pkl", match if head else None)


def test_a_small_pickle_that_means_billions_of_values_is_refused(tmp_path, refused):
    value = [1.0] * 9
    for _ in range(12):
        value = [value] * 9
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(value))
    torch.save({"avgG": value}, tmp_path / "model.pth")
    for path in tmp_path.glob("model.*"):
        assert path.stat().st_size < 10_000
        refused(path, "more than 200000 values")


def array_pickle(shape="(2, 3)", code="f4", data=bytes(24), order="<", fortran=False):
    """A pickled numpy array as its opcodes, so that its parts can disagree."""

    class Reconstruct:
        def __reduce__(self):
            return (np._core.multiarray._reconstruct, (np.ndarray, (0,), b"b"), (1, shape, Dtype(), fortran, data))

    class Dtype:
        def __reduce__(self):
            return (np.dtype, (code, False, True), (3, order, None, None, None, -1, -1, 0))

    network = {"variables": [("4x4/Dense/weight", Reconstruct()), ("ToRGB_lod0/weight", Reconstruct())]}
    return pickle.dumps(Network(network), protocol=2)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"code": "O8", "data": [1] * 6, "order": "|"}, "Python objects"),
        ({"code": "S4"}, "an array of 'S4', expected numbers"),
        ({"code": "V4"}, "an array of 'V4', expected numbers"),
        ({"shape": (-2, -3)}, r"shape \(-2, -3\), expected whole numbers from 0"),
        ({"shape": (2**40, 2**40)}, "in 24 bytes"),
        ({"shape": (2, 4)}, "in 24 bytes"),
        ({"shape": (2.0, 3)}, "whole numbers from 0"),
        ({"shape": (1,) * 40 + (6,)}, "whole numbers from 0"),
        ({"data": "text \u1234"}, "damaged"),
        ({"order": "?"}, "byte order"),
    ],
    ids=str,
)
def test_arrays_that_are_not_what_they_say_are_refused(tmp_path, change, match, refused):
    (tmp_path / "model.pkl").write_bytes(array_pickle(**{"shape": (2, 3), **change}))
    refused(tmp_path / "model.pkl", match)
