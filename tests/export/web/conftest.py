"""Pages for the tests, a server on the loopback, and headless Chromium that may talk to nobody else."""

import functools
import http.server
import os
import shutil
import threading

import pytest


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def start(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


@pytest.fixture
def serve():
    """A function folder -> address of a static server, one that knows nothing of .mjs, headers or WebAssembly."""
    servers = []

    def serve(folder):
        handler = functools.partial(Quiet, directory=folder)
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        return start(servers[-1]) + "/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


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
        contexts[-1].on("request", lambda request: requests.append(request.url))
        page = contexts[-1].new_page()
        page.said, page.asked = [], requests
        page.on("console", lambda message: page.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.said.append(f"error: {error}"))
        if init:
            page.add_init_script(init)
        page.goto(address)
        page.wait_for_selector(wait, timeout=60_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    strangers = [url for url in requests if not url.startswith(("http://127.0.0.1:", "file:", "blob:", "data:"))]
    assert not strangers


@pytest.fixture(scope="session")
def runtime():
    """The files of onnxruntime-web, from the cache or through npm; skips where they cannot be had."""
    from export.sample import UsageError
    from export.web.runtime import cached_runtime

    try:
        return cached_runtime()
    except UsageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def page_folder(onnx_file, runtime, tmp_path_factory):
    """A page of the tiny generator that no test may change."""
    from export.web.config import WebConfig
    from export.web.page import build_page

    output = tmp_path_factory.mktemp("web") / "page"
    build_page(WebConfig(model=str(onnx_file), output=output, runtime=runtime, title="Faces & <friends>"))
    return output
