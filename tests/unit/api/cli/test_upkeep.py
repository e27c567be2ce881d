"""Holds, pins, closed times and previews charger by charger, at the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

SAID = {
    "charger_id": "CP-1",
    "hold": "cabinet open",
    "hold_until": "2026-11-20T18:00:00Z",
    "held": True,
    "pin": None,
    "link": "cellular",
    "power_kw": 22.0,
    "connector_types": ["cCCS2"],
    "changed_by": "ada",
}
CLOSED = {
    "closure_id": "0123456789abcdef",
    "begins": "2026-11-20T16:00:00Z",
    "ends": "2026-11-20T18:00:00Z",
    "kind": "grid",
    "reason": "demand response",
    "site_id": None,
    "price": None,
}
PLANNED = {
    "charger_id": "CP-1",
    "site_id": "harbour",
    "wave": 0,
    "wave_name": "canary",
    "earliest": "2026-11-20T21:00:00Z",
    "reason": "not before 2026-11-20 21:00 UTC: its maintenance window is closed (Europe/Berlin)",
}


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("hold", "CP-1", "--reason", "x"), {"hold": "x", "hold_until": None}),
        (("unhold", "CP-1"), {"hold": None}),
        (("pin", "CP-1", "1.0"), {"pin": "1.0"}),
        (("pin", "CP-1"), {"pin": None}),
        (
            ("describe", "CP-1", "--link", "wifi", "--connector", "cCCS2"),
            {"link": "wifi", "connector_types": ["cCCS2"]},
        ),
    ],
)
def test_each_word_says_one_thing(run: Any, fake: Any, words: tuple[str, ...], body: dict[str, Any]) -> None:
    fake.on("POST", "/chargers/CP-1/upkeep", (200, SAID))
    result = run("charger", *words)
    assert result.exit_code == 0, result.output
    assert fake.last("POST", "/chargers/CP-1/upkeep").json == body
    assert "cabinet open" in result.stdout


def test_a_hold_ends_after_a_while_or_at_a_time_with_its_zone(run: Any, fake: Any) -> None:
    fake.on("POST", "/chargers/CP-1/upkeep", (200, SAID))
    run("charger", "hold", "CP-1", "--reason", "x", "--until", "2026-12-01T06:00:00+01:00")
    assert fake.last("POST", "/chargers/CP-1/upkeep").json["hold_until"] == "2026-12-01T06:00:00+01:00"
    assert run("charger", "hold", "CP-1", "--reason", "x", "--until", "6h").exit_code == 0
    bad = run("charger", "hold", "CP-1", "--reason", "x", "--until", "tomorrow")
    assert bad.exit_code == 2
    assert "neither a length of time nor a time with its zone" in bad.stderr


def test_saying_nothing_is_told(run: Any) -> None:
    assert run("charger", "describe", "CP-1").exit_code == 2


@pytest.mark.requirement("X4")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "t.csv",
            "begins,ends,kind,reason,price\n2026-11-20T17:00:00+01:00,2026-11-20T19:00:00+01:00,tariff,peak,0.41\n",
        ),
        (
            "t.json",
            (
                '[{"begins": "2026-11-20T17:00:00+01:00", "ends": "2026-11-20T19:00:00+01:00",'
                ' "kind": "tariff", "reason": "peak", "price": 0.41}]'
            ),
        ),
    ],
)
def test_a_tariff_comes_from_a_file(run: Any, fake: Any, home: Path, name: str, text: str) -> None:
    (home / name).write_text(text)
    fake.on("POST", "/closures", (201, {"items": [CLOSED], "next_cursor": None}))
    result = run("calendar", "import", name)
    assert result.exit_code == 0, result.output
    [row] = fake.last("POST", "/closures").json["closures"]
    assert (row["price"], row["kind"], row["begins"]) == (0.41, "tariff", "2026-11-20T17:00:00+01:00")
    assert "demand response" in result.stdout


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("begins,ends,kind\nx,y,grid\n", "row 1: reason is missing"),
        ("begins,ends,kind,reason,colour\na,b,grid,x,red\n", "colour is no column here"),
        ("begins,ends,kind,reason\n17:00,19:00,grid,x\n", "'17:00' is not a time with its zone"),
        (
            "begins,ends,kind,reason\n2026-11-20T19:00:00Z,2026-11-20T17:00:00Z,grid,x\n",
            "row 1 ends before it begins",
        ),
        ("[1]", "not a list of objects"),
        ("{", "not valid JSON"),
        ("begins,ends,kind,reason\n", "has no rows"),
    ],
)
def test_a_file_that_is_none_is_told_by_row(run: Any, home: Path, text: str, part: str) -> None:
    (home / "t.csv").write_text(text)
    result = run("calendar", "import", "t.csv")
    assert result.exit_code == 2
    assert part in result.stderr


def test_a_share_is_a_share(run: Any) -> None:
    refused = run("site", "add", "mall", "--uptime", "97")
    assert refused.exit_code == 2
    assert "--uptime: '97' is no share: write it as 0.97 or 97%." in refused.stderr


def test_closed_times_are_listed_and_opened(run: Any, fake: Any) -> None:
    fake.on("GET", "/closures", (200, {"items": [CLOSED], "next_cursor": None}))
    assert "everywhere" in run("calendar", "list").stdout
    fake.on("DELETE", "/closures/0123456789abcdef", (204, None))
    assert run("calendar", "open", "0123456789abcdef").exit_code == 0


@pytest.mark.requirement("R15")
def test_every_charger_of_a_preview_page_after_page(run: Any, fake: Any, home: Path, sample: Any) -> None:
    (home / "plan.yaml").write_text(f"name: x\nartifact: {'a' * 64}\nwaves:\n  - name: all\n    share: 1\n")
    out = {
        **PLANNED,
        "charger_id": "CP-2",
        "wave": None,
        "wave_name": None,
        "earliest": None,
        "reason": "it is retired",
    }
    fake.on("GET", f"/artifacts/{'a' * 64}", (200, sample.artifact()))
    fake.on(
        "POST",
        "/campaigns/plan/chargers",
        (200, {"items": [PLANNED], "next_cursor": "c", "plan_digest": "d"}),
        (200, {"items": [out], "next_cursor": None, "plan_digest": "d"}),
    )
    result = run("campaign", "plan", "plan.yaml", "--chargers")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "2026-11-20 21:00Z" in lines[1]
    assert "left out" in result.stdout
    rows = json.loads(run("campaign", "plan", "plan.yaml", "--chargers", "--json", "--limit", "1").stdout)
    assert len(rows) == 1


def test_a_site_with_rules_says_them(run: Any, fake: Any) -> None:
    from api.schemas.chargers import SiteBody

    rules = {"keep_power_share": 0.5, "keep_connector_types": True, "max_downloads": 2, "country": "DE"}
    stored = SiteBody(site_id="mall", name="mall", time_zone="UTC", rules=rules).model_dump(mode="json")
    fake.on("POST", "/sites", (201, stored))
    result = run(
        *(
            "site",
            "add",
            "mall",
            "--time-zone",
            "UTC",
            "--keep-power",
            "50%",
            "--keep-connectors",
            "--max-downloads",
            "2",
        ),
        *("--country", "de", "--max-download-mb", "1.5", "--uptime", "97%"),
    )
    assert result.exit_code == 0, result.output
    sent = fake.last("POST", "/sites").json["rules"]
    assert (sent["keep_power_share"], sent["max_download_bytes"], sent["uptime_floor"]) == (
        0.5,
        1_500_000,
        0.97,
    )
    assert sent["country"] == "DE"
    assert "keeps 50% of its power" in result.stdout
    assert run("site", "add", "mall", "--keep-power", "half").exit_code == 2


@pytest.mark.requirement("X4")
def test_a_site_names_its_feeder_and_the_cap_together(run: Any, fake: Any) -> None:
    from api.schemas.chargers import SiteBody

    rules = {"feeder": "north", "feeder_kw": 300.0}
    stored = SiteBody(site_id="mall", name="mall", time_zone="UTC", rules=rules).model_dump(mode="json")
    fake.on("POST", "/sites", (201, stored))
    result = run("site", "add", "mall", "--time-zone", "UTC", "--feeder", "north", "--feeder-kw", "300")
    assert result.exit_code == 0, result.output
    assert fake.last("POST", "/sites").json["rules"].items() >= rules.items()
    assert "hangs on feeder north; 300 kW back on it a minute" in result.stdout
    alone = run("site", "add", "mall", "--feeder", "north")
    assert alone.exit_code == 2
    assert "go together" in alone.output


@pytest.mark.requirement("X14")
def test_metering_is_marked_with_a_reason_and_shown_without(run: Any, fake: Any, sample: Any) -> None:
    image = "a" * 64
    said = {"artifact_id": image, "countries": ["DE"], "reason": "PTB", "actor": "ida"}
    fake.on("GET", f"/artifacts/{image}", (200, sample.artifact()))
    fake.on("GET", f"/artifacts/{image}/metering", (200, said))
    fake.on("PUT", f"/artifacts/{image}/metering", (200, said))
    assert "permitted in: DE (PTB)" in run("artifact", "metering", image).stdout
    assert run("artifact", "metering", image, "--country", "de", "--reason", "PTB").exit_code == 0
    assert fake.last("PUT", f"/artifacts/{image}/metering").json == {"countries": ["DE"], "reason": "PTB"}
    assert run("artifact", "metering", image, "--country", "de").exit_code == 2


@pytest.mark.requirement("R21")
def test_how_chargers_say_no_is_a_property_of_their_model(run: Any, fake: Any) -> None:
    from api.schemas.models import ModelBody

    told = {"veto_variable": "UpdateAllowed", "veto_value": "false"}
    stored = ModelBody(vendor="Acme", model="AC22", **told).model_dump(mode="json")
    fake.on("PUT", "/models", (200, stored))
    result = run("model", "set", "Acme/AC22", "--veto", "UpdateAllowed=false")
    assert result.exit_code == 0, result.output
    assert {name: fake.last("PUT", "/models").json[name] for name in told} == told
    assert "UpdateAllowed = false" in result.stdout
    assert run("model", "set", "Acme/AC22", "--veto", "UpdateAllowed").exit_code == 2
