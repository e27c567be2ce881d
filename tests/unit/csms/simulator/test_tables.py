"""Both state machines are tables: every pair is either in them or refused."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.simulator.errors import IllegalMove
from csms.simulator.life import LIVES, Life, Turn, live
from csms.simulator.publisher import NEXT, Publication
from csms.simulator.stages import BUSY, CANCELLABLE, TABLE, Stage, Step, advance
from csms.simulator.wire import PublishRequest
from csms.simulator.words import FirmwareWord, PublishWord

FAILURES = {
    FirmwareWord.DOWNLOAD_FAILED,
    FirmwareWord.INSTALLATION_FAILED,
    FirmwareWord.INVALID_SIGNATURE,
}


@pytest.mark.parametrize(("stage", "step"), list(itertools.product(Stage, Step)))
def test_every_step_in_every_stage_is_a_move_or_refused(stage: Stage, step: Step) -> None:
    if (stage, step) in TABLE:
        assert advance(stage, step) == TABLE[stage, step]
    else:
        with pytest.raises(IllegalMove, match=stage.value):
            advance(stage, step)


@pytest.mark.parametrize(("life", "turn"), list(itertools.product(Life, Turn)))
def test_every_turn_in_every_life_is_a_move_or_refused(life: Life, turn: Turn) -> None:
    if (life, turn) in LIVES:
        assert live(life, turn) is LIVES[life, turn]
    else:
        with pytest.raises(IllegalMove, match=life.value):
            live(life, turn)


@pytest.mark.parametrize(("word", "following"), list(itertools.product(PublishWord, PublishWord)))
def test_every_word_of_a_publication_follows_or_is_refused(word: PublishWord, following: PublishWord) -> None:
    one = Publication(PublishRequest(7, "http://192.0.2.1/x", "00"), word)
    if following in NEXT[word]:
        one.turn(following)
        assert one.word is following
    else:
        with pytest.raises(IllegalMove, match=word.value):
            one.turn(following)
    assert one.over == (not NEXT[one.word])


def reachable(start: Stage) -> set[Stage]:
    found, open_ = {start}, [start]
    while open_:
        here = open_.pop()
        following = {move.to for (stage, _), move in TABLE.items() if stage is here} - found
        found |= following
        open_ += following
    return found


def test_every_stage_is_reached_and_every_stage_comes_to_rest() -> None:
    assert reachable(Stage.IDLE) == set(Stage)
    assert all(Stage.IDLE in reachable(stage) for stage in Stage)


def test_failure_words_end_an_update_and_only_they_and_silence_do() -> None:
    for (_, step), move in TABLE.items():
        if move.word in FAILURES:
            assert move.to is Stage.IDLE
        if move.to is Stage.IDLE and step not in (Step.CANCEL, Step.RUN):
            assert move.word in FAILURES


def test_a_charger_that_loses_power_always_knows_where_it_stands() -> None:
    assert {stage for stage, step in TABLE if step is Step.POWER_LOST} == BUSY
    assert Stage.INSTALLING not in CANCELLABLE
    assert Stage.REBOOTING not in CANCELLABLE


@given(st.lists(st.sampled_from(list(Step)), max_size=60))
def test_no_update_is_installed_without_a_check_before(steps: list[Step]) -> None:
    stage, checked = Stage.IDLE, False
    for step in steps:
        try:
            move = advance(stage, step)
        except IllegalMove:
            continue
        checked = step in (Step.PROVED, Step.UNSIGNED) or (checked and move.to is not Stage.IDLE)
        stage = move.to
        if stage in (Stage.INSTALLING, Stage.WRITTEN, Stage.REBOOTING):
            assert checked
