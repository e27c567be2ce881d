"""How sessions, their timelines and health signals look on a terminal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from api.cli.charger_views import facts
from api.cli.errors import Record
from api.cli.output import Column, Screen, ago, moment, parse_time, share, words

_FRAME_CHARS = 300


def draw_sessions(screen: Screen, sessions: Sequence[Record], now: datetime, *, limit: int) -> None:
    """Sessions, latest first, one to a line."""
    columns = (
        Column("SESSION", fold=True),
        Column("STATE"),
        Column("EVSE", right=True),
        Column("BEGAN"),
        Column("BY ITS CLOCK", optional=True),
        Column("ENERGY", right=True),
        Column("ENDED BY"),
        Column("REMARK", fold=True, optional=True),
    )
    rows = [
        (
            str(one["transaction_id"]),
            words(one["state"]),
            str(one["evse_id"] or "-"),
            ago(one["started_received_at"], now) if one["started_received_at"] else "never told",
            str(one["started_at"] or "never told")[:19].replace("T", " "),
            _energy(one["energy_wh"]),
            _end(one),
            _remark(one),
        )
        for one in sessions
    ]
    screen.table(columns, rows, empty="It has had no session that we know of.")
    if rows:
        screen.line("BEGAN is when we were told; a charger that was offline tells later than it happened.")
    if len(sessions) == limit:
        screen.line(f"The latest {limit}; --limit shows more.")


def draw_session(screen: Screen, session: Record, entries: Sequence[Record], now: datetime) -> None:
    """One session, and what passed while it went on."""
    screen.fields(
        [
            ("Session", f"{session['transaction_id']} of {session['charger_id']}"),
            ("State", words(session["state"])),
            ("Connector", f"{session['evse_id']}.{session['connector_id']}" if session["evse_id"] else None),
            ("Started", _both(session, "started", now) or "never told"),
            ("Ended", _both(session, "ended", now)),
            ("Ended by", _end(session) if session["stop_reason"] else None),
            ("Energy", _energy(session["energy_wh"])),
            ("Heard of", moment(session["heard_at"], now)),
            ("Doubt", session["doubt"] and f"{session['doubt']}; asked {session['asked']} times"),
            ("Stuck since", moment(session["stuck_since"], now)),
            *(("Discrepancy", sentence) for sentence in session["discrepancies"]),
        ]
    )
    screen.line()
    columns = (Column(""), Column("WHEN"), Column("WHAT"), Column("CONTENT", fold=True))
    rows = [
        ("*" if one["concerns"] else "", str(one["at"])[:23].replace("T", " "), *told)
        for one in entries
        for told in _content(one)
    ]
    screen.table(columns, rows, empty="Nothing of it is in the journal any more.")
    screen.line("* names this session")


def draw_health(screen: Screen, health: Record) -> None:
    """The signals of one charger over the window."""
    [charger] = health["chargers"]
    through = health["watermark"]["through"]
    link = "silent" if charger["silent"] else "online" if charger["online"] else "offline"
    screen.fields(
        [
            ("Charger", f"{charger['charger_id']}, {link}"),
            ("Window", f"{health['since']} to {health['until']}"),
            ("Heard", f"{share(charger['coverage'], 1)} of the minutes; the rest is unknown"),
            ("Counted up to", str(through) if through else "nothing yet: no observer has run"),
            *(("Not as before", sentence) for sentence in charger["departures"]),
        ]
    )
    if through and not health["complete"]:
        screen.line("Later events are not counted yet.")
    screen.line()
    columns = (Column("SIGNAL"), Column("STATE"), Column("SAYS", fold=True))
    rows = [(words(one["name"]), words(one["state"]), str(one["says"])) for one in charger["signals"]]
    screen.table(columns, rows, empty="")


def _both(session: Record, which: str, now: datetime) -> str | None:
    """By the charger's clock, and when we were told, where that is not the same minute."""
    its, ours = parse_time(session[f"{which}_at"]), parse_time(session[f"{which}_received_at"])
    if its is None or ours is None:
        return moment(session[f"{which}_at"], now)
    told = moment(session[f"{which}_at"], now)
    return told if abs(ours - its).total_seconds() < 60 else f"{told} by its clock, told {ago(ours, now)}"


def _energy(watt_hours: float | None) -> str:
    return "unknown" if watt_hours is None else f"{watt_hours / 1000:.2f} kWh"


def _end(session: Record) -> str:
    if not session["stop_reason"]:
        return "-"
    if session["state"] == "abandoned":
        return f"nobody: {session['stop_reason']}"
    return f"{session['stop_cause']} ({session['stop_reason']})"


def _remark(session: Record) -> str:
    remarks = [*session["discrepancies"]]
    if session["stuck_since"]:
        remarks.insert(0, "stuck: a person has to look")
    if session["doubt"]:
        remarks.insert(0, session["doubt"])
    return "; ".join(remarks) or "-"


def _content(entry: Record) -> list[tuple[str, str]]:
    event: dict[str, Any] | None = entry["event"]
    if event is not None:
        return [(words(event["kind"]), facts(event["body"]))]
    arrow, back = ("<-", "->") if entry["direction"] == "in" else ("->", "<-")
    answered = [(back, _cut(entry["answer"]))] if entry.get("answer") else []
    return [(arrow, _cut(entry["frame"])), *answered]


def _cut(text: object) -> str:
    whole = str(text)
    return whole if len(whole) <= _FRAME_CHARS else whole[:_FRAME_CHARS] + "..."
