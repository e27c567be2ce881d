"""Sessions in doubt on real sockets over a real database: found, asked about, settled, and never cut."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.testing import ActivityEnvironment

from activities.recovery import Found, QuestionInput, RecoveryActivities, ResolveInput
from csms.frames import OCPP16, OCPP201
from csms.session_records import fold
from storage.charging import ChargingSession, SessionState
from storage.clock import system_clock
from storage.events import EventKind
from storage.findings import SessionFinding
from storage.postgres.charging import PostgresSessionStore
from storage.postgres.incidents import PostgresIncidentStore
from storage.postgres.projections import PostgresProjectionStore
from storage.twin import busy_reason
from workflows.session_rules import Inquiry, Resolution, SessionWatchPolicy, resolve

pytestmark = pytest.mark.integration

STATION = {
    "chargingStation": {"vendorName": "V", "model": "M", "firmwareVersion": "2.0"},
    "reason": "PowerUp",
}
AT_ONCE = SessionWatchPolicy(quiet=timedelta(0), again_after=timedelta(0), stuck_after=timedelta(0))


class Watchdog:
    """Rounds of the session watchdog on one node, without Temporal between its parts."""

    def __init__(self, place: Any, node: Any) -> None:
        self.place, self.sessions = place, PostgresSessionStore(place.engine)
        self.projections = PostgresProjectionStore(place.engine)
        self.recovery = RecoveryActivities(place.chargers, node, node.watching, system_clock)

    async def record(self, transaction_id: str) -> ChargingSession:
        while (await self.projections.advance_sessions(fold)).read:
            pass
        return await self.sessions.get("CP-1", transaction_id)

    async def round(self, transaction_id: str) -> tuple[SessionFinding, Resolution]:
        """Ask about it and act on what comes of that."""
        await self.record(transaction_id)
        doubts = await self.sessions.doubtful(system_clock(), timedelta(0), again_after=timedelta(0))
        [doubt] = [each for each in doubts if each.session.transaction_id == transaction_id]
        epoch = doubt.route.session_epoch
        run = ActivityEnvironment().run
        given = QuestionInput("CP-1", transaction_id, epoch, doubt.doubt, 2.0, deadline_seconds=5.0)
        found: Found = await run(self.recovery.question_session, given)
        inquiry = Inquiry(found.finding, doubt.session.asked + 1, doubt.session.heard_at)
        resolution, reason = resolve(inquiry, AT_ONCE, system_clock())
        if resolution is not Resolution.KEEP:
            abandon = resolution is Resolution.ABANDON
            decided = ResolveInput("CP-1", transaction_id, epoch, abandon, reason, found.as_of)
            await run(self.recovery.resolve_session, decided)
        return found.finding, resolution


async def obey(peer: Any, **answers: Any) -> None:
    """A 1.6 charger that tells its connector's status when asked, and has no readings to tell."""
    number = 0
    while True:
        kind, message_id, *rest = await peer.hear()
        if kind != 2:
            continue
        _action, payload = rest
        wanted = payload.get("requestedMessage")
        await peer.say(3, message_id, {"status": "Accepted" if wanted in answers else "NotImplemented"})
        if wanted in answers:
            number += 1
            await peer.say(2, f"asked {number}", wanted, answers[wanted])


async def start16(peer: Any) -> str:
    await peer.boot()
    await peer.ask(2, "s1", "StatusNotification", status16("Charging"))
    start = {"connectorId": 1, "idTag": "T", "meterStart": 100, "timestamp": now()}
    return str((await peer.ask(2, "s2", "StartTransaction", start))[2]["transactionId"])


def now() -> str:
    return system_clock().isoformat()


def status16(word: str) -> dict[str, Any]:
    return {"connectorId": 1, "errorCode": "NoError", "status": word}


