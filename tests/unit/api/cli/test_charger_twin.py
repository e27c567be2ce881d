"""What a charger should be, at the command line."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api.cli.charger_twin import merge_patch
from api.cli.errors import WrongUse
from api.schemas.twins import (
    AnomalyReply,
    DesiredReply,
    DesiredSections,
    DriftReply,
    OriginReply,
    PastReply,
    RebuiltReply,
)
from storage.anomaly import Anomaly
from storage.desired import Ack, AckStatus, DesiredSection
from storage.drift import Drift, DriftState
from storage.past import Origin, PastTwin, Rebuilt
from storage.twin import FirmwareSection, TwinState
from storage.twin_schema import Severity

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PATH = "/chargers/CP-1/desired/configuration"


def section(version: int = 7, **values: str) -> Any:
    acks = {"configuration.values.A.B": Ack(AckStatus.REFUSED, 7, NOW, "Rejected")}
    desired = {"values": values} if values else {}
    return DesiredReply.of(DesiredSection("CP-1", "configuration", desired, version, acks)).model_dump(
        mode="json"
    )


@pytest.mark.requirement("F13")
def test_setting_sends_a_patch_with_the_version_that_was_read(run: Any, fake: Any) -> None:
    fake.on("GET", PATH, (200, section(7)))
    fake.on("PATCH", PATH, (200, section(8, **{"A.B": "1"})))
    result = run("charger", "set", "CP-1", "configuration.A.B=a=b", "--unset", "configuration.values.C")
    assert result.exit_code == 0, result.output
    request = fake.last("PATCH", PATH)
    assert request.json == {"values": {"A.B": "a=b", "C": None}}
    assert request.headers["If-Match"] == '"7"'
    assert result.stdout == "Desired configuration of CP-1 is now at version 8.\n"


def test_a_version_that_is_given_is_the_one_sent(run: Any, fake: Any) -> None:
    fake.refuse("PATCH", PATH, 412, title="Somebody else wrote first", detail="It has version 9, not 3.")
    result = run("charger", "set", "CP-1", "configuration.A=1", "--if-version", "3")
    assert result.exit_code == 1
    assert "version 9, not 3" in result.stderr
    assert fake.last("PATCH", PATH).headers["If-Match"] == '"3"'


def test_what_is_desired_is_shown_beside_its_answer(run: Any, fake: Any) -> None:
    reply = DesiredSections(
        charger_id="CP-1", read_at=NOW, sections=(DesiredReply(**section(7, **{"A.B": "1", "C": "2"})),)
    )
    fake.on("GET", "/chargers/CP-1/desired", (200, reply.model_dump(mode="json")))
    lines = run("charger", "desired", "CP-1").stdout.splitlines()
    assert lines[1].split()[:4] == ["configuration.A.B", "1", "7", "refused"]
    assert "none yet" in lines[2]


@pytest.mark.requirement("F14")
def test_drift_and_anomalies_are_listed(run: Any, fake: Any) -> None:
    drift = Drift(
        *("CP-1", "firmware.version", Severity.CRITICAL, "1.0", "6.6", 3, DriftState.OPEN, NOW, NOW),
        suspicion="it runs 6.6, which nobody rolled out to it",
    )
    anomaly = Anomaly("CP-1", "too_large", "configuration", "too long", "event/7", NOW, NOW, 3)
    fake.page("/chargers/CP-1/drift", [DriftReply.model_validate(drift).model_dump(mode="json")])
    fake.page("/drift", [])
    fake.page("/chargers/CP-1/anomalies", [AnomalyReply.model_validate(anomaly).model_dump(mode="json")])
    line = run("charger", "drift", "CP-1", "--all").stdout.splitlines()[1]
    assert line.split()[:6] == ["CP-1", "firmware.version", "critical", "open", "1.0", "6.6"]
    assert fake.last("GET", "/chargers/CP-1/drift").query["all"] == ["true"]
    assert run("charger", "drift", "--severity", "critical").stdout == "No drift.\n"
    assert fake.last("GET", "/drift").query["severity"] == ["critical"]
    assert run("charger", "drift", "CP-1", "--severity", "critical").exit_code == 2
    assert run("charger", "anomalies", "CP-1").stdout.splitlines()[1].split()[:3] == [
        "configuration",
        "too",
        "large",
    ]


@pytest.mark.parametrize(
    ("assignments", "unset", "words"),
    [
        ([], [], "Nothing is given"),
        (["configuration.A"], [], "not PATH=VALUE"),
        (["configuration=1"], [], "names a section"),
        (["configuration.A=1", "firmware.version=2"], [], "configuration and firmware"),
        (["security.profile=high"], [], "a number from 0 to 3"),
    ],
)
def test_what_makes_no_patch_is_refused(assignments: list[str], unset: list[str], words: str) -> None:
    with pytest.raises(WrongUse, match=words):
        merge_patch(assignments, unset)


def test_values_of_controlled_sections_get_their_types() -> None:
    assert merge_patch(["security.profile=2", "security.roots=a/b/1, a/b/2"], []) == (
        "security",
        {"profile": 2, "roots": ["a/b/1", "a/b/2"]},
    )
    assert merge_patch(["firmware.version=1.2"], []) == ("firmware", {"version": "1.2"})
    assert merge_patch([], ["security.profile"]) == ("security", {"profile": None})


@pytest.mark.requirement("F16")
def test_the_past_is_shown_on_both_axes(run: Any, fake: Any) -> None:
    twin = TwinState("CP-1", 7, firmware=FirmwareSection("1.1"))
    past = PastTwin(twin, NOW, {"configuration": {"values": {"A.B": "1"}}}, (8, 9))
    fake.on("GET", "/chargers/CP-1/twin", (200, PastReply.of(past).model_dump(mode="json")))
    result = run("charger", "show", "CP-1", "--true-at", "2026-11-20T12:00:00Z")
    assert result.exit_code == 0, result.output
    assert "CP-1 at revision 7" in result.stdout
    assert "2 events that came in later are in their place." in result.stdout
    assert [line.split() for line in result.stdout.splitlines() if "version" in line] == [
        ["firmware.version", "1.1"]
    ]
    assert "desired configuration.A.B" in result.stdout
    assert fake.last("GET", "/chargers/CP-1/twin").query == {"true_at": ["2026-11-20T12:00:00Z"]}


def test_why_shows_the_frame_and_rebuild_fails_where_something_differs(run: Any, fake: Any) -> None:
    body = {"sequence": 9, "kind": "charger_booted", "body": {}}
    origin = Origin(
        *("CP-1", "firmware.version", "1.1", 7, "reported", "charger", "event/9", NOW, NOW),
        body,
        ('[2,"1"]',),
    )
    fake.on("GET", "/chargers/CP-1/why", (200, OriginReply.model_validate(origin).model_dump(mode="json")))
    shown = run("charger", "why", "CP-1", "firmware.version").stdout
    assert '[2,"1"]' in shown
    assert "charger booted" in shown
    good, bad = Rebuilt("CP-1", 9, 4, 4, ()), Rebuilt("CP-1", 9, 4, 4, ("firmware",))
    answers = [(200, RebuiltReply.model_validate(each).model_dump(mode="json")) for each in (good, bad)]
    fake.on("GET", "/chargers/CP-1/rebuild", *answers)
    assert run("charger", "rebuild", "CP-1", "--check").exit_code == 0
    result = run("charger", "rebuild", "CP-1", "--check")
    assert result.exit_code == 1
    assert "not what its events make of it: firmware." in result.stderr


@pytest.mark.requirement("F21")
def test_all_twins_are_compared_page_by_page_and_repaired_when_asked(run: Any, fake: Any) -> None:
    def page(*names: str, cursor: str | None = None, wrong: str = "") -> tuple[int, Any]:
        items = [Rebuilt(name, 9, 4, 4, ("firmware",) if name == wrong else ()) for name in names]
        replies = [RebuiltReply.model_validate(each).model_dump(mode="json") for each in items]
        return 200, {"items": replies, "next_cursor": cursor}

    fake.on("GET", "/rebuilds", page("CP-1", "CP-2", cursor="xyz", wrong="CP-2"), page("CP-3"))
    result = run("charger", "rebuild", "--all")
    assert (result.exit_code, result.stdout) == (
        1,
        "3 twins made anew from 27 events: 2 identical, 0 repaired, 1 differing.\n",
    )
    assert "CP-2: firmware differs" in result.stderr
    assert fake.last("GET", "/rebuilds").query["cursor"] == ["xyz"]
    fake.on("GET", "/rebuilds", page("CP-2", wrong="CP-2"))
    fake.on("POST", "/chargers/CP-2/rebuild", (200, {"repaired": ["firmware"]}))
    mended = run("charger", "rebuild", "--all", "--repair", "--reason", "restored", "--json")
    assert mended.exit_code == 0
    assert fake.last("POST", "/chargers/CP-2/rebuild").json == {"reason": "restored"}


def test_a_rebuild_that_breaks_off_says_where_to_go_on(run: Any, fake: Any) -> None:
    good = RebuiltReply.model_validate(Rebuilt("CP-1", 9, 4, 4, ())).model_dump(mode="json")
    fake.on("GET", "/rebuilds", (200, {"items": [good], "next_cursor": "xyz"}), (503, {"title": "Not now"}))
    result = run("charger", "rebuild", "--all")
    assert result.exit_code != 0
    assert "after 1 twins. Go on with: ampwave charger rebuild --all --resume xyz" in result.stderr
    assert run("charger", "rebuild").exit_code == 2
    assert run("charger", "rebuild", "CP-1", "--all").exit_code == 2
    assert run("charger", "rebuild", "--all", "--repair").exit_code == 2
    assert run("charger", "rebuild", "CP-1", "--resume", "xyz").exit_code == 2
