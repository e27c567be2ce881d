"""Block L, secure firmware update (L01): SUT is the CSMS. OCPP 2.0.1 Part 6, and the same over 2.1."""

from datetime import datetime
from typing import Any

import pytest

from csms.commands import AnswerStatus
from storage.events import EventKind, FirmwareStatus
from tests.integration.conformance.updates import in_an_hour, signed_update
from tests.integration.conformance.wire import OCPP21, OCPP201
from workflows.attest import Finding

pytestmark = [
    pytest.mark.integration,
    pytest.mark.requirement("F41", "F71", "F75"),
    pytest.mark.parametrize("version", [OCPP201, OCPP21]),
]

FETCHED = ("Downloading", "Downloaded", "SignatureVerified")
NEW = "2.0"


async def accepted(csms: Any, station: Any, **more: Any) -> Any:
    """Send an update that the station accepts; the command."""
    update = signed_update(**more)
    station.will_answer("UpdateFirmware", status="Accepted")
    assert (await csms.send(update)).status is AnswerStatus.ACCEPTED
    sent = await station.heard("UpdateFirmware")
    assert sent["requestId"] == update.request_id
    assert sent["firmware"]["location"] == update.location
    assert sent["firmware"]["signingCertificate"] == update.signing_certificate
    assert sent["firmware"]["signature"] == update.signature
    return update


async def runs_the_new_image(csms: Any, update: Any) -> None:
    """What holds at the end of every case that ends well: proved by the boot, not by the status."""
    twin = await csms.twin()
    assert (twin.firmware.version, twin.firmware.previous_version) == (NEW, "1.0")
    assert (twin.firmware.status, twin.firmware.status_request_id) == (
        FirmwareStatus.INSTALLED,
        update.request_id,
    )
    assert (await csms.judged(update)).finding is Finding.UPDATED
    assert await csms.connectors() == {"1.1": "Available", "2.1": "Available"}


