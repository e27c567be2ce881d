"""Chargers that share no code with the node: five brands, both generations, on real sockets."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import acknowledged_ids
from csms.simulator.pace import SimPace
from csms.simulator.spec import FleetSpec, SessionPattern, default_fleet
from storage.charger import Site
from storage.clock import system_clock
from storage.events import EventKind
from storage.postgres.frames import PostgresFrameStore

pytestmark = pytest.mark.integration

PACE = SimPace(session_s=(0.3, 0.6), meter_s=0.1, plug_s=0.02, backoff_s=(0.1, 0.5), heartbeat_s=0.5)


async def until(check: Callable[[], Awaitable[bool]], place: Any) -> None:
    """Wait for something to be stored that makes it true."""
    async with asyncio.timeout(30), place.events.changes() as changes:
        while not await check():
            await anext(changes)


async def registered(place: Any, fleet: FleetSpec) -> None:
    for site in fleet.sites():
        await place.chargers.put_site(Site(site, site, "UTC"))
    for charger in fleet.chargers:
        await place.register(charger.charger_id, charger.password)


@pytest.mark.requirement("F72", "F69", "F81", "F82")
async def test_a_mixed_fleet_charges_while_its_node_is_replaced_and_nothing_is_lost(place: Any) -> None:
    fleet = replace(default_fleet(10, 2), pace=PACE, sessions=SessionPattern(0.7), connect_per_s=1000)
    await registered(place, fleet)
    names = [charger.charger_id for charger in fleet.chargers]
    first = await place.start_node("node-1")
    stop = asyncio.Event()
    port = first.ports[0]
    url = f"ws://127.0.0.1:{port}/ocpp"
    running = asyncio.create_task(
        run_fleet(fleet, csms_url=url, report_path=None, stop_event=stop, clock=system_clock)
    )

    async def all_have_ended(sessions: int) -> bool:
        views = await place.chargers.views(names)
        return all(view.twin.operation and len(view.twin.operation.ended) >= sessions for view in views)

    await until(lambda: all_have_ended(1), place)
    await first.stop()
    await place.start_node("node-2", port=port)
    await until(lambda: all_have_ended(3), place)
    stop.set()
    ledger = await asyncio.wait_for(running, 20)
    await check_what_is_known(place, names, ledger.as_json(final=True))


async def check_what_is_known(place: Any, names: list[str], report: dict[str, Any]) -> None:
    journal = PostgresFrameStore(place.engine)
    for name in names:
        assert await place.bodies(EventKind.FRAME_REJECTED, name) == [], name
        assert set(acknowledged_ids(report["chargers"][name])) <= await journal.message_ids(name), name
        started = await place.bodies(EventKind.TRANSACTION_STARTED, name)
        ids = [body["transaction_id"] for body in started]
        assert len(ids) == len(set(ids)), f"{name} has a session twice"
    assert report["totals"]["simulator_errors"] == 0
