"""How much one process of simulated chargers costs, against a real node on a real database on loopback.

``python -m tests.support.fleet_bench 2000 60``: so many chargers for so many seconds after the last is in.
Not part of the tests: it prints memory and processor time of the simulator alone; the node is a child.
"""

import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import orjson
import uvloop

from api.embedded import EmbeddedPostgres
from csms.gateway import Gateway
from csms.options import GatewayOptions, GatewayStores, Sources
from csms.secrets import hash_secret
from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import Ledger
from csms.simulator.pace import SessionPattern, SimPace
from csms.simulator.spec import FleetSpec, default_fleet
from storage.charger import Charger, ChargerCredential, Site
from storage.clock import system_clock
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.migrate import upgrade
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.transaction_ids import PostgresTransactionIds
from storage.twin import Lifecycle

_PEPPER = b"p" * 32
_HEARTBEAT_S = 30


def bench_fleet(chargers: int) -> FleetSpec:
    """A quiet afternoon: a quarter of the outlets busy, sessions of minutes, heartbeats each 30 s."""
    pace = SimPace(session_s=(120.0, 600.0), meter_s=30.0, heartbeat_s=_HEARTBEAT_S)
    plain = default_fleet(chargers, sites=max(chargers // 20, 1))
    return replace(plain, pace=pace, sessions=SessionPattern(0.25), connect_per_s=150.0)


async def _register(chargers: PostgresChargerStore, fleet: FleetSpec) -> None:
    for site in fleet.sites():
        await chargers.put_site(Site(site, site, "UTC"))
    for spec in fleet.chargers:
        who, secret = spec.character, hash_secret(_PEPPER, spec.password)
        charger = Charger(spec.charger_id, spec.site_id, who.vendor, who.model, Lifecycle.ACTIVE)
        await chargers.register(charger, ChargerCredential(spec.charger_id, secret, system_clock()))


async def _node(count: int, pipe: Connection) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with EmbeddedPostgres(Path(folder), durable=False) as postgres:
            await upgrade(postgres.url)
            engine = create_engine(postgres.url, pool_size=10)
            chargers = PostgresChargerStore(engine)
            await _register(chargers, bench_fleet(count))
            stores = GatewayStores(
                chargers=chargers,
                routes=PostgresRouteStore(engine),
                ingest=PostgresIngestStore(engine),
                transactions=PostgresTransactionIds(engine),
            )
            options = GatewayOptions("bench", "b1", _PEPPER, port=0, heartbeat_interval_s=_HEARTBEAT_S)
            gateway = Gateway(options, stores, Sources(system_clock))
            await gateway.start()
            pipe.send(gateway.ports[0])
            await asyncio.to_thread(pipe.recv)
            await gateway.stop()
            await engine.dispose()


def _run_node(count: int, pipe: Connection) -> None:
    uvloop.run(_node(count, pipe))


async def _measure(count: int, seconds: float, port: int) -> dict[str, float]:
    fleet, stop = bench_fleet(count), asyncio.Event()
    before = _resident_kib()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        running = asyncio.create_task(
            run_fleet(
                fleet,
                csms_url=f"ws://127.0.0.1:{port}",
                report_path=report,
                stop_event=stop,
                clock=system_clock,
            )
        )
        await _until_in(running, report, count)
        cpu, wall = time.process_time(), time.monotonic()
        await asyncio.sleep(seconds)
        used = (time.process_time() - cpu) / (time.monotonic() - wall)
        tasks, resident = len(asyncio.all_tasks()), _resident_kib()
        stop.set()
        totals = (await running).totals()
    return {
        "chargers": count,
        "boots": totals["messages"]["acknowledged"]["BootNotification"],
        "cpu_share": round(used, 3),
        "kib_per_charger": round((resident - before) / count, 1),
        "tasks_per_charger": round(tasks / count, 2),
        "sessions_started": totals["sessions_started"],
        "acknowledged": sum(totals["messages"]["acknowledged"].values()),
        "simulator_errors": totals["simulator_errors"],
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


async def _until_in(running: asyncio.Task[Ledger], report: Path, count: int) -> None:
    """Until the server has let everybody in."""
    while not running.done():
        await asyncio.sleep(5)  # a file has no event
        if report.exists():  # noqa: ASYNC240
            totals = orjson.loads(report.read_bytes())["totals"]  # noqa: ASYNC240
            if totals["messages"]["acknowledged"].get("BootNotification", 0) >= count:
                return


def _resident_kib() -> int:
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


def main(count: int, seconds: float) -> None:
    """Run it and print one line of JSON."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    child = multiprocessing.get_context("spawn").Process(target=_run_node, args=(count, theirs))
    child.start()
    try:
        found = uvloop.run(_measure(count, seconds, ours.recv()))
        ours.send("stop")
        child.join(60)
    finally:
        if child.is_alive():
            child.terminate()
    print(json.dumps(found))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
