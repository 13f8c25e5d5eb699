"""No photo ends a build: a fault, a death or a limit is a row, the build says so, the same command tries it again."""

import json
import logging

import h5py
import pytest

from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig, BuildError, BuildIncompleteError
from celebahq_builder.executors import run_here
from celebahq_builder.process_photo import Result
from celebahq_builder.report import build_report as report
from celebahq_builder.sources.input_photos import file_stamp
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.failure import Failure, took_too_long
from celebahq_builder.state.manifest import ManifestWriter, Row, read_manifest

NAMES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg")  # of made_photos


def options(photos, output, **more):
    return BuildConfig(**{"input": photos, "output": output, "resolution": 16, "workers": 0, "restore": "off"} | more)


def incomplete(config):
    with pytest.raises(BuildIncompleteError) as caught:
        build(config)
    assert caught.value.exit_code == 1 and "\n" not in str(caught.value)
    return str(caught.value)


def sources(output):
    with h5py.File(output) as file:
        return sorted(file["faces/source"].asstr()[:])


def rows_of(output):
    return {row.source: row for row in read_manifest(output.with_name(output.name + ".build") / "manifest.jsonl")[1]}


def test_fault_in_a_stage_is_a_row_with_its_traceback_and_the_build_goes_on(made_photos, tmp_path, trouble):
    output = tmp_path / "f.h5"
    trouble["b.jpg"] = AssertionError("no such tag")
    assert incomplete(options(made_photos, output)) == (
        f"1 of 4 photos failed (1 fault in this program): read why in {output}.build/manifest.jsonl; "
        "the same command tries just these again"
    )
    assert sources(output) == ["a.jpg", "c.jpg", "d.jpg"]
    row = rows_of(output)["b.jpg"]
    assert (row.reason, row.detail) == ("fault in this program", "AssertionError: no such tag")
    assert "raise problem" in row.traceback
    assert "b.jpg: AssertionError: no such tag" in (tmp_path / "report.html").read_text().replace("<wbr>", "")


@pytest.mark.parametrize(
    "problem",
    [AssertionError("x"), Failure("worker died", "its process was ended by SIGKILL, twice"), took_too_long(300)],
    ids=["fault", "death", "time"],
)
def test_same_command_tries_just_what_failed_and_the_file_ends_as_if_nothing_had(
    made_photos, tmp_path, trouble, problem
):
    output = tmp_path / "f.h5"
    trouble["b.jpg"] = trouble["c.jpg"] = problem
    incomplete(options(made_photos, output))
    before = output.read_bytes()

    del trouble["worked on"][:]
    incomplete(options(made_photos, output))
    assert trouble["worked on"] == ["b.jpg", "c.jpg"]
    assert output.read_bytes() == before, "nothing new, and yet the file was written again"

    del trouble["b.jpg"], trouble["worked on"][:]
    incomplete(options(made_photos, output))
    assert sources(output) == ["a.jpg", "b.jpg", "d.jpg"]
    del trouble["c.jpg"]
    build(options(made_photos, output))
    assert trouble["worked on"] == ["b.jpg", "c.jpg", "c.jpg"]
    assert not (tmp_path / "f.h5.build").exists()

    build(options(made_photos, tmp_path / "never failed.h5"))
    with h5py.File(output) as one, h5py.File(tmp_path / "never failed.h5") as other:
        assert one["data16x16"][:].tobytes() == other["data16x16"][:].tobytes()
        assert dict(one.attrs) == dict(other.attrs)


def test_retry_killed_before_the_file_was_written_again_is_gone_on_with(made_photos, tmp_path, trouble, monkeypatch):
    from celebahq_builder import build as module

    output = tmp_path / "f.h5"
    trouble["b.jpg"] = AssertionError("x")
    incomplete(options(made_photos, output))
    del trouble["b.jpg"]
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_output", lambda *args, **more: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            build(options(made_photos, output))
    assert sources(output) == ["a.jpg", "c.jpg", "d.jpg"]
    del trouble["worked on"][:]
    build(options(made_photos, output))
    assert sources(output) == list(NAMES) and trouble["worked on"] == []


