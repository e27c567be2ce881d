"""Queries at the command line."""

from typing import Any

from storage.query.checker import condition_of
from storage.query.errors import QueryError

COUNTS = {
    "by": ["model", "firmware.version"],
    "at": "2026-11-20T12:00:00Z",
    "total": 1200,
    "groups": [
        {"values": ["AC22", "1.1"], "count": 900, "online": 880},
        {"values": ["AC22", None], "count": 200, "online": 0},
    ],
    "other": {"values": [], "count": 100, "online": 90},
    "other_groups": 7,
}
RATES = ("reporting", "faulted", "attempted", "failed")


def counts(*numbers: int | None) -> dict[str, Any]:
    rates = dict(zip(RATES, numbers, strict=True))
    groups = [{**group, **rates} for group in COUNTS["groups"]]  # type: ignore[attr-defined]
    return {**COUNTS, "groups": groups, "other": {**COUNTS["other"], **rates}}  # type: ignore[dict-item]


def test_a_list_asks_with_its_query(run: Any, fake: Any, sample: Any) -> None:
    fake.on("GET", "/chargers", (200, {"items": [sample.charger()], "next_cursor": None}))
    result = run("charger", "list", "--query", "faulted and version < 2.1", "--site", "harbour")
    assert result.exit_code == 0, result.output
    asked = fake.last("GET", "/chargers").query
    assert asked["query"] == ["faulted and version < 2.1"]
    assert asked["site_id"] == ["harbour"]


def test_nobody_who_matches_is_said_to_be_nobody(run: Any, fake: Any) -> None:
    fake.on("GET", "/chargers", (200, {"items": [], "next_cursor": None}))
    assert "No charger matches." in run("charger", "list", "-q", "faulted").stdout


def test_what_is_wrong_is_pointed_at(run: Any, fake: Any) -> None:
    text = "online and vendr = Volta"
    try:
        condition_of(text)
    except QueryError as error:
        position = {name: getattr(error.position, name) for name in error.position.__slots__}
        detail = error.diagnostics().split("\n")[0] + " " + error.hint
    fake.refuse(
        "GET",
        "/chargers",
        422,
        title="The query cannot be understood",
        detail=detail,
        position=position,
        near=["vendor"],
    )
    result = run("charger", "list", "--query", text)
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "Error: The query cannot be understood",
        "Line 1, column 12: a charger has no field 'vendr'. Did you mean vendor?",
        "    online and vendr = Volta",
        "               ^^^^^",
    ]


def test_a_place_that_is_none_is_left_out(run: Any, fake: Any) -> None:
    fake.refuse("GET", "/chargers", 422, title="No", detail="d", position={"line": "\x1b[31m"})
    result = run("charger", "list", "--query", "x")
    assert result.stderr.splitlines() == ["Error: No", "d"]


def test_counts_are_a_table_with_the_rest_in_one_line(run: Any, fake: Any) -> None:
    fake.on("GET", "/chargers/counts", (200, counts(None, None, None, None)))
    result = run("charger", "count", "--by", "model,version", "--query", "online", "--top", "2")
    assert result.exit_code == 0, result.output
    asked = fake.last("GET", "/chargers/counts").query
    assert asked == {"by": ["model,version"], "query": ["online"], "top": ["2"], "rates": ["false"]}
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines == [
        ["MODEL", "FIRMWARE.VERSION", "CHARGERS", "ONLINE"],
        ["AC22", "1.1", "900", "880"],
        ["AC22", "(unknown)", "200", "0"],
        ["7", "others", "100", "90"],
        ["1200", "chargers", "in", "all."],
    ]


def test_rates_stand_beside_their_whole(run: Any, fake: Any) -> None:
    fake.on("GET", "/chargers/counts", (200, counts(850, 12, 40, 3)))
    result = run("charger", "count", "--rates")
    assert "FAULTED" in result.stdout
    assert result.stdout.splitlines()[1].split()[-4:] == ["12", "850", "3", "40"]
    assert fake.last("GET", "/chargers/counts").query["by"] == ["vendor,model"]


def test_a_plan_takes_a_query(run: Any, fake: Any) -> None:
    fake.refuse("POST", "/campaigns/plan", 422, title="No")
    fake.on("GET", "/artifacts", (200, {"items": [], "next_cursor": None}))
    result = run("campaign", "plan", "--artifact", "a" * 64, "--waves", "all:100%", "--query", "not faulted")
    assert result.exit_code == 1, result.output
    assert fake.last("POST", "/campaigns/plan").json["targets"] == {"query": "not faulted"}


def test_a_timeline_says_what_changed_and_who_did_what(run: Any, fake: Any) -> None:
    at = {"observed_at": "2026-11-20T11:00:00Z", "received_at": "2026-11-20T11:00:00Z", "charger_id": "CP-1"}
    change = {
        **at,
        "source": "twin",
        "kind": "twin_changed",
        "body": {"section": "configuration", "side": "desired", "patch": {"values": {"A": "1"}}},
        "sequence": None,
        "revision": 7,
        "actor": "ada",
        "cause": "request/1",
    }
    body = {"command_id": "c-1", "parameters": {"kind": "hard"}, "state": "answered", "status": "Accepted"}
    act = {**at, "source": "command", "kind": "reset", "body": body, "sequence": None, "actor": "olga"}
    fake.page("/chargers/CP-1/timeline", [act, change])
    result = run("charger", "timeline", "CP-1", "--what", "act", "--since", "2026-11-01T00:00:00Z")
    assert result.exit_code == 0, result.output
    assert fake.last("GET", "/chargers/CP-1/timeline").query["what"] == ["act"]
    assert 'configuration desired {"values": {"A": "1"}}, revision 7, by ada' in result.stdout
    assert "state answered, status Accepted, by olga" in result.stdout


def test_a_slice_is_excluded_after_a_yes(run: Any, fake: Any) -> None:
    fake.page("/campaigns", [{"campaign_id": "spring-1", "name": "spring"}])
    refused = {"charger_id": "CP-2", "reason": "It is dispatched."}
    fake.on("POST", "/campaigns/spring-1/skip-matching", (200, {"skipped": ["CP-1"], "refused": [refused]}))
    asked = ("campaign", "exclude", "spring-1", "-q", "hardware = B2", "--reason", "it loses its network")
    assert run(*asked).exit_code == 2
    result = run(*asked, "--yes")
    assert result.exit_code == 0, result.output
    assert fake.last("POST", "/campaigns/spring-1/skip-matching").json == {
        "query": "hardware = B2",
        "reason": "it loses its network",
    }
    assert result.stdout.splitlines() == [
        "1 charger is left out.",
        "STAYS  BECAUSE",
        "CP-2   It is dispatched.",
    ]
