"""One look of a shard, judged: who may start, who waits and why, who is done without an attempt. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from activities.facts import Entry, RouteFacts, ShardFacts
from activities.fleet import TargetMoves
from storage.campaign import Outcome, goes_back
from storage.parked import Parking
from workflows.eligibility import ChargerFacts, Ready, Skip, WaitUntil, assess
from workflows.fetch_rules import may_fetch
from workflows.messages import Retry


@dataclass(frozen=True, slots=True)
class Candidate:
    """A charger that may start as soon as its site has room."""

    charger_id: str
    site_id: str
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
    ahead: list[Candidate] = field(default_factory=list)
    """Who waits, and may fetch the image meanwhile (R20)."""

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
    # Who may fetch meanwhile may find no place at the uplink now, and one at the next tick.
    if known and len(known) == len(times) and not result.ahead:
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


def choose_fetching(queue: Sequence[Candidate], left: Mapping[str, int | None], room: int) -> list[Candidate]:
    """The first ``room`` of the queue for which their site's uplink has a place (None: for all)."""
    places, chosen = dict(left), list[Candidate]()
    for candidate in queue:
        if len(chosen) >= room:
            break
        place = places.get(candidate.site_id)
        if place is None:
            chosen.append(candidate)
        elif place > 0:
            places[candidate.site_id] = place - 1
            chosen.append(candidate)
    return chosen


def _sort(
    facts: ShardFacts, context: Context, entry: Entry, result: Triage, times: list[datetime | None]
) -> None:
    name, retry = entry.charger_id, context.retries.get(entry.charger_id)
    situation, site = facts.situations[entry.situation], facts.sites[entry.site]
    downgrade = goes_back(context.wave)
    local = facts.local_of(site.site_id)
    given = ChargerFacts(situation, facts.artifact, site, downgrade, facts.replaces, facts.takes, local)
    answer = assess(given, context.now)
    route = facts.route(entry)
    candidate = _candidate(facts, entry, route)
    if candidate and isinstance(answer, WaitUntil) and retry is None and may_fetch(given, context.now):
        result.ahead.append(candidate)
    if isinstance(answer, Skip) and answer.already_current and name in (stays := dict(facts.staying)):
        _sort_staying(facts, context, (name, stays[name]), result, times)
    elif isinstance(answer, Skip):
        result.done.append((name, *_last_word(answer, retry)))
    elif retry and retry.not_before > context.now:
        result.waiting.append((name, context.said.get(name, "it will be tried again"), False))
        times.append(retry.not_before)
    elif isinstance(answer, WaitUntil) and not answer.for_site:
        result.waiting.append((name, f"{answer.reason}{_image(facts, name)}", answer.for_session))
        times.append(answer.when)
    elif candidate is None:
        result.waiting.append((name, "it is offline", False))
        times.append(None)
    else:
        result.queue.append(candidate)
        if not isinstance(answer, Ready):
            times.append(None)


def _sort_staying(
    facts: ShardFacts,
    context: Context,
    stays: tuple[str, datetime | None],
    result: Triage,
    times: list[datetime | None],
) -> None:
    """It runs the version and has not stayed up with it: what an attempt may take, it may take, too."""
    (name, until), version = stays, facts.artifact.version
    retry = context.retries.get(name)
    takes = timedelta(seconds=facts.takes)
    # It may have been there, and stayed up, while nobody of ours listened.
    if retry is None or context.now < max(retry.not_before, facts.back_at or retry.not_before) + takes:
        reason = f"it runs {version} already, and counts once it has stayed up"
        result.waiting.append((name, reason, False))
        times.append(until)
    elif until is None:
        result.done.append((name, Outcome.SILENT, f"it ran {version}, and did not come back"))
    else:
        result.done.append((name, Outcome.FAILED, f"it runs {version}, and did not stay up with it"))


def _candidate(facts: ShardFacts, entry: Entry, route: RouteFacts | None) -> Candidate | None:
    if route is None:
        return None
    site = facts.sites[entry.site]
    return Candidate(entry.charger_id, site.site_id, route, entry.out_of_service)


def _image(facts: ShardFacts, charger_id: str) -> str:
    """What there is to say of an image that it fetched ahead."""
    has = any(one.charger_id == charger_id and one.state is Parking.FETCHED for one in facts.parked)
    return "; it has the image already" if has else ""


def _last_word(skip: Skip, retry: Retry | None) -> tuple[Outcome, str]:
    if retry is None:
        return (Outcome.ALREADY_CURRENT if skip.already_current else Outcome.SKIPPED), skip.reason
    if skip.already_current:
        return Outcome.UPDATED, "it booted with the version after its attempt was over"
    return Outcome.FAILED, f"its attempt failed, and now {skip.reason}"
