"""What one attempt at a notice means, and that no run of answers breaks what is promised."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.notice import BULK, Delivery, DeliveryState, Notice, NoticeKind, Webhook
from tests.support.memory_notices import MemoryNotices, line_up
from tests.support.memory_watch import memory_watch
from workflows.herald import Herald
from workflows.notice_rules import DOWN_AFTER, MAX_ATTEMPTS, MAX_REFUSALS, Answer, is_down, judge, turns

pytestmark = pytest.mark.requirement("X15")

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOOK = Webhook("w", "https://w.test/", (), "ada", NOW)
SUBJECTS = ("campaign/a", "campaign/b", "charger/c", "site/d", "halt/e", "halt/f")
KINDS = tuple(NoticeKind)


def delivery(subject: str = "campaign/c", number: int = 1, **values: object) -> Delivery:
    return replace(Delivery(Notice(number, NoticeKind.CAMPAIGN_PHASE_CHANGED, subject, NOW, {})), **values)


FAILURES = st.builds(
    Answer,
    st.just("no"),
    st.none() | st.integers(300, 599),
    st.none() | st.timedeltas(timedelta(0), timedelta(days=9)),
)


@given(FAILURES, st.integers(0, MAX_ATTEMPTS), st.integers(0, 200))
def test_a_failure_waits_longer_each_time_and_ends_some_day(
    answer: Answer, attempts: int, failures: int
) -> None:
    hook = replace(HOOK, failures=failures)
    change = judge(hook, delivery(attempts=attempts), answer, NOW)
    assert change.error == "no"
    if change.state is DeliveryState.GIVEN_UP:
        assert attempts + 1 >= MAX_REFUSALS
        assert change.retry_at is None
        return
    assert change.retry_at is not None
    assert timedelta(seconds=5) <= change.retry_at - NOW <= timedelta(hours=6)
    assert attempts + 1 < MAX_ATTEMPTS
    later = judge(hook, delivery(attempts=attempts + 1), answer, NOW)
    if later.state is DeliveryState.WAITING:
        assert later.retry_at is not None
        assert later.retry_at >= change.retry_at


@given(FAILURES, st.integers(0, MAX_ATTEMPTS), st.integers(0, 200))
def test_a_webhook_pauses_as_a_whole_only_when_it_is_down_or_asks_for_it(
    answer: Answer, attempts: int, failures: int
) -> None:
    change = judge(replace(HOOK, failures=failures), delivery(attempts=attempts), answer, NOW)
    asked = answer.status in (429, 503) and bool(answer.retry_after)
    assert (change.pause_until is not None) == (change.failures >= DOWN_AFTER or asked)
    if change.pause_until is not None:
        assert NOW < change.pause_until <= NOW + timedelta(hours=6)
    assert (change.lost_before is not None) == (change.failures >= DOWN_AFTER + MAX_ATTEMPTS)


@pytest.mark.parametrize("status", [None, 400, 500, 502])
def test_who_asks_for_nothing_pauses_one_subject(status: int | None) -> None:
    change = judge(HOOK, delivery(), Answer("no", status, timedelta(minutes=7)), NOW)
    assert (change.retry_at, change.pause_until) == (NOW + timedelta(minutes=7), None)


def test_a_success_ends_the_trouble() -> None:
    change = judge(replace(HOOK, failures=DOWN_AFTER), delivery(attempts=4), Answer(status=204), NOW)
    assert (change.state, change.failures, change.pause_until, change.back) == (
        DeliveryState.DELIVERED,
        0,
        None,
        True,
    )
    assert not judge(HOOK, delivery(), Answer(status=204), NOW).back


def test_a_probe_is_the_first_of_a_subject_that_was_tried_the_least() -> None:
    down = replace(HOOK, failures=DOWN_AFTER)
    line = [
        delivery("campaign/a", 1, attempts=2),
        delivery("campaign/a", 2),
        delivery("campaign/b", 3, attempts=1),
        delivery("campaign/c", 4, attempts=1),
    ]
    assert turns(down, line) == [line[2]]
    assert turns(HOOK, line) == line
    assert turns(down, []) == []


WAITING = st.lists(
    st.builds(
        lambda subject, kind, retry: (subject, kind, retry),
        st.sampled_from(SUBJECTS),
        st.sampled_from(KINDS),
        st.none() | st.sampled_from([NOW - timedelta(1), NOW, NOW + timedelta(1)]),
    ),
    max_size=20,
).map(
    lambda rows: [
        Delivery(Notice(number, kind, subject, NOW, {}), retry_at=retry)
        for number, (subject, kind, retry) in enumerate(rows)
    ]
)


@given(WAITING)
def test_a_line_has_each_subject_in_order_and_urgent_ones_first(waiting: list[Delivery]) -> None:
    line = line_up(waiting, NOW)
    for subject in SUBJECTS:
        mine = [each for each in waiting if each.notice.subject == subject]
        late = any(each.retry_at is not None and each.retry_at > NOW for each in mine)
        assert [each for each in line if each.notice.subject == subject] == ([] if late else mine)
    urgent = {each.notice.subject for each in waiting if each.notice.kind not in BULK}
    assert sorted(line, key=lambda each: each.notice.subject not in urgent) == line


class Play:
    """A receiver whose answers hypothesis picks, and a clock that it turns on."""

    def __init__(self) -> None:
        self.now = NOW
        self.notices = MemoryNotices()
        self.herald = Herald(self.notices, memory_watch().incidents, self.post, lambda: self.now)
        self.bad: dict[str, Answer] = {}
        self.down: Answer | None = None
        self.taken: dict[str, list[int]] = {}
        self.sent = 0
        self.overtook: list[Notice] = []
        """Sent while something older of its subject waited."""

    async def post(self, _webhook: Webhook, given: Delivery, _now: datetime) -> Answer:
        self.sent += 1
        notice = given.notice
        older = [
            each.notice.notice_id
            for each in self.notices.sent["w"].values()
            if each.notice.subject == notice.subject and each.state is DeliveryState.WAITING
        ]
        if notice.notice_id != min(older):
            self.overtook.append(notice)
        answer = self.down or self.bad.get(notice.subject, Answer(status=204))
        if not answer.error:
            self.taken.setdefault(notice.subject, []).append(notice.notice_id)
        return answer

    async def round(self) -> int:
        hook = await self.notices.get("w")
        before = self.sent
        async with asyncio.TaskGroup() as group:
            await self.herald.begin(group)
        if is_down(hook):
            assert self.sent - before <= 1, "one probe at a time"
        return self.sent - before


STEPS = st.lists(
    st.tuples(st.just("tell"), st.sampled_from(SUBJECTS))
    | st.tuples(st.just("break"), st.sampled_from(SUBJECTS))
    | st.tuples(st.just("mend"), st.sampled_from(SUBJECTS))
    | st.tuples(st.sampled_from(["down", "up", "round"]), st.just(""))
    | st.tuples(st.just("wait"), st.sampled_from(["5", "40", "4000", "90000"])),
    max_size=60,
)


@settings(max_examples=40)
@given(STEPS, st.sampled_from([Answer("no answer"), Answer("it answered 500", 500)]))
def test_no_run_of_events_breaks_an_order_or_loses_a_notice(
    steps: list[tuple[str, str]], failure: Answer
) -> None:
    play = asyncio.run(_played(steps, failure))
    assert play.overtook == []
    for subject in SUBJECTS:
        told = [each for each in play.notices.sent["w"].values() if each.notice.subject == subject]
        ended = [each.notice.notice_id for each in told if each.state is not DeliveryState.WAITING]
        lost = [each.notice.notice_id for each in told if each.state is DeliveryState.GIVEN_UP]
        taken = play.taken.get(subject, [])
        assert taken == sorted(set(taken)), "in order, and once where nobody died"
        assert sorted(taken + lost) == ended
        if subject not in play.bad:
            assert len(ended) == len(told), "whoever is not broken has everything"


async def _played(steps: list[tuple[str, str]], failure: Answer) -> Play:
    """However it went: then the receiver is there for ten hours, so that each subject has its probe.

    They come an hour apart at the longest, and those that are broken have theirs, too.
    """
    play = Play()
    await play.notices.add(HOOK)
    for verb, what in steps:
        match verb:
            case "tell":
                play.notices.tell(NoticeKind.INCIDENT_OPENED, what, play.now)
            case "break":
                play.bad[what] = failure
            case "mend":
                play.bad.pop(what, None)
            case "down" | "up":
                play.down = failure if verb == "down" else None
            case "wait":
                play.now += timedelta(seconds=int(what))
        await play.round()
    play.down = None
    for subject in SUBJECTS:
        play.notices.tell(NoticeKind.HALT_PULLED, subject, play.now)
    for _ in range(30):
        while await play.round():
            pass
        play.now += timedelta(minutes=20)
    return play
