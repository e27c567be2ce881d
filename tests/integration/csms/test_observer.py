"""The observer beside a real node: projections follow the sockets, and a dark site is one incident."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from csms.frames import OCPP16
from storage.clock import system_clock
from storage.events import EventKind
from storage.postgres.health import PostgresHealthStore
from storage.postgres.incidents import PostgresIncidentStore
from storage.postgres.projections import PostgresProjectionStore
from storage.postgres.service import PostgresServiceStore
from storage.service import GroupBy
from workflows.observer import Observer, ObserverPace, ObserverStores
from workflows.outages import OutageRule

pytestmark = pytest.mark.integration
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


async def until(found: Callable[[], Awaitable[Any]]) -> Any:
    """What is found, once it is there."""
    async with asyncio.timeout(20):
        while not (there := await found()):  # noqa: ASYNC110 - nothing announces a projection
            await asyncio.sleep(0.02)
    return there


@pytest.fixture
def observer(place: Any) -> Observer:
    stores = ObserverStores(
        place.events,
        PostgresProjectionStore(place.engine),
        PostgresIncidentStore(place.engine),
        PostgresHealthStore(place.engine),
    )
    rule = OutageRule(after=timedelta(0))
    return Observer(stores, system_clock, ObserverPace(rest_s=0.01, sites_every_s=0.05), rule)


@pytest.fixture
async def observing(observer: Observer) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(observer.run())
    yield task
    task.cancel()
    await asyncio.wait({task})


async def test_health_follows_the_sockets(place: Any, observing: asyncio.Task[None]) -> None:
    health = PostgresHealthStore(place.engine)

    async def booted() -> Any:
        now = system_clock()
        fleet = await health.signals(["CP-1"], now - HOUR, now + HOUR, WEEK)
        return fleet if fleet.chargers[0].window.boots else None

    node = await place.start_node()
    async with place.charger(node, subprotocols=(OCPP16,)) as peer:
        await peer.boot()
        fleet = await until(booted)
        assert fleet.chargers[0].heard_minutes >= 1
        assert fleet.watermark.sequence > 0
    assert not observing.done()


@pytest.mark.requirement("F104")
async def test_a_site_that_goes_dark_is_one_incident_that_closes(
    place: Any, observing: asyncio.Task[None]
) -> None:
    incidents = PostgresIncidentStore(place.engine)
    names = ("CP-1", "CP-2", "CP-3")
    for name in names[1:]:
        await place.register(name)
    node = await place.start_node()
    async with AsyncExitStack() as site:
        for name in names:
            await (await site.enter_async_context(place.charger(node, name))).boot()
        assert await incidents.find() == []
    [outage] = await until(incidents.find)
    assert (outage.kind.value, outage.subject) == ("site_outage", "site/site-1")
    assert set(outage.detail["chargers"]) <= set(names)
    for name in names:
        await place.wait_for(EventKind.CONNECTION_CLOSED, charger_id=name)
    async with AsyncExitStack() as site:
        for name in names:
            await (await site.enter_async_context(place.charger(node, name))).boot()

        async def closed() -> bool:
            return not await incidents.find()

        await until(closed)
    assert not observing.done()


async def test_a_projection_that_cannot_go_on_stops_nothing_else(place: Any, observer: Observer) -> None:
    service = PostgresServiceStore(place.engine)
    observer._stores = replace(observer._stores, service=service)
    failing = asyncio.Event()

    async def broken(*_: Any, **_options: Any) -> None:
        failing.set()
        raise ValueError("an event that nobody understands")

    observer._stores.projections.advance_health = broken  # type: ignore[method-assign]
    task = asyncio.create_task(observer.run())
    async with asyncio.timeout(20):
        await failing.wait()
    node = await place.start_node()
    async with place.charger(node, subprotocols=(OCPP16,)) as peer:
        await peer.boot()

        async def counted() -> Any:
            now = system_clock()
            return (await service.report(GroupBy.CHARGER, now.date(), now)).groups

        await until(counted)
    assert not task.done()
    task.cancel()
    await asyncio.wait({task})
