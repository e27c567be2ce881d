"""Activities of the signer process, the only one that can reach online keys (S63, S64)."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar

from temporalio import activity

from activities.authority import Cohorts, approvals_of, check_authority
from activities.errors import beating, mapped
from activities.halts import refuse_halted
from activities.refusals import Refusals
from activities.stores import Stores
from signing.errors import DirectiveRefused, TooHasty, VerificationFailed
from signing.ports import EvidenceJudge, ReleaseSigner
from storage.artifact import Artifact, SignOff
from storage.campaign import Campaign, Directive, goes_back
from storage.errors import Conflict, NotFound
from storage.withdrawal import artifact_subject

A = TypeVar("A")
R = TypeVar("R")

_HEARTBEAT_S = 2.0
_CLOCK_SLACK = timedelta(seconds=60)
"""A directive is valid from a little earlier, for nodes whose clock is behind."""


@dataclass(frozen=True, slots=True)
class StagedFacts:
    """What people are asked to sign."""

    sha256: str
    role: str
    version: int
    threshold: int
    keyids: tuple[str, ...]
    signed_by: tuple[str, ...] = ()
    """Keys that signed exactly these bytes already."""


@dataclass(frozen=True, slots=True)
class PublishedFacts:
    """Which metadata now lists the artifact."""

    target_path: str
    role_version: int
    snapshot_version: int
    timestamp_version: int
    overtaken: tuple[str, ...] = ()
    """Other artifacts, staged as a version that is taken now."""


@dataclass(frozen=True, slots=True)
class DirectiveOrder:
    """Authorise one shard for ``seconds`` from now.

    ``issue`` counts the directives of a shard: a directive is single use per charger (S24) and lives for
    a day at most, so retries and long waves need further ones. The latest one counts.
    """

    campaign_id: str
    wave: int
    shard: int
    issue: int
    first: int
    count: int
    seconds: float


def guarded(
    method: Callable[["SignerActivities", A], Awaitable[R]],
) -> Callable[["SignerActivities", A], Awaitable[R]]:
    """Its refusals go on record (S64); it beats, so that the loss of the signer is noticed at once (S63)."""

    @wraps(method)
    async def call(self: "SignerActivities", given: A) -> R:
        async with AsyncExitStack() as stack:
            if activity.in_activity():
                await stack.enter_async_context(beating(_HEARTBEAT_S))
            try:
                return await method(self, given)
            except (VerificationFailed, TooHasty) as error:
                await self.refusals.record(method.__name__, subject_of(given), error)
                raise

    return call


def subject_of(given: Any) -> str:
    """What a request to the signer is about, as the audit log names it."""
    if isinstance(given, DirectiveOrder):
        return f"campaign/{given.campaign_id}"
    return f"artifact/{given.artifact_id if isinstance(given, SignOff) else given}"


class SignerActivities:
    """What needs a key. Register on the signer's queue only."""

    def __init__(
        self,
        stores: Stores,
        signer: ReleaseSigner,
        new_nonce: Callable[[], str],
        desk: EvidenceJudge | None = None,
    ) -> None:
        self._stores = stores
        self._signer = signer
        self._new_nonce = new_nonce
        self._desk = desk
        self._cohorts = Cohorts(stores.campaigns)
        self.refusals = Refusals(stores)

    @activity.defn
    @mapped
    @guarded
    async def stage_release(self, artifact_id: str) -> StagedFacts:
        """Prepare the metadata that people sign; sign-offs of an earlier staging no longer count (S16)."""
        artifact = await self._stores.artifacts.get(artifact_id)
        if self._desk is not None:
            await self._desk.require(artifact)  # judged where it is staged, whatever a row says
        staged = await self._signer.stage(artifact)
        await self._stores.artifacts.stage(staged)
        sign_offs = await self._stores.artifacts.sign_offs(artifact_id)
        return StagedFacts(
            sha256=staged.sha256,
            role=staged.role,
            version=staged.version,
            threshold=staged.threshold,
            keyids=staged.keyids,
            signed_by=tuple(dict.fromkeys(sign_off.keyid for sign_off in sign_offs)),
        )

    @activity.defn
    @mapped
    @guarded
    async def compare_staged(self, artifact_id: str) -> str:
        """Why what is staged could not be published any more; empty: it could. Nothing is changed."""
        staged = await self._stores.artifacts.staged(artifact_id)
        return "Nothing was staged" if staged is None else await self._signer.outdated(staged)

    @activity.defn
    @mapped
    @guarded
    async def check_sign_off(self, given: SignOff) -> int:
        """Verify and store one person's signature; returns how many distinct keys have signed.

        Raises:
            VerificationFailed: the key does not count, or the signature does not hold.
            Conflict: something else is staged by now.
        """
        staged = await self._stores.artifacts.staged(given.artifact_id)
        if staged is None or staged.sha256 != given.staged_sha256:
            raise Conflict("This is not what is staged now.", hint="Fetch the staged bytes and sign again.")
        await self._signer.check_sign_off(staged, given)
        await self._stores.artifacts.add_sign_off(given)
        await self._stores.record(
            given.signer,
            "artifact.signed",
            f"artifact/{given.artifact_id}",
            staged_sha256=given.staged_sha256,
            keyid=given.keyid,
        )
        sign_offs = await self._stores.artifacts.sign_offs(given.artifact_id)
        return len({sign_off.keyid for sign_off in sign_offs})

    @activity.defn
    @mapped
    @guarded
    async def publish_release(self, artifact_id: str) -> PublishedFacts:
        """Publish what was signed. Idempotent. Raises VerificationFailed or StaleStage."""
        await refuse_halted(self._stores.halts)
        staged = await self._stores.artifacts.staged(artifact_id)
        if staged is None:
            raise NotFound("staged release of artifact", artifact_id)
        sign_offs = await self._stores.artifacts.sign_offs(artifact_id)
        stamp = await self._signer.publish(staged, tuple(sign_offs))
        overtaken = await self._stores.artifacts.overtaken(staged.role, staged.version)
        return PublishedFacts(
            target_path=stamp.target_path,
            role_version=stamp.role_version,
            snapshot_version=stamp.snapshot_version,
            timestamp_version=stamp.timestamp_version,
            overtaken=tuple(one for one in overtaken if one != artifact_id),
        )

    @activity.defn
    @mapped
    @guarded
    async def sign_directive(self, given: DirectiveOrder) -> str:
        """Sign and store who gets what and when; returns the directive's id. Idempotent.

        Raises:
            DirectiveRefused: the rows are not what people approved, or the campaign is in no phase for it.
        """
        stores = self._stores
        directive_id = f"{given.campaign_id}.{given.wave}.{given.shard}.{given.issue}"
        latest = await stores.campaigns.directive(given.campaign_id, given.wave, given.shard)
        if latest is None or latest.directive_id != directive_id:
            directive = await self._directive(given, directive_id)
            signed = await self._signer.sign_directive(directive, given.shard)
            # First on record, then in force: killed in between, it is on record twice and never not at all.
            await stores.record(
                f"campaign/{given.campaign_id}",
                "directive.signed",
                f"campaign/{given.campaign_id}",
                wave=given.wave,
                shard=given.shard,
                directive=directive_id,
                not_after=directive.not_after.isoformat(),
            )
            await stores.campaigns.add_directive(signed)
        return directive_id

    async def _directive(self, given: DirectiveOrder, directive_id: str) -> Directive:
        stores, now = self._stores, self._stores.clock()
        campaign = await stores.campaigns.get(given.campaign_id)
        targets = await stores.campaigns.targets(given.campaign_id, given.wave, given.first, given.count)
        if not targets:
            raise NotFound("wave with targets", f"{given.campaign_id}/{given.wave}")
        cohort = await self._cohorts.of(campaign)
        check_authority(campaign, cohort, given.wave, given.first, targets)
        artifact = await stores.artifacts.get(targets[0].artifact_id)
        await refuse_halted(self._stores.halts)
        await self._refuse_withdrawn(artifact)
        rollback = goes_back(given.wave)
        return Directive(
            directive_id=directive_id,
            campaign_id=given.campaign_id,
            wave=given.wave,
            plan_digest=campaign.plan_digest,
            charger_ids=tuple(target.charger_id for target in targets),
            not_before=now - _CLOCK_SLACK,
            not_after=now + timedelta(seconds=given.seconds),
            nonce=self._new_nonce(),
            approvals=approvals_of(campaign),
            required_approvals=max(1, campaign.plan.approvals_needed),
            downgrade=rollback,
            reason=_reason(campaign, artifact, rollback=rollback),
            target_path=artifact.target_path,
            sha256=artifact.artifact_id,
            length=artifact.length,
            version=artifact.version,
            release_counter=artifact.release_counter,
            compatible=tuple((entry.vendor, entry.model) for entry in artifact.compatible),
        )

    async def _refuse_withdrawn(self, artifact: Artifact) -> None:
        """No further directive for what was withdrawn; nodes look again at each charger (S36)."""
        subject = artifact_subject(artifact.artifact_id)
        for withdrawn in await self._stores.withdrawals.in_force([subject]):
            raise DirectiveRefused(f"No directive for {artifact.target_path}: {withdrawn.sentence()}.")

    @activity.defn
    @mapped
    async def refresh_metadata(self) -> None:
        """Sign snapshot and timestamp anew if they near their expiry (S14)."""
        await self.refusals.flush()
        await self._signer.refresh()


def _reason(campaign: Campaign, artifact: Artifact, *, rollback: bool) -> str:
    if rollback:
        return f"Rollback of campaign {campaign.plan.name!r} to {artifact.version}: {campaign.reason}"
    return f"Campaign {campaign.plan.name!r}"
