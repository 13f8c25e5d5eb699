"""The folder that is published: complete, of one model, without a trace of the machine, and what it keeps."""

import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
import torch

import zoo
from export.config import UsageError
from export.hub.config import HubConfig
from export.hub.folder import build_folder, generates_faces
from export.sample import latents
from zoo import weights
from zoo.progan import Discriminator

PAGE = "https://huggingface.co/me/progan"


def config(model, **options):
    return HubConfig(**{"model": str(model), "repo": "me/progan", "license": "cc-by-nc-4.0", **options})


@pytest.fixture
def copied(built, trained, tmp_path):
    """(model folder, output): the built folder again, so that its .onnx need not be made anew."""
    shutil.copytree(trained / "model", tmp_path / "model")
    shutil.copytree(built[0], tmp_path / "output")
    return tmp_path / "model", tmp_path / "output"


def test_no_published_file_names_a_folder_of_this_machine(built, trained):
    for path in built[0].iterdir():
        content = path.read_bytes()
        assert b"home/somebody" not in content and str(trained.parent).encode() not in content, path.name


def test_training_json_holds_all_options_and_the_tick_that_was_published(built):
    training = json.loads((built[0] / "training.json").read_text())
    assert training["options"] == {"dataset": "celeba128.h5", "drift": 0.001}
    assert training["last_tick"]["kimg"] == training["training"]["kimg"] == 1234.5


def test_metrics_json_holds_the_metrics_of_these_weights_alone(built):
    metrics = json.loads((built[0] / "metrics.json").read_text())
    assert list(metrics) == ["swd"] and metrics["swd"]["values"]["average"] == 36.908
    weights = (built[0] / "model.safetensors").read_bytes()
    assert metrics["swd"]["model_sha256"] == hashlib.sha256(weights).hexdigest()


def test_the_license_is_in_config_onnx_and_card(built):
    license = {"weights": "cc-by-nc-4.0", "non_commercial": True}
    assert json.loads((built[0] / "config.json").read_text())["license"] == license
    properties = {p.key: p.value for p in onnx.load(built[0] / "model.onnx").metadata_props}
    assert json.loads(properties["license"]) == license
    assert "license: cc-by-nc-4.0\n" in (built[0] / "README.md").read_text()


def test_the_folder_is_a_model_folder_whose_samples_are_what_pytorch_generates(built, read_image):
    generator = zoo.load(built[0])
    images = generator(torch.from_numpy(latents(range(32), 32))).numpy()
    wanted = np.clip(np.rint(images * 127.5 + 127.5), 0, 255).transpose(0, 2, 3, 1)
    wanted = wanted.reshape(4, 8, 16, 16, 3).swapaxes(1, 2).reshape(64, 128, 3)
    assert abs(read_image(built[0] / "samples.png") - wanted).max() <= 1


def test_an_onnx_that_is_there_is_checked_and_not_made_anew(copied):
    model, output = copied
    before = (output / "model.onnx").stat().st_mtime_ns
    folder = build_folder(config(model), output, PAGE)
    assert (output / "model.onnx").stat().st_mtime_ns == before and "model.onnx" in folder.files


def test_an_onnx_of_other_terms_is_made_anew(copied):
    model, output = copied
    build_folder(config(model, license="cc0-1.0"), output, PAGE)
    properties = {p.key: p.value for p in onnx.load(output / "model.onnx").metadata_props}
    assert json.loads(properties["license"])["weights"] == "cc0-1.0"


@pytest.mark.parametrize("place", ["output", "model"])
def test_an_edited_card_in_a_folder_is_kept_unless_told_otherwise(copied, place):
    model, output = copied
    {"output": output, "model": model}[place].joinpath("README.md").write_text("# By hand\n")
    folder = build_folder(config(model), output, PAGE, published_card=None)
    card = (output / "README.md").read_text()
    assert card.endswith("---\n\n# By hand\n") and "license: cc-by-nc-4.0\n" in card and "edited" in folder.notes[0]
    build_folder(config(model, overwrite_card=True), output, PAGE)
    assert "By hand" not in (output / "README.md").read_text()


