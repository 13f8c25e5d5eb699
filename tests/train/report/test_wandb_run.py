"""--wandb, with the real package offline: what it is shown, the same run after a resume, nothing without the option."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetWriter
from train.config import TrainConfig, TrainError
from train.loop import train
from train.options import train_command
from train.report.wandb_run import options_to_show, wandb_project

ROOT = Path(__file__).resolve().parents[3]
TINY = ["--stable-kimg", "0.064", "--fade-kimg", "0.064", "--minibatch", "8", "--fmap-base", "32", "--fmap-max", "8",
        "--latent-size", "8", "--tick-kimg", "0.032", "--device", "cpu", "--augment", "none"]  # fmt: skip


def write_dataset(path: Path) -> Path:
    with DatasetWriter(path, 8, 8) as writer:
        for value in range(8):
            writer.write({r: np.full((3, r, r), 30 * value, np.uint8) for r in (8, 4, 2, 1)})
    return path


def records(file: Path) -> Iterator:
    """The records of a .wandb file: LevelDB's log format, seven bytes of head first."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, at, whole = file.read_bytes(), 7, b""
    while at + 7 <= len(data):
        if (left := 32768 - at % 32768) < 7:
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole, at = whole + data[at + 7 : at + 7 + length], at + 7 + length
        if kind in (1, 4):  # complete, or the last part of one
            record = Record()
            record.ParseFromString(whole)
            yield record
            whole = b""


def shown(run: Path) -> list[dict]:
    """What each session of a run showed: id, project, config, rows of history."""
    sessions = []
    for file in sorted(run.glob("wandb/offline-run-*/*.wandb"), key=lambda file: file.stat().st_mtime_ns):
        session: dict = {"rows": [], "config": {}}
        for record in records(file):
            kind = record.WhichOneof("record_type")
            if kind == "run":
                session |= {"id": record.run.run_id, "project": record.run.project, "entity": record.run.entity}
                session["config"] |= {item.key: json.loads(item.value_json) for item in record.run.config.update}
            elif kind == "history":
                items = record.history.item
                session["rows"].append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in items})
        sessions.append(session)
    return sessions


@pytest.mark.slow
def test_run_is_shown_with_curves_grids_and_options_and_a_resume_goes_on_under_the_same_id(tmp_path):
    pytest.importorskip("wandb")
    dataset = write_dataset(tmp_path / "faces.h5")
    base = [sys.executable, "-m", "train", "--dataset", dataset, "--outdir", tmp_path / "runs", "--name", "a", *TINY]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")}
    environment |= {"WANDB_MODE": "offline", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    for words in (["--wandb", "team/faces", "--total-kimg", "0.064"], ["--total-kimg", "0.128"]):
        done = subprocess.run([*map(str, base), *words], env=environment, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Weights & Biases: " in done.stdout
    run = tmp_path / "runs" / "a"
    first, second = shown(run)
    assert first["id"] == second["id"] == (run / "wandb-id.txt").read_text().strip()
    assert (first["project"], first["entity"]) == ("faces", "team")
    assert first["config"]["minibatch"] == 8 and first["config"]["dataset"] == "faces.h5"
    assert str(tmp_path) not in json.dumps(first["config"])

    logged = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [(row["kimg"], row["train/d_loss"]) for s in (first, second) for row in s["rows"] if "train/d_loss" in row]
    assert len(losses) == len(logged) == 4
    assert dict(losses) == pytest.approx({row["kimg"]: row["d_loss"] for row in logged})
    images = [name for s in (first, second) for row in s["rows"] for name in row if name in ("fakes", "reals")]
    assert images.count("fakes") == len(list(run.glob("fakes-*.png"))) and images.count("reals") == 1
    assert list(run.glob("wandb/offline-run-*/files/media/images/*.png"))


def test_without_the_option_wandb_is_not_even_imported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)  # an import would fail
    numbers = {"stable_kimg": 0.064, "fade_kimg": 0.064, "minibatch": 8, "fmap_base": 32, "fmap_max": 8}
    options = {**numbers, "latent_size": 8, "total_kimg": 0.016, "image_ticks": 0, "device": "cpu"}
    dataset = write_dataset(tmp_path / "faces.h5")
    assert train(TrainConfig(dataset=dataset, outdir=tmp_path, name="a", **options)).finished
    assert not (tmp_path / "a" / "wandb").exists()


def test_without_the_package_one_line_says_what_to_install_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = TrainConfig(dataset=write_dataset(tmp_path / "faces.h5"), outdir=tmp_path, name="a", wandb="faces")
    with pytest.raises(TrainError, match=r"^--wandb: got no package wandb, expected .* 'celebahq\[wandb\]'$"):
        train(config)
    assert not (tmp_path / "a" / "config.json").exists()


def test_a_folder_named_wandb_is_not_taken_for_the_package(tmp_path, monkeypatch):
    (tmp_path / "wandb").mkdir()  # as an offline run leaves it where it was started
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "path", [str(tmp_path)])
        with pytest.raises(TrainError, match=r"^--wandb: got no package wandb"):
            wandb_project("faces")


def test_what_is_shown_names_no_folder_of_this_machine(tmp_path):
    (tmp_path / "model").mkdir()
    options = TrainConfig(dataset=tmp_path / "faces.h5", outdir=tmp_path, init=str(tmp_path / "model")).to_dict()
    shown = options_to_show(options)
    assert str(tmp_path) not in json.dumps(shown)
    assert (shown["dataset"], shown["init"]) == ("faces.h5", "model")
    assert options_to_show(options | {"init": "somebody/faces-64"})["init"] == "somebody/faces-64"


@pytest.mark.parametrize("name", ["", "/faces", "team/", "a/b/c"])
def test_project_that_cannot_be_one_is_refused(name):
    with pytest.raises(TrainError, match=r"^--wandb: got .*, expected PROJECT or ENTITY/PROJECT, or none$"):
        wandb_project(name)


def test_none_ends_it_and_a_published_command_names_no_project(tmp_path):
    assert wandb_project("none") is None and wandb_project(None) is None
    assert "wandb" not in train_command(TrainConfig(dataset=tmp_path / "faces.h5", wandb="team/faces"))
