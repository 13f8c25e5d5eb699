"""The face detector that ships, CenterFace: its file, checked, and its session in onnxruntime. No torch."""

import os
from pathlib import Path
from typing import Any

from celebahq.files import sha256_of
from zoo.folder import ModelError, read_config
from zoo.locate import PRETRAINED

CLASS, ONNX_NAME = "CenterFace", "model.onnx"
OUTPUTS = {"heatmap": 1, "size": 2, "offset": 2, "landmarks": 10}
"""Name -> channels, each at a quarter of the photo's height and width."""


def detector_folder(name: str = "centerface") -> Path:
    """The model folder of the detector.

    Raises:
        ModelError: the package was installed without it.
    """
    folder = PRETRAINED / name
    if not (folder / ONNX_NAME).is_file():
        raise ModelError(f"{folder}: no {ONNX_NAME} in it, expected the detector that ships; install the package again")
    return folder


def checked_sha256(folder: str | Path) -> str:
    """Return the SHA-256 of the network, in hex digits.

    Raises:
        ModelError: it is not the one that config.json names.
    """
    path, wanted = Path(folder) / ONNX_NAME, read_config(folder).get("sha256")
    try:
        found = sha256_of(path)
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror}), expected the network") from None
    if found != wanted:
        raise ModelError(f"{path}: got sha256 {found[:8]}, expected {str(wanted)[:8]}; install the package again")
    return found


def open_session(folder: str | Path) -> Any:
    """Load the network into onnxruntime, on one thread of the CPU, as every worker has one.

    Returns:
        onnxruntime.InferenceSession: `photos` (N, 3, H, W) float32 RGB, 0 to 255, sides in multiples of 32, to OUTPUTS.

    Raises:
        ModelError: onnxruntime cannot load it.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before its import, or it sends events
    import onnxruntime

    path = Path(folder) / ONNX_NAME
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    try:
        return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common class
        raise ModelError(f"{path}: onnxruntime cannot load it ({type(error).__name__}); damaged?") from None
