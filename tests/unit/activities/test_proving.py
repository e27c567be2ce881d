"""Every refusal has a kind, a record, an alarm, and a state that is not "try again for ever"."""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.testing import ActivityEnvironment

from activities.alarms import REPEAT, DispatchAlarms
from activities.dispatch import DispatchActivities
from activities.orders import DispatchAnswer, DispatchInput, DispatchKind, Node
from activities.signer import DirectiveOrder, SignerActivities
from signing.errors import (
    ApprovalRefused,
    ClockRefused,
    DirectiveNotInTime,
    DirectiveRefused,
    DowngradeRefused,
    MetadataExpired,
    NotInRelease,
    RepositoryUnreachable,
    UnknownDirectiveKey,
    UnsignedRefused,
    VendorSignatureBad,
    VerificationFailed,
    WrongHardware,
)
from signing.ledger import UseLedger
from tests.unit.activities.world import World, idle

CP = "CP000"


@pytest.fixture
async def world() -> World:
    world = World()
    world.add_chargers(2)
    await world.add_campaign([[CP, "CP001"]], world.plan(1))
    await world.approve("c1")
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)
    await signer.sign_directive(DirectiveOrder("c1", 0, 0, 1, 0, 500, 3600.0))
    return world


@pytest.fixture
def counted() -> list[str]:
    return []


@pytest.fixture
def node(world: World, counted: list[str]) -> Node:
    return replace(world.node, alarms=DispatchAlarms(counted.append), uses=UseLedger())


async def dispatch(node: Node, charger: str = CP) -> DispatchAnswer:
    given = DispatchInput("c1", 0, 0, charger, 1, 1)
    return await ActivityEnvironment().run(DispatchActivities(node).dispatch_update, given)


def events(world: World) -> list[tuple[str, str]]:
    rows = world.audit.rows
    return [(row.action, row.detail["kind"]) for row in rows if row.action.startswith("security.")]


@pytest.mark.requirement("S23", "S24", "S25", "S32")
@pytest.mark.parametrize(
    "kind",
    [
        ApprovalRefused,
        DirectiveRefused,
        DowngradeRefused,
        NotInRelease,
        UnknownDirectiveKey,
        VendorSignatureBad,
        VerificationFailed,
    ],
)
async def test_a_proof_that_does_not_hold_ends_the_wave(world, node, counted, kind) -> None:
    world.proof_errors[CP] = kind("It does not hold.")
    answer = await dispatch(node)
    assert (answer.kind, answer.reason) == (DispatchKind.HALT, "It does not hold.")
    assert events(world) == [("security.dispatch_refused", kind.__name__)]
    assert counted == [kind.__name__]
    assert not world.updates()


@pytest.mark.requirement("S26", "S37")
@pytest.mark.parametrize("kind", [WrongHardware, UnsignedRefused])
async def test_what_is_one_chargers_own_matter_ends_it_for_that_one(world, node, counted, kind) -> None:
    world.proof_errors[CP] = kind("It is another one.")
    answer = await dispatch(node)
    assert answer.kind is DispatchKind.UNSUPPORTED
    assert events(world) == [("security.dispatch_refused", kind.__name__)]
    assert (await dispatch(node, "CP001")).kind is DispatchKind.ACCEPTED


@pytest.mark.requirement("S20", "S22", "S31")
@pytest.mark.parametrize("kind", [RepositoryUnreachable, MetadataExpired, ClockRefused])
async def test_a_node_without_fresh_metadata_sends_nothing_and_says_so_once(
    world, node, counted, kind
) -> None:
    for name in (CP, "CP001"):
        world.proof_errors[name] = kind("403 for 2.root.json")
    for name in (CP, "CP001", CP):
        answer = await dispatch(node, name)
        assert answer.kind is DispatchKind.NOT_NOW
    assert counted == [kind.__name__] * 3
    assert events(world) == [("security.dispatch_stopped", kind.__name__)]
    world.now += REPEAT
    await dispatch(node)
    assert len(events(world)) == 2
    world.proof_errors.clear()
    assert (await dispatch(node)).kind is DispatchKind.ACCEPTED


async def test_a_directive_that_only_ran_out_is_no_security_event(world, node, counted) -> None:
    world.proof_errors[CP] = DirectiveNotInTime("It expired.")
    answer = await dispatch(node)
    assert (answer.kind, counted, events(world)) == (DispatchKind.NOT_NOW, [], [])


@pytest.mark.requirement("S24")
async def test_a_database_that_forgot_a_use_does_not_make_it_undone(world, node) -> None:
    world.behaviours[CP] = idle
    assert (await dispatch(node)).kind is DispatchKind.ACCEPTED
    world.campaigns.uses.clear()
    target = await world.campaigns.target("c1", 0, CP)
    for key, row in world.campaigns.target_rows.items():
        if row == target:
            world.campaigns.target_rows[key] = replace(row, attempt=0, request_id=None)
    answer = await dispatch(node)
    assert (answer.kind, len(world.updates(CP))) == (DispatchKind.HALT, 1)
    assert events(world) == [("security.dispatch_refused", "DirectiveSpent")]


async def test_a_clock_that_jumps_either_way_does_not_silence_an_alarm() -> None:
    world, alarms = World(), DispatchAlarms()
    assert alarms.blind("K", "why", world.now)
    assert not alarms.blind("K", "why", world.now + timedelta(seconds=1))
    assert alarms.blind("K", "why", world.now - timedelta(days=1))
    assert alarms.blind("other", "why", world.now - timedelta(days=1))
