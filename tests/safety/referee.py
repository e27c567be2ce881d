# long-file: every promise that is watched over in one place
"""The referee: watches what really happens and knows nothing of how the engine works.

Its rules are the promises of the design, said about the things themselves: cars, connectors, images,
boots. What is broken is a ``Violation`` with its instant; a trace of the latest acts goes with it.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from activities.strain import HELD
from csms.commands import ChangeAvailability, Command, PublishFirmware, UpdateFirmware
from storage.artifact import ArtifactPhase
from storage.campaign import (
    FORWARD_AGAIN_WAVE,
    REHEARSAL_WAVE,
    ROLLBACK_WAVE_BASE,
    TERMINAL_CAMPAIGN_PHASES,
    Campaign,
    CampaignPhase,
    Outcome,
    Target,
    TargetPhase,
    VerdictWord,
)
from storage.errors import AmpwaveError
from storage.twin import busy_reason
from tests.safety import later_rules as later
from tests.safety.clockwork import START, SimulatedLoop
from tests.safety.controller import Controller
from tests.safety.station import NOTHING, Habit, Station
from tests.safety.stores import Books
from tests.safety.wires import NodeEnd
from workflows.gate import recompute
from workflows.phases import TARGET_MOVES

GRACE_S = 5.0
"""An abort that was acknowledged is obeyed by every sender within this (DESIGN section 11, ``abort``)."""
KEPT = 2000
_ALLOWED = {(before, after) for (before, _), after in TARGET_MOVES.items()}


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken promise."""

    rule: str
    detail: str
    at: float

    def __str__(self) -> str:
        return f"{self.at:9.1f} s  {self.rule}: {self.detail}"


