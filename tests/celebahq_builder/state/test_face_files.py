"""Files of faces that tasks wrote: the same bytes whoever writes them, held while a face is, swept, moved together."""

import hashlib
import zipfile
from types import SimpleNamespace

import pytest

from celebahq_builder.cluster.face_delivery import FaceFolder, deliver, drop_hopeless, share_folder
from celebahq_builder.config import BuildError
from celebahq_builder.state import face_files
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.face_files import PROBE, SUFFIX, FaceFiles, read_face_at, write_face_file
from celebahq_builder.state.manifest import Row


def face(text: str) -> bytes:
    return f"RIFF {text}".encode() * 50


def row(name: str, score: float = 0.5, index: int = 0) -> Row:
    digest = hashlib.sha256(face(name)).hexdigest()
    facts = {"source": name, "source_bytes": 1, "source_mtime_ns": 1, "status": "aligned", "face_index": index}
    return Row(**facts, score=score, face_sha256=digest)


def write(folder, *names):
    return write_face_file(folder, map(face, names), names)


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def hold(files, *held):
    for row, place in held:
        files.arrived(place.file)
        files.add(row, place)


def test_file_is_a_zip_named_by_its_bytes_and_its_photos_and_each_face_lies_where_it_is_said(tmp_path):
    a, b, again = write(tmp_path, "a", "b", "a")
    assert [read_face_at(tmp_path, place) for place in (a, b)] == [face("a"), face("b")] and again == a
    digest = hashlib.sha256((tmp_path / a.file).read_bytes()).hexdigest()
    assert a.file == digest[:32] + SUFFIX and files(tmp_path) == [a.file]
    with zipfile.ZipFile(tmp_path / a.file) as archive:
        assert archive.namelist() == [f"{hashlib.sha256(face(name)).hexdigest()}.webp" for name in "ab"]
        assert archive.testzip() is None
    assert write(tmp_path, "a", "b", "a") == [a, b, a], "written again, the same"
    (of_another_photo,) = write_face_file(tmp_path, [face("a")], ["copy of a"])
    assert of_another_photo.file != write(tmp_path, "a")[0].file


def test_file_stays_while_one_of_its_faces_is_held_and_its_results_may_still_arrive(tmp_path):
    held = FaceFiles(tmp_path)
    (a, b), (c,), (d,) = write(tmp_path, "a", "b"), write(tmp_path, "c"), write(tmp_path, "d")
    hold(held, (row("a"), a))
    held.remove(row("a"))
    assert (tmp_path / a.file).exists(), "the row of b is still to come"
    hold(held, (row("b"), b))
    held.arrived(c.file)  # none of its faces is taken
    held.arrived(d.file)
    assert files(tmp_path) == sorted([a.file, d.file])
    held.remove(row("b"))
    assert files(tmp_path) == [d.file]


def test_what_a_killed_build_left_is_found_by_its_rows_and_the_rest_is_swept(tmp_path):
    (a, _), (c,), (lost,) = write(tmp_path, "a", "b"), write(tmp_path, "c"), write(tmp_path, "lost")
    (tmp_path / f"damaged{SUFFIX}").write_bytes(b"PK")
    held = FaceFiles(tmp_path)
    held.keep_only([row("a"), row("c"), row("never written")])
    assert files(tmp_path) == sorted([a.file, c.file]) and lost.file not in files(tmp_path)
    assert held.place(row("a")) == a and held.place(row("never written")) is None
    held.keep_only([row("c")])
    assert files(tmp_path) == [c.file]
    (tmp_path / c.file).unlink()
    held.keep_only([row("c")])
    assert held.place(row("c")) is None, "somebody removed it: it is made again"


