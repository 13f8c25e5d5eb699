"""Builds on Ray that lose a worker, a node, themselves, or meet a poisoned photo end with the file of a local build.

Ray runs in namespaces of its own, where only the loopback is up, and whose processes end with the test.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "processes"))
from process_end import finish  # noqa: E402

BUILD = Path(__file__).with_name("faulty_build.py")
NAMESPACE = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
NAMESPACE += ["sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def namespace():
    """The command that runs another one within: as root, or as a user who is root there."""
    pytest.importorskip("ray", reason="ray is not installed: pip install '.[test]'")
    for words in (["unshare", *NAMESPACE], ["unshare", "--map-root-user", *NAMESPACE]):
        try:
            if not subprocess.run([*words, "true"], capture_output=True).returncode:
                return words
        except OSError:
            break
    return pytest.skip("no network namespace here: Ray would listen on this machine's addresses")


@pytest.fixture
def run(namespace):
    """A function (words, **environment) -> the started process, in the namespace."""
    home = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))  # sockets have names of at most 107 bytes
    started = []

    def run(words, seconds_a_photo=0.0, **more):
        environment = os.environ | {"HOME": str(home), "TMPDIR": str(home), "PYTHONPATH": str(ROOT)}
        environment |= {"RAY_AUTH_MODE": "disabled", "FAULT_SECONDS": str(seconds_a_photo), "PYTHONUNBUFFERED": "1"}
        environment |= more
        command, pipe = [*namespace, sys.executable, *map(str, words)], subprocess.PIPE
        process = subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
    shutil.rmtree(home, ignore_errors=True)


def photos(folder, names):
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"photo {name}")
    return folder


def build(photos, output, *more):
    return [BUILD, "--input", photos, "--output", output, "--resolution", 16, "--restore", "off", *more]


def reasons(path):
    with h5py.File(path) as file:
        rows = zip(file["rows/source"], file["rows/reason"], file["rows/detail"], strict=True)
        return {a.decode(): (b.decode(), c.decode()) for a, b, c in rows if b}


def contents(path):
    """Every face and what is said of it, but for the times of files."""
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[:].tolist()} if hasattr(item, "dtype") else {}))
    return {name: values for name, values in found.items() if name.partition("/")[0] != "rows"}


def test_worker_node_and_build_may_be_killed_and_the_file_is_the_same(run, tmp_path):
    folder = photos(tmp_path / "photos", [f"{i}.jpg" for i in range(120)])
    benchmark = [ROOT / "benchmarks" / "kill_and_resume.py", "--ray", "--input", folder, "--resolution", 16]
    process = run([*benchmark, "--program", BUILD], seconds_a_photo=0.08)
    output, errors = finish(process, 1500)  # of five builds
    lines = output.strip().splitlines()
    assert process.returncode == 0 and len(lines) == 5, output + errors
    losses = ("a worker of", "a worker that had not told: ", "a node", "the build on", "the build with")
    assert "with its file written" in lines[1]
    for line, what in zip(lines, losses, strict=True):
        assert line.startswith(f"killed {what}") and line.endswith("datasets that differ: none")
        assert "ended well" in line


def test_poisoned_photos_cost_their_own_rows_as_in_a_local_build(run, tmp_path):
    names = [*(f"{i}.jpg" for i in range(40)), "kill.jpg", "fail.jpg", "hang.jpg"]
    folder, local, ray = photos(tmp_path / "photos", names), tmp_path / "local.h5", tmp_path / "ray.h5"
    for output, more in ((local, ()), (ray, ("--ray", "local"))):
        process = run(build(folder, output, "--workers", 2, "--photo-seconds", 3, *more))
        _, errors = finish(process)
        assert process.returncode == 1, errors
        assert "3 of 43 photos failed" in errors
    assert reasons(ray) == reasons(local)
    assert {reason for reason, _ in reasons(ray).values()} == {
        "fault in this program",
        "took longer than 3 s",
        "worker died",
    }
    assert contents(ray) == contents(local)


def test_photo_that_ends_rays_own_process_costs_its_row_alone(run, tmp_path):
    names = [*(f"{i}.jpg" for i in range(40)), "orphan.jpg"]
    folder, output = photos(tmp_path / "photos", names), tmp_path / "ray.h5"
    process = run(build(folder, output, "--workers", 2, "--ray", "local"))
    _, errors = finish(process)
    assert process.returncode == 1, errors
    assert reasons(output) == {"orphan.jpg": ("worker died", "the process of its task ended, twice")}
    assert len(contents(output)["faces/source"]) == 40


LOOK = """
import glob, os, signal, subprocess, sys, tempfile, time

