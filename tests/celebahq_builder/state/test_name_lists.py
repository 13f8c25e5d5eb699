"""--exclude and --include: who is named leaves or stays, and nothing else changes."""

import h5py
import numpy as np
import pytest

from celebahq_builder.build import build
from celebahq_builder.config import BuildError
from celebahq_builder.report.build_report import report_path
from celebahq_builder.report.decisions import list_lines, read_list
from celebahq_builder.state.name_lists import read_name_list


@pytest.fixture(autouse=True)
def no_page(rebuilding, monkeypatch):
    """The page is not what this is about."""
    rebuilding.without_page(monkeypatch)


def test_excluded_faces_leave_and_everything_else_stays(sequence, looked_at, logged):
    sequence.set(keep=20)
    sequence.rebuild(looked_at)
    with h5py.File(sequence.config.output) as file:
        faces, sources = file["data32x32"][:], file["faces/source"].asstr()[:]
    sequence.listed("exclude", "# what I do not like", f"{sources[1]}#0", sources[0], "nobody.png#1", "", "x.png")
    assert sequence.rebuild(looked_at) == []
    with h5py.File(sequence.config.output) as file:
        np.testing.assert_array_equal(file["data32x32"][:], faces[2:])
    found = sequence.rows()[f"{sources[1]}#0"]
    assert (found["status"], found["reason"]) == ("refused", "excluded by --exclude") and found["score"] is not None
    lines = [line.getMessage() for line in logged]
    assert "--exclude: 2 of 4 names match nothing: nobody.png#1, x.png" in lines
    sequence.set(exclude=None)
    sequence.rebuild(looked_at)
    with h5py.File(sequence.config.output) as file:
        np.testing.assert_array_equal(file["data32x32"][:], faces)


def test_included_face_stays_though_beaten_or_alike_or_refused_by_a_threshold(sequence, looked_at):
    sequence.next = 13
    sequence.add()  # equal to number 3
    sequence.set(keep=2, max_invented=0.05)
    sequence.rebuild(looked_at)
    beaten, alike = sequence.name_of(status="beaten"), "b/13.png#0"
    cut = sequence.name_of(reason="cut by the edge of the photo")
    sequence.listed("include", beaten, cut, "b/03.png", alike)
    sequence.rebuild(looked_at)
    rows = sequence.rows()
    kept = {name for name, row in rows.items() if row["status"] == "kept"}
    assert kept == {beaten, cut, "b/03.png#0", alike}, "they are kept though they are more than --keep"
    assert rows[cut]["overridden"] == "cut by the edge of the photo"
    sequence.listed("include", beaten)
    assert cut.split("#")[0] in sequence.rebuild(looked_at)
    assert sequence.rows()[cut]["status"] == "refused" and sequence.rows()[beaten]["status"] == "kept"


def test_included_photo_without_a_face_stays_refused(sequence, looked_at):
    sequence.listed("include", "b/07.png")  # no image
    sequence.rebuild(looked_at)
    assert sequence.rows()["b/07.png#-1"]["status"] == "refused"


@pytest.mark.parametrize("other", ["a/00.png", "a/00.png#0"])
def test_name_in_both_lists_is_one_line(sequence, other):
    sequence.listed("include", "b/01.png", "a/00.png")
    sequence.listed("exclude", other)
    with pytest.raises(BuildError, match=r"--include: got a/00.png in .*include.txt and in .*exclude.txt, expected"):
        build(sequence.config)


def test_list_that_cannot_be_read_is_one_line(sequence, tmp_path):
    sequence.set(exclude=tmp_path / "none.txt")
    with pytest.raises(BuildError, match=r"--exclude: got .*none.txt .No such file or directory., expected a list"):
        build(sequence.config)


def test_photo_named_like_a_face_or_a_comment_can_be_named(sequence, tmp_path, png, rebuilding):
    for name in ("#1.png", "a#1"):
        rebuilding.make_photo(sequence.photos / "x.png", 50, png)
        (sequence.photos / "x.png").rename(sequence.photos / name)
    names = tmp_path / "photos.lst"
    names.write_text("photos/#1.png\nphotos/a#1\n")
    sequence.listed("exclude", "./photos/#1.png", "photos/a#1")
    sequence.set(input=names, output=tmp_path / "g.h5")
    with pytest.raises(BuildError, match="no face in the"):
        build(sequence.config)
    sequence.listed("exclude", "./photos/#1.png")
    build(sequence.config)
    assert [row["source"] for row in sequence.rows().values() if row["status"] == "kept"] == ["photos/a#1"]


def test_all_excluded_is_one_line_and_the_file_stays(sequence, looked_at):
    build(sequence.config)
    kept = [sequence.config.output, report_path(sequence.config.output)]
    before = [path.read_bytes() for path in kept]
    sequence.listed("exclude", *sequence.names())
    with pytest.raises(BuildError, match=r"no face in the .* \(.*\d+ excluded\); .* stays as it was"):
        build(sequence.config)
    assert [path.read_bytes() for path in kept] == before


def test_lists_are_the_same_whatever_their_order_and_comments(sequence, looked_at):
    sequence.listed("exclude", "a/00.png", "b/01.png#0")
    sequence.rebuild(looked_at)
    before = sequence.config.output.stat().st_mtime_ns
    sequence.listed("exclude", "# again", "b/01.png#0", "b/01.png#0", "./a/00.png")
    sequence.rebuild(looked_at)
    assert sequence.config.output.stat().st_mtime_ns == before


def test_a_name_may_hold_what_python_takes_for_the_end_of_a_line(tmp_path):
    names = ["a\u2028b.jpg", "c\x85.jpg", "d\u2029", "\u2028e", "f\x1cg", "#h", " i"]
    path = tmp_path / "list.txt"
    path.write_bytes(b"".join(list_lines([*names, "two\nlines"])) + b"dos.jpg\r\n")
    assert read_name_list("--exclude", path).photos == {*names, "dos.jpg"}
    assert read_list(path) == [*names, "dos.jpg"]
