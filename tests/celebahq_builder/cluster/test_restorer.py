"""Restoration elsewhere: tiles of several photographs in one batch, each with its own; a worker that asks and waits."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from celebahq_builder import restore
from celebahq_builder.cluster import restorer as module
from celebahq_builder.cluster.node_facts import node_facts
from celebahq_builder.cluster.node_task import Demands, Unfit, process_batch
from celebahq_builder.cluster.restorer import Restorer
from celebahq_builder.executors import run_in_processes
from celebahq_builder.state.failure import FAULT, WORKER_DIED, Limits
from celebahq_builder.worker_process import ask, may_ask


def tiles(count, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.fixture
def networks(monkeypatch):
    """Networks replaced by one that inverts; gives the shapes that it was shown, and may be told to have no room."""
    shown, state = [], SimpleNamespace(shown=[], room=99, began=threading.Event(), go=threading.Event())
    state.shown = shown

    def forward(network, images):
        state.began.set()
        state.go.wait(600)
        shown.append((network, images.shape))
        if len(images) > state.room:
            raise MemoryError("GPU: out of memory")
        return 255 - images

    monkeypatch.setattr(module, "load_network", lambda name, device: name)
    monkeypatch.setattr(module, "forward", forward)
    return state


def asked_at_once(restorer, networks, requests):
    """Answers to requests that all arrive while the first is computed."""
    answers = [None] * len(requests)

    def call(i):
        try:
            answers[i] = restorer.restore(*requests[i])
        except MemoryError as error:
            answers[i] = error

    threads = [threading.Thread(target=call, args=(i,)) for i in range(len(requests))]
    threads[0].start()
    assert networks.began.wait(600)
    for thread in threads[1:]:
        thread.start()
    while len(restorer._waiting) < len(requests) - 1:
        time.sleep(0.001)
    networks.go.set()
    for thread in threads:
        thread.join(600)
    return answers


def test_tiles_of_equal_size_that_wait_for_one_network_go_together_and_come_back_to_their_own(networks):
    restorer = Restorer("cuda")
    requests = [("a", tiles(1)), *(("a", tiles(2, seed=i)) for i in range(5)), ("b", tiles(1)), ("a", tiles(1, 16))]
    for answer, (_, images) in zip(asked_at_once(restorer, networks, requests), requests, strict=True):
        np.testing.assert_array_equal(answer, 255 - images)
    assert sorted(networks.shown) == [
        ("a", (1, 8, 8, 3)),
        ("a", (1, 16, 16, 3)),
        ("a", (10, 8, 8, 3)),
        ("b", (1, 8, 8, 3)),
    ]
    assert sorted(restorer.batch_sizes()) == [1, 1, 1, 5] and restorer._waiting == []


def test_no_batch_is_larger_than_the_device_takes(networks):
    requests = [("a", tiles(1)), *(("a", tiles(3, seed=i)) for i in range(12))]
    asked_at_once(Restorer("cuda"), networks, requests)
    assert max(shape[0] for _, shape in networks.shown) == 15


def test_batch_without_room_is_done_one_by_one_and_only_what_has_none_alone_fails(networks):
    networks.room = 2
    requests = [("a", tiles(1)), ("a", tiles(2, seed=1)), ("a", tiles(3, seed=2)), ("a", tiles(1, seed=3))]
    answers = asked_at_once(Restorer("cuda"), networks, requests)
    assert [isinstance(answer, MemoryError) for answer in answers] == [False, False, True, False]
    np.testing.assert_array_equal(answers[3], 255 - requests[3][1])


def test_on_a_cpu_a_tile_is_the_same_in_a_batch_and_alone():
    for name in (restore.artifacts_name("fast"), restore.superres_name("fast")):
        network, images = restore.load_network(name, "cpu"), tiles(3, 48)
        alone = np.concatenate([restore.forward(network, images[i : i + 1]) for i in range(3)])
        np.testing.assert_array_equal(restore.forward(network, images), alone)


def question_of(item):
    """What a worker does: asks, and takes as long as the answer."""
    return may_ask(), ask(item.name)


def asks(names, answer, seconds=99.0):
    items = [SimpleNamespace(name=name) for name in names]
    found = run_in_processes(question_of, items, 1, Limits(seconds), answer=answer)
    return {item.name: result for item, result in found}


def test_worker_gets_its_answer_and_waiting_for_it_is_not_its_time():
    began = time.monotonic()
    # two seconds: what a busy machine may let pass before it hears the question
    assert asks("ab", lambda asked: time.sleep(2.5 * (asked == "a")) or asked * 2, 2.0) == {
        "a": (True, "aa"),
        "b": (True, "bb"),
    }
    assert time.monotonic() - began > 2.5


def test_answer_that_fails_is_the_items_fault_and_one_without_memory_ends_its_process():
    def answer(asked):
        if asked == "bad":
            raise KeyError("no such network")
        raise MemoryError("GPU: out of memory")

    found = asks(["bad", "big"], answer)
    assert found["bad"].reason == FAULT and "KeyError: 'no such network'" in found["bad"].detail
    assert found["big"].reason == WORKER_DIED and "ran out of memory" in found["big"].detail


def test_restorer_on_a_node_with_another_pytorch_ends_the_build_with_one_line(monkeypatch):
    ray = pytest.importorskip("ray")

    def get(restore):
        try:
            return restore()
        except Exception as error:
            raise ray.exceptions.RayTaskError("restore", "its traceback", error) from None

    monkeypatch.setattr(ray, "get", get)
    restorer = Restorer("cpu", "0.1")
    handle = SimpleNamespace(restore=SimpleNamespace(remote=lambda *asked: lambda: restorer.restore(*asked)))
    given = (SimpleNamespace(name=("artifacts-fast", tiles(1))),)
    done = process_batch(question_of, given, Limits(), Demands(node_facts()), restorers=[handle])
    assert isinstance(done, Unfit) and done.message.startswith("--ray: got torch ")
    assert "expected torch 0.1 as where the build was started" in done.message
