"""Two campaigns in a chain: the second comes after the first, charger by charger (R32)."""

from collections import defaultdict
from collections.abc import Callable
from datetime import timedelta

import pytest

from csms.commands import Command, CommandAnswer, UpdateFirmware
from storage.campaign import Campaign, CampaignPhase, GatePolicy, Outcome
from tests.integration.workflows.harness import Harness
from tests.unit.activities.world import ACCEPTED, World

pytestmark = [pytest.mark.integration, pytest.mark.requirement("R32")]
P = CampaignPhase
GATE = GatePolicy(max_failure_share=0.5, min_attempts=1)


class Chain:
    """Two chargers of a first wave, and one of a second, at which a car charges."""

    def __init__(self, world: World, skipping: Harness) -> None:
        self.world, self.skipping = world, skipping
        self.sent: dict[str, list[str]] = defaultdict(list)
        world.default = self._obey
        self.early, self.late = (names := world.add_chargers(3))[:2], names[2]
        world.plug_in(self.late)

    async def _obey(self, world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        rows = world.campaigns.target_rows.values()
        [version] = [row.to_version for row in rows if row.request_id == command.request_id]
        self.sent[name].append(version)
        await world.boot(name, version)
        return ACCEPTED

    async def launched(self) -> tuple[Campaign, Campaign]:
        """Both are approved, and the second before the first has sent anything."""
        world = self.world
        first = await world.add_campaign([self.early, [self.late]], world.plan(2, gate=GATE))
        world.add_artifact("1.2", 3)
        plan = world.plan(1, "1.2", after="c1", rollback_artifact_id=None, gate=GATE)
        second = await world.add_campaign([[*self.early, self.late]], plan, campaign_id="c2")
        await self.skipping.start(second)
        await self.skipping.start(first)
        return first, second

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self.skipping.env.sleep(timedelta(minutes=1))


async def test_each_charger_gets_the_second_when_the_first_is_proven_and_judged(
    skipping: Harness, world: World
) -> None:
    chain = Chain(world, skipping)
    first, second = await chain.launched()
    early = dict.fromkeys(chain.early, ("1.1", "1.2"))
    await chain.until(lambda: {name: tuple(sent) for name, sent in chain.sent.items()} == early)
    waiting = world.campaigns.target_rows["c2", 0, chain.late].reason
    assert waiting.startswith("campaign c1, which comes first, is not through: ")
    world.unplug_car(chain.late)
    assert await skipping.result(first) is P.COMPLETED
    assert await skipping.result(second) is P.COMPLETED
    assert chain.sent[chain.late] == ["1.1", "1.2"]
    judged = [row.inputs["facts"] for row in world.campaigns.decision_rows if row.campaign_id == "c1"]
    assert [(facts["updated"], facts["reverted"]) for facts in judged] == [(2, 0), (1, 0)]


async def test_what_is_taken_back_when_the_second_is_about_to_leave_is_not_sent_it(
    skipping: Harness, world: World
) -> None:
    """It was found ready and its turn has come; then somebody aborts what comes first."""
    chain = Chain(world, skipping)

    async def abort_first(_: str, command: Command) -> None:
        if isinstance(command, UpdateFirmware) and all(world.version(name) == "1.1" for name in chain.early):
            await skipping.orchestrator.abort("c1", "grace", "the meters stop", True, "stop")

    world.on_turn = abort_first
    first, second = await chain.launched()
    assert await skipping.result(first) is P.ROLLED_BACK
    await skipping.until_phase(second, P.PAUSED)  # Nobody was left to show that it is good.
    assert chain.sent == {name: ["1.1", "1.0"] for name in chain.early}
    assert set(world.campaigns.outcomes("c2").values()) == {Outcome.SKIPPED}
    reason = world.campaigns.target_rows["c2", 0, chain.early[0]].reason
    assert reason == "campaign c1, which comes first, was rolled back for it"
    withheld = [row for row in world.audit.rows if row.action == "update.withheld"]
    assert withheld, "it was held back where it would have left"
    assert {row.actor for row in withheld} == {"campaign/c2"}
