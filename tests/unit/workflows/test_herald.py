"""Notices reach their webhooks: in order, at least once, and none holds up another."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.errors import EngineUnavailable
from storage.incident import IncidentKind
from storage.notice import Delivery, DeliveryState, Notice, NoticeKind, Webhook
from tests.support.memory_notices import MemoryNotices
from tests.support.memory_watch import memory_watch
from workflows.herald import ALARM_AFTER, MAX_ATTEMPTS, MAX_REFUSALS, Answer, Herald, judge

pytestmark = pytest.mark.requirement("X15")

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
DOWN = Answer("no answer (ConnectError)")
KIND = NoticeKind.CAMPAIGN_PHASE_CHANGED


class Receivers:
    """What each webhook answers, and what it was sent."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.got: list[tuple[str, int]] = []
        self.dies = False
        self.first = asyncio.Event()

    async def __call__(self, webhook: Webhook, delivery: Delivery, _now: datetime) -> Answer:
        self.got.append((webhook.webhook_id, delivery.notice.notice_id))
        self.first.set()
        if self.dies:
            await asyncio.Event().wait()
        return self.answers.get(webhook.webhook_id, Answer(status=204))


class World:
    def __init__(self) -> None:
        self.now = NOW
        self.notices = MemoryNotices()
        self.watch = memory_watch()
        self.post = Receivers()
        self.herald = Herald(self.notices, self.watch.incidents, self.post, lambda: self.now)

    async def hook(self, name: str, *kinds: NoticeKind) -> None:
        await self.notices.add(Webhook(name, f"https://{name}.test/", kinds, "ada", NOW))

    def tell(self, count: int = 1, kind: NoticeKind = KIND) -> None:
        for number in range(count):
            self.notices.tell(kind, f"campaign/c{number}", self.now)

    async def incidents(self) -> list[tuple[IncidentKind, str]]:
        return [(one.kind, one.subject) for one in await self.watch.incidents.find()]


@pytest.fixture
def world() -> World:
    return World()


async def test_everybody_gets_what_they_asked_for_in_order(world: World) -> None:
    await world.hook("all")
    await world.hook("halts", NoticeKind.HALT_PULLED)
    world.tell(3)
    world.tell(1, NoticeKind.HALT_PULLED)
    assert await world.herald.deliver()
    assert [number for name, number in world.post.got if name == "all"] == [1, 2, 3, 4]
    assert [number for name, number in world.post.got if name == "halts"] == [4]
    assert not await world.herald.deliver(), "nothing is sent twice"


async def test_a_receiver_that_is_down_holds_up_itself_alone_and_loses_nothing(world: World) -> None:
    await world.hook("down")
    await world.hook("up")
    world.post.answers["down"] = DOWN
    world.tell(2)
    await world.herald.deliver()
    assert world.post.got == [("down", 1), ("up", 1), ("up", 2)]
    assert not await world.herald.deliver(), "it is left alone for a while"
    world.now += timedelta(seconds=6)
    world.post.answers.clear()
    await world.herald.deliver()
    assert [number for name, number in world.post.got if name == "down"] == [1, 1, 2]


async def test_what_was_not_written_down_when_a_process_died_is_sent_again(world: World) -> None:
    await world.hook("all")
    world.tell()
    world.post.dies = True
    dying = asyncio.create_task(world.herald.deliver())
    await world.post.first.wait()
    dying.cancel()
    await asyncio.wait([dying])
    world.post.dies = False
    world.now += timedelta(minutes=3)
    await world.herald.deliver()
    assert world.post.got == [("all", 1), ("all", 1)]
    assert (await world.notices.get("all")).waiting == 0


async def test_two_heralds_do_not_send_the_same(world: World) -> None:
    await world.hook("all")
    world.tell(5)
    other = Herald(world.notices, world.watch.incidents, world.post, lambda: world.now)
    await asyncio.gather(world.herald.deliver(), other.deliver())
    assert [number for _, number in world.post.got] == [1, 2, 3, 4, 5]


