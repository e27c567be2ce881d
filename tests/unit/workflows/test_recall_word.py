"""A charger that was called back is told to stop until its answer is known, and not for ever."""

from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from activities.facts import Sighting
from activities.recalling import RecallAnswer
from storage.events import FirmwareStatus
from tests.unit.activities.world import START
from workflows.attest import Finding, Judgement
from workflows.recall import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MOST_LOOKS,
    MOST_WORDS,
    NOT_TOLD,
    WORDS,
    StopWord,
    called_off,
)

pytestmark = pytest.mark.requirement("R31")
REJECTED = RecallAnswer(stopped=False, reason="it answered Rejected", request_id=9)
LOST = RecallAnswer(stopped=False, reason="no answer", request_id=9, known=False)
DEADLINE = START + timedelta(hours=1)
UNTIL = f"until {DEADLINE:%Y-%m-%d %H:%M} UTC"


def test_a_known_answer_is_the_end_of_it() -> None:
    word = StopWord()
    assert word.due(1, START), "at once"
    word = word.told(REJECTED, 1, START)
    assert word.over
    assert not word.due(2, DEADLINE)
    said = word.sentence(DEADLINE, here=True)
    assert said == f"told to stop, it answered Rejected; its end is awaited {UNTIL}"


def test_a_word_that_was_lost_is_said_again_after_a_pause_or_when_it_is_back() -> None:
    word = StopWord().told(LOST, 1, START)
    assert (word.times, word.request_id) == (1, 9)
    assert not word.due(1, START + FIRST_PAUSE - timedelta(seconds=1))
    assert word.due(1, START + FIRST_PAUSE)
    assert word.due(2, START), "over another session at once"
    assert not word.due(None, START)
    assert "told to stop once and has not answered; it is told again" in word.sentence(DEADLINE, here=True)
    assert "has not answered; it is not connected" in word.sentence(DEADLINE, here=False)


def test_one_that_is_away_has_not_been_told() -> None:
    word = StopWord().told(NOT_TOLD, None, START)
    assert (word.times, word.request_id) == (0, None)
    assert word.due(1, START), "it is back"
    said = word.sentence(DEADLINE, here=False)
    assert said.startswith("it is not connected; it is told to stop when it is back, until ")


@given(st.lists(st.tuples(st.sampled_from([LOST, None, NOT_TOLD]), st.booleans()), max_size=80))
@example([(None, False)] * WORDS + [(NOT_TOLD, True), (None, False)])
def test_it_is_told_so_often_and_no_more_and_never_in_a_hurry(
    steps: list[tuple[RecallAnswer | None, bool]],
) -> None:
    word, now, epoch, told, here = StopWord(), START, 1, 0, 0
    for answer, comes_again in steps:
        epoch, here = (epoch + 1, 0) if comes_again else (epoch, here)
        if not word.due(epoch, now):
            assert word.over or here == WORDS
            word = word.later(now)
        else:
            sent = answer is not NOT_TOLD
            told, here = told + sent, here + sent
            word = word.told(answer, epoch, now)
        assert not word.due(epoch, now)
        assert word.again_at is not None
        assert FIRST_PAUSE <= word.again_at - now <= LONGEST_PAUSE
        assert here <= WORDS
        now = word.again_at
    assert word.times == told <= MOST_WORDS
    assert word.over == (told == MOST_WORDS)


def test_what_it_says_of_the_order_that_stops_it_shows_that_it_heard() -> None:
    failed = Sighting(1, START, booted=False, status=FirmwareStatus.DOWNLOAD_FAILED, request_id=9)
    word = StopWord().told(LOST, 1, START)
    assert word.heard([failed])
    assert not StopWord().heard([failed])
    assert not word.heard(
        [Sighting(1, START, booted=False, status=FirmwareStatus.DOWNLOAD_FAILED, request_id=8)]
    )
    assert not word.heard([Sighting(1, START, booted=True, request_id=None)])


def test_one_that_stays_away_for_a_year_is_looked_for_seldom_enough_for_one_history() -> None:
    year = timedelta(days=366)
    word, now, looks = StopWord.within(year.total_seconds()).told(NOT_TOLD, None, START), START, 0
    while (now := word.again_at or DEADLINE) < START + year:
        word, looks = word.told(NOT_TOLD, None, now), looks + 1
    assert MOST_LOOKS <= looks <= MOST_LOOKS + 20
    assert StopWord.within(86_400.0) == StopWord(), "an ordinary one once a minute"


def test_the_last_word_tells_whether_it_ever_answered() -> None:
    overdue = Judgement(Finding.OVERDUE, "it is alive", retryable=True)
    ends = [called_off(overdue, [], word) for word in (StopWord(), StopWord().told(LOST, 1, START))]
    assert [end and end.reason for end in ends] == [
        "nothing came of it until the deadline",
        "nothing came of it until the deadline; it was told to stop once and never answered",
    ]
