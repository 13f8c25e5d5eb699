"""What runs on a node: one worker from task to task, photos that fail in rows of their own, nodes that are not fit."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from celebahq_builder.cluster import node_task
from celebahq_builder.cluster.node_facts import node_facts
from celebahq_builder.cluster.node_task import Demands, Unfit, process_batch
from celebahq_builder.state.failure import FAULT, WORKER_DIED, Failure, Limits

FUNCTIONS = """
import os, signal
from dataclasses import dataclass

@dataclass(frozen=True)
class Item:
    name: str
    number: int

def who(item):
    if item.number < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid() if item.number else 1 // 0

def slow(item):
    import time
    time.sleep(item.number)
    return item.number
"""


@pytest.fixture
def functions(tmp_path, monkeypatch):
    (tmp_path / "functions_of_a_task.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import functions_of_a_task

    yield functions_of_a_task
    node_task._stop_workers()
    node_task._kept.clear()
    del sys.modules["functions_of_a_task"]


def batch(functions, function, numbers, limits=Limits(), demands=None):  # noqa: B008
    items = tuple(functions.Item(f"{number}.jpg", number) for number in numbers)
    return process_batch(getattr(functions, function), items, limits, demands or Demands(node_facts())).results


def test_worker_is_kept_from_task_to_task_and_replaced_when_a_photo_kills_it(functions):
    first = batch(functions, "who", [1, 2])
    assert batch(functions, "who", [3]) == [first[0]] == [first[1]]
    died, after = batch(functions, "who", [-1, 1])
    assert died == Failure(WORKER_DIED, "its process was ended by SIGKILL (out of memory?), twice")
    assert after != first[0]
    assert batch(functions, "who", [0])[0].reason == FAULT


def test_photo_that_hangs_is_a_failure_and_the_others_of_its_task_are_done(functions):
    found = batch(functions, "slow", [0, 60, 0], Limits(seconds=1))
    assert found == [0, Failure("took longer than 1 s", "its process was replaced; --photo-seconds gives more time"), 0]


def test_task_returns_when_its_time_is_over_and_leaves_the_rest(functions, monkeypatch):
    monkeypatch.setattr(node_task, "TASK_SECONDS", 0.0)
    assert batch(functions, "slow", [0, 0, 0]) == [0]


def test_node_with_another_library_does_no_photo():
    found = process_batch(print, (), Limits(), Demands(node_facts() | {"numpy": "0.1"}))
    assert isinstance(found, Unfit) and "expected numpy 0.1 as where the build was started" in found.message


def test_node_that_does_not_see_the_photos_does_none(tmp_path):
    found = process_batch(print, (), Limits(), Demands(node_facts(), {"--input": tmp_path / "photos"}))
    assert found.message.startswith(f"--input: got {tmp_path / 'photos'}, which does not exist on node ")
    assert found.message.endswith("put it on storage that all nodes see under one path, or give a URL")


def test_worker_that_cannot_start_on_a_node_is_one_line(functions, tmp_path):
    function = functions.who
    Path(tmp_path / "functions_of_a_task.py").write_text("import no_such_package_here")
    found = process_batch(function, (SimpleNamespace(name="a"),), Limits(), Demands(node_facts()))
    assert "could not start on node" in found.message and "No module named 'no_such_package_here'" in found.message
    assert "\n" not in found.message
