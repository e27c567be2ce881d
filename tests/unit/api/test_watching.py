"""Sessions, their timelines, health signals and incidents over HTTP."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from storage.access import Role
from storage.charging import ChargingSession, SessionCause, SessionState, StopCause
from storage.events import EventKind, StoredEvent
from storage.health import ChargerSignals, HealthHour, Watermark
from storage.health_time import HealthTime
from storage.incident import Incident, IncidentKind
from storage.watching import TimelineEntry
from tests.support.house import NOW, House

PATH = "/api/v1/chargers/CP-1/sessions"


def house_with_sessions() -> House:
    house = House()
    house.add_site()
    house.add_charger("CP-1")
    for name in ("7", "8"):
        house.watch.sessions.rows["CP-1", name] = ChargingSession(  # type: ignore[attr-defined]
            "CP-1",
            name,
            SessionState.ENDED,
            NOW,
            NOW,
            1,
            1,
            started_at=NOW - timedelta(hours=1),
            started_received_at=NOW - timedelta(hours=1),
            ended_at=NOW,
            ended_received_at=NOW,
            meter_start_wh=1000.0,
            meter_stop_wh=3000.0,
            stop_reason="EVDisconnected",
            stop_cause=StopCause.EV,
            causes=(SessionCause(4, "its charger restarted"),),
        )
    return house


@pytest.mark.requirement("F81", "F89")
async def test_sessions_are_listed_page_by_page_with_energy_and_cause() -> None:
    house = house_with_sessions()
    async with house.client(Role.VIEWER) as client:
        first = (await client.get(PATH, params={"limit": 1})).json()
        rest = (await client.get(PATH, params={"limit": 1, "cursor": first["next_cursor"]})).json()
        one = (await client.get(f"{PATH}/7")).json()
        answers = [await client.get(path) for path in (f"{PATH}/9", "/api/v1/chargers/CP-9/sessions")]
    assert [each["items"][0]["transaction_id"] for each in (first, rest)] == ["7", "8"]
    assert (one["energy_wh"], one["stop_cause"], one["state"]) == (2000.0, "ev", "ended")
    assert [answer.status_code for answer in answers] == [404, 404]


@pytest.mark.requirement("F88")
async def test_one_request_tells_all_that_passed_while_a_session_went_on() -> None:
    house = house_with_sessions()

    def event(sequence: int, minutes: float, body: dict[str, Any]) -> TimelineEntry:
        at = NOW - timedelta(minutes=minutes)
        stored = StoredEvent(sequence, "CP-1", EventKind.HEARTBEAT_RECEIVED, body, at, at)
        return TimelineEntry(at, f"e{sequence}", event=stored)

    def frame(minutes: float, text: str, answer: str | None = None) -> TimelineEntry:
        at = NOW - timedelta(minutes=minutes)
        return TimelineEntry(at, text, direction="in", text=text, answer=answer)

    house.watch.sessions.entries = [  # type: ignore[attr-defined]
        event(1, 70, {}),
        event(2, 50, {}),
        frame(40, '[2,"a","MeterValues",{"connectorId":1,"transactionId": 7}]'),
        frame(39, '[2,"a","TransactionEvent",{"transactionInfo":{"transactionId":"7"}}]'),
        frame(38, '[2,"a","MeterValues",{"connectorId":1,"transactionId":77,"meterValue":[]}]'),
        frame(37, '[2,"b","StartTransaction",{"connectorId":1}]', '[3,"b",{"transactionId":7}]'),
        event(3, 30, {"transaction_id": "7"}),
        event(4, 20, {}),
    ]
    async with house.client(Role.VIEWER) as client:
        whole = (await client.get(f"{PATH}/7/timeline")).json()
        page = (await client.get(f"{PATH}/7/timeline", params={"limit": 2})).json()
    assert whole["session"]["transaction_id"] == "7"
    assert [item["concerns"] for item in whole["items"]] == [False, True, True, False, True, True, True]
    assert whole["items"][1]["frame"].startswith('[2,"a","MeterValues"')
    assert whole["items"][4]["answer"] == '[3,"b",{"transactionId":7}]', "which alone names the session"
    assert whole["next_cursor"] is None
    assert page["next_cursor"]


async def test_health_signals_say_how_far_they_were_counted_and_how_much_was_heard() -> None:
    house = House()
    house.watch.health.rows["CP-1"] = ChargerSignals(  # type: ignore[attr-defined]
        "CP-1", HealthHour(went_faulted=1), HealthHour(), 720, 0, 1, None, 0, online=True
    )
    house.watch.health.watermark = Watermark(9, NOW - timedelta(seconds=1))  # type: ignore[attr-defined]
    async with house.client(Role.VIEWER) as client:
        answer = await client.get("/api/v1/health/signals", params={"chargers": "CP-1,CP-2,CP-1"})
    body = answer.json()
    [charger] = body["chargers"]
    assert (body["complete"], body["watermark"]["sequence"]) == (False, 9)
    assert charger["coverage"] == pytest.approx(0.5, abs=0.03)
    states = {each["name"]: each["state"] for each in charger["signals"]}
    assert (states["connector_regression"], states["clock"], states["meter"]) == ("bad", "unknown", "fine")
    assert "heard" not in charger["window"]
    assert charger["departures"] == [], "without a baseline there is no normal to depart from"


async def test_health_is_asked_by_the_hours_that_are_kept_so_that_a_day_has_as_many_minutes() -> None:
    """In a rehearsal an hour lasts four seconds: a day of the clock would be 900 days of them."""
    house = House()
    house.watch.health.time = HealthTime(4)  # type: ignore[attr-defined]
    house.watch.health.rows["CP-1"] = ChargerSignals(  # type: ignore[attr-defined]
        "CP-1", HealthHour(), HealthHour(), 144, 0, 1, None, 0, online=True
    )
    async with house.client(Role.VIEWER) as client:
        answer = await client.get("/api/v1/health/signals", params={"chargers": "CP-1", "hours": "24"})
    body = answer.json()
    since, until, before = (
        datetime.fromisoformat(body[name]) for name in ("since", "until", "baseline_since")
    )
    assert timedelta(seconds=96) <= until - since < timedelta(seconds=100)
    assert since - before == timedelta(seconds=14 * 96)
    [charger] = body["chargers"]
    assert charger["coverage"] == pytest.approx(0.1, abs=0.005)
    assert any(re.fullmatch(r"heard in 144 of 14\d\d minutes", each["says"]) for each in charger["signals"])


@pytest.mark.parametrize(
    ("question", "problem"),
    [
        ({"hours": "745"}, "hours"),
        ({"from": "2026-11-20T13:00:00Z", "to": "2026-11-20T12:00:00Z"}, "before `to`"),
        ({"from": "2026-01-01T00:00:00Z", "to": "2026-11-20T12:00:00Z"}, "more than 31 days"),
        ({"chargers": ",".join(f"C{number}" for number in range(501))}, "more than 500"),
        ({"from": "1970-01-01T00:00:00Z", "to": "1970-01-02T00:00:00Z"}, "nothing is known"),
        ({"from": "yesterday"}, "from"),
        ({"chargers": "a b"}, "chargers"),
        ({"baseline_days": "0"}, "baseline_days"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused_in_words(question: Any, problem: str) -> None:
    async with House().client(Role.VIEWER) as client:
        answer = await client.get("/api/v1/health/signals", params={"chargers": "CP-1", **question})
    assert answer.status_code == 422
    assert any(problem in each for each in answer.json()["problems"])


async def test_incidents_are_listed_and_closed_ones_only_when_asked_for() -> None:
    house = House()
    house.watch.incidents.rows = [  # type: ignore[attr-defined]
        Incident(2, IncidentKind.SITE_OUTAGE, "site/depot", "dark", NOW, None, {"chargers": ["CP-1"]}),
        Incident(1, IncidentKind.SESSION_STUCK, "session/CP-1/7", "stuck", NOW, NOW),
    ]
    async with house.client(Role.VIEWER) as client:
        open_now = (await client.get("/api/v1/incidents")).json()["items"]
        ever = (await client.get("/api/v1/incidents", params={"closed": "true"})).json()["items"]
    assert [each["incident_id"] for each in open_now] == [2]
    assert open_now[0]["detail"] == {"chargers": ["CP-1"]}
    assert [each["incident_id"] for each in ever] == [2, 1]
