"""Where the tests find real photographs, how many threads they may take, and a server for the download drill."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("CELEBAHQ_TEST_DATA", ROOT.parent / "shared" / "data"))

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest-xdist runs a process a core
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # no network but loopback, and onnxruntime calls home
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # on shared cores, threads that spin at barriers crawl


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photographs and data sets; skips, with the reason, only where it is absent."""
    if not DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{DATA}: the real data is missing, and CI must not pass without it")
        pytest.skip(f"{DATA}: no real data here; set CELEBAHQ_TEST_DATA")
    return DATA


@pytest.fixture(name="drill_server")
def drill_server_fixture(monkeypatch) -> Iterator[Any]:
    """A DrillServer of tests/zoo/drill_server.py; nothing of the user's proxies and settings counts."""
    spec = importlib.util.spec_from_file_location("drill_server", ROOT / "tests" / "zoo" / "drill_server.py")
    from zoo.remote import fetch

    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(fetch, "BACKOFF", 0.02)
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    with module.drill_server() as drill:
        yield drill


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch  # late: the builder's tests need none of it

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
