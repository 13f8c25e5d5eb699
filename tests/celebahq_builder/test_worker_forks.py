"""Workers by fork: libraries are loaded once, and a worker that cannot be forked starts by itself, to the same end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from celebahq_builder import dlib_faces, executors, worker_forks
from celebahq_builder.executors import keep_workers, run
from celebahq_builder.state.failure import Failure, Limits
from celebahq_builder.worker_forks import ForkServer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from process_end import finish, wait_until  # noqa: E402

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")

FUNCTIONS = """
import os, signal, sys, threading, time
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Item:
    name: str
    number: int
    folder: str

def preload(item):
    with (Path(item.folder) / "loaded").open("a") as file:
        print(os.getpid(), file=file, flush=True)
    what = os.environ.get("PRELOAD_OF_A_TEST")
    if what == "thread":
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
    if what == "raise":
        raise ValueError("no such model")
    if what == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "hang":
        time.sleep(600)

def who(item):
    return os.getpid(), os.getppid(), os.getsid(0), os.environ["OPENBLAS_NUM_THREADS"], sys.stdout.fileno()

def misfortune(item):
    if item.number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if item.number == 2:
        return bytearray(1 << 60)
    if item.number == 3:
        os._exit(7)
    if item.number == 4:
        return 1 // 0
    if item.number == 5:
        time.sleep(60)
    return item.number

def kill_what_they_are_forked_from_once(item):
    try:
        (Path(item.folder) / "killed").touch(exist_ok=False)
    except FileExistsError:
        return item.number
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    (tmp_path / "forked_functions_of_a_test.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import forked_functions_of_a_test

    yield forked_functions_of_a_test
    del sys.modules["forked_functions_of_a_test"]


def items(functions, count, folder):
    return [functions.Item(f"{i}.jpg", i, str(folder)) for i in range(count)]


def loaded(folder):
    path = folder / "loaded"
    return [int(line) for line in path.read_text().split()] if path.exists() else []


def test_what_workers_need_is_loaded_once_and_all_are_copies_of_that_process(functions, tmp_path, is_running):
    found = [result for _, result in run(functions.who, items(functions, 12, tmp_path), 3)]
    (server,) = loaded(tmp_path)
    assert len({pid for pid, *_ in found}) == 3 and {parent for _, parent, *_ in found} == {server}
    assert all(session == pid for pid, _, session, *_ in found), "Ctrl-C reaches the build alone"
    assert {(threads, stdout) for *_, threads, stdout in found} == {("1", 1)}
    assert not any(map(is_running, [server, *(pid for pid, *_ in found)]))


@pytest.mark.parametrize("trouble", ["thread", "raise", "die"])
def test_workers_that_cannot_be_forked_start_by_themselves(functions, tmp_path, monkeypatch, trouble):
    monkeypatch.setenv("PRELOAD_OF_A_TEST", trouble)
    found = [result for _, result in run(functions.who, items(functions, 6, tmp_path), 2)]
    assert len(found) == 6 and {parent for _, parent, *_ in found} == {os.getpid()}
    assert len(loaded(tmp_path)) == 1, "it is tried once"


@pytest.mark.slow
@pytest.mark.parametrize("forked", [True, False])
def test_misfortunes_of_a_forked_worker_are_told_as_those_of_one_that_starts_by_itself(
    functions, tmp_path, monkeypatch, forked
):
    if not forked:
        monkeypatch.setattr(executors.Kept, "fresh", lambda kept, function, *_: executors.WorkerProcess(function))
    found = run(functions.misfortune, items(functions, 7, tmp_path), 2, Limits(seconds=5))
    found = {item.number: result for item, result in found}
    told = {number: result.detail for number, result in found.items() if isinstance(result, Failure)}
    assert told.pop(5).startswith("its process was replaced")
    assert told == {
        1: "its process was ended by SIGKILL (out of memory?), twice",
        2: "its process ran out of memory, twice",
        3: "its process ended with status 7, twice",
        4: "ZeroDivisionError: integer division or modulo by zero",
    }
    assert (found[0], found[6]) == (0, 6) and bool(loaded(tmp_path)) is forked


def test_an_end_of_what_they_are_forked_from_costs_no_item(functions, tmp_path, is_running):
    found = run(functions.kill_what_they_are_forked_from_once, items(functions, 8, tmp_path), 2, Limits(seconds=30))
    assert sorted(result for _, result in found) == list(range(8))
    assert len(loaded(tmp_path)) == 1 and not is_running(loaded(tmp_path)[0])


def test_workers_of_a_call_without_kept_ones_end_with_it_also_where_it_is_left_early(functions, tmp_path, is_running):
    results = run(functions.who, items(functions, 12, tmp_path), 2)
    pid = next(results)[1][0]
    results.close()
    assert not is_running(pid) and not is_running(loaded(tmp_path)[0])


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_build_that_is_ended_while_libraries_load_leaves_nobody(functions, tmp_path, is_running, ended_by):
    code = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]\n"
        "import forked_functions_of_a_test as f\nfrom celebahq_builder.executors import run\n"
        "list(run(f.who, [f.Item(str(i), i, sys.argv[1]) for i in range(2)], 2))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), str(ROOT)],
        env=os.environ | {"PRELOAD_OF_A_TEST": "hang"}, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )  # fmt: skip
    wait_until(lambda: loaded(tmp_path), process)
    process.send_signal(ended_by)
    finish(process)
    wait_until(lambda: not is_running(loaded(tmp_path)[0]))  # it does not outlive the build


