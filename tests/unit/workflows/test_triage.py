from dataclasses import replace
from datetime import timedelta

import pytest

from activities.facts import Entry, ShardFacts, SiteFacts
from storage.campaign import Outcome
from tests.unit.workflows.facts import ARTIFACT, IDLE, NOW
from workflows.messages import Retry
from workflows.triage import Context, triage

SITUATIONS = {
    "idle": IDLE,
    "charging": replace(IDLE, busy="session 7 is open on EVSE 1", session=True),
    "offline": replace(IDLE, online=False),
    "current": replace(IDLE, version="1.1"),
    "foreign": replace(IDLE, model="other"),
    "starting": replace(IDLE, busy="a remote start is pending", free_at=NOW + timedelta(minutes=2)),
}
NAMES = list(SITUATIONS)


def facts(*kinds: str, down: int = 0) -> ShardFacts:
    entries = tuple(
        Entry(f"{kind}-{n}", 0, NAMES.index(kind), -1 if kind == "offline" else 0, 5)
        for n, kind in enumerate(kinds)
    )
    return ShardFacts(
        ARTIFACT, (SiteFacts("s", down, 2),), tuple(SITUATIONS.values()), (("node-1", "boot-1"),), entries
    )


CONTEXT = Context("c1", 0, NOW, (), {}, {})


def test_everybody_gets_one_of_three_answers() -> None:
    found = triage(facts("idle", "charging", "offline", "current", "foreign"), CONTEXT)

    assert [one.charger_id for one in found.queue] == ["idle-0"]
    assert found.queue[0].route == ("node-1", "boot-1", 5)
    assert [(name, session) for name, _, session in found.waiting] == [
        ("charging-1", True),
        ("offline-2", False),
    ]
    assert [(name, outcome) for name, outcome, _ in found.done] == [
        ("current-3", Outcome.ALREADY_CURRENT),
        ("foreign-4", Outcome.SKIPPED),
    ]
    assert found.open == 3


def test_only_news_are_written() -> None:
    found = triage(facts("charging", "offline"), CONTEXT)
    said = {name: reason for name, reason, _ in found.waiting}
    assert len(found.moves(CONTEXT).waiting) == 2
    assert found.moves(replace(CONTEXT, said=said)).waiting == ()


def test_who_is_in_flight_is_left_alone() -> None:
    assert triage(facts("idle", "idle"), replace(CONTEXT, flying={"idle-0"})).open == 1


def test_a_full_site_keeps_its_chargers_in_the_queue_for_the_next_landing() -> None:
    found = triage(facts("idle", down=2), CONTEXT)
    assert [one.charger_id for one in found.queue] == ["idle-0"]


def test_looking_again_earlier_than_known_is_pointless() -> None:
    assert triage(facts("starting"), CONTEXT).earliest == NOW + timedelta(minutes=2)
    assert triage(facts("starting", "offline"), CONTEXT).earliest is None


def retried(name: str, minutes: float) -> Context:
    retry = Retry(name, 2, NOW + timedelta(minutes=minutes), 1)
    return replace(CONTEXT, retries={name: retry}, said={name: "attempt 1 failed"})


def test_a_retry_waits_for_its_time_and_keeps_its_reason() -> None:
    early = triage(facts("idle"), retried("idle-0", 5))
    assert early.waiting == [("idle-0", "attempt 1 failed", False)]
    assert early.earliest == NOW + timedelta(minutes=5)
    assert triage(facts("idle"), retried("idle-0", -1)).queue


def test_after_an_attempt_nobody_is_called_skipped() -> None:
    assert triage(facts("current"), retried("current-0", 5)).done[0][1] is Outcome.UPDATED
    assert triage(facts("foreign"), retried("foreign-0", 5)).done[0][1] is Outcome.FAILED


@pytest.mark.requirement("R28")
def test_one_that_runs_the_version_after_its_attempt_counts_once_it_stays_up() -> None:
    soon = NOW + timedelta(seconds=40)
    loops = replace(facts("current"), staying=(("current-0", soon),), takes=300.0)
    found = triage(loops, retried("current-0", -1))
    assert (found.queue, found.done, found.earliest) == ([], [], soon)
    assert found.waiting == [("current-0", "it runs 1.1 already, and counts once it has stayed up", False)]
    away = replace(loops, staying=(("current-0", None),))
    assert triage(away, retried("current-0", -1)).waiting
    assert triage(loops, CONTEXT).waiting, "an image that was fetched ahead is no attempt"
    assert triage(loops, retried("other", -9)).waiting

    [(_, outcome, reason)] = triage(loops, retried("current-0", -5)).done
    assert (outcome, reason) == (Outcome.FAILED, "it runs 1.1, and did not stay up with it")
    [(_, outcome, reason)] = triage(away, retried("current-0", -5)).done
    assert (outcome, reason) == (Outcome.SILENT, "it ran 1.1, and did not come back")

    back = replace(away, back_at=NOW - timedelta(seconds=299))
    assert triage(back, retried("current-0", -5)).waiting, "nobody of ours listened: it may have stayed up"
    assert triage(replace(back, back_at=NOW - timedelta(seconds=300)), retried("current-0", -5)).done

    fell_back = replace(loops, situations=(replace(IDLE, version="1.0"),) * len(SITUATIONS))
    assert triage(fell_back, retried("current-0", -1)).queue, "it gets its next attempt"


def test_a_rollback_leaves_alone_who_runs_something_newer_by_now() -> None:
    newer = replace(IDLE, version="1.3")
    taken_back = replace(facts("idle", "offline"), replaces="1.2", situations=(newer, newer, newer))
    found = triage(taken_back, replace(CONTEXT, wave=1000))
    assert [outcome for _, outcome, _ in found.done] == [Outcome.SKIPPED, Outcome.SKIPPED]
    assert not found.queue
