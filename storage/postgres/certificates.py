"""Certificates of chargers, and what is said of them."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Date, Row, Text, and_, cast, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.certificate import (
    ORDER,
    Certificate,
    CertificateFilter,
    CertificatePhase,
    Denied,
    EndCount,
    Expiry,
    RevocationList,
    StatusAnswer,
)
from storage.errors import NotFound
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.certificate_tables import certificate, revocation_list, status_answer
from storage.postgres.engine import reading, transaction
from storage.postgres.signing_requests import SigningRequests
from storage.postgres.tables import charger, twin, twin_section

_C = certificate.c
_REVOKED = CertificatePhase.REVOKED.value
_SECURITY = twin_section.c.reported
_ENDS = cast(_SECURITY["certificate_until"].astext, _C.not_after.type)
_ISSUES_NOW = (revocation_list.c.former, revocation_list.c.this_update.desc())
_STAMPS = {
    CertificatePhase.DELIVERED: "delivered_at",
    CertificatePhase.PROVEN: "proven_at",
    CertificatePhase.REVOKED: "revoked_at",
}


class PostgresCertificateStore(SigningRequests):
    """``storage.certificate.CertificateStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        super().__init__(engine)
        self._engine = engine

    async def add(self, certificate_: Certificate) -> Certificate:
        """Keep it; of one key of one charger the first one stands and is returned."""
        row = {**asdict(certificate_), "phase": certificate_.phase.value}
        async with transaction(self._engine) as connection:
            await connection.execute(insert(certificate).values(row).on_conflict_do_nothing())
            mine = and_(
                _C.charger_id == certificate_.charger_id,
                or_(
                    _C.serial == certificate_.serial,
                    and_(_C.key_sha256 == certificate_.key_sha256, _C.key_sha256 != ""),
                ),
            )
            found = (await connection.execute(select(certificate).where(mine).limit(1))).one()
        return _certificate(found)

    async def get(self, charger_id: str, serial: str) -> Certificate:
        """Raises NotFound."""
        query = select(certificate).where(_C.charger_id == charger_id, _C.serial == serial)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound("certificate", f"{charger_id}/{serial}", hint="See them: ampwave cert list.")
        return _certificate(row)

    async def of_charger(self, charger_id: str) -> Sequence[Certificate]:
        """Newest first."""
        query = select(certificate).where(_C.charger_id == charger_id)
        return await self._all(query.order_by(_C.issued_at.desc(), _C.serial))

    async def of_key(self, key_sha256: str) -> Sequence[Certificate]:
        """Whoever it was issued to."""
        return await self._all(select(certificate).where(_C.key_sha256 == key_sha256).limit(10))

    async def _all(self, query: Any) -> Sequence[Certificate]:
        async with reading(self._engine) as connection:
            return [_certificate(row) for row in await connection.execute(query)]

    async def find(
        self, wanted: CertificateFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Certificate]:
        """Those that end first come first."""
        query = select(certificate)
        if wanted.charger_id is not None:
            query = query.where(_C.charger_id == wanted.charger_id)
        if wanted.phase is not None:
            query = query.where(_C.phase == wanted.phase.value)
        if wanted.expires_before is not None:
            query = query.where(_C.not_after < wanted.expires_before, _C.phase != _REVOKED)
        if cursor is not None:
            ends, charger_id, serial = cursors.decode(cursor, 3)
            place = func.row(_C.not_after, _C.charger_id, _C.serial)
            query = query.where(place > func.row(cursors.instant(ends), charger_id, serial))
        query = query.order_by(_C.not_after, _C.charger_id, _C.serial).limit(limit + 1)
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query)).all()
        return cursors.page(
            rows, limit, _certificate, lambda row: (row.not_after.isoformat(), row.charger_id, row.serial)
        )

    async def move(
        self, charger_id: str, serial: str, phase: CertificatePhase, at: datetime, reason: str = ""
    ) -> Certificate:
        """To a later phase; to the same or an earlier one changes nothing. Raises NotFound."""
        earlier = [each.value for each in ORDER[: ORDER.index(phase)]]
        values: dict[str, Any] = {"phase": phase.value}
        if phase in _STAMPS:
            values[_STAMPS[phase]] = at
        if reason:
            values["reason"] = reason
        statement = (
            update(certificate)
            .where(_C.charger_id == charger_id, _C.serial == serial, _C.phase.in_(earlier))
            .values(values)
        )
        async with transaction(self._engine) as connection:
            await connection.execute(statement)
        return await self.get(charger_id, serial)

    # Revocation.

    async def revoked(self, issuer: str, now: datetime) -> Sequence[Certificate]:
        """Those of an issuer that are revoked and have not expired."""
        query = select(certificate).where(_C.issuer == issuer, _C.phase == _REVOKED, _C.not_after > now)
        return await self._all(query.order_by(_C.serial))

    async def revoked_serials(self, issuer: str, now: datetime) -> frozenset[str]:
        """Their serial numbers alone."""
        query = select(_C.serial).where(_C.issuer == issuer, _C.phase == _REVOKED, _C.not_after > now)
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def denied(self, since: datetime | None, now: datetime) -> Sequence[Denied]:
        """Those revoked since then that have not expired; None: all of them."""
        query = select(_C.charger_id, _C.serial, _C.reason, _C.revoked_at).where(
            _C.revoked_at.is_not(None), _C.not_after > now
        )
        if since is not None:
            query = query.where(_C.revoked_at >= since)
        async with reading(self._engine) as connection:
            return [Denied(*row) for row in await connection.execute(query)]

    async def is_denied(self, charger_id: str, serial: str) -> Denied | None:
        """Whether this one is."""
        query = select(_C.charger_id, _C.serial, _C.reason, _C.revoked_at).where(
            _C.charger_id == charger_id, _C.serial == serial, _C.revoked_at.is_not(None)
        )
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        return Denied(*row) if row else None

    async def put_list(self, issued: RevocationList) -> bool:
        """Whether it is newer than what was there."""
        statement = insert(revocation_list).values(asdict(issued))
        changed = {
            each: statement.excluded[each]
            for each in ("number", "der", "this_update", "next_update", "former")
        }
        statement = statement.on_conflict_do_update(
            index_elements=[revocation_list.c.issuer],
            set_=changed,
            where=statement.excluded.number > revocation_list.c.number,
        )
        async with transaction(self._engine) as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def newest_list(self, issuer: str | None = None) -> RevocationList | None:
        """Of an issuer; without one, of whoever issues now. None: there is none yet."""
        found = select(revocation_list).order_by(*_ISSUES_NOW).limit(1)
        if issuer is not None:
            found = found.where(revocation_list.c.issuer == issuer)
        async with reading(self._engine) as connection:
            row = (await connection.execute(found)).one_or_none()
        return RevocationList(*row) if row else None

    async def lists(self) -> Sequence[RevocationList]:
        """One of each issuer, who issues now first."""
        async with reading(self._engine) as connection:
            rows = await connection.execute(select(revocation_list).order_by(*_ISSUES_NOW))
            return [RevocationList(*row) for row in rows]

    async def issuers(self, now: datetime) -> frozenset[str]:
        """Of all certificates of ours that have not expired."""
        query = select(_C.issuer).where(_C.issuer != "", _C.not_after > now).distinct()
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def put_answers(self, answers: Sequence[StatusAnswer]) -> None:
        """Replace what was said of those certificates."""
        if not answers:
            return
        statement = insert(status_answer).values(
            [{**asdict(each), "phase": each.phase.value} for each in answers]
        )
        over = {each: statement.excluded[each] for each in ("issuer", "der", "phase", "next_update")}
        statement = statement.on_conflict_do_update(index_elements=[status_answer.c.serial], set_=over)
        async with transaction(self._engine) as connection:
            await connection.execute(statement)

    async def status_answer(self, serial: str) -> StatusAnswer | None:
        """What is said of a certificate."""
        query = select(status_answer).where(status_answer.c.serial == serial)
        async with reading(self._engine) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return StatusAnswer(row.issuer, row.serial, row.der, CertificatePhase(row.phase), row.next_update)

    async def unanswered(
        self, issuer: str, stale_before: datetime, now: datetime, *, limit: int
    ) -> Sequence[Certificate]:
        """Those of an issuer about which nothing is said, or something old, or what is not true any more."""
        said = status_answer.c
        query = (
            select(certificate)
            .outerjoin(status_answer, said.serial == _C.serial)
            .where(
                _C.issuer == issuer,
                _C.not_after > now,
                or_(
                    said.serial.is_(None),
                    said.next_update < stale_before,
                    (said.phase == _REVOKED) != (_C.phase == _REVOKED),
                ),
            )
            .order_by(said.next_update.nulls_first())
            .limit(limit)
        )
        return await self._all(query)

    # What chargers come with.

    async def unsettled(self, *, limit: int = 500) -> Sequence[str]:
        """Chargers that came with one of ours that is not on record as proven, or have older ones left."""
        early = (CertificatePhase.ISSUED.value, CertificatePhase.DELIVERED.value)
        older = certificate.alias("older")
        left = exists(
            select(1).where(
                older.c.charger_id == _C.charger_id,
                older.c.phase != _REVOKED,
                older.c.issued_at < _C.issued_at,
            )
        )
        query = (
            select(_C.charger_id)
            .join(twin_section, twin_section.c.charger_id == _C.charger_id)
            .where(
                twin_section.c.name == "security",
                _SECURITY["certificate_serial"].astext == cast(_C.serial, Text),
                _C.issuer != "",
                or_(_C.phase.in_(early), and_(_C.phase == CertificatePhase.PROVEN.value, left)),
            )
            .limit(limit)
        )
        async with reading(self._engine) as connection:
            return list((await connection.execute(query)).scalars())

    async def given_since(self, charger_ids: Sequence[str], since: datetime) -> frozenset[str]:
        """Those of them that were issued a certificate since then that counts."""
        query = select(_C.charger_id).where(
            _C.charger_id.in_(charger_ids), _C.issued_at >= since, _C.issuer != "", _C.phase != _REVOKED
        )
        async with reading(self._engine) as connection:
            return frozenset((await connection.execute(query)).scalars())

    async def expiries(
        self, before: datetime, *, limit: int = 1000, online_only: bool = False
    ) -> Sequence[Expiry]:
        """Chargers whose certificate ends before then, first ones first."""
        query = _shown_ends(before).limit(limit)
        if online_only:
            query = query.where(twin.c.online)
        async with reading(self._engine) as connection:
            return [Expiry(*row) for row in await connection.execute(query)]

    async def ending(
        self, since: datetime | None, before: datetime, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Expiry]:
        """The same, from ``since`` on, page by page."""
        query = _shown_ends(before)
        if since is not None:
            query = query.where(since <= _ENDS)
        if cursor is not None:
            ends, charger_id = cursors.decode(cursor, 2)
            place = func.row(_ENDS, twin_section.c.charger_id)
            query = query.where(place > func.row(cursors.instant(ends), charger_id))
        async with reading(self._engine) as connection:
            rows = (await connection.execute(query.limit(limit + 1))).all()
        return cursors.page(
            rows, limit, lambda row: Expiry(*row), lambda row: (row.ends.isoformat(), row.charger_id)
        )

    async def calendar(self, before: datetime) -> Sequence[EndCount]:
        """All that end before then, counted by day and issuer, first ones first."""
        shown = _shown_ends(before).order_by(None).subquery()
        day, issuer = cast(func.timezone("UTC", shown.c.ends), Date), shown.c.issuer
        query = (
            select(day, issuer, func.count(), func.count().filter(shown.c.online))
            .group_by(day, issuer)
            .order_by(day, issuer)
        )
        async with reading(self._engine) as connection:
            return [EndCount(*row) for row in await connection.execute(query)]


def _shown_ends(before: datetime) -> Any:
    """The certificates that chargers last came with and that end before then, in order."""
    serial = func.coalesce(_SECURITY["certificate_serial"].astext, "")
    issued = and_(_C.charger_id == twin_section.c.charger_id, _C.serial == serial)
    return (
        select(
            twin_section.c.charger_id,
            charger.c.site_id,
            serial.label("serial"),
            _ENDS.label("ends"),
            twin.c.online,
            func.coalesce(_C.issuer, "").label("issuer"),
        )
        .join(charger, charger.c.charger_id == twin_section.c.charger_id)
        .join(twin, twin.c.charger_id == twin_section.c.charger_id)
        .outerjoin(certificate, issued)
        .where(
            twin_section.c.name == "security",
            _SECURITY["certificate_until"].astext.is_not(None),
            before > _ENDS,
            charger.c.lifecycle != "retired",
        )
        .order_by(_ENDS, twin_section.c.charger_id)
    )


def _certificate(row: Row[*tuple[Any, ...]]) -> Certificate:
    values = row._asdict()
    return Certificate(**{**values, "phase": CertificatePhase(values["phase"])})
