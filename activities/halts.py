"""Halts that a process left unrecorded when it died: written down by the next round of record keeping."""

from temporalio import activity

from activities.errors import mapped
from activities.stores import Stores
from storage.errors import AmpwaveError
from storage.halt import Halt, HaltStore


class Halted(AmpwaveError):
    """Somebody broke the glass. Retryable: it goes on once two people restored it."""

    retryable = True

    def __init__(self, halt: Halt) -> None:
        super().__init__(
            f"Nothing is done: {halt.sentence}.", hint="Two people restore it: ampwave halt restore."
        )


async def refuse_halted(halts: HaltStore) -> None:
    """Raise Halted while everything is halted."""
    halt = await halts.standing()
    if halt is not None:
        raise Halted(halt)


class HaltActivities:
    """Register on the shared queue."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @activity.defn
    @mapped
    async def record_halts(self) -> int:
        """At least once each; how many."""
        halts = self._stores.halts
        missing = await halts.unrecorded()
        for halt in missing:
            detail = {"halt": halt.halt_id, "reason": halt.reason, "at": halt.at.isoformat()}
            await self._stores.record(halt.actor, "halt.pulled", halt.scope, **detail)
            await halts.mark_recorded(halt.halt_id)
        return len(missing)
