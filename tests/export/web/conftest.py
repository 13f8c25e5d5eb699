"""Pages for the tests, a server on the loopback, and headless Chromium that may talk to nobody else."""

import functools
import http.server
import os
import shutil
import socketserver
import threading

import pytest


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


class Recorder(socketserver.StreamRequestHandler):
    """A proxy that writes down what it is asked for, and refuses."""

    def handle(self):
        self.server.asked.append(self.rfile.readline().decode("latin-1").strip())
        self.wfile.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")


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
def outside():
    """A proxy for all that is not loopback: its list `asked` must stay empty."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Recorder) as server:
        server.asked = []
        server.address = start(server)
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def chromium(outside):
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
            proxy={"server": outside.address, "bypass": "127.0.0.1"},
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],  # containers allow little
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, outside):
    """A function (address, **options of the browser context) -> Playwright page whose `said` lists its complaints.

    When the test ends, nobody may have been asked for anything but this machine.
    """
    contexts, requests = [], []

    def open_page(address, wait="body[data-ready]", init="", **options):
        contexts.append(chromium.new_context(**options))
        contexts[-1].on("request", lambda request: requests.append(request.url))
        page = contexts[-1].new_page()
        page.said = []
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
    assert not outside.asked


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
