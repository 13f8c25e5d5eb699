"""The rewritten graph computes the same with less: each identity against the graph before it."""

import copy

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

import zoo
from export.onnx_export.rewriting import rewrite, store_weights_as_float16
from export.onnx_export.tracing import trace


def run(model: onnx.ModelProto, **arrays: np.ndarray) -> np.ndarray:
    """Through onnxruntime with its own optimizations off: what the graph says, nothing else."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, arrays)[0]


def kinds(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def doubled_convolution(mode: str = "nearest", scale: float = 2.0, leaky: bool = True) -> onnx.ModelProto:
    """Resize, 3x3 Conv and LeakyRelu of random weights, 5 channels to 7."""
    random = np.random.RandomState(0)
    weight, bias = random.randn(7, 5, 3, 3).astype(np.float32), random.randn(7).astype(np.float32)
    nodes = [
        helper.make_node(
            "Resize", ["x", "", "scales"], ["big"], mode=mode, nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        helper.make_node(
            "Conv", ["big", "w", "b"], ["conv"], kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[1, 1],
            dilations=[1, 1], group=1, auto_pad="NOTSET",
        ),
        helper.make_node("LeakyRelu", ["conv"], ["images"], alpha=0.3) if leaky
        else helper.make_node("Neg", ["conv"], ["images"]),
    ]  # fmt: skip
    constants = {"w": weight, "b": bias, "scales": np.array([1, 1, scale, scale], np.float32)}
    side = int(6 * scale)
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 5, 6, 6])],
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 7, side, side])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
        value_info=[helper.make_tensor_value_info("conv", TensorProto.FLOAT, ["n", 7, side, side])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.mark.parametrize("leaky", [True, False])
def test_convolution_before_doubling_gives_the_same_to_the_border(leaky):
    before, after = doubled_convolution(leaky=leaky), doubled_convolution(leaky=leaky)
    rewrite(after)
    onnx.checker.check_model(after, full_check=True)
    assert "Resize" not in kinds(after) and kinds(after).count("Conv") == 1
    x = np.random.RandomState(1).randn(3, 5, 6, 6).astype(np.float32)
    np.testing.assert_allclose(run(after, x=x), run(before, x=x), rtol=0, atol=2e-5)


@pytest.mark.parametrize(("mode", "scale"), [("linear", 2.0), ("nearest", 3.0)])
def test_what_is_no_doubling_is_left_alone(mode, scale):
    model = doubled_convolution(mode, scale)
    before = [node.SerializeToString() for node in model.graph.node]
    rewrite(model)
    assert [node.SerializeToString() for node in model.graph.node] == before


def multiplications(model: onnx.ModelProto) -> int:
    """Of all convolutions with their shapes inferred, for one image."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    shapes = {value.name: value.type.tensor_type.shape.dim for value in inferred.graph.value_info}
    shapes |= {value.name: value.type.tensor_type.shape.dim for value in inferred.graph.output}
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            out, weight = ([size.dim_value for size in shapes[name]][1:] for name in (node.output[0], node.input[0]))
            kernel = helper.get_node_attr_value(node, "kernel_shape")
            total += int(np.prod(out)) * weight[0] * int(np.prod(kernel))
    return total


ARCHITECTURES = {
    "paper": {"resolution": 32},
    "half grown": {"resolution": 32, "lod": 1.25},
    "no pixelnorm": {"pixelnorm": "none"},
    "one output, tanh": {"single_resolution": True, "tanh": True, "generator_slope": 0.1},
}


@pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES)
def test_every_generator_generates_the_same_with_fewer_multiplications(save_model, tmp_path, architecture):
    generator = zoo.load(save_model(tmp_path, **architecture))
    before = trace(generator)
    after = copy.deepcopy(before)
    rewrite(after)
    onnx.checker.check_model(after, full_check=True)
    assert "Resize" not in kinds(after) or "lod" in architecture
    assert multiplications(after) < 0.85 * multiplications(before)
    z = np.concatenate([np.random.RandomState(0).randn(3, 32), np.zeros((1, 32))]).astype(np.float32)
    expected = generator(torch.from_numpy(z)).numpy()
    np.testing.assert_allclose(run(after, z=z), expected, rtol=0, atol=2e-5 * max(1, np.abs(expected).max()))


@pytest.fixture(scope="module")
def graph(model):
    """A rewritten generator, not to be changed."""
    graph = trace(zoo.load(model))
    rewrite(graph)
    return graph


def test_the_mean_over_channels_keeps_its_epsilon(graph):
    small = [
        value
        for node in graph.graph.node
        if node.op_type == "Constant"
        for value in [helper.get_attribute_value(node.attribute[0])]
        if isinstance(value, onnx.TensorProto) and 0 < numpy_helper.to_array(value).min() < 1e-6
    ]
    assert small and kinds(graph).count("Sqrt") == 7  # z, 4x4 twice, 8x8 twice, 16x16 twice
    assert kinds(graph).count("Add") >= 7 + 1
    assert kinds(graph).count("Pow") == kinds(graph).count("ReduceMean") == 1  # of z, which is no image


def test_weights_as_float16_are_half_the_bytes_and_nothing_else_is_rounded(graph):
    half = copy.deepcopy(graph)
    store_weights_as_float16(half)
    onnx.checker.check_model(half, full_check=True)
    wide = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.graph.initializer}
    for tensor in half.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype == np.float16:
            np.testing.assert_array_equal(value, wide[tensor.name.removesuffix(".float16")].astype(np.float16))
        else:
            np.testing.assert_array_equal(value, wide[tensor.name])
    weights = [value for value in wide.values() if value.ndim > 1 and value.dtype == np.float32]
    rounded = [tensor.name for tensor in half.graph.initializer if tensor.data_type == TensorProto.FLOAT16]
    assert sum(wide[name.removesuffix(".float16")].size for name in rounded) >= 0.95 * sum(w.size for w in weights)
    assert len(rounded) < len(weights)
    assert kinds(half).count("Cast") == sum(
        tensor.data_type == TensorProto.FLOAT16 for tensor in half.graph.initializer
    )


def test_a_weight_beyond_float16_stays_float32():
    model = doubled_convolution()
    weight = next(tensor for tensor in model.graph.initializer if tensor.name == "w")
    weight.CopyFrom(numpy_helper.from_array(np.full((7, 5, 3, 3), 1e5, np.float32), "w"))
    store_weights_as_float16(model)
    x = np.ones((1, 5, 6, 6), np.float32)
    assert np.isfinite(run(model, x=x)).all() and run(model, x=x).max() > 1e6
