"""A build that is killed between its file and its page: the same command leaves what an undisturbed build leaves."""

import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest

from celebahq_builder import build as module
from celebahq_builder.build import build
from celebahq_builder.report import build_report, photos
from celebahq_builder.state.build_folder import BuildFolder
from celebahq_builder.state.name_lists import EXCLUDED, MARKED

LAST_STEPS = (
    *((build_report, name) for name in ("_sheets", "_write", "remove_other_sheets")),
    *((photos, "photo_images"), (module, "write_row_tables"), (BuildFolder, "remove")),
)
"""What comes once the file has its name; a build is killed before each."""
STEPS_OF_A_KEPT_FOLDER = ((module, "_write_report"), (module, "write_row_tables"), (module, "write_manifest"))


class Killed(BaseException):
    """Ends a build wherever it is."""


@pytest.fixture
def killed_at(monkeypatch):
    """A function (moment, config): build, ended at that one of the moments; says whether it came."""

    def kill(moment, config, steps=LAST_STEPS):
        left = [moment]

        def pass_moment():
            left[0] -= 1
            if left[0] == 0:
                raise Killed

        def ending(function):
            def wrapped(*args, **more):
                pass_moment()
                return function(*args, **more)

            return wrapped

        with monkeypatch.context() as patch:
            for owner, name in steps:
                patch.setattr(owner, name, ending(getattr(owner, name)))
            try:
                build(config)
            except Killed:
                return True
            return False

    return kill


@pytest.fixture
def varied(sequence, monkeypatch):
    """A build with every kind of row, whose small faces lie beside the page."""
    monkeypatch.setattr(build_report, "MOST_IN_PAGE", 2)
    monkeypatch.setattr(build_report, "_STRIPS", 2)
    for _ in range(6):  # the last equals one of before
        sequence.add()
    sequence.set(faces="all", keep=40, refuse=("blurred",))
    build(sequence.config)
    faces = [name for name, row in sequence.rows().items() if row["status"] == "kept"]
    sequence.listed("exclude", faces[0])
    sequence.set(keep=len(faces) - 5)
    return sequence


def left_by(sequence):
    """Everything beside the photographs, by name."""
    paths = [path for path in sequence.folder.rglob("*") if path.is_file() and sequence.photos not in path.parents]
    return {path.relative_to(sequence.folder).as_posix(): path.read_bytes() for path in paths}


def remove_all(sequence):
    for name in left_by(sequence):
        if not name.endswith(".txt"):
            (sequence.folder / name).unlink()
    shutil.rmtree(sequence.config.build_folder, ignore_errors=True)


@pytest.mark.slow
def test_page_is_the_one_of_an_undisturbed_build_wherever_a_first_build_is_killed(varied, looked_at, killed_at):
    remove_all(varied)
    build(varied.config)
    statuses = {(row["status"], row["reason"]) for row in varied.rows().values()}
    assert {status for status, _ in statuses} == {"kept", "refused", "beaten", "duplicate"}
    assert {EXCLUDED, f"{MARKED}blurred", "not an image"} <= {reason for _, reason in statuses}
    undisturbed, moment = left_by(varied), 0
    while True:
        moment += 1
        remove_all(varied)
        if not killed_at(moment, varied.config):
            break
        del looked_at[:]
        build(varied.config)
        left = left_by(varied)
        assert [name for name in undisturbed | left if undisturbed.get(name) != left.get(name)] == [], moment
        assert looked_at == [], "no photo needs a second look"
    assert moment > len(LAST_STEPS)


def test_page_of_before_gives_way_wherever_a_changed_build_is_killed(varied, killed_at):
    first, changed = varied.config, varied.config.keep + 2
    varied.set(keep=changed)
    build(varied.config)
    undisturbed, second = left_by(varied), varied.config
    for moment in (1, 4):
        remove_all(varied)
        build(first)
        assert killed_at(moment, second)
        build(second)
        left = left_by(varied)
        assert [name for name in undisturbed | left if undisturbed.get(name) != left.get(name)] == [], moment


@pytest.mark.parametrize("changed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_build_folder_that_is_kept_says_what_became_of_each_face_wherever_a_build_is_killed(
    varied, looked_at, killed_at, changed
):
    varied.set(keep_build_folder=True)
    first, config = varied.config, replace(varied.config, keep=varied.config.keep + 2 * changed)

    def begin():
        remove_all(varied)
        if changed:
            build(first)

    begin()
    build(config)
    undisturbed = left_by(varied)
    assert b'"outcome": "row 0"' in undisturbed["f.h5.build/manifest.jsonl"]
    for moment in range(1, len(STEPS_OF_A_KEPT_FOLDER) + 1):
        begin()
        assert killed_at(moment, config, STEPS_OF_A_KEPT_FOLDER)
        del looked_at[:]
        build(config)
        left = left_by(varied)
        assert [name for name in undisturbed | left if undisturbed.get(name) != left.get(name)] == [], moment
        assert looked_at == [], "no photo needs a second look"


def test_page_of_a_file_that_was_chosen_otherwise_shows_what_the_file_holds(varied, looked_at):
    output = varied.config.output
    build(varied.config)
    with h5py.File(output, "r+") as file:  # as an earlier version may have scored them
        file["faces/score"][:] = np.linspace(0.9, 0.1, len(file["faces/score"]))
    before = output.read_bytes()
    (varied.folder / "report.html").unlink()
    del looked_at[:]
    build(varied.config)
    page = (varied.folder / "report.html").read_text("utf-8")
    assert "a dataset, written by celebahq-build" in page
    assert output.read_bytes() == before and looked_at == []
