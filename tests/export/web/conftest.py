"""Pages for the tests, and a server on the loopback."""

import functools
import http.server
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
