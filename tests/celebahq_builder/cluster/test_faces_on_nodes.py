"""Faces and shards written by nodes: whatever is lost, unseen or killed, the file is that of a build without a cluster.

Simulated: the nodes' tasks run here, one at a time, in any order; Ray itself is in test_kills.py.
"""

import contextlib
import os
import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest

from celebahq_builder import build as module
from celebahq_builder.build import build
from celebahq_builder.cluster import node_task
from celebahq_builder.cluster.batches import TaskLostError, run_in_batches
from celebahq_builder.cluster.node_facts import node_facts
from celebahq_builder.cluster.node_task import Demands, Unfit, process_batch
from celebahq_builder.config import BuildError
from celebahq_builder.executors import run_here
from celebahq_builder.hdf5 import open_dataset
from celebahq_builder.state.face_files import PROBE, SUFFIX
from celebahq_builder.state.failure import Limits
from celebahq_builder.state.write_shard import NotWritten, ShardJob, write_shard


class SimulatedCluster:
    """In the place of RayCluster.

    Args:
        lost: how likely a task is lost after it wrote its file, before its rows arrive.
        unseen: how likely a task is on a node that does not see the folder.
    """

    def __init__(self, seed=0, lost=0.0, unseen=0.0):
        self.rng, self.lost, self.unseen, self.state = random.Random(seed), lost, unseen, ""
        self.files, self.through_driver, self.ran = [], 0, []

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        pass

    def run(self, function, items, limits, faces=None, cutoff=lambda: None, restores=False):
        self.function, self.folder, self.cutoff = function, faces, cutoff
        return run_in_batches(list(items), self)

    def count(self, rows, seconds, held, left):
        assert rows and left >= 0

    def tell_stages(self):
        pass

    def cores(self):
        return 2

    def start(self, items):
        return (items, self.cutoff())

    def wait(self, tasks, seconds):
        return [self.rng.choice(tasks)]

    def results(self, task):
        items, cutoff = task
        folder = self.folder
        if folder is not None and self.rng.random() < self.unseen:
            folder = replace(folder, path=folder.path / "elsewhere")
        given = pickle.loads(pickle.dumps(items)) if self.function is write_shard else items
        done = process_batch(self.function, given, Limits(), Demands(node_facts(), {}, folder), cutoff)
        assert not isinstance(done, Unfit)
        self.ran += [item.name for item in items]
        self.through_driver += bool(done.unseen)
        if folder is not None:
            self.files.append(len(list(self.folder.path.glob(f"*{SUFFIX}"))))
        if self.rng.random() < self.lost and len(items) > 1:
            raise TaskLostError("its process ended")
        return pickle.loads(pickle.dumps(done.results))


@pytest.fixture
def simulated(monkeypatch):
    """A function that puts a cluster under the builds from now on; None takes it away."""
    monkeypatch.setattr(
        module, "_write_report", lambda config, rows, choice, *kept: config.output.with_name("report.html")
    )
    here = lambda function, items, workers, limits, kept, answer: (pair for pair in run_here(function, items))  # noqa: E731
    monkeypatch.setattr(node_task, "run_in_processes", here)
    real = module.cluster_of

    def use(cluster):
        of_build = real if cluster is None else lambda config: cluster
        monkeypatch.setattr(module, "cluster_of", of_build)
        return cluster

    return use


def left(config):
    """What is beside the output that should not be."""
    return [path.name for path in config.output.parent.iterdir() if path.suffix in (".build", ".partial")]


@pytest.mark.parametrize(
    ("options", "trouble"),
    [
        ({"faces": "all", "keep": 6}, {}),
        ({"faces": "all", "keep": 3, "dedupe": "near"}, {"lost": 0.5}),
        ({"faces": "all", "shards": 3}, {"lost": 0.3, "unseen": 0.5}),
    ],
)
def test_file_equals_the_one_of_a_build_without_a_cluster(sequence, rebuilding, simulated, options, trouble, tmp_path):
    for _ in range(30):
        sequence.add()
    sequence.set(**options)
    fresh = rebuilding.from_scratch(sequence.config, tmp_path / "fresh")
    cluster = simulated(SimulatedCluster(3, **trouble))
    build(sequence.config)
    assert rebuilding.differences(sequence.config.output, fresh) == [] and left(sequence.config) == []
    assert max(cluster.files) > 1 and (cluster.through_driver > 0) == ("unseen" in trouble)
    wrote = {name for name in cluster.ran if name.startswith("f-0")}
    assert wrote == {path.name for path in sequence.folder.glob("f-0*")}, "shards are written by nodes"


