from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csms.clocks import ClockWatch, believed
from csms.dialect import Observed
from csms.frames import OCPP201
from storage.events import (
    ClockDriftChanged,
    ConnectorStatus,
    ConnectorStatusChanged,
    Event,
    MeterValuesSampled,
    TransactionStarted,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
BEGAN = NOW - timedelta(minutes=5)
STATUS = ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE)
START = TransactionStarted("1", 1, 1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def seen(behind_s: float, event: Event = STATUS) -> Observed:
    return Observed(event, NOW - timedelta(seconds=behind_s))


def test_a_time_that_is_yet_to_come_is_now() -> None:
    assert believed(None, NOW, 300) == NOW
    assert believed(NOW + timedelta(days=9000), NOW, 300) == NOW
    assert believed(NOW + timedelta(seconds=299), NOW, 300) == NOW + timedelta(seconds=299)
    assert believed(NOW - timedelta(days=30), NOW, 300) == NOW - timedelta(days=30), "it may have been queued"


@pytest.mark.requirement("F102")
def test_an_episode_is_told_when_it_begins_and_when_it_ends() -> None:
    watch = ClockWatch(300, BEGAN)
    judged = [watch.judge(seen(behind), NOW) for behind in (10, 400, 500, 400, 20, 10)]
    wrong, right = ClockDriftChanged(400, suspicious=True), ClockDriftChanged(20, suspicious=False)
    assert judged == [None, wrong, None, None, right, None]


def test_an_episode_of_an_earlier_session_is_not_told_again() -> None:
    watch = ClockWatch(300, BEGAN, suspicious=True)
    assert watch.judge(seen(400), NOW) is None
    assert watch.judge(seen(0), NOW) == ClockDriftChanged(0, suspicious=False)


@pytest.mark.parametrize(
    ("observed", "accused"),
    [
        (seen(4000, START), False),  # a session that began while it was offline
        (seen(4000, MeterValuesSampled(1)), False),
        (seen(-400, START), True),
        (Observed(START, EPOCH), True),
        (Observed(STATUS, None), False),
    ],
)
def test_only_what_no_queue_explains_accuses_the_clock(observed: Observed, accused: bool) -> None:
    judged = ClockWatch(300, BEGAN).judge(observed, NOW)
    assert (judged is not None and judged.suspicious) == accused


def test_a_status_just_after_connecting_may_have_been_queued() -> None:
    watch = ClockWatch(300, NOW - timedelta(seconds=10))
    assert watch.judge(seen(4000), NOW) is None


@pytest.mark.requirement("F102")
async def test_a_clock_that_was_never_set_is_flagged_and_what_it_dates_is_taken_as_now(
    make_world: Any,
) -> None:
    world = await make_world()
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
    await world.socket.ask(2, "1", "StatusNotification", {**status, "timestamp": "1970-01-01T00:00:07Z"})
    await world.session.settled()
    assert world.twin.connectivity.clock_suspicious
    assert world.twin.operation.connectors["1.1"].since == world.clock()
    await world.socket.ask(2, "2", "StatusNotification", {**status, "timestamp": "2026-11-20T12:00:01Z"})
    await world.session.settled()
    assert not world.twin.connectivity.clock_suspicious
    assert [each.suspicious for each in world.store.facts(ClockDriftChanged)] == [True, False]


async def test_a_clock_in_the_far_future_keeps_nothing_from_being_replaced(make_world: Any) -> None:
    world = await make_world(OCPP201)
    status = {"evseId": 1, "connectorId": 1}
    ahead = {**status, "connectorStatus": "Occupied", "timestamp": "2099-01-01T00:00:00Z"}
    await world.socket.ask(2, "1", "StatusNotification", ahead)
    world.clock.advance(5)
    now = {**status, "connectorStatus": "Available", "timestamp": "2026-11-20T12:00:05Z"}
    await world.socket.ask(2, "2", "StatusNotification", now)
    await world.session.settled()
    assert world.twin.operation.connectors["1.1"].status is ConnectorStatus.AVAILABLE
    assert all(record.observed_at <= world.clock() for record in world.store.events)
