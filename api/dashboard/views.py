"""What the pages show, worked out from nouns. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.dashboard.pages import model_name
from api.gate_evidence import health_of, left_out, outlook
from api.states import ChargerState, charger_state
from storage.campaign import (
    REHEARSAL_WAVE,
    Campaign,
    Decision,
    Outcome,
    Target,
    TargetPhase,
    WaveTally,
    goes_back,
)
from storage.charger import FleetCounts, Site
from storage.command import CommandRecord
from storage.log import LOG_OPEN, LogRequest, LogState
from storage.ports import ChargerView
from storage.query.errors import QueryError


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a bar; ``start`` and ``share`` in percent."""

    key: str
    label: str
    count: int
    start: float
    share: float


# In the order they stand in a bar: what is settled well first, what is still to come last.
_SEGMENTS: tuple[tuple[str, str], ...] = (
    (Outcome.UPDATED, "updated"),
    (Outcome.ALREADY_CURRENT, "already current"),
    (Outcome.FAILED, "failed"),
    (Outcome.SILENT, "silent"),
    ("active", "in progress"),
    (TargetPhase.WAITING, "waiting"),
    (Outcome.DEFERRED, "deferred"),
    (Outcome.SKIPPED, "skipped"),
    (Outcome.CANCELLED, "cancelled"),
    (TargetPhase.PENDING, "not begun"),
)
_ACTIVE = (TargetPhase.RESERVED, TargetPhase.DISPATCHED, TargetPhase.CONFIRMING)


def segments(tally: WaveTally) -> tuple[Segment, ...]:
    """One wave as a bar: every targeted charger in exactly one segment."""
    counts = {**{str(key): n for key, n in tally.by_phase.items()}, **tally.by_outcome}
    counts["active"] = sum(tally.by_phase.get(phase, 0) for phase in _ACTIVE)
    return _bar([(key, label, counts.get(key, 0)) for key, label in _SEGMENTS], tally.total)


def share_bar(counts: Mapping[str, int], total: int) -> tuple[Segment, ...]:
    """Counts by name, largest first, each as a bar of its own from zero."""
    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(
        Segment("part", _once(name) or "unknown", count, 0.0, 100 * count / total if total else 0.0)
        for name, count in rows
    )


def _once(name: str) -> str:
    """``Helix Helix DC`` as ``Helix DC``: vendor and model often begin alike."""
    return re.sub(r"^(.+) \1\b", r"\1", name)


def _bar(parts: Iterable[tuple[str, str, int]], total: int) -> tuple[Segment, ...]:
    found: list[Segment] = []
    start = 0.0
    for key, label, count in parts:
        if count:
            share = 100 * count / total if total else 0.0
            found.append(Segment(str(key), label, count, round(start, 3), round(share, 3)))
            start += share
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Check:
    """One check of a gate, in words."""

    name: str
    word: str
    sentence: str


@dataclass(frozen=True, slots=True)
class WaveView:
    """One wave: its bar, its numbers, and every verdict on it, newest first."""

    wave: int
    name: str
    tally: WaveTally
    segments: tuple[Segment, ...]
    decisions: tuple[Decision, ...]
    checks: tuple[Check, ...]
    """Those of the newest decision."""
    outlook: str = ""
    """Who decided on health, what would change it, and how long that takes."""

    @property
    def is_rollback(self) -> bool:
        """Whether it takes chargers back."""
        return goes_back(self.wave)

    @property
    def is_settled(self) -> bool:
        """Whether every charger of it has its outcome."""
        return sum(self.tally.by_outcome.values()) >= self.tally.total


def wave_views(tallies: Sequence[WaveTally], decisions: Sequence[Decision]) -> tuple[WaveView, ...]:
    """All waves in order."""
    views = []
    for tally in sorted(tallies, key=lambda each: each.wave):
        mine = tuple(
            sorted((d for d in decisions if d.wave == tally.wave), key=lambda d: d.decided_at, reverse=True)
        )
        found = checks(mine[0].result) if mine else ()
        health = health_of(mine[0].result) if mine else None
        said = f"{outlook(health)} {left_out(mine[0].inputs)}".rstrip() if health else ""
        views.append(WaveView(tally.wave, tally.name, tally, segments(tally), mine, found, said))
    return tuple(views)


def checks(result: Mapping[str, Any]) -> tuple[Check, ...]:
    """The checks of a stored verdict."""
    listed = result.get("checks", ())
    return tuple(
        Check(str(each.get("name", "")), str(each.get("word", "")), str(each.get("sentence", "")))
        for each in listed
        if isinstance(each, Mapping)
    )


def legend(waves: Sequence[WaveView]) -> tuple[tuple[str, str], ...]:
    """The keys that occur in these bars, in their order."""
    seen = {segment.key for view in waves for segment in view.segments}
    return tuple((str(key), label) for key, label in _SEGMENTS if key in seen)


def current_wave(waves: Sequence[WaveView]) -> int | None:
    """The wave to look at: the last one that began, else the first."""
    begun = [
        view.wave for view in waves if view.tally.by_phase.get(TargetPhase.PENDING, 0) < view.tally.total
    ]
    return begun[-1] if begun else waves[0].wave if waves else None


