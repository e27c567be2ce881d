"""The api under test, alone in its process: real app, real stores, real uvicorn."""

import asyncio
import gc
import os
import secrets
import time
from datetime import timedelta
from pathlib import Path

import structlog
import uvicorn
from sqlalchemy.ext.asyncio import AsyncEngine

from api.app import create_app
from api.auth import mint_token
from api.serving import listening
from storage.access import Principal, Role
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.clock import system_clock
from storage.postgres.engine import create_engine
from storage.s3 import S3BlobStore
from storage.ticket_binding import bound_ticket
from tests.benchmarks.child import Json, serve_commands
from tests.support.deployment import services_over


class Door:
    """Holds the server between commands."""

    def __init__(self) -> None:
        self._engine: AsyncEngine | None = None
        self._blobs: S3BlobStore | None = None
        self._server: uvicorn.Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self, given: Json) -> Json:
        """Serve; the port and an administrator's token."""
        self._engine = create_engine(given["database"])
        self._blobs = S3BlobStore(**given["s3"])
        self._services, _ = services_over(self._engine, self._blobs)
        text, token = mint_token(
            Principal("admin", Role.ADMIN),
            now=system_clock(),
            expires_at=None,
            token_id="bench",
            random_bytes=secrets.token_bytes,
        )
        await self._services.tokens.add(token)
        config = uvicorn.Config(
            create_app(self._services), port=0, log_config=None, access_log=False, timeout_graceful_shutdown=2
        )
        self._server = uvicorn.Server(config)
        listener = listening(config)
        self._serving = asyncio.create_task(self._server.serve([listener]))
        while not self._server.started:  # noqa: ASYNC110 - uvicorn announces it nowhere else
            await asyncio.sleep(0.01)
        return {"port": listener.getsockname()[1], "token": text}

    async def tickets(self, given: Json) -> Json:
        """One ticket each for so many chargers."""
        now = system_clock()
        texts = [
            bound_ticket(secrets.token_bytes(16), charger_id, given["sha256"])
            for charger_id in given["chargers"]
        ]
        for charger_id, text in zip(given["chargers"], texts, strict=True):
            hashed = sha256_hex(text.encode())
            until = now + timedelta(hours=1)
            await self._services.tickets.add(DownloadTicket(hashed, charger_id, given["sha256"], now, until))
        return {"paths": [f"/d/{text}" for text in texts]}

    async def collect(self, _: Json) -> Json:
        """Let go of what nobody needs, so that memory can be compared."""
        gc.collect()
        return {"at": time.monotonic()}

    async def close(self, _: Json) -> Json:
        """Stop."""
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving
        if self._blobs is not None:
            self._blobs.close()
        if self._engine is not None:
            await self._engine.dispose()
        return {}


if __name__ == "__main__":
    # Every line is made, as it is in production, but standard output belongs to the answers.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(Path(os.devnull).open("w")))  # noqa: SIM115 - open for ever
    door = Door()
    serve_commands(
        {"start": door.start, "tickets": door.tickets, "collect": door.collect, "close": door.close}
    )
