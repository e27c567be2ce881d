"""What really happened in a run on the real stack, laid before the referee of ``tests/safety``.

The referee is the same; its witnesses are the chargers' own ledger, which knows nothing of the server,
and the books in PostgreSQL. What it needs of a played charger is here read from those.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import asyncpg

from activities.facts import out_of_service
from api.bootstrap import Stores
from csms.simulator.ledger import acknowledged_ids
from storage.audit import AuditRow
from storage.campaign import ROLLBACK_WAVE_BASE, Target, TargetPhase
from storage.clock import system_clock
from storage.ports import ChargerView
from tests.safety.clockwork import START
from tests.safety.referee import GRACE_S, Referee, Violation
from tests.safety.stores import Books

PAGE = 1000
MAX_DOWN = 2
_TOTALS = {
    "sessions_cut": "session cut",
    "unsigned_commands": "sent without vendor signature",
    "badly_signed_commands": "sent without vendor signature",
    "different_images_while_updating": "one attempt under two numbers",
}
"""What the chargers count that must never be, and the referee's name for it."""


class RealTime:
    """The referee's clock: seconds since its own beginning."""

    def time(self) -> float:
        """Now."""
        return seconds(system_clock())

    def instant(self) -> datetime:
        """Now, of day."""
        return system_clock()


@dataclass
class Witness:
    """One charger at the end of a round, as the referee asks for it."""

    name: str
    version: str
    booted_with: list[tuple[float, str]]
    operative: dict[str, bool]
    before: dict[str, bool]
    line: object | None
    dead: bool = False
    nature: Any = field(default_factory=lambda: SimpleNamespace(habits=()))
    parked: tuple[int, str] | None = None
    """Of its campaigns none fetches ahead."""
    stubborn: bool = False


def seconds(at: datetime | str) -> float:
    """On the referee's clock."""
    instant = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return (instant - START).total_seconds()


async def judge(
    stores: Stores, ledger_file: Path, campaigns: Sequence[str], stopped: Mapping[str, float]
) -> Referee:
    """The referee's view of these campaigns, all of them over. ``stopped``: aborts, when acknowledged."""
    ledger = json.loads(await asyncio.to_thread(ledger_file.read_text))
    books = await _books(stores, list(ledger["chargers"]), campaigns)
    sites = dict.fromkeys(ledger["sites"], MAX_DOWN)
    referee = Referee(RealTime(), books, sites, stopped=dict(stopped))  # type: ignore[arg-type]
    referee.stations = {name: _witness(name, ledger, books) for name in ledger["chargers"]}  # type: ignore[misc]
    targets = list(books.campaigns.target_rows.values())
    for name, account in ledger["chargers"].items():
        _commands(referee, name, account["events"], [one for one in targets if one.charger_id == name])
    for target in targets:
        referee.moved(replace(target, phase=TargetPhase.PENDING, outcome=None), target)
    _count(referee, ledger)
    await _nothing_lost(referee, stores, ledger)
    referee.judge_end(list(campaigns))
    return referee


async def _books(stores: Stores, chargers: Sequence[str], campaigns: Sequence[str]) -> Books:
    books = Books(system_clock)
    for name in campaigns:
        books.campaigns.rows[name] = await stores.campaigns.get(name)
        for target in await stores.campaigns.targets(name):
            books.campaigns.target_rows[name, target.wave, target.charger_id] = target
            books.artifacts.rows[target.artifact_id] = await stores.artifacts.get(target.artifact_id)
        books.campaigns.decision_rows += list(await stores.campaigns.decisions(name))
    for view in await stores.chargers.views(list(chargers)):
        name = view.charger.charger_id
        books.chargers.rows[name] = view
        if lease := await stores.leases.get(name):
            books.leases.rows[name] = lease
        if row := await stores.out_of_service.get(name):
            books.out_of_service.rows[name] = row
    books.audit.rows += [row.entry for row in await _audit(stores)]
    return books


async def _audit(stores: Stores) -> list[AuditRow]:
    rows: list[AuditRow] = []
    while page := await stores.audit.rows(after=rows[-1].number if rows else 0, limit=PAGE):
        rows += page
    return rows


def _witness(name: str, ledger: dict[str, Any], books: Books) -> Witness:
    account, view = ledger["chargers"][name], books.chargers.rows[name]
    # Of a car's concern: what 1.6 says of connector 0 is not, and is told anew at the next boot only.
    closed = [key for key in out_of_service(view.twin.operation) if not key.startswith("0.")]
    return Witness(
        name,
        account["version"],
        [(seconds(entry["at"]), entry["version"]) for entry in account["versions"]],
        operative=dict.fromkeys(closed, False),
        before=dict.fromkeys(closed, True),
        line=object() if online(view) else None,
    )


def online(view: ChargerView) -> bool:
    """Whether it is connected, by its twin."""
    return view.twin.connectivity is not None and view.twin.connectivity.online


def _commands(referee: Referee, name: str, events: list[dict[str, Any]], targets: list[Target]) -> None:
    """Every update command that reached the charger, against what the books say was sent."""
    for event in events:
        if event["what"] != "update_received":
            continue
        at, number = seconds(event["at"]), event["request"]
        campaign = _campaign_at(referee, targets, at)
        if campaign is None:
            continue  # Of an earlier round.
        referee.seen["updates sent"] += 1
        # The number of a former attempt is nobody's any more: a charger on its way back may have had it.
        of = [one for one in targets if one.request_id == number] or targets
        back = any(one.wave >= ROLLBACK_WAVE_BASE for one in of)
        stop = referee.stopped.get(campaign)
        if stop is not None and not back and at > stop + GRACE_S:
            referee.broken("sent after the stop was acknowledged", f"{name}: {at - stop:.1f} s after")
        referee._sent[name].append((at, number, f"{campaign}/{number}"))


def _campaign_at(referee: Referee, targets: list[Target], at: float) -> str | None:
    for target in targets:
        campaign = referee.books.campaigns.rows[target.campaign_id]
        if seconds(campaign.created_at or START) <= at:
            return target.campaign_id
    return None


def _count(referee: Referee, ledger: dict[str, Any]) -> None:
    for total, rule in _TOTALS.items():
        for _ in range(ledger["totals"][total]):
            referee.broken(rule, f"{total} at the chargers")
    for site, account in ledger["sites"].items():
        if account["most_away"] > MAX_DOWN:
            referee.broken("site below its floor", f"{site}: {account['most_away']} of {MAX_DOWN} were away")


async def _nothing_lost(referee: Referee, stores: Stores, ledger: dict[str, Any]) -> None:
    for name, account in ledger["chargers"].items():
        stored = await stores.frames.message_ids(name)
        for message_id in acknowledged_ids(account):
            referee.seen["messages"] += 1
            if message_id not in stored:
                referee.broken("unexpected error", f"{name}: {message_id} was acknowledged and is lost")


async def last_frames(url: str, charger_id: str, count: int = 40) -> list[str]:
    """The end of a charger's journal, for whoever looks into what was broken."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(_FRAMES, charger_id, count)
    finally:
        await connection.close()
    return [
        f"{row['at']:%H:%M:%S.%f} {row['direction']} {row['text']} => {row['answer']}" for row in rows[::-1]
    ]


_FRAMES = """
SELECT at, direction, text, answer FROM frame WHERE charger_id = $1 ORDER BY at DESC, frame_id DESC LIMIT $2
"""

__all__ = ["MAX_DOWN", "Violation", "Witness", "judge", "last_frames", "online", "seconds"]
