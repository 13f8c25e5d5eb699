"""A build's worker processes: started once, for photographs and page alike, and none of them outlives the build."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from celebahq_builder import executors, process_photos
from celebahq_builder.build import build
from celebahq_builder.config import BuildConfig
from celebahq_builder.report import photos as report_photos
from celebahq_builder.worker_process import WorkerProcess

HERE, ROOT = Path(__file__).parent, Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from process_end import finish, wait_until  # noqa: E402

STAGES = """
import os, signal, time
from dataclasses import replace
from faulty_build import process_task as make_face

def told(task, stage):
    with (task.config.input.parent / "pids").open("a") as file:
        print(stage, os.getpid(), task.name, file=file)

def process_task(task):
    told(task, "photo")
    result = make_face(task)
    result.rows[0] = replace(result.rows[0], width=50, height=50)
    return result

def make_images(task):
    told(task, "page")
    if task.name == "page dies.jpg":
        os.kill(os.getpid(), signal.SIGKILL)
    if task.name == "page hangs.jpg":
        time.sleep(600)
    return [("photo", f"data:,{task.name}")]

if __name__ == "__main__":
    import stages_of_a_test
    from celebahq_builder import process_photos
    from celebahq_builder.report import photos
    process_photos.process_task, photos.make_images = stages_of_a_test.process_task, stages_of_a_test.make_images
    from celebahq_builder.__main__ import main
    main()
"""


@pytest.fixture
def stages(tmp_path, monkeypatch):
    """Stages that need no face, in a module that the workers can import, in builds of this process."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "stages_of_a_test.py").write_text(STAGES)
    monkeypatch.syspath_prepend(str(HERE / "cluster"))
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    import stages_of_a_test

    monkeypatch.setattr(process_photos, "process_task", stages_of_a_test.process_task)
    monkeypatch.setattr(report_photos, "make_images", stages_of_a_test.make_images)
    yield stages_of_a_test
    del sys.modules["stages_of_a_test"], sys.modules["faulty_build"]


@pytest.fixture
def started(monkeypatch):
    """The workers that builds of this process started."""
    workers = []

    class Counted(WorkerProcess):
        def __init__(self, *args, **more):
            super().__init__(*args, **more)
            workers.append(self)

    monkeypatch.setattr(executors, "WorkerProcess", Counted)
    return workers


def config(folder, names, **more):
    (folder / "photos").mkdir()
    for name in names:
        (folder / "photos" / name).write_bytes(name.encode())
    options = {"input": folder / "photos", "output": folder / "f.h5", "resolution": 16, "restore": "off"}
    return BuildConfig(**options | more)


def told(folder):
    """(stage, process, photo) of each call in a worker."""
    lines = (folder / "pids").read_text().splitlines() if (folder / "pids").exists() else []
    return [(stage, int(pid), name) for stage, pid, name in (line.split(" ", 2) for line in lines)]


def processes(folder, stage):
    return {pid for of, pid, _ in told(folder) if of == stage}


@pytest.mark.parametrize(("count", "workers", "expected"), [(2, 8, 2), (5, 2, 2), (3, 1, 1), (2, 0, 0)])
def test_build_starts_each_worker_once_and_no_more_than_there_are_photos(
    stages, started, tmp_path, count, workers, expected
):
    build(config(tmp_path, [f"{i}.jpg" for i in range(count)], workers=workers))
    assert len(started) == expected and not any(worker.is_alive() for worker in started)
    assert sorted(name for stage, _, name in told(tmp_path) if stage == "page") == [f"{i}.jpg" for i in range(count)]
    assert processes(tmp_path, "page") <= processes(tmp_path, "photo")
    page = (tmp_path / "report.html").read_text()
    assert all(f"data:,{i}.jpg" in page for i in range(count))


def test_build_with_nothing_left_to_do_starts_no_worker_and_a_page_alone_no_more_than_it_shows(
    stages, started, tmp_path
):
    options = config(tmp_path, ["a.jpg", "b.jpg"], workers=8)
    build(options)
    before = (tmp_path / "report.html").read_bytes()
    del started[:]
    build(options)
    assert not started
    (tmp_path / "report.html").unlink()
    build(options)
    assert len(started) == 2 and not any(worker.is_alive() for worker in started)
    assert (tmp_path / "report.html").read_bytes() == before


def test_kept_worker_that_dies_or_takes_too_long_in_the_page_costs_that_image_alone(stages, started, tmp_path, logged):
    names = ["a.jpg", "b.jpg", "page dies.jpg", "page hangs.jpg", "z.jpg"]
    build(config(tmp_path, names, workers=2, photo_seconds=2.0))
    page = (tmp_path / "report.html").read_text()
    assert [name for name in names if f"data:,{name}" in page] == ["a.jpg", "b.jpg", "z.jpg"]
    warnings = {record.getMessage() for record in logged if record.levelname == "WARNING"}
    assert warnings == {
        "report.html: no image of page dies.jpg: worker died, its process was ended by SIGKILL (out of memory?), twice",
        "report.html: no image of page hangs.jpg: took longer than 2 s, its process was replaced; "
        "--photo-seconds gives more time",
    }
    assert not any(worker.is_alive() for worker in started)
    killed = {pid for stage, pid, name in told(tmp_path) if (stage, name) == ("page", "page dies.jpg")}
    assert len(killed) == 2 and killed & processes(tmp_path, "photo"), "one of them was of the photographs"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_no_worker_outlives_a_build_that_is_ended_while_it_makes_its_page(stages, tmp_path, name, is_running):
    options = config(tmp_path, ["a.jpg", "b.jpg", "page hangs.jpg"])
    words = ("--input", options.input, "--output", options.output, "--resolution", 16, "--restore", "off")
    process = subprocess.Popen(
        [sys.executable, stages.__file__, *map(str, words), "--workers", "2"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, HERE / "cluster")))},
        stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background ignore it
    )  # fmt: skip
    wait_until(lambda: sum(stage == "page" for stage, _, _ in told(tmp_path)) >= 3, process)
    workers = processes(tmp_path, "photo") | processes(tmp_path, "page")
    os.killpg(process.pid, signal.Signals[name])  # as the terminal does: to the whole group
    _, errors = finish(process)
    assert process.returncode == {"SIGINT": 130, "SIGTERM": -signal.SIGTERM, "SIGKILL": -signal.SIGKILL}[name], errors
    wait_until(lambda: not any(map(is_running, workers)))  # none outlives its build
    assert len(workers) <= 2
