# long-file: one noun, its plan and its targets
"""Campaigns: the plan people approve, the targets it froze, and every decision taken."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from storage.canonical import ADDED
from storage.charger import ChargerFilter
from storage.health_policy import HealthPolicy
from storage.upkeep import Link
from storage.windows import Window


class CampaignPhase(StrEnum):
    """The phases of a campaign; the table of moves is in ``workflows.phases``."""

    DRAFT = "draft"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    ABORTING = "aborting"
    ROLLING_BACK = "rolling_back"
    COMPLETED = "completed"
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"


TERMINAL_CAMPAIGN_PHASES = frozenset(
    {
        CampaignPhase.COMPLETED,
        CampaignPhase.ABORTED,
        CampaignPhase.ROLLED_BACK,
        CampaignPhase.FAILED,
    }
)


class TargetPhase(StrEnum):
    """Exactly one named state per targeted charger at any second (F120)."""

    PENDING = "pending"
    WAITING = "waiting"
    RESERVED = "reserved"
    DISPATCHED = "dispatched"
    CONFIRMING = "confirming"
    DONE = "done"


UNDER_WAY = frozenset({TargetPhase.RESERVED, TargetPhase.DISPATCHED, TargetPhase.CONFIRMING})
"""Somebody is at work on it, or it is at work itself."""


class Outcome(StrEnum):
    """The last word on one charger in one wave."""

    UPDATED = "updated"
    ALREADY_CURRENT = "already_current"
    FAILED = "failed"
    SILENT = "silent"
    """It did not come back before the deadline; counts as failed (R24)."""
    DEFERRED = "deferred"
    """It could not be touched before the wave's end, or nobody of ours listened; not a failure."""
    SKIPPED = "skipped"
    """A person or a rule took it out."""
    CANCELLED = "cancelled"
    """The campaign stopped before anything was sent to it."""


