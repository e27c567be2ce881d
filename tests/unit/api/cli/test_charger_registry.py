"""Who a charger is, jobs for many chargers, and incidents, at the command line."""

from typing import Any

import pytest

AT = "2026-11-20T12:00:00Z"
IDENTITY = "/chargers/CP-1/identity"


@pytest.mark.requirement("F2")
def test_reidentifying_sends_what_changes_the_version_and_the_reason(run: Any, fake: Any) -> None:
    reply = {
        "charger_id": "CP-1",
        "vendor": "V",
        "model": "M",
        "serial_number": None,
        "hardware_revision": "c",
    }
    fake.on("PATCH", IDENTITY, (200, {**reply, "identity_version": 4}))
    given = ["--serial", "-", "--hardware", "c", "--reason", "new controller", "--if-version", "3"]
    assert run("charger", "reidentify", "CP-1", *given).exit_code == 2, "nobody is there to say yes"
    result = run("charger", "reidentify", "CP-1", *given, "--yes")
    assert result.exit_code == 0, result.output
    request = fake.last("PATCH", IDENTITY)
    assert request.json == {"serial_number": None, "hardware_revision": "c", "reason": "new controller"}
    assert request.headers["If-Match"] == '"3"'
    assert "its identity is at version 4" in result.stdout


@pytest.mark.requirement("F2")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--if-version", "1", "--reason", "x"], "Nothing to change"),
        (["--serial", "S", "--reason", "x"], "--if-version"),
        (["--serial", "S", "--if-version", "1"], "--reason"),
    ],
)
def test_no_identity_changes_without_what_where_and_why(run: Any, options: list[str], words: str) -> None:
    result = run("charger", "reidentify", "CP-1", *options, "--yes")
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_doubt_is_accepted_and_a_note_is_added(run: Any, fake: Any) -> None:
    fake.on("POST", "/chargers/CP-1/accept", (200, {"accepted": ["security.tampered"]}))
    fake.on("POST", "/chargers/CP-1/notes", (201, {"charger_id": "CP-1", "added": True}))
    accepted = run("charger", "accept", "CP-1", "security.tampered", "--reason", "our visit")
    assert accepted.stdout == "Accepted of CP-1: security.tampered.\n"
    noted = run(
        "charger", "note", "CP-1", "fuse replaced", "--kind", "ticket", "--reference", "T-1", "--at", "2h"
    )
    assert noted.stdout == "The note is on the timeline of CP-1.\n"
    sent = fake.last("POST", "/chargers/CP-1/notes").json
    assert (sent["note"], sent["reference"], sent["text"]) == ("ticket", "T-1", "fuse replaced")
    assert sent["happened_at"] is not None


@pytest.mark.requirement("F20")
def test_names_are_given_shown_and_found(run: Any, fake: Any) -> None:
    one = {"namespace": "erp", "value": "47=11", "subject": "connector/CP-1/1/2", "actor": "ada", "since": AT}
    fake.on("PUT", "/identifiers", (200, one))
    fake.on("GET", "/chargers/CP-1/identifiers", (200, {"items": [one]}))
    fake.on("GET", "/identifiers", (200, one))
    shown = run("charger", "alias", "CP-1", "--add", "erp=47=11", "--connector", "1.2")
    assert shown.exit_code == 0, shown.output
    assert fake.last("PUT", "/identifiers").json == {k: one[k] for k in ("namespace", "value", "subject")}
    assert "connector/CP-1/1/2" in shown.stdout
    assert run("charger", "find", "erp=47=11").stdout == "connector/CP-1/1/2\n"
    assert run("charger", "find", "4711").exit_code == 2


def test_an_incident_is_listed_and_closed(run: Any, fake: Any) -> None:
    one = {
        "incident_id": 3,
        "kind": "suspected_intrusion",
        "subject": "charger/CP-1",
        "summary": "it was opened",
        "opened_at": AT,
        "closed_at": None,
        "closed_by": None,
        "close_reason": None,
    }
    fake.on("GET", "/incidents", (200, {"items": [one]}))
    fake.on("POST", "/incidents/3/close", (200, one))
    assert "it was opened" in run("incident", "list").stdout
    closed = run("incident", "close", "3", "--reason", "looked")
    assert closed.stdout == "Incident 3 (charger/CP-1) is closed.\n"
    assert fake.last("POST", "/incidents/3/close").json == {"reason": "looked"}
    assert run("incident", "close", "3").exit_code == 2


