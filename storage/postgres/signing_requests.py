"""Signing requests of chargers, which are events, and how they were answered."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, case, exists, func, literal, or_, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from storage.certificate import RequestFilter, RequestState, SigningRequest
from storage.certificate_use import CertificateUse
from storage.errors import NotFound
from storage.events import EventKind
from storage.ports import Page
from storage.postgres import cursor as cursors
from storage.postgres.certificate_tables import certificate_request
from storage.postgres.engine import reading, transaction
from storage.postgres.leases import ALIVE
from storage.postgres.tables import charger_route, event, site_lease

_R = certificate_request.c
OPEN = "open"
"""Not answered yet."""
_REFUSAL = event.c.body["refusal"].astext
_STATE = case((_REFUSAL.is_not(None), RequestState.REFUSED.value), else_=func.coalesce(_R.state, OPEN))
_KIND = event.c.kind == EventKind.CERTIFICATE_SIGNING_REQUESTED.value


class SigningRequests:
    """Part of ``PostgresCertificateStore``."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._requests = engine

    async def request(self, sequence: int) -> SigningRequest:
        """Raises NotFound."""
        query = (
            select(event, _R.state, _R.reasons)
            .outerjoin(certificate_request, _R.sequence == event.c.sequence)
            .where(event.c.sequence == sequence, _KIND)
        )
        async with reading(self._requests) as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise NotFound("signing request", str(sequence))
        return _request(row)

    async def newest_request(self, charger_id: str, since: datetime) -> int | None:
        """The newest signing request since then that its node took."""
        query = (
            select(event.c.sequence)
            .where(
                _KIND,
                event.c.charger_id == charger_id,
                event.c.received_at >= since,
                event.c.body["refusal"].astext.is_(None),
            )
            .order_by(event.c.received_at.desc(), event.c.sequence.desc())
            .limit(1)
        )
        async with reading(self._requests) as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def open_requests(self, since: datetime, *, limit: int = 200) -> Sequence[SigningRequest]:
        """The newest one of each charger that is not answered; those before it count as superseded."""
        waiting = (
            select(
                event.c.sequence,
                event.c.charger_id,
                func.row_number()
                .over(partition_by=event.c.charger_id, order_by=event.c.sequence.desc())
                .label("place"),
            )
            .outerjoin(certificate_request, _R.sequence == event.c.sequence)
            .where(
                _KIND,
                event.c.received_at >= since,
                event.c.body["refusal"].astext.is_(None),
                _R.sequence.is_(None),
            )
            .subquery()
        )
        old = select(
            waiting.c.sequence,
            waiting.c.charger_id,
            literal(RequestState.SUPERSEDED.value),
            literal([], type_=_R.reasons.type),
            func.now(),
        ).where(waiting.c.place > 1)
        closing = insert(certificate_request).from_select(
            ["sequence", "charger_id", "state", "reasons", "at"], old
        )
        # Who is away or at other work waits without keeping a place from those behind it.
        newest = (
            select(event, literal(None).label("state"), literal(None).label("reasons"))
            .join(waiting, waiting.c.sequence == event.c.sequence)
            .join(charger_route, charger_route.c.charger_id == event.c.charger_id)
            .where(
                waiting.c.place == 1,
                charger_route.c.lease_until > func.now(),
                ~exists(select(1).where(site_lease.c.charger_id == event.c.charger_id, ALIVE)),
            )
            .order_by(event.c.sequence)
            .limit(limit)
        )
        async with transaction(self._requests) as connection:
            found = (await connection.execute(newest)).all()
            await connection.execute(closing.on_conflict_do_nothing())
        return [_request(row) for row in found]

    async def find_requests(
        self, wanted: RequestFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[SigningRequest]:
        """Newest first; those that a node refused at once are among the refused ones."""
        found = (
            select(event, _R.state, _R.reasons, _R.at, _STATE.label("became"))
            .outerjoin(certificate_request, _R.sequence == event.c.sequence)
            .where(_KIND)
        )
        if wanted.charger_ids is not None:
            found = found.where(event.c.charger_id.in_(wanted.charger_ids))
        if wanted.since is not None:
            found = found.where(event.c.received_at >= wanted.since)
        if wanted.of_station:
            use = event.c.body["use"].astext
            found = found.where(or_(use.is_(None), use == CertificateUse.CHARGING_STATION.value))
        if wanted.newest:
            found = found.ext(distinct_on(event.c.charger_id)).order_by(
                event.c.charger_id, event.c.received_at.desc(), event.c.sequence.desc()
            )
        each = found.subquery()
        place = func.row(each.c.received_at, each.c.sequence)
        query = select(each).order_by(each.c.received_at.desc(), each.c.sequence.desc())
        if wanted.states:
            query = query.where(each.c.became.in_([OPEN if one is None else one for one in wanted.states]))
        if cursor is not None:
            at, sequence = cursors.decode(cursor, 2)
            query = query.where(place < func.row(cursors.instant(at), cursors.whole(sequence)))
        async with reading(self._requests) as connection:
            rows = (await connection.execute(query.limit(limit + 1))).all()
        return cursors.page(
            rows, limit, _request, lambda row: (row.received_at.isoformat(), str(row.sequence))
        )

    async def answer_request(
        self, sequence: int, charger_id: str, state: RequestState, reasons: Sequence[str], at: datetime
    ) -> None:
        """The first answer stands."""
        row = {
            "sequence": sequence,
            "charger_id": charger_id,
            "state": state.value,
            "reasons": list(reasons),
            "at": at,
        }
        async with transaction(self._requests) as connection:
            await connection.execute(insert(certificate_request).values(row).on_conflict_do_nothing())


def _request(row: Row[*tuple[Any, ...]]) -> SigningRequest:
    body = row.body
    refusal = body.get("refusal")
    state = RequestState.REFUSED.value if refusal is not None else row.state
    reasons = (refusal,) if refusal is not None else tuple(row.reasons or ())
    return SigningRequest(
        sequence=row.sequence,
        charger_id=row.charger_id,
        csr=body["csr"],
        use=body.get("use"),
        request_id=body.get("request_id"),
        received_at=row.received_at,
        answered=RequestState(state) if state else None,
        reasons=reasons,
        answered_at=row.received_at if refusal is not None else getattr(row, "at", None),
    )
