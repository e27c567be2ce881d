"""Frames of independent charger software, played through the session as they were recorded."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from csms.commands import (
    AnswerStatus,
    Command,
    GetVariables,
    Reset,
    ResetKind,
    TriggerKind,
    TriggerMessage,
    UpdateFirmware,
)
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.probing import out_of_service
from csms.schemas import check_request
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    DeviationTolerated,
    FirmwareStatus,
    FirmwareStatusReported,
    FrameRejected,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
    VariablesReported,
)

FRAMES = Path(__file__).parents[2] / "frames"
RECORDINGS = {
    "sap-simulator-ocpp16.jsonl": OCPP16,
    "micro-ocpp-ocpp16.jsonl": OCPP16,
    "open-ocpp-ocpp16-security.jsonl": OCPP16,
    "ocpp-cp-simulator-ocpp16-security.jsonl": OCPP16,
    "sap-simulator-ocpp201.jsonl": OCPP201,
    "ocpp-go-ocpp201.jsonl": OCPP201,
    "virtual-charge-point-ocpp21.jsonl": OCPP21,
}


def recorded(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FRAMES / name).read_text().splitlines()]


def calls(name: str) -> Iterator[list[Any]]:
    """What the charger asked."""
    for row in recorded(name):
        if row["dir"] == "from_charger" and row["frame"][0] == 2:
            yield row["frame"]


def exchange(name: str, action: str) -> tuple[list[Any], list[Any]]:
    """A call to the charger and its answer."""
    rows = [row["frame"] for row in recorded(name) if row["frame"]]
    call = next(frame for frame in rows if frame[0] == 2 and frame[2] == action)
    return call, next(frame for frame in rows if frame[0] in (3, 4) and frame[1] == call[1])


@pytest.mark.requirement("F69", "F72")
@pytest.mark.parametrize(("name", "dialect"), RECORDINGS.items())
async def test_every_call_of_a_recording_is_answered_and_none_rejected(
    make_world: Any, name: str, dialect: str
) -> None:
    world = await make_world(dialect)
    for call in calls(name):
        world.clock.advance(1)
        answer = await world.socket.ask(*call)
        assert answer[:2] == [3, call[1]], call
    assert world.store.facts(FrameRejected) == []
    assert len(world.store.journal("in")) == len(world.store.journal("out")) == len(list(calls(name)))


async def test_sap_1_6_ends_booted_installed_and_with_its_connector_out_of_service(make_world: Any) -> None:
    world = await make_world(OCPP16)
    for call in calls("sap-simulator-ocpp16.jsonl"):
        world.clock.advance(1)
        await world.socket.ask(*call)
    statuses = [each.status.value for each in world.store.facts(FirmwareStatusReported)]
    assert statuses == ["Idle", "Downloading", "Downloaded", "Installing", "Installed"]
    assert len(world.store.facts(ChargerBooted)) == 3
    assert world.twin.firmware.version == "1.0.0", "Installed was said, and still the old version runs"
    assert world.twin.firmware.status is FirmwareStatus.INSTALLED
    assert world.twin.operation.connectors["1.1"].status is ConnectorStatus.UNAVAILABLE


async def test_sap_2_0_1_tells_requests_apart_and_reports_in_parts(make_world: Any) -> None:
    world = await make_world(OCPP201)
    for call in calls("sap-simulator-ocpp201.jsonl"):
        await world.socket.ask(*call)
    installed = [each for each in world.store.facts(FirmwareStatusReported) if each.request_id == 45]
    assert [each.status.value for each in installed] == [
        "Downloading",
        "Downloaded",
        "Installing",
        "Installed",
    ]
    assert world.store.facts(SecurityEventReported)[-1].type == "FirmwareUpdated"
    (report,) = world.store.facts(VariablesReported)
    assert report.complete
    assert world.twin.configuration.values["ISO15118Ctrlr.SeccId"] == "DE*ICE*E*1234567890"
    assert {"0.0", "1.1"} == set(world.twin.operation.connectors)


async def test_micro_ocpp_names_no_version_so_nothing_is_proved(make_world: Any) -> None:
    world = await make_world(OCPP16)
    for call in calls("micro-ocpp-ocpp16.jsonl"):
        await world.socket.ask(*call)
    assert world.twin.firmware.version is None
    assert set(world.twin.operation.connectors) == {"0.0", "1.1", "2.1"}


SIGNED = ["Downloading", "Downloaded", "SignatureVerified", "Installing"]


async def reported(world: Any, name: str) -> list[str]:
    """Play a recording; the statuses of its signed update."""
    for call in calls(name):
        world.clock.advance(1)
        await world.socket.ask(*call)
    facts = world.store.facts(FirmwareStatusReported)
    return [each.status.value for each in facts if each.request_id is not None]


async def test_open_ocpp_proves_the_signed_version_and_never_says_that_it_is_back_in_service(
    make_world: Any,
) -> None:
    world = await make_world(OCPP16)
    assert await reported(world, "open-ocpp-ocpp16-security.jsonl") == SIGNED, "its reboot came first"
    assert [each.firmware_version for each in world.store.facts(ChargerBooted)] == ["0.1", "1.1.1"]
    assert world.twin.firmware.version == "1.1.1"
    back = [row["frame"] for row in recorded("open-ocpp-ocpp16-security.jsonl") if row["frame"]]
    told = [frame[3]["type"] for frame in back if frame[0] == 2 and frame[2] == "ChangeAvailability"]
    assert told[-1] == "Operative"
    # Why a node asks again after a boot: tests/unit/csms/test_probing.py.
    assert out_of_service(world.twin.operation)


async def test_ocpp_cp_simulator_says_installed_and_proves_nothing(make_world: Any) -> None:
    world = await make_world(OCPP16)
    statuses = await reported(world, "ocpp-cp-simulator-ocpp16-security.jsonl")
    assert statuses == [*SIGNED, "Installed"]
    assert world.twin.firmware.version == "1.0.0"


async def test_ocpp_go_counts_connectors_from_nought_and_its_session_ends(make_world: Any) -> None:
    world = await make_world(OCPP201)
    for call in calls("ocpp-go-ocpp201.jsonl"):
        world.clock.advance(1)
        await world.socket.ask(*call)
    (started,), (ended,) = world.store.facts(TransactionStarted), world.store.facts(TransactionEnded)
    assert started.transaction_id == ended.transaction_id
    assert world.twin.operation.transactions == {}
    assert world.twin.operation.connectors["1.0"].status is ConnectorStatus.AVAILABLE


async def test_the_virtual_charge_point_reports_nothing_in_an_empty_list(make_world: Any) -> None:
    world = await make_world(OCPP21)
    for call in calls("virtual-charge-point-ocpp21.jsonl"):
        await world.socket.ask(*call)
    assert [each.action for each in world.store.facts(DeviationTolerated)] == ["NotifyReport"]
    assert world.twin.firmware is None or world.twin.firmware.version is None, "its boots name no version"


@pytest.mark.requirement("F70")
@pytest.mark.parametrize(
    ("name", "action", "signed", "expected"),
    [
        ("micro-ocpp-ocpp16.jsonl", "UpdateFirmware", False, AnswerStatus.NOT_IMPLEMENTED),
        ("sap-simulator-ocpp16.jsonl", "UpdateFirmware", False, AnswerStatus.ACCEPTED),
        ("sap-simulator-ocpp16.jsonl", "SignedUpdateFirmware", True, AnswerStatus.NOT_IMPLEMENTED),
        ("open-ocpp-ocpp16-security.jsonl", "SignedUpdateFirmware", True, AnswerStatus.ACCEPTED),
        ("ocpp-cp-simulator-ocpp16-security.jsonl", "SignedUpdateFirmware", True, AnswerStatus.ACCEPTED),
        ("sap-simulator-ocpp201.jsonl", "UpdateFirmware", True, AnswerStatus.INVALID_CERTIFICATE),
    ],
)
async def test_recorded_answers_to_an_update_mean_what_they_say(
    make_world: Any, name: str, action: str, signed: bool, expected: AnswerStatus
) -> None:
    world = await make_world(RECORDINGS[name])
    proof = ("PEM", "c2ln") if signed else (None, None)
    command = UpdateFirmware(42, "http://127.0.0.1:9091/fw.bin", world.clock(), *proof)
    assert (await answered(world, command, name, action)).status is expected


@pytest.mark.parametrize(
    ("name", "command", "action", "expected"),
    [
        ("sap-simulator-ocpp16.jsonl", TriggerMessage(TriggerKind.BOOT), "TriggerMessage", "Accepted"),
        ("sap-simulator-ocpp16.jsonl", Reset(ResetKind.IMMEDIATE), "Reset", "Accepted"),
        ("sap-simulator-ocpp201.jsonl", Reset(ResetKind.IMMEDIATE), "Reset", "Accepted"),
        (
            "sap-simulator-ocpp201.jsonl",
            TriggerMessage(TriggerKind.FIRMWARE_STATUS),
            "TriggerMessage",
            "Accepted",
        ),
    ],
)
async def test_other_commands_are_those_that_were_recorded(
    make_world: Any, name: str, command: Command, action: str, expected: str
) -> None:
    world = await make_world(RECORDINGS[name])
    assert (await answered(world, command, name, action)).status.value == expected


async def test_configuration_and_variables_as_recorded(make_world: Any) -> None:
    world = await make_world(OCPP16)
    read = await answered(world, GetVariables(), "sap-simulator-ocpp16.jsonl", "GetConfiguration")
    assert dict(read.values)["SupportedFeatureProfiles"].startswith("Core,FirmwareManagement")
    world = await make_world(OCPP201)
    names = ("SecurityCtrlr.SecurityProfile", "SecurityCtrlr.OrganizationName")
    read = await answered(world, GetVariables(names), "sap-simulator-ocpp201.jsonl", "GetVariables")
    assert read.values == (
        ("SecurityCtrlr.SecurityProfile", "1"),
        ("SecurityCtrlr.OrganizationName", "ChangeMeOrg"),
    )


async def answered(world: Any, command: Command, name: str, action: str) -> Any:
    """Send a command; the charger says what it said when it was recorded."""
    call, answer = exchange(name, action)
    sending = asyncio.create_task(world.session.send(command, 5))
    sent = await world.socket.hear()
    assert sent[2] == call[2]
    assert check_request(RECORDINGS[name], sent[2], sent[3]) is None
    world.socket.say(answer[0], sent[1], *answer[2:])
    return await sending
