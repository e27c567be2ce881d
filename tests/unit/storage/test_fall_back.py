"""Whether a charger fell back by itself: by its own boots, all of them, and by nothing else."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from storage.events import EventKind, StoredEvent
from storage.fall_back import WITHIN, Trial, fell_back

SENT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
TRIAL = Trial("c1", "1.1", "1.0", SENT, 7)
pytestmark = pytest.mark.requirement("R29", "F34")


def told(minute: float, kind: EventKind, **body: Any) -> StoredEvent:
    at = SENT + timedelta(minutes=minute)
    return StoredEvent(int(minute * 60) + 10_000, "A", kind, body, at, at)


def boot(
    minute: float, version: str | None, reason: str | None = None, serial: str | None = None
) -> StoredEvent:
    said = {"firmware_version": version, "reason": reason, "serial_number": serial}
    return told(minute, EventKind.CHARGER_BOOTED, **said)


def fetches(minute: float, number: int | None, status: str = "Downloading") -> StoredEvent:
    return told(minute, EventKind.FIRMWARE_STATUS_REPORTED, status=status, request_id=number)


def reports(minute: float, security_event: str) -> StoredEvent:
    return told(minute, EventKind.SECURITY_EVENT_REPORTED, type=security_event)


def read(minute: float, version: str, of: float) -> StoredEvent:
    booted_at = (SENT + timedelta(minutes=of)).isoformat()
    return told(minute, EventKind.FIRMWARE_VERSION_READ, version=version, booted_at=booted_at)


LOOP = (boot(1, "1.1"), boot(2, "1.1"), boot(3, "1.1"), boot(4, "1.0"))


def test_a_boot_loop_that_ends_on_the_former_version_is_told_with_its_boots() -> None:
    fell = fell_back(TRIAL, LOOP)
    assert fell is not None
    assert (fell.campaign_id, fell.to, fell.boots, fell.at) == ("c1", "1.0", 3, SENT + timedelta(minutes=4))
    assert fell.sentence == "boot loop: it came back 3 times with 1.1, and fell back to 1.0 by itself"


@pytest.mark.parametrize(
    ("events", "boots"),
    [
        ((boot(1, "1.1"), boot(2, "1.0")), 1),
        ((boot(0.5, "1.0"), *LOOP), 3),
        ((*LOOP, boot(9, "1.0")), 3),
        ((*LOOP[:3], boot(3.5, None), LOOP[3]), 3),
        ((boot(1, None), read(1.5, "1.1", 1), boot(2, None), read(2.5, "1.0", 2)), 1),
        ((boot(1, "1.1"), boot(2, "1.1", "Triggered"), boot(3, "1.0")), 1),
        ((boot(-9, "0.9"), *LOOP), 3),
        (tuple(reversed(LOOP)), 3),
        ((fetches(0.5, 7), fetches(0.6, None), *LOOP), 3),
        ((*LOOP[:1], fetches(1.5, 7, "Downloaded"), *LOOP[1:]), 3),
        ((*LOOP[:1], fetches(1.5, None, "Downloaded"), *LOOP[1:]), 3),
        ((*LOOP[:3], fetches(3.5, 7, "InstallationFailed"), LOOP[3]), 3),
        ((*LOOP[:3], fetches(3.5, None, "Installing"), LOOP[3]), 3),
        ((*LOOP, fetches(4.5, 99)), 3),
        ((boot(1, "1.1", serial="S-1"), boot(2, "1.1"), boot(3, "1.0", serial="S-1")), 2),
    ],
    ids=[
        "one crash",
        "a boot on the way",
        "it boots again later",
        "one that told nothing in between",
        "versions that were read",
        "a boot that we asked for",
        "what was before does not count",
        "in any order",
        "our own download",
        "a late word of our own download",
        "a late word that bears no number",
        "what it says of ours in the end",
        "an install is what it does itself",
        "what it fetches afterwards",
        "it does not always tell its serial number",
    ],
)
def test_what_counts_as_a_fall_back(events, boots) -> None:
    fell = fell_back(TRIAL, events)
    assert fell is not None
    assert fell.boots == boots
    assert ("boot loop" in fell.sentence) is (boots > 1)


@pytest.mark.parametrize(
    "events",
    [
        (),
        LOOP[:3],
        (boot(4, "1.0"),),
        (*LOOP, boot(9, "1.1")),
        (*LOOP, boot(9, None)),
        (*LOOP[:3], boot(4, "6.6"), boot(5, "1.0")),
        (*LOOP[:3], boot(4, "0.9")),
        (*LOOP[:3], reports(3.5, "TamperDetectionActivated"), LOOP[3]),
        (*LOOP[:3], reports(3.5, "InvalidFirmwareSignature"), LOOP[3]),
        (*LOOP[:3], reports(3.5, "SecurityLogWasCleared"), LOOP[3]),
        (*LOOP[:3], fetches(3.5, 99), LOOP[3]),
        (*LOOP[:3], fetches(3.5, None, "Downloaded"), LOOP[3]),
        (*LOOP[:1], fetches(1.5, 99, "Downloaded"), *LOOP[1:]),
        (boot(1, "1.1", serial="S-1"), boot(2, "1.1"), boot(3, "1.0", serial="S-2")),
        (boot(1, "1.1"), boot(2 + WITHIN.total_seconds() / 60, "1.0")),
        (boot(1, None), boot(2, "1.0")),
    ],
    ids=[
        "nothing is known",
        "it still loops, or is silent",
        "it never came up with it",
        "it runs it again",
        "nobody knows what it runs now",
        "a third version in between",
        "an older one than before",
        "somebody opened it",
        "somebody offered it an image that nobody signed",
        "somebody cleared its log",
        "somebody had it fetch another image",
        "it fetched an image that we did not send",
        "it restarted after it had fetched another image",
        "another device answers for it",
        "days later",
        "a boot that nobody read is no proof",
    ],
)
def test_what_its_boots_do_not_show_is_no_fall_back(events) -> None:
    assert fell_back(TRIAL, events) is None


@pytest.mark.parametrize("before", [None, "1.1"])
def test_nobody_falls_back_to_what_is_not_known_or_to_the_same(before) -> None:
    assert fell_back(Trial("c1", "1.1", before, SENT), LOOP) is None


def test_another_security_event_is_no_tampering() -> None:
    started = reports(2.5, "StartupOfTheDevice")
    assert fell_back(TRIAL, (*LOOP, started)) is not None