def test_a_process_that_began_before_is_used_once_and_one_that_was_not_needed_ends(functions, tmp_path, is_running):
    with worker_forks.begun("forked_functions_of_a_test:who"):
        (early,) = worker_forks._begun
        found = [list(run(functions.who, items(functions, 2, tmp_path), 1)) for _ in range(2)]
        parents = [results[0][1][1] for results in found]
        assert parents[0] == early._process.pid != parents[1]
        assert loaded(tmp_path) == parents, "what the first item needs, each"
    with worker_forks.begun("forked_functions_of_a_test:who"):
        (unused,) = worker_forks._begun
    assert not is_running(unused._process.pid)


def test_an_interrupted_question_ends_the_process_and_all_that_were_forked_from_it(functions, tmp_path, is_running):
    with keep_workers() as kept:
        list(run(functions.who, items(functions, 2, tmp_path), 1, kept=kept))
        server, worker = kept.forks, kept[0]
        assert isinstance(server, ForkServer) and worker.is_alive()

        def interrupted(*_):
            raise KeyboardInterrupt

        server._socket.send = interrupted
        with pytest.raises(KeyboardInterrupt):
            worker.is_alive()
        wait_until(lambda: not is_running(worker._process.pid))
        assert not worker.is_alive()


def test_workers_of_a_process_that_ignores_the_end_of_its_children_end_as_any_other(functions, tmp_path, is_running):
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with keep_workers() as kept:
            found = list(run(functions.who, items(functions, 4, tmp_path), 2, kept=kept))
            assert {result[1] for _, result in found} == {kept.forks._process.pid}, "forked"
            kept[0].stop()
            assert not is_running(kept[0].pid) and not kept[0].is_alive() and kept[1].is_alive()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_machine_without_room_for_one_more_process_says_so_only_where_it_is_needed(monkeypatch):
    monkeypatch.setattr(worker_forks, "ForkServer", lambda: os.open("/no/such/process", 0))
    with worker_forks.begun("no.such.module:function"):
        assert not worker_forks._begun


def test_a_detector_that_works_on_a_gpu_is_not_loaded_before_a_fork(monkeypatch):
    import dlib

    loaded = []
    monkeypatch.setattr(dlib_faces, "_cnn_detector", lambda: loaded.append("cnn"))
    monkeypatch.setattr(dlib_faces, "_predictor", lambda: loaded.append("points"))
    for on_gpu, expected in [(False, ["cnn", "points"]), (True, ["points"])]:
        loaded.clear()
        monkeypatch.setattr(dlib, "DLIB_USE_CUDA", on_gpu)
        dlib_faces.preload("cnn")
        assert loaded == expected
