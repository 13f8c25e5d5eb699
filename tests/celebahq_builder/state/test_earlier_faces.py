"""Faces of the file that is extended: known by their rows, of which each fact counts."""

from dataclasses import replace

import numpy as np
import pytest

from celebahq_builder.hdf5 import DatasetWriter
from celebahq_builder.state.earlier_faces import EarlierFaces
from celebahq_builder.state.manifest import Row

ROW = Row(
    source="é.jpg", source_bytes=1, source_mtime_ns=2, status="aligned", source_sha256="a", pixel_sha256="b",
    landmarks=((1.0, 2.0),) * 5, quad=((0.0, 1.0),) * 4, score=0.5, perceptual_hash="c",
)  # fmt: skip


@pytest.fixture
def earlier(tmp_path):
    with DatasetWriter(tmp_path / "f.h5", 4, 2) as writer:
        for value in (3, 5):
            writer.write({r: np.full((3, r, r), value, np.uint8) for r in (4, 2, 1)})
    found = EarlierFaces(tmp_path / "f.h5", [(replace(ROW, source="other"), 0), (ROW, 1)])
    yield found
    found.close()


def test_face_of_a_row_is_read_from_its_place(earlier):
    assert earlier.has(ROW) and (earlier.read(ROW) == 5).all()
    some = earlier.only([ROW, replace(ROW, source="nobody")])
    assert some.has(ROW) and not some.has(replace(ROW, source="other"))


@pytest.mark.parametrize(
    "change",
    [
        {"source": "e.jpg"},
        {"face_index": 1},
        {"source_sha256": "A"},
        {"source_sha256": "a\0b", "pixel_sha256": ""},
        {"pixel_sha256": ""},
        {"landmarks": ((1.0, 2.0),) * 4 + ((1.0, 2.0000001),)},
        {"landmarks": None},
        {"quad": None},
        {"quad": ((0.0, 1.0),) * 3 + ((0.0, 1.5),)},
        {"score": None},
        {"score": np.nextafter(0.5, 1)},
        {"perceptual_hash": "d"},
    ],
    ids=str,
)
def test_row_of_which_a_fact_differs_is_another_face(earlier, change):
    assert not earlier.has(replace(ROW, **change))


def test_facts_that_do_not_make_the_face_and_zeros_of_either_sign_do_not_count(earlier):
    assert earlier.has(replace(ROW, source_mtime_ns=9, marks="dark", outcome="row 3"))
    assert earlier.has(replace(ROW, quad=((-0.0, 1),) * 4, landmarks=((1, 2),) * 5))
