"""Notices reach their webhooks: at least once, each subject in order, and none holds up another."""

import asyncio
from datetime import datetime, timedelta

import pytest

from storage.errors import EngineUnavailable
from storage.incident import IncidentKind
from storage.notice import Delivery, DeliveryState, NoticeKind, Webhook
from tests.support.herald_world import BROKEN, DOWN, NOW, HeraldWorld
from workflows.herald import Herald
from workflows.notice_rules import DOWN_AFTER, MAX_ATTEMPTS, MAX_REFUSALS, PATIENCE, Answer

pytestmark = pytest.mark.requirement("X15")


@pytest.fixture
def world() -> HeraldWorld:
    return HeraldWorld()


async def test_everybody_gets_what_they_asked_for_in_order(world: HeraldWorld) -> None:
    await world.hook("all")
    await world.hook("halts", NoticeKind.HALT_PULLED)
    world.tell(3)
    world.tell(1, NoticeKind.HALT_PULLED)
    assert await world.deliver()
    assert world.got("all") == [1, 2, 3, 4]
    assert world.got("halts") == [4]
    assert not await world.deliver(), "nothing is sent twice"


async def test_a_notice_that_is_not_taken_holds_up_its_own_subject_alone(world: HeraldWorld) -> None:
    await world.hook("ops")
    world.post.answers["campaign/bad"] = BROKEN
    world.about("campaign/bad", "campaign/good", "campaign/bad", "halt/1", "campaign/good")
    await world.deliver()
    assert world.got("ops") == [1, 2, 4, 5]
    hook = await world.notices.get("ops")
    assert (hook.waiting, hook.held_up, hook.retry_at) == (2, 1, None)
    world.about("halt/2")
    await world.deliver()
    assert world.got("ops") == [1, 2, 4, 5, 6], "what is new is sent at once"
    world.post.answers.clear()
    await world.later(seconds=4)
    assert world.got("ops") == [1, 2, 4, 5, 6], "what failed is left alone for a while"
    await world.later(seconds=2)
    assert world.got("ops") == [1, 2, 4, 5, 6, 1, 3], "and then goes on in order"


async def test_what_is_urgent_does_not_stand_behind_a_campaign_of_a_thousand_chargers(
    world: HeraldWorld,
) -> None:
    await world.hook("ops")
    world.about(*(f"charger/{number}" for number in range(60)), kind=NoticeKind.MAINTENANCE_PLANNED)
    world.about("halt/1", kind=NoticeKind.HALT_PULLED)
    world.about("charger/59", kind=NoticeKind.INCIDENT_OPENED)
    await world.deliver()
    assert world.got("ops")[:3] == [60, 61, 62], "with what is older of the same subject before it"


async def test_a_receiver_that_is_down_is_probed_by_one_at_a_time(world: HeraldWorld) -> None:
    await world.hook("down")
    await world.hook("up")
    world.post.answers["down"] = DOWN
    world.tell(10)
    await world.deliver()
    assert world.got("up") == list(range(1, 11)), "it holds up itself alone"
    assert world.got("down") == [1, 2, 3]
    assert not await world.deliver(), "it is left alone for a while"
    for pause, probe in ((5, 4), (30, 5), (120, 6), (600, 7)):
        assert not await world.later(seconds=pause - 1)
        world.about(f"halt/{probe}", kind=NoticeKind.HALT_PULLED)
        await world.later(seconds=1)
        assert world.got("down")[-1] == probe, "a different one each time"
    assert len(world.got("down")) == DOWN_AFTER + 4
    world.post.answers.clear()
    await world.later(minutes=30)
    await world.deliver()
    assert (await world.notices.get("down")).waiting == 0, "nothing is lost, and nothing waits any longer"


async def test_one_that_answers_nothing_to_a_single_notice_is_not_taken_for_down(world: HeraldWorld) -> None:
    await world.hook("ops")
    world.post.answers["campaign/bad"] = DOWN
    world.about("campaign/bad")
    for _ in range(20):
        await world.later(hours=1)
    world.about("halt/1")
    await world.deliver()
    assert world.got("ops") == [*[1] * 20, 2]


