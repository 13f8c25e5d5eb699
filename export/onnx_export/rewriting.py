"""Rewrite an exported generator so that it computes the same, up to float32 rounding, with less work.

Three identities, each found by its pattern and left alone where the pattern is not there:

- A 3x3 convolution of an image that was doubled by repeating pixels sees at most 2x2 different pixels. Four 2x2
  convolutions of the small image, one for each place of an output pixel in its 2x2 cell, give the same with 4/9 of
  the multiplications; the four outputs are then interleaved.
- The mean over channels is a product with a row of 1/C, which runtimes compute many times faster than ReduceMean;
  the squares that it is taken of are products too.
- A factor a pixel commutes with a 1x1 convolution: the last normalization is done on 3 channels instead of 16.
"""

import math
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

PHASES = ((0, 0), (0, 1), (1, 0), (1, 1))
"""(row, column) of an output pixel in its 2x2 cell."""

TAPS = (np.array([[1, 0, 0], [0, 1, 1]]), np.array([[1, 1, 0], [0, 0, 1]]))
"""Which of three taps on doubled pixels fall on the first and the second of two small pixels, for row or column 0, 1.

Doubled pixel 2i + 0 sees small pixels i - 1, i, i; doubled pixel 2i + 1 sees i, i, i + 1.
"""