@pytest.mark.requirement("F84")
async def test_a_session_on_a_free_connector_is_given_up_after_two_questions(place: Any) -> None:
    node = await place.start_node()
    watchdog = Watchdog(place, node)
    async with place.charger(node, subprotocols=(OCPP16,)) as peer:
        transaction_id = await start16(peer)
        await peer.ask(2, "s3", "StatusNotification", status16("Available"))
        obeying = asyncio.create_task(obey(peer, StatusNotification=status16("Available")))

        assert await watchdog.round(transaction_id) == (SessionFinding.FREE, Resolution.KEEP)
        busy = busy_reason((await place.twin()).operation, system_clock())
        assert busy == f"session {transaction_id} is open on EVSE 1", "still a session"
        assert await watchdog.round(transaction_id) == (SessionFinding.FREE, Resolution.ABANDON)

        assert busy_reason((await place.twin()).operation, system_clock()) is None
        record = await watchdog.record(transaction_id)
        assert (record.state, record.asked) == (SessionState.ABANDONED, 2)
        assert "connectors are Available" in (record.stop_reason or "")
        obeying.cancel()

        reading = {"connectorId": 1, "transactionId": int(transaction_id), "meterValue": []}
        sampled = {"timestamp": now(), "sampledValue": [{"value": "150"}]}
        await peer.say(2, "m1", "MeterValues", {**reading, "meterValue": [sampled]})
        await place.wait_for(EventKind.METER_VALUES_SAMPLED)
        await node.settle("CP-1", 1)
        assert transaction_id in (await place.twin()).operation.transactions, "it lived, so it counts again"
        assert (await watchdog.record(transaction_id)).state is SessionState.RECOVERED


@pytest.mark.requirement("F84")
async def test_a_session_that_nothing_settles_stays_one_and_a_person_is_told(place: Any) -> None:
    node = await place.start_node()
    watchdog = Watchdog(place, node)
    async with place.charger(node, subprotocols=(OCPP16,)) as peer:
        transaction_id = await start16(peer)
        obeying = asyncio.create_task(obey(peer))
        assert await watchdog.round(transaction_id) == (SessionFinding.UNKNOWN, Resolution.KEEP)
        assert await watchdog.round(transaction_id) == (SessionFinding.UNKNOWN, Resolution.TELL)
        obeying.cancel()

    busy = busy_reason((await place.twin()).operation, system_clock())
    assert busy is not None
    assert "stuck, a person has to look" in busy
    assert (await watchdog.record(transaction_id)).stuck_since is not None
    [incident] = await PostgresIncidentStore(place.engine).find()
    assert incident.subject == f"session/CP-1/{transaction_id}"


@pytest.mark.requirement("F84", "F85")
@pytest.mark.parametrize(
    ("says", "finding", "state"),
    [
        ({"ongoingIndicator": False, "messagesInQueue": False}, SessionFinding.GONE, SessionState.ABANDONED),
        (
            {"ongoingIndicator": True, "messagesInQueue": False},
            SessionFinding.ONGOING,
            SessionState.RECOVERED,
        ),
        ({"ongoingIndicator": False, "messagesInQueue": True}, SessionFinding.UNKNOWN, SessionState.SUSPECT),
    ],
    ids=["gone", "ongoing", "queued"],
)
async def test_after_a_restart_a_2x_charger_is_asked_itself(place: Any, says, finding, state) -> None:
    # evcc-io/evcc#33909: a transaction from before the reboot blocked everything after it.
    node = await place.start_node()
    watchdog = Watchdog(place, node)
    async with place.charger(node, subprotocols=(OCPP201,)) as peer:
        await peer.ask(2, "1", "BootNotification", STATION)
        status = {"timestamp": now(), "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
        await peer.ask(2, "2", "StatusNotification", status)
        begun = {
            "eventType": "Started",
            "timestamp": now(),
            "triggerReason": "CablePluggedIn",
            "seqNo": 0,
            "transactionInfo": {"transactionId": "tx-7"},
            "evse": {"id": 1, "connectorId": 1},
        }
        await peer.ask(2, "3", "TransactionEvent", begun)
        await peer.ask(2, "4", "BootNotification", STATION)
        assert (await watchdog.record("tx-7")).state is SessionState.SUSPECT

        async def answer() -> None:
            _, message_id, action, payload = await peer.hear()
            assert (action, payload) == ("GetTransactionStatus", {"transactionId": "tx-7"})
            await peer.say(3, message_id, says)

        answering = asyncio.create_task(answer())
        assert (await watchdog.round("tx-7"))[0] is finding
        await answering
        assert (await watchdog.record("tx-7")).state is state
        open_now = "tx-7" in (await place.twin()).operation.transactions
        assert open_now is (finding is not SessionFinding.GONE)