async def test_a_person_learns_of_one_that_fails_for_long_and_of_its_return(world: World) -> None:
    await world.hook("down")
    world.post.answers["down"] = DOWN
    world.tell()
    for _ in range(ALARM_AFTER):
        assert await world.incidents() == []
        await world.herald.deliver()
        world.now += timedelta(hours=1)
    assert await world.incidents() == [(IncidentKind.WEBHOOK_FAILING, "webhook/down")]
    world.post.answers.clear()
    await world.herald.deliver()
    assert await world.incidents() == []


async def test_one_that_wants_no_more_is_paused_and_what_waited_stays(world: World) -> None:
    await world.hook("gone")
    world.post.answers["gone"] = Answer("it answered 410", 410)
    world.tell(2)
    await world.herald.deliver()
    hook = await world.notices.get("gone")
    assert (hook.paused_by, hook.waiting) == ("receiver", 2)
    assert await world.incidents() == [(IncidentKind.WEBHOOK_FAILING, "webhook/gone")]
    world.now += timedelta(days=1)
    assert not await world.herald.deliver()


async def test_a_poisonous_notice_is_given_up_and_the_next_one_gets_through(world: World) -> None:
    await world.hook("picky")
    world.post.answers["picky"] = Answer("it answered 422", 422)
    world.tell()
    for _ in range(MAX_REFUSALS):
        await world.herald.deliver()
        world.now += timedelta(hours=1)
    [lost] = await world.notices.deliveries("picky")
    assert (lost.state, lost.attempts) == (DeliveryState.GIVEN_UP, MAX_REFUSALS)
    world.post.answers.clear()
    world.tell()
    await world.herald.deliver()
    assert await world.notices.retry("picky") == 1
    await world.herald.deliver()
    assert (await world.notices.get("picky")).waiting == 0


async def test_it_goes_on_when_the_database_comes_back(world: World) -> None:
    await world.hook("all")
    world.tell()
    real, calls = world.notices.hold_due, 0

    async def away_once(*given: datetime, limit: int) -> object:
        nonlocal calls
        calls += 1
        if calls == 1:
            world.notices.beat.set()
            raise EngineUnavailable("PostgreSQL does not answer.")
        return await real(*given, limit=limit)

    world.notices.hold_due = away_once  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(world.herald.run())
    async with asyncio.timeout(10):
        await world.post.first.wait()
    running.cancel()
    assert calls > 1


ANSWERS = st.builds(
    Answer,
    st.just("no"),
    st.none() | st.integers(300, 599),
    st.none() | st.timedeltas(timedelta(0), timedelta(days=9)),
)


@given(ANSWERS, st.integers(0, MAX_ATTEMPTS))
def test_a_failure_waits_longer_each_time_and_ends_some_day(answer: Answer, attempts: int) -> None:
    delivery = replace(Delivery(Notice(1, KIND, "campaign/c", NOW, {})), attempts=attempts)
    change = judge("w", delivery, answer, NOW)
    assert change.error == "no"
    assert change.retry_at is not None
    if change.state is DeliveryState.GIVEN_UP:
        assert attempts + 1 >= MAX_REFUSALS
    else:
        assert timedelta(seconds=5) <= change.retry_at - NOW <= timedelta(hours=6)
        assert attempts + 1 < MAX_ATTEMPTS
        later = judge("w", replace(delivery, attempts=attempts + 1), answer, NOW)
        if later.state is DeliveryState.WAITING:
            assert later.retry_at is not None
            assert later.retry_at >= change.retry_at


def test_a_receiver_may_ask_for_more_time() -> None:
    delivery = Delivery(Notice(1, KIND, "campaign/c", NOW, {}))
    answer = Answer("it answered 429", 429, timedelta(minutes=7))
    assert judge("w", delivery, answer, NOW).retry_at == NOW + timedelta(minutes=7)
