"""What a charger does with the server's other calls, with lost connections, and what it writes down."""

import asyncio
import base64
import os
import signal
import sys
from dataclasses import replace

import orjson
import pytest

from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.ledger import acknowledged_ids
from csms.simulator.pace import SessionPattern
from csms.simulator.personality import Dialect
from csms.simulator.spec import default_fleet, save_fleet

CHARGER = "SIM-0001"
OFTEN = SessionPattern(busy_share=0.95)
BY_NAME = pytest.mark.parametrize("personality", PERSONALITIES.values(), ids=list(PERSONALITIES))
SESSION_MESSAGES = ("StartTransaction", "TransactionEvent")


def availability(personality, operative: bool) -> dict[str, object]:
    word = "Operative" if operative else "Inoperative"
    old = personality.dialect is Dialect.OCPP16
    return {"connectorId": 0, "type": word} if old else {"operationalStatus": word}


def unlocked(personality) -> dict[str, object]:
    old = personality.dialect is Dialect.OCPP16
    return {"connectorId": 1} if old else {"evseId": 1, "connectorId": 1}


def shown(csms) -> dict[int, str]:
    rows = csms.of(CHARGER, "StatusNotification")
    places = {row.get("evseId", row["connectorId"]): row for row in rows}
    return {place: row.get("connectorStatus") or row["status"] for place, row in places.items() if place}


@BY_NAME
@pytest.mark.requirement("F72")
async def test_availability_is_scheduled_under_a_session_and_starts_none_after(
    personality, bench, csms
) -> None:
    async with bench.running(bench.fleet(personality, sessions=OFTEN)) as task:
        await csms.until(lambda: bool(csms.of(CHARGER, *SESSION_MESSAGES)))
        answer = await bench.send("ChangeAvailability", availability(personality, operative=False))
        assert answer == [3, {"status": "Scheduled"}]
        await csms.until(lambda: set(shown(csms).values()) == {"Unavailable"})
        again = await bench.send("ChangeAvailability", availability(personality, operative=False))
        assert again == [3, {"status": "Accepted"}]
        started = (await bench.until_report(lambda _: True))["totals"]["sessions_started"]
        back = await bench.send("ChangeAvailability", availability(personality, operative=True))
        assert back == [3, {"status": "Accepted"}]
        await bench.until_report(lambda report: report["totals"]["sessions_started"] > started)
    assert (await task).totals()["sessions_cut"] == 0


async def test_an_unknown_outlet_is_rejected(bench) -> None:
    async with bench.running(bench.fleet(PERSONALITIES["jetty"])):
        answer = await bench.send(
            "ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 9}}
        )
    assert answer == [3, {"status": "Rejected"}]


@pytest.mark.parametrize(("name", "answer"), [("larkspur", "Accepted"), ("jetty", "Scheduled")])
async def test_a_polite_reset_waits_for_the_session(name, answer, bench, csms) -> None:
    personality = PERSONALITIES[name]
    async with bench.running(bench.fleet(personality, sessions=OFTEN)) as task:
        await csms.until(lambda: bool(csms.of(CHARGER, *SESSION_MESSAGES)))
        assert await bench.reset(personality) == answer
        await csms.until(lambda: len(csms.booted_versions(CHARGER)) == 2)
        await csms.until(lambda: "ResetOrReboot" in csms.security_events(CHARGER))
    assert (await task).totals()["sessions_cut"] == 0


async def test_an_immediate_reset_cuts_and_the_session_is_ended_after_the_boot(bench, csms) -> None:
    async with bench.running(bench.fleet(PERSONALITIES["jetty"], sessions=OFTEN)) as task:
        await csms.until(lambda: bool(csms.of(CHARGER, "TransactionEvent")))
        await bench.send("Reset", {"type": "Immediate"})
        await csms.until(
            lambda: any(
                event["transactionInfo"].get("stoppedReason") == "Reboot"
                for event in csms.of(CHARGER, "TransactionEvent")
            )
        )
    assert (await task).totals()["sessions_cut"] >= 1
    assert csms.of(CHARGER, "BootNotification")[1]["reason"] == "RemoteReset"


