"""Enrolments in memory, by the same rules, as far as the doors and the workflow ask."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.charger import Charger, ChargerCredential
from storage.errors import Conflict, NotFound
from storage.ports import Page
from storage.provisioning import (
    ENROLMENT_OVER,
    Advance,
    Asset,
    Attestation,
    Claim,
    Enrolment,
    EnrolmentState,
    FactoryUnit,
    Redemption,
    SiteConstraints,
    Stranger,
)
from storage.quarantine import QuarantineAct, QuarantineCase
from storage.twin import Lifecycle
from tests.support.memory import page_of


class MemoryEnrolments:
    def __init__(self, chargers: Any) -> None:
        self._chargers = chargers
        self.rows: dict[str, Enrolment] = {}
        self.written: dict[str, Mapping[str, Any]] = {}
        self.allowed: dict[str, SiteConstraints] = {}
        self.units: dict[tuple[str, str], FactoryUnit] = {}
        self.claims: dict[str, Claim] = {}
        self.stays: list[QuarantineCase] = []

    async def enrol(
        self,
        charger: Charger,
        credential: ChargerCredential | None,
        given: Enrolment,
        *,
        dry_run: bool = False,
    ) -> bool:
        if dry_run:
            return given.charger_id not in self.rows
        await self._chargers.register(charger, credential)
        return self.rows.setdefault(given.charger_id, given) is given

    async def get(self, charger_id: str) -> Enrolment:
        if charger_id not in self.rows:
            raise NotFound("enrolment of charger", charger_id)
        return self.rows[charger_id]

    async def find(self, *, open_only: bool = False, limit: int = 100) -> Sequence[Enrolment]:
        rows = [row for row in self.rows.values() if not open_only or row.finished_at is None]
        return sorted(rows, key=lambda row: row.requested_at)[:limit]

    async def waiting(self, *, limit: int = 100, cursor: str | None = None) -> Page[Enrolment]:
        rows = await self.find(open_only=True, limit=10**9)
        return page_of(sorted(rows, key=lambda row: (row.requested_at, row.charger_id)), limit, cursor)

    async def standing(self) -> Mapping[EnrolmentState, int]:
        return Counter(row.state for row in self.rows.values())

    async def due(self, *, limit: int = 200) -> Sequence[str]:
        return [row.charger_id for row in self.rows.values() if row.finished_at is None][:limit]

    async def looked(self, charger_id: str, again_at: datetime, waits_for: str) -> None:
        del again_at
        self.rows[charger_id] = replace(self.rows[charger_id], waits_for=waits_for)

    async def advance(self, given: Advance) -> bool:
        row = self.rows[given.charger_id]
        if row.state is not given.expected:
            return False
        self.rows[given.charger_id] = replace(
            row,
            state=given.state,
            waits_for=given.waits_for,
            credential_at=given.credential_at or row.credential_at,
            checks=row.checks if given.checks is None else given.checks,
            finished_at=given.at if given.state in ENROLMENT_OVER else None,
        )
        return True

    async def attest(self, charger_id: str, given: Attestation) -> Enrolment:
        row = await self.get(charger_id)
        others = tuple(each for each in row.attestations if each.name != given.name)
        self.rows[charger_id] = replace(row, attestations=(*others, given))
        return self.rows[charger_id]

    async def describe(self, charger_id: str, asset: Asset) -> Enrolment:
        self.rows[charger_id] = replace(await self.get(charger_id), asset=asset)
        return self.rows[charger_id]

    async def issue_claim(self, given: Claim) -> None:
        await self.get(given.charger_id)
        self.claims[given.claim_sha256] = given

    async def redeem(self, given: Redemption) -> str:
        claim = self.claims.pop(given.claim_sha256, None)
        if claim is None or (claim.site_id, claim.serial_number) != (given.site_id, given.serial_number):
            raise Conflict("This claim opens nothing here.")
        return claim.charger_id

    async def allow(self, units: Sequence[FactoryUnit], actor: str, at: datetime) -> int:
        del actor, at
        before = len(self.units)
        self.units |= {(unit.vendor, unit.serial_number): unit for unit in units}
        return len(self.units) - before

    async def strangers(self, *, limit: int = 100) -> Sequence[Stranger]:
        del limit
        return []

    async def cases(self, charger_id: str, *, limit: int = 100) -> Sequence[QuarantineCase]:
        return [each for each in reversed(self.stays) if each.charger_id == charger_id][:limit]

    async def set_aside(self, given: QuarantineAct) -> None:
        before = (await self._chargers.get(given.charger_id)).charger.lifecycle
        self.stays.append(
            QuarantineCase(given.charger_id, given.signal, given.reason, given.actor, given.at, before)
        )
        await self._chargers.set_lifecycle(given.charger_id, Lifecycle.QUARANTINED)

    async def take_back(self, given: QuarantineAct) -> Lifecycle:
        view = await self._chargers.get(given.charger_id)
        if view.charger.lifecycle is not Lifecycle.QUARANTINED:
            raise Conflict(f"{given.charger_id} is not set aside.")
        await self._chargers.set_lifecycle(given.charger_id, Lifecycle.REGISTERED)
        return Lifecycle.REGISTERED

    async def put_template(self, name: str, body: Mapping[str, Any], actor: str, at: datetime) -> None:
        del actor, at
        self.written[name] = body

    async def template(self, name: str) -> Mapping[str, Any]:
        if name not in self.written:
            raise NotFound("template", name)
        return self.written[name]

    async def templates(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        return sorted(self.written.items())

    async def put_constraints(self, given: SiteConstraints, actor: str, at: datetime) -> None:
        del actor, at
        if given.site_id not in {site.site_id for site in await self._chargers.sites()}:
            raise NotFound("site", given.site_id)
        self.allowed[given.site_id] = given

    async def constraints(self, site_id: str) -> SiteConstraints | None:
        return self.allowed.get(site_id)
