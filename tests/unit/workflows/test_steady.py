"""A proof counts once it has lasted: every boot and every lost connection begins the wait anew."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.facts import AttemptFacts, RouteFacts, Sighting
from tests.unit.workflows.facts import NOW
from workflows.attest import Attempt, Finding
from workflows.messages import Mark
from workflows.steady import Stand, Vigil, begun, judge_vigil, judge_vigil_deadline, stand_of

pytestmark = pytest.mark.requirement("R28")
ATTEMPT = Attempt("1.1", NOW, 7)
HERE = RouteFacts("node-1", "boot-1", 3)


def after(seconds: float):
    return NOW + timedelta(seconds=seconds)


def boot(sequence: int, version: str | None = "1.1", *, triggered: bool = False) -> Sighting:
    """Ten seconds for each number."""
    return Sighting(sequence, after(sequence * 10), booted=True, version=version, triggered=triggered)


def read(sequence: int, version: str, of: int) -> Sighting:
    return Sighting(sequence, after(sequence * 10), booted=False, version=version, read_after=after(of * 10))


def stand(*sightings: Sighting) -> Stand:
    found = stand_of(ATTEMPT, sightings)
    assert found is not None
    return found


def test_without_a_proof_there_is_nothing_that_could_last() -> None:
    assert stand_of(ATTEMPT, []) is None
    assert stand_of(ATTEMPT, [boot(1, "1.0"), boot(2, None)]) is None


def test_boots_count_from_the_proof_on_in_the_order_they_happened() -> None:
    assert stand(boot(1, "1.0"), boot(2)) == Stand(1, after(20), "1.1")
    assert stand(boot(4), boot(1, "1.0"), boot(3), boot(2)) == Stand(3, after(40), "1.1")


def test_a_boot_notification_that_was_asked_for_is_no_boot_and_still_tells_the_version() -> None:
    assert stand(boot(2), boot(3, triggered=True)) == Stand(1, after(20), "1.1")
    assert stand(boot(2), boot(3, "1.0", triggered=True)).version == "1.0"


def test_a_boot_that_tells_no_version_is_unknown_until_it_is_read() -> None:
    assert stand(boot(2), boot(3, None)).version is None
    assert stand(boot(2), boot(3, None), read(4, "1.1", 3)) == Stand(2, after(30), "1.1")
    assert stand(boot(2), boot(3, None), read(4, "1.1", 2)).version is None, "of the boot before"
    assert stand(boot(2, None), read(3, "1.1", 2)) == Stand(1, after(20), "1.1"), "a reading is proof, too"


@pytest.mark.parametrize("later", [[], [boot(5)], [read(5, "1.1", 4)]], ids=["no more", "boot", "read"])
def test_whoever_comes_back_with_another_version_fell_back_whatever_follows(later) -> None:
    told = stand(boot(2), boot(3), boot(4, "1.0"), *later)
    verdict = judge_vigil(ATTEMPT, begun(60.0, told, 3, after(900)), told, after(900))
    assert verdict is not None, "however late it is seen"
    assert (verdict.finding, verdict.retryable, verdict.suspicious) == (Finding.FAILED, False, True)
    assert verdict.reason == "boot loop: it came back 2 times with 1.1, and fell back to 1.0 by itself"


def test_one_that_crashed_once_is_no_loop() -> None:
    told = stand(boot(2), boot(3, "1.0"))
    verdict = judge_vigil(ATTEMPT, begun(60.0, told, 3, after(31)), told, after(31))
    assert verdict is not None
    assert verdict.reason == "it came back once with 1.1, and fell back to 1.0 by itself"


@pytest.mark.parametrize("last", [boot(3), boot(3, None)], ids=["again", "unread: unknown is not another"])
def test_whoever_boots_with_the_version_is_waited_for(last) -> None:
    told = stand(boot(2), last)
    assert judge_vigil(ATTEMPT, begun(60.0, told, 3, after(31)), told, after(31)) is None


def test_it_lasted_when_nothing_happened_for_so_long() -> None:
    one = stand(boot(1))
    vigil = begun(60.0, one, 3, after(10))
    assert not vigil.kept(one, 3, after(69.9)).lasted(one, after(69.9))
    assert vigil.kept(one, 3, after(70)).lasted(one, after(70))
    verdict = judge_vigil(ATTEMPT, vigil, one, after(70))
    assert verdict is not None
    assert verdict.finding is Finding.UPDATED
    assert verdict.reason == "it booted with 1.1 after the command and stayed up for 60 s"


def test_a_boot_begins_the_wait_anew() -> None:
    vigil = begun(60.0, stand(boot(1)), 3, after(10))
    two = stand(boot(1), boot(6))
    vigil = vigil.kept(two, 4, after(60))
    assert (vigil.boots, vigil.until, vigil.losses) == (2, after(120), 0)
    assert not vigil.lasted(two, after(119))
    assert vigil.lasted(two, after(120))


def test_so_does_a_lost_connection_and_nobody_lasts_who_is_away() -> None:
    one = stand(boot(1))
    vigil = begun(60.0, one, 3, after(10)).kept(one, None, after(40))
    assert not vigil.lasted(one, after(1000))
    vigil = vigil.kept(one, None, after(50)).kept(one, 4, after(60))
    assert (vigil.since, vigil.losses) == (after(60), 1), "one loss, however often it was looked for"
    assert vigil.kept(one, 5, after(70)).losses == 2, "back so soon that nobody saw it away"


def test_the_wait_is_by_our_clock_alone() -> None:
    one = stand(boot(1))
    assert begun(60.0, one, 3, after(500)).until == after(560), "the node's clock may be behind"
    assert begun(60.0, one, 3, after(5)).until == after(65), "or ahead"


def test_a_proof_that_only_the_last_look_found_is_no_failure_if_it_is_old_enough() -> None:
    vigil = begun(60.0, stand(boot(50)), 3, after(600))
    assert judge_vigil_deadline(ATTEMPT, vigil, facts(), after(600)).finding is Finding.UPDATED


def test_an_unread_version_never_lasts() -> None:
    unread = stand(boot(1), boot(2, None))
    assert not begun(60.0, unread, 3, after(20)).lasted(unread, after(900))


def facts(route: RouteFacts | None = HERE, *, heard: float = 590) -> AttemptFacts:
    return AttemptFacts(route, route is not None, after(heard), 7, ())


def test_at_the_deadline_it_did_not_stay_up() -> None:
    vigil = Vigil(60.0, after(10), after(580), 3, boots=4, losses=1)
    verdict = judge_vigil_deadline(ATTEMPT, vigil, facts(), after(600))
    assert verdict.reason == "it did not stay up: 4 boots in 590 s, and lost its connection once beside"
    assert (verdict.finding, verdict.retryable, verdict.suspicious) == (Finding.FAILED, False, True)


def test_one_that_had_no_time_to_show_it_is_not_blamed() -> None:
    vigil = begun(60.0, stand(boot(57)), 3, after(570))
    verdict = judge_vigil_deadline(ATTEMPT, vigil, facts(), after(600))
    assert (verdict.retryable, verdict.suspicious, verdict.cause) == (True, False, Mark.OVERDUE)
    assert "30 s before the deadline, too late to be seen to stay up for 60 s" in verdict.reason


def test_one_that_is_away_at_the_deadline_is_silent() -> None:
    vigil = Vigil(60.0, after(10), after(580), None, boots=4)
    assert judge_vigil_deadline(ATTEMPT, vigil, facts(None), after(600)).finding is Finding.SILENT


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from(["boot", "loss", "look"])), max_size=25))
def test_whatever_happens_it_lasts_only_after_so_long_without_anything(steps) -> None:
    now, last, sightings, epoch = 10.0, 10.0, [boot(1)], 1
    told = stand(*sightings)
    vigil = begun(60.0, told, epoch, after(now))
    for number, (seconds, what) in enumerate(steps, start=2):
        now += seconds
        if what == "boot":
            sightings.append(replace(boot(number), at=after(now)))
        if what != "look":
            epoch, last = epoch + 1, now
        told = stand(*sightings)
        vigil = vigil.kept(told, epoch, after(now))
        assert vigil.lasted(told, after(now)) == (now - last >= 60)
