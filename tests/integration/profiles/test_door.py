"""Whether a door stands open, asked over real sockets: what would fail for a charger fails here first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from activities.door import probe_door
from csms.tls import ServerTlsFiles, build_context
from tests.support.pki import Authority
from tests.support.tls_bench import TlsBench

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F54")]


@asynccontextmanager
async def door(answer: bytes, bench: TlsBench | None = None) -> AsyncIterator[int]:
    """A server that says this to everybody; with TLS, if there is a bench."""

    async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        writer.close()

    context = build_context(ServerTlsFiles((bench.server_certificate("server"),))) if bench else None
    server = await asyncio.start_server(said, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_only_a_chain_of_the_chargers_own_root_opens_it(tmp_path: Path) -> None:
    bench = TlsBench(tmp_path)
    ours, other = bench.root_file.read_text(), Authority.root("Other", bench.now)
    foreign = other.write(tmp_path / "other.pem").read_text()
    async with door(b"HTTP/1.1 426 Upgrade Required\r\n\r\n", bench) as port:
        assert await probe_door(f"wss://localhost:{port}/ocpp", ours) == ""
        refused = await probe_door(f"wss://localhost:{port}/ocpp", foreign)
        assert "knows this root alone refuses the server" in refused
        assert "no web server" in await probe_door(f"ws://localhost:{port}/ocpp", "")


async def test_what_is_no_door_says_why(tmp_path: Path) -> None:
    root = TlsBench(tmp_path).root_file.read_text()
    async with door(b"SSH-2.0-OpenSSH\r\n") as port:
        assert "no web server" in await probe_door(f"ws://127.0.0.1:{port}/ocpp", "")
        assert "no TLS" in await probe_door(f"wss://127.0.0.1:{port}/ocpp", root)
    assert "cannot be opened" in await probe_door(f"ws://127.0.0.1:{port}/ocpp", "")
    async with door(b"HTTP/1.1 426 Upgrade Required\r\n\r\n") as port:
        assert await probe_door(f"ws://127.0.0.1:{port}/ocpp", "") == ""


async def test_a_door_that_says_nothing_is_given_up() -> None:
    held = await asyncio.start_server(lambda *_: asyncio.Event().wait(), "127.0.0.1", 0)
    port = held.sockets[0].getsockname()[1]
    assert "does not answer within" in await probe_door(f"ws://127.0.0.1:{port}/", "", seconds=0.05)
    held.close()
