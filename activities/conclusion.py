"""Closing the books on one charger's maintenance: target, tickets, audit, lease, in that order.

Every step may be repeated: the first outcome stands, and the audit entry is written only while the
lease is still ours, which is released last.
"""

from dataclasses import dataclass, replace

from activities.stores import Stores, this_run
from activities.withdrawn import distrusted
from storage.campaign import Outcome, Target, TargetPhase
from storage.charger import SiteLease
from storage.ids import charger_workflow_id
from storage.kept import OWED, RUNS_IT
from storage.penalty import STOPPED, weigh

_LOST = frozenset({Outcome.FAILED, Outcome.SILENT})


@dataclass(frozen=True, slots=True)
class ConcludeInput:
    """How one charger's maintenance ended. ``outcome`` None: it goes back to waiting."""

    campaign_id: str
    wave: int
    charger_id: str
    attempt: int
    outcome: Outcome | None
    reason: str
    for_session: bool = False
    distrusted: bool = False
    """The charger refused the vendor's signature: the release is halted (S38)."""
    failed: bool = False
    """It had the image, and could not run it: calling it back makes that no less a failure."""
    stopped: bool = False
    """It said that it stopped (L01.FR.24), so what it told of the update before is over."""
    stayed_seconds: float | None = None
    """So long it has stayed up, as far as the workflow heard: its node has the last word on that."""


@dataclass(frozen=True, slots=True)
class RestoreInput:
    """The same, for a charger whose availability may have been taken away and has to be given back."""

    end: ConcludeInput
    session_epoch: int
    out_of_service: tuple[str, ...] = ()
    """What was out of service before, as the workflow knows it; the store's row is what counts."""


@dataclass(frozen=True, slots=True)
class ConcludeAnswer:
    """It was no success after all, and why."""

    reason: str


def taken_over(lease: SiteLease | None) -> bool:
    """Whether another run of this charger's workflow holds it: this run is over and does not know it."""
    if lease is None or lease.workflow_id != charger_workflow_id(lease.charger_id):
        return False
    return lease.run != this_run()


def settled(given: ConcludeInput, target: Target) -> ConcludeInput:
    """An attempt without a last word has one where somebody called it back.

    Neither success nor failure, unless it failed with the image, or an attempt before had failed: nobody
    takes a failure back.
    """
    if given.outcome is not None or not target.recalled:
        return given
    outcome = Outcome.FAILED if given.failed or given.attempt > 1 else Outcome.SKIPPED
    return replace(given, outcome=outcome, reason=f"{target.recalled}; {given.reason}")


async def owes(stores: Stores, target: Target, outcome: Outcome | None) -> bool:
    """Whether it counts by what its twin tells, and what was noted before is still to be compared (X9)."""
    if outcome not in RUNS_IT or target.dispatched_at is None:
        return False
    return await stores.kept.get(target.campaign_id, target.wave, target.charger_id) is not None


@dataclass(frozen=True, slots=True)
class Books:
    """Writes the end of one charger's maintenance."""

    stores: Stores

    async def close(self, given: ConcludeInput, *, compared: bool = False) -> None:
        """Finish or postpone the target, revoke its tickets, write the audit entry, release the lease.

        Nothing of it when another run of the same workflow has the charger by now: its books are not ours.
        Of who counts without having been ``compared`` the reason says so, and what was noted of it stays.
        """
        lease = await self.stores.leases.get(given.charger_id)
        if taken_over(lease):
            return
        target = await self.stores.campaigns.target(given.campaign_id, given.wave, given.charger_id)
        given = settled(given, target)
        owed = not compared and await owes(self.stores, target, given.outcome)
        if owed:
            given = replace(given, reason=f"{given.reason}; {OWED}")
        await self._settle_target(given, target)
        if given.outcome is not None and not owed:
            await self.stores.kept.forget(given.campaign_id, given.wave, given.charger_id)
        if given.distrusted:
            await distrusted(self.stores, target.artifact_id, given.charger_id, given.reason)
        if lease is None or lease.workflow_id == charger_workflow_id(given.charger_id):
            await self.stores.tickets.revoke_for(given.charger_id)
        if lease is not None and lease.workflow_id == charger_workflow_id(given.charger_id):
            await self._audit(given)
            await self.stores.leases.release(given.charger_id, lease.workflow_id, run=lease.run)

    async def _settle_target(self, given: ConcludeInput, target: Target) -> None:
        campaigns, now = self.stores.campaigns, self.stores.clock()
        if target.attempt > given.attempt:
            return  # A later attempt has begun; how this one ended decides nothing any more.
        if given.outcome is not None:
            await campaigns.finish_target(
                given.campaign_id, given.wave, given.charger_id, given.outcome, given.reason, now
            )
            if given.outcome in _LOST:
                await self._weigh(given.charger_id)
            return
        await campaigns.move_target(
            given.campaign_id,
            given.wave,
            given.charger_id,
            TargetPhase.WAITING,
            given.reason,
            at=now,
            deferred_for_session=given.for_session,
        )

    async def _weigh(self, charger_id: str) -> None:
        """Set it apart if it failed too often, over all campaigns (R27)."""
        stores = self.stores
        history = await stores.campaigns.target_history(charger_id)
        campaigns = {one.campaign_id for one in history}
        stopped = {name for name in campaigns if (await stores.campaigns.get(name)).phase in STOPPED}
        known = await stores.penalties.get(charger_id)
        penalty = weigh(charger_id, history, stopped, known, stores.clock())
        if penalty is not None and await stores.penalties.impose(penalty):
            await stores.record(
                "campaigns",
                "charger.set_apart",
                f"charger/{charger_id}",
                until=penalty.until.isoformat(),
                times=penalty.times,
                reason=penalty.reason,
            )

    async def _audit(self, given: ConcludeInput) -> None:
        await self.stores.record(
            f"campaign/{given.campaign_id}",
            "update.concluded" if given.outcome else "update.postponed",
            f"charger/{given.charger_id}",
            wave=given.wave,
            attempt=given.attempt,
            outcome=given.outcome.value if given.outcome else None,
            reason=given.reason,
        )
