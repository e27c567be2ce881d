"""Asking for a log, looking for it, closing its books."""

from dataclasses import replace
from datetime import timedelta

import pytest

from activities.logs import LogActivities, LogEnd, LogFacts, LogOrder, LogSender
from csms.commands import AnswerStatus, CommandAnswer, GetLog, LogKind
from csms.errors import CallFailed, CommandTimeout, Unsupported
from storage.canonical import sha256_hex
from storage.events import EventKind
from storage.log import LogRequest, LogSort, LogState, LogUpload
from storage.reports import LogStatus, LogStatusReported
from tests.unit.activities.world import START, World

REQUEST = LogRequest(7, "CP000", LogSort.SECURITY, "sam", START, START + timedelta(minutes=10), since=START)
UPLOAD = LogUpload(7, "logs/7/x", "security.log", 12, "cd" * 32, START + timedelta(minutes=1))


@pytest.fixture
async def world() -> World:
    made = World()
    made.add_chargers(1)
    await made.logs.open(REQUEST)
    return made


async def ask(world: World) -> LogEnd:
    return await LogSender(world.node).request_log(LogOrder(7, "CP000", 1))


@pytest.mark.requirement("F77", "S43")
async def test_a_charger_is_asked_with_leave_of_which_only_the_hash_is_kept(world: World) -> None:
    world.answers[GetLog] = CommandAnswer(AnswerStatus.ACCEPTED, file_name="sec.log")
    end = await ask(world)
    assert end == LogEnd(7, LogState.ASKED, "it answered Accepted, and will upload sec.log")
    [(name, command)] = world.sent
    assert isinstance(command, GetLog)
    assert (name, command.request_id, command.kind, command.oldest) == ("CP000", 7, LogKind.SECURITY, START)
    prefix, _, secret = command.location.rpartition("/")
    assert prefix == "http://api/u"
    assert len(command.location) <= 512
    ticket = world.logs.tickets[sha256_hex(secret.encode())]
    assert (ticket.charger_id, ticket.request_id, ticket.expires_at) == ("CP000", 7, REQUEST.deadline_at)
    assert secret not in f"{end}{world.logs.rows}{command!r}"
    assert (await world.logs.get(7)).state is LogState.ASKED


@pytest.mark.parametrize(
    ("told", "state", "reason"),
    [
        (CommandAnswer(AnswerStatus.ACCEPTED_CANCELED), LogState.ASKED, "AcceptedCanceled"),
        (CommandTimeout("CP000", "GetLog", 1.0), LogState.ASKED, "may upload all the same"),
        (CommandAnswer(AnswerStatus.REJECTED, "busy"), LogState.FAILED, "Rejected: busy"),
        (CommandAnswer(AnswerStatus.EMPTY_RESULT_SET), LogState.FAILED, "nothing to upload"),
        (CommandAnswer(AnswerStatus.NOT_IMPLEMENTED), LogState.UNSUPPORTED, "NotImplemented"),
        (Unsupported("ocpp1.6", "GetLog"), LogState.UNSUPPORTED, "no message"),
        (CallFailed("CP000", "GetLog", "InternalError", "no"), LogState.FAILED, "InternalError"),
    ],
)
async def test_every_answer_has_a_state(
    world: World, told: CommandAnswer | Exception, state: LogState, reason: str
) -> None:
    world.answers[GetLog] = told
    end = await ask(world)
    assert end.state is state
    assert reason in end.reason


async def test_one_that_ended_is_not_asked_for_again(world: World) -> None:
    await world.logs.set_state(7, LogState.OFFLINE, "it is not connected", START)
    assert await ask(world) == LogEnd(7, LogState.OFFLINE, "it is not connected")
    assert world.sent == []
    assert world.logs.tickets == {}


async def test_the_latest_that_the_charger_said_of_this_very_log_counts(world: World) -> None:
    activities = LogActivities(world.stores)
    assert await activities.reconcile_log(7) == LogFacts(uploaded=False)
    for status, number in [
        (LogStatus.UPLOADING, 7),
        (LogStatus.UPLOAD_FAILURE, None),
        (LogStatus.UPLOADED, 6),
        (LogStatus.IDLE, None),
    ]:
        await world._tell("CP000", LogStatusReported(status, number), signal=False)
    facts = await activities.reconcile_log(7)
    assert facts == LogFacts(uploaded=False, status=LogStatus.UPLOAD_FAILURE, status_at=START)
    world.logs.rows[7] = replace(REQUEST, upload=UPLOAD)
    assert await activities.reconcile_log(7) == LogFacts(uploaded=True)


@pytest.mark.requirement("F77")
async def test_what_arrived_counts_whoever_thought_that_it_did_not(world: World) -> None:
    await ask(world)
    world.logs.rows[7] = replace(world.logs.rows[7], upload=UPLOAD)
    activities = LogActivities(world.stores)
    end = LogEnd(7, LogState.OVERDUE, "nothing arrived in time")
    for _ in range(2):
        assert (await activities.conclude_log(end)).state is LogState.UPLOADED
    assert all(ticket.revoked for ticket in world.logs.tickets.values())
    told = [one for one in world.events.rows if one.kind is EventKind.LOG_UPLOADED]
    assert [one.body["sha256"] for one in told] == ["cd" * 32], "on the timeline, once"
    [entry] = world.audit.rows
    assert (entry.actor, entry.action, entry.detail["length"]) == ("sam", "log.retrieved", 12)
    assert (await world.logs.get(7)).finished_at == world.now


async def test_what_did_not_arrive_is_on_record_and_its_leave_is_taken_back(world: World) -> None:
    await ask(world)
    end = LogEnd(7, LogState.OVERDUE, "nothing arrived in time")
    assert await LogActivities(world.stores).conclude_log(end) == end
    assert all(ticket.revoked for ticket in world.logs.tickets.values())
    assert world.audit.actions() == ["log.not_retrieved"]
    assert (await world.logs.get(7)).reason == "nothing arrived in time"