async def test_one_that_refuses_whatever_is_old_is_known_by_the_first_that_it_takes(
    world: HeraldWorld,
) -> None:
    await world.hook("ops")
    bad = [f"campaign/bad{number}" for number in range(4)]
    world.post.answers |= dict.fromkeys(bad, BROKEN)
    world.about(*bad, "campaign/good")
    await world.deliver()
    assert world.got("ops") == [1, 2, 3]
    await world.later(seconds=5)
    await world.later(seconds=30)
    assert world.got("ops")[:5] == [1, 2, 3, 4, 5]
    assert (await world.notices.get("ops")).failures == 0
    world.about("halt/1")
    await world.deliver()
    assert 6 in world.got("ops")


async def test_a_receiver_that_asks_for_time_gets_it(world: HeraldWorld) -> None:
    await world.hook("busy")
    world.post.answers["busy"] = Answer("it answered 429", 429, timedelta(minutes=7))
    world.tell(2)
    await world.deliver()
    assert not await world.later(minutes=6)
    world.post.answers.clear()
    await world.later(minutes=1)
    assert sorted(world.got("busy")) == [1, 1, 2]


async def test_a_slow_receiver_keeps_no_other_waiting(world: HeraldWorld) -> None:
    await world.hook("quick")
    await world.hook("slow")
    world.post.slow["slow"] = asyncio.Event()
    world.about("campaign/a")
    async with asyncio.TaskGroup() as group:
        assert await world.herald.begin(group) == 2
        await world.post.first.wait()
        while (await world.notices.get("quick")).waiting:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        world.about("campaign/a")
        assert await world.herald.begin(group) == 1, "while the other is still busy with the first"
        while len(world.got("quick")) < 2:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0)
        assert world.got("slow") == [1]
        world.post.slow["slow"].set()


async def test_a_line_that_is_old_is_asked_for_anew(world: HeraldWorld) -> None:
    """Something urgent may have come while a slow receiver thought."""
    await world.hook("ops")
    world.about("charger/a", "charger/b", kind=NoticeKind.MAINTENANCE_PLANNED)
    clock = iter(NOW + timedelta(seconds=2 * step) for step in range(100))
    herald = Herald(world.notices, world.watch.incidents, world.post, lambda: next(clock))
    async with asyncio.TaskGroup() as group:
        await herald.begin(group)
    world.about("halt/1", kind=NoticeKind.HALT_PULLED)
    async with asyncio.TaskGroup() as group:
        await herald.begin(group)
    assert world.got("ops") == [1, 3]


async def test_what_was_not_written_down_when_a_process_died_is_sent_again(world: HeraldWorld) -> None:
    await world.hook("all")
    world.tell()
    world.post.dies = True
    dying = asyncio.create_task(world.deliver())
    await world.post.first.wait()
    dying.cancel()
    await asyncio.wait([dying])
    world.post.dies = False
    await world.later(minutes=3)
    assert world.post.got == [("all", 1), ("all", 1)]
    assert (await world.notices.get("all")).waiting == 0


async def test_two_heralds_do_not_send_the_same(world: HeraldWorld) -> None:
    await world.hook("all")
    world.tell(5)
    other = world.another_herald()
    async with asyncio.TaskGroup() as group:
        await asyncio.gather(world.herald.begin(group), other.begin(group))
    assert world.got("all") == [1, 2, 3, 4, 5]


async def test_one_that_wants_no_more_is_paused_and_what_waited_stays(world: HeraldWorld) -> None:
    await world.hook("gone")
    world.post.answers["gone"] = Answer("it answered 410", 410)
    world.tell(2)
    await world.deliver()
    hook = await world.notices.get("gone")
    assert (hook.paused_by, hook.waiting) == ("receiver", 2)
    assert await world.incidents() == [(IncidentKind.WEBHOOK_FAILING, "webhook/gone")]
    assert not await world.later(days=1)


