"""Checkpoints of StyleGAN 1 to 3 and R3GAN are called what they are, in one line, and nothing in them is run."""

import pickle
import sys
import types

import pytest
import torch

from zoo.importers import CheckpointImportError, import_checkpoint

BOMB = "raise SystemError('the source in a pickle was run')\n"


def module(monkeypatch, name, **members):
    """Let pickle find members under a module's name, as in the program that writes such files."""
    made = types.ModuleType(name)
    parts = name.split(".")
    for parent in (".".join(parts[:n]) for n in range(1, len(parts))):
        monkeypatch.setitem(sys.modules, parent, types.ModuleType(parent))
    for key, member in members.items():
        member.__module__, member.__qualname__ = name, key
        setattr(made, key, member)
    monkeypatch.setitem(sys.modules, name, made)


def persistent(source, class_name="Generator"):
    """A network as torch_utils.persistence pickles it: its class's source text, and its tensors."""

    def _reconstruct_persistent_obj(meta):
        raise SystemError("a function that the pickle names was called")

    class Network:
        def __reduce__(self):
            meta = {"type": "class", "version": 6, "module_src": BOMB + source, "class_name": class_name}
            return _reconstruct_persistent_obj, (meta | {"state": {"w": torch.zeros(2)}},)

    return Network(), _reconstruct_persistent_obj


def refusal(path, content, protocol=4):
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(CheckpointImportError) as failure:
        import_checkpoint(path)
    assert str(failure.value).startswith(str(path))
    assert "\n" not in str(failure.value)
    return str(failure.value)


@pytest.mark.parametrize(
    ("source", "family"),
    [
        ("def modulated_conv2d(x, weight, styles):\n    pass\nclass MappingNetwork:\n    pass\n", "StyleGAN2-ADA"),
        ("from torch_utils.ops import filtered_lrelu\nclass SynthesisInput:\n    pass\n", "StyleGAN3"),
        ("class Renderer:\n    pass\n", "NVIDIA"),
    ],
)
def test_a_pickle_with_its_source_is_called_by_its_family(tmp_path, monkeypatch, source, family):
    network, function = persistent(source)
    module(monkeypatch, "torch_utils.persistence", _reconstruct_persistent_obj=function)
    said = refusal(tmp_path / "network-snapshot-025000.pkl", {"G": network, "D": network, "G_ema": network})
    assert family in said
    assert "expected a ProGAN" in said
    assert "nothing was run" in said


def test_r3gan_is_called_by_its_name(tmp_path, monkeypatch):
    class Generator:
        pass

    class Inner:
        pass

    module(monkeypatch, "training.networks", Generator=Generator)
    module(monkeypatch, "R3GAN.Networks", Inner=Inner)
    generator = Generator()
    generator.Model = Inner()
    assert "got R3GAN, expected a ProGAN" in refusal(tmp_path / "network.pkl", {"G_ema": generator})


@pytest.mark.parametrize(
    ("source", "family"),
    [
        ("def G_style(latents_in, labels_in):\n    pass\n", "StyleGAN (2019, TensorFlow)"),
        ("def modulated_conv2d_layer(x, y):\n    pass\ndef G_main():\n    pass\n", "StyleGAN2 (TensorFlow)"),
    ],
)
def test_a_tensorflow_stylegan_is_called_by_its_family(tmp_path, monkeypatch, source, family):
    class Network:
        def __getstate__(self):
            return {
                "version": 3, "name": "G", "static_kwargs": {}, "build_module_src": BOMB + source,
                "build_func_name": "G_style", "variables": [("lod", 0.0)],
            }  # fmt: skip

    module(monkeypatch, "dnnlib.tflib.network", Network=Network)
    assert f"got {family}, expected a ProGAN" in refusal(tmp_path / "ffhq.pkl", (Network(), Network(), Network()), 2)


@pytest.mark.parametrize(
    ("names", "family"),
    [
        (["mapping.dense0.weight", "synthesis.layer0.weight"], "StyleGAN or StyleGAN2"),
        (["synthesis.input.freqs", "mapping.w_avg"], "StyleGAN3"),
        (["style.1.weight", "convs.0.conv.modulation.weight"], "StyleGAN2 (rosinality's port)"),
        (["Model.MainLayers.0.TransitionLayer.Basis"], "R3GAN"),
    ],
)
def test_tensors_of_another_family_are_called_by_it(tmp_path, names, family):
    for content in (
        {name: torch.zeros(2) for name in names},
        {"g_ema": {f"module.{name}": torch.zeros(2) for name in names}},
    ):
        torch.save(content, tmp_path / "file.pt")
        with pytest.raises(CheckpointImportError, match="expected a ProGAN") as failure:
            import_checkpoint(tmp_path / "file.pt")
        assert f"tensors of {family}" in str(failure.value)