@pytest.mark.requirement("R28")
async def test_tc_l_01_a_signed_update_is_installed(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        update = await accepted(csms, station)
        await station.progress(update.request_id, *FETCHED, "Installing", "InstallRebooting")
        assert await csms.judged(update) is None, "no status is a proof"
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", update.request_id)
        await runs_the_new_image(csms, update)
        train = (*FETCHED, "Installing", "InstallRebooting", "Installed")
        assert await csms.trail() == [(status, update.request_id) for status in train]
    assert await csms.answered("UpdateFirmware") == ["Accepted"]


async def test_tc_l_02_the_installation_waits_for_its_time(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        due = in_an_hour()
        update = signed_update(install_at=due)
        station.will_answer("UpdateFirmware", status="Accepted")
        await csms.send(update)
        sent = await station.heard("UpdateFirmware")
        asked = datetime.fromisoformat(sent["firmware"]["installDateTime"])
        assert abs((asked - due).total_seconds()) < 0.01
        await station.progress(update.request_id, *FETCHED, "InstallScheduled")
        assert (await csms.twin()).firmware.status is FirmwareStatus.INSTALL_SCHEDULED
        assert await csms.judged(update) is None
        await station.progress(update.request_id, "Installing", "InstallRebooting")
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", update.request_id)
        await runs_the_new_image(csms, update)


async def test_tc_l_03_the_download_waits_for_its_time(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        due = in_an_hour()
        update = signed_update(retrieve_at=due)
        station.will_answer("UpdateFirmware", status="Accepted")
        await csms.send(update)
        sent = await station.heard("UpdateFirmware")
        asked = datetime.fromisoformat(sent["firmware"]["retrieveDateTime"])
        assert abs((asked - due).total_seconds()) < 0.01
        await station.firmware("DownloadScheduled", update.request_id)
        assert (await csms.twin()).firmware.status is FirmwareStatus.DOWNLOAD_SCHEDULED
        assert await csms.judged(update) is None
        await station.progress(update.request_id, *FETCHED, "Installing", "InstallRebooting")
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", update.request_id)
        await runs_the_new_image(csms, update)


@pytest.mark.requirement("S38")
async def test_tc_l_04_a_revoked_certificate_is_an_answer(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("UpdateFirmware", status="RevokedCertificate")
        assert (await csms.send(signed_update())).status is AnswerStatus.REVOKED_CERTIFICATE
    assert await csms.answered("UpdateFirmware") == ["RevokedCertificate"]
    assert await csms.trail() == []


@pytest.mark.requirement("S38")
async def test_tc_l_05_an_invalid_certificate_is_an_answer_and_an_event(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        station.will_answer("UpdateFirmware", status="InvalidCertificate")
        update = signed_update()
        assert (await csms.send(update)).status is AnswerStatus.INVALID_CERTIFICATE
        await station.security_event("InvalidFirmwareSigningCertificate")
        assert (await csms.twin()).security.last_event == "InvalidFirmwareSigningCertificate"
        judgement = await csms.judged(update)
        assert judgement.finding is Finding.FAILED
        assert judgement.halt, "nothing more may be sent"


@pytest.mark.requirement("S38")
@pytest.mark.parametrize("event_first", [False, True])
async def test_tc_l_06_an_invalid_signature_halts(csms: Any, version: str, event_first: bool) -> None:
    # Errata 2025-09: the status and the security event come in either order.
    async with csms.station(version) as station:
        await station.ready()
        update = await accepted(csms, station)
        await station.progress(update.request_id, "Downloading", "Downloaded")
        if event_first:
            await station.security_event("InvalidFirmwareSignature")
        await station.firmware("InvalidSignature", update.request_id)
        if not event_first:
            await station.security_event("InvalidFirmwareSignature")
        assert (await csms.judged(update)).halt
        twin = await csms.twin()
        assert twin.security.last_event == "InvalidFirmwareSignature"
        assert twin.firmware.version == "1.0"


async def test_tc_l_07_a_failed_download_is_no_fault_of_the_image(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        update = await accepted(csms, station)
        await station.progress(update.request_id, "Downloading", "DownloadFailed")
        judgement = await csms.judged(update)
        assert (judgement.finding, judgement.retryable, judgement.suspicious) == (Finding.FAILED, True, False)


async def test_tc_l_08_a_failed_verification_ends_the_update(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        update = await accepted(csms, station)
        await station.progress(update.request_id, *FETCHED, "Installing", "InstallVerificationFailed")
        judgement = await csms.judged(update)
        assert (judgement.finding, judgement.suspicious) == (Finding.FAILED, True)
        assert (await csms.twin()).firmware.version == "1.0"


async def test_tc_l_09_a_failed_installation_is_told_after_the_reboot(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        update = await accepted(csms, station)
        await station.progress(update.request_id, *FETCHED, "Installing", "InstallRebooting")
        await station.ready("FirmwareUpdate", "1.0")
        await station.firmware("InstallationFailed", update.request_id)
        judgement = await csms.judged(update)
        assert judgement.finding is Finding.FAILED
        twin = await csms.twin()
        assert twin.firmware.version == "1.0"
        assert twin.firmware.status is FirmwareStatus.INSTALLATION_FAILED


async def test_tc_l_10_a_second_update_cancels_the_first(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        first = await accepted(csms, station)
        await station.firmware("Downloading", first.request_id)
        second = signed_update()
        station.will_answer("UpdateFirmware", status="AcceptedCanceled")
        assert (await csms.send(second)).status is AnswerStatus.ACCEPTED_CANCELED
        assert (await station.heard("UpdateFirmware"))["requestId"] == second.request_id != first.request_id
        # L01.FR.24: the cancelled one may still speak, under its own id.
        await station.firmware("DownloadFailed", first.request_id)
        assert await csms.judged(second) is None, "that was not ours"
        await station.progress(second.request_id, *FETCHED, "Installing", "InstallRebooting")
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", second.request_id)
        await runs_the_new_image(csms, second)
    assert await csms.answered("UpdateFirmware") == ["Accepted", "AcceptedCanceled"]


async def test_tc_l_11_an_update_that_cannot_be_cancelled_goes_on(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        first = await accepted(csms, station)
        await station.firmware("Downloading", first.request_id)
        station.will_answer("UpdateFirmware", status="Rejected")
        assert (await csms.send(signed_update())).status is AnswerStatus.REJECTED
        train = ("Downloaded", "SignatureVerified", "Installing", "InstallRebooting")
        await station.progress(first.request_id, *train)
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", first.request_id)
        await runs_the_new_image(csms, first)
    assert await csms.answered("UpdateFirmware") == ["Accepted", "Rejected"]


@pytest.mark.requirement("X1")
async def test_tc_l_13_with_a_session_open_the_station_waits_for_its_end(csms: Any, version: str) -> None:
    async with csms.station(version) as station:
        await station.ready()
        await station.start()
        assert await csms.busy() == "session T-1 is open on EVSE 1", "no rollout would have sent now"
        update = await accepted(csms, station)
        await station.firmware("DownloadScheduled", update.request_id)
        await station.status("Unavailable", 2)
        assert await csms.connectors() == {"1.1": "Occupied", "2.1": "Unavailable"}
        await station.stop()
        assert await csms.busy() is None
        await station.progress(update.request_id, *FETCHED, "Installing", "InstallRebooting")
        await station.ready("FirmwareUpdate", NEW)
        await station.firmware("Installed", update.request_id)
        await runs_the_new_image(csms, update)
        assert [body["reason"] for body in await csms.events(EventKind.TRANSACTION_ENDED)] == [
            "EVDisconnected"
        ]
