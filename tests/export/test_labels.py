"""--label of a conditional model: a class by its number or name, or all numbers of the vector."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from export import sample
from export.onnx_export.to_onnx import export_onnx
from export.sample import UsageError, load_onnx, parse_label


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0", [1, 0, 0]),
        ("2", [0, 0, 1]),
        ("Smiling", [0, 1, 0]),
        ("0.3,-1,2e-1", [0.3, -1, 0.2]),
        (" 0, 0, 0", [0, 0, 0]),
    ],
)
def test_a_label_is_a_class_its_name_or_all_its_numbers(text, wanted):
    label = parse_label(text, 3, ["Male", "Smiling", "Young"])
    assert label.dtype == np.float32
    np.testing.assert_allclose(label, wanted)


@pytest.mark.parametrize("text", ["3", "-1", "Frowning", "0.3,-1", "1,2,3,4", "nan,0,0", "inf,0,0", "", "0x1,0,0"])
def test_a_label_that_the_model_does_not_take_is_refused_with_what_it_takes(text):
    said = r"--label: got .*, expected a class from 0 to 2, a name \(Male, Smiling, Young ...\) or 3 numbers with "
    with pytest.raises(UsageError, match=said):
        parse_label(text, 3, ["Male", "Smiling", "Young"])
    with pytest.raises(UsageError, match="expected none, the model is unconditional"):
        parse_label(text, 0)


def test_a_label_by_number_name_and_vector_is_the_same_image_by_both_generators(
    save_model, tmp_path, images, read_image
):
    folder = save_model(tmp_path / "model", label_size=2)
    config = json.loads((folder / "config.json").read_text()) | {"label_names": ["Male", "Smiling"]}
    (folder / "config.json").write_text(json.dumps(config))
    file = export_onnx(folder, tmp_path / "faces.onnx").path
    assert load_onnx(file, "cpu").label_names == ["Male", "Smiling"]
    for model in (folder, file):
        for label in (("--label", "1"), ("--label", "Smiling"), ("--label", "0,1"), ("--label=0.0,1.0",)):
            images("--model", model, "--seeds", "5", *label, "--output", tmp_path / "a.png")  # the same: left alone
        images("--model", model, "--seeds", "5", "--label", "-1,0.5", "--output", tmp_path / "b.png")
        assert np.abs(read_image(tmp_path / "a.png") - read_image(tmp_path / "b.png")).max() > 1
        with Image.open(tmp_path / "b.png") as image:
            assert image.text["label"] == "-1,0.5"
    command = [sys.executable, sample.__file__, "--model", file, "--seeds", "5", "--output", tmp_path / "c.png"]
    subprocess.run([*command, "--label=-1,0.5"], check=True, capture_output=True)
    assert np.array_equal(read_image(tmp_path / "b.png"), read_image(tmp_path / "c.png"))
