"""One look of a shard, judged: who may start, who waits and why, who is done without an attempt. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from activities.facts import Entry, RouteFacts, ShardFacts
from activities.fleet import TargetMoves
from storage.campaign import ROLLBACK_WAVE_BASE, Outcome
from workflows.eligibility import ChargerFacts, Ready, Skip, WaitUntil, assess
from workflows.messages import Retry


@dataclass(frozen=True, slots=True)
class Candidate:
    """A charger that may start as soon as its site has room."""

    charger_id: str
    site_id: str
    vendor_model: str
    route: RouteFacts
    out_of_service: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What the shard knows beside the facts."""

    campaign_id: str
    wave: int
    now: datetime
    flying: Collection[str]
    retries: Mapping[str, Retry]
    said: Mapping[str, str]
    """The reason last written, by charger."""


@dataclass(slots=True)
class Triage:
    """The judgement on everybody in the shard who is not in flight."""

    queue: list[Candidate]
    waiting: list[tuple[str, str, bool]]
    """(charger, reason, because of a session)."""
    done: list[tuple[str, Outcome, str]]
    earliest: datetime | None
    """When looking again makes sense at the earliest, if all who wait have such a time."""

    def moves(self, context: Context) -> TargetMoves:
        """What has to be written: reasons that changed, and last words."""
        news = [wait for wait in self.waiting if context.said.get(wait[0]) != wait[1]]
        return TargetMoves(context.campaign_id, context.wave, tuple(news), tuple(self.done))

    @property
    def open(self) -> int:
        """How many still have to be started."""
        return len(self.queue) + len(self.waiting)


def triage(facts: ShardFacts, context: Context) -> Triage:
    """Judge every target that is not in flight, in the order of the wave."""
    result = Triage([], [], [], None)
    times: list[datetime | None] = []
    recalled = {name for name, _ in facts.recalled}
    for entry in facts.entries:
        if entry.charger_id not in context.flying and entry.charger_id not in recalled:
            _sort(facts, context, entry, result, times)
    for name, why in facts.recalled:
        if name not in context.flying:
            result.done.append((name, Outcome.SKIPPED, why))
    known = [time for time in times if time is not None]
    if known and len(known) == len(times):
        result.earliest = min(known)
    return result


def choose(queue: Sequence[Candidate], slots: Mapping[str, int], room: int) -> list[Candidate]:
    """The first ``room`` of the queue for whom their site has a place."""
    left, chosen = dict(slots), list[Candidate]()
    for candidate in queue:
        if len(chosen) >= room:
            break
        if left.get(candidate.site_id, 0) > 0:
            left[candidate.site_id] -= 1
            chosen.append(candidate)
    return chosen


def _sort(
    facts: ShardFacts, context: Context, entry: Entry, result: Triage, times: list[datetime | None]
) -> None:
    name, retry = entry.charger_id, context.retries.get(entry.charger_id)
    situation, site = facts.situations[entry.situation], facts.sites[entry.site]
    downgrade = context.wave >= ROLLBACK_WAVE_BASE
    given = ChargerFacts(situation, facts.artifact, site, downgrade, facts.replaces, facts.takes)
    answer = assess(given, context.now)
    route = facts.route(entry)
    if isinstance(answer, Skip):
        result.done.append((name, *_last_word(answer, retry)))
    elif retry and retry.not_before > context.now:
        result.waiting.append((name, context.said.get(name, "it will be tried again"), False))
        times.append(retry.not_before)
    elif isinstance(answer, WaitUntil) and not answer.for_site:
        result.waiting.append((name, answer.reason, answer.for_session))
        times.append(answer.when)
    elif route is None:
        result.waiting.append((name, "it is offline", False))
        times.append(None)
    else:
        vendor_model = f"{situation.vendor} {situation.model}"
        candidate = Candidate(name, site.site_id, vendor_model, route, entry.out_of_service)
        result.queue.append(candidate)
        if not isinstance(answer, Ready):
            times.append(None)


def _last_word(skip: Skip, retry: Retry | None) -> tuple[Outcome, str]:
    if retry is None:
        return (Outcome.ALREADY_CURRENT if skip.already_current else Outcome.SKIPPED), skip.reason
    if skip.already_current:
        return Outcome.UPDATED, "it booted with the version after its attempt was over"
    return Outcome.FAILED, f"its attempt failed, and now {skip.reason}"
