"""Going on from a manifest: rows are as they were, but for what became of them, and none is kept as an object."""

import hashlib
import os
import tracemalloc
from dataclasses import replace

import pytest

from celebahq_builder.config import BuildConfig
from celebahq_builder.marks import MARKS_VERSION
from celebahq_builder.quality import SCORE_VERSION
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.failure import FAULT
from celebahq_builder.state.manifest import Row, read_manifest, write_manifest
from celebahq_builder.state.name_lists import NameLists
from celebahq_builder.state.output_file import Found
from celebahq_builder.state.resume import load_completed_rows

POINTS = tuple((0.1 + k, 1.1) for k in range(5))


@pytest.fixture
def begun(tmp_path):
    """A manifest of eight hundred photos, each with what became of it; of every tenth the time has moved."""
    photos = tmp_path / "photos"
    photos.mkdir()
    config = BuildConfig(input=photos, output=tmp_path / "f.h5", resolution=16)
    rows = []
    for i in range(800):
        path = photos / f"{i:05}.jpg"
        path.write_bytes(b"x")
        time = path.stat().st_mtime_ns
        if i % 10 == 0:
            os.utime(path, ns=(time, time + 5))
        sha = hashlib.sha256(b"x").hexdigest()
        row = Row(
            source=path.name, source_bytes=1, source_mtime_ns=time, status="aligned", landmarks=POINTS, num_judged=0,
            quad=POINTS[:4], score=i / 7, source_sha256=sha, pixel_sha256=f"{i:064x}", face_sha256=f"{i:064x}",
            outcome=f"row {i}",
        )  # fmt: skip
        rows.append(replace(row, status="refused", reason=FAULT, outcome="") if i == 7 else row)
    header = {"score_version": SCORE_VERSION, "marks_version": MARKS_VERSION, **config.thresholds()}
    with BuildFolder(config.build_folder) as folder:
        write_manifest(folder.manifest, header, rows)
        yield config, folder, header, rows


def test_rows_with_outcomes_and_moved_times_are_taken_over_and_none_is_held_as_an_object(begun, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("celebahq_builder.state.read_journal.FEW_BYTES", 0)
    monkeypatch.setattr("celebahq_builder.state.read_journal.BLOCK_BYTES", 50_000)
    config, folder, header, rows = begun
    names = [row.source for row in rows]
    peaks = []
    for count in (800, 400, 800):  # the first one loads modules
        write_manifest(folder.manifest, header, rows[:count])
        tracemalloc.start()
        found = load_completed_rows(folder, header, names, config, NameLists(), Found())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    wanted = [
        replace(row, outcome="", source_mtime_ns=(config.input / row.source).stat().st_mtime_ns)
        for row in rows
        if row.reason != FAULT
    ]
    assert found == wanted and read_manifest(folder.manifest) == (header, wanted)
    assert peaks[2] - peaks[1] < 400 * 2900, peaks  # packed rows are in memory while they are few
