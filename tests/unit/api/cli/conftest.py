"""A tiny api on a loopback port that answers from a table, and the command line pointed at it."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from typer.testing import CliRunner, Result

from api.cli.main import app
from api.cli.session import Session

PREFIX = "/api/v1"
TOKEN = "amp_test_0123456789abcdef"


@dataclass
class Seen:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, Any] | Callable[[Seen], tuple[int, Any]]


@dataclass
class FakeApi:
    """Answers by (method, path below /api/v1); a list is played once through, its last answer stays."""

    url: str = ""
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    def page(self, path: str, items: list[Any]) -> None:
        self.on("GET", path, (200, {"items": items, "next_cursor": None}))

    def refuse(self, method: str, path: str, status: int, **problem: Any) -> None:
        self.on(method, path, (status, {"type": "/problems/x", "status": status, **problem}))

    def answer(self, request: Seen) -> tuple[int, Any]:
        self.seen.append(request)
        queue = self.answers.get((request.method, request.path))
        if queue is None:
            return 404, {"title": "There is no such thing", "detail": f"no {request.path}", "status": 404}
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        return found(request) if callable(found) else found

    def last(self, method: str, path: str) -> Seen:
        return [one for one in self.seen if (one.method, one.path) == (method, path)][-1]


class _Handler(BaseHTTPRequestHandler):
    fake: FakeApi
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        request = Seen(
            self.command,
            parts.path.removeprefix(PREFIX),
            parse_qs(parts.query),
            dict(self.headers.items()),
            body,
        )
        status, document = self.fake.answer(request)
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        if status == 204:
            data = b""
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server looks for these names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Silence."""


@pytest.fixture(scope="session")
def _server() -> Iterator[tuple[str, type[_Handler]]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", _Handler
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def fake(_server: tuple[str, type[_Handler]]) -> FakeApi:
    url, handler = _server
    handler.fake = FakeApi(url)
    return handler.fake


Run = Callable[..., Result]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and an environment without Ampwave settings."""
    import os

    for name in [name for name in os.environ if name.startswith("AMPWAVE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(fake: FakeApi, home: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command against the fake api, with a token, without waiting between looks."""
    monkeypatch.setenv("AMPWAVE_PUBLIC_URL", fake.url)
    monkeypatch.setenv("AMPWAVE_TOKEN", TOKEN)
    monkeypatch.setattr(Session, "pause", lambda self, seconds: None)

    def invoke(*arguments: str, **options: Any) -> Result:
        return CliRunner().invoke(app, list(arguments), prog_name="ampwave", **options)

    return invoke
