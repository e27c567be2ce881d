# long-file: every shape of one noun
"""Campaigns at the door."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from api.schemas.common import (
    Body,
    ChargerId,
    Flag,
    Instant,
    Label,
    QueryText,
    Real,
    Reply,
    Sentence,
    Sha256,
    Whole,
)
from api.schemas.plan_options import EdgeBody, RampBody, WindowBody
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Decision,
    EndBehaviour,
    Exclusion,
    GatePolicy,
    Hindrance,
    LateJoiners,
    Outcome,
    Pace,
    SignedDirective,
    TargetPhase,
    VerdictWord,
    WavePlan,
    WaveTally,
)
from storage.charger import ChargerFilter
from storage.health_policy import HealthPolicy, SegmentRule, SignalLimit, SignalRole
from storage.upkeep import Link
from workflows.gate.policies import POLICIES

_Seconds = Annotated[Real, Field(ge=0, le=366 * 86400)]
_Positive = Annotated[Real, Field(gt=0, le=366 * 86400)]
_Share = Annotated[Real, Field(ge=0, le=1)]
_GATE, _PACE, _HEALTH = GatePolicy(), Pace(), HealthPolicy()


class FilterBody(Body):
    """Which chargers; what is left out does not restrict."""

    vendor: Label | None = None
    model: Label | None = None
    site_id: Label | None = None
    firmware_version: Label | None = None
    online: Flag | None = None
    charger_ids: tuple[ChargerId, ...] = Field(default=(), max_length=100_000)
    query: QueryText | None = None

    def to_noun(self) -> ChargerFilter:
        """The filter."""
        return ChargerFilter(**dict(self))


class WaveBody(Body):
    """One wave: a list, a query, a count, or a share of the rest; those shares together are 1."""

    name: Label = Field(examples=["canary"])
    share: Real = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Of the chargers that no list, query or count took; with `query`, of those that match.",
        examples=[0.05],
    )
    soak_seconds: _Seconds = 0.0
    needs_approval: Flag = False
    charger_ids: tuple[ChargerId, ...] | None = Field(
        default=None, min_length=1, max_length=100_000, description="Exactly these, and no share."
    )
    query: QueryText | None = Field(
        default=None, description="Only those that match: `count` or `share` of them, or all."
    )
    count: Whole | None = Field(default=None, ge=1, le=1_000_000, description="So many, and no share.")
    window: Whole | None = Field(
        default=None, ge=1, le=200, description="In flight per shard, instead of the pace's."
    )
    max_failure_share: _Share | None = Field(default=None, description="Instead of the gate's.")
    min_attempts: Whole | None = Field(default=None, ge=1, le=100_000, description="Instead of the gate's.")
    early_stop_failures: Whole | None = Field(
        default=None, ge=1, le=100_000, description="Instead of the gate's."
    )
    approvals: Whole | None = Field(
        default=None, ge=1, le=10, description="People who must let it begin; null: one, if any."
    )

    def to_noun(self) -> WavePlan:
        """The wave."""
        return WavePlan(**dict(self))


class SignalBody(Body):
    """One health signal in a policy."""

    signal: Label = Field(examples=["session_failures"])
    threshold: Real = Field(gt=0, le=1, description="The least harm that matters.", examples=[0.03])
    role: SignalRole = SignalRole.GUARD
    weight: Real = Field(default=1.0, ge=0, le=1_000_000)


class HealthBody(Body):
    """How the updated are compared with chargers whose turn has not come."""

    signals: tuple[SignalBody, ...] = Field(min_length=1, max_length=50)
    name: Label = _HEALTH.name
    false_stop: Real = Field(default=_HEALTH.false_stop, gt=0, le=0.5)
    growth: Real = Field(default=_HEALTH.growth, ge=1.1, le=100)
    first_hours: Real = Field(default=_HEALTH.first_hours, gt=0, le=1_000_000)
    min_hours: Real = Field(default=_HEALTH.min_hours, ge=0, le=8784)
    min_chargers: Whole = Field(default=_HEALTH.min_chargers, ge=1, le=100_000)
    min_exposure: Whole = Field(default=_HEALTH.min_exposure, ge=1, le=1_000_000)
    coverage: Real = Field(default=_HEALTH.coverage, gt=0, le=1)
    confidence: Real = Field(default=_HEALTH.confidence, ge=0.5, lt=1)
    proceed_below: Real = Field(default=_HEALTH.proceed_below, ge=1, le=100)
    segments: SegmentRule = _HEALTH.segments
    look_seconds: _Positive = _HEALTH.look_seconds
    max_wait_seconds: _Positive = _HEALTH.max_wait_seconds

    def to_noun(self) -> HealthPolicy:
        """The policy."""
        values = dict(self)
        values["signals"] = tuple(SignalLimit(**dict(each)) for each in self.signals)
        return HealthPolicy(**values)


class GateBody(Body):
    """When a wave proceeds, holds or aborts."""

    max_failure_share: _Share = _GATE.max_failure_share
    min_attempts: Whole = Field(default=_GATE.min_attempts, ge=1, le=100_000)
    max_excess_fault_share: _Share = _GATE.max_excess_fault_share
    max_excess_offline_share: _Share = _GATE.max_excess_offline_share
    early_stop_failures: Annotated[Whole, Field(ge=1, le=100_000)] | None = Field(
        default=None,
        description="So many failures stop a wave of any size; null: only those beyond max_failure_share "
        "and beyond chance.",
    )
    hold_seconds: _Positive = _GATE.hold_seconds
    max_looks: Whole = Field(default=_GATE.max_looks, ge=1, le=1000)
    health: Literal["cautious", "balanced", "fast"] | HealthBody | None = Field(
        default=None, description="A shipped policy by name, or one of your own; null: outcomes only."
    )

    def to_noun(self) -> GatePolicy:
        """The policy."""
        values, health = dict(self), self.health
        values["health"] = health.to_noun() if isinstance(health, HealthBody) else POLICIES.get(health or "")
        return GatePolicy(**values)


class PaceBody(Body):
    """Durations and limits, seconds each."""

    shard_size: Whole = Field(default=_PACE.shard_size, ge=1, le=500)
    window: Whole = Field(default=_PACE.window, ge=1, le=200, description="Chargers in flight per shard.")
    tick_seconds: _Positive = _PACE.tick_seconds
    wave_deadline_seconds: _Positive = _PACE.wave_deadline_seconds
    attempt_deadline_seconds: _Positive = _PACE.attempt_deadline_seconds
    max_attempts: Whole = Field(default=_PACE.max_attempts, ge=1, le=10)
    retry_backoff_seconds: _Seconds = _PACE.retry_backoff_seconds
    settle_seconds: _Seconds = _PACE.settle_seconds
    ticket_seconds: _Positive = _PACE.ticket_seconds
    ramp: RampBody | None = Field(default=None, description="Null: the whole window from the start.")
    download_ahead_seconds: _Positive | None = Field(
        default=None,
        description="So long may chargers fetch that must not be installed yet; null: with the install.",
    )
    steady_seconds: _Positive | None = Field(
        default=None, description="Without another boot before it is updated; null: one is enough."
    )

    def to_noun(self) -> Pace:
        """The pace."""
        return Pace(**{**dict(self), "ramp": self.ramp and self.ramp.to_noun()})


class PlanBody(Body):
    """What a release manager asks for and others approve."""

    name: Label = Field(examples=["Spring release"])
    artifact_id: Sha256
    targets: FilterBody = FilterBody()
    waves: tuple[WaveBody, ...] = Field(min_length=1, max_length=50)
    gate: GateBody = GateBody()
    pace: PaceBody = PaceBody()
    rollback_artifact_id: Sha256 | None = Field(
        default=None,
        description="What updated chargers go back to when the gate aborts; null: it only stops.",
    )
    required_approvals: Whole = Field(
        default=1,
        ge=1,
        le=10,
        description="People but its author who have to say yes; at least two with a rollback artifact.",
    )
    seed: Whole = Field(default=0, ge=0, le=2**31 - 1)
    start_at: Instant | None = None
    rehearse_rollback: Whole | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="So many of the first wave go back and forward again before the second; null: nobody.",
    )
    end_at: Instant | None = Field(default=None, description="Nothing new is sent after it; null: no end.")
    end_behaviour: EndBehaviour | None = Field(
        default=None, description="What happens then, if it is not through; null: it stops."
    )
    windows: tuple[WindowBody, ...] | None = Field(
        default=None, min_length=1, max_length=50, description="Null: at any time."
    )
    max_price: Real | None = Field(default=None, description="A tariff above it closes a site.")
    priority: Whole | None = Field(
        default=None,
        ge=0,
        le=1000,
        description="Where two campaigns want a charger the higher goes first, then the earlier; null: 500.",
    )
    edges: tuple[EdgeBody, ...] | None = Field(default=None, min_length=1, max_length=50)
    links: tuple[Link, ...] | None = Field(
        default=None, min_length=1, max_length=3, description="Only chargers connected like this."
    )
    needs_configuration: Flag | None = Field(
        default=None, description="Only chargers whose configuration was read."
    )
    late_joiners: LateJoiners | None = Field(
        default=None, description="Chargers that match after the cohort was frozen; null: left out."
    )
    after: Label | None = Field(
        default=None,
        description="A campaign that has to be through with a charger, proven, before this one touches it; "
        "who failed there is left out here. Null: none.",
    )
    one_way_waiver: Sentence | None = Field(
        default=None, description="Who accepts, and why, that some of its models can never go back."
    )

    def to_noun(self) -> CampaignPlan:
        """The plan."""
        return CampaignPlan(
            name=self.name,
            artifact_id=self.artifact_id,
            targets=self.targets.to_noun(),
            waves=tuple(wave.to_noun() for wave in self.waves),
            gate=self.gate.to_noun(),
            pace=self.pace.to_noun(),
            rollback_artifact_id=self.rollback_artifact_id,
            required_approvals=max(self.required_approvals, 1 if self.rollback_artifact_id is None else 2),
            seed=self.seed,
            start_at=self.start_at,
            rehearse_rollback=self.rehearse_rollback,
            end_at=self.end_at,
            end_behaviour=self.end_behaviour,
            windows=tuple(each.to_noun() for each in self.windows) if self.windows else None,
            max_price=self.max_price,
            priority=self.priority,
            edges=tuple(each.to_noun() for each in self.edges) if self.edges else None,
            links=self.links,
            needs_configuration=self.needs_configuration,
            late_joiners=self.late_joiners,
            after=self.after,
            one_way_waiver=self.one_way_waiver,
        )


class CampaignSummary(Reply):
    """A campaign in a list."""

    campaign_id: str
    name: str
    artifact_id: str
    phase: CampaignPhase
    reason: str
    plan_digest: str
    cohort_size: int
    created_by: str
    created_at: datetime
    finished_at: datetime | None
    ends_at: datetime | None = Field(
        default=None, description="Nothing new is sent after it: the plan's end, or a later one."
    )

    @classmethod
    def of(cls, campaign: Campaign) -> "CampaignSummary":
        """The summary of a campaign."""
        return cls(
            campaign_id=campaign.campaign_id,
            name=campaign.plan.name,
            artifact_id=campaign.plan.artifact_id,
            phase=campaign.phase,
            reason=campaign.reason,
            plan_digest=campaign.plan_digest,
            cohort_size=campaign.cohort_size,
            created_by=campaign.created_by,
            created_at=campaign.created_at,
            finished_at=campaign.finished_at,
            ends_at=campaign.ends_at,
        )


class StopReply(Reply):
    """What keeps anything of a campaign from being sent, whatever its phase."""

    why: str = Field(examples=["everything is halted: ada at 2026-11-26 09:00Z: smoke at depot 3"])
    lifted: str = Field(description="How it ends.")


class CampaignReply(CampaignSummary):
    """A campaign with its plan, approvals and numbers."""

    plan: PlanBody
    approvals: tuple[Approval, ...]
    waves: tuple[WaveTally, ...]
    excluded: tuple[Exclusion, ...]
    waiting: tuple[Hindrance, ...] = Field(
        default=(), description="What its chargers wait for now, the most frequent first."
    )
    stopped_by: tuple[StopReply, ...] = Field(
        default=(), description="Halts, withdrawals and freezes: nothing of it is sent while there is one."
    )

    @classmethod
    def whole(
        cls,
        campaign: Campaign,
        tallies: Sequence[WaveTally],
        excluded: Sequence[Exclusion],
        waiting: Sequence[Hindrance] = (),
    ) -> "CampaignReply":
        """Everything of one campaign but its targets."""
        return cls(
            **dict(CampaignSummary.of(campaign)),
            plan=PlanBody.model_validate(campaign.plan),
            approvals=campaign.approvals,
            waves=tuple(tallies),
            excluded=tuple(excluded),
            waiting=tuple(waiting),
        )


class FollowUpReply(CampaignReply):
    """A campaign that was just opened for late joiners."""

    warnings: tuple[str, ...] = Field(description="What of the first campaign's plan it goes without.")


class TargetReply(Reply):
    """One charger in one wave."""

    wave: int
    ordinal: int
    charger_id: str
    site_id: str
    artifact_id: str
    from_version: str | None
    to_version: str
    phase: TargetPhase
    outcome: Outcome | None
    reason: str
    attempt: int
    dispatched_at: datetime | None
    finished_at: datetime | None
    deferred_for_session: bool


class DirectiveReply(Reply):
    """Who gets what and when, in the envelope of the directive key, with what people signed inside."""

    directive_id: str
    wave: int
    shard: int
    envelope: dict[str, Any] = Field(description="DSSE: payload, payloadType and signatures.")

    @classmethod
    def of(cls, signed: SignedDirective) -> "DirectiveReply":
        """The reply for a stored directive."""
        return cls(
            directive_id=signed.directive_id,
            wave=signed.wave,
            shard=signed.shard,
            envelope=json.loads(signed.envelope),
        )


class DecisionReply(Reply):
    """A verdict as stored: enough to compute it again."""

    wave: int
    look: int
    decided_at: datetime
    kind: str
    verdict: VerdictWord
    reason: str
    inputs: dict[str, Any]
    inputs_sha256: str
    result: dict[str, Any]
    result_sha256: str

    @classmethod
    def of(cls, decision: Decision) -> "DecisionReply":
        """The reply for a stored decision."""
        return cls.model_validate(decision)
