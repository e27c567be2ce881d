"""Silence is found by our own clock, on the real session; any answer is a sign of life."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from csms.canary import Canary, CanaryOptions, CanaryStores
from csms.gateway import DIALECTS
from csms.silence import SilenceRule, SilenceWatch
from storage.codec import to_json
from storage.events import ConnectionClosed, ConnectionOpened, HeartbeatReceived, StoredEvent
from storage.findings import ChargerFellSilent, ChargerSpokeAgain
from storage.incident import IncidentChange, IncidentKind

RULE = SilenceRule(probe_s=0.01, probes=2, every_s=0.005)
OPENED = ConnectionOpened("ocpp1.6", 2, "10.0.0.1", "n1")


def watch_over(world, rule: SilenceRule = RULE) -> SilenceWatch:
    watch = SilenceWatch(world.clock, 60, rule)
    watch.enter(world.session)
    return watch


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.001)


@pytest.mark.requirement("F104", "F110")
async def test_a_charger_that_says_nothing_and_answers_nothing_is_silent(make_world, record, clock) -> None:
    world = await make_world("ocpp1.6")
    await world.ingest.put([], [record(OPENED)])
    watch = watch_over(world)
    clock.advance(149)
    watch.look()
    assert world.socket.unheard == 0, "two and a half heartbeats are not over"
    clock.advance(1)
    watch.look()
    await until(lambda: world.store.facts(ChargerFellSilent))
    [found] = world.store.facts(ChargerFellSilent)
    assert found.silent_s == 150.0
    assert world.socket.unheard == 2
    assert [(await world.socket.hear())[3] for _ in range(2)] == [{"requestedMessage": "Heartbeat"}] * 2
    assert world.twin.connectivity.online
    assert world.twin.connectivity.silent
    clock.advance(60)
    watch.look()
    await asyncio.sleep(0)
    assert world.socket.unheard == 0, "once found it is not asked over and over"


@pytest.mark.requirement("F104")
async def test_one_word_ends_the_silence(make_world, record, clock) -> None:
    world = await make_world("ocpp1.6")
    await world.ingest.put([], [record(OPENED)])
    watch = watch_over(world)
    clock.advance(150)
    watch.look()
    await until(lambda: world.store.facts(ChargerFellSilent))
    clock.advance(30)
    for _ in range(2):
        await world.socket.hear()
    await world.socket.ask(2, "h", "Heartbeat", {})
    watch.look()
    await until(lambda: world.store.facts(ChargerSpokeAgain))
    assert world.store.facts(ChargerSpokeAgain) == [ChargerSpokeAgain(180.0)]
    assert not world.twin.connectivity.silent


@pytest.mark.parametrize(
    "answer",
    [
        (3, {"status": "Accepted"}),
        (3, {"status": "Rejected"}),
        (4, "NotSupported", "", {}),
        (4, "InternalError", "", {}),
    ],
    ids=["accepted", "rejected", "not-supported", "error"],
)
async def test_whatever_it_answers_it_lives(make_world, clock, answer) -> None:
    world = await make_world("ocpp1.6")
    watch = watch_over(world, replace(RULE, probe_s=5.0))
    clock.advance(150)
    watch.look()
    call = await world.socket.hear()
    kind, *rest = answer
    world.socket.say(kind, call[1], *rest)
    await until(lambda: not watch._asking)
    assert world.store.facts(ChargerFellSilent) == []
    assert world.session.heard_at == clock.now


async def test_the_flag_ends_with_the_connection(make_world, record, clock) -> None:
    world = await make_world("ocpp1.6")
    for event, expected in (
        (OPENED, False),
        (ChargerFellSilent(150.0), True),
        (HeartbeatReceived(), True),
        (ConnectionClosed(1006, ""), False),
        (ChargerFellSilent(150.0), False),
    ):
        await (await world.ingest.put([], [record(event)]))
        assert world.twin.connectivity.silent is expected


async def test_a_finding_about_an_older_socket_says_nothing_of_the_new_one(make_world, record, clock) -> None:
    world = await make_world("ocpp1.6")
    old = record(ChargerFellSilent(150.0))
    clock.advance(5)
    for event in (record(OPENED), old):
        await (await world.ingest.put([], [event]))
    assert not world.twin.connectivity.silent


class _Events:
    """Reads back what the world's store has."""

    def __init__(self, world) -> None:
        self._world = world

    async def since(self, charger_id, instant, kinds):
        found = [
            record
            for record in self._world.store.events
            if (record.charger_id, record.kind.value) == (charger_id, kinds[0])
        ]
        return [
            StoredEvent(
                1, each.charger_id, each.kind, to_json(each.event), each.observed_at, each.received_at
            )
            for each in found
            if each.received_at >= instant
        ]


class _Incidents:
    def __init__(self) -> None:
        self.changes: list[IncidentChange] = []

    async def apply(self, changes):
        self.changes += changes
        return len(changes)


def canary_over(world, watch: SilenceWatch, incidents: _Incidents) -> Canary:
    options = CanaryOptions("n1", slack_s=0.3)
    stores = CanaryStores(_Events(world), incidents)  # type: ignore[arg-type]  # what it uses of them
    return Canary(world.session._tools, DIALECTS["ocpp1.6"], watch, stores, options)


@pytest.mark.requirement("F110")
async def test_the_synthetic_charger_is_found_by_a_watch_that_works(make_world, clock) -> None:
    world, incidents = await make_world("ocpp1.6"), _Incidents()
    watch = SilenceWatch(clock, 60, RULE)
    canary = canary_over(world, watch, incidents)
    checking = asyncio.create_task(canary.check())
    await until(
        lambda: watch._watched and any("BootNotification" in text for text in world.store.journal("in"))
    )
    clock.advance(150)
    watching = asyncio.create_task(watch.run())
    assert await checking
    watching.cancel()
    assert watch._watched == set(), "it leaves nothing behind"
    await canary.tell(detected=True)
    assert world.session._tools.metrics.watchdog_detects._value.get() == 1
    assert [change.close for change in incidents.changes] == [True]


async def test_a_watch_that_does_not_run_is_told_of(make_world, clock) -> None:
    world, incidents = await make_world("ocpp1.6"), _Incidents()
    watch = SilenceWatch(clock, 0.01, RULE)
    canary = canary_over(world, watch, incidents)
    assert not await canary.check()
    await canary.tell(detected=False)
    [change] = incidents.changes
    assert (change.kind, change.subject, change.close) == (IncidentKind.WATCHDOG_BLIND, "node/n1", False)
    assert world.session._tools.metrics.watchdog_detects._value.get() == 0
