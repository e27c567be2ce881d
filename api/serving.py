"""The roles at work: each opens what it needs, serves until SIGTERM, and lets go in order."""

import asyncio
import socket
from contextlib import AsyncExitStack

import structlog
import uvicorn

from api import bootstrap, watchers
from api.key_access import described
from api.settings import Settings
from api.until_signalled import until_signalled
from csms import collector
from storage.errors import EngineUnavailable
from storage.seat import HeldSeat
from workflows.client import Orchestrator
from workflows.relay import Relay

_SEAT_PAUSE_S = 2.0

_log = structlog.get_logger("serving")
_SILENT_MS = 120_000


async def serve_api(settings: Settings) -> None:
    """HTTP, dashboard and downloads. uvicorn listens for SIGTERM itself."""
    async with bootstrap.open_stores(settings) as stores:
        client = await bootstrap.connect_temporal(settings)
        app = bootstrap.api_app(settings, stores, client)
        config = uvicorn.Config(
            app,
            host=settings.bind_host,
            port=settings.api_port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,  # an open event stream would otherwise hold the process for ever
        )
        await uvicorn.Server(config).serve([listening(config)])


def listening(config: uvicorn.Config) -> socket.socket:
    """The api's listening socket. Who takes nothing of what is sent to him loses his connection.

    A closed connection would otherwise wait for ever to hand over what is still on its way (S43).
    """
    listener = config.bind_socket()
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; accepted sockets inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENT_MS)
    return listener


async def serve_csms(settings: Settings) -> None:
    """Sockets, and the worker of this node's own queue."""
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(bootstrap.open_stores(settings))
        client = await bootstrap.connect_temporal(settings)
        gateway, worker = bootstrap.csms_node(settings, stores, client)
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        if settings.csms_watchdog_check_s > 0:
            checks = asyncio.create_task(watchers.canary(settings, stores, gateway).run())
            stack.callback(checks.cancel)
        await stack.enter_async_context(worker)  # left first: no new command, then the sockets
        collector.tune()
        _log.info("csms.serving", ports=gateway.ports)
        await until_signalled()
        gateway.close_doors()  # commands in flight may take a while; nobody new shall wait for their end


async def serve_worker(settings: Settings) -> None:
    """Workflows and shared activities."""
    async with bootstrap.open_stores(settings) as stores:
        client = await bootstrap.connect_temporal(settings)
        await Orchestrator(client).ensure_schedules()
        async with bootstrap.shared_worker(settings, stores, client):
            _log.info("worker.serving")
            await until_signalled()


async def serve_signer(settings: Settings) -> None:
    """The signer's queue, while no other signer with these keys is at work; else it stands by.

    The housekeeping schedule asks it for fresh metadata.
    """
    async with bootstrap.open_stores(settings) as stores:
        client = await bootstrap.connect_temporal(settings)
        signer = bootstrap.signing_service(settings, stores)
        for role, found in (await asyncio.to_thread(described, settings)).items():
            (_log.warning if "problem" in found else _log.info)("signer.key", key=role, **found)
        stop = asyncio.create_task(until_signalled())
        try:
            while (seat := await _seated(settings, stop)) is not None:
                async with seat, bootstrap.signer_worker(settings, stores, client, signer):
                    _log.info("signer.serving")
                    lost = asyncio.create_task(seat.lost.wait())
                    await asyncio.wait({lost, stop}, return_when=asyncio.FIRST_COMPLETED)
                    lost.cancel()
                if stop.done():
                    return
                _log.warning("signer.seat_lost", next="it stops signing and stands by until it has it again")
        finally:
            stop.cancel()


async def _seated(settings: Settings, stop: "asyncio.Task[None]") -> HeldSeat | None:
    """The signer's seat as soon as it is free; None: told to stop before."""

    def taken(holder: str) -> None:
        _log.info("signer.standing_by", holder=holder, why="another signer with these keys is at work")

    while not stop.done():
        taking = asyncio.create_task(bootstrap.signer_seat(settings).take(taken))
        await asyncio.wait({taking, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not taking.done():
            taking.cancel()
            return None
        try:
            return taking.result()
        except EngineUnavailable as error:
            _log.warning("signer.no_seat", reason=error.message)
            await asyncio.wait({stop}, timeout=_SEAT_PAUSE_S)
    return None


async def serve_relay(settings: Settings) -> None:
    """From the outbox to the workflows; beside it, events to projections and notices to webhooks."""
    async with bootstrap.open_stores(settings) as stores:
        client = await bootstrap.connect_temporal(settings)
        collector.tune()
        relay = asyncio.create_task(Relay(stores.outbox, client).run())
        observer = asyncio.create_task(watchers.observer(settings, stores).run())
        herald = asyncio.create_task(bootstrap.herald(settings, stores).run())
        stop = asyncio.create_task(until_signalled())
        _log.info("relay.serving")
        tasks = (relay, observer, herald, stop)
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for task in done - {stop}:
            task.result()
