"""Running a whole fleet in one process."""

import asyncio
import secrets
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from cryptography import x509

from csms.simulator.charger import Charger, World
from csms.simulator.concurrency import cancel, wait_for_event
from csms.simulator.ledger import Ledger
from csms.simulator.report import keep_report, write_report
from csms.simulator.spec import FleetSpec
from storage.clock import Clock
from storage.errors import InvalidInput

_FETCH_TIMEOUT_S = 30.0


async def run_fleet(
    fleet: FleetSpec,
    *,
    csms_url: str,
    report_path: Path | None,
    stop_event: asyncio.Event,
    clock: Clock,
    run_id: str | None = None,
) -> Ledger:
    """Switch the chargers on, ``connect_per_s`` each second, and run them until ``stop_event``.

    ``csms_url`` without a path gets ``/ocpp``. ``run_id`` (at most 20 characters) begins every message
    id and must be new for every run, because a charger may never use a message id twice; None: random.
    Returns the ledger; the report file, if asked for, is rewritten while it runs and final at the end.
    """
    ledger = Ledger(fleet.name, fleet.seed, run_id or secrets.token_hex(6), clock)
    async with httpx2.AsyncClient(
        timeout=_FETCH_TIMEOUT_S, trust_env=False, limits=httpx2.Limits(max_connections=100)
    ) as http:
        roots = tuple(x509.load_pem_x509_certificate(pem.encode()) for pem in fleet.manufacturer_roots)
        world = World(fleet, _socket_url(csms_url), roots, http, ledger, clock)
        chargers = [Charger(spec, world) for spec in fleet.chargers]
        await _run(chargers, fleet, report_path, stop_event, ledger)
    if report_path:
        write_report(ledger, report_path, final=True)
    return ledger


async def _run(
    chargers: list[Charger],
    fleet: FleetSpec,
    report_path: Path | None,
    stop_event: asyncio.Event,
    ledger: Ledger,
) -> None:
    running: list[asyncio.Task[None]] = []
    if report_path:
        report = keep_report(ledger, report_path, stop_event, fleet.pace.report_s)
        running.append(asyncio.create_task(report))
    try:
        await _switch_on(chargers, fleet.connect_per_s, stop_event, running, ledger)
        await stop_event.wait()
    finally:
        await cancel(*running)


async def _switch_on(
    chargers: list[Charger],
    per_second: float,
    stop: asyncio.Event,
    running: list[asyncio.Task[None]],
    ledger: Ledger,
) -> None:
    for charger in chargers:
        if stop.is_set():
            return
        running.append(asyncio.create_task(_guarded(charger, ledger), name=charger.spec.charger_id))
        await wait_for_event(stop, 1 / per_second)


async def _guarded(charger: Charger, ledger: Ledger) -> None:
    try:
        await charger.run()
    except Exception as error:  # noqa: BLE001 a bug of the simulator is counted, not hidden
        ledger.chargers[charger.spec.charger_id].note("simulator_error", why=repr(error))


def _socket_url(csms_url: str) -> str:
    parts = urlsplit(csms_url)
    if parts.scheme not in ("ws", "wss") or not parts.netloc:
        raise InvalidInput(
            f"{csms_url!r} is no address of a CSMS.", hint="Give one like ws://127.0.0.1:9000/ocpp."
        )
    path = parts.path.rstrip("/") or "/ocpp"
    return f"{parts.scheme}://{parts.netloc}{path}"
