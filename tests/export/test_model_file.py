"""A MODEL as the one .onnx file that the page and the demo carry."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import zoo
from export.model_file import place_onnx
from export.sample import UsageError, latents, load_onnx, to_uint8

ROOT = Path(__file__).resolve().parents[2]


def test_an_onnx_file_is_copied_and_torch_is_not_needed(onnx_file, tmp_path):
    script = (
        "import sys; sys.modules['torch'] = None\n"
        "from export.model_file import place_onnx\n"
        "from pathlib import Path\n"
        "place_onnx(sys.argv[1], Path(sys.argv[2]), largest=256)"
    )
    target = tmp_path / "model.onnx"
    subprocess.run([sys.executable, "-c", script, str(onnx_file), str(target)], cwd=ROOT, check=True)
    assert target.read_bytes() == onnx_file.read_bytes()


def test_a_model_folder_is_exported_at_the_largest_that_is_wanted(model, tmp_path):
    place_onnx(str(model), tmp_path / "model.onnx", largest=8, precision="fp16")
    small, z = load_onnx(tmp_path / "model.onnx", "cpu"), latents([3, 4], 32)
    assert small.resolution == 8
    exact = to_uint8(zoo.load(model)(torch.from_numpy(z), resolution=8).numpy()).astype(int)
    assert np.abs(small.uint8_images(z) - exact).max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"largest": 8},
            "images of 16x16, expected at most 8: a model folder, or .* onnx --resolution 8",
        ),
        ({"resolution": 8}, "--resolution, --precision: got them with .*, expected a model folder"),
        ({"precision": "fp16"}, "--resolution, --precision: got them with .*, expected a model folder"),
        ({"resolution": 512, "largest": 256}, "--resolution: got 512, expected at most 256"),
    ],
)
def test_what_an_onnx_file_cannot_become_is_refused(onnx_file, tmp_path, options, message):
    with pytest.raises(UsageError, match=message):
        place_onnx(str(onnx_file), tmp_path / "model.onnx", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_onnx_file_whose_weights_lie_elsewhere_is_refused(onnx_file, tmp_path):
    source = tmp_path / "source.onnx"
    onnx.save(onnx.load(onnx_file), source, save_as_external_data=True, location="source.onnx.data", size_threshold=0)
    with pytest.raises(UsageError, match="got weights that lie beside it"):
        place_onnx(str(source), tmp_path / "model.onnx")


def test_a_network_that_generates_no_faces_is_refused(tmp_path):
    folder = ROOT / "zoo" / "pretrained" / "artifacts-fast"
    with pytest.raises(UsageError, match=r"--model: got .* of class ArtifactRemover, expected a Generator"):
        place_onnx(str(folder), tmp_path / "model.onnx")
