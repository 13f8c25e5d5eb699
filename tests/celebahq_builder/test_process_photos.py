"""In which order photos are handed out: as they are named, but for the last few a worker."""

import pytest

from celebahq_builder.config import BuildConfig
from celebahq_builder.process_photo import Task
from celebahq_builder.process_photos import large_before_the_end


@pytest.fixture
def order(tmp_path):
    """The function that gives the sizes of files in the order in which they are handed out."""

    def of(sizes, workers):
        for i, size in enumerate(sizes):
            (tmp_path / f"{i:03}.jpg").write_bytes(bytes(size))
        config = BuildConfig(input=tmp_path, workers=workers)
        tasks = large_before_the_end([Task(f"{i:03}.jpg", config, None) for i in range(len(sizes))], config)
        assert len({task.name for task in tasks}) == len(sizes)
        return [(tmp_path / task.name).stat().st_size for task in tasks]

    return of


def test_the_largest_of_the_last_few_photos_a_worker_come_first_among_them(order):
    sizes = [*range(30), 5, 90]
    assert order(sizes, 2) == [*range(16), *sorted(sizes[16:], reverse=True)]
    assert order([1, 3, 2], 8) == [3, 2, 1]
    assert order([], 2) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_one_worker_takes_them_as_they_are_named(order, workers):
    assert order([1, 3, 2], workers) == [1, 3, 2]


def test_a_photo_that_has_gone_is_no_error_here(tmp_path):
    config = BuildConfig(input=tmp_path, workers=2)
    tasks = [Task(name, config, None) for name in ("gone.jpg", "b.jpg")]
    (tmp_path / "b.jpg").write_bytes(b"b")
    assert [task.name for task in large_before_the_end(tasks, config)] == ["b.jpg", "gone.jpg"]