def test_finished_file_is_left_alone_when_only_its_build_folder_was_still_there(made_photos, tmp_path, trouble):
    output = tmp_path / "f.h5"
    build(options(made_photos, output, keep_build_folder=True))
    before = output.stat().st_mtime_ns
    del trouble["worked on"][:]
    build(options(made_photos, output))
    assert trouble["worked on"] == [] and output.stat().st_mtime_ns == before
    assert not (tmp_path / "f.h5.build").exists()


def test_unfinished_build_of_an_earlier_version_goes_on_and_makes_its_faces_again(made_photos, tmp_path, trouble):
    output, fresh = tmp_path / "f.h5", tmp_path / "fresh.h5"
    build(options(made_photos, fresh))
    build(options(made_photos, output, keep_build_folder=True))
    output.unlink()
    manifest = tmp_path / "f.h5.build" / "manifest.jsonl"
    header, *rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    for name in ("max_padding", "max_invented"):  # options and numbers that came later
        del header[name]
    rows = [row | {"padding": None, "invented": None} for row in rows]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in (header, *rows)))
    del trouble["worked on"][:]
    build(options(made_photos, output))
    assert sorted(trouble["worked on"]) == list(NAMES)
    assert sources(output) == sources(fresh)


def test_finished_file_of_an_earlier_version_is_left_alone_until_a_later_option_is_given(
    made_photos, tmp_path, trouble
):
    output = tmp_path / "f.h5"
    build(options(made_photos, output))
    with h5py.File(output, "r+") as file:
        recipe = json.loads(file.attrs["config"])
        del recipe["max_padding"], recipe["max_invented"]
        file.attrs["config"] = json.dumps(recipe)
    before = output.read_bytes()
    del trouble["worked on"][:]
    build(options(made_photos, output))
    assert trouble["worked on"] == [] and output.read_bytes() == before
    build(options(made_photos, output, max_padding=0.5))
    assert sorted(trouble["worked on"]) == list(NAMES), "how much padding their faces have is not known"


def test_photo_that_fails_when_it_is_aligned_again_makes_room_for_another(made_photos, tmp_path, trouble):
    output = tmp_path / "f.h5"
    build(options(made_photos, output, keep=1, keep_build_folder=True))
    best = sources(output)
    output.unlink()
    trouble[next(name for name in NAMES if name not in best)] = AssertionError("x")
    incomplete(options(made_photos, output, keep=4))
    assert len(sources(output)) == 3 and set(best) <= set(sources(output))


def test_all_photos_failed_is_exit_code_1_and_their_rows_are_kept(made_photos, tmp_path, trouble):
    trouble |= dict.fromkeys(NAMES, KeyError("x"))
    message = incomplete(options(made_photos, tmp_path / "f.h5"))
    assert message.startswith(f"--input: no face in the 4 photos of {made_photos} (4 fault in this program)")
    assert len(rows_of(tmp_path / "f.h5")) == 4 and not (tmp_path / "f.h5").exists()


def test_time_and_memory_of_a_photo_are_limited_as_the_options_say_in_the_report_too(
    made_photos, tmp_path, trouble, monkeypatch
):
    from celebahq_builder import process_photos as process_photos
    from celebahq_builder.report import photos as report_photos

    found = []

    def run(function, items, workers, limits, *more, **named):
        found.append((limits.seconds, limits.memory_gib))
        return run_here(function, items)

    for module in (process_photos, report_photos):
        monkeypatch.setattr(module, "run", run)
    build(options(made_photos, tmp_path / "f.h5", photo_seconds=7.0, photo_gib=2.0))
    assert found == [(7.0, 2.0), (7.0, 2.0)]


