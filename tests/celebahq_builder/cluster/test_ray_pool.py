"""--ray before Ray is there: what is refused, in which words, and what a killed build left behind."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from celebahq_builder.cluster import ray_pool
from celebahq_builder.cluster.batches import TaskLostError
from celebahq_builder.cluster.build_cluster import cluster_of, seen_by_nodes, tell_other_machine
from celebahq_builder.cluster.node_facts import node_facts
from celebahq_builder.cluster.node_task import Done, Unfit
from celebahq_builder.cluster.ray_pool import (
    ClusterError,
    RayCluster,
    _knock,
    _own_folder,
    _why_not_joined,
)
from celebahq_builder.cluster.ray_tasks import RayPool
from celebahq_builder.cluster.restorer import Restorers
from celebahq_builder.config import BuildConfig, BuildError
from celebahq_builder.state.failure import Limits


@pytest.mark.parametrize("ray", ["auto", "local", "head:6379", "10.0.0.1:6379", "[fe80::1]:6379", None])
def test_addresses_of_a_cluster_are_taken(ray, tmp_path):
    assert BuildConfig(input=tmp_path, ray=ray).ray == ray


@pytest.mark.parametrize("ray", ["", "head", "ray://head:10001", "here please", "head:port", "head:65536", "head:0"])
def test_what_is_no_address_is_refused(ray, tmp_path):
    with pytest.raises(BuildError, match=r"--ray: got .*, expected auto, local or HOST:PORT of a cluster's head"):
        BuildConfig(input=tmp_path, ray=ray)


def test_no_worker_is_refused_with_a_cluster(tmp_path):
    with pytest.raises(BuildError, match="--workers: got 0 with --ray, expected at least 1"):
        BuildConfig(input=tmp_path, ray="local", workers=0)


def test_without_the_package_its_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(ray_pool.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ClusterError, match=r"--ray: got no package ray, expected it; pip install 'celebahq\[ray\]'"):
        RayCluster("local", 1, {})


def test_build_without_the_option_has_no_cluster_and_keeps_its_paths(tmp_path):
    config = BuildConfig(input=tmp_path)
    with cluster_of(config) as cluster:
        assert cluster is None
    assert seen_by_nodes(config) is config


def test_nodes_get_absolute_paths_and_urls_as_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert seen_by_nodes(BuildConfig(input=Path("photos"), ray="local")).input == tmp_path / "photos"
    url = Path("s3://bucket/photos")
    assert seen_by_nodes(BuildConfig(input=url, ray="local")).input == url


def test_ray_is_not_begun_where_nothing_is_to_be_done(monkeypatch):
    monkeypatch.setattr(ray_pool.importlib.util, "find_spec", lambda name: "found")
    with RayCluster("local", 1, {}) as cluster:
        assert list(cluster.run(print, [], Limits())) == []
    assert not cluster._joined


def test_ray_that_the_caller_has_joined_is_refused_and_stays(monkeypatch):
    ended = []
    theirs = SimpleNamespace(is_initialized=lambda: True, shutdown=lambda: ended.append(1))
    monkeypatch.setitem(sys.modules, "ray", theirs)
    monkeypatch.setattr(ray_pool.importlib.util, "find_spec", lambda name: "found")
    with (
        pytest.raises(ClusterError, match="--ray: got a process that has joined Ray already"),
        RayCluster("auto", 1, {}) as cluster,
    ):
        cluster.run(print, ["photo"], Limits())
    assert not ended


def test_address_where_nobody_answers_is_told_at_once():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ClusterError) as refused:
            _knock(address)
    assert str(refused.value) == (
        f"--ray: got {address} (Connection refused), expected HOST:PORT of a cluster's head; "
        f"`ray status --address {address}` shows whether one runs there"
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.0 505 x\r\n\r\n", "another program is there"),
        (b"", "another program is there"),
        (None, "timed out"),
        (bytes((0, 0, 6, 4, 0, 0, 0, 0, 0)), ""),
    ],
    ids=["web server", "closes", "silent", "gRPC"],
)
def test_address_of_another_program_is_told_at_once(answer, words, monkeypatch):
    """Ray itself tries for minutes."""
    held = []
    monkeypatch.setattr(ray_pool, "_KNOCK_SECONDS", 5.0 if answer is not None else 0.2)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        address = f"127.0.0.1:{server.getsockname()[1]}"

        def serve():
            connection, _ = server.accept()
            held.append(connection)
            connection.recv(100)
            if answer is not None:
                connection.sendall(answer)
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        if not words:
            return _knock(address)
        with pytest.raises(ClusterError, match=rf"^--ray: got {address} \({words}\), expected HOST:PORT"):
            _knock(address)
    return None


@pytest.mark.parametrize(
    ("address", "error", "line"),
    [
        (
            "auto",
            ConnectionError("Could not find any Ray"),
            "got auto and no cluster on this machine",
        ),
        (
            "h:1",
            RuntimeError("Version mismatch: cluster\n 2.60, here 2.61"),
            "got a cluster of another version",
        ),
        ("h:1", OSError("no\nraylet"), "got OSError from Ray for h:1 (no raylet), expected to join it"),
    ],
)
def test_what_ray_says_becomes_one_line(address, error, line):
    message = _why_not_joined(address, error)
    assert message.startswith(f"--ray: {line}") and "\n" not in message


class FakeRay:
    """What results() asks of Ray: get() raises or returns what the task is."""

    NAMES = ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "ObjectLostError", "RuntimeEnvSetupError")
    exceptions = SimpleNamespace(
        **{name: type(name, (Exception,), {}) for name in (*NAMES, "LocalRayletDiedError", "RayTaskError")}
    )

    def get(self, task):
        if isinstance(task, Exception):
            raise task
        return task


@pytest.mark.parametrize(
    ("name", "words", "kind", "line"),
    [
        ("NodeDiedError", "x", TaskLostError, "its node went away"),
        ("WorkerCrashedError", "x", TaskLostError, "the process of its task ended"),
        ("OutOfMemoryError", "x", TaskLostError, "its node ran out of memory"),
        ("RayTaskError", "ray::task\nNo module named 'dlib'\nx", ClusterError, "--ray: got a node without a package"),
        ("RuntimeEnvSetupError", "no\nroom", ClusterError, "--ray: got a node that cannot take this package (no room)"),
        ("LocalRayletDiedError", "x", ClusterError, "--ray: got the end of Ray on this machine"),
    ],
)
def test_end_of_a_task_is_told_from_a_node_that_will_not_do(name, words, kind, line):
    pool = object.__new__(RayPool)
    pool._ray = FakeRay()
    with pytest.raises(kind) as raised:
        pool.results(getattr(FakeRay.exceptions, name)(words))
    assert str(raised.value).startswith(line) and "\n" not in str(raised.value)
    with pytest.raises(ClusterError, match="unfit"):
        pool.results(Unfit("unfit"))
    assert pool.results(Done([1, 2])) == [1, 2]


def test_node_that_cannot_write_beside_the_output_is_told_once(logged):
    pool = object.__new__(RayPool)
    pool._ray, pool._cluster = FakeRay(), SimpleNamespace(told=set())
    why = "node b cannot write into /out/f.h5.build/faces (No such file or directory)"
    assert pool.results(Done([1], why)) == [1] and pool.results(Done([2], why)) == [2]
    assert [record.getMessage() for record in logged] == [
        f"--output: {why}, so its faces come over the network; --output, or with a URL --work, on storage that all "
        "nodes see spares that"
    ]


def test_fault_of_ours_in_a_task_is_not_hidden():
    pool = object.__new__(RayPool)
    pool._ray = FakeRay()
    with pytest.raises(FakeRay.exceptions.RayTaskError):
        pool.results(FakeRay.exceptions.RayTaskError("KeyError: 'x'"))


HOLD_FOLDER = """
import celebahq_builder.cluster.ray_pool as ray_pool

