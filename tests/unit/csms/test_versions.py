"""The version of a charger whose boot told none: read after that boot, and for that boot alone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.capabilities import VERSIONS_2X
from csms.errors import CommandTimeout, NotConnectedHere
from csms.frames import OCPP16, OCPP201
from csms.probing import ask_after_boot
from csms.projection import project
from csms.versions import VersionWatch
from storage.errors import EngineUnavailable
from storage.events import ChargerBooted, EventRecord
from storage.findings import FirmwareVersionRead
from storage.twin import TwinState
from tests.unit.csms.test_probing import Chargers

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
NAME = VERSIONS_2X[0]
LATER = NOW + timedelta(minutes=1)


def test_what_was_asked_before_a_boot_says_nothing_of_what_runs_after_it() -> None:
    watch = VersionWatch(VERSIONS_2X)
    watch.booted(NOW, None)
    asked_after = watch.booted_at
    watch.asked_for_report(3)
    watch.booted(LATER, None)
    assert watch.answered({NAME: "1.0"}, asked_after) is None
    assert watch.reported({NAME: "1.0"}, 3) is None
    assert watch.unread
    assert watch.answered({NAME: "1.1"}, watch.booted_at) == FirmwareVersionRead("1.1", LATER, NAME)
    assert not watch.unread


def test_a_report_that_nobody_asked_for_since_counts_for_nothing() -> None:
    watch = VersionWatch(VERSIONS_2X)
    watch.booted(NOW, None)
    assert watch.reported({NAME: "1.0"}, 8) is None
    assert watch.reported({NAME: "1.0"}, None) is None
    watch.asked_for_report(8)
    other = VERSIONS_2X[1]
    assert watch.reported({other: "1.0", "Controller.Model": "X"}, 8) == FirmwareVersionRead(
        "1.0", NOW, other
    )
    assert watch.reported({other: "1.0"}, 8) is None, "told once"


def test_a_boot_that_told_its_version_needs_no_reading() -> None:
    watch = VersionWatch(VERSIONS_2X)
    watch.booted(NOW, "1.0")
    assert not watch.unread
    assert watch.answered({NAME: "9.9"}, watch.booted_at) is None
    assert watch.answered({NAME: "  "}, watch.booted_at) is None


def record(event: Any, at: Any) -> EventRecord:
    return EventRecord("CP-1", event, at, at, 1)


def test_the_twin_knows_no_version_between_such_a_boot_and_the_reading() -> None:
    boot = ChargerBooted("V", "M", None)
    twin = project(TwinState("CP-1"), record(ChargerBooted("V", "M", "1.0"), NOW))
    twin = project(twin, record(boot, LATER))
    assert (twin.firmware.version, twin.firmware.before_boot) == (None, "1.0")
    stale = FirmwareVersionRead("1.0", NOW)
    assert project(twin, record(stale, LATER)) is twin, "read after another boot"
    after = project(twin, record(FirmwareVersionRead("1.1", LATER), LATER)).firmware
    assert (after.version, after.previous_version, after.before_boot) == ("1.1", "1.0", None)
    same = project(twin, record(FirmwareVersionRead("1.0", LATER), LATER)).firmware
    assert (same.version, same.previous_version) == ("1.0", None), "nothing changed by that restart"


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["1.0", "1.1", None])), max_size=12))
def test_the_version_is_always_of_the_latest_boot(steps: list[tuple[bool, str | None]]) -> None:
    """Boots with or without a version, and readings after any boot: never one of an earlier boot."""
    twin, booted, truth = TwinState("CP-1"), None, None
    for number, (boots, version) in enumerate(steps):
        at = NOW + timedelta(seconds=number)
        if boots or booted is None:
            booted, truth = at, version
            twin = project(twin, record(ChargerBooted("V", "M", version), at))
        elif version is not None:
            of = booted if number % 2 else NOW - timedelta(seconds=1)
            truth = version if of == booted else truth
            twin = project(twin, record(FirmwareVersionRead(version, of), at))
        assert twin.firmware.version == truth


BOOT = {"chargingStation": {"vendorName": "V", "model": "M"}, "reason": "PowerUp"}


async def asked(world: Any, answers: list[tuple[str, Any]]) -> list[str]:
    """Let it be asked after its boot; what it was sent."""
    chargers: Any = Chargers(world)
    asking = asyncio.create_task(ask_after_boot(world.session, chargers, 0, 5, (0.0, 0.0)))
    seen = []
    if world.session.dialect.name != OCPP16:  # The second question: how much it takes in one message.
        answers = [answers[0], ("GetVariables", values("UnknownVariable")), *answers[1:]]
    for action, answer in [*answers, ("TriggerMessage", {"status": "Rejected"})]:
        call = await world.socket.hear()
        seen.append(call[2])
        assert call[2] == action, call
        said = answer(call) if callable(answer) else answer
        if isinstance(said, dict):
            world.socket.say(3, call[1], said)
        else:
            world.socket.say(4, call[1], said, "", {})
    await asking
    await world.session.settled()
    return seen


def values(status: str, value: str | None = None) -> Any:
    def answer(call: list[Any]) -> dict[str, Any]:
        rows = [
            {
                "attributeStatus": status if place == 0 else "UnknownVariable",
                **({"attributeValue": value} if value and place == 0 else {}),
                "component": item["component"],
                "variable": item["variable"],
            }
            for place, item in enumerate(call[3]["getVariableData"])
        ]
        return {"getVariableResult": rows}

    return answer


@pytest.mark.requirement("R28", "S27")
async def test_it_is_asked_for_the_version_that_its_boot_left_out(make_world: Any) -> None:
    world = await make_world(OCPP201)
    await world.socket.ask(2, "b", "BootNotification", BOOT)
    await asked(world, [("GetVariables", values("Accepted", "1.1"))])
    (read,) = world.store.facts(FirmwareVersionRead)
    assert (read.version, read.name) == ("1.1", NAME)
    assert world.twin.firmware.version == "1.1"
    assert read.booted_at == world.twin.firmware.booted_at


@pytest.mark.requirement("R28", "S27")
@pytest.mark.parametrize("what", [EngineUnavailable("PostgreSQL is away"), CommandTimeout("CP-1", "x", 1.0)])
async def test_it_is_asked_again_after_the_store_or_the_charger_was_away(
    make_world: Any, monkeypatch: pytest.MonkeyPatch, what: Exception
) -> None:
    world = await make_world(OCPP201)
    await world.socket.ask(2, "b", "BootNotification", BOOT)
    send, failures = world.session.send, iter([what, what])

    async def away(*given: Any, **named: Any) -> Any:
        for failure in failures:
            raise failure
        return await send(*given, **named)

    monkeypatch.setattr(world.session, "send", away)
    await asked(world, [("GetVariables", values("Accepted", "1.1"))])
    assert world.twin.firmware.version == "1.1"


async def test_a_charger_that_never_answers_is_left_alone_in_the_end(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(OCPP201)
    asked_for: list[Any] = []

    async def silent(command: Any, *_: Any) -> Any:
        asked_for.append(command)
        raise CommandTimeout("CP-1", "x", 1.0)

    monkeypatch.setattr(world.session, "send", silent)
    await ask_after_boot(world.session, Chargers(world), 0, 5, (0.0, 0.0))  # type: ignore[arg-type]
    assert len(asked_for) == 3


async def test_a_store_that_was_away_long_costs_the_charger_none_of_its_tries(
    make_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make_world(OCPP201)
    failures: list[Exception] = [EngineUnavailable("PostgreSQL is away")] * 9
    failures += [CommandTimeout("CP-1", "x", 1.0)] * 2 + [NotConnectedHere("CP-1", 1)]
    left = iter(failures)

    async def away(*_: Any) -> Any:
        raise next(left)

    monkeypatch.setattr(world.session, "send", away)
    await ask_after_boot(world.session, Chargers(world), 0, 5, (0.0, 0.0))  # type: ignore[arg-type]
    assert next(left, None) is None, "it was asked to the end"


@pytest.mark.parametrize("refusal", [values("UnknownComponent"), "NotSupported", "InternalError"])
async def test_one_that_does_not_know_it_by_name_is_asked_for_its_inventory(
    make_world: Any, refusal: Any
) -> None:
    world = await make_world(OCPP201)
    await world.socket.ask(2, "b", "BootNotification", BOOT)
    asked_for = []

    def inventory(call: list[Any]) -> dict[str, Any]:
        asked_for.append(call[3]["requestId"])
        return {"status": "Accepted"}

    await asked(world, [("GetVariables", refusal), ("GetVariables", refusal), ("GetBaseReport", inventory)])
    entry = {
        "component": {"name": "ChargingStation"},
        "variable": {"name": "FirmwareVersion"},
        "variableAttribute": [{"value": "1.1"}],
    }
    report = {"generatedAt": "2026-11-20T12:00:00Z", "seqNo": 0, "reportData": [entry]}
    await world.socket.ask(2, "r0", "NotifyReport", {**report, "requestId": asked_for[0] + 1})
    assert world.twin.firmware.version is None, "a report that answers another request"
    await world.socket.ask(2, "r1", "NotifyReport", {**report, "requestId": asked_for[0]})
    await world.session.settled()
    assert world.twin.firmware.version == "1.1"


async def test_a_boot_of_1_6_without_a_version_is_asked_nothing_more(make_world: Any) -> None:
    world = await make_world(OCPP16)
    boot = {"chargePointVendor": "V", "chargePointModel": "M"}
    await world.socket.ask(2, "b", "BootNotification", boot)
    await asked(world, [("GetConfiguration", {"unknownKey": []})])
    assert world.twin.firmware.version is None
