"""Executors: the same results here and in processes; a death, a fault, a limit are one item's affair."""

import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from celebahq_builder import executors
from celebahq_builder.executors import keep_workers, run, stop_large
from celebahq_builder.state.failure import FAULT, WORKER_DIED, Failure, Limits, is_failure
from celebahq_builder.worker_process import WorkerNotStartedError

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from process_end import wait_until  # noqa: E402

FUNCTIONS = """
import os, signal
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Item:
    name: str
    number: int
    folder: str = ""

def square(item):
    return item.number ** 2

def who(item):
    return os.getpid()

def who_again(item):
    return os.getpid()

def die_on_three(item):
    if item.number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return item.number ** 2

def die_on_three_the_first_time(item):
    if item.number == 3:
        with (Path(item.folder) / "pids").open("a") as file:
            print(os.getpid(), file=file)
        if len((Path(item.folder) / "pids").read_text().split()) == 1:
            os.abort()
    return item.number ** 2

def need_too_much_on_three(item):
    return bytearray(1 << 60) if item.number == 3 else item.number ** 2

def fail_on_two(item):
    return 1 // (item.number - 2)

def threads(item):
    import cv2, torch
    return cv2.getNumThreads(), torch.get_num_threads(), os.environ["OPENBLAS_NUM_THREADS"]

def sleep_on_one(item):
    import time
    if item.number == 1:
        time.sleep(700)
    return item.number ** 2

def fill_memory_on_one(item):
    import time
    if item.number == 1:
        held = b"x" * (1 << 29)
        time.sleep(700)
    return item.number ** 2

def run_out_as_torch_says_it(item):
    raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")

def hold_the_lock_for_long(item):
    # A call into a library that never lets another thread of Python run, as dlib's detector.
    import ctypes
    (Path(item.folder) / f"pid-{item.number}").write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(700)

def import_zoo(item):
    import zoo
    return zoo.__file__

def print_noise(item):
    print("noise")
    return item.number
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    """Functions in a module that the workers can import too."""
    (tmp_path / "functions_of_a_test.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import functions_of_a_test

    yield functions_of_a_test
    del sys.modules["functions_of_a_test"]


class Interrupted(Exception):
    """Ends a run from within."""


def items(functions, count, folder=""):
    return [functions.Item(f"photo {i}.jpg", i, str(folder)) for i in range(count)]


def results(function, items, workers):
    return {item.number: result for item, result in run(function, items, workers)}


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_item_gets_its_result(functions, workers):
    assert results(functions.square, items(functions, 7), workers) == {i: i * i for i in range(7)}


def test_workers_are_other_processes_and_0_is_this_one(functions):
    assert set(results(functions.who, items(functions, 3), 0).values()) == {os.getpid()}
    assert os.getpid() not in results(functions.who, items(functions, 3), 1).values()


@pytest.mark.parametrize("workers", [1, 2])
def test_item_that_kills_its_process_twice_is_reported_and_the_rest_goes_on(functions, workers):
    found = results(functions.die_on_three, items(functions, 6), workers)
    assert found.pop(3) == Failure(WORKER_DIED, "its process was ended by SIGKILL (out of memory?), twice")
    assert found == {i: i * i for i in range(6) if i != 3}


def test_item_that_needs_too_much_memory_is_reported_and_the_rest_goes_on(functions):
    found = results(functions.need_too_much_on_three, items(functions, 6), 2)
    assert found.pop(3) == Failure(WORKER_DIED, "its process ran out of memory, twice")
    assert found == {i: i * i for i in range(6) if i != 3}


def test_item_that_kills_its_process_once_succeeds_in_a_fresh_one(functions, tmp_path):
    found = results(functions.die_on_three_the_first_time, items(functions, 5, tmp_path), 2)
    assert found == {i: i * i for i in range(5)}
    first, second = (tmp_path / "pids").read_text().split()
    assert first != second


@pytest.mark.parametrize("workers", [0, 2])
def test_fault_in_the_program_is_reported_with_its_traceback_and_the_rest_goes_on(functions, workers):
    found = results(functions.fail_on_two, items(functions, 4), workers)
    fault = found.pop(2)
    assert (fault.reason, fault.detail) == (FAULT, "ZeroDivisionError: integer division or modulo by zero")
    assert "in fail_on_two" in fault.traceback and fault.traceback.startswith("Traceback")
    assert found == {i: 1 // (i - 2) for i in (0, 1, 3)}


@pytest.mark.parametrize("workers", [0, 1])
def test_memory_that_a_library_asks_for_in_vain_is_no_fault_of_the_program(functions, workers):
    found = results(functions.run_out_as_torch_says_it, items(functions, 1), workers)
    assert found[0].reason == WORKER_DIED and "ran out of memory" in found[0].detail


def test_item_that_takes_too_long_is_reported_its_process_replaced_and_the_rest_goes_on(functions):
    found = dict(run(functions.sleep_on_one, items(functions, 4), 1, Limits(seconds=2)))  # it sleeps for minutes
    found = {item.number: result for item, result in found.items()}
    assert found.pop(1).reason == "took longer than 2 s"
    assert found == {0: 0, 2: 4, 3: 9}


@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux only")
def test_item_that_takes_too_much_memory_is_reported_and_the_rest_goes_on(functions):
    found = run(functions.fill_memory_on_one, items(functions, 3), 1, Limits(memory_gib=0.25))
    found = {item.number: result for item, result in found}
    assert found.pop(1).reason == "took more than 0.25 GiB of memory"
    assert found == {0: 0, 2: 4}


@pytest.mark.parametrize("workers", [0, 1])
def test_slow_item_is_named_while_it_is_at_work(functions, workers, monkeypatch):
    monkeypatch.setattr(executors, "SLOW_SECONDS", 0.2)
    told = []

    def on_slow(slow):
        told.extend(slow)
        if workers and "photo 1.jpg" in dict(told):
            raise Interrupted  # it would sleep for minutes

    if workers:
        with pytest.raises(Interrupted):
            list(run(functions.sleep_on_one, items(functions, 2), 1, Limits(), on_slow))
    else:
        list(run(lambda item: wait_until(lambda: item.name in dict(told)), items(functions, 2), 0, Limits(), on_slow))
    assert "photo 1.jpg" in dict(told)
    assert all(0.2 <= seconds < 60 for _, seconds in told)


def test_failures_are_told_from_refusals():
    assert all(map(is_failure, (FAULT, WORKER_DIED, "took longer than 300 s", "took more than 8 GiB of memory")))
    assert not any(map(is_failure, ("no face found", "too many pixels", "not an image", "")))


def test_workers_end_with_their_parent_even_within_a_call_that_never_returns(functions, tmp_path, is_running):
    code = (
        "import sys; sys.path[:0] = [sys.argv[1], sys.argv[2]]\n"
        "import functions_of_a_test as f\nfrom celebahq_builder.executors import run\n"
        "list(run(f.hold_the_lock_for_long, [f.Item(str(i), i, sys.argv[1]) for i in range(2)], 2))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(ROOT)], stderr=subprocess.PIPE, text=True)
    wait_until(lambda: sum(bool(path.read_text()) for path in tmp_path.glob("pid-*")) == 2, parent)
    pids = [int(path.read_text()) for path in tmp_path.glob("pid-*")]
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(map(is_running, pids)))  # no worker outlives its parent


def test_a_module_of_ours_that_lies_in_the_current_folder_too_does_not_reach_the_workers(
    functions, tmp_path, monkeypatch
):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "zoo.py").write_text("raise SystemExit('the wrong zoo')")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", ".")] + [str(ROOT)])
    assert results(functions.import_zoo, items(functions, 1), 1) == {0: str(ROOT / "zoo" / "__init__.py")}


def test_function_that_cannot_be_imported_stops_the_run_instead_of_spoiling_every_photo(functions, tmp_path):
    function = functions.square
    (tmp_path / "functions_of_a_test.py").write_text(FUNCTIONS + "\nimport there_is_no_such_module\n")
    with pytest.raises(WorkerNotStartedError, match="a worker could not start"):
        results(function, items(functions, 2), 1)


def test_items_are_taken_only_when_somebody_is_free(functions):
    taken = []
    endless = (taken.append(i) or functions.Item(str(i), i) for i in itertools.count())
    done = list(itertools.islice(run(functions.square, endless, 2), 10))
    assert len(done) == 10
    assert len(taken) <= 10 + 2


def test_a_worker_computes_with_one_thread(functions):
    assert set(results(functions.threads, items(functions, 2), 1).values()) == {(1, 1, "1")}


def test_what_a_library_prints_does_not_disturb_the_results(functions):
    assert results(functions.print_noise, items(functions, 3), 1) == {0: 0, 1: 1, 2: 2}


def test_kept_workers_go_on_with_another_function_and_end_with_the_block(functions, is_running):
    with keep_workers() as kept:
        first = {pid for _, pid in run(functions.who, items(functions, 6), 2, kept=kept)}
        assert dict(run(functions.fail_on_two, items(functions, 3)[2:], 2, kept=kept)).popitem()[1].reason == FAULT
        assert {pid for _, pid in run(functions.who_again, items(functions, 6), 2, kept=kept)} <= first
        found = run(functions.die_on_three, items(functions, 6), 2, kept=kept)
        assert {item.number: getattr(result, "reason", result) for item, result in found} == {
            0: 0, 1: 1, 2: 4, 3: WORKER_DIED, 4: 16, 5: 25
        }  # fmt: skip
        last = {pid for _, pid in run(functions.who, items(functions, 6), 2, kept=kept)}
        assert len(kept) == 2
    assert not any(map(is_running, first | last))


def test_kept_workers_that_end_while_idle_cost_no_item_anything(functions, is_running):
    with keep_workers() as kept:
        pids = {pid for _, pid in run(functions.who, items(functions, 40), 4, kept=kept)}
        assert len(kept) == 4
        for worker in kept:
            os.kill(worker._process.pid, signal.SIGKILL)
        wait_until(lambda: not any(worker.is_alive() for worker in kept))
        found = {item.number: result for item, result in run(functions.square, items(functions, 3), 1, kept=kept)}
        assert found == {0: 0, 1: 1, 2: 4} and len(kept) == 1
    assert not any(map(is_running, pids))


def test_idle_workers_hold_no_more_than_they_may_together_and_the_largest_end(functions):
    class Idle:
        stopped = False

        def __init__(self, gib):
            self.memory_gib = lambda: gib

        def stop(self):
            self.stopped = True

    workers = [Idle(gib) for gib in (3.0, 0.5, 1.0, 0.5)]
    kept = list(workers)
    stop_large(kept, 2.0)
    assert kept == workers[1:] and [worker.stopped for worker in workers] == [True, False, False, False]
