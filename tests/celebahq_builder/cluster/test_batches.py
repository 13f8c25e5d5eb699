"""Batches over a pool of machines: every item once, bounded in flight, lost tasks done again one by one."""

import pytest

from celebahq_builder.cluster.batches import IN_FLIGHT, MOST, TaskLostError, batch_size, run_in_batches
from celebahq_builder.state.failure import WORKER_DIED, Failure


class FakePool:
    """Ends the newest task first. `poison`: item -> how many tasks that hold it are lost."""

    def __init__(self, cores=2, poison=(), at_most=MOST, cores_later=None):
        self.poison, self.at_most, self.num_cores, self.cores_later = dict(poison), at_most, cores, cores_later
        self.started, self.most_at_once, self.at_once = [], 0, 0

    def cores(self):
        return self.num_cores

    def start(self, items):
        self.started.append(items)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        return len(self.started) - 1

    def wait(self, tasks, seconds):
        if self.cores_later is not None:
            self.num_cores, self.cores_later = self.cores_later, None
            return []
        return [max(tasks)]

    def results(self, task):
        self.at_once -= 1
        for item in self.started[task]:
            if self.poison.get(item, 0) > 0:
                self.poison[item] -= 1
                raise TaskLostError("its node went away")
        return [item * item for item in self.started[task][: self.at_most]]


@pytest.mark.parametrize("pool", [FakePool(), FakePool(cores=7), FakePool(at_most=1), FakePool(cores=0, cores_later=3)])
def test_every_item_comes_back_once_with_its_result(pool):
    found = list(run_in_batches(range(500), pool))
    assert sorted(found) == [(i, i * i) for i in range(500)]
    assert pool.most_at_once <= max(1, IN_FLIGHT * pool.num_cores)


def test_items_that_a_task_had_no_time_for_go_into_the_next_ones():
    pool = FakePool(cores=1, at_most=3)
    assert sorted(item for item, _ in run_in_batches(range(40), pool)) == list(range(40))
    assert max(map(len, pool.started)) > 3


def test_items_of_a_lost_task_are_done_again_one_by_one_and_only_the_one_at_fault_fails():
    pool = FakePool(poison={5: 99})
    found = dict(run_in_batches(range(100), pool))
    assert found.pop(5) == Failure(WORKER_DIED, "its node went away, twice")
    assert found == {i: i * i for i in range(100) if i != 5}
    assert pool.started.count((5,)) == 2, "tried alone, and once more"


@pytest.mark.parametrize("times", [1, 2])
def test_item_whose_task_was_lost_by_chance_succeeds_alone(times):
    assert dict(run_in_batches(range(50), FakePool(poison={7: times}))) == {i: i * i for i in range(50)}


def test_tasks_grow_smaller_towards_the_end_and_hold_some_dozens_at_most():
    assert batch_size(10_000_000, 1000) == MOST
    assert [batch_size(left, 2) for left in (284, 100, 40, 8, 1, 0)] == [32, 12, 5, 1, 1, 1]
    assert batch_size(100, 0) == 25, "no node yet"


def test_nothing_is_asked_of_the_pool_once_nobody_asks_for_more():
    pool = FakePool()
    done = run_in_batches(range(500), pool)
    next(done)
    pool.started = pool.results = pool.wait = pool.start = None  # a use of them would raise
    done.close()