def test_what_was_edited_here_wins_over_the_hub_and_a_generated_card_over_neither(copied):
    model, output = copied
    build_folder(config(model), output, PAGE, published_card="# On the Hub\n")
    assert "# On the Hub" in (output / "README.md").read_text()  # the one in output was generated
    (output / "README.md").write_text("# Here\n")
    build_folder(config(model), output, PAGE, published_card="# On the Hub\n")
    assert "# Here" in (output / "README.md").read_text()


def test_an_edited_card_whose_index_is_out_of_date_is_told(copied):
    model, output = copied
    card = (output / "README.md").read_text()
    (output / "README.md").write_text(card.replace("36.908", "12.3"))
    assert any("its model-index lacks metrics" in note for note in build_folder(config(model), output, PAGE).notes)
    (output / "README.md").write_text(card + "\nOne more line.\n")
    assert len(build_folder(config(model), output, PAGE).notes) == 1


def test_a_conditional_model_is_shown_with_a_label(save_model, tmp_path):
    model = save_model(tmp_path / "model", label_size=3, resolution=8)
    output = tmp_path / "output"
    build_folder(config(model, license=None, faces="no"), output, PAGE)
    card = (output / "README.md").read_text()
    lines = card.split("```python\n")[1].split("```")[0].replace('"me/progan"', repr(str(output)))
    names = {}
    exec(lines, names)
    assert (
        names["images"].shape == (4, 3, 8, 8) and "python sample.py --seeds 0-15 --output grid.png --label 0\n" in card
    )
    assert "`python sample.py --seeds 0-31 --output samples.png --label 0`" in card
    assert (output / "samples.png").is_file() and not (output / "metrics.json").exists()


@pytest.mark.parametrize(
    ("described", "faces"),
    [
        ({"dataset": {"file": "mine.h5"}}, True),
        ({"dataset": {"name": "lsun-cat"}}, False),
        ({"dataset": {"file": "x.h5"}, "training": {"preset": "lsun256"}}, False),
        ({"dataset": "399 photographs"}, True),
        ({}, True),
    ],
)
def test_cards_speak_of_faces_unless_the_data_is_known_to_have_none(described, faces):
    assert generates_faces(config("m"), described) is faces
    assert generates_faces(config("m", faces="yes"), described) and not generates_faces(
        config("m", faces="no"), described
    )


@pytest.mark.parametrize("what", ["class", "itself", "another", "file", "damaged", "card"])
def test_what_cannot_be_built_is_one_line(copied, what):
    model, output = copied
    stated = json.loads((model / "config.json").read_text())
    if what == "class":
        (model / "config.json").write_text(json.dumps({**stated, "class": "SuperResolver"}))
        message = f"{model}: got a model of class SuperResolver, expected a Generator"
    elif what == "itself":
        output, message = model, f"--output: got {model}, the model itself, expected a folder of its own"
    elif what == "another":
        output = shutil.copytree(model, output.with_name("another"))
        message = f"--output: got {output} with config.json, not made by this command, expected a new folder"
    elif what == "file":
        output, message = model / "config.json", f"--output: got {model / 'config.json'}, a file"
    elif what == "damaged":
        (model / "model.safetensors").write_bytes(b"torn")
        message = f"{output / 'model.safetensors'}: cannot be read as safetensors"
    else:
        (model / "README.md").write_text("---\nlicense: [\n---\n")
        message = "README.md of the model folder: its metadata is no YAML (line 2)"
    with pytest.raises(UsageError) as error:
        build_folder(config(model), output, PAGE)
    assert str(error.value).startswith(message) and "\n" not in str(error.value)


def test_the_discriminator_is_sent_where_it_is_asked_for_and_else_stays(copied):
    """It is as large as the generator, and only who trains on needs it."""
    model, output = copied
    weights.save(Discriminator(weights.load(model).config), model)
    assert "discriminator.safetensors" not in build_folder(config(model), output, PAGE).files
    assert not (output / "discriminator.safetensors").exists()
    assert "discriminator.safetensors" in build_folder(config(model, discriminator=True), output, PAGE).files
