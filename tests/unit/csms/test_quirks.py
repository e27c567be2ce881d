import json
from datetime import UTC, datetime

import pytest

from csms.dialect import Observed, Reading
from csms.frames import OCPP16, OCPP201
from csms.ocpp16 import Ocpp16
from csms.quirks.catalogue import (
    BOOTS_ON_CONNECT,
    CATALOGUE,
    CLOCK_NOT_SET,
    FTP_ONLY,
    HTTP_ONLY,
    INSTALLED_TWICE,
    NO_OFFSET,
    NO_UPDATES,
    PLAIN_UPDATES,
    REQUEST_UNKNOWN,
    SFTP_ONLY,
    TRANSACTION_UNKNOWN,
    VERSION_IN_WORDS,
)
from csms.quirks.quirk import Adaptation, Quirk, declared, matching, of_brand
from csms.timestamps import format_instant, parse_instant
from storage.capability import Declared
from storage.events import (
    RECONNECTED,
    ChargerBooted,
    FirmwareStatus,
    FirmwareStatusReported,
    MeterValuesSampled,
    TransactionEnded,
    TransactionStarted,
)


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


@pytest.mark.parametrize("quirk", CATALOGUE, ids=lambda quirk: quirk.name)
def test_every_quirk_corrects_something_and_has_its_line_here(quirk: Quirk) -> None:
    assert quirk.time_fixes or quirk != Quirk(quirk.name, quirk.evidence, quirk.frame)
    assert quirk.name in LINES


LINES = {
    "short-offset",
    "compact-offset",
    "no-offset",
    "clock-not-set",
    "local-clock",
    "transaction-unknown",
    "request-unknown",
    "installed-twice",
    "boots-on-connect",
    "version-in-words",
    "no-updates",
    "plain-updates",
    "sftp-only",
    "ftp-only",
    "http-only",
}
"""Each is looked at by name below."""
OF_TIME = [quirk for quirk in CATALOGUE if quirk.time_fixes or quirk.clock_unset_before or quirk.untimed]


@pytest.mark.parametrize("quirk", OF_TIME, ids=lambda quirk: quirk.name)
def test_a_quirk_of_time_changes_what_its_frame_means(quirk: Quirk) -> None:
    assert read(quirk.frame, (quirk,)).at != read(quirk.frame, ()).at


@pytest.mark.requirement("F73")
def test_a_request_id_that_means_none_is_none() -> None:
    seen = read(REQUEST_UNKNOWN.frame, (REQUEST_UNKNOWN,))
    assert seen.event == FirmwareStatusReported(FirmwareStatus.DOWNLOADING, None)
    assert read(REQUEST_UNKNOWN.frame, ()).event == FirmwareStatusReported(FirmwareStatus.DOWNLOADING, -1)


@pytest.mark.requirement("F73")
def test_installed_is_heard_once_for_each_update() -> None:
    adaptation = Adaptation((INSTALLED_TWICE,))

    def hear(status: FirmwareStatus, request: int | None = None) -> int:
        return len(adaptation.apply((Observed(FirmwareStatusReported(status, request)),)))

    assert [hear(FirmwareStatus.INSTALLED), hear(FirmwareStatus.INSTALLED)] == [1, 0]
    assert hear(FirmwareStatus.INSTALLED, 7) == 1
    assert [hear(FirmwareStatus.DOWNLOADING), hear(FirmwareStatus.DOWNLOADING)] == [1, 1]
    assert hear(FirmwareStatus.INSTALLED, 7) == 1
    adaptation.apply((Observed(ChargerBooted("V", "M", "1.0")),))
    assert hear(FirmwareStatus.INSTALLED, 7) == 1


def booted(frame: str, version: str | None) -> ChargerBooted:
    payload = json.loads(frame)[3]
    vendor, model = payload["chargePointVendor"], payload["chargePointModel"]
    adaptation = Adaptation.of(CATALOGUE, OCPP16, vendor, model, version)
    reading = Reading(parse_instant, str.upper)
    (seen,) = adaptation.apply(Ocpp16().to_events("BootNotification", payload, reading))
    assert isinstance(seen.event, ChargerBooted)
    return seen.event


@pytest.mark.requirement("F73")
def test_a_boot_on_every_connect_is_a_restart_only_with_another_version() -> None:
    assert booted(BOOTS_ON_CONNECT.frame, "1.1.212").reason == RECONNECTED
    assert booted(BOOTS_ON_CONNECT.frame, "1.1.200").reason is None
    assert booted(BOOTS_ON_CONNECT.frame, None).reason is None


@pytest.mark.requirement("F73")
def test_a_version_is_read_as_releases_are_named() -> None:
    assert booted(VERSION_IN_WORDS.frame, None).firmware_version == "3.02.4"
    adaptation = Adaptation((VERSION_IN_WORDS,))
    (seen,) = adaptation.apply((Observed(ChargerBooted("Keba AG", "X", "1.10.1")),))
    assert seen.event == ChargerBooted("Keba AG", "X", "1.10.1")


@pytest.mark.requirement("F58")
@pytest.mark.parametrize(
    ("quirk", "expected"),
    [
        (NO_UPDATES, Declared(updates=False)),
        (PLAIN_UPDATES, Declared(signed_update=False)),
        (SFTP_ONLY, Declared(transfers=("FTP", "SFTP"))),
        (FTP_ONLY, Declared(transfers=("FTP",))),
        (HTTP_ONLY, Declared(transfers=("HTTP",))),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_what_a_brand_cannot_do_is_known_from_its_boot(quirk: Quirk, expected: Declared) -> None:
    payload = json.loads(quirk.frame)[3]
    brand = (payload["chargePointVendor"], payload["chargePointModel"], payload.get("firmwareVersion"))
    assert declared(matching(CATALOGUE, OCPP16, *brand)) == expected
    assert quirk in of_brand(CATALOGUE, *brand[:2])


def test_another_firmware_has_other_quirks_from_its_boot_on() -> None:
    old = Quirk("old", "https://x", "[]", firmware="1.*", placeholder_requests=frozenset({0}))
    adaptation = Adaptation.of((old,), OCPP16, "V", "M", "1.0")
    status = Observed(FirmwareStatusReported(FirmwareStatus.INSTALLING, 0))
    assert adaptation.apply((status,))[0].event == FirmwareStatusReported(FirmwareStatus.INSTALLING)
    adaptation.apply((Observed(ChargerBooted("V", "M", "2.0")),))
    assert adaptation.apply((status,)) == (status,)


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
