"""The page on 127.0.0.1: its images, the photographs that its rows name, and the decisions that come back."""

import hmac
import json
import secrets
import socketserver
import threading
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from celebahq_builder.hdf5 import Dataset, DatasetError
from celebahq_builder.hdf5_format.rows import row_id
from celebahq_builder.report.decisions import (
    Decisions,
    exclude_path,
    include_path,
    parse_decisions,
    read_decisions,
    read_list,
    write_decisions,
)
from celebahq_builder.report.file_page import build_command, dataset_rows, file_page, thumbnails_of
from celebahq_builder.report.page import page_policy, render
from celebahq_builder.report.page_data import json_for_html
from celebahq_builder.report.sprites import encode, sheet_pixels
from celebahq_builder.sources.images import SourceError
from celebahq_builder.sources.named_photo import inside, open_regular

_LARGEST_FACE = 512
_MOST_BYTES = 64 << 20  # of decisions that a page sends
_PHOTOS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n": "image/png",
    b"RIFF": "image/webp",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
}
"""How files begin that browsers show; AVIF is known by its fifth byte on. Nothing else is sent."""


class CurationSession:
    """One open dataset, what was decided about it, and the answers to what its page asks for.

    Args:
        photos: the folder that was --input of its build.
        persons: the number of the person in each row, where they were told apart.
    """

    def __init__(self, dataset: Dataset, photos: Path | None, persons: Sequence[int] | None = None) -> None:
        self._dataset, self._photos = dataset, photos
        self._rows = dataset_rows(dataset, persons)
        self._in_file = {row_id(row["source"], row["face_index"]): row["row"] >= 0 for row in self._rows}
        self._asked = frozenset(read_list(include_path(dataset.path)))
        self._sources = frozenset(row["source"] for row in self._rows)
        self._lock = threading.Lock()
        self._decisions = read_decisions(dataset.path)
        self.token = secrets.token_urlsafe(24)
        self._page = self._render()
        self.policy = f"{page_policy(served=True)}; frame-ancestors 'none'"
        self.sheet = lru_cache(128)(self._sheet)

    @property
    def rejected(self) -> int:
        return len(self._decisions.rejected)

    @property
    def saved(self) -> bool:
        """Whether there is anything to be found on the disk."""
        return self._decisions.version > 0

    def page(self) -> bytes:
        """Return the page with the decisions of now."""
        with self._lock:
            now = json_for_html({"values": self._decisions.values, "version": self._decisions.version})
        return self._page.replace(f'"{self.token}"'.encode(), now.encode(), 1)

    def face(self, row: int) -> bytes:
        """Return one face as WebP, of at most 512 pixels a side."""
        resolution = max(r for r in self._dataset.resolutions if r <= _LARGEST_FACE)
        with self._lock:
            pixels = self._dataset.read(resolution, [row])
        return encode(sheet_pixels(pixels)[:, :resolution], quality=92)

    def photo(self, name: str) -> tuple[bytes, str] | None:
        """Return a photograph as it lies there, and its type; None for what rows do not name, or no browser shows."""
        if self._photos is None or name not in self._sources:
            return None
        try:
            with open_regular(inside(self._photos, name)) as file:
                data = file.read()
        except (OSError, SourceError, ValueError):
            return None
        if data[4:12] in (b"ftypavif", b"ftypavis"):
            return data, "image/avif"
        return next(((data, kind) for begin, kind in _PHOTOS.items() if data.startswith(begin)), None)

    def decide(self, body: bytes) -> tuple[HTTPStatus, dict[str, object]]:
        """Take the decisions of a page and save them, unless another window saved others meanwhile."""
        try:
            sent = json.loads(body)
            version, values = int(sent["version"]), parse_decisions(sent["decisions"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return HTTPStatus.BAD_REQUEST, {"message": "got something else, expected decisions"}
        with self._lock:
            if version != self._decisions.version:
                return HTTPStatus.CONFLICT, {"message": "another window saved other decisions; reload this page"}
            decisions = Decisions(values, version + 1)
            try:
                write_decisions(self._dataset.path, decisions, self._included(values))
            except OSError as error:
                return HTTPStatus.INTERNAL_SERVER_ERROR, {"message": f"{error.filename}: {error.strerror}"}
            self._decisions = decisions
        return HTTPStatus.OK, {"version": decisions.version, "saved": str(exclude_path(self._dataset.path))}

    def _included(self, values: dict[str, dict[str, object]]) -> list[str]:
        """Ids of what is to be kept and is not in the file, or is because an earlier list asked for it."""
        kept = (id for id, said in values.items() if said["decision"] == "keep")
        return sorted(id for id in kept if id in self._asked or not self._in_file.get(id, True))

    def _sheet(self, number: int) -> bytes:
        thumbnails = thumbnails_of(self._dataset)
        if number >= thumbnails.num_sheets:
            raise IndexError(number)
        with self._lock:
            return thumbnails.sheet(number)

    def _render(self) -> bytes:
        sheets = [f"sheets/{number}.webp" for number in range(thumbnails_of(self._dataset).num_sheets)]
        data: dict[str, Any] = {"served": True, "photos": "photos/" if self._photos else None, "decisions": self.token}
        data["before"] = {"exclude": [], "include": sorted(self._asked)}
        data["saved"] = str(exclude_path(self._dataset.path))
        data["command"] = build_command(self._dataset, self._photos) if self._photos else None
        return render(file_page(self._dataset, self._rows, sheets, **data)).encode()


class Server(ThreadingHTTPServer):
    """Serves one CurationSession on the loopback; port 0 takes any that is free."""

    daemon_threads = True

    def __init__(self, desk: CurationSession, port: int) -> None:
        self.desk = desk
        super().__init__(("127.0.0.1", port), _Handler)
        names = [f"{host}:{self.server_port}" for host in ("127.0.0.1", "localhost")]
        self.hosts = frozenset(names)
        self.origins = frozenset(f"http://{name}" for name in names)
        self.address = f"http://127.0.0.1:{self.server_port}/{desk.token}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a browser that has gone; anything else is a fault, and shown."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        """As of TCPServer: HTTPServer's own asks a name server who 127.0.0.1 is."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "celebahq-data", ""
    timeout = 60

    def do_GET(self) -> None:
        path = self._path()
        if path is None:
            return
        desk, (kind, _, name) = self.server.desk, path.partition("/")
        try:
            number = int(name.removesuffix(".webp")) if name.removesuffix(".webp").isdecimal() else -1
            if path == "":
                self._send(HTTPStatus.OK, desk.page(), "text/html; charset=utf-8")
            elif kind == "sheets" and number >= 0:
                self._send(HTTPStatus.OK, desk.sheet(number), "image/webp")
            elif kind == "faces" and number >= 0:
                self._send(HTTPStatus.OK, desk.face(number), "image/webp")
            elif kind == "photos" and (photo := desk.photo(name)):
                self._send(HTTPStatus.OK, *photo)
            else:
                self._refuse(HTTPStatus.NOT_FOUND)
        except (IndexError, OverflowError, ValueError, DatasetError):  # no such row, or a damaged one
            self._refuse(HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        self.close_connection = True  # whatever is refused here may have a body that nobody reads
        if (path := self._path()) is None:
            return
        length = self.headers.get("Content-Length", "")
        is_ours = self.headers.get("Origin") in self.server.origins
        if not is_ours or self.headers.get("Content-Type") != "application/json":
            self._refuse(HTTPStatus.FORBIDDEN)
        elif path != "decisions":
            self._refuse(HTTPStatus.NOT_FOUND)
        elif not length.isdecimal() or int(length) > _MOST_BYTES:
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            status, told = self.server.desk.decide(self.rfile.read(int(length)))
            self._send(status, json.dumps(told).encode(), "application/json")

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""

    def _path(self) -> str | None:
        """Return what is asked for, below the token; None, and the answer is given, for anybody but our own page."""
        if self.headers.get("Host") not in self.server.hosts:  # a name that somebody pointed at this machine
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        if self.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            self._refuse(HTTPStatus.FORBIDDEN)
            return None
        token, slash, path = self.path.split("?")[0].removeprefix("/").partition("/")
        if not slash or not hmac.compare_digest(token.encode(), self.server.desk.token.encode()):
            self._refuse(HTTPStatus.NOT_FOUND)
            return None
        return unquote_to_bytes(path).decode("utf-8", "surrogateescape")

    def _refuse(self, status: HTTPStatus) -> None:
        self._send(status, f"{status.value} {status.phrase}\n".encode(), "text/plain; charset=utf-8")

    def _send(self, status: HTTPStatus, data: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Content-Security-Policy", self.server.desk.policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "max-age=3600" if kind == "image/webp" else "no-store")
        self.end_headers()
        self.wfile.write(data)