def test_faces_below_the_worst_that_is_held_are_not_written_and_files_without_one_go(sequence, simulated, monkeypatch):
    for _ in range(60):
        sequence.add()
    sequence.set(keep=2)
    monkeypatch.setattr("celebahq_builder.cluster.batches.MOST", 1)
    cluster = simulated(SimulatedCluster(1))
    build(sequence.config)
    assert max(cluster.files) <= 2 + 3, "two held, those whose results arrive, those of tasks in flight"
    assert len(cluster.ran) >= 60


def test_shards_of_an_extended_file_take_its_faces_from_it(sequence, rebuilding, simulated, looked_at, tmp_path):
    sequence.set(shards=2, keep=30)
    build(sequence.config)
    for _ in range(8):
        sequence.add()
    cluster = simulated(SimulatedCluster(2))
    before = len(looked_at)
    build(sequence.config)
    simulated(None)
    assert len(looked_at) - before == 8 and len({name for name in cluster.ran if "-r2" in name}) == 2
    fresh = rebuilding.from_scratch(sequence.config, tmp_path / "fresh")
    assert rebuilding.differences(sequence.config.output, fresh) == [] and left(sequence.config) == []


def killed_at(step, config, simulated, seed):
    """Build in another process, which ends before its n-th change of the disk, be it a node's; say whether it came."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9
    changes = [step]

    def counted(function):
        def wrapped(*args, **more):
            changes[0] -= 1
            if changes[0] == 0:
                os._exit(9)
            return function(*args, **more)

        return wrapped

    for name in ("replace", "unlink"):
        setattr(Path, name, counted(getattr(Path, name)))
    with contextlib.suppress(BaseException):
        simulated(SimulatedCluster(seed, lost=0.3, unseen=0.2))
        build(config)
    os._exit(0)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 9))])
def test_build_that_is_killed_again_and_again_ends_as_one_from_scratch(
    tmp_path, png, looked_at, rebuilding, simulated, seed
):
    sequence, rng = rebuilding.Sequence(tmp_path, seed, png, shards=2, faces="all"), random.Random(seed)
    for step in range(2 if not seed else 4):
        for _ in range(2 if step else 0):
            sequence.change()
        for _ in range(3):
            killed_at(rng.randint(1, 40), sequence.config, simulated, rng.random())
        simulated(rng.choice([None, SimulatedCluster(seed), SimulatedCluster(seed, lost=0.5, unseen=0.5)]))
        with contextlib.suppress(BuildError):  # without a face
            build(sequence.config)
        simulated(None)
        fresh = rebuilding.from_scratch(sequence.config, tmp_path / f"fresh-{step}")
        if fresh is not None:
            assert rebuilding.differences(sequence.config.output, fresh) == [] and left(sequence.config) == []


def test_probe_is_not_left_and_the_build_folder_goes(sequence, simulated):
    simulated(SimulatedCluster())
    sequence.set(keep_build_folder=True)
    build(sequence.config)
    assert (sequence.config.build_folder / "faces" / PROBE).exists()
    sequence.set(keep_build_folder=False)
    build(sequence.config)
    assert not sequence.config.build_folder.exists()


def test_shard_that_a_node_cannot_write_ends_the_build_in_one_line_or_is_written_here(
    sequence, simulated, monkeypatch, logged
):
    sequence.set(shards=2)
    cluster = simulated(SimulatedCluster())
    real = cluster.run

    def run(function, items, *more, **named):
        if function is not write_shard:
            return real(function, items, *more, **named)
        return iter([(job, answer) for job in items])

    cluster.run = run
    answer = NotWritten("disk full on it", 28)
    with pytest.raises(BuildError, match="disk full on it; free some space and run the same command again to continue"):
        build(sequence.config)
    answer = NotWritten("cannot write into there (no)", unseen=True)
    build(sequence.config)
    told = [record.getMessage() for record in logged if "written here" in record.getMessage()]
    assert told == ["--output: a node cannot write into there (no), so 2 of 2 shards are written here"]
    with open_dataset(sequence.config.output) as dataset:
        assert len(dataset) == 6


def test_shard_whose_task_was_not_heard_of_is_not_written_again(sequence, simulated, monkeypatch):
    sequence.set(shards=2)
    cluster, written = simulated(SimulatedCluster()), []

    def twice(job: ShardJob):
        for _ in range(2):
            assert write_shard(job) is None
            written.append(job.path.stat().st_ino)

    monkeypatch.setattr("celebahq_builder.state.shards_on_cluster.write_shard", twice)
    build(sequence.config)
    assert len(written) == 4 and len(set(written)) == 2 and cluster.ran