def test_file_that_another_machine_wrote_just_now_is_waited_for(tmp_path, monkeypatch):
    (a,) = write(tmp_path, "a")
    (tmp_path / a.file).rename(tmp_path / "not seen yet")
    monkeypatch.setattr(face_files.time, "sleep", lambda seconds: (tmp_path / "not seen yet").rename(tmp_path / a.file))
    FaceFiles(tmp_path).arrived(a.file)
    monkeypatch.setattr(face_files, "_PATIENCE", 0.0)
    with pytest.raises(FileNotFoundError, match="no such thing"):
        FaceFiles(tmp_path).arrived("no such thing")


def test_files_take_a_bounded_multiple_of_the_faces_they_are_kept_for(tmp_path, monkeypatch):
    monkeypatch.setattr(face_files, "_SLACK", 0)
    monkeypatch.setattr(face_files, "_MOST", 2)
    held, kept, most = FaceFiles(tmp_path), {}, 0.0
    for task in range(12):
        names = [f"{task}-{i}" for i in range(8)]
        places = write(tmp_path, *names)
        held.arrived(places[0].file)
        hold(held, *((row(name), place) for name, place in zip(names, places, strict=True)))
        for name in names[1:]:  # seven of eight are beaten later
            held.remove(row(name))
        kept[names[0]] = row(names[0])
        total = sum(path.stat().st_size for path in tmp_path.iterdir()) - (tmp_path / places[0].file).stat().st_size
        most = max(most, total / (len(kept) * len(face("0-0"))))
    held.arrived(write(tmp_path, "last")[0].file)
    there = [path.stat().st_size for path in tmp_path.iterdir()]
    assert (held._bytes, held._bytes_held) == (sum(there), sum(held.place(its).size for its in kept.values()))
    assert most < 4, "a file with one of eight is eight times as large"
    for name, its in kept.items():
        assert read_face_at(tmp_path, held.place(its)) == face(name)


def test_faces_of_a_task_go_into_one_file_or_stay_where_the_folder_is_another_one(tmp_path):
    folder = share_folder(tmp_path)

    def results():
        return [SimpleNamespace(faces={0: face("a"), 2: face("b")}), SimpleNamespace(faces={}), "a Failure"]

    made = results()
    assert deliver(["1", "2", "3"], made, folder) == ""
    assert {index: read_face_at(tmp_path, place) for index, place in made[0].faces.items()} == results()[0].faces
    assert files(tmp_path) == sorted([made[0].faces[0].file, PROBE]), "one file, and no trial is left"
    for other, why in (
        (FaceFolder(tmp_path, "0"), "a folder of its own lies there"),
        (FaceFolder(tmp_path / "none", "0"), "No such file or directory"),
    ):
        made = results()
        assert deliver(["1", "2", "3"], made, other) == why and made == results()


def test_faces_that_cannot_be_chosen_any_more_are_not_written_but_for_included_and_listed_ones():
    def left(included=frozenset(), place=None):
        rows = [row("a", 0.2, 0), row("a", 0.5, 1), row("a", 0.4, 2)]
        rows = [Row(**{name: getattr(r, name) for name in Row.__slots__} | {"place": place}) for r in rows]
        result = SimpleNamespace(rows=rows, faces=dict.fromkeys(range(3), b""))
        drop_hopeless(SimpleNamespace(included=included), result, 0.5)
        return list(result.faces)

    assert left() == [1] and left(frozenset({2})) == [1, 2] and left(None) == left(place=7) == [0, 1, 2]


def test_damaged_face_is_told_and_its_file_removed(tmp_path):
    with BuildFolder(tmp_path / "f.h5.build") as folder:
        (a,) = write(folder.faces, "a")
        folder.arrived([a])
        folder.add_face(row("a"), a)
        data = bytearray((folder.faces / a.file).read_bytes())
        data[a.offset] ^= 1
        (folder.faces / a.file).write_bytes(data)
        with pytest.raises(BuildError, match=f"{a.file}: got other bytes than were written"):
            folder.read_face(row("a"))
        assert not folder.has_face(row("a")) and files(folder.faces) == []
        folder.remove()
    assert not folder.path.exists()
