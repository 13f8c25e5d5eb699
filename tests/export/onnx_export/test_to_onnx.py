"""The exported file generates what PyTorch generates, carries what it should, and never appears when it is wrong."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper

import zoo
from export.__main__ import main
from export.__main__ import run as export
from export.config import UsageError
from export.onnx_export import to_onnx
from export.onnx_export.folding import fold_equalized_scale
from export.onnx_export.parity import ParityError, check, parity
from export.onnx_export.to_onnx import export_onnx
from export.sample import load_onnx
from zoo import weights
from zoo.folder import read_config

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def proto(onnx_file):
    return onnx.load(onnx_file)


def run(path, *arrays):
    """Through onnxruntime as anyone would use it, with nothing of ours."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["images"], dict(zip(("z", "label"), arrays, strict=False)))[0]


def test_file_is_of_the_oldest_form_that_holds_its_operators(proto):
    """onnxruntime 1.14 reads IR version 8 and opset 18; what the exporter writes by itself wants 1.18."""
    assert proto.ir_version == 8
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    onnx.checker.check_model(proto, full_check=True)


# What it generates.


@pytest.mark.parametrize("batch", [1, 3, 5])
@pytest.mark.parametrize("scale", [1.0, 0.0, 1e-4, 1e4])
def test_file_generates_what_pytorch_generates(onnx_file, model, batch, scale):
    z = (np.random.RandomState(batch).randn(batch, 32) * scale).astype(np.float32)
    expected = zoo.load(model)(torch.from_numpy(z)).numpy()
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(run(onnx_file, z), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "architecture",
    [
        {"label_size": 3, "variant": "released"},
        {"resolution": 4},
        {"resolution": 64, "fmap_max": 32},
        {"generator_norm": "batch", "pixelnorm": "none", "generator_slope": 0.0, "tanh": True, "latent_norm": "none"},
        {"variant": "mnist1k", "resolution": 32, "generator_slope": 0.3, "tanh": True},
        {"variant": "mnist1k", "resolution": 16, "generator_norm": "batch", "pixelnorm": "none"},
        {"equalized": False, "pixelnorm": "none", "discriminator_norm": "layer"},
    ],
)
def test_every_kind_of_generator_can_be_exported(save_model, tmp_path, architecture):
    folder = save_model(tmp_path, **architecture)
    with_statistics(folder)
    path = export_onnx(folder).path
    assert path == folder / "model.onnx"
    z = np.random.RandomState(0).randn(4, 32).astype(np.float32)
    label = [np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]] if "label_size" in architecture else []
    expected = zoo.load(folder)(*map(torch.from_numpy, [z, *label])).numpy()
    np.testing.assert_allclose(run(path, z, *label), expected, rtol=0, atol=1e-4)


def with_statistics(folder: Path) -> None:
    """Give the batch normalization of a saved model, if it has any, statistics as training leaves them."""
    generator = zoo.load(folder)
    for name, statistic in generator.named_buffers():
        torch.manual_seed(0)
        statistic.copy_(torch.rand_like(statistic) + (0.5 if name.endswith("variance") else -0.5))
    card = {name: value for name, value in read_config(folder).items() if name not in ("class", "architecture")}
    weights.save(generator, folder, **card)


def test_folding_changes_no_bit_of_the_images(model):
    generator, z = zoo.load(model), torch.randn(3, 32)
    assert torch.equal(fold_equalized_scale(generator)(z), generator(z))


# What is in it.


def test_batch_is_free_and_every_other_size_is_fixed(proto):
    def sizes(value):
        return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]

    assert {value.name: sizes(value) for value in proto.graph.input} == {"z": ["batch", 32]}
    assert {value.name: sizes(value) for value in proto.graph.output} == {"images": ["batch", 3, 16, 16]}


def test_file_is_plain_opset_18(proto):
    assert [(entry.domain, entry.version) for entry in proto.opset_import] == [("", 18)]
    assert not proto.functions


def test_no_weight_is_scaled_at_run_time(proto, model):
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type in ("Mul", "Div"):
            assert not set(node.input) & set(stored), f"{node.name} scales a weight"
    # w' = w c with He's constant c = sqrt(2 / fan_in) (paper, section 4.1)
    weight = zoo.load(model).blocks["8x8"].conv1.weight.numpy()
    folded = weight * np.sqrt(2 / weight[0].size)
    np.testing.assert_allclose(stored["blocks.8x8.conv1.weight"], folded, rtol=1e-6)


def test_file_carries_no_local_path(onnx_file, model):
    content = onnx_file.read_bytes()
    for path in (ROOT, Path.home(), model.parent, Path(torch.__file__).parents[1], "site-packages", "/home/", ".py"):
        assert os.fsencode(path) not in content, f"{path} is in the file"


def test_a_local_path_of_the_config_is_shortened_to_its_name():
    config = {"a": "/home/me/f.h5", "b": ["C:\\data\\f.h5", "runs/f.h5", 3], "c": {"d": "CC0-1.0"}}
    assert to_onnx.without_local_paths(config) == {"a": "f.h5", "b": ["f.h5", "runs/f.h5", 3], "c": {"d": "CC0-1.0"}}


