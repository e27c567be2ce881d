"""Moves at the command line."""

from typing import Any

import pytest

MOVED = {
    "move_id": "m1",
    "charger_id": "CP-1",
    "state": "done",
    "values": {"site_id": "mall", "operator": None},
    "before": {"site_id": "depot", "operator": "north"},
    "actor": "ada",
    "reason": "sold",
    "why": "",
    "requested_at": "2026-11-20T12:00:00Z",
    "finished_at": "2026-11-20T12:00:01Z",
}


@pytest.mark.requirement("F3")
def test_a_move_names_the_version_that_was_read(run: Any, fake: Any) -> None:
    fake.on("GET", "/chargers/CP-1", (200, {"ownership_version": 4}))
    fake.on("POST", "/chargers/CP-1/moves", (201, MOVED))
    result = run("charger", "move", "CP-1", "--site", "mall", "--operator", "-", "--reason", "sold")
    assert result.exit_code == 0, result.output
    request = fake.last("POST", "/chargers/CP-1/moves")
    assert request.json == {"site_id": "mall", "operator": None, "reason": "sold"}
    assert request.headers["If-Match"] == '"4"'
    assert "Idempotency-Key" in request.headers
    assert result.stdout == "Moved CP-1: site depot -> mall, operator north -> nothing.\n"


@pytest.mark.requirement("F3")
def test_moves_are_listed_with_what_stood_in_the_way(run: Any, fake: Any) -> None:
    refused = {**MOVED, "state": "refused", "before": {}, "why": "campaign c1 has it as a target"}
    fake.on("GET", "/chargers/CP-1/moves", (200, {"items": [refused, MOVED]}))
    shown = run("charger", "moves", "CP-1").stdout
    assert "sold (campaign c1 has it as a target)" in shown
    assert "site depot -> mall" in shown
    assert run("charger", "move", "CP-1", "--reason", "none").exit_code == 2


@pytest.mark.requirement("F33", "F61")
def test_members_of_a_load_group_get_it_as_desired_configuration(run: Any, fake: Any) -> None:
    for name in ("CP-1", "CP-2"):
        fake.on("GET", f"/chargers/{name}", (200, {"site_id": "depot"}))
        path = f"/chargers/{name}/desired/power"
        fake.on("GET", path, (200, {"version": 3}))
        desired = {"load_group": "bus-1", "group_max_down": 1}
        fake.on("PATCH", path, (200, {"charger_id": name, "desired": desired}))
    result = run("site", "group", "bus-1", "--charger", "CP-1", "--charger", "CP-2", "--max-down", "1")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1] == "CP-2: load group bus-1, away at once at most 1."
    request = fake.last("PATCH", "/chargers/CP-2/desired/power")
    assert request.json == {"load_group": "bus-1", "group_max_down": 1}
    assert request.headers["If-Match"] == '"3"'
    assert run("site", "group", "bus-1").exit_code == 2


@pytest.mark.requirement("F33")
def test_a_load_group_of_two_sites_is_refused_before_anything_is_changed(run: Any, fake: Any) -> None:
    for name, site in (("CP-1", "depot"), ("CP-2", "mall")):
        fake.on("GET", f"/chargers/{name}", (200, {"site_id": site}))
    result = run("site", "group", "bus-1", "--charger", "CP-1", "--charger", "CP-2", "--max-down", "1")
    assert result.exit_code == 2
    assert "CP-1 at depot, CP-2 at mall" in result.stderr
