"""Faces of a build into one file: the same bytes whether a second thread makes levels ahead or not, and its errors."""

import hashlib

import numpy as np
import pytest

from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.hdf5 import DatasetWriter
from celebahq_builder.state import write_shard
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.manifest import Row
from celebahq_builder.state.waiting_faces import encode_face

POINTS = {"landmarks": ((1, 1),) * 5, "quad": ((0, 0),) * 4, "scale": 1.0, "score": 0.5, "breadth": 0.5}


@pytest.fixture
def waiting(tmp_path):
    """A build's options, and its folder with ten faces that wait in it."""
    (tmp_path / "photos").mkdir()
    config, rows = BuildConfig(input=tmp_path / "photos", output=tmp_path / "f.h5", resolution=16), []
    with BuildFolder(config.build_folder) as folder:
        for i in range(10):
            face = encode_face(np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8), False)
            facts = {"source_bytes": 1, "source_mtime_ns": 1, "status": "aligned", "isotropy": 0.5, **POINTS}
            rows.append(Row(source=f"{i}.jpg", face_sha256=hashlib.sha256(face).hexdigest(), **facts))
            folder.write_face(rows[-1], face)
        yield config, folder, rows


def write(waiting, path, **options):
    config, folder, rows = waiting
    write_shard.write_faces(path, folder, config, rows, None, DatasetWriter, **options)
    return path.read_bytes()


def test_levels_made_ahead_give_the_same_file(waiting, tmp_path):
    assert write(waiting, tmp_path / "a.h5") == write(waiting, tmp_path / "b.h5", ahead=True)


def test_no_more_than_a_few_levels_are_made_ahead():
    made = []
    for number in write_shard._ahead(lambda n: made.append(n) or n, range(50)):
        assert made[: number + 1] == list(range(number + 1)) and len(made) <= number + 2 + write_shard._AHEAD
    assert made == list(range(50))


@pytest.mark.parametrize("ahead", [False, True])
def test_a_damaged_face_is_told_where_its_turn_comes_and_leaves_no_file(waiting, tmp_path, ahead):
    folder, rows = waiting[1:]
    damaged = folder.face_path(rows[7], ".npy")
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BuildError, match="other bytes than were written"):
        write(waiting, tmp_path / "a.h5", ahead=ahead)
    assert not list(tmp_path.glob("a.h5*")) and not damaged.exists()
