"""One Hub on the loopback interface and one client process for all tests of a module; what a push gives."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest


def load(name: str):
    """Import a file of this folder: the tests' folders are no packages."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def new_client(tmp_path_factory):
    """A function (endpoint, home, **environment) that starts a client process; all are closed at the end."""
    client, clients = load("client").Client, []

    def start(endpoint, home=None, **environment):
        home = home or tmp_path_factory.mktemp("hf") / "home"
        clients.append(client(endpoint, home, **environment))
        return clients[-1]

    yield start
    for each in clients:
        each.close()


@pytest.fixture(scope="session")
def hub():
    """The Hub; a test changes refuse and before_commit by monkeypatch alone, and uses a repository of its own."""
    with load("loopback_hub").LoopbackHub() as server:
        yield server


@pytest.fixture(scope="session")
def client(hub, new_client):
    return new_client(hub.url)


@pytest.fixture(scope="session")
def trained(save_model, tmp_path_factory):
    """A run folder as training leaves it, with metrics of its weights and of others."""
    import hashlib

    run = tmp_path_factory.mktemp("runs") / "faces"
    model = save_model(run / "model", seed=3)
    config = json.loads((model / "config.json").read_text())
    config["training"] = {
        "kimg": 1234.5,
        "preset": "smoke",
        "seed": 0,
        "mirror": True,
        "device": "NVIDIA H100",
        "precision": "bf16",
        "seconds": 5400.0,
        "command": "python -m train --dataset celeba128.h5 --preset smoke",
    }
    config["dataset"] = {"file": "celeba128.h5", "faces": 18000, "resolution": 128, "sha256_4x4": "3b77" * 16}
    del config["license"]
    (model / "config.json").write_text(json.dumps(config))
    sha256 = hashlib.sha256((model / "model.safetensors").read_bytes()).hexdigest()
    swd = {
        "num_images": 4096,
        "values": {"32": 41.703, "16": 32.113, "average": 36.908},
        "noise_floor": {"32": 2.87, "16": 6.134, "average": 4.502},
        "noise_floor_of": "other reals",
        "num_reals": 4096,
        "dataset": config["dataset"],
        "mirror": True,
        "seed": 0,
        "device": "CPU",
        "model_sha256": sha256,
        "command": "python -m train.metrics --model faces --metrics swd --dataset celeba128.h5 --num-images 4096",
    }
    stale = {"num_images": 50000, "values": {"fid": 777.77}, "model_sha256": "0" * 64}
    (model / "metrics.json").write_text(json.dumps({"swd": swd, "fid": stale}))
    options = {"dataset": "/home/somebody/celeba128.h5", "outdir": "/home/somebody/runs", "drift": 0.001}
    (run / "config.json").write_text(json.dumps(options))
    rows = [{"kimg": kimg, "d_loss": 0.5, "seconds": 9.0 * kimg} for kimg in (1000.0, 1234.5, 2000.0)]
    (run / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return run


@pytest.fixture(scope="session")
def built(client, trained, tmp_path_factory):
    """The folder that a dry run builds, as (folder, what the command said)."""
    output = tmp_path_factory.mktemp("built") / "progan"
    said = client.export(
        "hub", "--model", trained, "--repo", "me/progan", "--license", "cc-by-nc-4.0", "--output", output, "--dry-run"
    )
    assert said.code == 0, said.err
    return output, said


@pytest.fixture
def push(client, built, trained, tmp_path):
    """A function (repo, *options, token) that pushes the built folder for real, on the terms of `built`."""
    output = tmp_path / "output"
    shutil.copytree(built[0], output)

    def push(repo, *options, token="write"):
        terms = ("--license", "cc-by-nc-4.0", "--output", output)
        return client.export("hub", "--model", trained, "--repo", repo, *terms, *options, token=token)

    push.output = output
    return push
