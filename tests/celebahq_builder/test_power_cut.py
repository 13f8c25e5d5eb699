"""Manifest, dataset and labels are on the disk before they take their names: a power cut leaves old or new."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from celebahq_builder.state.manifest import write_manifest


@pytest.fixture
def steps(monkeypatch):
    """What reaches the disk, in order: "sync" of a file's bytes or of a folder's names, "name" given to a file."""
    found, replace, fsync = [], Path.replace, os.fsync

    def note_sync(descriptor):
        found.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        fsync(descriptor)

    def note_replace(self, target):
        found.append("name")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(Path, "replace", note_replace)
    return found


def test_manifest_survives_a_power_cut_when_it_is_written_anew(tmp_path, steps):
    write_manifest(tmp_path / "manifest.jsonl", {"resolution": 64}, [])
    assert steps == ["sync file", "name", "sync folder"]


def test_dataset_survives_a_power_cut_once_it_has_its_name(tmp_path, steps, random_faces, write):
    write(tmp_path / "f.h5", random_faces(1, 4))
    assert steps == ["sync file", "name", "sync folder"]


def test_labels_of_a_dataset_are_on_the_disk_before_the_dataset_takes_its_name(tmp_path, steps, random_faces, write):
    write(tmp_path / "f.h5", random_faces(1, 4), labels=np.ones((1, 1)))
    assert steps == ["sync file", *["sync file", "name", "sync folder"], "name", "sync folder"]