def processes(word):  # that have not ended within minutes: workers end by themselves once their Ray has ended
    until = time.monotonic() + 300
    while (found := sum(word in line.split("\\0")[0] for line in lines())) and time.monotonic() < until:
        time.sleep(0.1)
    return found

def lines():
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            yield open(path).read()
        except OSError:
            pass

def interrupt(least):  # the build, once it has told of so many photos
    signal.signal(signal.SIGINT, signal.default_int_handler)
    build = subprocess.Popen([sys.executable, *sys.argv[2:]], stderr=subprocess.PIPE, text=True)
    while not os.path.exists(sys.argv[1]) or open(sys.argv[1], "rb").read().count(b"\\n") <= least:
        assert build.poll() is None, build.stderr.read()
        time.sleep(0.05)
    build.send_signal(signal.SIGINT)
    words = build.communicate(timeout=600)[1]
    sys.stderr.write(words)
    print(build.returncode, words.splitlines()[-1])
"""
OF_ITS_OWN = """
interrupt(4)
print(processes("ray"), os.listdir(tempfile.gettempdir()))
"""
JOINED = """
ray = [sys.executable, "-m", "ray.scripts.scripts"]
words = ["--head", "--num-cpus", "2", "--node-ip-address", "127.0.0.1", "--port", "6379"]
words += ["--include-dashboard", "false", "--temp-dir", tempfile.gettempdir()]
subprocess.run([*ray, "start", *words], check=True, capture_output=True)
interrupt(20)  # all but those that hang
status = subprocess.run([*ray, "status", "--address", "127.0.0.1:6379"], capture_output=True)
print(processes("ray::celebahq-build"), status.returncode)
"""


@pytest.mark.parametrize(
    ("script", "ray", "left"),
    [(OF_ITS_OWN, "local", "0 []"), (JOINED, "127.0.0.1:6379", "0 0")],
    ids=["of its own", "joined"],
)
def test_ctrl_c_ends_every_task_and_rays_own_processes_and_folder_but_no_joined_cluster(
    run, script, ray, left, tmp_path
):
    hanging = [f"hang {i}.jpg" for i in range(4)] if script is JOINED else []
    folder = photos(tmp_path / "photos", [*(f"{i}.jpg" for i in range(20 if hanging else 200)), *hanging])
    output, look = tmp_path / "ray.h5", tmp_path / "look.py"
    look.write_text(LOOK + script)
    words = build(folder, output, "--ray", ray, *(() if hanging else ("--workers", 2)))
    process = run([look, tmp_path / "ray.h5.build" / "manifest.jsonl", *words], seconds_a_photo=0.1)
    told, errors = finish(process, 900)
    last = told.strip().splitlines()[-2:]
    assert last == ["130 celebahq-build: interrupted; run the same command again to continue", left], errors
    assert not output.exists()


def test_photos_restored_by_actors_give_the_file_of_one_process_also_when_one_dies(run, tmp_path):
    folder, local, ray = tmp_path / "photos", tmp_path / "local.h5", tmp_path / "ray.h5"
    folder.mkdir()
    for name, count in (("henner", 1), ("giunchedi", 9)):  # tiles of equal size are what goes together
        with Image.open(ROOT / "examples" / "in-the-wild" / f"{name}.jpg") as photo:
            photo.thumbnail((300, 300))
            for i in range(count):
                photo.save(folder / f"{name} {i}.jpg", quality=80)
    words = ["--input", folder, "--resolution", 64, "--restore", "fast", "--device", "cpu", "--detector", "hog"]
    on_ray = [BUILD.with_name("faulty_restore.py")], ("--ray", "local", "--workers", 2)
    killed, told = tmp_path / "killed.h5", {}
    for program, more, output, environment in (
        (["-m", "celebahq_builder"], ("--workers", 1), local, {}),
        (*on_ray, ray, {}),
        (*on_ray, killed, {"FAULT_KILL": "1"}),
    ):
        process = run([*program, *words, "--dedupe", "off", "--output", output, *more], **environment)
        told[output], errors = finish(process)
        assert process.returncode == 0, errors
    (sizes,) = json.loads(told[ray].strip().splitlines()[-1])
    assert sum(sizes) >= 8, sizes  # how many met in a batch is chance; test_restorer.py makes them meet
    assert "killed" in told[killed].splitlines()
    assert contents(ray) == contents(killed) == contents(local)


STORE = """
import os, pathlib, subprocess, sys
import boto3
from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
os.environ |= {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test"}
os.environ |= {"AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}
client = boto3.client("s3")
client.create_bucket(Bucket="photos")
for path in pathlib.Path(sys.argv[1]).iterdir():
    client.upload_file(str(path), "photos", f"wild/{path.name}")
"""
ONCE = """
sys.exit(subprocess.run([sys.executable, *sys.argv[2:]]).returncode)
"""


def test_photos_from_a_store_by_nodes_into_shards_give_the_file_of_a_folder(run, tmp_path):
    pytest.importorskip("moto.server")
    folder, local, ray = tmp_path / "photos", tmp_path / "local.h5", tmp_path / "ray.h5"
    folder.mkdir()
    for path in sorted((ROOT / "examples" / "in-the-wild").glob("*.jpg"))[:4]:
        shutil.copy(path, folder)
    script = tmp_path / "store.py"
    script.write_text(STORE + ONCE)
    words = ["-m", "celebahq_builder", "--resolution", 64, "--restore", "off", "--detector", "hog"]
    more = ["--input", "s3://photos/wild", "--output", ray, "--ray", "local", "--workers", 2, "--shards", 2]
    for command in ([*words, "--input", folder, "--output", local], [script, folder, *words, *more]):
        _, errors = finish(run(command))
    assert sorted(path.name for path in tmp_path.glob("ray-0*")) == [f"ray-0000{k}-of-00002.h5" for k in (0, 1)], errors
    assert contents(ray) == contents(local)


KILLED = """
copy, manifest, command = *map(pathlib.Path, sys.argv[2:4]), [sys.executable, *sys.argv[4:]]


def there():
    return [item["Key"] for item in client.list_objects_v2(Bucket="photos", Prefix="sets/").get("Contents", [])]


first = subprocess.Popen(command)
while not manifest.exists() or manifest.read_bytes().count(b"\\n") < 8:
    assert first.poll() is None
    time.sleep(0.02)
first.kill()
print("killed", first.wait(), there(), flush=True)
print(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
copy.mkdir()
for key in there():
    client.download_file("photos", key, str(copy / pathlib.Path(key).name))
print("there", sorted(os.listdir(copy)))
"""


def test_set_made_on_ray_for_a_store_and_killed_in_between_is_the_one_of_a_local_build(run, tmp_path):
    pytest.importorskip("moto.server")
    folder, local = photos(tmp_path / "photos", [f"{i}.jpg" for i in range(80)]), tmp_path / "local.h5"
    work, copy, script = tmp_path / "work", tmp_path / "copy", tmp_path / "store.py"
    _, errors = finish(run(build(folder, local, "--workers", 2)))
    script.write_text(STORE.replace("subprocess, sys", "subprocess, sys, time") + KILLED)
    words = build(folder, "s3://photos/sets/f.h5", "--work", work, "--ray", "local", "--workers", 2, "--shards", 2)
    process = run([script, folder, copy, work / "f.h5.build" / "manifest.jsonl", *words], seconds_a_photo=0.1)
    told, more = finish(process)
    assert process.returncode == 0, told + errors + more
    assert "killed -9 ['sets/f.h5.owner.json']" in told and "continuing: " in told, told
    assert "s3://photos/sets/f.h5 is complete, each file checked" in told
    shards = [f"f-0000{k}-of-00002.h5" for k in (0, 1)]
    assert {*shards, "f.h5", "f.h5.rows.csv", "f-report.html"} <= {path.name for path in copy.iterdir()}
    assert not (copy / "f.h5.owner.json").exists()
    assert contents(copy / "f.h5") == contents(local)
    assert (copy / "f.h5.rows.csv").read_bytes().count(b"\n") == 81
