"""Service at the command line: unknown is written, never a number made up."""

import json
from typing import Any

import pytest

SUMS = {"energy_wh": 1500.0}
FIGURES = {
    "uptime": 0.98765,
    "utilisation": 0.25,
    "maintenance": 0.01,
    "known": 1.0,
    "faults_per_day": 0.5,
    "sessions_per_day": 4.0,
    "mttr_s": 1800.0,
}


@pytest.mark.requirement("F28", "F114")
def test_uptime_by_site_and_by_day(run: Any, fake: Any) -> None:
    nothing = dict.fromkeys(FIGURES)
    groups = [
        {"value": "depot", "chargers": 2, "failing": 1, "figures": FIGURES, "sums": SUMS},
        {"value": "", "chargers": 1, "failing": 0, "figures": nothing, "sums": {"energy_wh": 0.0}},
    ]
    fake.on("GET", "/service", (200, {"counted": True, "groups": groups}))
    lines = run("charger", "uptime", "--by", "version", "--days", "7").stdout.splitlines()
    assert lines[1].split()[:5] == ["depot", "2", "1", "98.77", "%"]
    assert "30 min" in lines[1]
    assert lines[2].count("unknown") == 8
    assert fake.last("GET", "/service").query == {"by": ["version"], "days": ["7"]}
    fake.on("GET", "/service", (200, {"counted": False, "groups": []}))
    assert "no observer has run" in run("charger", "uptime").stderr
    item = {"day": "2026-11-20", "figures": FIGURES, "sums": SUMS}
    fake.on("GET", "/chargers/CP-1/service", (200, {"items": [item]}))
    assert run("charger", "uptime", "CP-1").stdout.splitlines()[1].startswith("2026-11-20")
    assert run("charger", "uptime", "--by", "colour").exit_code == 2
    assert run("charger", "uptime", "CP-1", "--query", "online").exit_code == 2


@pytest.mark.requirement("F7", "F30")
def test_meters_and_trends(run: Any, fake: Any) -> None:
    at = "2026-11-20T11:00:00Z"
    metering = {
        "since": at,
        "delivered_wh": 12_345.0,
        "registers": {"1": {"wh": 99_000.0, "at": at}},
        "readings": {"1/Voltage": {"value": 231.0, "unit": "V", "at": at}},
    }
    empty = {"since": None, "delivered_wh": 0.0, "registers": {}, "readings": {}}
    fake.on("GET", "/chargers/CP-1/metering", (200, metering), (200, empty))
    shown = run("charger", "meters", "CP-1").stdout
    assert "Delivered 12.35 kWh" in shown or "Delivered 12.34 kWh" in shown
    assert "99.000 kWh" in shown
    assert "231 V" in shown
    assert run("charger", "meters", "CP-1").stdout == "It never sent a reading.\n"
    feature = {"name": "faults", "trend": "unknown", "says": "only 1 of 3 days, and 0 of 7 before are known"}
    fake.on("GET", "/chargers/CP-1/trends", (200, {"flag": "unknown", "features": [feature]}))
    assert "only 1 of 3 days" in run("charger", "trends", "CP-1").stdout


AT = "2026-11-20T12:00:00Z"
LEDGER = {
    "charger_id": "CP-1",
    "site_id": "harbour",
    "uptime_floor": 0.97,
    "uptime_days": 30,
    "since": "2026-10-21T12:00:00Z",
    "at": AT,
    "allowed_s": 77_760.0,
    "spent_s": 75_600.0,
    "left_s": 2160.0,
    "takes_s": 3600.0,
    "room_from": "2026-11-30T12:24:00Z",
    "bookings": [
        {
            "began": "2026-10-31T12:00:00Z",
            "ended": "2026-11-01T08:00:00Z",
            "lasts": False,
            "kind": "update",
            "campaign_id": "spring",
            "counted_s": 72_000.0,
        },
        {
            "began": "2026-11-20T11:00:00Z",
            "ended": AT,
            "lasts": True,
            "kind": "certificate",
            "campaign_id": None,
            "counted_s": 3600.0,
        },
    ],
}
FREE = {**LEDGER, "charger_id": "CP-0", "spent_s": 0.0, "left_s": 77_760.0, "room_from": AT, "bookings": []}


@pytest.mark.requirement("X13")
def test_planned_downtime_says_what_spent_it_and_when_an_update_fits(run: Any, fake: Any) -> None:
    fake.on("GET", "/chargers/CP-1/downtime", (200, LEDGER))
    result = run("charger", "downtime", "CP-1")
    assert result.exit_code == 0, result.output
    told = " ".join(result.stdout.split())
    for text in (
        "CP-1: It owes 97 % of 30 days, which allows 21 h 36 min of planned downtime: 21 h spent, 36 min",
        "An update that may take 60 min fits again from 2026-11-30 12:24 UTC on, if nothing more is spent.",
        "2026-10-31 12:00 UTC 2026-11-01 08:00 UTC 20 h update by campaign spring",
        "2026-11-20 11:00 UTC now 60 min certificate",
    ):
        assert text in told
    run("charger", "downtime", "CP-1", "--takes", "45m")
    assert fake.last("GET", "/chargers/CP-1/downtime").query == {"takes_s": ["2700"]}
    assert run("charger", "downtime", "CP-1", "--takes", "soon").exit_code == 2


@pytest.mark.requirement("X13")
def test_a_site_is_shown_with_what_each_charger_has_left_least_first(run: Any, fake: Any) -> None:
    from api.schemas.chargers import SiteBody

    made = SiteBody(site_id="harbour", name="Harbour North", time_zone="UTC", rules={"uptime_floor": 0.97})
    fake.page("/sites", [made.model_dump(mode="json")])
    fake.page("/sites/harbour/downtime", [FREE, LEDGER])
    result = run("site", "show", "harbour")
    assert result.exit_code == 0, result.output
    assert "97 % of 30 days, which allows 21 h 36 min" in result.stdout
    lines = result.stdout.splitlines()
    rows = [" ".join(line.split()) for line in lines if line.startswith("CP-")]
    assert rows[0].startswith("CP-1 21 h 36 min from 2026-11-30 12:24 UTC")
    assert rows[1].startswith("CP-0 0 min 21 h 36 min now")
    assert json.loads(run("site", "show", "harbour", "--json").stdout)["chargers"] == [FREE, LEDGER]
    assert run("site", "show", "nowhere").exit_code == 1
