"""A local HTTP server that misbehaves on request, and a home folder that is not the user's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Behaviour:
    """How the server treats one path: `body` is the true file.

    Attributes:
        cut_after: Bytes after which the connection ends, for each of the first requests.
        promise: Content-Length to claim instead of the truth.
        ranges: Whether range requests are understood.
        status: Status instead of 200.
        content_type: Header of that name.
        etag: Header of that name.
        requests: Range headers seen, in order.
    """

    body: bytes = b""
    cut_after: list[int] = field(default_factory=list)
    promise: int | None = None
    ranges: bool = True
    status: int = 200
    content_type: str = "application/octet-stream"
    etag: str = '"one"'
    requests: list[str] = field(default_factory=list)


class Server:
    def __init__(self, address: str) -> None:
        self.address = address
        self.paths: dict[str, Behaviour] = {}

    def serve(self, path: str, behaviour: Behaviour) -> str:
        self.paths[path] = behaviour
        return f"{self.address}{path}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviours: Server

    def do_GET(self) -> None:
        behaviour = self.behaviours.paths.get(self.path)
        self.close_connection = True
        if behaviour is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range", "")
        behaviour.requests.append(asked)
        start = self._start(behaviour, asked)
        if start > len(behaviour.body) or (start and start == len(behaviour.body)):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(behaviour.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._answer(behaviour, start)

    def _start(self, behaviour: Behaviour, asked: str) -> int:
        if not asked or not behaviour.ranges or behaviour.status != 200:
            return 0
        if self.headers.get("If-Range", behaviour.etag) != behaviour.etag:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _answer(self, behaviour: Behaviour, start: int) -> None:
        rest = behaviour.body[start:]
        self.send_response(206 if start else behaviour.status)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(behaviour.body) - 1}/{len(behaviour.body)}")
        self.send_header("Content-Type", behaviour.content_type)
        self.send_header("ETag", behaviour.etag)
        self.send_header("Content-Length", str(len(rest) if behaviour.promise is None else behaviour.promise - start))
        self.end_headers()
        cut = behaviour.cut_after.pop(0) if behaviour.cut_after else len(rest)
        self.wfile.write(rest[:cut])

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Server(f"http://127.0.0.1:{http.server_address[1]}")
    http.RequestHandlerClass = type("Bound", (Handler,), {"behaviours": running})  # type: ignore[assignment]
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "home with spaces, Grüße"
    monkeypatch.setenv("WARPRES_BENCH_HOME", str(folder))
    return folder


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Replace the registry by the entries given."""
    from bench.weights import registry

    def replace(*items: registry.Entry) -> None:
        monkeypatch.setattr(registry, "_registered", lambda: {item.name: item for item in items})
        monkeypatch.setattr(registry, "_ours", dict)

    return replace
