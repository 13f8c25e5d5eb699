"""select and merge of files that other versions or programs wrote: what is not known is told, and goes along."""

import h5py

from celebahq_builder.hdf5 import DatasetWriter, FaceRecord
from celebahq_builder.marks import MARKS_VERSION, UNMEASURED
from celebahq_builder.pyramid import pyramid


def make(path, picture):
    """A dataset of two faces."""
    with DatasetWriter(path, 16, 2) as writer:
        for seed in (1, 2):
            hashes = {"source_sha256": f"{seed:064x}", "pixel_sha256": f"{seed:064x}"}
            writer.write(pyramid(picture(seed)), FaceRecord(source=f"{seed}.jpg", score=1 - seed / 100, **hashes))


def test_marks_that_nobody_knows_are_told_where_a_condition_asks_for_them(tmp_path, picture, run, capsys):
    old, new = tmp_path / "old.h5", tmp_path / "new.h5"
    for path, version in ((old, None), (new, MARKS_VERSION)):
        make(path, picture)
        with h5py.File(path, "r+") as file:
            marks = file["faces"].create_dataset("marks", (2,), h5py.string_dtype())
            marks[:] = ["gray", UNMEASURED if version else ""]
            if version:
                file.attrs["marks_version"] = version
    for path, number in ((old, 2), (new, 1)):
        condition = 'not (marks has "gray")'
        assert run("select", path, "--output", path.with_suffix(".out.h5"), "--where", condition) == 0
        assert f"marks of {number} of 2 faces are not known" in capsys.readouterr().err


def test_an_attribute_that_is_no_utf8_goes_along_spelled_out(tmp_path, picture, run):
    make(tmp_path / "f.h5", picture)
    kind = h5py.string_dtype()
    with h5py.File(tmp_path / "f.h5", "r+") as file:
        file.attrs.create("note", b"caf\xe9", dtype=kind)
    assert run("select", tmp_path / "f.h5", "--output", tmp_path / "g.h5", "--top", "1") == 0
    assert run("merge", tmp_path / "f.h5", tmp_path / "g.h5", "--output", tmp_path / "h.h5") == 0
    with h5py.File(tmp_path / "h.h5") as file:
        assert file.attrs["note"] == r"caf\xe9"
