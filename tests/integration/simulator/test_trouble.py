"""Faults strike at their stage or their time, and a charger gets over them as chargers do."""

import asyncio
from dataclasses import replace

import pytest

from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.firmware import build_image
from csms.simulator.pace import SessionPattern
from csms.simulator.stages import Stage

CHARGER = "SIM-0001"


def counts(report) -> dict[str, int]:
    return report["chargers"][CHARGER]["counts"]


def struck(bench, kind: FaultKind, name: str = "jetty", **more):
    return bench.fleet(PERSONALITIES[name], faults=(NetworkFault(kind, **more),))


async def update(bench, name: str = "jetty") -> None:
    action, payload = bench.update(PERSONALITIES[name], build_image("1.1", size=200_000, seed=1))
    assert await bench.send(action, payload) == [3, {"status": "Accepted"}]


@pytest.mark.parametrize(
    ("stage", "word"), [(Stage.FETCHING, "DownloadFailed"), (Stage.INSTALLING, "InstallationFailed")]
)
async def test_a_power_cut_in_an_update_fails_it_and_the_charger_comes_back(stage, word, bench, csms) -> None:
    fleet = struck(bench, FaultKind.POWER_CUT, stage=stage, for_s=0.05)
    async with bench.running(fleet) as task:
        await update(bench)
        await csms.until(lambda: len(csms.booted_versions(CHARGER)) == 2)
        await csms.until(lambda: word in csms.firmware_words(CHARGER))
    account = (await task).chargers[CHARGER]
    assert csms.booted_versions(CHARGER) == ["1.0", "1.0"]
    assert account.counts["fault_power_cut"] == 1
    assert account.counts["session_cut"] == 0


async def test_a_power_cut_under_a_car_is_nobodys_broken_promise(bench, csms) -> None:
    fleet = struck(bench, FaultKind.POWER_CUT, after_s=0.6, for_s=0.05)
    busy = replace(fleet, sessions=SessionPattern(0.95))
    async with bench.running(replace(busy, pace=replace(busy.pace, session_s=(30, 30)))) as task:
        await csms.until(lambda: len(csms.booted_versions(CHARGER)) == 2)
    totals = (await task).totals()
    assert totals["sessions_cut"] == 0
    assert (await task).chargers[CHARGER].counts["session_failed"] >= 1


async def test_a_hung_application_answers_pings_and_nothing_else(bench, csms) -> None:
    async with bench.running(struck(bench, FaultKind.SILENCE, after_s=0.5)) as task:
        await bench.until_report(lambda report: "fault_silence" in counts(report))
        pong = await csms.sockets[CHARGER].ping()
        await asyncio.wait_for(pong, 10)
        answer = asyncio.create_task(bench.send("TriggerMessage", {"requestedMessage": "Heartbeat"}))
        done, _ = await asyncio.wait({answer}, timeout=0.5)
        assert not done
        answer.cancel()
    assert (await task).chargers[CHARGER].counts["connection_lost"] == 0


async def test_silence_ends_and_what_waited_is_said(bench, csms) -> None:
    async with bench.running(struck(bench, FaultKind.SILENCE, after_s=0.3, for_s=0.4)):
        await bench.until_report(lambda report: "fault_silence" in counts(report))
        answer = await bench.send("TriggerMessage", {"requestedMessage": "Heartbeat"})
    assert answer == [3, {"status": "Accepted"}]


async def test_a_half_open_socket_is_left_and_another_one_opened(bench, csms) -> None:
    async with bench.running(struck(bench, FaultKind.HALF_OPEN, after_s=0.4)):
        first = csms.sockets[CHARGER]
        await csms.until(
            lambda: len(csms.of(CHARGER, "Heartbeat")) > 0 and csms.sockets[CHARGER] is not first
        )
        # The server is not told that the first one is over.
        assert first.state.name == "OPEN"
        assert await bench.send("TriggerMessage", {"requestedMessage": "Heartbeat"}) == [
            3,
            {"status": "Accepted"},
        ]


async def test_a_connector_fails_and_is_repaired(bench, csms) -> None:
    def words() -> list[str]:
        rows = csms.of(CHARGER, "StatusNotification")
        return [row["status"] for row in rows if row["connectorId"] == 1]

    async with bench.running(struck(bench, FaultKind.CONNECTOR_FAULT, "larkspur", after_s=0.4, for_s=0.3)):
        await csms.until(lambda: "Faulted" in words() and words()[-1] == "Available")
    assert words()[0] == "Available"


async def test_lost_frames_are_sent_again_after_the_charger_gave_up_waiting(bench, csms) -> None:
    fleet = struck(bench, FaultKind.LOSE_FRAME, action="Heartbeat", amount=1.0)
    fleet = replace(fleet, pace=replace(fleet.pace, call_timeout_s=0.3, heartbeat_s=0.2))
    async with bench.running(fleet) as task:
        await bench.until_report(
            lambda report: report["chargers"][CHARGER]["counts"].get("frame_lost", 0) > 2
        )
    assert csms.of(CHARGER, "Heartbeat") == []
    assert (await task).chargers[CHARGER].counts["connection_lost"] >= 1


async def test_reordered_messages_all_arrive(bench, csms) -> None:
    fleet = struck(bench, FaultKind.REORDER_FRAME, amount=1.0)
    async with bench.running(fleet):
        await csms.until(lambda: len(csms.of(CHARGER, "StatusNotification")) == 2)
        await csms.until(lambda: bool(csms.of(CHARGER, "SecurityEventNotification")))
    said = [action for _, action, _ in csms.calls if action != "Heartbeat"]
    assert said[:2] == ["BootNotification", "StatusNotification"]
    assert said.index("SecurityEventNotification") < len(said) - 1


async def test_a_clock_that_is_not_set_stamps_the_first_words_with_1970(bench, csms) -> None:
    def years() -> list[str]:
        return [row["timestamp"][:4] for row in csms.of(CHARGER, "StatusNotification")]

    async with bench.running(struck(bench, FaultKind.CLOCK_UNSET, "larkspur")):
        await csms.until(lambda: len(years()) == 3)
        await bench.send("TriggerMessage", {"requestedMessage": "StatusNotification"})
        await csms.until(lambda: len(years()) == 6)
    assert years()[:3] == ["1970"] * 3
    assert "1970" not in years()[3:]


async def test_a_new_image_forgets_what_was_configured(bench, csms) -> None:
    fleet = struck(bench, FaultKind.RESET_CONFIGURATION, "larkspur")
    key = {"key": "ConnectionTimeOut"}
    async with bench.running(fleet) as task:
        written = await bench.send("ChangeConfiguration", {**key, "value": "99"})
        before = csms.credentials[CHARGER]
        await update(bench, "larkspur")
        await csms.until(lambda: csms.booted_versions(CHARGER) == ["1.0", "1.1"])
        found = await bench.send("GetConfiguration", {"key": ["ConnectionTimeOut"]})
    assert written[1] == {"status": "Accepted"}
    assert found[1]["configurationKey"][0]["value"] == "30"
    assert csms.credentials[CHARGER] == before
    lost = [
        row for row in (await task).chargers[CHARGER].events if row["what"] == "fault_reset_configuration"
    ]
    assert "ConnectionTimeOut" in lost[0]["lost"]


async def test_a_slow_link_takes_its_time_and_gets_there(bench, csms) -> None:
    async with bench.running(struck(bench, FaultKind.SLOW_LINK, amount=1_000_000.0)):
        await update(bench)
        await csms.until(lambda: "1.1" in csms.booted_versions(CHARGER))
