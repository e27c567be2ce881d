"""Housekeeping of twins: snapshots of their past, and the round that looks for drift.

It reads twins that changed, lets ``storage.drift`` judge, and writes down what that says.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.errors import mapped
from activities.stores import Stores
from storage.desired import Answers
from storage.drift import Drift, DriftFacts, DriftState, judge
from storage.errors import Conflict
from storage.quarantine import QuarantineAct, rule_of

ACTOR = "housekeeping"
PAGE = 500
SUMMARISED = 500
"""Chargers in one round at most."""
ROUND = 10_000
"""Chargers in one round at most; the next round goes on."""


SetAside = Callable[[QuarantineAct], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class DriftPolicy:
    """When a difference is drift, and what follows."""

    grace: timedelta = timedelta(minutes=10)
    set_aside: SetAside | None = None
    """Puts a charger whose drift looks like an intrusion into quarantine; None: it is only on record."""


class TwinActivities:
    """On any worker."""

    def __init__(self, stores: Stores, policy: DriftPolicy) -> None:
        self._stores = stores
        self._policy = policy

    @activity.defn
    @mapped
    async def sweep_drift(self) -> int:
        """Judge every charger that is due. Returns how many drifts opened or closed."""
        judged, moved = set[str](), 0
        while len(judged) < ROUND:
            page = await self._stores.twins.drift_facts(limit=PAGE)
            fresh = [facts for facts in page if facts.twin.charger_id not in judged]
            for facts in fresh:
                moved += len(await self._judge(facts))
            judged |= {facts.twin.charger_id for facts in fresh}
            if len(page) < PAGE or not fresh:
                break
        return moved

    @activity.defn
    @mapped
    async def summarise_twins(self) -> int:
        """Write the snapshots that are due; how many. What is left over is for the next round."""
        return await self._stores.twins.summarise(limit=SUMMARISED)

    async def _judge(self, facts: DriftFacts) -> Sequence[Drift]:
        now = self._stores.clock()
        verdict = judge(facts, self._policy.grace, now)
        open_already = {drift.path for drift in facts.known if drift.state is DriftState.OPEN}
        for drift in verdict.drifts:
            opens = drift.state is DriftState.OPEN and drift.path not in open_already
            if opens and drift.suspicion and self._policy.set_aside:
                # Before it is on record as open, for then nobody would look at it again after a crash.
                await self._set_aside(drift, self._policy.set_aside)
        moved = await self._stores.twins.note_drift(facts, verdict.drifts, now)
        for section in facts.desired:
            if acks := verdict.acks.get(section.section):
                sent = {path: section.values[path] for path in acks}
                await self._stores.twins.answer(
                    Answers(section.charger_id, section.section, section.version, sent, acks, ACTOR, "drift")
                )
        for drift in moved:
            await self._tell(drift)
        return moved

    async def _tell(self, drift: Drift) -> None:
        opened = drift.state is DriftState.OPEN
        await self._stores.record(
            ACTOR,
            "charger.drift_opened" if opened else "charger.drift_closed",
            f"charger/{drift.charger_id}",
            path=drift.path,
            severity=drift.severity.value,
            desired=drift.desired,
            reported=drift.reported,
            suspicion=drift.suspicion,
            reason=drift.reason,
        )

    async def _set_aside(self, drift: Drift, set_aside: SetAside) -> None:
        given = QuarantineAct(
            drift.charger_id, ACTOR, drift.suspicion, self._stores.clock(), rule_of(drift.path).signal
        )
        with suppress(Conflict):  # It is on its way out.
            await set_aside(given)
