"""A miniature of the official set, made anew for every test, and the command on it."""

import csv
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from celebahq_builder.official import face
from celebahq_builder.released import libjpeg8d


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """The module official_set.py, which makes photos, lists and deltas in the published format."""
    pytest.importorskip("cryptography")
    spec = importlib.util.spec_from_file_location("official_set", Path(__file__).with_name("official_set.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def quick_crop(photo: np.ndarray, landmarks: np.ndarray, resolution: int = 1024, geometry: str = "released"):
    """Stands for the crop, which takes a second and has tests of its own; depends on pixels and landmarks."""
    moved = np.roll(photo, int(landmarks.sum()) % 7, axis=1)
    return moved.repeat(11, axis=0).repeat(11, axis=1)[:1024, :1024].copy()


@pytest.fixture
def celeba(tmp_path, monkeypatch, made):
    monkeypatch.setattr(face, "align_face", quick_crop)
    return made.OfficialSet(tmp_path, lambda data, points: quick_crop(libjpeg8d.decode_libjpeg8d(data), points))


@pytest.fixture
def make(celeba, run, tmp_path, capsys):
    def call(*options, output="hq.h5") -> tuple[int, str, dict[int, dict]]:
        capsys.readouterr()
        args = ("--celeba", celeba.celeba, "--deltas", celeba.deltas, "--output", tmp_path / output, "--workers", 0)
        code = run("official", *args, *options)
        captured = capsys.readouterr()
        table = tmp_path / f"{output}.rows.csv"
        rows = {}
        if table.exists():
            with table.open(newline="") as file:
                rows = {int(row["idx"]): row for row in csv.DictReader(file)}
        return code, captured.out + captured.err, rows

    return call
