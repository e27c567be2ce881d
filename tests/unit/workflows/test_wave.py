"""What a wave counts over its shards."""

import pytest

from storage.campaign import Pace
from tests.unit.workflows.facts import NOW
from workflows import wave
from workflows.messages import WaveInput


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> wave.WaveWorkflow:
    monkeypatch.setattr(wave.workflow, "now", lambda: NOW)
    given = WaveInput("c1", 0, "w0", 100, "1.1", Pace(), early_stop_failures=2, max_failure_share=0.05)
    return wave.WaveWorkflow(given)


@pytest.mark.requirement("R35", "R37")
def test_a_failure_that_a_later_attempt_cured_is_counted_no_more(counting: wave.WaveWorkflow) -> None:
    counting.shard_failed("A")
    counting.shard_cured("A")
    counting.shard_failed("B")
    assert not counting._stopping
    counting.shard_failed("C")
    assert counting._stopping == "2 chargers failed"
    counting.shard_cured("B")
    assert counting._stopping, "a wave that was stopped stays stopped"


def test_one_that_fails_after_another_was_cured_is_weighed_anew(counting: wave.WaveWorkflow) -> None:
    counting.shard_failed("A")
    assert counting._unweighed()
    counting._weighed = 1
    counting.shard_cured("A")
    counting.shard_cured("never failed")
    assert not counting._unweighed()
    counting.shard_failed("B")
    assert counting._unweighed()


@pytest.mark.requirement("X9")
def test_one_that_counted_and_is_not_what_it_was_counts_as_failed(counting: wave.WaveWorkflow) -> None:
    counting.charger_spoilt("A")
    assert counting._spoilt == ["A"], "its lone shard is told"
    counting.shard_failed("B")
    assert counting._stopping == "2 chargers failed"
