"""Service at the command line: unknown is written, never a number made up."""

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
