"""Sessions and their timelines, health signals, incidents: what the projections tell."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query

from api.acts import close_incident as end_incident
from api.auth import Permission
from api.guard import Caller, GuardedRoute, Services, permit
from api.replies import Cursor, Limit
from api.schemas.common import ChargerId, Instant, PageReply
from api.schemas.watching import (
    CloseBody,
    HealthReply,
    IncidentReply,
    SessionReply,
    SessionTimelineReply,
    entry_reply,
)
from storage.charging import ChargingSession
from storage.errors import InvalidInput

router = APIRouter(prefix="/api/v1", tags=["watching"], route_class=GuardedRoute)

LEAD = timedelta(minutes=2)
"""How much of before a session's first word, and of after its last, belongs to its timeline."""
MOST_CHARGERS = 500
LONGEST = timedelta(days=31)

# 2.x identifierString, and the names that we give to stops without an id.
TransactionId = Annotated[
    str, Path(pattern=r"^[A-Za-z0-9*_=:+|@.\-]{1,64}$", examples=["7"], description="Transaction id.")
]
_Chargers = Annotated[
    str,
    Query(
        min_length=1,
        max_length=MOST_CHARGERS * 49,
        pattern=r"^[A-Za-z0-9*_=:+|@.\-]{1,48}(,[A-Za-z0-9*_=:+|@.\-]{1,48})*$",
        description=f"OCPP identities, separated by commas; at most {MOST_CHARGERS}.",
        examples=["CP-0001,CP-0002"],
    ),
]


@router.get("/chargers/{charger_id}/sessions")
@permit(Permission.READ)
async def list_sessions(
    services: Services, charger_id: ChargerId, limit: Limit = 100, cursor: Cursor = None
) -> PageReply[SessionReply]:
    """The sessions of a charger, latest first."""
    await services.chargers.get(charger_id)
    page = await services.watch.sessions.of_charger(charger_id, limit=limit, before=cursor)
    more = page[-1][0] if len(page) == limit else None
    return PageReply(items=tuple(SessionReply.of(session) for _, session in page), next_cursor=more)


@router.get("/chargers/{charger_id}/sessions/{transaction_id}")
@permit(Permission.READ)
async def get_session(
    services: Services, charger_id: ChargerId, transaction_id: TransactionId
) -> SessionReply:
    """One session."""
    return SessionReply.of(await services.watch.sessions.get(charger_id, transaction_id))


@router.get("/chargers/{charger_id}/sessions/{transaction_id}/timeline")
@permit(Permission.READ)
async def get_session_timeline(
    services: Services,
    charger_id: ChargerId,
    transaction_id: TransactionId,
    limit: Limit = 500,
    cursor: Cursor = None,
) -> SessionTimelineReply:
    """A session with every OCPP frame and event of its charger while it went on, oldest first."""
    store = services.watch.sessions
    session = await store.get(charger_id, transaction_id)
    since, until = _span(session, services.clock())
    entries = await store.timeline(charger_id, since, until, limit=limit, after=cursor)
    return SessionTimelineReply(
        session=SessionReply.of(session),
        since=since,
        until=until,
        items=tuple(entry_reply(entry, session) for entry in entries),
        next_cursor=entries[-1].position if len(entries) == limit else None,
    )


def _span(session: ChargingSession, now: datetime) -> tuple[datetime, datetime]:
    """By our clock: from before the first word of it to after the last."""
    words = (session.started_received_at, session.ended_received_at, session.heard_at)
    known = [at for at in words if at is not None]
    last = now if session.open else max(known)
    return min(known) - LEAD, last + LEAD


@router.get("/health/signals")
@permit(Permission.READ)
async def get_health_signals(
    services: Services,
    chargers: _Chargers,
    since: Annotated[
        Instant | None, Query(alias="from", description="Hours count whole; default: `hours` ago.")
    ] = None,
    until: Annotated[Instant | None, Query(alias="to", description="Default: now.")] = None,
    hours: Annotated[
        int, Query(ge=1, le=744, description="Without `from`, the last so many, as long as they are kept.")
    ] = 24,
    baseline_days: Annotated[int, Query(ge=1, le=28, description="Days before, to compare with.")] = 14,
) -> HealthReply:
    """Health signals of a set of chargers over a window, with each one's own baseline before it."""
    end, time = until or services.clock(), services.watch.health.time
    begin = since or end - time.span(hours)
    names = tuple(dict.fromkeys(chargers.split(",")))
    _check_question(names, begin, end)
    baseline = time.span(24 * baseline_days)
    return HealthReply.of(await services.watch.health.signals(names, begin, end, baseline))


def _check_question(names: tuple[str, ...], begin: datetime, end: datetime) -> None:
    problems = []
    if len(names) > MOST_CHARGERS:
        problems.append(f"chargers: {len(names)} are more than {MOST_CHARGERS} at once")
    if not begin < end:
        problems.append("from: must be before `to`")
    elif end - begin > LONGEST:
        problems.append(f"from: more than {LONGEST.days} days before `to`")
    elif begin.year < 2000 or end.year > 9000:
        problems.append("from, to: nothing is known of that time")
    if problems:
        raise InvalidInput("These signals cannot be read.", problems)


@router.get("/incidents")
@permit(Permission.READ)
async def list_incidents(
    services: Services,
    closed: Annotated[bool, Query(description="Also those that are over.")] = False,
    limit: Limit = 100,
) -> PageReply[IncidentReply]:
    """Incidents, latest first: sites that are dark, stuck sessions, energy that contradicts itself."""
    found = await services.watch.incidents.find(open_only=not closed, limit=limit)
    return PageReply(items=tuple(IncidentReply.model_validate(each) for each in found), next_cursor=None)


@router.post("/incidents/{incident_id}/close", responses={409: {"description": "It is closed already"}})
@permit(Permission.INCIDENT_CLOSE)
async def close_incident(
    services: Services,
    caller: Caller,
    incident_id: Annotated[int, Path(ge=1, lt=2**63, description="Its number.")],
    body: CloseBody,
) -> IncidentReply:
    """Say that an incident is over and why. What it was about may open a new one when it is found again."""
    after = await end_incident(services, caller, incident_id, body.reason)
    return IncidentReply.model_validate(after)
