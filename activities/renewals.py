"""Renewing many chargers' certificates: who is due, who can be reached now, and the books."""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from temporalio import activity

from activities.errors import mapped
from activities.stores import Stores
from storage.certificate import CertificateStore
from storage.halt import Halt
from storage.renewal import (
    FINAL,
    Renewal,
    RenewalOutcome,
    RenewalPhase,
    RenewalPlan,
    RenewalStore,
    RenewalTarget,
    WaveCounts,
    backoff,
)
from storage.twin import busy_reason

SCHEDULED = "scheduled renewal"
_LATELY = timedelta(days=1)
_REMEMBERED = timedelta(days=60)
"""How long it is remembered that a charger could not be renewed."""
_CANARY = 5
_LOOKED_AT = 500


@dataclass(frozen=True, slots=True)
class RenewalRules:
    """When a charger's certificate is renewed by itself. S56: a month before its end."""

    before: timedelta = timedelta(days=30)
    jitter: timedelta = timedelta(days=10)
    """Each charger has its own day within so many before that, so that a fleet does not come at once."""
    at_once: int = 5000
    """Chargers of one scheduled renewal."""
    enabled: bool = True
    pressing: timedelta = timedelta(days=21)
    """So near its end a certificate waits for nobody: its charger is taken out of what is paused or held."""
    alarm: timedelta = timedelta(days=14)
    """So near its end one that has not been renewed is an incident."""


@dataclass(frozen=True, slots=True)
class RenewalNow:
    """A renewal as it stands."""

    plan: RenewalPlan
    phase: RenewalPhase
    waves: int


@dataclass(frozen=True, slots=True)
class PageOrder:
    """Which chargers of a wave are wanted."""

    renewal_id: str
    wave: int
    limit: int


class Due(NamedTuple):
    """A charger that can be renewed now."""

    ordinal: int
    charger_id: str
    attempts: int


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How one attempt on one charger ended. ``outcome`` None: nothing was begun."""

    renewal_id: str
    wave: int
    due: Due
    outcome: RenewalOutcome | None
    reason: str
    serial: str | None
    last: bool
    """It gets no further attempt."""
    backoff_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class PhaseOrder:
    """Where a renewal goes next; with ``defer_wave`` whoever has no outcome in it gets one."""

    renewal_id: str
    phase: RenewalPhase
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class WaveOrder:
    """One wave of a renewal."""

    renewal_id: str
    wave: int


class OpenRequest(NamedTuple):
    """A charger that asked by itself, and waits for its certificate."""

    charger_id: str
    sequence: int


def due_at(charger_id: str, not_after: datetime, rules: RenewalRules) -> datetime:
    """From when on a charger's certificate is renewed: its own day, always the same."""
    share = int.from_bytes(hashlib.sha256(charger_id.encode()).digest()[:8]) / 2**64
    return not_after - rules.before - rules.jitter * share


