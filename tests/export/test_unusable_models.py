"""An .onnx that is no generator, damaged, too new or odd: one line that says which."""

import re

import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from export.demo.space import space_card
from export.hub.license import stated_config
from export.sample import UnusableModelError, load_onnx


def foreign(name: str, kind: int = TensorProto.FLOAT, shape: tuple = ("n", 4)) -> bytes:
    """An .onnx of something else: one Identity node."""
    value = {"z": helper.make_tensor_value_info("z", kind, shape)}
    inputs = value.get(name) or helper.make_tensor_value_info(name, kind, shape)
    output = helper.make_tensor_value_info("images", kind, shape)
    graph = helper.make_graph([helper.make_node("Identity", [name], ["images"])], "g", [inputs], [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10).SerializeToString()


def generator_file(size: int = 4, index: int = 0, opset: int = 18, ir_version: int = 8) -> bytes:
    """An .onnx that shows its latent of `size` numbers as an image of 2 rows; index: of the one that is the first."""
    z = helper.make_tensor_value_info("z", TensorProto.FLOAT, ["batch", size])
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 2, size // 2])
    order = helper.make_tensor("order", TensorProto.INT64, [size], [index, *range(1, size)])
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [0, 1, 2, size // 2])
    nodes = [helper.make_node("Gather", ["z", "order"], ["taken"], axis=1)]
    nodes.append(helper.make_node("Reshape", ["taken", "shape"], ["images"]))
    graph = helper.make_graph(nodes, "g", [z], [images], [order, shape])
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version).SerializeToString()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "onnxruntime cannot load it ("),
        (b"not a model at all", "onnxruntime cannot load it ("),
        (foreign("pixels"), "got ['pixels'] to ['images'], expected input z, output images"),
        (
            foreign("z"),
            "got z ['n', 4], label ['batch', 0], images ['n', 4], expected (batch, latent), ",
        ),
        (foreign("z", TensorProto.DOUBLE), "got z tensor(double), images tensor(double), expected float32"),
        (foreign("z", shape=(1, 4)), "got z [1, 4], label ['batch', 0], images [1, 4], expected (batch, latent), "),
        (foreign("z", shape=("n", 4, 2)), "got z ['n', 4, 2], label "),
        (
            generator_file(70_000),
            "got z ['batch', 70000] and images ['batch', 1, 2, 35000], expected a generator's sizes",
        ),
    ],
    ids=["empty", "text", "other input", "vectors", "float64", "fixed batch", "cubes", "far too large"],
)
def test_a_file_that_is_no_generator_is_one_line(content, message, tmp_path, capsys, refusal):
    path = tmp_path / "faces.onnx"
    path.write_bytes(content)
    assert refusal(capsys, "--model", path).startswith(f"{path}: {message}")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.999])
def test_a_truncated_onnx_is_one_line(onnx_file, tmp_path, capsys, part, refusal):
    content = onnx_file.read_bytes()
    path = tmp_path / "faces.onnx"
    path.write_bytes(content[: int(len(content) * part)])
    assert refusal(capsys, "--model", path).startswith(f"{path}: onnxruntime cannot load it (")


def test_a_model_that_is_not_there_is_one_line(model, tmp_path, capsys, refusal):
    assert "expected an .onnx file" in refusal(capsys, "--model", tmp_path / "faces.onnx")
    assert "expected a model folder or a run folder" in refusal(capsys, "--model", tmp_path / "nowhere")
    weights = model / "model.safetensors"
    assert refusal(capsys, "--model", weights).endswith("expected a model folder or an .onnx file")
    with pytest.raises(UnusableModelError):
        load_onnx(tmp_path / "faces.onnx")


def test_a_file_that_is_too_new_is_told_from_a_damaged_one(tmp_path, capsys, refusal):
    for name, model in (("ir", generator_file(ir_version=99)), ("opset", generator_file(opset=99))):
        path = tmp_path / f"{name}.onnx"
        path.write_bytes(model)
        said = refusal(capsys, "--model", path)
        assert re.match(rf"{path}: got (IR version: 99|Opset 99), expected at most \d+: newer than onnxruntime ", said)
        assert said.endswith(f"onnxruntime {onnxruntime.__version__}, pip install --upgrade onnxruntime")


def test_an_operator_that_fails_while_it_generates_is_one_line(tmp_path, capsys, refusal):
    path = tmp_path / "fails.onnx"
    path.write_bytes(generator_file(index=99))
    assert refusal(capsys, "--model", path, "--output", tmp_path / "a.png", "--device", "cpu").startswith(
        "--model: onnxruntime failed while it ran ("
    )


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '"faces"', "[1, 2, 3]", "null"])
def test_metadata_of_an_onnx_that_is_no_config_is_no_error(onnx_file, tmp_path, text):
    model = onnx.load(onnx_file)
    for entry in model.metadata_props:
        if entry.key == "config":
            entry.value = text
    helper.set_model_props(model, {p.key: p.value for p in model.metadata_props} | {"label_names": text})
    onnx.save(model, tmp_path / "odd.onnx")
    generator = load_onnx(tmp_path / "odd.onnx", "cpu")
    assert generator.label_names == [] and stated_config(generator) == {}
    assert "# Faces" in space_card(tmp_path / "odd.onnx", "Faces")
