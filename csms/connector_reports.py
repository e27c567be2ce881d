"""Which of a connector's reports counts, when clocks jump, queues come late and nodes hang (F19).

An idle connector may be taken out of service, so more than the charger's own time decides.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from storage.events import CommandAnswered, ConnectorStatus, ConnectorStatusChanged, EventRecord
from storage.health import HealthMemory
from storage.service import ServiceMemory
from storage.twin import ConnectorState, TwinState

SETTLED = timedelta(seconds=60)
"""Longer online than this, a charger has sent what it had queued: a change it reports happened now."""

_CAUTION = {
    ConnectorStatus.AVAILABLE: 0,
    ConnectorStatus.UNAVAILABLE: 0,
    ConnectorStatus.FAULTED: 1,
    ConnectorStatus.RESERVED: 2,
    ConnectorStatus.OCCUPIED: 2,
}
"""How strongly a status asks to be left alone."""


WHOLE = "0.0"
"""The key under which a charger as a whole reports (OCPP 1.6 connector 0)."""
_TAKEN = frozenset({"Accepted", "Scheduled"})


def put_back(told: CommandAnswered) -> bool:
    """Whether a charger said with this that it goes back into service as a whole."""
    return told.whole_back is True and told.status in _TAKEN


def whole_serves(known: ConnectorState) -> ConnectorState:
    """Connector 0 once the charger agreed to serve: its older word, from when it was out, is over.

    Many tell of connectors 1 to n alone when they are put back. When it told last stays as it is, so that
    what it tells from now on counts, whatever its clock says.
    """
    out = ConnectorStatus.UNAVAILABLE
    covered = ConnectorStatus.AVAILABLE if known.covered is out else known.covered
    return replace(
        known, status=ConnectorStatus.AVAILABLE if known.status is out else known.status, covered=covered
    )


def remembered_back(told: CommandAnswered, memory: HealthMemory | ServiceMemory) -> dict[str, Any]:
    """The same for what a fold remembers: what changes in it."""
    if not put_back(told) or memory.connectors.get(WHOLE) != ConnectorStatus.UNAVAILABLE.value:
        return {}
    return {
        "connectors": {**memory.connectors, WHOLE: ConnectorStatus.AVAILABLE.value},
        "parked": tuple(each for each in memory.parked if each != WHOLE),
    }


def moment(record: EventRecord) -> datetime:
    """When it happened: the charger's time, but never in our future (its clock may be ahead)."""
    return min(record.observed_at, record.received_at)


def supersedes(twin: TwinState, known: ConnectorState, record: EventRecord) -> bool:
    """Whether a connector's report replaces what is known of it.

    Live messages count in the order in which they come, whatever a clock that jumped says. Among those
    that may have been queued the charger's time decides, except that a report which gives more reason to
    leave the connector alone is never turned down: busy by mistake only costs time. What comes late from
    an earlier connection (its node hung) was said before, also by a charger whose clock is ahead of ours.
    """
    event: ConnectorStatusChanged = record.event  # type: ignore[assignment]  # the caller's
    if _CAUTION[event.status] > _CAUTION[known.status]:
        return True
    if is_earlier(known, record):  # It may only follow another of its kind that asked for caution.
        return known.covered is not None and moment(record) >= known.since
    if moment(record) >= known.since:
        return True
    return is_live(twin, record) and (known.reported_at is None or record.received_at >= known.reported_at)


def is_earlier(known: ConnectorState, record: EventRecord) -> bool:
    """Whether this was said over a connection before the one of what is known."""
    return record.session_epoch < known.session_epoch


def before_the_newest(known: ConnectorState, state: ConnectorState) -> ConnectorState:
    """A queued report that counts although a newer one is known: that one is covered, and comes back.

    Busy for a while by an old report must not end in idle when the newest word was a fault.
    """
    newest, since = known.covered or known.status, known.covered_since or known.since
    if _CAUTION[state.status] > _CAUTION[newest]:
        return replace(state, covered=newest, covered_since=since)
    return replace(state, status=newest, since=since, error_code=None, vendor_status=None)


def is_live(twin: TwinState, record: EventRecord) -> bool:
    """Whether its charger is online, and past what it may have queued."""
    link = twin.connectivity
    settled = link is not None and link.since is not None and record.received_at - link.since >= SETTLED
    return settled and link is not None and link.online
