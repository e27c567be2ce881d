"""Whether a charger stays up, for who looks at the store: a boot or a new session begins the wait anew.

``workflows.steady`` has the same rule for an attempt that is watched.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from activities.stores import Stores
from storage.charger import OutOfService
from storage.errors import AmpwaveError
from storage.events import NO_RESTART, EventKind, StoredEvent
from storage.ports import ChargerView

_BEGINS = (EventKind.CHARGER_BOOTED.value, EventKind.CONNECTION_OPENED.value)


class DidNotStayUp(AmpwaveError):
    """A charger that counts for having stayed up has booted or connected since, or is not here any more."""


async def stays_up_until(stores: Stores, charger_id: str, seconds: float) -> datetime | None:
    """When a connected charger has stayed up for so long, if nothing happens; None: it has."""
    lasts = timedelta(seconds=seconds)
    told = await stores.events.since(charger_id, stores.clock() - lasts, _BEGINS)
    begun = max((one.received_at for one in told if _begins(one)), default=None)
    return begun + lasts if begun is not None else None


async def staying(
    stores: Stores, views: Iterable[ChargerView], seconds: float
) -> tuple[tuple[str, datetime | None], ...]:
    """Those of these that have not stayed up for so long, and when they will have; None: it is away."""
    found: list[tuple[str, datetime | None]] = []
    for view in views:
        name, connectivity = view.charger.charger_id, view.twin.connectivity
        if connectivity is None or not connectivity.online:
            found.append((name, None))
        elif until := await stays_up_until(stores, name, seconds):
            found.append((name, until))
    return tuple(found)


async def restless(stores: Stores, row: OutOfService) -> bool:
    """Whether a charger that was taken out for an update has not stayed up for as long as its plan wants."""
    seconds = row.steady_seconds
    return seconds is not None and await stays_up_until(stores, row.charger_id, seconds) is not None


def still_restless(row: OutOfService) -> str:
    """Ends the reason of a target whose charger is not put back for that: what happens, and what to do."""
    return (
        "it stays out of service, and counts as down at its site, until it has stayed up for "
        f"{row.steady_seconds or 0:g} s: housekeeping puts it back then, and `ampwave charger send "
        f"{row.charger_id} change-availability --operative yes` at once. If it goes on restarting, update it "
        "by a campaign of its own or mend it on site"
    )


def _begins(event: StoredEvent) -> bool:
    return event.kind is not EventKind.CHARGER_BOOTED or event.body.get("reason") not in NO_RESTART
