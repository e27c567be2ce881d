"""Whoever holds the database, the workflows and the api, but no key, asks the signer for everything (S64).

They write what they like into every row and call every activity; nothing of it is signed, all of it is on
record, and readers go on to see exactly what people released.
"""

from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError

from activities.signer import DirectiveOrder, SignerActivities
from signing.guard import Limits
from signing.metadata import canonical, decode_payload
from storage.campaign import Approval, Campaign, CampaignPhase, CampaignPlan, Target, WavePlan
from storage.canonical import sha256_hex
from storage.charger import ChargerFilter
from storage.plan_digest import plan_digest
from tests.unit.activities.world import World


class Takeover:
    """Their hands on the rows, the real signer behind the activities."""

    def __init__(self, bench, artifact) -> None:
        self.bench = bench
        self.artifact = artifact
        self.world = World(now=bench.now)
        self.world.artifacts.rows[artifact.artifact_id] = artifact
        service = bench.service(limits=Limits(metadata_per_minute=60, directives_per_minute=100))
        self.signer = SignerActivities(self.world.stores, service, lambda: "n" * 32)
        self.asked = 0

    async def refused(self, work, kind: str | None = None) -> str:
        self.asked += 1
        with pytest.raises(ApplicationError) as error:
            await work
        assert kind is None or error.value.type == kind
        return error.value.message

    async def stage(self, change=lambda targets: None, role: str | None = None) -> None:
        """What the signer staged, as they would rather have it."""
        await self.signer.stage_release(self.artifact.artifact_id)
        staged = self.world.artifacts.staged_rows[self.artifact.artifact_id]
        targets = decode_payload(staged.payload)
        change(targets)
        payload = canonical(targets)
        self.world.artifacts.staged_rows[self.artifact.artifact_id] = replace(
            staged,
            payload=payload,
            sha256=sha256_hex(payload),
            version=targets.version,
            role=role or staged.role,
            threshold=1,
        )

    def on_record(self) -> list[dict[str, object]]:
        return [dict(row.detail) for row in self.world.audit.rows if row.action == "signer.refused"]


@pytest.fixture
async def takeover(bench) -> Takeover:
    return Takeover(bench, await bench.upload())


def ten_years(targets) -> None:
    targets.expires += timedelta(days=3650)


def thousand_on(targets) -> None:
    targets.version += 1000


@pytest.mark.requirement("S64")
async def test_skipped_versions_long_expiries_and_other_roles_are_refused_and_on_record(
    takeover: Takeover, bench
) -> None:
    publish = takeover.signer.publish_release
    before = dict(bench.blobs.objects)
    for change, role, words in (
        (thousand_on, None, "skips versions: after 1 comes only the next"),
        (ten_years, None, "later than allowed"),
        (lambda targets: None, "snapshot", "no vendor role"),
        (lambda targets: None, "targets", "no vendor role"),
        (lambda targets: None, "bolt", "no vendor role"),
        (lambda targets: None, None, "signed by 0 of 2 needed keys"),
    ):
        await takeover.stage(change, role)
        assert words in await takeover.refused(publish(takeover.artifact.artifact_id), "VerificationFailed")
    assert bench.blobs.objects == before
    record = takeover.on_record()
    assert len(record) == takeover.asked
    assert all(row["asked"] == "publish_release" for row in record)
    assert any("skips versions" in str(row["reason"]) for row in record)


async def approved(takeover: Takeover) -> None:
    """A campaign that people really approved, for three chargers."""
    artifact_id, now = takeover.artifact.artifact_id, takeover.bench.now
    names = ("CP-1", "CP-2", "CP-3")
    plan = CampaignPlan("rollout", artifact_id, ChargerFilter(), (WavePlan("all", 1.0),))
    digest = plan_digest(plan, [names])
    targets = [Target("c1", 0, n, name, "s1", artifact_id, "1.0", "1.1") for n, name in enumerate(names)]
    campaigns = takeover.world.campaigns
    await campaigns.create(Campaign("c1", plan, digest, CampaignPhase.DRAFT, "ada", now), targets)
    await campaigns.add_approval("c1", Approval("grace", now, digest))
    await campaigns.set_phase("c1", CampaignPhase.RUNNING, "", now)


@pytest.mark.requirement("S24", "S64")
async def test_directives_for_ten_years_or_by_the_thousand_are_refused_and_on_record(
    takeover: Takeover, bench
) -> None:
    await bench.release(takeover.artifact)
    await approved(takeover)
    order = DirectiveOrder("c1", 0, 0, 1, 0, 3, 3600.0)
    ask = takeover.signer.sign_directive
    long = await takeover.refused(ask(replace(order, seconds=3650 * 86_400.0)), "VerificationFailed")
    assert "longer than 24 hours" in long
    assert "nobody" not in await takeover.refused(ask(replace(order, wave=7)))
    made = hasty = 0
    for issue in range(1, 1001):
        try:
            await ask(replace(order, issue=issue))
            made += 1
        except ApplicationError as error:
            hasty += (error.type, error.non_retryable) == ("TooHasty", False)
    assert (made, hasty) == (100, 900)
    record = takeover.on_record()
    assert len(record) <= 20, "a flood does not hide the rest of the log"
    await takeover.signer.refusals.flush()
    assert "881 more requests in a flood" in str(takeover.on_record()[-1]["reason"])
