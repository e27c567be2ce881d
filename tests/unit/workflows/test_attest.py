"""What becomes of an attempt: only a boot with the version is success, whatever a charger claims."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.facts import AttemptFacts, RouteFacts, Sighting
from storage.events import FirmwareStatus
from tests.unit.workflows.facts import NOW
from workflows.attest import (
    Attempt,
    Finding,
    installed_seen,
    judge,
    judge_deadline,
    progress_seen,
    sighting_of,
)
from workflows.signals import ChargerSignal

ATTEMPT = Attempt("1.1", NOW, 7)
LATER = NOW + timedelta(minutes=5)


def boot(version: str | None, sequence: int = 1, at=LATER) -> Sighting:
    return Sighting(sequence, at, booted=True, version=version)


def status(value: FirmwareStatus, sequence: int = 1, request_id: int | None = 7) -> Sighting:
    return Sighting(sequence, LATER, booted=False, status=value, request_id=request_id)


@pytest.mark.requirement("R28", "S27")
def test_success_is_a_boot_after_the_command_with_the_version() -> None:
    verdict = judge(ATTEMPT, [boot("1.1")])
    assert verdict is not None
    assert verdict.finding is Finding.UPDATED


@pytest.mark.requirement("R28", "S27")
@pytest.mark.parametrize(
    "claims",
    [
        [status(FirmwareStatus.INSTALLED)],
        [boot("1.1", at=NOW - timedelta(seconds=1))],
        [boot("1.0")],
        [boot(None)],
        [status(FirmwareStatus.INSTALLED), status(FirmwareStatus.IDLE, 2, None)],
    ],
    ids=["installed only", "boot before", "old version", "no version", "idle"],
)
def test_nothing_less_decides(claims) -> None:
    assert judge(ATTEMPT, claims) is None


@pytest.mark.parametrize("reason", [FirmwareStatus.INSTALLED, FirmwareStatus.INSTALL_REBOOTING])
def test_coming_back_with_the_old_version_after_installing_is_a_failure(reason) -> None:
    verdict = judge(ATTEMPT, [boot("1.0", 3), status(reason, 2)])
    assert verdict is not None
    assert (verdict.finding, verdict.suspicious, verdict.retryable) == (Finding.FAILED, True, False)
    assert "came back with 1.0" in verdict.reason


INSTALLED = status(FirmwareStatus.INSTALLED, 2)


def read(version: str, sequence: int, after=LATER) -> Sighting:
    """What was read after the boot of that instant."""
    at = after + timedelta(seconds=6)
    return Sighting(sequence, at, booted=False, version=version, read_after=after)


@pytest.mark.requirement("R28", "S27")
def test_a_version_read_after_the_boot_that_told_none_is_proof() -> None:
    verdict = judge(ATTEMPT, [INSTALLED, boot(None, 3), read("1.1", 4)])
    assert verdict is not None
    assert verdict.finding is Finding.UPDATED
    fell = judge(ATTEMPT, [INSTALLED, boot(None, 3), read("1.0", 4)])
    assert fell is not None
    assert (fell.finding, "came back with 1.0" in fell.reason) == (Finding.FAILED, True)


@pytest.mark.requirement("R28", "S27")
@pytest.mark.parametrize(
    "claims",
    [
        [boot(None, 3, at=NOW - timedelta(seconds=9)), read("1.1", 4, after=NOW - timedelta(seconds=9))],
        [boot(None, 3, at=LATER + timedelta(seconds=30)), read("1.1", 4)],
        [INSTALLED, boot(None, 3)],
    ],
    ids=["boot before the command", "read after an older boot", "unread"],
)
def test_what_was_read_of_any_other_boot_proves_nothing(claims) -> None:
    assert judge(ATTEMPT, claims) is None


def test_a_reading_brings_its_boot_with_it_and_one_that_was_asked_for_is_no_restart() -> None:
    verdict = judge(ATTEMPT, [INSTALLED, read("1.1", 4)])
    assert verdict is not None
    assert verdict.finding is Finding.UPDATED
    assert judge(ATTEMPT, [INSTALLED, replace(read("1.0", 4), triggered=True)]) is None


def test_a_boot_whose_version_was_never_read_is_overdue_and_says_why() -> None:
    route = RouteFacts("node-1", "boot-1", 1)
    facts = AttemptFacts(route, True, LATER + timedelta(minutes=9), 7, (INSTALLED, boot(None, 3)))
    verdict = judge_deadline(ATTEMPT, facts, LATER + timedelta(minutes=10))
    assert (verdict.finding, verdict.retryable) == (Finding.OVERDUE, True)
    assert "nothing proved that it runs 1.1" in verdict.reason


def test_an_attempt_that_began_before_versions_were_read_ends_as_it_did_then() -> None:
    verdict = judge(ATTEMPT, [INSTALLED, boot(None, 3)], reads=False)
    assert verdict is not None
    assert "came back with no version" in verdict.reason


def test_a_boot_notification_that_was_asked_for_is_no_restart() -> None:
    asked = replace(boot("1.0", 3), triggered=True)
    assert judge(ATTEMPT, [INSTALLED, asked]) is None
    assert judge(ATTEMPT, [INSTALLED, asked, boot("1.0", 4)]) is not None


def test_a_model_that_needs_a_reset_falls_back_only_after_one() -> None:
    waiting = replace(ATTEMPT, needs_reset=True)
    assert judge(waiting, [INSTALLED, boot("1.0", 3)]) is None, "it reconnected; nothing was activated yet"
    reset = replace(waiting, reset_at=LATER + timedelta(seconds=5))
    assert judge(reset, [INSTALLED, boot("1.0", 3)]) is None
    fell = judge(reset, [INSTALLED, boot("1.0", 3), boot("1.0", 4, at=LATER + timedelta(seconds=9))])
    assert fell is not None
    assert fell.finding is Finding.FAILED


@pytest.mark.requirement("S38")
@pytest.mark.parametrize("event", ["InvalidFirmwareSignature", "InvalidFirmwareSigningCertificate"])
def test_a_security_event_about_the_signature_halts_as_the_status_does(event) -> None:
    told = sighting_of(ChargerSignal(4, "security_event_reported", {"type": event}, LATER))
    assert told is not None
    verdict = judge(ATTEMPT, [told])
    assert verdict is not None
    assert verdict.halt
    assert sighting_of(ChargerSignal(5, "security_event_reported", {"type": "ResetOrReboot"}, LATER)) is None


@pytest.mark.parametrize(
    ("value", "retryable", "suspicious", "halt"),
    [
        (FirmwareStatus.DOWNLOAD_FAILED, True, False, False),
        (FirmwareStatus.INSTALLATION_FAILED, True, True, False),
        (FirmwareStatus.INSTALL_VERIFICATION_FAILED, True, True, False),
        (FirmwareStatus.INVALID_SIGNATURE, False, True, True),
    ],
)
@pytest.mark.requirement("R26", "S38")
def test_what_a_failure_means(value, retryable, suspicious, halt) -> None:
    verdict = judge(ATTEMPT, [status(value)])
    assert verdict is not None
    assert (verdict.retryable, verdict.suspicious, verdict.halt) == (retryable, suspicious, halt)


def test_a_failure_of_another_request_is_not_ours_but_one_without_number_is() -> None:
    failed = FirmwareStatus.INSTALLATION_FAILED
    assert judge(ATTEMPT, [status(failed, request_id=6)]) is None
    assert judge(ATTEMPT, [status(failed, request_id=None)]) is not None


@pytest.mark.requirement("R24")
def test_the_deadline_tells_the_living_from_the_silent() -> None:
    route = RouteFacts("node-1", "boot-1", 1)
    alive = AttemptFacts(route, True, LATER, 7, ())
    verdict = judge_deadline(ATTEMPT, alive, LATER)
    assert (verdict.finding, verdict.retryable) == (Finding.OVERDUE, True)

    for facts in (
        AttemptFacts(route, False, LATER, 7, ()),
        AttemptFacts(None, True, LATER, 7, ()),
        AttemptFacts(route, True, NOW - timedelta(hours=1), 7, ()),
        AttemptFacts(route, True, LATER - timedelta(minutes=5), 7, ()),
    ):
        verdict = judge_deadline(ATTEMPT, facts, LATER + timedelta(minutes=12))
        assert (verdict.finding, verdict.retryable) == (Finding.SILENT, False)


@pytest.mark.requirement("R24")
def test_with_long_heartbeats_the_living_say_less_and_are_no_more_silent() -> None:
    route = RouteFacts("node-1", "boot-1", 1)
    quiet = AttemptFacts(route, True, LATER, 7, (), stale_s=5400.0)
    for after, finding in ((80, Finding.OVERDUE), (91, Finding.SILENT)):
        assert judge_deadline(ATTEMPT, quiet, LATER + timedelta(minutes=after)).finding is finding
    mute = replace(quiet, last_message_at=ATTEMPT.since - timedelta(minutes=1))
    assert judge_deadline(ATTEMPT, mute, LATER).finding is Finding.SILENT, "not a word since the command"


def test_signals_become_sightings() -> None:
    booted = ChargerSignal(3, "charger_booted", {"firmware_version": "1.1"}, LATER)
    said = ChargerSignal(4, "firmware_status_reported", {"status": "Installed", "request_id": 7}, LATER)
    assert sighting_of(booted) == boot("1.1", 3)
    assert sighting_of(said) == status(FirmwareStatus.INSTALLED, 4)
    assert sighting_of(ChargerSignal(5, "heartbeat_received", {}, LATER)) is None


def test_progress_and_installation_are_seen() -> None:
    assert progress_seen(ATTEMPT, [status(FirmwareStatus.DOWNLOADING)])
    assert not progress_seen(ATTEMPT, [boot("1.0")])
    assert installed_seen(ATTEMPT, [status(FirmwareStatus.INSTALLED)])
    assert not installed_seen(ATTEMPT, [status(FirmwareStatus.INSTALLED, request_id=6)])


sightings = st.lists(
    st.one_of(
        st.builds(boot, st.sampled_from(["1.0", "1.1", None]), st.integers(1, 20)),
        st.builds(
            status, st.sampled_from(list(FirmwareStatus)), st.integers(1, 20), st.sampled_from([7, 6, None])
        ),
    ),
    max_size=8,
    unique_by=lambda one: one.sequence,
)


@given(sightings, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter_and_repeats_change_nothing(found, chance) -> None:
    shuffled = [*found, *found]
    chance.shuffle(shuffled)
    assert judge(ATTEMPT, shuffled) == judge(ATTEMPT, found)


@given(sightings)
@pytest.mark.requirement("R28")
def test_updated_always_rests_on_such_a_boot(found) -> None:
    verdict = judge(ATTEMPT, found)
    if verdict and verdict.finding is Finding.UPDATED:
        assert any(one.booted and one.version == "1.1" for one in found)
