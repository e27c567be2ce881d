"""The file server of a local controller: images by their checksum, over HTTP, on loopback."""

import asyncio
import contextlib
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

_HOST = "127.0.0.1"
_CLOSING_S = 2


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are for whoever runs the fleet."""
        yield


class Shelf:
    """What is offered here. It answers from the first image on, with Range, and only while it has power."""

    def __init__(self, served: Callable[[str], None]) -> None:
        self.powered = True
        self._served = served
        self._files: dict[str, Path] = {}
        self._fetching: Counter[str] = Counter()
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._address = ""

    def offer(self, name: str, image: bytes) -> str:
        """Put an image here; returns its address. Raises OSError."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="ampwave-controller-")
        path = Path(self._folder.name) / name
        path.write_bytes(image)
        self._files[name] = path
        if self._serving is None:
            self._start()
        return f"{self._address}/{name}"

    def _start(self) -> None:
        listener = socket.create_server((_HOST, 0))  # Whoever comes before it serves waits there.
        self._address = f"http://{_HOST}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self, lifespan="off", log_config=None, log_level="warning", timeout_graceful_shutdown=_CLOSING_S
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve([listener]))

    def __contains__(self, name: str) -> bool:
        return name in self._files

    def fetched_now(self, name: str) -> bool:
        """Whether somebody is in the middle of it."""
        return self._fetching[name] > 0

    def withdraw(self, name: str) -> None:
        """Offer it no more."""
        self._files.pop(name).unlink(missing_ok=True)

    async def close(self) -> None:
        """The simulation is over."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._folder is not None:
            self._folder.cleanup()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        name = scope["path"].removeprefix("/")
        self._fetching[name] += 1
        try:
            await self._answer(name, scope["method"])(scope, receive, send)
        finally:
            self._fetching[name] -= 1

    def _answer(self, name: str, method: str) -> Response:
        path = self._files.get(name) if self.powered else None
        if path is None or method not in ("GET", "HEAD"):
            return PlainTextResponse("There is nothing here.\n", 404)
        self._served(name)
        return FileResponse(path)
