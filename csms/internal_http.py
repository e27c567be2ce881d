"""A node's own small HTTP port: is it alive, can it work, what did it count. Not for chargers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from csms.metrics import CsmsMetrics
from storage.errors import AmpwaveError

ReadinessCheck = Callable[[], Awaitable[None]]
"""Raises when what it asks cannot do its work."""

_SECONDS = 3.0


class InternalHttp:
    """Answers ``/livez``, ``/readyz`` and ``/metrics``; everything else is not there."""

    def __init__(self, metrics: CsmsMetrics, readiness: Mapping[str, ReadinessCheck]) -> None:
        self._metrics = metrics
        self._readiness = readiness

    async def listen(self, host: str, port: int) -> Server:
        """Serve until the server is closed."""
        return await serve(_no_socket, host, port, process_request=self._answer, open_timeout=10)

    async def _answer(self, connection: ServerConnection, request: Request) -> Response:
        match request.path.partition("?")[0]:
            case "/livez":
                return connection.respond(HTTPStatus.OK, "alive\n")
            case "/readyz":
                return await self._ready(connection)
            case "/metrics":
                response = connection.respond(HTTPStatus.OK, self._metrics.render().decode())
                del response.headers["Content-Type"]
                response.headers["Content-Type"] = CONTENT_TYPE_LATEST
                return response
        return connection.respond(HTTPStatus.NOT_FOUND, "Ask for /livez, /readyz or /metrics.\n")

    async def _ready(self, connection: ServerConnection) -> Response:
        words = await asyncio.gather(*(_ask(check) for check in self._readiness.values()))
        text = "".join(f"{name}: {word}\n" for name, word in zip(self._readiness, words, strict=True))
        ready = all(word == "ok" for word in words)
        return connection.respond(HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE, text)


async def _ask(check: ReadinessCheck) -> str:
    try:
        async with asyncio.timeout(_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {_SECONDS:g} s"
    except AmpwaveError as error:
        return error.message
    except Exception as error:  # noqa: BLE001 - an engine's client may raise anything; its kind is said, not its text
        return f"failed: {type(error).__name__}"
    return "ok"


async def _no_socket(_: ServerConnection) -> None:
    """Never called: every request is answered before a socket would open."""