def updated_series(campaign: Campaign, targets: Sequence[Target]) -> dict[str, list[float]]:
    """Chargers updated and failed over time, as cumulative counts at each change (Unix seconds)."""
    ends = sorted(
        (target.finished_at.timestamp(), target.outcome)
        for target in targets
        if target.finished_at and target.wave < REHEARSAL_WAVE
    )
    series: dict[str, list[float]] = {"at": [], "updated": [], "failed": []}
    start = campaign.created_at.timestamp()
    good = bad = 0
    for at, outcome in ends:
        good += outcome is Outcome.UPDATED
        bad += outcome in (Outcome.FAILED, Outcome.SILENT)
        series["at"].append(max(at, start))
        series["updated"].append(good)
        series["failed"].append(bad)
    return series


@dataclass(frozen=True, slots=True)
class Cell:
    """One charger on the fleet page."""

    charger_id: str
    state: ChargerState
    version: str
    model: str


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One site with its chargers."""

    site: Site
    cells: tuple[Cell, ...]
    down: int
    """Chargers away for maintenance, against the site's budget."""


def site_rows(sites: Sequence[Site], views: Sequence[ChargerView], now: datetime) -> tuple[SiteRow, ...]:
    """Sites that have chargers in ``views``, by name."""
    by_site: dict[str, list[Cell]] = {}
    for view in views:
        by_site.setdefault(view.charger.site_id, []).append(_cell(view, now))
    known = {site.site_id: site for site in sites}
    rows = [
        SiteRow(
            known.get(site_id) or Site(site_id, site_id, "UTC"),
            tuple(sorted(cells, key=lambda cell: cell.charger_id)),
            sum(1 for cell in cells if cell.state is ChargerState.MAINTENANCE),
        )
        for site_id, cells in by_site.items()
    ]
    return tuple(sorted(rows, key=lambda row: row.site.name))


def _cell(view: ChargerView, now: datetime) -> Cell:
    version = view.twin.firmware.version if view.twin.firmware else None
    charger = view.charger
    state = charger_state(view, now)
    return Cell(charger.charger_id, state, version or "unknown", model_name(charger))


@dataclass(frozen=True, slots=True)
class Place:
    """The line of a query that is wrong, cut at the token at fault."""

    before: str
    token: str
    after: str


def place_of(error: Exception | None) -> Place | None:
    """Where a query goes wrong; None where there is no such place."""
    if not isinstance(error, QueryError):
        return None
    at = error.position
    start, end = at.column - 1, at.column - 1 + at.length
    return Place(at.source[:start], at.source[start:end] or " ", at.source[end:])


@dataclass(frozen=True, slots=True)
class Tile:
    """One number at the top of a page."""

    label: str
    value: str
    note: str = ""
    state: str = ""


def fleet_tiles(counts: FleetCounts) -> tuple[Tile, ...]:
    """The fleet in five numbers."""
    online = f"{100 * counts.online / counts.total:.0f} % of the fleet" if counts.total else ""
    return (
        Tile("Chargers", str(counts.total)),
        Tile("Online", str(counts.online), online, "available"),
        Tile("Charging", str(counts.charging), "sessions are never cut", "charging"),
        Tile("Faulted", str(counts.faulted), "", "faulted"),
        Tile("In maintenance", str(counts.in_maintenance), "reserved or updating", "maintenance"),
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """One command or log that a person asked of a charger."""

    at: datetime
    what: str
    actor: str
    state: str
    tone: str
    """A word that has the state's colour."""
    reason: str
    size: int | None = None
    """Of the log that arrived."""


def asked_rows(commands: Sequence[CommandRecord], logs: Sequence[LogRequest]) -> tuple[Asked, ...]:
    """Both in one list, newest first."""
    rows = [_asked_command(record) for record in commands] + [_asked_log(request) for request in logs]
    return tuple(sorted(rows, key=lambda row: row.at, reverse=True))


_RUNS, _DONE, _NOT_DONE = "running", "completed", "failed"
_YES = frozenset({"Accepted", "AcceptedCanceled", "Scheduled", "RebootRequired"})


def _asked_command(record: CommandRecord) -> Asked:
    end = record.end
    tone = _RUNS if end is None else _DONE if end.status in _YES else _NOT_DONE
    reason = end.reason if end else "it is on its way"
    return Asked(record.requested_at, record.command, record.actor, record.state, tone, reason)


def _asked_log(request: LogRequest) -> Asked:
    tone = _NOT_DONE
    if request.state in LOG_OPEN:
        tone = _RUNS
    elif request.state is LogState.UPLOADED:
        tone = _DONE
    size = request.upload.length if request.upload else None
    reason = request.reason or "it is about to be asked"
    if request.upload and request.upload.removed_at:
        reason = f"{reason}; removed after its time"
    what = f"{request.kind.value} log"
    return Asked(request.requested_at, what, request.actor, request.state, tone, reason, size)
