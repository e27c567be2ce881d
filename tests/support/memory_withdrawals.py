"""Withdrawals in memory, with the port's rules."""

from collections.abc import Sequence
from dataclasses import replace

from storage.errors import Conflict, NotFound
from storage.withdrawal import OnRecord, OnRecordAll, Source, Withdrawal
from tests.support.memory import MemoryAudit


class MemoryWithdrawals:
    audit: MemoryAudit | None = None

    def __init__(self) -> None:
        self.rows: dict[str, Withdrawal] = {}

    async def add(
        self, withdrawals: Sequence[Withdrawal], on_record: OnRecordAll | None = None
    ) -> Sequence[str]:
        held = {name: row for name, row in self.rows.items() if row.in_force}
        new = [
            each
            for each in withdrawals
            if each.subject not in held or (each.source is Source.PERSON and held[each.subject].restored_by)
        ]
        self.rows |= {each.subject: each for each in new}
        if new and on_record is not None and self.audit is not None:
            await self.audit.append(on_record([each.subject for each in new]))
        return [each.subject for each in new]

    async def in_force(self, subjects: Sequence[str]) -> Sequence[Withdrawal]:
        return [self.rows[name] for name in subjects if name in self.rows and self.rows[name].in_force]

    async def find(self, *, limit: int = 100) -> Sequence[Withdrawal]:
        return sorted(self.rows.values(), key=lambda row: row.withdrawn_at, reverse=True)[:limit]

    async def restore(self, subject: str, actor: str, on_record: OnRecord) -> Withdrawal:
        row = self.rows.get(subject)
        if row is None:
            raise NotFound("withdrawal", subject)
        if row.source is Source.LIST or actor in row.restored_by or not row.in_force:
            raise Conflict("Not so.")
        self.rows[subject] = replace(row, restored_by=(*row.restored_by, actor))
        if self.audit is not None:
            await self.audit.append(on_record(self.rows[subject]))
        return self.rows[subject]
