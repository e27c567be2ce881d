"""What asking about a session brings to light: the charger's own word first, then what it shows (F84)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.recovery import (
    DoubtActivities,
    DoubtQuery,
    Found,
    QuestionInput,
    RecoveryActivities,
    ResolveInput,
    evidence,
)
from csms.commands import AnswerStatus, CommandAnswer, GetTransactionStatus, TriggerKind, TriggerMessage
from csms.errors import CommandTimeout
from storage.events import ConnectorStatus
from storage.findings import SessionAbandoned, SessionFinding, SessionQuestioned, SessionStuck
from storage.twin import ConnectorState, OpenTransaction, OperationSection
from tests.unit.activities.world import START, World, doubt_about


@pytest.fixture
def world() -> World:
    return World()


async def question(world: World, name: str) -> Found:
    activities = RecoveryActivities(world.chargers, world, world, lambda: world.now)  # type: ignore[arg-type]
    given = QuestionInput(name, "t1", 1, "it went quiet", answer_seconds=0.0)
    return await ActivityEnvironment().run(activities.question_session, given)


def charging(world: World) -> str:
    [name] = world.add_chargers(1)
    world.plug_in(name)
    return name


@pytest.mark.requirement("F84")
@pytest.mark.parametrize(
    ("ongoing", "queued", "finding"),
    [
        (True, False, SessionFinding.ONGOING),
        (False, False, SessionFinding.GONE),
        (False, True, SessionFinding.UNKNOWN),
    ],
)
async def test_the_charger_s_own_word_settles_it(world, ongoing, queued, finding) -> None:
    name = charging(world)
    world.transaction_status["t1"] = CommandAnswer(AnswerStatus.ACCEPTED, ongoing=ongoing, queued=queued)
    found = await question(world, name)
    assert found.finding is finding
    assert world.sent == [(name, GetTransactionStatus("t1"))]
    [(_, kept)] = world.found
    assert isinstance(kept, SessionQuestioned)
    assert (kept.doubt, kept.finding) == ("it went quiet", finding)


@pytest.mark.requirement("F84")
async def test_one_that_has_no_words_for_it_is_made_to_show(world) -> None:
    name = charging(world)
    found = await question(world, name)
    assert found.finding is SessionFinding.FREE, "its only connector said Available just now"
    kinds = [command.kind for _, command in world.sent if isinstance(command, TriggerMessage)]
    assert kinds == [TriggerKind.TRANSACTION, TriggerKind.METER_VALUES, TriggerKind.STATUS]


async def test_one_that_the_twin_does_not_hold_is_gone_without_a_question(world) -> None:
    name = charging(world)
    world.unplug_car(name)
    assert (await question(world, name)).finding is SessionFinding.GONE
    assert world.sent == []


async def test_no_answer_settles_nothing(world) -> None:
    name = charging(world)

    async def mute(*_args, **_options):
        raise CommandTimeout(name, "GetTransactionStatus", 10)

    world.send = mute
    found = await question(world, name)
    assert (found.finding, found.detail) == (SessionFinding.UNKNOWN, "it did not answer")


async def test_one_on_another_node_is_not_asked(world) -> None:
    name = charging(world)
    world.unplug(name)
    with pytest.raises(ApplicationError) as refused:
        await question(world, name)
    assert refused.value.type == "NotConnectedHere"
    assert world.found == []


LATER = START + timedelta(minutes=5)
MINE = OpenTransaction("t1", 1, 1, START, START, heard_at=START)
FREE = ConnectorState(1, 1, ConnectorStatus.AVAILABLE, START, reported_at=LATER)
TAKEN = replace(FREE, status=ConnectorStatus.OCCUPIED)
NEXT = OpenTransaction("t2", 1, 1, START + timedelta(minutes=1), LATER)


@pytest.mark.requirement("F84")
@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda o: o, SessionFinding.FREE),
        (lambda o: replace(o, transactions={}), SessionFinding.GONE),
        (lambda o: replace(o, transactions={"t1": replace(MINE, heard_at=LATER)}), SessionFinding.ONGOING),
        (lambda o: replace(o, connectors={}), SessionFinding.UNKNOWN),
        (lambda o: replace(o, connectors={"1.1": TAKEN}), SessionFinding.UNKNOWN),
        (lambda o: replace(o, connectors={"1.1": replace(FREE, reported_at=START)}), SessionFinding.UNKNOWN),
        (lambda o: replace(o, connectors={"1.1": FREE, "1.2": TAKEN}), SessionFinding.UNKNOWN),
        (
            lambda o: replace(o, connectors={"1.1": FREE, "2.1": replace(TAKEN, evse_id=2)}),
            SessionFinding.FREE,
        ),
        (
            lambda o: replace(o, connectors={"1.1": TAKEN}, transactions={"t1": MINE, "t2": NEXT}),
            SessionFinding.DISPLACED,
        ),
        (
            lambda o: replace(
                o, connectors={"1.1": TAKEN}, transactions={"t1": MINE, "t2": replace(NEXT, suspect=True)}
            ),
            SessionFinding.UNKNOWN,
        ),
    ],
    ids=[
        *("free", "gone", "heard", "no-connector", "occupied", "told-before", "half-free", "other-evse"),
        *("displaced", "both-in-doubt"),
    ],
)
def test_what_the_twin_shows(change: Callable[[OperationSection], OperationSection], finding) -> None:
    operation = OperationSection({"1.1": FREE}, {"t1": MINE})
    assert evidence(change(operation), "t1", START + timedelta(minutes=1)) is finding


@pytest.mark.parametrize("abandon", [True, False])
async def test_a_decision_is_kept_with_the_instant_it_rests_on(world, abandon: bool) -> None:
    name = charging(world)
    activities = RecoveryActivities(world.chargers, world, world, lambda: world.now)  # type: ignore[arg-type]
    given = ResolveInput(name, "t1", 1, abandon, "because", START)
    await ActivityEnvironment().run(activities.resolve_session, given)
    expected = SessionAbandoned("t1", "because", START) if abandon else SessionStuck("t1", "because")
    assert world.found == [(name, expected)]


async def test_doubts_carry_how_the_charger_is_reached(world) -> None:
    name = charging(world)
    world.doubts.append(doubt_about(world, name, asked=1, hours=3))
    activities = DoubtActivities(world, lambda: world.now)  # type: ignore[arg-type]
    query = DoubtQuery(timedelta(minutes=15), timedelta(minutes=4), 50)
    [found] = await ActivityEnvironment().run(activities.find_doubtful_sessions, query)
    assert (found.charger_id, found.route.session_epoch, found.asked) == (name, 1, 1)
    assert found.since == world.now - timedelta(hours=3)