async def test_variables_and_keys_can_be_read(bench, csms) -> None:
    asked = [
        {"component": {"name": "Controller"}, "variable": {"name": "FirmwareVersion"}},
        {"component": {"name": "Nobody"}, "variable": {"name": "Knows"}},
    ]
    async with bench.running(bench.fleet(PERSONALITIES["jetty"])):
        answer = await bench.send("GetVariables", {"getVariableData": asked})
        await bench.send("GetBaseReport", {"requestId": 3, "reportBase": "FullInventory"})
        await csms.until(lambda: any(not part["tbc"] for part in csms.of(CHARGER, "NotifyReport")))
    known, unknown = answer[1]["getVariableResult"]
    assert (known["attributeStatus"], known["attributeValue"]) == ("Accepted", "1.0")
    assert unknown["attributeStatus"] == "UnknownComponent"
    parts = csms.of(CHARGER, "NotifyReport")
    assert {part["requestId"] for part in parts} == {3}
    assert [part["seqNo"] for part in parts] == list(range(len(parts)))
    assert sum(len(part["reportData"]) for part in parts) > 15


async def test_configuration_keys_can_be_read(bench) -> None:
    async with bench.running(bench.fleet(PERSONALITIES["larkspur"])):
        some = await bench.send("GetConfiguration", {"key": ["NumberOfConnectors", "Nonsense"]})
        everything = await bench.send("GetConfiguration", {})
    assert some[1]["configurationKey"] == [{"key": "NumberOfConnectors", "readonly": True, "value": "2"}]
    assert some[1]["unknownKey"] == ["Nonsense"]
    assert len(everything[1]["configurationKey"]) > 3


@BY_NAME
async def test_triggers_are_answered_and_obeyed(personality, bench, csms) -> None:
    old = personality.dialect is Dialect.OCPP16
    firmware = "SignedFirmwareStatusNotification" if old else "FirmwareStatusNotification"
    async with bench.running(bench.fleet(personality)):
        await csms.until(lambda: bool(csms.of(CHARGER, "SecurityEventNotification")))
        kinds = ("BootNotification", "Heartbeat", "FirmwareStatusNotification", "LogStatusNotification")
        for message in (*kinds, "MeterValues"):
            counted = firmware if message.startswith("Firmware") else message
            before = len(csms.of(CHARGER, counted))
            trigger = "ExtendedTriggerMessage" if old else "TriggerMessage"
            answer = await bench.send(trigger, {"requestedMessage": message})
            assert answer == [3, {"status": "Accepted"}]
            await csms.until(lambda before=before, counted=counted: len(csms.of(CHARGER, counted)) > before)
        sign = "SignChargePointCertificate" if old else "SignChargingStationCertificate"
        answer = await bench.send(trigger, {"requestedMessage": sign})
        assert answer == [3, {"status": "Accepted"}]
        await csms.until(lambda: bool(csms.of(CHARGER, "SignCertificate")))
    assert csms.of(CHARGER, firmware) == [{"status": "Idle"}]
    assert csms.of(CHARGER, "LogStatusNotification") == [{"status": "Idle"}]


@BY_NAME
async def test_what_a_charger_cannot_do_is_a_callerror(personality, bench) -> None:
    async with bench.running(bench.fleet(personality)):
        answer = await bench.send("UnlockConnector", unlocked(personality))
        assert answer[:2] == [4, "NotImplemented"]
        cache = await bench.send("ClearCache", {})
    assert cache[1] == ("NotImplemented" if "ClearCache" in personality.lacks else {"status": "Accepted"})


