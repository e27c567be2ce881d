"""The signer believes what people approved, not what the rows say."""

from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from activities.signer import DirectiveOrder, SignerActivities
from signing.directive import parse_directive
from storage.campaign import Approval, Campaign, CampaignPhase, Target
from storage.canonical import sha256_hex
from tests.unit.activities.world import START, World

FORWARD = DirectiveOrder("c1", 0, 0, 1, 0, 500, 3600.0)
BACK = replace(FORWARD, wave=1000)
Edit = dict[str, object]


@pytest.fixture
async def world() -> World:
    world = World()
    names = world.add_chargers(4)
    await world.add_campaign([names[:2], names[2:]], world.plan(2, required_approvals=2))
    await world.approve("c1", "grace", "hedy")
    back = Target("c1", 1000, 0, "CP000", "site-0", sha256_hex(b"1.0"), "1.1", "1.0")
    await world.campaigns.add_targets([back])
    return world


@pytest.fixture
def signer(world: World) -> SignerActivities:
    return SignerActivities(world.stores, world, lambda: "n" * 32)


def edit(world: World, **changes: object) -> Campaign:
    world.campaigns.rows["c1"] = replace(world.campaigns.rows["c1"], **changes)  # type: ignore[arg-type]
    return world.campaigns.rows["c1"]


def edit_target(world: World, wave: int, name: str, **changes: object) -> None:
    rows = world.campaigns.target_rows
    key = next(key for key, row in rows.items() if (row.wave, row.charger_id) == (wave, name))
    rows[key] = replace(rows[key], **changes)  # type: ignore[arg-type]


async def refused(signer: SignerActivities, order: DirectiveOrder) -> str:
    with pytest.raises(ApplicationError) as error:
        await signer.sign_directive(order)
    assert (error.value.type, error.value.non_retryable) == ("DirectiveRefused", True)
    return error.value.message


@pytest.mark.requirement("S24", "S25")
@pytest.mark.parametrize(
    ("phase", "forward", "back"),
    [
        (phase, phase in (CampaignPhase.RUNNING, CampaignPhase.PAUSED), phase is CampaignPhase.ROLLING_BACK)
        for phase in CampaignPhase
    ],
)
async def test_only_the_phase_that_sends_gets_directives(world, signer, phase, forward, back) -> None:
    edit(world, phase=phase)
    for order, allowed in ((FORWARD, forward), (BACK, back)):
        if allowed:
            assert await signer.sign_directive(order)
        else:
            assert f"the campaign is {phase.value}" in await refused(signer, order)


@pytest.mark.requirement("S24", "S25", "R50")
@pytest.mark.parametrize("order", [FORWARD, BACK])
async def test_too_few_people_authorise_nobody(world, signer, order) -> None:
    campaign = edit(world, phase=CampaignPhase.RUNNING if order is FORWARD else CampaignPhase.ROLLING_BACK)
    digest = campaign.plan_digest
    grace = Approval("grace", START, digest)
    for approvals in (
        (),
        (grace,),
        (grace, grace),
        (grace, Approval(campaign.created_by, START, digest)),
        (grace, Approval("hedy", START, "0" * 64)),
    ):
        edit(world, approvals=approvals)
        assert "of 2 approvals" in await refused(signer, order)
    edit(world, approvals=(grace, Approval("hedy", START, digest)))
    assert await signer.sign_directive(order)


@pytest.mark.requirement("S17", "S24")
@pytest.mark.parametrize("signed_before", [False, True])
async def test_a_plan_that_was_changed_after_its_approval_is_signed_for_nobody(
    world, signer, signed_before
) -> None:
    if signed_before:
        await signer.sign_directive(FORWARD)
    plan = world.campaigns.rows["c1"].plan
    for change in ({"required_approvals": 1}, {"artifact_id": sha256_hex(b"1.0")}, {"name": "other"}):
        edit(world, plan=replace(plan, **change))
        assert "not those of its digest" in await refused(signer, replace(FORWARD, issue=2))


@pytest.mark.requirement("S17", "S24")
@pytest.mark.parametrize("signed_before", [False, True])
async def test_a_row_that_nobody_approved_is_signed_for_nobody(world, signer, signed_before) -> None:
    if signed_before:
        await signer.sign_directive(FORWARD)
    edit_target(world, 0, "CP001", charger_id="CP999")
    words = "at other places" if signed_before else "not those of its digest"
    assert words in await refused(signer, replace(FORWARD, issue=2))


@pytest.mark.requirement("S17", "S25")
async def test_another_image_or_a_stranger_is_signed_for_neither_way(world, signer) -> None:
    edit_target(world, 0, "CP001", artifact_id=sha256_hex(b"1.0"))
    assert "another artifact" in await refused(signer, FORWARD)
    edit(world, phase=CampaignPhase.ROLLING_BACK)
    edit_target(world, 1000, "CP000", artifact_id=sha256_hex(b"1.1"))
    assert "another artifact" in await refused(signer, BACK)
    edit_target(world, 1000, "CP000", artifact_id=sha256_hex(b"1.0"), charger_id="CP999")
    assert "not of the cohort" in await refused(signer, BACK)


async def test_a_later_shard_is_compared_at_its_own_place(world, signer) -> None:
    second = replace(FORWARD, wave=1, shard=1, first=1, count=1)
    assert await signer.sign_directive(second) == "c1.1.1.1"
    edit_target(world, 1, "CP003", charger_id="CP000")
    assert "at other places" in await refused(signer, replace(second, issue=2))


@pytest.mark.requirement("X11", "S25")
async def test_a_rehearsal_is_signed_for_as_many_canaries_as_people_approved() -> None:
    world = World()
    names = world.add_chargers(4)
    await world.add_campaign([names[:2], names[2:]], world.plan(2, rehearse_rollback=1))
    await world.approve("c1")
    signer = SignerActivities(world.stores, world, lambda: "n" * 32)
    old, new = sha256_hex(b"1.0"), sha256_hex(b"1.1")
    back, again = replace(BACK, wave=900), replace(BACK, wave=901)
    await world.campaigns.add_targets(
        [
            Target("c1", 900, 0, names[1], "site-0", old, "1.1", "1.0"),
            Target("c1", 901, 0, names[1], "site-0", new, "1.0", "1.1"),
        ]
    )
    assert await signer.sign_directive(back)
    assert await signer.sign_directive(again)
    told = [parse_directive(row.envelope).downgrade for row in world.campaigns.directive_rows]
    assert told == [True, False]

    await world.campaigns.add_targets([Target("c1", 900, 1, names[0], "site-0", old, "1.1", "1.0")])
    more = replace(back, issue=2, count=2)
    assert "does not name for it" in await refused(signer, more), "two of one"
    for wave, name, artifact in ((900, names[3], old), (901, names[3], new), (900, names[1], new)):
        row = Target("c1", wave, 0, name, "site-0", artifact, None, "x")
        world.campaigns.target_rows = {
            key: each for key, each in world.campaigns.target_rows.items() if each.wave < 900
        }
        await world.campaigns.add_targets([row])
        assert "Nothing is signed" in await refused(signer, replace(back, wave=wave, issue=3))
