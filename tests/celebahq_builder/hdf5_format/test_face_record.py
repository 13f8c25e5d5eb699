"""Provenance as columns: the same whatever number of rows come, and whatever number are converted at a time."""

import numpy as np
import pytest

from celebahq_builder.hdf5_format import face_record
from celebahq_builder.hdf5_format.face_record import FaceRecord, face_columns


def records(count):
    points = np.arange(count * 10, dtype=np.float32).reshape(count, 5, 2)
    return [
        FaceRecord(f"é\udcff{i}.jpg", f"{i:064x}", f"{i:064x}", i, landmarks=points[i], quad=points[i, :4], score=i / 7)
        for i in range(count)
    ]


@pytest.mark.parametrize("count", [1, 3, 4, 5, 8])
def test_columns_hold_every_row_also_where_the_last_part_is_full(count, monkeypatch):
    monkeypatch.setattr(face_record, "_RECORDS_AT_ONCE", 4)
    columns = face_columns(records(count), count)
    assert columns["source"].tolist() == [b"\xc3\xa9\xff%d.jpg" % i for i in range(count)]
    assert columns["face_index"].tolist() == list(range(count))
    np.testing.assert_array_equal(columns["landmarks"].reshape(-1), np.arange(count * 10))
    np.testing.assert_array_equal(columns["quad"], columns["landmarks"][:, :4])
    assert columns["score"].tolist() == [i / 7 for i in range(count)]
    assert "marks" not in columns and "idx" not in columns


def test_what_only_some_rows_know_is_refused_also_in_another_part(monkeypatch):
    monkeypatch.setattr(face_record, "_RECORDS_AT_ONCE", 4)
    for odd in (0, 5, 7):
        some = records(8)
        some[odd] = FaceRecord(
            **{name: getattr(some[odd], name) for name in ("source", "source_sha256", "pixel_sha256")}
        )
        with pytest.raises(ValueError, match=r"^faces/landmarks: got unknown in 1 of 8 rows, expected in all or none$"):
            face_columns(some, 8)