ATTEMPTED = frozenset({Outcome.UPDATED, Outcome.FAILED, Outcome.SILENT})
"""The gate's denominator: attempts, never the group's size (R37)."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """Few chargers at once first, more with every success; a failure begins again (R9). Per shard."""

    start: int = 1
    """In flight at first."""
    factor: float = 2.0
    """So many times more ..."""
    every: int = 5
    """... after so many successes since the last failure; never more than the window."""


@dataclass(frozen=True, slots=True)
class GatePolicy:
    """When a wave proceeds, holds or aborts. Stored with each verdict, so it can be recomputed (X17)."""

    max_failure_share: float = 0.05
    """Of attempts. Above it, beyond chance and with the sample below, the wave aborts, at any time."""
    min_attempts: int = 3
    """Fewer attempts than this never proceed on their own (R36, R43)."""
    max_excess_fault_share: float = 0.10
    """Faulted chargers among the updated minus among the control group (R39)."""
    max_excess_offline_share: float = 0.10
    early_stop_failures: int | None = None
    """So many failures stop a wave of any size; None: only the share above does, beyond chance."""
    hold_seconds: float = 60.0
    """How long to wait before an inconclusive gate looks again."""
    max_looks: int = 5
    """After so many inconclusive looks the campaign pauses for a person."""
    health: HealthPolicy | None = field(default=None, metadata=ADDED)
    """How health signals are judged; None: only outcomes, and who is faulted or offline now."""


@dataclass(frozen=True, slots=True)
class Pace:
    """All durations and limits of a campaign in one place, so that a demo runs in seconds. Seconds each."""

    shard_size: int = 500
    window: int = 200
    """Chargers in flight per shard."""
    tick_seconds: float = 30.0
    """How often a shard asks again who has become ready."""
    wave_deadline_seconds: float = 7 * 86400.0
    """After this a wave closes; who could not be touched is deferred."""
    attempt_deadline_seconds: float = 3600.0
    """From command to attested version."""
    max_attempts: int = 2
    retry_backoff_seconds: float = 300.0
    settle_seconds: float = 30.0
    """Between the last outcome of a wave and the first look of its gate."""
    ticket_seconds: float = 6 * 3600.0
    ramp: Ramp | None = field(default=None, metadata=ADDED)
    """None: the whole window from the first charger on."""
    download_ahead_seconds: float | None = field(default=None, metadata=ADDED)
    """Chargers that must not be installed yet fetch the image already, and may take so long for it (R20).

    None: an image is fetched and installed in one step.
    """
    steady_seconds: float | None = field(default=None, metadata=ADDED)
    """So long a charger has to stay up with the version before it counts as updated and serves cars again.

    None: its first boot with the version is enough.
    """


@dataclass(frozen=True, slots=True)
class WavePlan:
    """One wave. It is made up in one of these ways.

    - ``charger_ids``: exactly these (a canary list);
    - ``query``: of the chargers that match and are not listed, a ``count`` or a ``share``, or all;
    - ``count``: so many, drawn from those that no list and no query took;
    - ``share``: of those that are left then; these shares add up to 1.
    """

    name: str
    share: float = 0.0
    soak_seconds: float = 0.0
    needs_approval: bool = False
    charger_ids: tuple[str, ...] | None = field(default=None, metadata=ADDED)
    query: str | None = field(default=None, metadata=ADDED)
    count: int | None = field(default=None, metadata=ADDED)
    window: int | None = field(default=None, metadata=ADDED)
    """In flight per shard, instead of the pace's."""
    max_failure_share: float | None = field(default=None, metadata=ADDED)
    """Instead of the gate's, as the next two."""
    min_attempts: int | None = field(default=None, metadata=ADDED)
    early_stop_failures: int | None = field(default=None, metadata=ADDED)
    approvals: int | None = field(default=None, metadata=ADDED)
    """People who must let it begin; None: one, if it needs approval at all."""

    def gated(self, gate: GatePolicy) -> GatePolicy:
        """The policy of this wave."""
        own = {name: getattr(self, name) for name in _OF_THE_GATE}
        return replace(gate, **{name: value for name, value in own.items() if value is not None})

    def paced(self, pace: Pace) -> Pace:
        """The pace of this wave."""
        return pace if self.window is None else replace(pace, window=self.window)

    @property
    def voters(self) -> int:
        """How many people must let it begin."""
        return self.approvals or (1 if self.needs_approval else 0)


_OF_THE_GATE = ("max_failure_share", "min_attempts", "early_stop_failures")


@dataclass(frozen=True, slots=True)
class Edge:
    """What holds on the way from some versions to the plan's (R33, R34). Each that fits counts."""

    from_version: str = "*"
    """A pattern with ``*`` and ``?``."""
    via: str | None = None
    """The version it has to run first: from here there is no direct way."""
    risk: str | None = None
    """In the query language; who matches does not go this way."""
    reason: str = ""


class LateJoiners(StrEnum):
    """What becomes of chargers that match after the cohort was frozen (R2)."""

    LEAVE_OUT = "leave_out"
    FOLLOW_UP = "follow_up"
    """A campaign of their own follows, with the same waves, gates and approvals."""


class EndBehaviour(StrEnum):
    """What happens when a campaign's end comes before it is through (R19).

    Nothing new is sent from then on, whichever it is; what was sent comes to its end.
    """

    STOP = "stop"
    """It is over. A release that fails the gate's last look is still taken back, if the plan can."""
    PAUSE = "pause"
    """It waits for a person, who gives it another end, or aborts it."""
    ROLL_BACK_FAILED = "roll_back_failed"
    """It is over, and who failed or fell silent and runs the new version is taken back."""
    ROLL_BACK = "roll_back"
    """It is over, and everybody it updated is taken back."""


USUAL_PRIORITY = 500


