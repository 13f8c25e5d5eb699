"""Restoration on a CPU without bfloat16: PyTorch's float32 against onnxruntime's, the two taking turns.

    OMP_NUM_THREADS=1 python benchmarks/restoration_onnx.py PHOTOS

The networks become ONNX graphs in process, by `onnx.helper` alone. Compared are whole steps as a build runs them, from
bytes to bytes, on the middle of photographs: 256x256 pixels for artifacts, 128x128 for super-resolution. What
the adversarial network's checkerboard filter does stays in PyTorch both times. Printed: CPU seconds, the largest
difference in gray levels, and the share of values that differ.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from celebahq_builder.restore import forward
from zoo.restoration.checkerboard import CheckerboardFilter
from zoo.restoration.networks import SCALE, ArtifactRemover, ResidualBlock, SuperResolver
from zoo.restoration.weights import load_restoration, shipped_folder

NETWORKS = {"artifacts-fast": 256, "superres-fast-gan": 128, "artifacts-full": 256, "superres-full-gan": 128}
"""With the side of what they are given."""


class Graph:
    """Nodes and weights of an ONNX graph from `photo` (N, 3, H, W) to `restored`; H and W in multiples of 4."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, kind: str, *inputs: str, **attributes) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def weight(self, value: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(self, x: str, layer: torch.nn.Conv2d, kernel: np.ndarray | None = None) -> str:
        tensors = [self.weight(layer.weight.numpy() if kernel is None else kernel)]
        tensors += [] if layer.bias is None else [self.weight(layer.bias.numpy())]
        return self.add("Conv", x, *tensors, strides=list(layer.stride), pads=[layer.padding[0]] * 4)

    def block(self, x: str, block: ResidualBlock) -> str:
        return self.add("Add", x, self.conv(self.add("Relu", self.conv(x, block.conv0)), block.conv1))

    def session(self, *summands: str) -> onnxruntime.InferenceSession:
        self.nodes.append(helper.make_node("Add", list(summands), ["restored"]))
        given = [helper.make_tensor_value_info("photo", TensorProto.FLOAT, ["n", 3, "h", "w"])]
        made = [helper.make_tensor_value_info("restored", TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "restoration", given, made, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def artifacts_session(network: ArtifactRemover) -> onnxruntime.InferenceSession:
    """Return ArtifactRemover.forward as a session."""
    graph, skips = Graph(), []
    # SpaceToDepth has the place before the color, pixel_unshuffle the color before the place.
    kernel = network.head.weight.numpy()
    kernel = kernel.reshape(len(kernel), 3, 4, 3, 3).swapaxes(1, 2).reshape(kernel.shape)
    x = graph.conv(graph.add("SpaceToDepth", "photo", blocksize=2), network.head, kernel)
    for block in network.encoder2:
        skips.append(x)
        x = graph.block(x, block)
    skips.append(x)
    x = graph.conv(x, network.down)
    for block in network.encoder4:
        skips.append(x)
        x = graph.block(x, block)
    for block in network.decoder4:
        x = graph.add("Add", graph.block(x, block), skips.pop())
    x = graph.add("ConvTranspose", x, graph.weight(network.up.weight.numpy()), strides=[2, 2])
    x = graph.add("Add", x, skips.pop())
    for block in network.decoder2:
        x = graph.add("Add", graph.block(x, block), skips.pop())
    return graph.session("photo", graph.add("DepthToSpace", graph.conv(x, network.tail), blocksize=2, mode="CRD"))


def superres_session(network: SuperResolver) -> onnxruntime.InferenceSession:
    """Return SuperResolver.subpixels as a session."""
    graph = Graph()
    first = x = graph.conv("photo", network.head)
    for block in network.body:
        x = graph.block(x, block)
    detail = graph.conv(graph.add("Add", x, first), network.tail)
    colors = graph.weight(np.repeat(np.arange(3), SCALE**2))
    return graph.session(graph.add("Gather", "photo", colors, axis=1), detail)


class Session(torch.nn.Module):
    """A network that onnxruntime computes, in the place of PyTorch's."""

    def __init__(self, network: ArtifactRemover | SuperResolver) -> None:
        super().__init__()
        self.on_the_cpu = torch.nn.Parameter(torch.zeros(1), requires_grad=False)  # forward() asks where it is
        is_remover = isinstance(network, ArtifactRemover)
        self.session = artifacts_session(network) if is_remover else superres_session(network)

    def forward(self, photo: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.session.run(None, {"photo": photo.contiguous().numpy()})[0])

    subpixels = forward


def middle(path: Path, side: int) -> np.ndarray | None:
    """Return the middle of a photograph: (1, side, side, 3) uint8; None where it is smaller."""
    photo = np.array(Image.open(path).convert("RGB"))
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    return photo[None, top : top + side, left : left + side].copy() if min(top, left) >= 0 else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="folder of photographs")
    parser.add_argument("--count", type=int, default=20, help="photographs")
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.photos.iterdir() if path.suffix.lower() in (".jpg", ".jpeg"))
    torch.cpu._is_avx512_bf16_supported = lambda: False  # a CPU without it
    for name, side in NETWORKS.items():
        images = [
            image
            for path in paths[:: max(1, len(paths) // (2 * arguments.count))]
            if (image := middle(path, side)) is not None
        ]
        network = load_restoration(shipped_folder(name))
        theirs: torch.nn.Module = Session(network)
        ours = network.to(memory_format=torch.channels_last)
        if name.endswith("-gan"):
            ours, theirs = CheckerboardFilter(ours), CheckerboardFilter(theirs)
        seconds, largest, differing = [0.0, 0.0], 0, []
        for i, image in enumerate([images[0], *images[: arguments.count]]):  # the first time does not count
            made = []
            for k in range(2) if i % 2 else (1, 0):
                began = time.process_time()
                made.append(forward((ours, theirs)[k], image).astype(np.int16))
                seconds[k] += (time.process_time() - began) * (i > 0)
            difference = np.abs(made[0] - made[1])
            largest = max(largest, int(difference.max()))
            differing.append((difference > 0).mean())
        ratio = seconds[1] / seconds[0]
        print(
            f"{name}: PyTorch {seconds[0]:.2f} CPU-s, onnxruntime {seconds[1]:.2f}, {ratio:.2f} of it; "
            f"at most {largest} gray levels apart, {np.mean(differing):.1e} of the values",
            flush=True,
        )


if __name__ == "__main__":
    main()