class FleetRenewalActivities:
    """On any worker."""

    def __init__(
        self,
        stores: Stores,
        certificates: CertificateStore,
        renewals: RenewalStore,
        rules: RenewalRules | None = None,
    ) -> None:
        self._stores = stores
        self._certificates = certificates
        self._renewals = renewals
        self._rules = rules or RenewalRules()

    # One renewal.

    @activity.defn
    @mapped
    async def load_renewal(self, renewal_id: str) -> RenewalNow:
        """Its plan and where it stands."""
        found = await self._renewals.get(renewal_id)
        return RenewalNow(found.plan, found.phase, found.waves)

    @activity.defn
    @mapped
    async def find_renewable(self, given: PageOrder) -> tuple[Due, ...]:
        """The next chargers of a wave that are connected, free and idle; none while there is a halt."""
        halt: Halt | None = await self._stores.halts.standing()
        if halt is not None:
            return ()
        now = self._stores.clock()
        # More than fit, as those who charge for hours would keep everybody behind them waiting.
        found = await self._renewals.due(
            given.renewal_id, given.wave, now, limit=max(_LOOKED_AT, 2 * given.limit)
        )
        views = await self._stores.chargers.views([each.charger_id for each in found])
        idle = {view.charger.charger_id for view in views if busy_reason(view.twin.operation, now) is None}
        return tuple(
            Due(each.ordinal, each.charger_id, each.attempts) for each in found if each.charger_id in idle
        )[: given.limit]

    @activity.defn
    @mapped
    async def note_attempt(self, given: AttemptEnd) -> None:
        """Write down how an attempt ended, and when the next one may be."""
        now, due = self._stores.clock(), given.due
        over = given.outcome in (RenewalOutcome.RENEWED, RenewalOutcome.TAKEN) or given.last
        counted = due.attempts + (given.outcome is not None)
        target = RenewalTarget(
            renewal_id=given.renewal_id,
            wave=given.wave,
            ordinal=due.ordinal,
            charger_id=due.charger_id,
            attempts=counted,
            not_before=now + backoff(counted, given.backoff_seconds),
            reason=given.reason,
            serial=given.serial,
        )
        if given.outcome is not None and over:
            target = replace(target, outcome=given.outcome, finished_at=now, not_before=None)
        await self._renewals.note(target)

    @activity.defn
    @mapped
    async def measure_renewal_wave(self, given: WaveOrder) -> WaveCounts:
        """How a wave stands."""
        return await self._renewals.counts(given.renewal_id, given.wave)

    @activity.defn
    @mapped
    async def close_renewal_wave(self, given: WaveOrder) -> int:
        """Whoever was not reached while it ran is deferred."""
        reason = "it could not be reached while its wave ran"
        now = self._stores.clock()
        return await self._renewals.defer(given.renewal_id, given.wave, reason, now)

    @activity.defn
    @mapped
    async def carry_renewal_wave(self, given: WaveOrder) -> int:
        """Whoever is left of a wave that passes all the same gets its turn in the next one."""
        return await self._renewals.carry(given.renewal_id, given.wave)

    @activity.defn
    @mapped
    async def set_renewal_phase(self, given: PhaseOrder) -> None:
        """Move it, and write who did why."""
        now = self._stores.clock()
        if not await self._renewals.set_phase(given.renewal_id, given.phase, given.reason, now):
            return
        if given.phase in FINAL:
            await self._renewals.defer(given.renewal_id, None, f"the job is over: {given.reason}", now)
        await self._stores.record(
            given.actor, f"renewal.{given.phase.value}", f"renewal/{given.renewal_id}", reason=given.reason
        )

    # What is due.

    @activity.defn
    @mapped
    async def find_open_requests(self, limit: int) -> tuple[OpenRequest, ...]:
        """Chargers that asked for a certificate, wait for it, are connected and free."""
        since = self._stores.clock() - _LATELY
        found = await self._certificates.open_requests(since, limit=limit)
        routes = await self._stores.routes.live([each.charger_id for each in found])
        free = await asyncio.gather(*(self._free(each.charger_id) for each in found))
        return tuple(
            OpenRequest(each.charger_id, each.sequence)
            for each, is_free in zip(found, free, strict=True)
            if each.charger_id in routes and is_free
        )

    async def _free(self, charger_id: str) -> bool:
        return await self._stores.leases.get(charger_id) is None

    @activity.defn
    @mapped
    async def find_unsettled(self, limit: int) -> tuple[str, ...]:
        """Chargers that came with a certificate of ours, which is not on record, or have older ones left."""
        return tuple(dict.fromkeys(await self._certificates.unsettled(limit=limit)))

    @activity.defn
    @mapped
    async def plan_renewals(self, at: str) -> tuple[str, ...]:
        """Open a renewal for the chargers that are due, if none is open; ids of all that are not over."""
        running = tuple(await self._renewals.running())
        if not self._rules.enabled or await self._rests():
            return running
        rules, now = self._rules, self._stores.clock()
        # Who is away cannot be asked, and a wave of such would show nothing and hold for ever.
        ending = await self._certificates.expiries(
            now + rules.before + rules.jitter, limit=rules.at_once, online_only=True
        )
        wanted = [each for each in ending if due_at(each.charger_id, each.not_after, rules) <= now]
        pressing = [each.charger_id for each in wanted if each.not_after - now <= rules.pressing]
        due = await self._wanted([each.charger_id for each in wanted], pressing)
        if not due.all:
            return running
        # First: whoever dies in between finds them free at the next look.
        await self._reschedule(sorted(set(pressing) & set(due.all)), now)
        renewal_id = f"scheduled-{at}"
        plan = scheduled_plan(due)
        new = Renewal(renewal_id, plan, RenewalPhase.RUNNING, "it has begun", SCHEDULED, now, len(due.all), 0)
        await self._renewals.create(new, due.all)
        await self._stores.record(
            SCHEDULED, "renewal.created", f"renewal/{renewal_id}", chargers=len(due.all), first=due.all[0]
        )
        return (*running, renewal_id)

    async def _rests(self) -> bool:
        """Whether the last scheduled one is not over, or was stopped so lately that the next one waits.

        Renewals of people, and changes of roots, may be paused for weeks: certificates end meanwhile.
        """
        last = await self._renewals.newest_of(SCHEDULED)
        if last is None:
            return False
        if last.phase not in FINAL:
            return True
        stopped = last.phase is RenewalPhase.ABORTED and last.finished_at is not None
        return stopped and self._stores.clock() - (last.finished_at or last.created_at) < _LATELY

    async def _reschedule(self, pressing: Sequence[str], now: datetime) -> None:
        """What somebody paused, or a gate holds, says so of each charger that it loses."""
        if not pressing:
            return
        days = self._rules.pressing.days
        reason = f"it stood still here within {days} days of its certificate's end: the schedule renews it"
        for renewal_id, count in (await self._renewals.reschedule(pressing, reason, now)).items():
            await self._stores.record(
                SCHEDULED, "renewal.rescheduled", f"renewal/{renewal_id}", chargers=count, days=days
            )

    async def _wanted(self, due: Sequence[str], pressing: Sequence[str]) -> "Wanted":
        """Those whom nobody else renews, and who were not given a newer one that they have yet to show.

        Those whose end presses are not in the hands of anybody who stands still.
        """
        now = self._stores.clock()
        given = await self._certificates.given_since(due, now - _LATELY * 7)
        still = await self._renewals.standing_still(pressing)
        taken = given | (await self._renewals.in_any(due) - still.keys())
        failed = await self._renewals.came_to_nothing(due, now - _REMEMBERED)
        left = [each for each in due if each not in taken]
        return Wanted(
            tuple(each for each in left if each not in failed),
            # A02.FR.18: whoever could not be renewed is left alone for a day.
            tuple(each for each in left if each in failed and now - failed[each] >= _LATELY),
        )


class Wanted(NamedTuple):
    """Who is due."""

    fresh: tuple[str, ...]
    again: tuple[str, ...]
    """Those with whom it came to nothing before."""

    @property
    def all(self) -> tuple[str, ...]:
        """The fresh ones first: whether renewing works is shown by those that never said no."""
        return (*self.fresh, *self.again)


def scheduled_plan(due: Wanted) -> RenewalPlan:
    """A canary that one or two odd chargers do not hold; those that failed before are no canary."""
    name = f"{SCHEDULED} of {len(due.all)} chargers"
    canary = min(_CANARY, len(due.fresh)) or len(due.all)
    # Nobody waits for one that nobody began: held for a day, it makes room for the next one.
    hold = _LATELY.total_seconds()
    return RenewalPlan(name, canary=canary, max_failed_share=0.4, max_lost=2, hold_seconds=hold)