class Graph:
    """An ONNX graph with what a rewriting looks up: who makes and who takes a value, its shape, constants."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.proto = graph
        self.made_by = {name: node for node in graph.node for name in node.output}
        self.taken_by: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.taken_by.setdefault(name, []).append(node)
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        self.shapes = {
            value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]  # 0 where free
            for value in (*graph.value_info, *graph.input, *graph.output)
        }

    def only_taker(self, name: str, op_type: str) -> onnx.NodeProto | None:
        """Return the node that alone takes a value, if it is of this kind and the value is no output."""
        takers = self.taken_by.get(name, [])
        is_output = any(name == value.name for value in self.proto.output)
        return takers[0] if len(takers) == 1 and takers[0].op_type == op_type and not is_output else None

    def constant(self, name: str) -> np.ndarray | None:
        """Return the value of an initializer or a Constant node, also through a Reshape of one axis."""
        if name in self.tensors:
            return numpy_helper.to_array(self.tensors[name])
        node = self.made_by.get(name)
        if node is None or node.op_type not in ("Constant", "Reshape"):
            return None
        if node.op_type == "Reshape":
            return self.constant(node.input[0])
        value = helper.get_attribute_value(node.attribute[0])
        return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)

    def add(self, name: str, value: np.ndarray) -> str:
        """Add an initializer, once a name; return the name."""
        if name not in self.tensors:
            self.tensors[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
            self.proto.initializer.append(self.tensors[name])
        return name

    def replace(self, old: Iterable[onnx.NodeProto], new: list[onnx.NodeProto]) -> None:
        """Put nodes in the place of the last of the old ones."""
        gone, nodes = {node.output[0] for node in old}, []
        for node in self.proto.node:
            if node.output[0] not in gone:
                nodes.append(node)
            else:
                gone.remove(node.output[0])
                nodes += [] if gone else new
        del self.proto.node[:]
        self.proto.node.extend(nodes)


def rewrite(model: onnx.ModelProto) -> None:
    """Apply the three identities wherever they fit, in place, and drop what is then unused."""
    for identity in (convolve_before_doubling, average_by_product, normalize_after_output):
        while identity(Graph(model.graph)):
            pass
    prune(model.graph)


def store_weights_as_float16(model: onnx.ModelProto) -> None:
    """Round the weights, in place, to float16, from which a Cast brings them back to float32 when a session loads.

    The smallest, a twentieth of all together, stay: of the paper's network half of the layers, hence of the rounding.
    """
    graph, casts, kept = model.graph, [], 0
    weights = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1]
    total = sum(math.prod(tensor.dims) for tensor in weights)
    for tensor in sorted(weights, key=lambda tensor: math.prod(tensor.dims)):
        kept += math.prod(tensor.dims)
        name, value = tensor.name, numpy_helper.to_array(tensor)
        if kept <= total / 20 or np.abs(value).max(initial=0) > np.finfo(np.float16).max:
            continue  # or no infinity, at whatever cost in bytes
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}.float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*casts, *nodes])


def convolve_before_doubling(graph: Graph) -> bool:
    """Rewrite one doubling Resize with its 3x3 Conv, and the LeakyRelu that may follow; False if there is none."""
    for resize in graph.proto.node:
        conv = graph.only_taker(resize.output[0], "Conv") if is_doubling(graph, resize) else None
        if conv is None or not is_plain_3x3(conv) or conv.input[1] not in graph.tensors:
            continue
        small, name, (weight, bias) = resize.input[0], conv.output[0], conv.input[1:3]
        (channels, inputs), side = graph.tensors[weight].dims[:2], graph.shapes[name][2] // 2
        # One convolution for all four, over a border of one pixel: every output is there, one pixel early or late.
        nodes = [
            *phase_weights(graph, weight, channels, inputs),
            helper.make_node("Concat", [bias] * 4, [f"{bias}.phases"], axis=0),
            helper.make_node(
                "Conv",
                [small, f"{weight}.phases", f"{bias}.phases"],
                [f"{name}.phases"],
                kernel_shape=[2, 2],
                pads=[1, 1, 1, 1],
            ),
        ]
        last, phased = conv, f"{name}.phases"
        leaky = graph.only_taker(name, "LeakyRelu")
        if leaky is not None:  # beside the convolution, where runtimes fuse the two
            last, slope = leaky, helper.get_attribute_value(leaky.attribute[0])
            nodes.append(helper.make_node("LeakyRelu", [phased], [f"{phased}.leaky"], alpha=slope))
            phased += ".leaky"
        nodes += interleaving(graph, phased, last.output[0], channels, side)
        graph.replace([node for node in (resize, conv, leaky) if node is not None], nodes)
        return True
    return False


def phase_weights(graph: Graph, weight: str, channels: int, inputs: int) -> list[onnx.NodeProto]:
    """Return nodes from a weight (C, inputs, 3, 3) to that of its four phases (4 C, inputs, 2, 2), named .phases.

    They work on constants, so that runtimes run them once, when they load; stored, the phases would be 16/9 the size.
    """
    sums = np.stack([np.einsum("py,qx->yxpq", TAPS[row], TAPS[column]) for row, column in PHASES], axis=2)
    steps = [
        ("Reshape", graph.add("nine_taps", np.array([-1, 9], np.int64))),
        ("MatMul", graph.add("sums_of_taps", sums.reshape(9, 16).astype(np.float32))),
        ("Reshape", graph.add(f"phases.{channels}x{inputs}", np.array([channels, inputs, 4, 2, 2], np.int64))),
        ("Transpose", None),
        ("Reshape", graph.add(f"weight.{channels}x{inputs}", np.array([4 * channels, inputs, 2, 2], np.int64))),
    ]
    nodes, value = [], weight
    for i, (op_type, operand) in enumerate(steps):
        output = f"{weight}.phases" + (f".{i}" if i < 4 else "")
        if operand is None:
            nodes.append(helper.make_node(op_type, [value], [output], perm=[2, 0, 1, 3, 4]))
        else:
            nodes.append(helper.make_node(op_type, [value, operand], [output]))
        value = output
    return nodes


def interleaving(graph: Graph, phased: str, output: str, channels: int, side: int) -> list[onnx.NodeProto]:
    """Return nodes from (N, 4 C, side + 1, side + 1) to (N, C, 2 side, 2 side).

    DepthToSpace and a crop would do, but onnxruntime's takes more than twice the time of these copies.
    """
    nodes, rows = [], []
    column = graph.add("one_column", np.array([0, 0, 0, 0, 1], np.int64))
    axes = graph.add("channels_rows_columns", np.array([1, 2, 3], np.int64))
    for i, (row, left) in enumerate(PHASES):
        start = graph.add(f"start.{channels}x{i}", np.array([channels * i, row, left], np.int64))
        end = graph.add(f"end.{channels}x{i}.{side}", np.array([channels * (i + 1), row + side, left + side], np.int64))
        nodes.append(helper.make_node("Slice", [phased, start, end, axes], [f"{output}.{i}"]))
        nodes.append(helper.make_node("Reshape", [f"{output}.{i}", column], [f"{output}.{i}.column"]))
    for row in (0, 1):
        pair, joined = [f"{output}.{2 * row + i}.column" for i in (0, 1)], f"{output}.row{row}"
        shape = graph.add(f"rows.{side}", np.array([0, 0, side, 2 * side], np.int64))
        nodes.append(helper.make_node("Concat", pair, [joined], axis=4))
        nodes.append(helper.make_node("Reshape", [joined, shape], [f"{joined}.whole"]))
        rows.append(f"{joined}.whole")
    square = graph.add(f"square.{2 * side}", np.array([0, 0, 2 * side, 2 * side], np.int64))
    nodes.append(helper.make_node("Concat", rows, [f"{output}.rows"], axis=3))
    nodes.append(helper.make_node("Reshape", [f"{output}.rows", square], [output]))
    return nodes


def average_by_product(graph: Graph) -> bool:
    """Rewrite one ReduceMean over the channels of images as a product; False if there is none."""
    for mean in graph.proto.node:
        shape = graph.shapes.get(mean.input[0], []) if mean.op_type == "ReduceMean" else []
        if len(shape) != 4 or not all(shape[1:]) or not is_constant(graph, mean.input[1], [1]):
            continue
        _, channels, height, width = shape
        value, name = mean.input[0], mean.output[0]
        power = graph.made_by.get(value)
        squared = None
        if power is not None and power.op_type == "Pow" and is_constant(graph, power.input[1], 2):
            squared = power.input[0]
        flat = graph.add(f"flat.{channels}", np.array([0, channels, -1], np.int64))
        row = graph.add(f"mean.{channels}", np.full((1, channels), 1 / channels, np.float32))
        square = graph.add(f"mean.{height}x{width}", np.array([0, 1, height, width], np.int64))
        nodes = [helper.make_node("Reshape", [squared or value, flat], [f"{name}.flat"])]
        if squared:  # half the time of Pow
            nodes.append(helper.make_node("Mul", [f"{name}.flat"] * 2, [f"{name}.squares"]))
        nodes += [
            helper.make_node("MatMul", [row, nodes[-1].output[0]], [f"{name}.product"]),
            helper.make_node("Reshape", [f"{name}.product", square], [name]),
        ]
        graph.replace([mean], nodes)
        return True
    return False


def normalize_after_output(graph: Graph) -> bool:
    """Rewrite the Mul by a factor a pixel before the 1x1 Conv that gives the images; False if there is none."""
    for mul in graph.proto.node:
        conv = graph.only_taker(mul.output[0], "Conv") if mul.op_type == "Mul" else None
        weight = graph.tensors.get(conv.input[1]) if conv is not None else None
        if conv is None or weight is None or weight.dims[2:] != [1, 1]:
            continue
        if graph.shapes.get(mul.input[1], [])[1:2] != [1]:
            continue
        name, bias = conv.output[0], conv.input[2]
        axes = graph.add("rows_columns", np.array([1, 2], np.int64))
        nodes = [
            helper.make_node("Conv", [mul.input[0], conv.input[1]], [f"{name}.raw"], kernel_shape=[1, 1]),
            helper.make_node("Mul", [f"{name}.raw", mul.input[1]], [f"{name}.normalized"]),
            helper.make_node("Unsqueeze", [bias, axes], [f"{bias}.map"]),
            helper.make_node("Add", [f"{name}.normalized", f"{bias}.map"], [name]),
        ]
        graph.replace([mul, conv], nodes)
        return True
    return False


def is_doubling(graph: Graph, node: onnx.NodeProto) -> bool:
    """Whether a node repeats each pixel twice in both directions."""
    if node.op_type != "Resize" or len(node.input) != 3:
        return False
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    wanted = {"mode": b"nearest", "nearest_mode": b"floor", "coordinate_transformation_mode": b"asymmetric"}
    return wanted.items() <= found.items() and is_constant(graph, node.input[2], [1, 1, 2, 2])


def is_constant(graph: Graph, name: str, value: int | list[int]) -> bool:
    """Whether a value of the graph is a constant with these numbers."""
    found = graph.constant(name)
    return found is not None and found.squeeze().tolist() in (value, np.squeeze(value).tolist())


def is_plain_3x3(conv: onnx.NodeProto) -> bool:
    """Whether a Conv has a 3x3 kernel, a bias, and nothing else that is not usual."""
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in conv.attribute}
    usual = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1], "dilations": [1, 1], "group": 1}
    return len(conv.input) == 3 and {**found, "auto_pad": b"NOTSET"} == {**usual, "auto_pad": b"NOTSET"}


def prune(graph: onnx.GraphProto) -> None:
    """Drop nodes and initializers that no output needs, and the shapes that were noted for what is gone."""
    needed, kept = {value.name for value in graph.output}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    del graph.node[:], graph.value_info[:]
    graph.node.extend(reversed(kept))
    for i in reversed(range(len(graph.initializer))):  # in place: a protobuf of 2 GB cannot be copied
        if graph.initializer[i].name not in needed:
            del graph.initializer[i]
