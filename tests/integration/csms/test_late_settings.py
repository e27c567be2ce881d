"""A charger that boots with the version after its attempt was over, over a real node and database (X9)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, cast

import pytest
from sqlalchemy import select

from activities.chargers import ChargerActivities
from activities.fleet import FleetActivities, TargetMoves, WaveQuery
from activities.keeping import note
from activities.late_settings import LateActivities, LateEnd, LateKind, LateOrder, LateSender
from activities.orders import DispatchInput, Node
from activities.stores import Stores
from csms.commands import AnswerStatus, GetVariables, SetVariables, UpdateFirmware, VariableValue
from csms.gateway import Gateway
from csms.projection import project
from storage.campaign import (
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Outcome,
    Target,
    TargetPhase,
    WavePlan,
)
from storage.charger import ChargerFilter, SiteLease
from storage.clock import system_clock
from storage.ids import charger_workflow_id
from storage.incident import IncidentKind
from storage.kept import OWED
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.incidents import PostgresIncidentStore
from storage.postgres.kept import PostgresKeptStore
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.tables import audit
from storage.postgres.twins import PostgresTwinStore
from tests.integration.csms.charger16 import SET, Charger16
from workflows.late_rules import LateStep, judge_late

pytestmark = [pytest.mark.integration, pytest.mark.requirement("X9")]
RESET = SET | {"MeterValueSampleInterval": "0", "WebSocketPingInterval": "0"}
TOLD = "it booted with the version after its attempt was over"


@dataclass
class Ground:
    """One charger under an order for 1.1, of which was noted what it is."""

    place: Any
    gateway: Gateway
    charger: Charger16
    epoch: int
    stores: Stores
    patience: float = 30.0

    @property
    def node(self) -> Node:
        return Node(
            self.stores, self.gateway, cast("Any", None), cast("Any", None), command_seconds=self.patience
        )

    @property
    def late(self) -> LateActivities:
        return LateActivities(self.stores, PostgresIncidentStore(self.place.engine))

    async def tell(self, command: Any) -> Any:
        return await self.gateway.send("CP-1", self.epoch, command, deadline_s=30)

    async def target(self) -> Target:
        return await self.stores.campaigns.target("c1", 0, "CP-1")

    async def counted_late(self, outcome: Outcome = Outcome.UPDATED) -> None:
        """Its attempt was over, and a look at its twin finds the version."""
        await self.charger.boot("1.1")
        await self.gateway.settle("CP-1", self.epoch)
        moves = TargetMoves("c1", 0, done=(("CP-1", outcome, TOLD),))
        await FleetActivities(self.stores).move_targets(moves)

    async def compared(self) -> LateEnd:
        [facts] = await self.late.find_late(10)
        assert judge_late(facts, system_clock()).step is LateStep.COMPARE
        assert facts.route is not None
        order = LateOrder(facts.owed, facts.route.session_epoch, 900.0)
        end: LateEnd = await LateSender(self.node).compare_late(order)
        if end.kind not in (LateKind.NOT_NOW, LateKind.UNTOLD):
            await self.late.settle_late(end)
        return end

    async def incidents(self) -> list[str]:
        found = await PostgresIncidentStore(self.place.engine).find()
        assert {one.kind for one in found} <= {IncidentKind.SETTINGS_NOT_KEPT}
        return [one.summary for one in found]

    async def actions(self) -> list[str]:
        async with self.place.engine.connect() as connection:
            return list((await connection.execute(select(audit.c.action))).scalars())


def stores_over(place: Any) -> Stores:
    """The real stores, as far as this is about them."""
    engine = place.engine
    rest = dict.fromkeys(Stores.__dataclass_fields__)
    return Stores(
        **cast("Any", rest)
        | {
            "chargers": place.chargers,
            "campaigns": PostgresCampaignStore(engine),
            "routes": place.routes,
            "leases": PostgresLeaseStore(engine),
            "events": place.events,
            "twins": PostgresTwinStore(engine, project),
            "audit": PostgresAuditLog(engine),
            "kept": PostgresKeptStore(engine),
            "clock": system_clock,
        }
    )


@asynccontextmanager
async def ordered(place: Any) -> AsyncIterator[Ground]:
    """Its settings are known and noted, and it was told to update; that attempt is over."""
    gateway, stores = await place.start_node(), stores_over(place)
    async with place.charger(gateway) as peer:
        charger = Charger16(peer)
        living = asyncio.create_task(charger.live())
        await charger.boot("1.0")
        epoch = (await place.routes.resolve("CP-1")).session_epoch
        ground = Ground(place, gateway, charger, epoch, stores)
        await ground.tell(GetVariables(tuple(sorted(SET))))
        await gateway.settle("CP-1", epoch)
        await begin(ground)
        try:
            yield ground
        finally:
            living.cancel()
            with suppress(asyncio.CancelledError):
                await living


async def begin(ground: Ground) -> None:
    plan = CampaignPlan("r", "f" * 64, ChargerFilter(), (WavePlan("w", 1.0),))
    now, campaigns = system_clock(), ground.stores.campaigns
    target = Target("c1", 0, 0, "CP-1", "site-1", "f" * 64, "1.0", "1.1", attempt=1)
    campaign = Campaign("c1", plan, "d", CampaignPhase.RUNNING, "ada", now)
    await campaigns.create(campaign, [target], ())
    view = await ground.place.chargers.get("CP-1")
    await note(ground.node, DispatchInput("c1", 0, 0, "CP-1", 1, ground.epoch), view)
    update = UpdateFirmware(7, "http://api.example/d/ticket", now)
    await ground.tell(update)
    marked = replace(target, request_id=7, dispatched_at=now, reason="sent")
    assert await campaigns.mark_dispatched(marked, CampaignPhase.RUNNING)
    await campaigns.move_target("c1", 0, "CP-1", TargetPhase.WAITING, "attempt 1 failed", at=now)
    ground.charger.settings = dict(RESET)  # By the update, which takes its time.


@pytest.fixture
async def ground(place: Any) -> AsyncIterator[Ground]:
    async with ordered(place) as found:
        yield found


async def test_what_its_late_boot_has_reset_is_put_back_and_said(ground: Ground) -> None:
    await ground.counted_late()
    before = await ground.target()
    assert (before.outcome, before.reason) == (Outcome.UPDATED, f"{TOLD}; {OWED}")

    assert (await ground.compared()).kind is LateKind.KEPT

    after = await ground.target()
    assert ground.charger.settings == SET
    assert (after.outcome, after.attempt) == (Outcome.UPDATED, 1)
    assert after.reason == (
        f"{TOLD}; its settings were compared since: "
        "the update had changed MeterValueSampleInterval, WebSocketPingInterval, put back"
    )
    assert await ground.late.find_late(10) == (), "once"
    assert await ground.stores.kept.get("c1", 0, "CP-1") is None
    assert await ground.incidents() == []
    assert "charger.settings_changed_by_update" in await ground.actions()


async def test_one_that_is_as_it_was_is_told_nothing(ground: Ground) -> None:
    ground.charger.settings = dict(SET)
    await ground.counted_late()
    await ground.compared()
    assert ground.charger.changed == []
    assert (
        await ground.target()
    ).reason == f"{TOLD}; its settings were compared since, and are what they were"


async def test_what_a_person_set_since_is_left(ground: Ground) -> None:
    await ground.tell(SetVariables((VariableValue("WebSocketPingInterval", "55"),)))
    await ground.counted_late()
    ground.charger.changed.clear()

    end = await ground.compared()

    assert ground.charger.changed == [("MeterValueSampleInterval", "900")]
    assert ground.charger.settings["WebSocketPingInterval"] == "55"
    assert end.words.endswith("put back; set otherwise since, and left so: WebSocketPingInterval")


async def test_what_a_person_sets_while_it_is_compared_is_left(ground: Ground) -> None:
    """Her command needs no lock: it comes between the question and what would be put back."""
    await ground.counted_late()
    ground.charger.changed.clear()
    theirs = SetVariables((VariableValue("MeterValueSampleInterval", "17"),))
    ground.charger.on_asked = lambda: ground.tell(theirs)

    end = await ground.compared()

    assert (end.kind, end.words) == (LateKind.NOT_NOW, "somebody sets it just now")
    assert ground.charger.changed == [("MeterValueSampleInterval", "17")], "nothing of ours left"
    await forward(ground)
    await ground.compared()
    assert ground.charger.settings == SET | {"MeterValueSampleInterval": "17"}


async def test_what_an_earlier_try_put_back_is_ours_to_put_back_again(ground: Ground) -> None:
    await ground.tell(SetVariables((VariableValue("WebSocketPingInterval", SET["WebSocketPingInterval"]),)))
    ground.charger.settings = dict(RESET)
    await ground.counted_late()
    await ground.compared()
    assert ground.charger.settings == SET


async def test_what_does_not_go_back_is_told_to_people_and_to_the_gate(ground: Ground) -> None:
    ground.charger.read_only = frozenset({"WebSocketPingInterval"})
    await ground.counted_late()

    assert (await ground.compared()).kind is LateKind.SPOILT

    after = await ground.target()
    assert after.outcome is Outcome.UPDATED, "what it counts as stands"
    assert "the update had changed settings that cannot be put back: WebSocketPingInterval" in after.reason
    [told] = await ground.incidents()
    assert told.startswith("CP-1 counts as updated to 1.1; its settings were compared since")
    facts = await FleetActivities(ground.stores).measure_wave(WaveQuery("c1", 0))
    assert (facts.updated, facts.reverted) == (1, 1), "a gate counts it as a failure"
    assert await ground.late.find_late(10) == (), "it is compared once"
    assert await ground.stores.kept.sweep() == 0, "its campaign is not over"
    await ground.stores.campaigns.set_phase("c1", CampaignPhase.COMPLETED, "done", system_clock())
    assert await ChargerActivities(ground.stores).sweep_leases() == 0
    assert await ground.stores.kept.get("c1", 0, "CP-1") is None


async def test_one_that_does_not_answer_is_asked_three_times_and_then_a_person_is_told(
    ground: Ground,
) -> None:
    await ground.counted_late()
    ground.charger.mute, ground.patience = True, 0.5
    for tries in (1, 2, 3):
        end = await ground.compared()
        assert end.kind is LateKind.UNTOLD
        assert await ground.late.find_late(10) == (), "not at once"
        await forward(ground)
        [facts] = await ground.late.find_late(10)
        assert facts.owed.tries == tries

    verdict = judge_late(facts, system_clock())
    assert verdict.step is LateStep.GIVE_UP
    await ground.late.settle_late(LateEnd(facts.owed, LateKind.GIVEN_UP, verdict.words))
    why = "its settings could not be compared: it was asked 3 times, and did not tell all that was noted"
    after = await ground.target()
    assert (after.outcome, after.reason) == (Outcome.UPDATED, f"{TOLD}; {why}")
    assert await ground.incidents() == [f"CP-1 counts as updated to 1.1; {why}"]
    assert "charger.late_settings_given_up" in await ground.actions()
    assert await ground.late.find_late(10) == (), "and never again"


async def forward(ground: Ground) -> None:
    """The pause is over."""
    [kept] = await owed_in(ground, timedelta(days=1))
    await ground.stores.kept.count_try(kept, system_clock() - timedelta(seconds=1))
    async with ground.place.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE update_kept SET tries = tries - 1")


async def owed_in(ground: Ground, after: timedelta) -> Any:
    return await ground.stores.kept.owed(system_clock() + after, limit=10)


async def test_nobody_is_compared_under_other_maintenance_or_over_another_session(ground: Ground) -> None:
    await ground.counted_late()
    [facts] = await ground.late.find_late(10)
    lease = SiteLease(
        "CP-1",
        "site-1",
        charger_workflow_id("CP-1"),
        "update",
        system_clock() + timedelta(hours=1),
    )
    assert (await ground.stores.leases.take(lease)).granted
    assert await ground.late.find_late(10) == ()
    order = LateOrder(facts.owed, ground.epoch, 900.0)
    end = await LateSender(ground.node).compare_late(order)
    assert (end.kind, end.words) == (LateKind.NOT_NOW, "somebody works on it")
    assert await ground.stores.kept.sweep() == 0, "what it needs is there"
    await ground.stores.leases.release("CP-1", lease.workflow_id, run=lease.run)
    with pytest.raises(Exception, match="not connected"):
        await LateSender(ground.node).compare_late(replace(order, session_epoch=ground.epoch + 7))
    [facts] = await ground.late.find_late(10)
    assert (facts.owed.tries, ground.charger.changed) == (0, []), "it was asked nothing"


async def test_those_that_have_to_be_awaited_keep_nobody_from_their_turn(ground: Ground) -> None:
    """As many as a round looks at are charging all day: the next round begins with others."""
    await ground.counted_late()
    await another(ground)
    rounds = [await ground.late.find_late(1) for _ in range(3)]
    assert [one.owed.campaign_id for [one] in rounds] == ["c1", "c2", "c1"]
    [other] = await ground.late.find_late(1)
    await ground.stores.kept.count_try(other.owed, system_clock() + timedelta(hours=1))
    await ground.stores.kept.looked_at([other.owed], system_clock())
    [left] = await ground.late.find_late(10)
    assert left.owed.campaign_id == "c1", "a pause is not cut short by a look"


async def another(ground: Ground) -> None:
    """The same is owed by a later campaign."""
    plan = CampaignPlan("r", "f" * 64, ChargerFilter(), (WavePlan("w", 1.0),))
    now, campaigns = system_clock(), ground.stores.campaigns
    target = Target("c2", 0, 0, "CP-1", "site-1", "f" * 64, "1.0", "1.1", attempt=1)
    await campaigns.create(Campaign("c2", plan, "d", CampaignPhase.RUNNING, "ada", now), [target], ())
    kept = await ground.stores.kept.get("c1", 0, "CP-1")
    assert kept is not None
    await ground.stores.kept.keep(replace(kept, campaign_id="c2", taken_at=now))
    await campaigns.finish_target("c2", 0, "CP-1", Outcome.UPDATED, TOLD, now)


async def test_one_that_fell_back_is_not_compared(ground: Ground) -> None:
    await ground.counted_late()
    await ground.charger.boot("1.0")
    await ground.gateway.settle("CP-1", ground.epoch)

    [facts] = await ground.late.find_late(10)
    verdict = judge_late(facts, system_clock())
    assert verdict.step is LateStep.END
    await ground.late.settle_late(LateEnd(facts.owed, LateKind.OTHERWISE, verdict.words))

    assert (await ground.target()).reason == f"{TOLD}; its settings were not compared: it runs 1.0 by now"
    assert (await ground.late.find_late(10), await ground.incidents()) == ((), [])
    assert ground.charger.changed == []


async def test_nothing_is_undone_where_the_journal_does_not_reach_back(ground: Ground) -> None:
    await ground.counted_late()
    async with ground.place.engine.begin() as connection:
        await connection.exec_driver_sql("DELETE FROM frame")
    end = await ground.compared()
    assert end.kind is LateKind.GIVEN_UP
    assert ground.charger.changed == []
    assert "the journal does not reach back to its order" in (await ground.target()).reason
    assert len(await ground.incidents()) == 1


async def test_nor_where_it_has_the_order_of_a_later_attempt_alone(ground: Ground) -> None:
    """What people set between is not known, and the order that is there says nothing of it."""
    await ground.tell(SetVariables((VariableValue("WebSocketPingInterval", "55"),)))
    async with ground.place.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE update_kept SET taken_at = taken_at - interval '40 days'")
        await connection.exec_driver_sql("DELETE FROM frame")
    await ground.tell(UpdateFirmware(7, "http://api.example/d/ticket", system_clock()))
    await ground.counted_late()
    ground.charger.changed.clear()

    end = await ground.compared()

    assert (end.kind, ground.charger.changed) == (LateKind.GIVEN_UP, [])


async def test_rows_of_targets_that_ended_otherwise_are_swept(ground: Ground) -> None:
    kept = ground.stores.kept
    assert await kept.sweep() == 0, "its target is open"
    await ground.stores.campaigns.finish_target("c1", 0, "CP-1", Outcome.FAILED, "over", system_clock())
    assert (await ground.late.find_late(10), await kept.sweep()) == ((), 1)


async def test_a_command_of_ours_is_read_back_as_it_was_sent(ground: Ground) -> None:
    answer = await ground.tell(SetVariables((VariableValue("HeartbeatInterval", "77"),)))
    assert answer.status is AnswerStatus.ACCEPTED
    texts = await ground.stores.kept.set_since("CP-1", system_clock() - timedelta(minutes=5))
    assert [text.split('"')[3] for text in texts] == ["UpdateFirmware", "ChangeConfiguration"]
