"""Chargers that read slowly, or not at all, over a real socket: bounded, cut, and free to resume."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import uvicorn

from api.app import create_app
from api.download_desk import DeskLimits
from api.ports import ApiLimits
from api.serving import listening
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.read_budget import ReadBudget
from storage.ticket_binding import bound_ticket
from tests.support.house import House
from tests.support.memory import MemoryBlobs

pytestmark = pytest.mark.integration
MIB = 1024 * 1024
KEY = "ab" * 32
TICKET = bound_ticket(b"t" * 16, "CP-1", KEY)


class EndlessBlobs(MemoryBlobs):
    """An image of a gigabyte that lies nowhere."""

    async def length(self, key: str) -> int:
        return 1024 * MIB

    async def read(
        self, key: str, *, first: int = 0, last: int | None = None, budget: ReadBudget | None = None
    ) -> AsyncIterator[bytes]:
        for _ in range(1024):
            await asyncio.sleep(0)  # a real store lets others run, too
            yield bytes(MIB)


@asynccontextmanager
async def served(**limits: float) -> AsyncIterator[tuple[House, int]]:
    """The app as the api serves it, and its port."""
    house = House(blobs=EndlessBlobs(), limits=ApiLimits(downloads=DeskLimits(**limits)))  # type: ignore[arg-type]
    hashed, hour = sha256_hex(TICKET.encode()), timedelta(hours=1)
    house.tickets.tickets[hashed] = DownloadTicket(hashed, "CP-1", KEY, house.now, house.now + hour)
    config = uvicorn.Config(create_app(house.services), port=0, log_level="critical", lifespan="off")
    listener, server = listening(config), uvicorn.Server(config)
    house.app = config.app  # type: ignore[assignment]
    task = asyncio.create_task(server.serve([listener]))
    async with asyncio.timeout(20):
        while not server.started:  # noqa: ASYNC110 - uvicorn announces it nowhere else
            await asyncio.sleep(0.01)
    try:
        yield house, listener.getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def begun(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A download whose head has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET /d/{TICKET} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    return reader, writer


async def until_free(house: House) -> None:
    async with asyncio.timeout(20):
        while house.app.state.desk.taken:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.01)


@pytest.mark.requirement("S43")
async def test_a_charger_that_takes_nothing_is_cut_off() -> None:
    async with served(stall_s=0.2) as (house, port):
        _, writer = await begun(port)
        assert house.app.state.desk.taken == 1
        await until_free(house)
        writer.close()


@pytest.mark.requirement("S43")
async def test_a_revoked_ticket_ends_the_download_that_runs_and_the_rest_is_missing() -> None:
    async with served() as (house, port):
        reader, writer = await begun(port)
        (hashed,) = house.tickets.tickets
        ticket = house.tickets.tickets[hashed]
        house.tickets.tickets[hashed] = DownloadTicket(
            hashed, ticket.charger_id, KEY, ticket.not_before, ticket.expires_at, revoked=True
        )
        await house.app.state.desk.note()
        async with asyncio.timeout(20):
            got = 0
            while data := await reader.read(MIB):
                got += len(data)
        assert got < 1024 * MIB
        await until_free(house)
        writer.close()


async def test_a_charger_that_goes_away_gives_its_seat_back() -> None:
    async with served() as (house, port):
        _, writer = await begun(port)
        writer.transport.abort()
        await until_free(house)


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="a Linux option")
def test_the_kernel_too_gives_up_on_who_takes_nothing() -> None:
    config = uvicorn.Config(House().app, port=0, log_config=None)
    listener = listening(config)
    try:
        listener.listen()
        listener.setblocking(True)
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) > 0
        accepted.close()
        client.close()
    finally:
        listener.close()
