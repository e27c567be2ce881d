"""What happened on the real stack is laid before the referee whole: each broken promise is seen there."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from storage.campaign import CampaignPhase, Outcome, TargetPhase
from storage.charger import OutOfService
from tests.benchmarks.witnesses import judge, seconds
from tests.unit.activities.world import World

NAME, CAMPAIGN = "CP000", "c1"
BEGAN = datetime.now(UTC) - timedelta(minutes=5)


class Case:
    """One charger that was updated as it should be; each test breaks one thing of it."""

    def __init__(self) -> None:
        self.world = World()
        self.messages = frozenset({"r-1", "r-2"})
        self.stopped: dict[str, float] = {}
        self.account: dict[str, Any] = {
            "version": "1.1",
            "versions": [{"at": _at(0), "version": "1.0"}, {"at": _at(60), "version": "1.1"}],
            "events": [{"at": _at(30), "what": "update_received", "request": 7}],
            "messages": {"id_prefix": "r-", "acknowledged_ids": "1-2"},
        }
        self.totals = dict.fromkeys(
            (
                *("sessions_cut", "unsigned_commands", "badly_signed_commands"),
                "different_images_while_updating",
            ),
            0,
        )
        self.most_away = 1

    async def begin(self) -> None:
        world = self.world
        world.add_chargers(1)
        await world.add_campaign([[NAME]], world.plan(), campaign_id=CAMPAIGN)
        row = world.campaigns.rows[CAMPAIGN]
        world.campaigns.rows[CAMPAIGN] = replace(
            row, created_at=BEGAN, phase=CampaignPhase.COMPLETED, reason="done"
        )
        self.target(phase=TargetPhase.DONE, outcome=Outcome.UPDATED, reason="it booted", request_id=7)

    def target(self, **values: Any) -> None:
        rows = self.world.campaigns.target_rows
        rows[CAMPAIGN, 0, NAME] = replace(rows[CAMPAIGN, 0, NAME], **values)

    async def rules(self, tmp_path: Any) -> set[str]:
        path = tmp_path / "chargers.json"
        sites = {"s": {"chargers": 4, "most_away": self.most_away, "dark": []}}
        ledger = {"chargers": {NAME: self.account}, "totals": self.totals, "sites": sites}
        path.write_text(json.dumps(ledger))
        referee = await judge(self.stores(), path, [CAMPAIGN], self.stopped)
        return {violation.rule for violation in referee.violations}

    def stores(self) -> Any:
        async def message_ids(_name: str) -> frozenset[str]:
            return self.messages

        async def no_rows(*, after: int, limit: int) -> list[Any]:
            assert (after, limit) == (0, 1000)
            return []

        async def targets(name: str) -> list[Any]:
            return [row for row in self.world.campaigns.target_rows.values() if row.campaign_id == name]

        async def decisions(_name: str) -> list[Any]:
            return []

        of = self.world.stores
        campaigns = SimpleNamespace(get=of.campaigns.get, targets=targets, decisions=decisions)
        return SimpleNamespace(
            campaigns=campaigns,
            artifacts=of.artifacts,
            chargers=of.chargers,
            leases=of.leases,
            out_of_service=of.out_of_service,
            audit=SimpleNamespace(rows=no_rows),
            frames=SimpleNamespace(message_ids=message_ids),
        )


def _at(after: float) -> str:
    return (BEGAN + timedelta(seconds=after)).isoformat()


def _left_out(case: Case) -> None:
    case.world.out_of_service.rows[NAME] = OutOfService(NAME, "s", (), BEGAN, "an update")


BROKEN: dict[str, Callable[[Case], object]] = {
    "success without a command": lambda case: case.account["events"].clear(),
    "success without a boot": lambda case: case.account["versions"].pop(),
    "session cut": lambda case: case.totals.update(sessions_cut=1),
    "sent without vendor signature": lambda case: case.totals.update(unsigned_commands=1),
    "one attempt under two numbers": lambda case: case.totals.update(different_images_while_updating=1),
    "site below its floor": lambda case: setattr(case, "most_away", 3),
    "unexpected error": lambda case: setattr(case, "messages", frozenset({"r-1"})),
    "lost charger": lambda case: case.target(phase=TargetPhase.DISPATCHED, outcome=None),
    "sent after the stop was acknowledged": lambda case: case.stopped.update(
        {CAMPAIGN: seconds(BEGAN + timedelta(seconds=20))}
    ),
    "still on the books as out of service": _left_out,
}


async def test_a_campaign_that_went_as_it_should_breaks_nothing(tmp_path):
    case = Case()
    await case.begin()
    assert await case.rules(tmp_path) == set()


@pytest.mark.parametrize("rule", BROKEN)
async def test_what_was_broken_is_seen(rule, tmp_path):
    case = Case()
    await case.begin()
    BROKEN[rule](case)
    assert rule in await case.rules(tmp_path)