@dataclass
class Referee:
    """Of one campaign."""

    loop: SimulatedLoop
    books: Books
    max_down: dict[str, int]
    stations: dict[str, Station] = field(default_factory=dict)
    controllers: dict[str, Controller] = field(default_factory=dict)
    feeder_kw: float = 0.0
    steady_seconds: float = 0.0
    attempt_seconds: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    trace: deque[str] = field(default_factory=lambda: deque(maxlen=KEPT))
    seen: Counter[str] = field(default_factory=Counter)
    """What was looked at: a rule that never had anything to look at proves nothing."""
    stopped: dict[str, float] = field(default_factory=dict)
    """Campaigns whose abort was acknowledged, and when."""
    paused: dict[str, float] = field(default_factory=dict)
    """The same of a pause that nobody has asked to end."""
    recalled: dict[tuple[str, str], float] = field(default_factory=dict)
    """Chargers whose recall was acknowledged, by campaign, and when."""
    halted: float | None = None
    withdrawn: dict[str, float] = field(default_factory=dict)
    fetched: dict[tuple[str, str], float] = field(default_factory=dict)
    """Chargers that were told to fetch ahead, by campaign, and when."""
    taken: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """By site: who is out of service because of us, in truth."""
    back: dict[str, float] = field(default_factory=dict)
    """Who is so no more, and since when."""
    away_since: dict[str, float] = field(default_factory=dict)
    """Who is out of service because of us, and since when."""
    deaf: list[tuple[float, float]] = field(default_factory=list)
    """When no node of ours listened; the last may not be over."""
    _sent: dict[str, list[tuple[float, int, str]]] = field(default_factory=lambda: defaultdict(list))
    """By charger: when, under which number, of which attempt."""

    def broken(self, rule: str, detail: str) -> None:
        self.violations.append(Violation(rule, detail, self.loop.time()))
        self.note(f"!! {rule}: {detail}")

    def note(self, what: str) -> None:
        self.trace.append(f"{self.loop.time():9.1f} s  {what}")

    def listens(self, *, yes: bool) -> None:
        """Some node listens from now on, or none does."""
        was = not (self.deaf and self.deaf[-1][1] == float("inf"))
        if was and not yes:
            self.deaf.append((self.loop.time(), float("inf")))
        elif yes and not was:
            self.deaf[-1] = (self.deaf[-1][0], self.loop.time())

    # --- what leaves a node ----------------------------------------------------------------------

    def left(self, node: NodeEnd, station: Station, command: Command) -> None:
        """A command leaves for a charger."""
        self.note(f"{node.node_id} -> {station.name}: {_words(command)}")
        if isinstance(command, PublishFirmware):
            later.publish_left(self, command)
        elif isinstance(command, UpdateFirmware) and command.location.endswith(NOTHING):
            self._stop_left(station.name)
        elif isinstance(command, UpdateFirmware) and command.install_at is not None:
            later.fetch_left(self, station, command)
        elif isinstance(command, UpdateFirmware):
            self._update_left(station, command)

    def _stop_left(self, name: str) -> None:
        self.seen["told to stop"] += 1
        rows, parked = self.books.campaigns.target_rows, self.books.parked.rows.get(name)
        recalled = any(row.charger_id == name and row.recalled for row in rows.values())
        if recalled or (parked and rows[parked.campaign_id, parked.wave, name].phase is TargetPhase.DONE):
            return
        self.broken("told to stop unasked", name)

    def _update_left(self, station: Station, command: UpdateFirmware) -> None:
        name = station.name
        self.seen["updates sent"] += 1
        twin = self.books.chargers.rows[name].twin
        if busy := busy_reason(twin.operation, self.loop.instant()):
            self.broken("sent while busy", f"{name}: {busy}")
        target = self._target_of(name, command.request_id)
        if target is None:
            self.broken("sent for nobody", f"{name}: no target has request {command.request_id}")
            return
        later.installs_in_time(self, target)
        later.offered(self, command, target)
        self.check_order(station, command, target)

    def check_order(self, station: Station, command: UpdateFirmware, target: Target) -> None:
        """What holds for every order that brings an image."""
        self._check_proof(station, command, target)
        self.check_stop(target)
        self._check_order(target)
        later.follows(self, target)
        self._check_single(station, command, target)

    def _target_of(self, name: str, request_id: int) -> Target | None:
        rows = self.books.campaigns.target_rows.values()
        return next((row for row in rows if row.charger_id == name and row.request_id == request_id), None)

    def _check_proof(self, station: Station, command: UpdateFirmware, target: Target) -> None:
        artifact = self.books.artifacts.rows[target.artifact_id]
        since = self.withdrawn.get(target.artifact_id)
        gone = since is not None and self.loop.time() > since + GRACE_S
        if command.signature is None or command.signing_certificate is None:
            self.broken("sent without vendor signature", station.name)
        if artifact.phase not in (ArtifactPhase.RELEASED, ArtifactPhase.REVOKED):
            self.broken("sent what is not released", f"{station.name}: {artifact.version}")
        if gone:
            self.broken("sent what was withdrawn", f"{station.name}: {artifact.version}")
        rows = self.books.campaigns
        signed = [
            row
            for row in rows.directive_rows
            if (row.campaign_id, row.wave) == (target.campaign_id, target.wave)
        ]
        if not any(
            row.envelope.startswith(b"sealed:") and f'"{station.name}"'.encode() in row.envelope
            for row in signed
        ):
            self.broken("sent without a directive", station.name)

    def check_stop(self, target: Target) -> None:
        """Nothing but a way back leaves long after a stop was acknowledged."""
        name, now = target.campaign_id, self.loop.time()
        back = target.wave >= ROLLBACK_WAVE_BASE
        since = self.stopped.get(name, self.paused.get(name))
        if since is not None and not back and now > since + GRACE_S:
            self.broken(
                "sent after the stop was acknowledged", f"{target.charger_id}, {now - since:.1f} s after"
            )
        if self.halted is not None and now > self.halted + GRACE_S:
            self.broken("sent under a halt", target.charger_id)

    def _check_order(self, target: Target) -> None:
        """Nothing after the end or a recall, and no second wave before a rehearsal that was asked for."""
        campaign, now = self.books.campaigns.rows[target.campaign_id], self.loop.time()
        if target.wave >= ROLLBACK_WAVE_BASE:
            return
        ends_at = campaign.ends_at
        if ends_at is not None and self.loop.instant() > ends_at + timedelta(seconds=GRACE_S):
            self.broken("sent after its end", f"{target.charger_id}: {ends_at:%H:%M:%S}")
        since = self.recalled.get((target.campaign_id, target.charger_id))
        if since is not None and now > since + GRACE_S:
            self.broken("sent after it was called back", f"{target.charger_id}, {now - since:.1f} s after")
        if (
            campaign.plan.rehearse_rollback
            and 0 < target.wave < REHEARSAL_WAVE
            and not self._rehearsed(campaign)
        ):
            self.broken("sent before its rehearsal", f"{target.charger_id} w{target.wave}")

    def _rehearsed(self, campaign: Campaign) -> bool:
        name = campaign.campaign_id
        passed = {
            row.wave
            for row in self.books.campaigns.decision_rows
            if row.campaign_id == name and row.kind == "rehearsal" and row.verdict is VerdictWord.PROCEED
        }
        by_hand = any(
            row.subject == f"campaign/{name}" and "let wave rehearsal" in str(row.detail.get("reason"))
            for row in self.books.audit.rows
        )
        return by_hand or passed >= {REHEARSAL_WAVE, FORWARD_AGAIN_WAVE}

    def _check_single(self, station: Station, command: UpdateFirmware, target: Target) -> None:
        """One update at a time, under one number for each attempt, and by the one lease holder."""
        lease = self.books.leases.rows.get(station.name)
        if lease is None or not lease.workflow_id.startswith("charger/"):
            self.broken("sent without its lease", station.name)
        fetches = command.install_at is not None
        attempt = f"{target.campaign_id}/{target.wave}/{target.attempt}"
        attempt += f" fetch {command.request_id}" * fetches
        for _, number, of in self._sent[station.name]:
            if of == attempt and number != command.request_id:
                self.broken(
                    "one attempt under two numbers", f"{station.name}: {number}, {command.request_id}"
                )
            if of != attempt and number == command.request_id:
                self.broken("two attempts under one number", f"{station.name}: {number}")
        self._sent[station.name].append((self.loop.time(), command.request_id, attempt))

    # --- what happens to chargers ----------------------------------------------------------------

    def happened(self, what: str, station: Station, thing: Any) -> None:
        """A charger's own truth."""
        if what == "update":
            self.note(f"{station.name} has request {thing.request_id}: {station._habit().value}")
            if station.sessions:
                self.broken("update under a session", station.name)
        elif what == "session cut":
            self.broken("session cut", station.name)
        elif what == "crashed in service":
            later.stays_up(self, station)
        elif what == "reset" and station.sessions:
            self.broken("reset under a session", station.name)
        elif what in ("availability", "availability forgotten"):
            self._availability(station, forgotten=what == "availability forgotten")
        else:
            self.note(f"{station.name}: {what}")
        self.seen[what] += 1

    def last_order(self, name: str) -> float | None:
        """When an order that brings an image left for it the last time."""
        return max((at for at, _, _ in self._sent[name]), default=None)

    def sent_first(self, target: Target) -> float | None:
        """When the order of this attempt left the first time."""
        attempt = f"{target.campaign_id}/{target.wave}/{target.attempt}"
        return min((at for at, _, of in self._sent[target.charger_id] if of == attempt), default=None)

    def _availability(self, station: Station, *, forgotten: bool) -> None:
        taken = any(station.before[each] and not station.operative[each] for each in station.operative)
        site = self.taken[station.nature.site]
        if taken and station.name not in site:
            self.away_since[station.name] = self.loop.time()
        if not taken and station.name in site:
            self.back[station.name] = self.loop.time()
            if not forgotten:
                later.gives_back(self, station, self.away_since[station.name])
        (site.add if taken else site.discard)(station.name)
        if taken:
            later.fed(self)
        most = self.max_down[station.nature.site]
        if len(site) > most:
            self.broken("site below its floor", f"{station.nature.site}: {sorted(site)}, allowed {most}")

    # --- what is written -------------------------------------------------------------------------

    def moved(self, before: Target, after: Target) -> None:
        """A target changed."""
        if after.reason.startswith(HELD) and not before.reason.startswith(HELD):
            self.seen["held back while we were late"] += 1
        if before.phase is not after.phase:
            word = f"{after.phase.value} {after.outcome or ''}".strip()
            self.note(f"{after.charger_id} w{after.wave}: {word} ({after.reason})")
            if (before.phase, after.phase) not in _ALLOWED:
                self.broken(
                    "no such move", f"{after.charger_id}: {before.phase.value} -> {after.phase.value}"
                )
        if before.outcome not in (None, after.outcome) and not later.fell_back(self, before, after):
            self.broken("an outcome changed", f"{after.charger_id}: {before.outcome} -> {after.outcome}")
        later.charged(self, before, after)
        if after.outcome is Outcome.UPDATED and before.outcome is None:
            self._check_attested(after)

    def _check_attested(self, target: Target) -> None:
        """Success only if it came back after a command of ours and said that it runs the version."""
        self.seen["successes"] += 1
        station = self.stations[target.charger_id]
        sent = [at for at, _, of in self._sent[station.name] if of.startswith(f"{target.campaign_id}/")]
        told = [at for at, version in station.booted_with if version == target.to_version]
        reads = station.version == target.to_version and bool(station.booted_with)
        if not sent:
            self.broken("success without a command", station.name)
        elif not any(at > sent[0] for at in told) and not (reads and station.booted_with[-1][0] > sent[0]):
            self.broken("success without a boot", f"{station.name}: {target.reason}")
        else:
            later.lasts(self, station, sent[0], target.reason)

    # --- at the end ------------------------------------------------------------------------------

    def judge_end(self, campaigns: list[str]) -> None:
        """After everything has healed and housekeeping has had its rounds."""
        for name in campaigns:
            self._judge_campaign(name)
            self._judge_decisions(name)
        for station in self.stations.values():
            self._judge_station(station)
        for name, lease in self.books.leases.rows.items():
            if self.books.leases._alive(lease) is not None:
                self.broken("a lease is left", f"{name}: {lease.workflow_id}")

    def _judge_campaign(self, name: str) -> None:
        campaign = self.books.campaigns.rows[name]
        if campaign.phase not in TERMINAL_CAMPAIGN_PHASES:
            self.broken("campaign without an end", f"{name} is {campaign.phase.value}: {campaign.reason}")
            return
        if not campaign.reason:
            self.broken("an end without a reason", name)
        for row in self.books.campaigns.target_rows.values():
            if row.campaign_id == name:
                self.seen["targets"] += 1
                if row.phase is not TargetPhase.DONE or row.outcome is None or not row.reason:
                    self.broken(
                        "lost charger", f"{row.charger_id} w{row.wave}: {row.phase.value} {row.outcome}"
                    )
        if campaign.phase is CampaignPhase.ROLLED_BACK:
            self._judge_rollback(name)

    def _judge_rollback(self, name: str) -> None:
        """Who is connected and was sent the version does not say that it runs it."""
        campaign = self.books.campaigns.rows[name]
        bad = self.books.artifacts.rows[campaign.plan.artifact_id].version
        self.seen["rollbacks"] += 1
        for row in self.books.campaigns.target_rows.values():
            came = row.dispatched_at is not None or (name, row.charger_id) in self.fetched
            ours = row.campaign_id == name and came and row.wave < ROLLBACK_WAVE_BASE
            twin = self.books.chargers.rows[row.charger_id].twin.firmware
            finished = campaign_ended(self, name)
            station = self.stations[row.charger_id]
            last = station.booted_with[-1][0] if station.booted_with else 0.0
            if ours and twin and twin.version == bad and last < finished:
                self.broken("rolled back, and it still runs", f"{row.charger_id}: {bad}")

    def _judge_decisions(self, name: str) -> None:
        policy = self.books.campaigns.rows[name].plan.gate
        looks: Counter[tuple[int, int, str]] = Counter()
        for decision in self.books.campaigns.decision_rows:
            if decision.campaign_id != name:
                continue
            self.seen["decisions"] += 1
            looks[decision.wave, decision.look, decision.kind] += 1
            try:
                if recompute(decision) != decision:
                    self.broken("verdict not recomputable", f"{name} w{decision.wave} look {decision.look}")
            except AmpwaveError as error:
                self.broken("verdict not recomputable", f"{name}: {error}")
            if decision.verdict is VerdictWord.PROCEED and decision.kind == "gate":
                facts = decision.inputs.get("facts") or {}
                tried = facts.get("updated", 0) + facts.get("failed", 0) + facts.get("silent", 0)
                if tried < policy.min_attempts or facts.get("unfinished", 1):
                    self.broken("passed without data", f"{name} w{decision.wave}: {tried} attempts")

    def _judge_station(self, station: Station) -> None:
        if station.dead or station.line is None:
            return
        forgot = Habit.FORGETS in station.nature.habits
        if station.operative != station.before and not forgot:
            self.broken(
                "availability not restored", f"{station.name}: {station.operative}, was {station.before}"
            )
        later.nothing_parked(self, station)
        if station.name in self.books.out_of_service.rows:
            self.broken("still on the books as out of service", station.name)


def campaign_ended(referee: Referee, name: str) -> float:
    """When the first terminal phase was written."""
    for row in referee.books.audit.rows:
        if row.subject == f"campaign/{name}" and row.action == "campaign.rolled_back":
            return (row.at - START).total_seconds()
    return float("inf")


def _words(command: Command) -> str:
    if isinstance(command, UpdateFirmware):
        kind = "UpdateFirmware" if command.install_at is None else "UpdateFirmware (fetch only)"
        return f"{kind} {command.request_id}"
    if isinstance(command, ChangeAvailability):
        where = f" {command.evse_id}" if command.evse_id else ""
        return f"ChangeAvailability{where} {'operative' if command.operative else 'inoperative'}"
    return type(command).__name__


Watch = Callable[[str, Station, Any], None]