async def test_nothing_is_said_before_the_boot_is_accepted(bench, csms) -> None:
    csms.boot_answers = ["Pending", "Rejected"]
    async with bench.running(bench.fleet(PERSONALITIES["dunlin"])):
        pass
    assert [action for _, action, _ in csms.calls[:3]] == ["BootNotification"] * 3


@pytest.mark.parametrize("name", ["larkspur", "jetty", "bramble"])
@pytest.mark.requirement("F82")
async def test_sessions_of_an_outage_arrive_afterwards(name, bench, csms) -> None:
    personality = PERSONALITIES[name]
    fleet = bench.fleet(personality, sessions=OFTEN)
    fleet = replace(fleet, pace=replace(fleet.pace, backoff_s=(1.0, 1.0), session_s=(0.2, 0.2)))
    async with bench.running(fleet) as task:
        report = await bench.until_report(lambda report: report["totals"]["sessions_started"] > 0)
        before = report["totals"]["sessions_ended"]
        csms.sockets[CHARGER].transport.abort()
        await bench.until_report(lambda report: report["totals"]["sessions_ended"] > before + 1)

        def told() -> tuple[int, int]:
            events = csms.of(CHARGER, "TransactionEvent")
            started = len(csms.of(CHARGER, "StartTransaction"))
            started += sum(event["eventType"] == "Started" for event in events)
            ended = len(csms.of(CHARGER, "StopTransaction"))
            return started, ended + sum(event["eventType"] == "Ended" for event in events)

        await csms.until(lambda: min(told()) > before + 1)
    ledger = await task
    stops = csms.of(CHARGER, "StopTransaction")
    assert len({stop["transactionId"] for stop in stops}) == len(stops)
    assert all(stop["transactionId"] > 0 for stop in stops)
    if name == "jetty":
        assert any(event["offline"] for event in csms.of(CHARGER, "TransactionEvent"))
    boots = 2 if personality.boots_on_every_connect else 1
    assert len(csms.booted_versions(CHARGER)) == boots
    assert ledger.totals()["sessions_cut"] == 0


async def test_the_ledger_names_every_acknowledged_message(bench, csms) -> None:
    fleet = replace(
        bench.fleet(PERSONALITIES["jetty"]),
        chargers=default_fleet(chargers=20, sites=4, seed=3).chargers,
        sessions=OFTEN,
        connect_per_s=500.0,
    )
    async with bench.running(fleet):
        wanted = {"StopTransaction", "TransactionEvent"}
        await csms.until(lambda: wanted <= {action for _, action, _ in csms.calls})
    report = orjson.loads(bench.report.read_bytes())
    acknowledged = {
        (name, message_id)
        for name, part in report["chargers"].items()
        for message_id in acknowledged_ids(part)
    }
    assert report["final"]
    assert len(acknowledged) > 100
    assert acknowledged <= set(csms.ids)
    # All but what was under way when the fleet was stopped, at most one call a charger.
    assert len(csms.ids) - len(acknowledged) <= len(fleet.chargers)
    assert len(set(csms.ids)) == len(csms.ids)


async def test_a_refused_message_is_sent_again_and_then_given_up(bench, csms) -> None:
    csms.refuse = {"TransactionEvent"}
    async with bench.running(bench.fleet(PERSONALITIES["dunlin"], sessions=OFTEN)) as task:
        await csms.until(lambda: len(csms.of(CHARGER, "TransactionEvent")) >= 4)
    account = (await task).chargers[CHARGER]
    first = csms.of(CHARGER, "TransactionEvent")[:4]
    assert [event["seqNo"] for event in first] == [0, 0, 0, 1]
    assert account.refused["TransactionEvent"] >= 3
    assert account.acknowledged["TransactionEvent"] == 0


