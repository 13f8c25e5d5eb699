"""--shards and names: what cannot be the name of a set is said before any work; a shard is nobody's output."""

import os
from dataclasses import replace

import numpy as np
import pytest

from celebahq_builder import build as module
from celebahq_builder.build import build
from celebahq_builder.config import BuildError


@pytest.fixture(autouse=True)
def no_page(monkeypatch):
    monkeypatch.setattr(
        module, "_write_report", lambda config, rows, choice, *kept: config.output.with_name("report.html")
    )


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_shard_is_not_overwritten_by_a_build(sequence):
    sequence.set(shards=2)
    build(sequence.config)
    before = files(sequence.folder)
    with pytest.raises(BuildError, match=r"--output: got .*, a shard of a dataset, expected the dataset that joins it"):
        build(replace(sequence.config, output=sequence.folder / "f-00000-of-00002.h5", shards=None))
    assert files(sequence.folder) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [(os.fsdecode(b"z\xff.h5"), r"expected a name in UTF-8"), ("n" * 236 + ".h5", "got a name of 239 characters")],
)
def test_names_that_no_shard_can_have_are_refused_before_any_work(sequence, looked_at, name, words):
    sequence.set(output=sequence.folder / name, shards=2)
    with pytest.raises(BuildError, match=words):
        build(sequence.config)
    assert looked_at == []


def test_remedies_for_sets_that_are_not_whole(sequence, refusal, capsys):
    sequence.set(shards=2)
    build(sequence.config)
    output = sequence.config.output
    hidden = output.with_name("f-00001-of-00002.h5").rename(sequence.folder / "away.h5")
    with pytest.raises(BuildError, match=r"put it there again; or move f.h5 and its shards, f-NNNNN-of-NNNNN.h5, away"):
        build(replace(sequence.config, keep=3))
    hidden.rename(output.with_name("f-00001-of-00002.h5"))
    other = output.rename(sequence.folder / "t.h5")
    assert "a dataset in shards keeps its name: rename it back" in refusal(capsys, "info", other)


def test_what_is_made_of_a_shard_is_no_shard(sequence, run, capsys):
    photos = sequence.config.input
    names = sorted(path.relative_to(photos).as_posix() for path in photos.rglob("*.png"))
    table = sequence.folder / "labels.csv"
    table.write_text("\n".join(["name,smiling", *(f"{name},{i % 2}" for i, name in enumerate(names))]))
    sequence.set(shards=2, labels=table)
    build(sequence.config)
    made = sequence.folder / "g.h5"
    assert run("select", sequence.folder / "f-00001-of-00002.h5", "--output", made, "--top", "2") == 0
    assert run("verify", made) == 0
    sidecar = sequence.folder / "g-labels.npy"
    np.save(sidecar, np.load(sidecar) + 9)
    capsys.readouterr()
    assert run("verify", made) != 0
    assert "not equal to the labels" in capsys.readouterr().out