async def test_a_poisonous_notice_is_given_up_and_the_next_of_its_subject_gets_through(
    world: HeraldWorld,
) -> None:
    await world.hook("picky")
    world.post.answers["picky"] = Answer("it answered 422", 422)
    world.tell()
    for _ in range(MAX_REFUSALS):
        await world.later(hours=1)
    [lost] = await world.notices.deliveries("picky")
    assert (lost.state, lost.attempts) == (DeliveryState.GIVEN_UP, MAX_REFUSALS)
    world.post.answers.clear()
    world.tell()
    await world.deliver()
    assert await world.incidents(), "what was given up is not forgotten because another one was taken"
    assert await world.notices.retry("picky") == 1
    world.post.answers["picky"] = BROKEN
    await world.deliver()
    world.post.answers.clear()
    await world.later(seconds=5)
    assert (await world.notices.get("picky")).waiting == 0
    assert await world.incidents() == []


async def test_what_waited_three_days_at_a_receiver_that_is_down_is_given_up(world: HeraldWorld) -> None:
    await world.hook("down")
    world.post.answers["down"] = DOWN
    world.tell(100)
    for _ in range(DOWN_AFTER + MAX_ATTEMPTS):
        await world.later(hours=1)
    world.about("halt/1")
    await world.later(hours=1)
    assert (await world.notices.get("down")).waiting == 1, "what is younger has its time"
    assert await world.notices.retry("down") == 100
    world.post.answers.clear()
    await world.later(seconds=1)
    while await world.deliver():
        pass
    assert (await world.notices.get("down")).waiting == 0
    assert world.now - NOW > PATIENCE


async def test_it_goes_on_when_the_database_comes_back(
    world: HeraldWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.herald._AWAY_S", 0.0)
    await world.hook("all")
    world.tell()
    real, calls = world.notices.hold_due, 0

    async def away_once(*given: datetime, limit: int) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise EngineUnavailable("PostgreSQL does not answer.")
        return await real(*given, limit=limit)

    world.notices.hold_due = away_once  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(world.herald.run())
    async with asyncio.timeout(10):
        await world.post.first.wait()
    running.cancel()
    assert calls > 1


async def test_one_that_cannot_be_served_stops_nobody(
    world: HeraldWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.herald._ROUND_S", 0.0)
    await world.hook("a")
    await world.hook("b")
    world.tell()
    real = world.notices.record

    async def broken_for_a(change: object, hold_until: datetime) -> None:
        if change.webhook_id == "a":  # type: ignore[attr-defined]
            raise RuntimeError("no")
        await real(change, hold_until)  # type: ignore[arg-type]

    world.notices.record = broken_for_a  # type: ignore[method-assign, assignment]
    await world.deliver()
    assert world.got("b") == [1]
    assert (await world.notices.get("b")).waiting == 0


async def test_a_hold_that_cannot_be_given_up_does_not_end_the_relay(world: HeraldWorld) -> None:
    """Whatever the error is: relay and observer share the process."""
    await world.hook("ops")
    world.tell()
    real = world.notices.release

    async def broken(webhook_id: str) -> None:
        raise RuntimeError(webhook_id)

    world.notices.release = broken  # type: ignore[method-assign]
    await world.deliver()
    world.notices.release = real  # type: ignore[method-assign]
    world.tell()
    assert not await world.later(minutes=1), "it is held"
    await world.later(minutes=2)
    assert world.got("ops") == [1, 2], "and not for ever"


async def test_a_notice_that_cannot_be_sent_at_all_holds_up_its_own_subject_alone(world: HeraldWorld) -> None:
    await world.hook("ops")
    world.about("campaign/odd", "halt/1")
    real = world.post

    async def odd(webhook: Webhook, delivery: Delivery, now: datetime) -> Answer:
        if delivery.notice.subject == "campaign/odd":
            raise TypeError("Integer exceeds 64-bit range")
        return await real(webhook, delivery, now)

    world.herald = Herald(world.notices, world.watch.incidents, odd, lambda: world.now)
    await world.deliver()
    assert world.got("ops") == [2]
    assert (await world.notices.get("ops")).held_up == 1
    [_, held_up] = await world.notices.deliveries("ops")
    assert held_up.last_error == "it could not be sent (TypeError)"