async def test_faults_duplicate_frames_delay_them_and_shift_the_clock(bench, csms) -> None:
    faults = (
        NetworkFault(FaultKind.DUPLICATE_FRAME, action="StatusNotification"),
        NetworkFault(FaultKind.DELAY_FRAME, amount=0.02),
        NetworkFault(FaultKind.CLOCK_SKEW, amount=-86400.0 * 365),
    )
    async with bench.running(bench.fleet(PERSONALITIES["jetty"], faults=faults)):
        await csms.until(lambda: len(csms.of(CHARGER, "StatusNotification")) == 4)
    ids = [
        message_id for message_id, call in zip(csms.ids, csms.calls, strict=True) if call[1].startswith("St")
    ]
    assert ids[0] == ids[1] != ids[2] == ids[3]
    row = csms.of(CHARGER, "StatusNotification")[0]
    boot_year = int(orjson.loads(bench.report.read_bytes())["started_at"][:4])
    assert int(row["timestamp"][:4]) == boot_year - 1


async def test_credentials_go_out_as_each_personality_writes_them(bench, csms) -> None:
    spec = bench.fleet(PERSONALITIES["larkspur"]).chargers[0]
    chargers = tuple(
        replace(spec, charger_id=name.upper(), personality=name, password="0a" * 20)
        for name in ("larkspur", "bramble")
    )
    async with bench.running(bench.fleet(PERSONALITIES["larkspur"], chargers=chargers)):
        pass
    sent = {name: base64.b64decode(value.removeprefix("Basic ")) for name, value in csms.credentials.items()}
    assert sent == {"LARKSPUR": b"LARKSPUR:" + b"0a" * 20, "BRAMBLE": b"BRAMBLE:" + b"\x0a" * 20}


async def test_the_process_stops_at_sigterm_with_a_final_report(bench, csms, tmp_path) -> None:
    fleet_file = tmp_path / "fleet.yaml"
    save_fleet(bench.fleet(PERSONALITIES["larkspur"]), fleet_file)
    program = (
        "import sys; from pathlib import Path; from storage.clock import system_clock;"
        "from csms.simulator.main import read_fleet, run_simulator;"
        "fleet = read_fleet(Path(sys.argv[1]), None);"
        "run_simulator(fleet, sys.argv[2], Path(sys.argv[3]), system_clock)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(fleet_file), csms.url, str(bench.report), env=dict(os.environ)
    )
    await csms.until(lambda: bool(csms.of(CHARGER, "StatusNotification")))
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert orjson.loads(bench.report.read_bytes())["final"] is True


def log_of(
    personality, server: str, request_id: int, kind: str = "SecurityLog"
) -> tuple[str, dict[str, object]]:
    """GetLog; for diagnostics of 1.6 the older message."""
    if personality.dialect is Dialect.OCPP16 and kind == "DiagnosticsLog":
        return "GetDiagnostics", {"location": server, "retries": 1, "retryInterval": 0}
    log = {"remoteLocation": server}
    return "GetLog", {"logType": kind, "requestId": request_id, "retries": 1, "retryInterval": 0, "log": log}


def log_words(csms) -> list[str]:
    rows = csms.of(CHARGER, "LogStatusNotification", "DiagnosticsStatusNotification")
    return [row["status"] for row in rows]


@BY_NAME
@pytest.mark.parametrize("kind", ["SecurityLog", "DiagnosticsLog"])
async def test_an_upload_that_nobody_takes_is_tried_again_and_then_told(
    personality, kind, bench, csms, images
) -> None:
    # The image server knows no such place, so every upload ends in 404.
    place = images.put("elsewhere", b"").replace("elsewhere", "nowhere")
    async with bench.running(bench.fleet(personality)) as task:
        answer = await bench.send(*log_of(personality, place, 0, kind))
        assert answer[0] == 3
        assert answer[1].get("status", "Accepted") == "Accepted"
        failed = {"UploadFailure", "UploadFailed"}
        await csms.until(lambda: bool(failed & set(log_words(csms))))
    assert log_words(csms)[0] == "Uploading"
    account = (await task).chargers[CHARGER]
    assert account.counts["log_upload_failed"] == 2, "the first try and one retry"