def test_file_says_what_it_is(onnx_file, model):
    session = onnxruntime.InferenceSession(str(onnx_file), providers=["CPUExecutionProvider"])
    properties = session.get_modelmeta().custom_metadata_map
    config = json.loads(properties.pop("config"))
    assert config["architecture"] == zoo.load(model).config.to_dict()
    assert config["training"] == {"dataset": "celebahq.h5", "nimg": 1000}
    assert properties.pop("package").startswith("celebahq ")
    assert properties == {
        "source_sha256": hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest(),
        "latent_size": "32",
        "label_size": "0",
        "resolution": "16",
        "range": "[-1, 1]",
        "layout": "NCHW float32",
        "precision": "fp32",
        "license": "CC-BY-NC-4.0",
    }


# The check can fail.


def without_epsilon(model: onnx.ModelProto) -> onnx.ModelProto:
    """What the exporter's default optimizer makes of PixelNorm: 1e-8 becomes nothing."""
    changed = 0
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name != "value":
                continue
            value = numpy_helper.to_array(attribute.t)
            if value.dtype == np.float32 and value.size == 1 and 0 < value.item() < 1e-7:
                attribute.t.CopyFrom(numpy_helper.from_array(np.zeros_like(value)))
                changed += 1
    assert changed
    return model


def test_a_lost_epsilon_shows_on_zero_and_tiny_latents_only(onnx_file, model, tmp_path):
    path = tmp_path / "broken.onnx"
    onnx.save(without_epsilon(onnx.load(onnx_file)), path)
    generator = zoo.load(model)
    worst = parity(load_onnx(path), lambda z: generator(torch.from_numpy(z)).numpy(), 32, 0)
    assert np.isnan(worst["zero"])
    assert worst["tiny"] > 1e-2
    assert worst["random"] < 1e-4 and worst["huge"] < 1e-4  # an ordinary check would have passed
    with pytest.raises(ParityError, match=r"differs from PyTorch on zero latents by nan, tiny latents by .*, expected"):
        check(worst, "broken.onnx")


def test_an_export_that_fails_its_check_leaves_no_file(model, tmp_path, monkeypatch, capsys):
    build = to_onnx.build_model
    monkeypatch.setattr(to_onnx, "build_model", lambda *args: without_epsilon(build(*args)))
    old = tmp_path / "old.onnx"
    old.write_bytes(b"what was there before")
    for path in (tmp_path / "new.onnx", old):
        with pytest.raises(SystemExit) as error:
            main(["onnx", "--model", str(model), "--output", str(path), "--overwrite"])
        assert error.value.code == 1
        assert f"python -m export: {path}: differs from PyTorch" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["old.onnx"]
    assert old.read_bytes() == b"what was there before"


def test_a_batch_that_was_frozen_is_noticed():
    def frozen(z):
        return np.zeros((2, 3, 4, 4), np.float32)

    with pytest.raises(ParityError, match=r"images: got \(2, 3, 4, 4\) for a batch of 1"):
        parity(frozen, lambda z: np.zeros((len(z), 3, 4, 4), np.float32), 8, 0)


# Running it.


def refusal(capsys, *args) -> str:
    """What the command says when it ends with exit code 2: one line."""
    capsys.readouterr()  # what was said before
    with pytest.raises(SystemExit) as error:
        main(["onnx", *map(str, args)])
    assert error.value.code == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    return message


def test_running_it_again_checks_the_file_and_leaves_it(onnx_file, model, capsys):
    before = onnx_file.stat().st_mtime_ns
    export(["onnx", "--model", str(model), "--output", str(onnx_file)])
    assert "already there, checked" in capsys.readouterr().out
    assert onnx_file.stat().st_mtime_ns == before


def test_another_file_of_that_name_is_replaced_only_when_asked(model, save_model, tmp_path, onnx_file, capsys):
    path = tmp_path / "other.onnx"
    foreign = [onnx_file.read_bytes()[:-1], b"", b"notes"]
    other = save_model(tmp_path / "other", seed=1)
    for content in foreign:
        path.write_bytes(content)
        assert refusal(capsys, "--model", model, "--output", path).startswith(
            f"python -m export: {path}: got no export of these weights there"
        )
        assert path.read_bytes() == content
    path.write_bytes(onnx_file.read_bytes())
    assert "got no export of these weights there" in refusal(capsys, "--model", other, "--output", path)
    export(["onnx", "--model", str(other), "--output", str(path), "--overwrite"])
    digest = hashlib.sha256((other / "model.safetensors").read_bytes()).hexdigest()
    assert load_onnx(path).metadata["source_sha256"] == digest


def test_wrong_models_and_outputs_are_one_line_each(model, tmp_path, capsys):
    assert "not there, expected a model folder or a run folder" in refusal(capsys, "--model", tmp_path / "nowhere")
    assert "no config.json in it" in refusal(capsys, "--model", tmp_path)
    assert "expected the name of an .onnx file" in refusal(capsys, "--model", model, "--output", tmp_path)
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    assert "cannot be written (" in refusal(capsys, "--model", model, "--output", blocked / "faces.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_run_folder_is_exported_by_its_model(save_model, tmp_path):
    save_model(tmp_path / "run" / "model")
    (tmp_path / "run" / "checkpoints").mkdir()
    assert export_onnx(tmp_path / "run").path == tmp_path / "run" / "model" / "model.onnx"


def test_a_damaged_model_is_a_usage_error(save_model, tmp_path):
    weights = save_model(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(UsageError, match="cannot be read as safetensors"):
        export_onnx(tmp_path)
