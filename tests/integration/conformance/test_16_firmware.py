"""1.6 firmware updates: plain (TC_044) and of the security extension (TC_080, TC_081)."""

from typing import Any

import pytest

from csms.commands import AnswerStatus
from storage.events import FirmwareStatus
from tests.integration.conformance.updates import plain_update, signed_update
from tests.integration.conformance.wire import OCPP16
from workflows.attest import Finding

pytestmark = [pytest.mark.integration, pytest.mark.requirement("F41", "F71")]

NEW = "2.0"
AVAILABLE = {"0.0": "Available", "1.1": "Available", "2.1": "Available"}


async def plain(csms: Any, station: Any) -> Any:
    """An update of a charge point without the security extension; the command."""
    station.signed = False
    await station.ready()
    update = plain_update()
    # 1.6 section 6.20: an empty answer, there is no way to refuse.
    station.will_answer("UpdateFirmware")
    assert (await csms.send(update)).status is AnswerStatus.ACCEPTED
    sent = await station.heard("UpdateFirmware")
    assert sent["location"] == update.location
    assert "retrieveDate" in sent
    return update


async def test_tc_044_1_a_plain_update_is_installed(csms: Any) -> None:
    async with csms.station(OCPP16) as station:
        update = await plain(csms, station)
        await station.progress(None, "Downloading", "Downloaded")
        await station.everywhere("Unavailable")
        await station.firmware("Installing", None)
    async with csms.station(OCPP16) as station:
        station.signed = False
        await station.ready(version=NEW)
        await station.firmware("Installed", None)
        assert (await csms.judged(update)).finding is Finding.UPDATED
        twin = await csms.twin()
        assert (twin.firmware.version, twin.firmware.status) == (NEW, FirmwareStatus.INSTALLED)
        assert await csms.connectors() == AVAILABLE


async def test_tc_044_2_a_failed_download(csms: Any) -> None:
    async with csms.station(OCPP16) as station:
        update = await plain(csms, station)
        await station.progress(None, "Downloading", "DownloadFailed")
        judgement = await csms.judged(update)
        assert (judgement.finding, judgement.retryable, judgement.suspicious) == (Finding.FAILED, True, False)
        assert (await csms.twin()).firmware.version == "1.0"


async def test_tc_044_3_a_failed_installation(csms: Any) -> None:
    async with csms.station(OCPP16) as station:
        update = await plain(csms, station)
        await station.progress(None, "Downloading", "Downloaded")
        await station.everywhere("Unavailable")
        await station.firmware("Installing", None)
    async with csms.station(OCPP16) as station:
        station.signed = False
        await station.ready()
        await station.firmware("InstallationFailed", None)
        judgement = await csms.judged(update)
        assert (judgement.finding, judgement.suspicious) == (Finding.FAILED, True)
        assert (await csms.twin()).firmware.version == "1.0"


async def signed(csms: Any, station: Any) -> Any:
    """A signed update of a charge point that takes it; the command."""
    await station.ready()
    update = signed_update()
    station.will_answer("SignedUpdateFirmware", status="Accepted")
    assert (await csms.send(update)).status is AnswerStatus.ACCEPTED
    sent = await station.heard("SignedUpdateFirmware")
    assert sent["requestId"] == update.request_id
    assert sent["firmware"]["location"] == update.location
    assert sent["firmware"]["signature"] == update.signature
    assert sent["firmware"]["signingCertificate"] == update.signing_certificate
    return update


@pytest.mark.parametrize("installed_first", [False, True])
async def test_tc_080_a_signed_update_is_installed(csms: Any, installed_first: bool) -> None:
    # What comes after the restart comes in any order.
    async with csms.station(OCPP16) as station:
        update = await signed(csms, station)
        await station.progress(update.request_id, "Downloading", "Downloaded", "SignatureVerified")
        await station.everywhere("Unavailable")
        await station.progress(update.request_id, "Installing", "InstallRebooting")
        assert await csms.judged(update) is None, "no status is a proof"
    async with csms.station(OCPP16) as station:
        if installed_first:
            await station.firmware("Installed", update.request_id)
        assert (await station.boot(version=NEW))["status"] == "Accepted"
        await station.security_event("FirmwareUpdated")
        await station.everywhere("Available")
        if not installed_first:
            await station.firmware("Installed", update.request_id)
        assert (await csms.judged(update)).finding is Finding.UPDATED
        twin = await csms.twin()
        assert (twin.firmware.version, twin.firmware.status) == (NEW, FirmwareStatus.INSTALLED)
        assert twin.firmware.status_request_id == update.request_id
        assert twin.security.last_event == "FirmwareUpdated"
        assert await csms.connectors() == AVAILABLE


@pytest.mark.requirement("S38")
async def test_tc_081_an_invalid_signature_halts(csms: Any) -> None:
    async with csms.station(OCPP16) as station:
        update = await signed(csms, station)
        await station.progress(update.request_id, "Downloading", "Downloaded", "InvalidSignature")
        await station.security_event("InvalidFirmwareSignature")
        judgement = await csms.judged(update)
        assert judgement.finding is Finding.FAILED
        assert judgement.halt, "nothing more may be sent"
        assert (await csms.twin()).firmware.version == "1.0"
