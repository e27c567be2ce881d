"""Profiles that past updates teach, and attempts that depart from them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.events import FirmwareStatus
from storage.learned import (
    GRACE_S,
    Mark,
    Spread,
    Step,
    Trail,
    deviations,
    learn,
    limit_s,
    spread,
    status_mark,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
USUAL = ((5, Step.DOWNLOADING), (65, Step.DOWNLOADED), (70, Step.INSTALLING), (100, Step.GONE), (160, None))


def trail(*marks: tuple[float, Step | None], version: str = "2.0", failed: bool = False) -> Trail:
    """None stands for the boot."""
    heard = [
        Mark(NOW + timedelta(seconds=at), step or Step.BOOTED, version=None if step else version)
        for at, step in marks
    ]
    if failed:
        heard.append(status_mark(NOW + timedelta(seconds=900), FirmwareStatus.INSTALLATION_FAILED))
    return Trail("CP-1", NOW, "1.0", tuple(heard))


@pytest.mark.requirement("F74")
def test_order_stages_and_reboot_are_learned_from_those_that_succeeded() -> None:
    slower = trail(*((at * 2, step) for at, step in USUAL))
    failed = trail(*USUAL, failed=True)
    unchanged = trail(*USUAL, version="1.0")
    profile = learn("Acme", "AC22", [trail(*USUAL), slower, failed, unchanged], "1.0")
    assert (profile.attempts, profile.succeeded) == (4, 2)
    assert profile.order[0] is Step.COMMANDED
    assert profile.order[-1] is Step.BOOTED
    assert profile.order_share == 1.0
    assert set(profile.never) == {Step.VERIFIED, Step.REBOOTING, Step.INSTALLED}
    fetched = next(stage for stage in profile.stages if stage.ends is Step.DOWNLOADED)
    assert fetched.seconds == Spread(2, 60.0, 120.0, 120.0)
    assert profile.reboot == Spread(2, 60.0, 120.0, 120.0)
    assert profile.whole == Spread(2, 160.0, 320.0, 320.0)


def test_nothing_teaches_nothing() -> None:
    profile = learn("Acme", "AC22", [])
    assert profile.order == ()
    assert profile.never == ()
    assert deviations(profile, trail((900, Step.DOWNLOADING)), NOW + timedelta(days=1)) == ()


@pytest.mark.requirement("F74")
def test_an_attempt_is_held_to_what_was_learned() -> None:
    profile = learn("Acme", "AC22", [trail(*USUAL)] * 5)
    assert deviations(profile, trail(*USUAL), NOW + timedelta(hours=1)) == ()
    stuck = trail(*USUAL[:1])
    assert deviations(profile, stuck, NOW + timedelta(seconds=80)) == ()
    (slow,) = deviations(profile, stuck, NOW + timedelta(seconds=305))
    assert slow == "Downloading to Downloaded takes 300 s; the longest of 5 was 60 s"
    strange = trail((5, Step.DOWNLOADING), (6, Step.VERIFIED))
    assert deviations(profile, strange, NOW + timedelta(seconds=10)) == (
        "SignatureVerified was never seen in 5 updates",
    )
    swapped = trail((5, Step.INSTALLING), (6, Step.DOWNLOADING))
    assert "the order Commanded > Installing > Downloading" in str(
        deviations(profile, swapped, NOW + timedelta(seconds=10))
    )


def test_too_few_updates_hold_nobody_to_anything() -> None:
    profile = learn("Acme", "AC22", [trail(*USUAL)] * 4)
    assert deviations(profile, trail((5, Step.VERIFIED)), NOW + timedelta(days=1)) == ()


STEPS = st.lists(
    st.tuples(st.floats(0, 5000), st.sampled_from([*Step][1:]), st.sampled_from(["1.0", "2.0"])), max_size=12
)


@given(st.lists(STEPS, max_size=8))
def test_a_trail_that_taught_departs_from_nothing_in_time(runs: list[list[tuple[float, Step, str]]]) -> None:
    trails = [
        Trail(
            "CP",
            NOW,
            "1.0",
            tuple(
                Mark(NOW + timedelta(seconds=at), step, version=version if step is Step.BOOTED else None)
                for at, step, version in sorted(run, key=lambda each: each[0])
            ),
        )
        for run in runs
    ]
    profile = learn("V", "M", trails)
    assert profile == learn("V", "M", trails[::-1])
    assert profile.succeeded <= profile.attempts == len(trails)
    for known in trails:
        if known.succeeded:
            said = deviations(profile, known, NOW + timedelta(seconds=5000))
            assert not any("took" in word or "never seen" in word for word in said)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_percentiles_lie_in_order(seconds: list[float]) -> None:
    found = spread(seconds)
    assert found is not None
    assert found.p50 <= found.p95 <= found.longest
    assert limit_s(found) >= found.longest + GRACE_S - 1e-6
