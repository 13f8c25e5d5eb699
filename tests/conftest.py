"""Where the tests find real photographs, how many threads they may take, and what may skip; a server, a browser."""

import gc
import importlib.util
import os
import re
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("CELEBAHQ_TEST_DATA", ROOT.parent / "shared" / "data"))

os.environ.setdefault("OMP_NUM_THREADS", "1")  # pytest-xdist runs a process a core
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # no network but loopback, and onnxruntime calls home
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # on shared cores, threads that spin at barriers crawl

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # behind `pytest &`: all that the tests start would ignore Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What a machine may lack. Any other skip fails a run with --strict-skips, and all are counted at the end.
_MAY_SKIP = re.compile(
    r"CUDA|only root may mount|no network namespace here|no (fork|forkserver|spawn) here"
    r"|no Triton here: it has wheels for Linux only" + (r"|^none: no real data here" if str(DATA) == "none" else "")
)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real photographs and datasets; skips, with the reason, only where it is absent.

    CELEBAHQ_TEST_DATA=none says that there is none, as on a public CI, which is then allowed to pass without.
    """
    if not DATA.is_dir():
        if os.environ.get("CI") and str(DATA) != "none":
            pytest.fail(f"{DATA}: the real data is missing, and CI must not pass without it")
        pytest.skip(f"{DATA}: no real data here; set CELEBAHQ_TEST_DATA")
    return DATA


@pytest.fixture
def is_running() -> Callable[[int], bool]:
    """A function (pid): whether that process is there and no zombie."""

    def look(pid: int) -> bool:
        try:
            os.kill(pid, 0)
            return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False

    return look


@pytest.fixture(name="faulty_server")
def faulty_server_fixture(monkeypatch) -> Iterator[Any]:
    """A FaultyServer of tests/zoo/faulty_server.py; nothing of the user's proxies and settings counts."""
    spec = importlib.util.spec_from_file_location("faulty_server", ROOT / "tests" / "zoo" / "faulty_server.py")
    from zoo.remote import fetch

    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(fetch, "BACKOFF", 0.02)
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    with module.faulty_server() as server:
        yield server


_PATIENCE = 120_000
"""Milliseconds that a browser is given for anything: on a machine with other work half a minute is no fault."""


@pytest.fixture(scope="session")
def chromium():
    """Headless Chromium, driven by Playwright; skips where either is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install '.[test]'")
    path = os.environ.get("CELEBAHQ_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if path is None:
        pytest.skip("no Chromium here: apt-get install chromium, or set CELEBAHQ_CHROMIUM to a browser")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path,
            timeout=_PATIENCE,
            proxy={"server": "http://127.0.0.1:9", "bypass": "127.0.0.1"},  # a dead end: only this machine answers
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],  # containers allow little
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """A function (address, **options of the browser context) -> Playwright page: `said` lists its complaints.

    `asked` lists what the page and its workers asked for. When the test ends, nobody else may have been asked.
    """
    contexts, requests = [], []

    def open_page(address, wait="body[data-ready]", init="", **options):
        contexts.append(chromium.new_context(**options))
        contexts[-1].set_default_timeout(_PATIENCE)
        contexts[-1].on("request", lambda request: requests.append(request.url))
        page = contexts[-1].new_page()
        page.said, page.asked = [], requests
        page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.said.append(f"error: {error}"))
        if init:
            page.add_init_script(init)
        page.goto(address)
        page.wait_for_selector(wait)
        return page

    yield open_page
    for context in contexts:
        context.close()
    strangers = [url for url in requests if not url.startswith(("http://127.0.0.1:", "file:", "blob:", "data:"))]
    assert not strangers


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch  # late: the builder's tests need none of it

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def pytest_collection_finish() -> None:
    """What was imported and collected is no garbage: a collection looked through it for half a second each time."""
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--strict-skips", action="store_true", help="fail where a test skips for more than hardware")


def _skips(config: pytest.Config) -> Counter[str]:
    """How many tests skipped, by reason."""
    reporter = config.pluginmanager.getplugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    return Counter(re.sub(r"^Skipped: ", "", report.longrepr[2]) for report in skipped)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skips = _skips(config)
    terminalreporter.write_line(f"skipped: {skips.total()}" + "".join(f"\n  {n:4}  {why}" for why, n in skips.items()))
    for why in filter(lambda why: not _MAY_SKIP.search(why), skips if config.option.strict_skips else ()):
        terminalreporter.write_line(f"--strict-skips: {skips[why]} tests did not run: {why}", red=True)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    strict = session.config.option.strict_skips and not hasattr(session.config, "workerinput")
    if strict and exitstatus == 0 and any(not _MAY_SKIP.search(why) for why in _skips(session.config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
