"""Whoever owns the database, or the worker and the api, cannot get an image onto a charger.

Each test is one way to try it, on a real database and a real socket. The hand that attacks writes any row,
foreign keys off; it holds no key of the directive, of a vendor or of an approver.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.campaigns import CampaignActivities, RecordedApproval
from activities.operator import CommandActivities, SendOrder
from activities.orders import DispatchKind
from activities.signer import SignerActivities
from api import bootstrap
from signing.errors import ApprovalRefused
from storage.artifact import SignOff
from storage.campaign import Approval, Campaign
from storage.canonical import canonical_json, sha256_hex
from storage.clock import system_clock
from storage.codec import to_json
from storage.plan_digest import plan_digest
from storage.ticket_binding import is_of
from tests.integration.signing.conftest import PEOPLE, Town

pytestmark = [pytest.mark.integration, pytest.mark.requirement("S17")]

EVIL = sha256_hex(b"firmware 6.6")


async def rewrite(town: Town, campaign: Campaign, cohort: Sequence[str], **plan: Any) -> None:
    """Make every row of a campaign agree with another plan or cohort: digest, approvals and all."""
    changed = replace(campaign.plan, **plan)
    digest = plan_digest(changed, [cohort])
    await town.sql(
        "UPDATE campaign SET plan = $1, plan_digest = $2 WHERE campaign_id = $3",
        canonical_json(to_json(changed)).decode(),
        digest,
        campaign.campaign_id,
    )
    await town.sql(
        "UPDATE campaign_approval SET plan_digest = $1 WHERE campaign_id = $2", digest, campaign.campaign_id
    )


async def approved(town: Town, *chargers: str, **options: Any) -> Campaign:
    names = chargers or ("CP-1",)
    return await town.approve_and_store(town.campaign(*names, **options), *names)


@pytest.mark.requirement("S22", "S23", "S24", "R50")
async def test_what_people_signed_and_approved_is_sent_and_nothing_else(town: Town) -> None:
    await approved(town)
    assert await town.authorise() == ""
    assert (await town.dispatch()).kind is DispatchKind.ACCEPTED
    [update] = town.updates()
    good = town.library.artifacts["1.1"].vendor_signatures[0]
    assert update["firmware"]["signature"] == good.signature
    assert await town.refusals() == []


@pytest.mark.requirement("S23", "R51")
@pytest.mark.parametrize(
    "change",
    ["length = 1", "version = '6.6'", "release_counter = 99", "filename = 'evil.bin'"],
)
async def test_1_by_editing_the_artifacts_row(town: Town, change: str) -> None:
    campaign = await approved(town)
    await town.sql(f"UPDATE artifact SET {change} WHERE artifact_id = '{campaign.plan.artifact_id}'")
    assert await town.authorise() != ""
    assert (await town.dispatch()).kind is DispatchKind.NOT_NOW
    assert town.updates() == []


@pytest.mark.requirement("S17", "S23")
async def test_2_by_inserting_a_released_artifact_and_pointing_the_campaign_at_it(town: Town) -> None:
    campaign = await approved(town)
    await town.sql(
        "INSERT INTO artifact SELECT $1, vendor_role, '6.6', 66, length, compatible, vendor_signatures, "
        "'released', '', filename, uploaded_by, uploaded_at FROM artifact WHERE version = '1.1'",
        EVIL,
    )
    await town.sql("UPDATE campaign_target SET artifact_id = $1, to_version = '6.6'", EVIL)
    await rewrite(town, campaign, ["CP-1"], artifact_id=EVIL)
    assert "ApprovalRefused" in await town.authorise()
    assert (await town.dispatch()).kind is DispatchKind.NOT_NOW
    assert town.updates() == []


@pytest.mark.requirement("S24")
async def test_3_by_adding_a_charger_to_what_was_approved(town: Town) -> None:
    campaign = await approved(town)
    assert await town.authorise() == ""
    await town.sql(
        "INSERT INTO campaign_target SELECT campaign_id, wave, 1, 'CP-2', site_id, artifact_id, "
        "from_version, to_version, phase, outcome, reason, attempt, request_id, dispatched_at, finished_at, "
        "deferred_for_session FROM campaign_target"
    )
    await rewrite(town, campaign, ["CP-1", "CP-2"])
    async with town.charger("CP-2"):
        assert "ApprovalRefused" in await town.authorise(issue=2, count=2)
        answer = await town.dispatch("CP-2")
    assert (answer.kind, town.updates()) == (DispatchKind.HALT, [])
    assert await town.refusals() == ["DirectiveRefused"]


@pytest.mark.requirement("S24", "S25")
@pytest.mark.parametrize("how", ["made up", "copied", "mallory", "one of two"])
async def test_4_by_writing_the_approvals(town: Town, how: str) -> None:
    first = await approved(town)
    second = town.campaign("CP-1", name="c2", version="1.2")
    given = {
        "made up": [Approval(name, system_clock(), second.plan_digest) for name in PEOPLE],
        "copied": [replace(one, plan_digest=second.plan_digest) for one in first.approvals],
        "mallory": [town.approval(second, name, key="mallory") for name in PEOPLE],
        "one of two": [town.approval(second, "ada"), replace(town.approval(second, "ada"), actor="bob")],
    }[how]
    await town.approve_and_store(second, "CP-1", people=())
    for one in given:
        await town.sql(
            "INSERT INTO campaign_approval (campaign_id, actor, plan_digest, at, evidence) "
            "VALUES ('c2', $1, $2, $3, $4)",
            one.actor,
            one.plan_digest,
            one.at,
            one.evidence,
        )
    assert "ApprovalRefused" in await town.authorise("c2")
    assert (await town.dispatch(campaign_id="c2")).kind is DispatchKind.NOT_NOW
    assert town.updates() == []


@pytest.mark.requirement("S24")
async def test_5_by_playing_a_directive_again(town: Town) -> None:
    await approved(town)
    assert await town.authorise() == ""
    assert (await town.dispatch()).kind is DispatchKind.ACCEPTED
    await town.sql("DELETE FROM directive_use")
    await town.sql("UPDATE campaign_target SET attempt = 0, request_id = NULL, phase = 'waiting'")
    answer = await town.dispatch()
    assert (answer.kind, len(town.updates())) == (DispatchKind.HALT, 1)
    assert await town.refusals() == ["DirectiveSpent"]


@pytest.mark.requirement("S24")
@pytest.mark.parametrize("renamed", [False, True])
async def test_6_by_giving_a_directive_to_another_campaign(town: Town, renamed: bool) -> None:
    await approved(town)
    assert await town.authorise() == ""
    await approved(town, name="c2", version="1.2")
    names = "'c2.0.0.1', 'c2'" if renamed else "'other', 'c2'"
    await town.sql(
        "INSERT INTO directive (directive_id, campaign_id, wave, shard, envelope) "
        f"SELECT {names}, wave, shard, envelope FROM directive"
    )
    answer = await town.dispatch(campaign_id="c2")
    assert (answer.kind, town.updates()) == (DispatchKind.HALT, [])
    assert await town.refusals() == ["DirectiveRefused"]


@pytest.mark.requirement("S33", "S37")
@pytest.mark.parametrize(
    ("scheme", "signed", "kind", "refusal"),
    [
        ("rsa-pss-sha256", True, DispatchKind.HALT, "VendorSignatureBad"),
        ("ecdsa-p256-sha256", False, DispatchKind.UNSUPPORTED, "UnsignedRefused"),
    ],
)
async def test_7_by_editing_the_models_settings(
    town: Town, scheme: str, signed: bool, kind: DispatchKind, refusal: str
) -> None:
    await approved(town)
    assert await town.authorise() == ""
    await town.sql(
        "INSERT INTO model_profile (vendor, model, signature_scheme, unsafe_unsigned_waiver, "
        "needs_reset_after_install, reboot_seconds) "
        "VALUES ('Acme', 'Volt', $1, 'Eve: trust me', false, 600)",
        scheme,
    )
    town.node.sender.supports_signed_update = lambda *_: signed  # type: ignore[method-assign]
    assert (await town.dispatch()).kind is kind
    assert (town.updates(), await town.refusals()) == ([], [refusal])


@pytest.mark.requirement("S25")
async def test_8_by_making_a_charger_look_older_than_it_is(town: Town) -> None:
    await approved(town)
    assert await town.authorise() == ""
    await town.wires["CP-1"].introduce("Volt", "1.2")
    await town.sql("UPDATE artifact SET release_counter = 1 WHERE version = '1.2'")
    await town.sql("""UPDATE twin_section SET reported = jsonb_set(reported, '{version}', '"0.1"')
                      WHERE name = 'firmware'""")
    answer = await town.dispatch()
    assert (answer.kind, town.updates()) == (DispatchKind.HALT, [])
    assert await town.refusals() == ["DowngradeRefused"]


@pytest.mark.requirement("S25")
async def test_9_by_having_an_old_release_approved_in_good_faith(town: Town) -> None:
    """Not even people can send what lies below the minimum that is signed for the model."""
    await approved(town, version="0.9")
    assert await town.authorise() == ""
    await town.sql("UPDATE model_profile SET unsafe_unsigned_waiver = 'Eve'")
    await town.sql("DELETE FROM artifact WHERE version = '1.0'")
    answer = await town.dispatch()
    assert (answer.kind, town.updates()) == (DispatchKind.HALT, [])
    assert await town.refusals() == ["DowngradeRefused"]


@pytest.mark.requirement("S26")
async def test_10_by_calling_a_charger_another_model(town: Town) -> None:
    await town.sql("UPDATE charger SET model = 'Volt' WHERE charger_id = 'CP-2'")
    await approved(town, "CP-2")
    assert await town.authorise() == ""
    async with town.charger("CP-2", model="Bolt"):
        answer = await town.dispatch("CP-2")
        assert (answer.kind, town.updates()) == (DispatchKind.UNSUPPORTED, [])
    assert await town.refusals() == ["WrongHardware"]


@pytest.mark.requirement("S17")
async def test_11_by_ordering_it_as_an_operators_command(town: Town) -> None:
    body = {"request_id": 1, "location": "http://evil/6.6", "retrieve_at": system_clock().isoformat()}
    route = await town.stores.routes.resolve("CP-1")
    assert route is not None
    sending = CommandActivities(town.node)
    for kind in ("UpdateFirmware", "PublishFirmware"):
        await town.sql(
            "INSERT INTO operator_command (command_id, charger_id, command, parameters, "
            "request_sha256, actor, requested_at, deadline_at) "
            "VALUES ($1, 'CP-1', $1, '{}', '', 'eve', now(), now())",
            kind,
        )
        order = SendOrder(kind, "CP-1", route.session_epoch, kind, body, 5.0)
        with pytest.raises(ApplicationError):
            await ActivityEnvironment().run(sending.send_command, order)
    assert town.updates() == []


@pytest.mark.requirement("S24", "S25")
async def test_12_by_turning_the_campaign_round(town: Town) -> None:
    """Back to 1.0 is approved for those that took 1.1: not for who never did, nor to anything else."""
    campaign = await approved(town)
    await town.sql(
        "INSERT INTO campaign_target SELECT campaign_id, 1000, 0, charger_id, site_id, $1, '1.1', '0.9', "
        "phase, outcome, reason, attempt, request_id, dispatched_at, finished_at, deferred_for_session "
        "FROM campaign_target",
        town.library.artifacts["0.9"].artifact_id,
    )
    await town.sql("UPDATE campaign SET phase = 'rolling_back'")
    assert "DirectiveRefused" in await town.authorise(wave=1000)
    await rewrite(town, campaign, ["CP-1"], rollback_artifact_id=town.library.artifacts["0.9"].artifact_id)
    assert "ApprovalRefused" in await town.authorise(wave=1000)
    assert town.updates() == []


@pytest.mark.requirement("S24", "S25")
async def test_a_way_back_is_a_directive_of_its_own_and_forward_is_not_played_again_after_it(
    town: Town,
) -> None:
    await approved(town)
    assert await town.authorise() == ""
    assert (await town.dispatch()).kind is DispatchKind.ACCEPTED
    await town.wires["CP-1"].introduce("Volt", "1.1")
    old = town.library.artifacts["1.0"]
    await town.sql(
        "INSERT INTO campaign_target SELECT campaign_id, 1000, 0, charger_id, site_id, $1, '1.1', '1.0', "
        "'waiting', NULL, '', 0, NULL, NULL, NULL, false FROM campaign_target",
        old.artifact_id,
    )
    await town.sql("UPDATE campaign SET phase = 'rolling_back', reason = 'it faults'")
    assert await town.authorise(wave=1000) == ""
    assert (await town.dispatch(wave=1000)).kind is DispatchKind.ACCEPTED
    assert town.updates()[-1]["firmware"]["signature"] == old.vendor_signatures[0].signature

    await town.wires["CP-1"].introduce("Volt", "1.0")
    await town.sql("UPDATE campaign SET phase = 'running'")
    await town.sql("DELETE FROM directive_use")
    await town.sql("UPDATE campaign_target SET attempt = 0, request_id = NULL, phase = 'waiting'")
    answer = await town.dispatch()
    assert (answer.kind, len(town.updates())) == (DispatchKind.HALT, 2)
    assert await town.refusals() == ["DirectiveSpent"]


@pytest.mark.requirement("S24")
async def test_13_by_making_tokens_and_saying_yes_as_somebody_else(town: Town) -> None:
    campaign = town.campaign("CP-1")
    await town.approve_and_store(campaign, "CP-1", people=())
    check = bootstrap._approval_check(town.settings, town.stores)
    assert check is not None
    await check(campaign, town.approval(campaign, "ada"))
    for forged in (
        Approval("ada", system_clock(), campaign.plan_digest),
        town.approval(campaign, "ada", key="mallory"),
        replace(town.approval(campaign, "bob"), actor="ada"),
    ):
        with pytest.raises(ApprovalRefused):
            await check(campaign, forged)


@pytest.mark.requirement("S43")
async def test_14_by_turning_the_ticket_of_a_command_that_was_sent(town: Town) -> None:
    await approved(town)
    assert await town.authorise() == ""
    assert (await town.dispatch()).kind is DispatchKind.ACCEPTED
    [update] = town.updates()
    text = update["firmware"]["location"].rpartition("/")[2]
    before = await town.stores.tickets.find(sha256_hex(text.encode()))
    assert before is not None
    assert is_of(text, before)
    for change in ("artifact_sha256 = $1", "charger_id = $1"):
        await town.sql(f"UPDATE download_ticket SET {change}", town.library.artifacts["0.9"].artifact_id)
        turned = await town.stores.tickets.find(sha256_hex(text.encode()))
        assert turned is not None
        assert not is_of(text, turned)


@pytest.mark.requirement("S17", "S24")
async def test_who_holds_the_worker_and_the_api_gets_no_further(town: Town) -> None:
    """They call every activity as they like, and say yes in anybody's name."""
    campaign = town.campaign("CP-1")
    await town.approve_and_store(campaign, "CP-1", people=())
    worker = CampaignActivities(town.activities)
    for name in PEOPLE:
        forged = Approval(
            name, system_clock(), campaign.plan_digest, town.approval(campaign, "mallory").evidence
        )
        await ActivityEnvironment().run(
            worker.record_approval, RecordedApproval(campaign.campaign_id, forged, "the start")
        )
    assert "ApprovalRefused" in await town.authorise()
    artifact = replace(town.library.artifacts["1.1"], artifact_id=EVIL, version="6.6", release_counter=66)
    await town.stores.artifacts.add(artifact)
    signer = SignerActivities(town.activities, town.library.signer(), lambda: "n" * 32)
    staged = await ActivityEnvironment().run(signer.stage_release, EVIL)
    for keyid in staged.keyids:
        off = SignOff(EVIL, staged.sha256, keyid, "00" * 64, "eve", system_clock() + timedelta(0))
        await town.stores.artifacts.add_sign_off(off)
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(signer.publish_release, EVIL)
    assert refused.value.type == "VerificationFailed"
    assert (await town.dispatch()).kind is DispatchKind.NOT_NOW
    assert town.updates() == []
