"""Sessions and health signals on the command line."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from api.schemas.chargers import EventReply
from api.schemas.watching import EntryReply, HealthReply, SessionReply
from storage.charging import ChargingSession, SessionState, StopCause
from storage.events import EventKind
from storage.health import ChargerSignals, FleetSignals, HealthHour, Watermark

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
ENDED = ChargingSession(
    "CP-1",
    "7",
    SessionState.ENDED,
    NOW,
    NOW,
    1,
    1,
    started_received_at=NOW - timedelta(hours=1),
    meter_start_wh=1000.0,
    meter_stop_wh=3000.0,
    stop_reason="EVDisconnected",
    stop_cause=StopCause.EV,
)
DOUBTED = ChargingSession(
    "CP-1",
    "8",
    SessionState.SUSPECT,
    NOW,
    NOW,
    doubt="its charger restarted",
    asked=2,
    stuck_since=NOW,
    discrepancies=("the register went back from 2 to 1 Wh",),
)


def replies(*sessions: ChargingSession) -> list[Any]:
    return [SessionReply.of(each).model_dump(mode="json") for each in sessions]


def test_sessions_show_energy_who_ended_them_and_what_is_wrong(run: Any, fake: Any) -> None:
    fake.on("GET", "/chargers/CP-1/sessions", (200, {"items": replies(ENDED, DOUBTED), "next_cursor": None}))
    result = run("charger", "sessions", "CP-1")
    assert result.exit_code == 0, result.output
    text = " ".join(result.stdout.split())
    assert "2.00 kWh" in text
    assert "ev (EVDisconnected)" in text
    assert "never told" in text
    assert "BY ITS CLOCK" in text
    assert "BEGAN is when we were told" in text
    assert json.loads(run("charger", "sessions", "CP-1", "--json").stdout)[0]["transaction_id"] == "7"


def test_one_session_shows_its_frames_and_events(run: Any, fake: Any) -> None:
    [session] = replies(DOUBTED)
    entry = EntryReply(
        at=NOW,
        concerns=True,
        direction="in",
        frame='[2,"1","StartTransaction",{}]',
        answer='[3,"1",{"transactionId":8}]',
    )
    fake.on("GET", "/chargers/CP-1/sessions/8", (200, session))
    page = {"session": session, "items": [entry.model_dump(mode="json")], "next_cursor": None}
    fake.on("GET", "/chargers/CP-1/sessions/8/timeline", (200, page))
    result = run("charger", "session", "CP-1", "8")
    assert result.exit_code == 0, result.output
    for word in (
        "its charger restarted; asked 2 times",
        "went back from 2 to 1 Wh",
        "StartTransaction",
        "<-",
        "->",
        '"transactionId":8',
    ):
        assert word in result.stdout


@pytest.mark.requirement("F90")
def test_a_session_is_exported_whole_and_a_file_that_was_changed_shows(
    run: Any, fake: Any, tmp_path: Path
) -> None:
    [session] = replies(DOUBTED)
    said = EntryReply(at=NOW, concerns=True, direction="in", frame='[2,"1","Heartbeat",{}]', answer="[3]")
    stored = EventReply(
        sequence=7,
        charger_id="CP-1",
        kind=EventKind.HEARTBEAT_RECEIVED,
        body={},
        observed_at=NOW,
        received_at=NOW,
    )
    heard = EntryReply(at=NOW, concerns=False, event=stored)
    pages = [
        {"session": session, "items": [each.model_dump(mode="json")], "next_cursor": cursor}
        for each, cursor in ((said, "more"), (heard, None))
    ]
    fake.on("GET", "/chargers/CP-1/sessions/8", (200, session))
    fake.on("GET", "/chargers/CP-1/sessions/8/timeline", *((200, page) for page in pages))
    file = tmp_path / "8.jsonl"
    result = run("charger", "session", "CP-1", "8", "--limit", "1", "--export", str(file))
    assert result.exit_code == 0, result.output
    *before, last = file.read_bytes().splitlines(keepends=True)
    lines = [json.loads(line) for line in before]
    assert [line["record"] for line in lines] == ["session", "frame", "event"]
    assert (lines[1]["frame"], lines[1]["answer"]) == ('[2,"1","Heartbeat",{}]', "[3]")
    digest = hashlib.sha256(b"".join(before)).hexdigest()
    assert json.loads(last) == {"record": "end", "lines": 3, "sha256": digest}
    assert digest in result.output.replace("\n", "")
    again = run("charger", "session", "CP-1", "8", "--export", str(file))
    assert again.exit_code != 0
    assert "there already" in again.output


def test_an_export_that_breaks_off_leaves_no_file(run: Any, fake: Any, tmp_path: Path) -> None:
    [session] = replies(DOUBTED)
    fake.on("GET", "/chargers/CP-1/sessions/8", (200, session))
    file = tmp_path / "8.jsonl"
    assert run("charger", "session", "CP-1", "8", "--export", str(file)).exit_code != 0
    assert not file.exists()


def health(*chargers: ChargerSignals, through: datetime | None = NOW) -> Any:
    fleet = FleetSignals(
        Watermark(3, through), NOW - timedelta(hours=24), NOW, NOW - timedelta(days=15), chargers
    )
    return HealthReply.of(fleet).model_dump(mode="json")


def test_health_shows_each_signal_and_how_much_is_unknown(run: Any, fake: Any) -> None:
    window = HealthHour(silences=1, boots=9)
    signals = ChargerSignals("CP-1", window, HealthHour(), 720, 0, 1, None, 0, online=True, silent=True)
    signals = replace(signals, heard_hours=20, baseline_heard_hours=300)
    fake.on("GET", "/health/signals", (200, health(signals, through=NOW - timedelta(hours=1))))
    result = run("charger", "health", "CP-1", "--hours", "24")
    assert result.exit_code == 0, result.output
    assert "CP-1, silent" in result.stdout
    assert "50" in result.stdout
    assert "Later events are not counted yet." in result.stdout
    assert "application silence" in result.stdout
    assert "9 restarts in 20 hours, usual 0.0" in " ".join(result.stdout.split())
    query = fake.last("GET", "/health/signals").query
    assert query["chargers"] == ["CP-1"]
    assert query["baseline_days"] == ["14"]


def test_health_of_nobody_is_an_error(run: Any, fake: Any) -> None:
    fake.on("GET", "/health/signals", (200, health()))
    result = run("charger", "health", "CP-9")
    assert result.exit_code == 1
    assert "There is no charger 'CP-9'" in result.stderr
