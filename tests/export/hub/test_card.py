"""The model card: what the Hub indexes and what a reader is told."""

import dataclasses
import re

import pytest
import yaml
from huggingface_hub import ModelCard

from export.hub.card import CardFacts, fill_in, is_generated, metadata, model_card
from export.hub.license import License, choose_license
from zoo.folder import read_config
from zoo.locate import PRETRAINED
from zoo.metrics import read_metrics


@pytest.fixture
def facts(trained):
    model = trained / "model"
    return CardFacts(
        repo="me/progan",
        page="https://huggingface.co/me/progan",
        config=read_config(model),
        license=License("CC BY-NC 4.0"),
        metrics=read_metrics(model),
        dataset_id="celeba128",
        faces=True,
        parameters=1_234_567,
        samples=("0-31", 8),
    )


def test_the_client_reads_every_key_that_the_hub_indexes(facts):
    card = ModelCard(model_card(facts))
    assert card.data.library_name == "celebahq"
    assert card.data.pipeline_tag == "unconditional-image-generation"
    assert card.data.license == "cc-by-nc-4.0"
    assert {"progan", "gan", "onnx", "faces"} <= set(card.data.tags)
    assert card.data.datasets is None and card.data.metrics == ["swd"]  # celeba128 is a file, and no link
    linked = ModelCard(model_card(dataclasses.replace(facts, dataset_id="me/celeba-128")))
    assert linked.data.datasets == ["me/celeba-128"]
    assert card.data.model_name == "progan"
    (result,) = card.data.eval_results
    assert (result.metric_type, result.metric_value, result.task_type) == (
        "swd",
        36.908,
        "unconditional-image-generation",
    )
    assert result.metric_args["num_images"] == 4096 and result.metric_args["noise_floor"] == 4.502
    assert result.dataset_args["sha256_4x4"] == "3b77" * 16


def test_metrics_stand_beside_their_noise_floor_with_images_hash_and_command(facts):
    text = model_card(facts)
    assert "| | 32×32 | 16×16 | average |" in text
    assert "| **this model** | 41.70 | 32.11 | 36.91 |" in text
    assert "| noise floor: reals against other reals | 2.87 | 6.13 | 4.50 |" in text
    assert f"4,096 images and 4,096 reals, data `celeba128.h5` (18,000 images, SHA-256 of its 4×4 level `{'3b77' * 16}`)" in text  # fmt: skip # noqa: E501
    assert "python -m train.metrics --model me/progan --metrics swd --dataset celeba128.h5 --num-images 4096" in text


@pytest.mark.parametrize("faces", [True, False])
def test_every_command_of_the_card_names_a_model_that_its_reader_has(facts, faces):
    for metrics in (facts.metrics, []):
        text = model_card(dataclasses.replace(facts, faces=faces, metrics=metrics))
        models = re.findall(r"train\.metrics --model (\S+)", text)
        assert len(models) == text.count("train.metrics") >= 2
        assert set(models) == {"me/progan"}


@pytest.mark.parametrize("card", sorted(PRETRAINED.glob("*/README.md")), ids=lambda path: path.parent.name)
def test_a_card_that_ships_links_to_no_data_set_that_is_not_there(card):
    text = card.read_text(encoding="utf-8")
    fields = yaml.safe_load(text.split("---\n")[1]) if text.startswith("---\n") else {}
    assert all("/" in name for name in fields.get("datasets") or ())
    assert set(re.findall(r"--model (\S+)", text)) <= {card.parent.name, f"{card.parent.name}.onnx"}


def test_the_oldest_onnxruntime_is_stated(facts):
    assert "two files that stand alone; onnxruntime 1.14 or newer" in model_card(facts)


def test_metrics_of_other_weights_are_not_published(facts, trained):
    assert "777.77" in (trained / "model" / "metrics.json").read_text()
    text = model_card(facts)
    assert "777" not in text and "FID" not in text


def test_training_is_told_with_preset_length_device_time_data_and_command(facts):
    training = model_card(facts).split("## Training")[1].split("## Metrics")[0]
    for told in (
        "`smoke`",
        "1,234.5 kimg",
        "NVIDIA H100",
        "bf16",
        "1.5 hours",
        "3b77" * 16,
        "python -m train --dataset",
    ):
        assert told in training


def test_options_that_a_resume_changed_stand_on_the_card_with_the_moment(facts):
    history = [
        {"kimg": 36.528, "changed": {"learning_rate": [0.002, 0.003], "metrics": [[], ["swd"]]}},
        {"kimg": 40, "changed": {"a": 1}}, "no entry", {"kimg": 50}, {"kimg": "<b>", "changed": {"a": [1, 2]}},
        {"kimg": 60, "changed": {"`|": ["<i>", None]}},
    ]  # fmt: skip
    training = facts.config["training"] | {"history": history}
    text = model_card(dataclasses.replace(facts, config=facts.config | {"training": training}))
    told = text.split("Changed while it trained:\n\n")[1].split("\n\n")[0]
    assert told.splitlines() == [
        "- at 36.528 kimg: `learning_rate` from `0.002` to `0.003`, `metrics` from `[]` to `['swd']`",
        "- at 60 kimg: `` `| `` from `<i>` to `None`",
    ]
    assert "Changed while" not in model_card(facts)


