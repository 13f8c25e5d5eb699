"""evaluate and publish: tables that leave a document's prose alone, folders whose metrics belong to their weights."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
import tyro
from PIL import Image
from safetensors.torch import load_file

import zoo
from train.restoration.average import AverageConfig, average
from train.restoration.checkpoint import load_weights, save_weights
from train.restoration.errors import RestorationError
from train.restoration.evaluate import BEGIN, END, EvaluateConfig, evaluate, find_weights, verdict
from train.restoration.photos import read_testset
from train.restoration.protocol import artifacts_psnr, clean_psnr, ensembled, restorer, superres_psnr, where_needed
from train.restoration.publish import PublishConfig, publish
from zoo.check_image import check_difference, load_network
from zoo.commands.verify import verify_folder
from zoo.restoration.networks import build
from zoo.restoration.weights import load_restoration


@pytest.fixture(scope="module")
def testsets(real_data, tmp_path_factory):
    """One image of each test set, cut small: the protocol is proven elsewhere."""
    root = tmp_path_factory.mktemp("testsets")
    for name in ("Classic5", "Set5", "Set14"):
        (root / name).mkdir()
        path = sorted((real_data / "testsets" / name).iterdir())[0]
        Image.open(path).crop((64, 64, 208, 192)).save(root / name / path.name)
    return root


@pytest.fixture
def trained(tmp_path):
    """Two networks as training leaves them, with a configuration and a log beside one."""
    torch.manual_seed(0)
    for net, name in (("artifacts", "artifacts-fast"), ("superres", "superres-fast-gan")):
        (tmp_path / "runs" / name).mkdir(parents=True)
        save_weights(tmp_path / "runs" / name / f"{name}.safetensors", build(net, "fast"), net, "fast")
    psnr = tmp_path / "runs" / "superres-fast-psnr"
    options = {"kind": "gan", "device": "cpu", "init": str(psnr / "superres-fast-psnr.safetensors")}
    (tmp_path / "runs" / "superres-fast-gan" / "config.json").write_text(json.dumps(options))
    psnr.mkdir()
    (psnr / "config.json").write_text(json.dumps({"kind": "psnr", "init": "None", "texture_weight": "0.7"}))
    run = tmp_path / "runs" / "artifacts-fast"
    (run / "config.json").write_text(json.dumps({"photos": "/home/someone", "batch": "16", "patch": "0"}))
    (run / "log.jsonl").write_text('{"step": 1, "seconds": 2.0}\n{"step": 70, "seconds": 90.5, "Classic5 Q10": 28.0}\n')
    return tmp_path / "runs"


def test_tables_go_between_the_marks_and_leave_the_prose(trained, testsets, tmp_path):
    document = tmp_path / "restoration.md"
    document.write_text(f"Prose before.\n\n{BEGIN}\nold table\n{END}\n\nProse after.\n")
    table = evaluate(EvaluateConfig(weights=trained, testsets=testsets, output=document))
    assert document.read_text() == f"Prose before.\n\n{BEGIN}\n{table}{END}\n\nProse after.\n"
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("|")}
    assert "published: SRResNet" in rows and "artifacts-fast" in rows and "superres-fast-gan" in rows
    assert "32.05" in rows["published: SRResNet"]
    widths = {line.count("|") for line in table.split("\n\n")[0].splitlines()}
    assert len(widths) == 1


def test_faces_are_measured_apart_and_halved_first(trained, testsets, tmp_path):
    faces, rng = tmp_path / "faces", np.random.default_rng(1)
    faces.mkdir()
    small = np.clip(rng.normal(128, 40, (64, 80, 3)), 0, 255).astype(np.uint8)
    Image.fromarray(small.repeat(2, axis=0).repeat(2, axis=1)).save(faces / "a.png")
    table = evaluate(EvaluateConfig(weights=trained, testsets=testsets, faces=faces)).split("\n\n")[-1]
    rows = {cells[1]: cells[2:] for line in table.splitlines() if (cells := [c.strip() for c in line.split("|")])}
    assert rows["network"][:4] == ["faces Q10", "faces Q20", "faces Q40", "faces x4"]
    assert rows["artifacts: JPEG"][0] == f"{artifacts_psnr(None, [small], 10):.2f}"
    assert rows["superres: bicubic"][3] == f"{superres_psnr(None, [small]):.2f}"
    assert all(rows["artifacts-fast"][:3]) and all(rows["superres-fast-gan"][3:5])


def test_rows_x8_are_of_the_same_weights_with_self_ensemble(trained, testsets):
    table = evaluate(EvaluateConfig(weights=trained, testsets=testsets, self_ensemble=True))
    rows = {cells[1]: cells[2] for line in table.splitlines() if len(cells := [c.strip() for c in line.split("|")]) > 2}
    assert {"artifacts-fast x8", "superres-fast-gan", "superres-fast-gan x8"} <= rows.keys()
    restore = restorer(load_weights(find_weights(trained)["artifacts-fast"]))
    photos = list(read_testset(testsets, "Classic5").values())
    for name, way in (("artifacts-fast", restore), ("artifacts-fast x8", ensembled(restore))):
        assert rows[name].split()[0] == f"{artifacts_psnr(where_needed(way), photos, 10):.2f}"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (28.7, "below the CPU target 28.8"),
        (28.8, "CPU target 28.8 met, GPU target 29.4 not"),
        (29.4, "GPU target 29.4 met"),
    ],
)
def test_verdict_says_which_target_is_met(value, text):
    assert verdict("artifacts-fast", "Q10", value) == text
    assert verdict("artifacts-fast", "Q30", value) == ""


def test_document_without_the_marks_is_not_written_over(trained, testsets, tmp_path):
    document = tmp_path / "thesis.md"
    document.write_text("my thesis")
    with pytest.raises(ValueError, match=r"--output: got .*thesis.md without lines <!-- evaluate: begin -->"):
        evaluate(EvaluateConfig(weights=trained, testsets=testsets, output=document))
    assert document.read_text() == "my thesis"


@pytest.mark.parametrize("option", ["--photos", "--picture"])
def test_photos_of_the_card_are_named_by_their_former_option_too(option):
    config = tyro.cli(PublishConfig, args=["--weights", "w", "--testsets", "t", option, "p"])
    assert config.photos == Path("p")


def test_published_folders_hold_weights_metrics_and_card(trained, testsets, tmp_path):
    shelf = tmp_path / "shelf"
    publish(PublishConfig(weights=trained, testsets=testsets, output=shelf, data="12 photographs of ours (CC0)"))
    assert sorted(find_weights(shelf)) == ["artifacts-fast", "superres-fast-gan"]
    folder = shelf / "artifacts-fast"
    photo = torch.rand(1, 3, 16, 16)
    torch.manual_seed(0)
    with torch.no_grad():  # the averaged weights, in half precision as training left them
        wanted = build("artifacts", "fast").half().float()(photo)
        assert torch.allclose(load_restoration(folder)(photo), wanted, atol=1e-6)
    config = json.loads((folder / "config.json").read_text())
    assert config["training"] == {"batch": "16", "steps": 70, "seconds": 90.5}
    assert config["license"] == {
        "weights": "CC-BY-NC-4.0",
        "data": "12 photographs of ours (CC0)",
        "non_commercial": True,
    }
    entry = json.loads((folder / "metrics.json").read_text())["restoration"]
    assert entry["model_sha256"] == hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert (
        all(finding.good for finding in verify_folder(folder)) and check_difference(folder, load_network(folder)) == 0
    )
    card = (folder / "README.md").read_text()
    assert "12 photographs of ours (CC0)" in card and f"| {entry['values']['Q10']:.2f} |" in card
    assert "/home/someone" not in card + (folder / "config.json").read_text()
    # What was to be reached, and all of the training that an adversarial network went through.
    assert f"| {verdict('artifacts-fast', 'Q10', entry['values']['Q10'])} |" in card
    after = json.loads((shelf / "superres-fast-gan" / "config.json").read_text())["training"]
    assert after == {
        "kind": "gan",
        "device": "cpu",
        "started_from": {"weights": "superres-fast-psnr", "kind": "psnr"},
    }
    other = (shelf / "superres-fast-gan" / "README.md").read_text()
    assert "kind gan, device cpu; started from weights superres-fast-psnr, kind psnr." in other
    assert Image.open(folder / "samples.jpg").size == (3 * 192 + 8, 196)


def test_a_variant_stands_behind_the_size_and_its_card_is_free_of_the_others_limits(trained, testsets, tmp_path):
    shelf, data = tmp_path / "shelf", "102 images in the public domain"
    free = {"variant": "free", "data": data, "weights_license": "Apache-2.0", "commercial": True}
    publish(PublishConfig(weights=trained, testsets=testsets, output=shelf, **free))
    assert sorted(find_weights(shelf)) == ["artifacts-fast-free", "superres-fast-free-gan"]
    for name, call in (("artifacts-fast-free", '"fast-free")'), ("superres-fast-free-gan", '"fast-free", "gan")')):
        card, config = (shelf / name / "README.md").read_text(), json.loads((shelf / name / "config.json").read_text())
        assert config["name"] == name and config["license"]["non_commercial"] is False and call in card
        assert data in card and "Commercial use is open" in card and "BSDS500" not in card
        assert all(finding.good for finding in verify_folder(shelf / name))
    training = json.loads((shelf / "superres-fast-free-gan" / "config.json").read_text())["training"]
    assert training["started_from"]["weights"] == "superres-fast-free-psnr"

    publish(PublishConfig(weights=trained, testsets=testsets, output=shelf, only=("artifacts-fast",)))
    options = {"init": str(shelf / "artifacts-fast")}
    (trained / "artifacts-fast" / "config.json").write_text(json.dumps(options))
    with pytest.raises(RestorationError, match=r"--commercial: got weights that started from artifacts-fast, which is"):
        publish(PublishConfig(weights=trained, testsets=testsets, output=shelf, only=("artifacts-fast",), **free))


def test_free_networks_that_ship_come_from_free_ones():
    for folder in Path(zoo.__file__).parent.glob("pretrained/*-free*"):
        before = json.loads((folder / "config.json").read_text())["training"].get("started_from")
        while before:
            assert "-free" in before["weights"], folder.name
            before = before.get("started_from")


def test_name_that_was_not_trained_is_told_with_those_that_were(trained, testsets, tmp_path):
    with pytest.raises(
        ValueError, match=r"--only: got superres-full-gan, expected some of artifacts-fast, superres-fast-gan"
    ):
        publish(PublishConfig(weights=trained, testsets=testsets, output=tmp_path, only=("superres-full-gan",)))


def test_clean_figure_counts_what_happens_to_the_worst_photo():
    rng = np.random.default_rng(0)
    photos = [np.clip(rng.normal(128, 30, (64, 64, 3)), 0, 255).astype(np.uint8) for _ in range(3)]
    calls = []

    def spoil_the_second(photo):
        calls.append(photo.shape)
        return photo if len(calls) != 2 else np.clip(photo.astype(int) + 10, 0, 255).astype(np.uint8)

    assert clean_psnr(spoil_the_second, photos) == pytest.approx(20 * np.log10(255 / 10), abs=0.1)
    assert calls == [(32, 32, 3)] * 3
    # Noise is no JPEG: what is not needed is not done.
    assert clean_psnr(where_needed(spoil_the_second), photos) == float("inf") and len(calls) == 3


@pytest.mark.parametrize("share", [0.5, 0.25])
def test_the_average_of_a_run_is_the_mean_of_both_ends_and_says_so(trained, testsets, tmp_path, share):
    run = trained / "artifacts-fast"
    start = tmp_path / "start.safetensors"
    torch.manual_seed(1)
    save_weights(start, build("artifacts", "fast"), "artifacts", "fast")
    options = {"net": "artifacts", "size": "fast", "init": str(start)}
    (run / "config.json").write_text(json.dumps(options))
    folder = average(AverageConfig(run=run, output=tmp_path / "mean", start_share=share))
    ends = [load_file(path)["head.weight"].float() for path in (start, run / "artifacts-fast.safetensors")]
    mean = load_file(folder / "artifacts-fast.safetensors")["head.weight"].float()
    assert torch.allclose(mean, share * ends[0] + (1 - share) * ends[1], atol=1e-3) and not torch.allclose(
        mean, ends[0], atol=1e-2
    )
    publish(PublishConfig(weights=tmp_path / "mean", testsets=testsets, output=tmp_path / "out"))
    card = (tmp_path / "out" / "artifacts-fast" / "README.md").read_text()
    assert f"weights {1 - share:.0%} its own and {share:.0%} those that it started from" in card
    assert str(tmp_path) not in card


def test_a_share_beyond_the_two_ends_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--start-share: got 1.2, expected a share from 0 to 1"):
        AverageConfig(run=tmp_path, output=tmp_path, start_share=1.2)


def test_a_run_that_started_from_nothing_has_no_mean(trained, tmp_path):
    run = trained / "artifacts-fast"
    (run / "config.json").write_text(json.dumps({"net": "artifacts", "size": "fast", "init": "None"}))
    with pytest.raises(ValueError, match=r"--run: got .*artifacts-fast, which started from no weights"):
        average(AverageConfig(run=run, output=tmp_path / "mean"))