@dataclass(frozen=True, slots=True)
class CampaignPlan:
    """What a release manager asks for and others approve; hashed as a whole.

    A field added here, to a wave, gate or pace changes the digest of every stored plan, and the signer
    refuses what does not match its digest: let campaigns end before such an upgrade.
    """

    name: str
    artifact_id: str
    targets: ChargerFilter
    waves: tuple[WavePlan, ...]
    gate: GatePolicy = field(default_factory=GatePolicy)
    pace: Pace = field(default_factory=Pace)
    rollback_artifact_id: str | None = None
    """What updated chargers go back to when the gate aborts; None: the campaign only stops."""
    required_approvals: int = 1
    seed: int = 0
    start_at: datetime | None = None
    windows: tuple[Window, ...] | None = field(default=None, metadata=ADDED)
    """On each site's own clock; None: at any time (R17, R18)."""
    max_price: float | None = field(default=None, metadata=ADDED)
    """A tariff above it closes a site (X4)."""
    priority: int | None = field(default=None, metadata=ADDED)
    """From 0 to 1000; where two campaigns want a charger, the higher goes first (R14)."""
    edges: tuple[Edge, ...] | None = field(default=None, metadata=ADDED)
    links: tuple[Link, ...] | None = field(default=None, metadata=ADDED)
    """Only chargers that are connected this way (F68); None: any."""
    needs_configuration: bool | None = field(default=None, metadata=ADDED)
    """Only chargers whose configuration was read (F12)."""
    late_joiners: LateJoiners | None = field(default=None, metadata=ADDED)
    after: str | None = field(default=None, metadata=ADDED)
    """A campaign that each charger has to be through with proof before this one touches it (R32)."""
    one_way_waiver: str | None = field(default=None, metadata=ADDED)
    """Who accepts, and why, that models among its chargers can never go back (X11)."""

    rehearse_rollback: int | None = field(default=None, metadata=ADDED)
    """So many of the first wave go back and forward again before the second one (X11); None: nobody."""
    end_at: datetime | None = field(default=None, metadata=ADDED)
    """Nothing new is sent after it; a person may move it, on record (R19)."""
    end_behaviour: EndBehaviour | None = field(default=None, metadata=ADDED)

    @property
    def at_the_end(self) -> EndBehaviour:
        """What happens at its end; it stops unless said."""
        return self.end_behaviour or EndBehaviour.STOP

    @property
    def rank(self) -> int:
        """Its priority; 500 unless said."""
        return USUAL_PRIORITY if self.priority is None else self.priority

    @property
    def approvals_needed(self) -> int:
        """People, its author not among them, who must say yes; two where a way back is to be given (S25)."""
        return max(self.required_approvals, 1 if self.rollback_artifact_id is None else 2)


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's yes, to exactly this plan and cohort."""

    actor: str
    at: datetime
    plan_digest: str
    evidence: str = ""
    """The DSSE envelope in which their own key says so (``signing.approval``); "": only the api heard it."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A plan with its frozen cohort and its place in life."""

    campaign_id: str
    plan: CampaignPlan
    plan_digest: str
    """SHA-256 of plan and cohort together: what an approval speaks of."""
    phase: CampaignPhase
    created_by: str
    created_at: datetime
    cohort_size: int = 0
    approvals: tuple[Approval, ...] = ()
    reason: str = ""
    finished_at: datetime | None = None
    ends_at: datetime | None = None
    """The plan's end, or a later one that somebody gave it."""

    def over(self, now: datetime) -> bool:
        """Whether its end has come: nothing new is sent, but for a rollback."""
        return self.ends_at is not None and now >= self.ends_at