ray_pool._LONGEST_ROOT = 1000
folder, held = ray_pool._own_folder()
print(folder.name, flush=True)
input()
"""


def test_folder_of_a_killed_build_is_removed_and_one_at_work_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_pool.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(ray_pool, "_LONGEST_ROOT", 1000)
    run = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": Path(__file__).parents[3]}
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    killed, busy = (subprocess.Popen([sys.executable, "-c", HOLD_FOLDER], env=environment, **run) for _ in range(2))
    names = [process.stdout.readline().strip() for process in (killed, busy)]
    killed.kill()
    killed.wait()
    (tmp_path / "celebahq-other").mkdir()
    folder, held = _own_folder()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["celebahq-other", names[1], folder.name])
    held.close()
    busy.communicate("\n")


@pytest.mark.parametrize(("gpus", "placed"), [(0, 1), (0.4, 1), (1, 2), (8, 16)])
def test_restorers_fill_the_gpus_and_one_waits_where_there_is_none(gpus, placed, logged):
    pool, given = object.__new__(RayPool), []

    def place(**options):
        return SimpleNamespace(remote=lambda device, torch: given.append((device, options["num_gpus"])) or torch)

    pool._ray = SimpleNamespace(remote=lambda kind: SimpleNamespace(options=place))
    pool._cluster = SimpleNamespace(restorers=[], told=set(), is_local=False)
    for _ in range(2):
        pool._place_restorers(Restorers(), gpus)
    assert given == [("cuda", 0.5)] * placed and len(pool._cluster.restorers) == placed
    assert pool._waits_for_gpu == (gpus < 0.5)
    waits = "--device cuda: no node of --ray has a GPU, the build waits until one joins; --device cpu restores without"
    assert [record.getMessage()[: len(waits)] for record in logged] == [waits] * (gpus < 0.5)


def test_a_ray_of_this_machine_without_a_gpu_is_refused_before_anything_is_placed():
    pool = object.__new__(RayPool)
    pool._ray = SimpleNamespace(remote=lambda kind: None)
    pool._cluster = SimpleNamespace(restorers=[], told=set(), is_local=RayCluster("local", 1, {}).is_local)
    with pytest.raises(ClusterError, match=r"--device cuda: got no GPU .*; --device cpu restores without one"):
        pool._place_restorers(Restorers(), 0)
    assert not pool._cluster.restorers and not RayCluster("head:6379", 1, {}).is_local


def test_restorers_are_for_builds_that_restore_on_a_gpu(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_pool.importlib.util, "find_spec", lambda name: "found")
    for device, restore, there in (("cuda", "fast", True), ("cuda", "off", False), ("cpu", "fast", False)):
        with cluster_of(BuildConfig(input=tmp_path, ray="local", device=device, restore=restore)) as cluster:
            assert (cluster._restorers is not None) == there


def test_rows_of_another_machine_are_told_on_resume(logged):
    tell_other_machine({})
    tell_other_machine({"computed_on": node_facts()})
    assert logged == []
    tell_other_machine({"computed_on": node_facts() | {"numpy": "1.9"}})
    (record,) = logged
    assert record.getMessage().startswith("continuing: the faces so far were made with numpy 1.9, now numpy ")
    assert record.getMessage().endswith("they agree within one gray level")
