"""Housekeeping of the journal of raw frames."""

from temporalio import activity

from activities.errors import mapped
from storage.clock import Clock
from storage.journal import JournalRound, JournalRule
from storage.ports import JournalStore


class JournalActivities:
    """Makes the partitions of the next days, drops those that have had their time."""

    def __init__(self, journal: JournalStore, rule: JournalRule, clock: Clock) -> None:
        self._journal = journal
        self._rule = rule
        self._clock = clock

    @activity.defn
    @mapped
    async def keep_journal(self) -> JournalRound:
        """Safe to repeat, and from two workers at once."""
        return await self._journal.keep(self._rule, self._clock())
