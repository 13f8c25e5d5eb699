"""An S3 server on this machine, with a proxy before it that fails as networks do."""

import http.client
import os
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

_counting = threading.Lock()


class Flaky(BaseHTTPRequestHandler):
    """Passes a request on to the store; before that it fails, as often as `faults` says for its name, in two ways.

    `methods` are the ones that fail; `seconds` is how long each of them takes at least; `asked` counts all requests of
    a name, `sent` those that brought bytes of one. Of PUTs `passes` more go through, where it is a number; the next are
    `held`, and lost with the client that sends them.
    """

    store: tuple[str, int]
    faults: ClassVar[Counter[str]] = Counter()
    asked: ClassVar[Counter[str]] = Counter()
    sent: ClassVar[Counter[str]] = Counter()
    methods: ClassVar[tuple[str, ...]] = ("GET",)
    seconds: ClassVar[float] = 0.0
    passes: ClassVar[int | None] = None
    held: ClassVar[int] = 0
    protocol_version = "HTTP/1.1"

    def do(self) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        Flaky.asked[name] += 1
        if self.command in Flaky.methods:
            time.sleep(Flaky.seconds)
        if self.command in Flaky.methods and Flaky.faults[name] > 0:
            Flaky.faults[name] -= 1
            if Flaky.faults[name] % 2:
                return self.send_error(503)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return os.close(self.connection.detach())  # a reset
        upstream = http.client.HTTPConnection(*Flaky.store, timeout=600)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "PUT" and not self._may_pass():
            Flaky.held += 1
            select.select([self.connection], [], [], 600)  # until the client is gone
            self.close_connection = True
            return None
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        data = answer.read()
        Flaky.sent[name] += self.command == "PUT" and answer.status == 200
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("transfer-encoding", "connection", "content-length", "date", "server"):
                self.send_header(key, value)
        self.send_header("Content-Length", answer.getheader("Content-Length") or str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        return None

    def _may_pass(self) -> bool:
        with _counting:
            if Flaky.passes is None:
                return True
            Flaky.passes -= 1
            return Flaky.passes >= 0

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do

    def log_message(self, *_) -> None:
        pass


@contextmanager
def serve_store() -> Iterator[Any]:
    """Give an S3 client of a server with the bucket `photos`; the builder finds it as any store, by the environment."""
    boto3 = pytest.importorskip("boto3")
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    Flaky.store = server.get_host_and_port()
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
    proxy.handle_error = lambda *_: None  # type: ignore[method-assign]  # of the connections that it reset
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    before = dict(os.environ)
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",  # so that it is our own patience that is tried
    }
    client = boto3.client("s3")
    client.create_bucket(Bucket="photos")
    yield client
    os.environ.clear()
    os.environ.update(before)
    proxy.shutdown()
    server.stop()
