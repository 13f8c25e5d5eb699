"""A local HTTP server that does what servers of checkpoints do on bad days, each path another misfortune."""

import hashlib
import json
import select
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

QUOTA_PAGE = (
    "<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title></head><body><p>Sorry, you can't view or "
    "download this file at this time.</p><p>Too many users have viewed or downloaded this file recently.</p></html>"
)
CONFIRM_PAGE = (
    "<!DOCTYPE html><html><head><title>Google Drive - Virus scan warning</title></head><body>"
    '<form id="download-form" action="/confirmed" method="get"><input type="submit" value="Download anyway"/>'
    '<input type="hidden" name="id" value="abc"><input type="hidden" name="confirm" value="t"></form></body></html>'
)


class FaultyServer:
    """The server's address, and what was asked of it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.requests: list[tuple[str, str, str | None]] = []
        """(method, path with query, Range header) in the order in which they came."""
        self.content = b""
        """The file that all of it is about."""
        self.etag = '"1"'
        self.commit = ""
        """Of the repository org/faces, when the server plays the Hub; the file is its pytorch_model.bin."""

    def count(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(asked.partition("?")[0] == path for _, asked, _ in self.requests)


class Handler(BaseHTTPRequestHandler):
    """Answers by path."""

    protocol_version = "HTTP/1.1"
    faulty: FaultyServer

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path[1:]
        name, _, query = path.partition("?")
        self.faulty.requests.append((self.command, f"/{path}", self.headers.get("Range")))
        first = self.faulty.count(f"/{name}") == 1
        if name == "truncates":  # three times, each time 100 kB further
            self.file(cut=100_000 if self.faulty.count("/truncates") <= 3 else None)
        elif name == "truncates-for-ever":
            self.file(cut=0, ranges=False)
        elif name == "truncates-without-range":
            self.file(cut=100_000 if first else None, ranges=False)
        elif name == "stalls":
            self.file(stall=1000 if first else None)
        elif name == "stalls-far":
            self.file(stall=123_456 if first else None)
        elif name == "redirects":
            self.page(302, "", Location="/good")
        elif name == "circle":
            self.page(302, "", Location="/circle")
        elif name == "leads-to-a-file":
            self.page(302, "", Location="file:///etc/passwd")
        elif name == "quota":
            self.page(200, QUOTA_PAGE)
        elif name == "confirm" or (name == "confirmed" and query != "id=abc&confirm=t"):
            self.page(200, CONFIRM_PAGE)
        elif name == "page":
            self.page(200, "<html><head><title>We have moved</title></head></html>")
        elif name == "busy" and first:
            self.page(429, "slower", Retry_After="1")
        elif name == "busy-for-an-hour":
            self.page(503, "later", Retry_After="3600")
        elif name == "wrong":
            self.file(self.faulty.content[::-1])
        elif name == "endless":  # says no length, and does not end
            self.send_response(200)
            self.end_headers()
            while True:
                self.wfile.write(self.faulty.content)
        elif name == "larger":
            self.file(self.faulty.content + b"more")
        elif name in ("good", "confirmed", "busy", "slow"):
            if name == "slow":
                time.sleep(0.5)
            self.file()
        elif name == "changes":  # another file under the same address from the second request on
            if not first:
                self.faulty.content, self.faulty.etag = self.faulty.content[::-1], '"2"'
            self.file(cut=100_000 if first else None)
        elif name == "api/models/org/faces/commits/main":
            commit = {"id": self.faulty.commit, "title": "", "message": "", "date": "2022-04-01T00:00:00.000Z"}
            self.page(200, json.dumps([commit | {"authors": []}]), Content_Type="application/json")
        elif name == f"org/faces/resolve/{self.faulty.commit}/pytorch_model.bin":
            self.faulty.etag = f'"{hashlib.sha256(self.faulty.content).hexdigest()}"'
            self.file()
        else:
            self.page(404, "nothing here")

    def page(self, status: int, text: str, **headers: str) -> None:
        body = text.encode()
        self.send_response(status)
        headers = {"Content_Type": "text/html; charset=utf-8", **headers}
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def file(
        self, content: bytes | None = None, cut: int | None = None, stall: int | None = None, ranges: bool = True
    ) -> None:
        """Send the file from where the client wants it; after so many bytes the connection breaks (cut) or stalls."""
        content = self.faulty.content if content is None else content
        wanted, start, end = self.headers.get("Range"), 0, len(content)
        if wanted and ranges and self.headers.get("If-Range", self.faulty.etag) == self.faulty.etag:
            first, _, last = wanted.removeprefix("bytes=").partition("-")
            start, end = int(first), min(end, int(last or end) + 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(end - start))
        self.send_header("ETag", self.faulty.etag)
        self.send_header("X-Repo-Commit", self.faulty.commit)
        self.end_headers()
        if self.command == "HEAD":
            return
        rest = content[start:end]
        ends = next((at for at in (cut, stall) if at is not None), len(rest))
        self.wfile.write(rest[:ends])
        if stall is not None:
            self.wfile.flush()
            select.select([self.connection], [], [], 600)  # until the client has waited enough, and hangs up
        self.close_connection = ends < len(rest)


@contextmanager
def faulty_server() -> Iterator[FaultyServer]:
    """Run the server on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that hangs up is expected
    faulty = FaultyServer(server.server_address[1])
    server.RequestHandlerClass = type("Handler", (Handler,), {"faulty": faulty})
    thread = threading.Thread(target=lambda: server.serve_forever(poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield faulty
    finally:
        server.shutdown()
        server.server_close()
