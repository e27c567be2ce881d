import json
from datetime import UTC, datetime

import pytest

from csms.dialect import Observed, Reading
from csms.frames import OCPP16, OCPP201
from csms.ocpp16 import Ocpp16
from csms.quirks.catalogue import CATALOGUE, CLOCK_NOT_SET, NO_OFFSET, TRANSACTION_UNKNOWN
from csms.quirks.quirk import Adaptation, Quirk, matching
from csms.timestamps import format_instant, parse_instant
from storage.events import MeterValuesSampled, TransactionEnded, TransactionStarted


def read(frame: str, quirks: tuple[Quirk, ...]) -> Observed:
    _, _, action, payload = json.loads(frame)
    adaptation = Adaptation(quirks)
    reading = Reading(lambda text: parse_instant(text, adaptation.time_fixes), str.upper, transaction_id=1)
    return adaptation.apply(Ocpp16().to_events(action, payload, reading))[0]


@pytest.mark.requirement("F73")
@pytest.mark.parametrize("quirk", CATALOGUE, ids=lambda quirk: quirk.name)
def test_every_quirk_has_evidence_and_a_frame_that_the_dialect_reads(quirk: Quirk) -> None:
    assert quirk.evidence.startswith("https://")
    assert read(quirk.frame, (quirk,)).event


@pytest.mark.parametrize("quirk", [quirk for quirk in CATALOGUE if quirk is not TRANSACTION_UNKNOWN])
def test_a_quirk_of_time_changes_what_its_frame_means(quirk: Quirk) -> None:
    assert read(quirk.frame, (quirk,)).at != read(quirk.frame, ()).at


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-04-26T14:35:02+02", datetime(2024, 4, 26, 12, 35, 2, tzinfo=UTC)),
        ("2014-08-19T08:07:04+0000", datetime(2014, 8, 19, 8, 7, 4, tzinfo=UTC)),
        ("2023-10-19T15:28:07", datetime(2023, 10, 19, 15, 28, 7, tzinfo=UTC)),
        ("2026-11-20T21:31:21.766Z", datetime(2026, 11, 20, 21, 31, 21, 766000, tzinfo=UTC)),
        ("2026-11-20T21:31:21.123456789-05:30", datetime(2026, 11, 21, 3, 1, 21, 123456, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("2026-02-30T00:00:00Z", None),
    ],
)
def test_times_are_read_tolerantly(text: str, expected: datetime | None) -> None:
    assert parse_instant(text, Adaptation(CATALOGUE).time_fixes) == expected


def test_times_are_written_strictly() -> None:
    assert format_instant(datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)) == "2026-01-02T03:04:05.678Z"


def test_a_time_from_before_the_clock_was_set_is_no_time() -> None:
    assert read(CLOCK_NOT_SET.frame, CATALOGUE).at is None


def test_a_session_that_began_offline_ends_although_its_id_is_not_named() -> None:
    adaptation = Adaptation((TRANSACTION_UNKNOWN,))
    for _ in range(2):  # sent again, because its answer was lost
        adaptation.apply((Observed(TransactionStarted("7", 1, 1)),))
    (ended,) = adaptation.apply((Observed(TransactionEnded("-1")),))
    assert ended.event == TransactionEnded("7")


def test_which_of_two_sessions_ended_is_not_guessed() -> None:
    adaptation = Adaptation((TRANSACTION_UNKNOWN,))
    adaptation.apply((Observed(TransactionStarted("7", 1, 1)), Observed(TransactionStarted("8", 2, 1))))
    assert adaptation.apply((Observed(TransactionEnded("-1")),))[0].event == TransactionEnded("-1")
    assert adaptation.apply((Observed(TransactionEnded("8")),))[0].event == TransactionEnded("8")
    assert adaptation.apply((Observed(TransactionEnded("-1")),))[0].event == TransactionEnded("7")


def test_meter_values_of_no_session_belong_to_none() -> None:
    (seen,) = Adaptation((TRANSACTION_UNKNOWN,)).apply((Observed(MeterValuesSampled(1, "0")),))
    assert seen.event == MeterValuesSampled(1, None)


def test_a_quirk_holds_for_its_model_only() -> None:
    special = Quirk("special", "https://example.org", "[]", vendor="Acme", model="X*", dialects=(OCPP16,))
    assert matching([special], OCPP16, "Acme", "X2", None) == (special,)
    assert matching([special], OCPP16, "Acme", "Y", None) == ()
    assert matching([special], OCPP201, "Acme", "X2", None) == ()
    assert NO_OFFSET in matching(CATALOGUE, OCPP201, "any", "any", "1.0")