def test_fault_in_the_report_does_not_cost_the_faces(made_photos, tmp_path, trouble, monkeypatch, logged):
    monkeypatch.setattr(report, "_numbers", lambda *args: 1 // 0)
    build(options(made_photos, tmp_path / "f.h5"))
    assert sources(tmp_path / "f.h5") == list(NAMES)
    text = (tmp_path / "report.html").read_text()
    assert "ZeroDivisionError" in text and "fault in this program" in text
    assert any("fault in this program" in line.getMessage() for line in logged if line.levelname == "WARNING")


def test_report_decodes_no_photo_that_was_never_decoded(made_photos, tmp_path, trouble, monkeypatch):
    from celebahq_builder.report import photos as report_photos

    shown = []

    def remember(function, items, *more, **named):
        items = list(items)
        shown.extend(task.name for task in items)
        return run_here(function, items)

    monkeypatch.setattr(report_photos, "run", remember)
    (made_photos / "huge.jpg").write_bytes(b"\xff\xd8\xff")
    huge = file_stamp(made_photos, "huge.jpg")
    stamp = {"source_bytes": huge.num_bytes, "source_mtime_ns": huge.mtime_ns}
    row = Row(source="huge.jpg", status="refused", reason="too many pixels", **stamp)
    trouble["huge.jpg"] = Result([row])
    trouble["a.jpg"] = took_too_long(300)
    incomplete(options(made_photos, tmp_path / "f.h5"))
    assert sorted(shown) == ["b.jpg", "c.jpg", "d.jpg"]


def test_image_that_cannot_be_made_is_left_out_of_the_report_and_told(
    made_photos, tmp_path, trouble, monkeypatch, logged
):
    from celebahq_builder.report import photos as report_photos

    def make_images(task):
        raise KeyError(task.name)

    monkeypatch.setattr(report_photos, "make_images", make_images)
    build(options(made_photos, tmp_path / "f.h5"))
    line = "report.html: no image of a.jpg: fault in this program, KeyError: 'a.jpg'"
    assert line in [record.getMessage() for record in logged if record.levelname == "WARNING"]
    assert "a.jpg" in (tmp_path / "report.html").read_text()


def test_face_that_a_power_cut_spoiled_is_made_anew_and_never_read(made_photos, tmp_path, trouble):
    output = tmp_path / "f.h5"
    build(options(made_photos, output, keep_build_folder=True))
    output.rename(tmp_path / "right.h5")
    spoiled = sorted((tmp_path / "f.h5.build" / "faces").iterdir())[1]
    data = spoiled.read_bytes()
    spoiled.write_bytes(data[:200] + bytes(50) + data[250:])
    with pytest.raises(BuildError, match="got other bytes than were written"):
        build(options(made_photos, output))
    assert not output.exists()
    build(options(made_photos, output))
    with h5py.File(output) as one, h5py.File(tmp_path / "right.h5") as right:
        assert one["data16x16"][:].tobytes() == right["data16x16"][:].tobytes()


def test_row_is_written_after_its_face(made_photos, tmp_path, trouble, monkeypatch):
    """A kill between the two must not leave a row whose face is nowhere."""
    append, checked = ManifestWriter.append, []
    folder = BuildFolder(tmp_path / "f.h5.build")

    def see_the_face_first(self, rows):
        checked.extend(folder.has_face(row) for row in rows)
        append(self, rows)

    monkeypatch.setattr(ManifestWriter, "append", see_the_face_first)
    build(options(made_photos, tmp_path / "f.h5"))
    assert checked == [True] * len(NAMES)


def test_manifest_keeps_the_rows_of_older_builds_readable(made_photos, tmp_path, trouble):
    build(options(made_photos, tmp_path / "f.h5", keep_build_folder=True))
    path = tmp_path / "f.h5.build" / "manifest.jsonl"
    header, *lines = map(json.loads, path.read_text().splitlines())
    for line in lines:
        del line["traceback"]
    path.write_text("".join(json.dumps(line) + "\n" for line in [header, *lines]))
    assert [row.traceback for row in read_manifest(path)[1]] == [""] * len(NAMES)


def test_build_prints_nothing_and_returns_what_it_made(made_photos, tmp_path, trouble, capsys, monkeypatch):
    # As in a process in which no other test ran a command.
    monkeypatch.setattr("celebahq.progress._shown", False)
    monkeypatch.setattr(logging.getLogger("celebahq"), "handlers", [])
    trouble["b.jpg"] = Failure("fault in this program", "it broke", "Traceback ...")
    with pytest.raises(BuildIncompleteError) as caught:
        build(options(made_photos, tmp_path / "f.h5"))
    result = caught.value.result
    assert (result.num_photos, result.num_faces, result.refused) == (4, 3, {"fault in this program": 1})
    assert [row.source for row in result.faults] == ["b.jpg"]
    trouble.clear()
    result = build(options(made_photos, tmp_path / "f.h5"))
    assert (result.num_photos, result.num_faces, result.refused, result.faults) == (4, 4, {}, ())
    assert result.output.is_file() and result.report.is_file()
    assert capsys.readouterr() == ("", "")