@dataclass(frozen=True, slots=True)
class Target:
    """One charger in one wave of one campaign. Waves from 1000 on roll back; 900 and 901 rehearse it."""

    campaign_id: str
    wave: int
    ordinal: int
    charger_id: str
    site_id: str
    artifact_id: str
    from_version: str | None
    """What it ran when it was sent the update; before that, when the plan was made."""
    to_version: str
    phase: TargetPhase = TargetPhase.PENDING
    outcome: Outcome | None = None
    reason: str = ""
    attempt: int = 0
    request_id: int | None = None
    dispatched_at: datetime | None = None
    finished_at: datetime | None = None
    deferred_for_session: bool = False
    """It waited at least once because a car was charging."""
    recalled: str = ""
    """Who called it back while something was under way for it, and why (R31); "": nobody."""
    fell_back_to: str | None = None
    """It proved the version, fell back by itself, and ran this as the campaign ended; None: not so."""


ROLLBACK_WAVE_BASE = 1000
REHEARSAL_WAVE = 900
"""In it canaries go back, and in the next one forward again, before the second wave begins (X11)."""
FORWARD_AGAIN_WAVE = REHEARSAL_WAVE + 1
REHEARSAL_NAMES = {REHEARSAL_WAVE: "rehearsal: back", FORWARD_AGAIN_WAVE: "rehearsal: forward again"}


def goes_back(wave: int) -> bool:
    """Whether a wave brings an earlier version: a rollback, or its rehearsal."""
    return wave >= ROLLBACK_WAVE_BASE or wave == REHEARSAL_WAVE


def follows(wave: int) -> bool:
    """Whether a wave has to wait for the campaign that its plan comes after.

    A rollback takes bad firmware away. A rehearsal may bring the very version that the other was stopped for.
    """
    return wave < ROLLBACK_WAVE_BASE


def sent_in(wave: int) -> CampaignPhase:
    """The phase in which a wave's chargers may be sent anything."""
    return CampaignPhase.ROLLING_BACK if wave >= ROLLBACK_WAVE_BASE else CampaignPhase.RUNNING


@dataclass(frozen=True, slots=True)
class WaveTally:
    """One wave in numbers, straight from the targets table."""

    wave: int
    name: str
    total: int
    by_phase: dict[str, int] = field(default_factory=dict)
    by_outcome: dict[str, int] = field(default_factory=dict)
    deferred_for_session: int = 0


@dataclass(frozen=True, slots=True)
class Hindrance:
    """What chargers of a campaign wait for now, in words, and how many do."""

    reason: str
    chargers: int


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A charger the filter matched and the plan leaves out, and why."""

    charger_id: str
    reason: str


class VerdictWord(StrEnum):
    """Ordered: the worst of several checks decides."""

    PROCEED = "proceed"
    HOLD = "hold"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict as stored: enough to compute it again, byte for byte (R54, X17)."""

    campaign_id: str
    wave: int
    look: int
    decided_at: datetime
    kind: str
    """``gate``; other judgements get names of their own."""
    verdict: VerdictWord
    reason: str
    """One sentence for a release manager."""
    inputs: dict[str, Any]
    """Policy and facts, JSON."""
    inputs_sha256: str
    result: dict[str, Any]
    """The whole verdict with every check, JSON."""
    result_sha256: str


@dataclass(frozen=True, slots=True)
class Directive:
    """Who gets what and when, signed by the directive key alone (S24). Times in UTC."""

    directive_id: str
    campaign_id: str
    wave: int
    plan_digest: str
    charger_ids: tuple[str, ...]
    target_path: str
    sha256: str
    length: int
    version: str
    release_counter: int
    compatible: tuple[tuple[str, str], ...]
    """(vendor, model) pairs."""
    not_before: datetime
    not_after: datetime
    nonce: str
    approvals: tuple[Approval, ...]
    downgrade: bool = False
    """True only for a rollback authorised with the campaign's approvals (S25)."""
    reason: str = ""
    required_approvals: int = 1
    """How many people, its author not among them, had to say yes; ``approvals`` holds at least as many."""


@dataclass(frozen=True, slots=True)
class SignedDirective:
    """A directive in its DSSE envelope (JSON bytes), as the signer made it."""

    directive_id: str
    campaign_id: str
    wave: int
    shard: int
    envelope: bytes
