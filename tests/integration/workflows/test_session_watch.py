"""A round of the session watchdog over real workers."""

import pytest

from csms.commands import AnswerStatus, CommandAnswer
from storage.findings import SessionAbandoned, SessionFinding, SessionQuestioned, SessionStuck
from storage.ids import TASK_QUEUE
from tests.integration.workflows.harness import Harness, until
from tests.unit.activities.world import World, doubt_about
from workflows.client import SESSION_WATCH_SCHEDULE
from workflows.session_rules import SessionWatchPolicy
from workflows.session_watch import SessionWatchWorkflow

pytestmark = pytest.mark.integration


@pytest.mark.requirement("F84")
async def test_each_session_in_doubt_is_settled_kept_or_told_of(real: Harness, world: World) -> None:
    gone, stuck, away = world.add_chargers(3)
    for name in (gone, stuck, away):
        world.plug_in(name)
        world.doubts.append(doubt_about(world, name, asked=3, hours=3))
    world.unplug(away)
    over = CommandAnswer(AnswerStatus.ACCEPTED, ongoing=False, queued=False)
    waits = CommandAnswer(AnswerStatus.ACCEPTED, ongoing=False, queued=True)

    async def status(charger_id, session_epoch, command, *, deadline_s):
        world._check_session(charger_id, session_epoch)
        return over if charger_id == gone else waits

    world.send = status

    settled = await real.client.execute_workflow(
        SessionWatchWorkflow.run, SessionWatchPolicy(), id="session-watch", task_queue=TASK_QUEUE
    )

    assert settled == 2
    asked = {name: each.finding for name, each in world.found if isinstance(each, SessionQuestioned)}
    assert asked == {gone: SessionFinding.GONE, stuck: SessionFinding.UNKNOWN}
    [abandoned] = [name for name, each in world.found if isinstance(each, SessionAbandoned)]
    [told] = [name for name, each in world.found if isinstance(each, SessionStuck)]
    assert (abandoned, told) == (gone, stuck)


@pytest.mark.requirement("F84")
async def test_a_schedule_starts_the_rounds(real: Harness, world: World) -> None:
    [gone] = world.add_chargers(1)
    world.plug_in(gone)
    world.doubts.append(doubt_about(world, gone))
    world.transaction_status["t1"] = CommandAnswer(AnswerStatus.ACCEPTED, ongoing=False, queued=False)

    for _ in range(2):
        await real.orchestrator.ensure_schedules()
    await real.client.get_schedule_handle(SESSION_WATCH_SCHEDULE).trigger()

    await until(lambda: len(world.found) == 2)
    assert [type(each) for _, each in world.found] == [SessionQuestioned, SessionAbandoned]
