"""Certificates and renewals in memory: what the api reads and writes, and the acts it asks for."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from activities.certificate_end import RevokeOrder
from activities.certificates import HandedIn, IssueAnswer
from storage.certificate import (
    Certificate,
    CertificateFilter,
    CertificatePhase,
    EndCount,
    Expiry,
    RequestFilter,
    RevocationList,
    SigningRequest,
    StatusAnswer,
)
from storage.errors import NotFound
from storage.ports import Page
from storage.renewal import FINAL, Renewal, RenewalPhase, RenewalTarget, StandingStill, WaveCounts, wave_sizes
from tests.support.memory import page_of
from workflows.signals import PersonRequest


class MemoryCertificates:
    def __init__(self) -> None:
        self.rows: list[Certificate] = []
        self.ends: list[Expiry] = []
        self.list: RevocationList | None = None
        self.answers: dict[str, StatusAnswer] = {}
        self.requests: list[SigningRequest] = []

    async def get(self, charger_id: str, serial: str) -> Certificate:
        for row in self.rows:
            if (row.charger_id, row.serial) == (charger_id, serial):
                return row
        raise NotFound("certificate", serial)

    async def of_charger(self, charger_id: str) -> Sequence[Certificate]:
        return [row for row in self.rows if row.charger_id == charger_id]

    async def find(
        self, wanted: CertificateFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Certificate]:
        found = [
            row
            for row in self.rows
            if wanted.charger_id in (None, row.charger_id)
            and wanted.phase in (None, row.phase)
            and (
                wanted.expires_before is None
                or (row.not_after < wanted.expires_before and row.phase is not CertificatePhase.REVOKED)
            )
        ]
        return Page(tuple(found[:limit]), None)

    async def expiries(self, before: datetime, *, limit: int = 1000) -> Sequence[Expiry]:
        return [each for each in self.ends if each.not_after < before][:limit]

    async def ending(
        self, since: datetime | None, before: datetime, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Expiry]:
        found = [
            each for each in self.ends if (not since or each.not_after >= since) and each.not_after < before
        ]
        return page_of(sorted(found, key=lambda one: (one.not_after, one.charger_id)), limit, cursor)

    async def calendar(self, before: datetime) -> Sequence[EndCount]:
        counts: dict[tuple[Any, str], list[int]] = {}
        for each in self.ends:
            if each.not_after < before:
                key = (each.not_after.date(), each.issuer)
                found = counts.setdefault(key, [0, 0])
                found[0] += 1
                found[1] += each.online
        return [EndCount(day, issuer, *found) for (day, issuer), found in sorted(counts.items())]

    async def newest_list(self, issuer: str | None = None) -> RevocationList | None:
        return self.list if self.list is None or issuer in (None, self.list.issuer) else None

    async def lists(self) -> Sequence[RevocationList]:
        return [] if self.list is None else [self.list]

    async def find_requests(
        self, wanted: RequestFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[SigningRequest]:
        found = [
            each
            for each in self.requests
            if (wanted.charger_ids is None or each.charger_id in wanted.charger_ids)
            and (not wanted.states or each.answered in wanted.states)
            and (wanted.since is None or each.received_at >= wanted.since)
        ]
        return page_of(found, limit, cursor)

    async def status_answer(self, serial: str) -> StatusAnswer | None:
        return self.answers.get(serial)


class MemoryRenewals:
    def __init__(self) -> None:
        self.rows: dict[str, Renewal] = {}
        self.lines: dict[str, list[RenewalTarget]] = {}

    async def create(self, new: Renewal, charger_ids: Sequence[str]) -> Renewal:
        if new.renewal_id not in self.rows:
            sizes = wave_sizes(len(charger_ids), new.plan)
            waves = [wave for wave, size in enumerate(sizes) for _ in range(size)]
            self.lines[new.renewal_id] = [
                RenewalTarget(new.renewal_id, wave, ordinal, charger_id)
                for ordinal, (wave, charger_id) in enumerate(zip(waves, charger_ids, strict=True))
            ]
            counts = {"open": len(charger_ids)}
            self.rows[new.renewal_id] = replace(new, waves=len(sizes), counts=counts)
        return self.rows[new.renewal_id]

    async def get(self, renewal_id: str) -> Renewal:
        if renewal_id not in self.rows:
            raise NotFound("renewal", renewal_id)
        return self.rows[renewal_id]

    async def find(self, *, limit: int = 50, cursor: str | None = None) -> Page[Renewal]:
        return page_of(list(self.rows.values()), limit, cursor)

    async def in_any(self, charger_ids: Sequence[str]) -> frozenset[str]:
        open_ones = {row.renewal_id for row in self.rows.values() if row.phase not in FINAL}
        lines = [line for name in open_ones for line in self.lines[name] if line.outcome is None]
        return frozenset(line.charger_id for line in lines) & frozenset(charger_ids)

    async def standing_still(self, charger_ids: Sequence[str]) -> dict[str, StandingStill]:
        found: dict[str, StandingStill] = {}
        running = set[str]()
        for row in self.rows.values():
            waiting = {line.charger_id for line in self.lines[row.renewal_id] if line.outcome is None}
            if row.phase is RenewalPhase.RUNNING:
                running |= waiting
            elif row.phase not in FINAL:
                still = StandingStill(row.renewal_id, row.plan.name, row.phase, row.reason, row.plan.work)
                found |= dict.fromkeys(waiting & set(charger_ids), still)
        return {name: still for name, still in found.items() if name not in running}

    async def counts(self, renewal_id: str, wave: int) -> WaveCounts:
        lines = [line for line in self.lines[renewal_id] if line.wave == wave]
        ends = Counter(line.outcome.value for line in lines if line.outcome)
        return WaveCounts(len(lines) - ends.total(), dict(ends))

    async def targets(self, renewal_id: str, *, limit: int = 100, after: int = -1) -> Sequence[RenewalTarget]:
        return [each for each in self.lines.get(renewal_id, []) if each.ordinal > after][:limit]


class MemoryCertificateActs:
    """What the api asks of workflows, kept; ``answer`` is what the signer says to a request."""

    def __init__(self) -> None:
        self.renewals: MemoryRenewals | None = None
        self.answer = IssueAnswer(None, ("its key is RSA 1024",))
        self.asked: list[Any] = []

    async def renew_certificate(self, charger_id: str, actor: str) -> None:
        self.asked.append((charger_id, actor))

    async def start_renewal(self, renewal_id: str) -> None:
        self.asked.append(renewal_id)

    async def steer_renewal(self, renewal_id: str, act: str, request: PersonRequest, update_id: str) -> None:
        self.asked.append((renewal_id, act, request.actor))
        if self.renewals is not None:
            phase = {"pause": RenewalPhase.PAUSED, "resume": RenewalPhase.RUNNING}.get(
                act, RenewalPhase.ABORTED
            )
            row = self.renewals.rows[renewal_id]
            self.renewals.rows[renewal_id] = replace(row, phase=phase, reason=request.reason)

    async def revoke_certificates(self, order: RevokeOrder) -> tuple[str, ...]:
        self.asked.append(order)
        return order.serials or ("AB",)

    async def issue_certificate(self, given: HandedIn) -> IssueAnswer:
        self.asked.append(given)
        return self.answer