JOB = {
    "configuration_id": "job-1",
    "values": {"HeartbeatInterval": "300"},
    "actor": "ada",
    "state": "running",
    "created_at": AT,
    "deadline_at": AT,
    "finished_at": None,
    "counts": {"waiting": 2},
}
PREVIEW = {
    "chargers": 2,
    "same": 1,
    "items": [
        {"charger_id": "CP-1", "online": True, "differs": ["HeartbeatInterval"]},
        {"charger_id": "CP-2", "online": False, "differs": []},
    ],
}


@pytest.mark.requirement("F25")
def test_a_dry_run_says_who_would_get_what_and_sends_nothing(run: Any, fake: Any) -> None:
    fake.on("POST", "/configurations/preview", (200, PREVIEW))
    result = run("charger", "configure", "HeartbeatInterval=300", "--site", "depot", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 chargers would get these values; nothing was sent." in result.stdout
    sent = fake.last("POST", "/configurations/preview").json
    assert sent == {"values": {"HeartbeatInterval": "300"}, "site_id": "depot", "deadline_seconds": 86_400}


@pytest.mark.requirement("F25")
def test_a_job_is_started_watched_and_ends_with_each_chargers_result(
    run: Any, fake: Any, tmp_path: Any
) -> None:
    done = {**JOB, "state": "done", "counts": {"accepted": 1, "refused": 1}}
    lines = [
        {"charger_id": "CP-1", "state": "accepted", "reason": "", "attempts": 1},
        {"charger_id": "CP-2", "state": "refused", "reason": "Rejected", "attempts": 1},
    ]
    fake.on("POST", "/configurations/preview", (200, PREVIEW))
    fake.on("POST", "/configurations", (202, JOB))
    fake.on("GET", "/configurations/job-1", (200, done))
    fake.page("/configurations/job-1/chargers", lines)
    names = tmp_path / "chargers.txt"
    names.write_text("CP-1\n\nCP-2\n")
    result = run("charger", "configure", "A=1", "--file", str(names), "--watch", "--yes")
    assert result.exit_code == 1, "one of them refused"
    assert fake.last("POST", "/configurations").json["charger_ids"] == ["CP-1", "CP-2"]
    assert "1 accepted, 1 refused" in result.stdout
    assert "Rejected" in result.stdout
    started = run("charger", "configure", "A=1", "--charger", "CP-1", "--yes")
    assert "ampwave charger configurations job-1 --watch" in started.stdout


@pytest.mark.parametrize(
    "given",
    [
        ["A=1"],
        ["A=1", "--charger", "CP-1", "--site", "s"],
        ["A", "--charger", "CP-1"],
        ["A=1", "A=2", "--charger", "CP-1"],
        ["A=1", "--file", "/nowhere"],
    ],
)
def test_a_job_that_cannot_be_meant_is_refused_before_anything_is_sent(run: Any, given: list[str]) -> None:
    assert run("charger", "configure", *given, "--yes").exit_code == 2


@pytest.mark.requirement("F25")
def test_jobs_are_listed_and_stopped(run: Any, fake: Any) -> None:
    stopped = {**JOB, "state": "stopped", "counts": {"stopped": 2}}
    fake.on("GET", "/configurations", (200, {"items": [JOB]}))
    fake.on("POST", "/configurations/job-1/stop", (200, stopped))
    fake.page("/configurations/job-1/chargers", [])
    assert "HeartbeatInterval=300" in run("charger", "configurations").stdout
    assert "2 stopped" in run("charger", "configurations", "job-1", "--stop").stdout
    assert run("charger", "configurations", "--stop").exit_code == 2


@pytest.mark.requirement("F23")
def test_a_person_is_erased_by_a_token_that_is_in_no_argument(run: Any, fake: Any, tmp_path: Any) -> None:
    fake.on("POST", "/erasures", (200, {"sessions": 2, "events": 3}))
    file = tmp_path / "token"
    file.write_text("04AABBCC\n")
    given = ["privacy", "erase", "--token-file", str(file), "--reason", "asked by letter"]
    assert run(*given).exit_code == 2, "nobody is there to say yes"
    assert run(*given, "--yes").stdout == "Erased from 2 sessions and 3 events.\n"
    assert fake.last("POST", "/erasures").json == {"id_token": "04AABBCC", "reason": "asked by letter"}
    assert run("privacy", "erase", "--token-file", "/nowhere", "--reason", "x", "--yes").exit_code == 2
