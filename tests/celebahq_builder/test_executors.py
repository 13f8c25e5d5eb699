"""Executors: the same results here and in processes, a death is one row's affair, a fault stops the run by name."""

import itertools
import os
import sys

import pytest

from celebahq_builder.executors import PhotoCrash, WorkerDied, run

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
    assert found.pop(3) == WorkerDied("its process was ended by SIGKILL (out of memory?), twice")
    assert found == {i: i * i for i in range(6) if i != 3}


def test_item_that_needs_too_much_memory_is_reported_and_the_rest_goes_on(functions):
    found = results(functions.need_too_much_on_three, items(functions, 6), 2)
    assert found.pop(3) == WorkerDied("its process ran out of memory, twice")
    assert found == {i: i * i for i in range(6) if i != 3}


def test_item_that_kills_its_process_once_succeeds_in_a_fresh_one(functions, tmp_path):
    found = results(functions.die_on_three_the_first_time, items(functions, 5, tmp_path), 2)
    assert found == {i: i * i for i in range(5)}
    first, second = (tmp_path / "pids").read_text().split()
    assert first != second


@pytest.mark.parametrize("workers", [0, 2])
def test_fault_in_the_program_names_the_photo(functions, workers):
    with pytest.raises(PhotoCrash, match=r"photo 2\.jpg: ") as caught:
        results(functions.fail_on_two, items(functions, 4), workers)
    assert "ZeroDivisionError" in str(caught.value)


def test_function_that_cannot_be_imported_stops_the_run_instead_of_spoiling_every_photo(functions, tmp_path):
    function = functions.square
    (tmp_path / "functions_of_a_test.py").write_text(FUNCTIONS + "\nimport there_is_no_such_module\n")
    with pytest.raises(RuntimeError, match="a worker could not start"):
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
