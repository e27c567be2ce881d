"""Closing the books of a demo: what the server says, held against what the chargers lived."""

import asyncio
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client, WorkflowHistory

from api.demo.elsewhere import recompute_elsewhere
from api.demo.report import CampaignLine, Cost, Promises, Report, harmed, unattested, wave_lines
from api.demo.story import BAD, GOOD, Ended
from csms.simulator.ledger import acknowledged_ids
from storage.campaign import Outcome
from storage.ids import campaign_workflow_id, charger_workflow_id
from storage.ports import FrameStore
from workflows.cost import Cost as Bill
from workflows.cost import total

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Books:
    """Everything the report is made of."""

    chargers: int
    ended: Ended
    ledger: Path
    frames: FrameStore
    client: Client


async def close_books(books: Books, seconds: float) -> Report:
    """Count, compare, and judge nothing: ``Report.failures`` does."""
    ledger: Record = json.loads(books.ledger.read_text())
    ended = books.ended
    return Report(
        seconds=round(seconds, 1),
        chargers=books.chargers,
        campaigns=(_good(ended), _bad(ended)),
        promises=await _promises(books, ledger),
        cost=await _cost(books.client, ended),
        recomputed=await asyncio.to_thread(recompute_elsewhere, (ended.good, ended.bad), books.ledger.parent),
    )


def _good(ended: Ended) -> CampaignLine:
    return CampaignLine(
        artifact=GOOD,
        outcome=ended.good["phase"],
        waves=wave_lines(ended.good["waves"], ended.good["decisions"]),
        attested=len(_updated(ended.good_targets)),
        rolled_back=0,
        harmed=0,
    )


def _bad(ended: Ended) -> CampaignLine:
    forward = [target for target in ended.bad_targets if target["to_version"] == BAD]
    back = [target for target in ended.bad_targets if target["to_version"] != BAD]
    return CampaignLine(
        artifact=BAD,
        outcome=ended.bad["phase"],
        waves=wave_lines(ended.bad["waves"], ended.bad["decisions"]),
        attested=ended.versions.get(GOOD, 0),
        rolled_back=len(_updated(back)),
        harmed=harmed(forward),
    )


def _updated(targets: list[Record]) -> list[Record]:
    return [target for target in targets if target["outcome"] == Outcome.UPDATED.value]


async def _promises(books: Books, ledger: Record) -> Promises:
    totals = ledger["totals"]
    return Promises(
        sessions_cut=totals["sessions_cut"],
        unsigned_sends=totals["unsigned_commands"] + totals["badly_signed_commands"],
        sites_dark=totals["sites_dark"],
        unattested_successes=_unattested(books.ended, ledger),
        lost_events=await _lost(books.frames, ledger),
    )


def _unattested(ended: Ended, ledger: Record) -> int:
    ran = {
        charger_id: {entry["version"] for entry in account["versions"]}
        for charger_id, account in ledger["chargers"].items()
    }
    claims = _updated(ended.good_targets) + _updated(ended.bad_targets)
    return sum(unattested({claim["charger_id"]: claim["to_version"]}, ran) for claim in claims)


async def _lost(frames: FrameStore, ledger: Record) -> int:
    """Messages that the server acknowledged to a charger and that are not in its journal."""
    lost = 0
    for charger_id, account in ledger["chargers"].items():
        stored = await frames.message_ids(charger_id)
        lost += sum(1 for message_id in acknowledged_ids(account) if message_id not in stored)
    return lost


async def _cost(client: Client, ended: Ended) -> Cost:
    """The good campaign's bill: chargers that met no obstacle, and everybody's share of the parents.

    An obstacle is a car that was charging, a retry, or a model that needs a Reset command besides.
    """
    runs: dict[str, list[WorkflowHistory]] = defaultdict(list)
    root = campaign_workflow_id(ended.good["campaign_id"])
    async for found in client.list_workflows(f"RootWorkflowId = '{root}'"):
        handle = client.get_workflow_handle(found.id, run_id=found.run_id)
        runs[found.id].append(await handle.fetch_history())
    updated = {charger_workflow_id(one["charger_id"]) for one in _updated(ended.good_targets)}
    happy = [runs[name][0] for name in updated if len(runs[name]) == 1 and not _was_reset(runs[name][0])]
    parents = [
        history for name, found in runs.items() if not name.startswith("charger/") for history in found
    ]
    return _per_charger(total(happy), len(happy), total(parents), len(updated))


def _was_reset(history: WorkflowHistory) -> bool:
    return any(
        event.activity_task_scheduled_event_attributes.activity_type.name == "reset_charger"
        for event in history.events
    )


def _per_charger(own: Bill, chargers: int, parents: Bill, cohort: int) -> Cost:
    """Averages, with 0 chargers costing nothing."""

    def share(name: str) -> float:
        each: float = getattr(own, name) / max(chargers, 1) + getattr(parents, name) / max(cohort, 1)
        return round(each, 2)

    return Cost(*(share(name) for name in ("actions", "events", "bytes")))