def test_a_model_that_says_nothing_of_itself_still_has_a_card_without_gaps(facts):
    bare = {"architecture": facts.config["architecture"]}
    text = model_card(dataclasses.replace(facts, config=bare, metrics=[], dataset_id=None, license=License(None)))
    fields = yaml.safe_load(text.split("---\n")[1])
    assert fields["license"] == "unknown" and not {"datasets", "metrics", "model-index"} & set(fields)
    assert "None" not in text and "Nothing was measured on these weights" in text


def test_a_converted_model_tells_its_file_hash_address_and_what_differs(facts):
    architecture = facts.config["architecture"] | {"tanh": True, "widths": [16, 16, 8]}
    imported = {"file": "G.pth", "file_sha256": "ab" * 32, "layout": "akanimax", "notes": ["the average", "grown"]}
    config = {
        "architecture": architecture,
        "imported": imported,
        "source": "https://example.org/G.pth",
        "dataset": {"name": "lsun-cat", "resolution": 16},
        "citation": "Somebody: Something else. 2019",
    }
    text = model_card(dataclasses.replace(facts, config=config, metrics=[], dataset_id="lsun-cat", faces=False))
    assert "| data | lsun-cat |" in text and "| notes | the average; grown |" in text
    assert f"`G.pth` (akanimax), SHA-256 `{'ab' * 32}` |\n| downloaded from | https://example.org/G.pth |" in text
    assert "16, 16, 8 from 4×4 up; differs in `tanh` |" in text and "- Somebody: Something else. 2019" in text
    assert "moving average of the generator's" not in text


def test_faces_come_with_their_limits_and_other_images_without(facts):
    text = model_card(facts)
    for word in ("deepfakes", "face\n  recognition", "non-commercial", "light-skinned", "Nobody, but somebody"):
        assert word in text
    other = model_card(dataclasses.replace(facts, faces=False))
    assert "faces" not in metadata(dataclasses.replace(facts, faces=False))["tags"]
    assert not re.search(r"celebrit|identity|deepfake", other, re.IGNORECASE)


@pytest.mark.parametrize(
    ("stated", "given", "hub", "name"),
    [
        ("CC BY-NC 4.0", None, "cc-by-nc-4.0", None),
        ("CC-BY-NC-4.0", "cc-by-nc-4.0", "cc-by-nc-4.0", None),
        (None, "apache-2.0", "apache-2.0", None),
        (None, "CelebA agreement", "other", "celeba-agreement"),
        (None, None, "unknown", None),
        ("unknown", None, "unknown", None),
        ("unknown", "mit", "mit", None),
    ],
)
def test_licenses_are_called_what_the_hub_calls_them(stated, given, hub, name):
    license = choose_license({"license": {"weights": stated}} if stated else {}, given)
    fields = license.metadata("https://huggingface.co/a/b")
    assert (fields["license"], fields.get("license_name")) == (hub, name)
    assert (fields.get("license_link") == "https://huggingface.co/a/b#license") == (hub == "other")


def test_somebody_elses_weights_are_not_relabelled():
    with pytest.raises(ValueError, match=r"^--license: got apache-2.0, expected CC BY-NC 4.0"):
        choose_license({"license": {"weights": "CC BY-NC 4.0", "non_commercial": True}}, "apache-2.0")


def test_non_commercial_terms_are_said_in_words(facts):
    license = choose_license({"license": "CC BY-NC 4.0"})
    assert "**Not for commercial use.**" in model_card(dataclasses.replace(facts, license=license))
    assert choose_license({}, "mit", "CelebA: non-commercial research only").non_commercial is True
    assert "**Not for" not in model_card(dataclasses.replace(facts, license=License("mit")))


@pytest.mark.parametrize("edit", [("smoke", "paper"), ("# progan", "# Mine"), (": cc-by-nc-4.0", ": mit")])
def test_an_edited_card_is_known_from_a_generated_one(facts, edit):
    text = model_card(facts)
    assert is_generated(text) and is_generated(text.replace("\n", "\r\n"))
    assert edit[0] in text and not is_generated(text.replace(*edit)) and not is_generated(text + "\nMore.\n")


def test_metadata_is_filled_in_and_not_a_letter_changed():
    text = "---\ntags: [mine]   # a comment\nlicense: other\n---\n\nBy hand --- and more.\n---\n"
    filled = fill_in(text, {"library_name": "celebahq", "license": "mit", "license_name": "x", "tags": ["a"]})
    assert filled == text.replace("license: other\n", "license: other\nlibrary_name: celebahq\n", 1)
    assert fill_in(filled, {"library_name": "other"}) == filled
    assert fill_in("Only text.\n", {"license": "mit"}) == "---\nlicense: mit\n---\n\nOnly text.\n"
    with pytest.raises(ValueError, match="its metadata is no YAML \\(line 2\\)"):
        fill_in("---\nlicense: [\n---\n", {})
