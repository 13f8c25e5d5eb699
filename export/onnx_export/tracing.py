"""PyTorch's generator as an ONNX graph: scales folded, batch free, no trace of the machine it was made on."""

import logging
import warnings

import onnx
import torch
from google.protobuf.message import Message
from torch import Tensor, nn

from export.onnx_export.folding import fold_equalized_scale
from zoo.progan import Generator

OPSET = 18
"""Everything ProGAN needs, and the oldest that PyTorch's exporter writes: it reaches the most runtimes."""
IR_VERSION = 8
"""The oldest form of the file that holds OPSET; the exporter writes a later one, without need of it."""


class ExportedGenerator(nn.Module):
    """The generator as it is exported: stopped at a resolution, rounded to uint8 or not."""

    def __init__(self, generator: Generator, resolution: int | None, uint8: bool) -> None:
        super().__init__()
        self.generator, self.resolution, self.uint8 = generator, resolution, uint8

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        images = self.generator(z, label, self.resolution)
        if not self.uint8:
            return images
        # As export.sample.to_uint8 does outside, bit for bit: ONNX's Round, too, rounds half to even.
        return torch.clamp(torch.round(images * 127.5 + 127.5), 0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def trace(generator: Generator, resolution: int | None = None, *, uint8: bool = False) -> onnx.ModelProto:
    """Return the generator as an ONNX model.

    Args:
        generator: in float32 on the CPU.
        resolution: where it stops; None generates as the generator stands.
        uint8: images are (batch, R, R, C) uint8, not (batch, C, R, R) float32.
    """
    config, batch = generator.config, torch.export.Dim("batch")
    # traced at 2 images, checked at 1, 3 and 5
    inputs = [torch.zeros(2, config.latent_size)] + [torch.zeros(2, config.label_size)] * (config.label_size > 0)
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns that torchvision, which nothing here uses, is not installed
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of the exporter, about itself
            warnings.filterwarnings("ignore", message="# The axis name: batch will not be used")  # z and label share it
            program = torch.onnx.export(
                ExportedGenerator(fold_equalized_scale(generator), resolution, uint8).eval(),
                tuple(inputs),
                dynamo=True,
                optimize=False,  # the optimizer takes PixelNorm's epsilon of 1e-8 for zero and removes it: NaN at z = 0
                opset_version=OPSET,
                input_names=["z", "label"][: len(inputs)],
                output_names=["images"],
                dynamic_shapes=({0: batch}, {0: batch})[: len(inputs)],
                external_data=False,
                verbose=False,
            )
    finally:
        logger.setLevel(level)
    assert program is not None, "of dynamo=True"
    model = program.model_proto
    strip_traces(model)  # also what is new in later forms: metadata_props of nodes and of the graph
    model.ir_version = IR_VERSION
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.removeprefix("generator.")
    for node in model.graph.node:
        node.input[:] = [name.removeprefix("generator.") for name in node.input]
    return model


def strip_traces(message: Message) -> None:
    """Remove every doc_string and metadata_props, at any depth: the exporter puts stack traces with paths there."""
    for field, value in message.ListFields():
        if field.name in ("doc_string", "metadata_props"):
            message.ClearField(field.name)
        elif isinstance(value, Message):
            strip_traces(value)
        elif field.message_type is not None:
            for item in value:
                strip_traces(item)
