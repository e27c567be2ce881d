"""Chargers that count as updated and were never compared: who, the comparison, what became of it (X9).

A look at a twin, or an end at which nobody could ask, counts a charger as updated; that stands, whatever is
found here. ``workflows.late_rules`` judges who is asked, and when nobody is any more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial

from temporalio import activity

from activities.errors import beating, mapped
from activities.facts import RouteFacts, version_unread
from activities.keeping import Compared, compared_with, some
from activities.orders import Node
from activities.stores import Stores
from csms.errors import CommandTimeout
from csms.told import set_in
from storage.charger import Route
from storage.incident import IncidentChange, IncidentKind
from storage.kept import Kept, Owed, left_alone
from storage.ports import ChargerView
from storage.twin import IN_SERVICE, busy_reason
from storage.watching import IncidentStore

HEARTBEAT_S = 2.0
_MARGIN = timedelta(minutes=1)
"""A frame is stored a moment after the time that it bears."""
_WHO = "housekeeping"


@dataclass(frozen=True, slots=True)
class LateFacts:
    """One of them, now."""

    owed: Owed
    runs: str | None
    """The version that it told last; None: it is not read."""
    lifecycle: str
    in_service: bool
    busy: str
    """Why it cannot be asked in peace; "": it can."""
    route: RouteFacts | None


@dataclass(frozen=True, slots=True)
class LateOrder:
    """Whom to compare over which session, and how long it is left alone if that fails."""

    owed: Owed
    session_epoch: int
    pause_seconds: float


class LateKind(StrEnum):
    """What became of one."""

    NOT_NOW = "not_now"
    """It was asked nothing."""
    UNTOLD = "untold"
    """It was asked, and nothing of its settings is known."""
    KEPT = "kept"
    """It is as it was, now at the latest."""
    SPOILT = "spoilt"
    """It is otherwise, and stays so."""
    OTHERWISE = "otherwise"
    """There is nothing to compare any more."""
    GIVEN_UP = "given_up"
    """Nobody could compare it, and nobody will."""


@dataclass(frozen=True, slots=True)
class LateEnd:
    """The same in words, for its target and for people."""

    owed: Owed
    kind: LateKind
    words: str


class _Meanwhile(Exception):
    """What came between while it was compared, in words: nothing more is put back now."""


class LateSender:
    """On the node that holds the charger's socket."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @activity.defn
    @mapped
    async def compare_late(self, given: LateOrder) -> LateEnd:
        """Ask it for what was noted before its update, and put settings back; nothing else is sent.

        Raises NotConnectedHere.
        """
        async with beating(HEARTBEAT_S), self._node.locks.alone(given.owed.charger_id):
            return await self._compare(given)

    async def _compare(self, given: LateOrder) -> LateEnd:
        owed, stores = given.owed, self._node.stores
        kept = await stores.kept.get(owed.campaign_id, owed.wave, owed.charger_id)
        if kept is None or (why := await self._hindrance(given)):
            return LateEnd(owed, LateKind.NOT_NOW, why if kept else "nothing is noted of it any more")
        since = set_in(await stores.kept.set_since(owed.charger_id, kept.taken_at))
        if not (since.order and await stores.kept.reaches(owed.charger_id, kept.taken_at)):
            # What people set since then is not known any more, so nothing is undone.
            why = "its settings could not be compared: the journal does not reach back to its order"
            return LateEnd(owed, LateKind.GIVEN_UP, why)
        left, theirs = left_alone(kept, since)
        await stores.kept.count_try(owed, stores.clock() + timedelta(seconds=given.pause_seconds))
        return await self._found(given, left, theirs)

    async def _found(self, given: LateOrder, left: Kept, theirs: tuple[str, ...]) -> LateEnd:
        at = self._node.stores.clock() - _MARGIN
        look = partial(self._last_look, given, left, at)
        try:
            found = await compared_with(self._node, left, given.session_epoch, look)
            if found.spoilt:
                await self._require_left(left, at)
        except _Meanwhile as meanwhile:
            return LateEnd(given.owed, LateKind.NOT_NOW, str(meanwhile))
        except CommandTimeout as error:
            return LateEnd(given.owed, LateKind.UNTOLD, error.message)
        also = f"; set otherwise since, and left so: {some(theirs)}" if theirs else ""
        return LateEnd(given.owed, _kind(found), f"{_words(found)}{also}")

    async def _last_look(self, given: LateOrder, left: Kept, at: datetime) -> None:
        """Only the write is left: a car that came meanwhile holds it back (X1). Raises _Meanwhile."""
        charger_id, node = left.charger_id, self._node
        await node.sender.settle(charger_id, given.session_epoch)
        now = await node.stores.chargers.glance(charger_id)
        if busy := busy_reason(now.operation, node.stores.clock()):
            raise _Meanwhile(busy)
        await self._require_left(left, at)

    async def _require_left(self, left: Kept, at: datetime) -> None:
        """A person's command may come between, as it needs no lock; in its turn ours sees all before it.

        Raises _Meanwhile.
        """
        since = set_in(await self._node.stores.kept.set_since(left.charger_id, at))
        if left_alone(left, since)[0] != left:
            raise _Meanwhile("somebody sets it just now")

    async def _hindrance(self, given: LateOrder) -> str:
        """Looked at again after its last frame: a car, another update, another version."""
        owed, stores = given.owed, self._node.stores
        await self._node.sender.settle(owed.charger_id, given.session_epoch)
        if await stores.leases.get(owed.charger_id) is not None:
            return "somebody works on it"
        view = await stores.chargers.get(owed.charger_id)
        if view.charger.lifecycle not in IN_SERVICE:
            return f"it is {view.charger.lifecycle.value}"
        if _runs(view) != owed.version:
            return f"it does not run {owed.version} any more"
        return busy_reason(view.twin.operation, stores.clock()) or ""


class LateActivities:
    """On any worker."""

    def __init__(self, stores: Stores, incidents: IncidentStore) -> None:
        self._stores = stores
        self._incidents = incidents

    @activity.defn
    @mapped
    async def find_late(self, limit: int) -> tuple[LateFacts, ...]:
        """Whoever is owed a comparison and may be asked by now."""
        stores, now = self._stores, self._stores.clock()
        owed = await stores.kept.owed(now, limit=limit)
        if len(owed) == limit:  # There may be more, and these may all have to be awaited.
            await stores.kept.looked_at(owed, now)
        names = sorted({one.charger_id for one in owed})
        if not names:
            return ()
        views = {view.charger.charger_id: view for view in await stores.chargers.views(names)}
        routes = await stores.routes.resolve_all(names)
        return tuple(
            self._facts(one, views[one.charger_id], routes.get(one.charger_id))
            for one in owed
            if one.charger_id in views
        )

    def _facts(self, owed: Owed, view: ChargerView, route: Route | None) -> LateFacts:
        lifecycle = view.charger.lifecycle
        return LateFacts(
            owed,
            runs=_runs(view),
            lifecycle=lifecycle.value,
            in_service=lifecycle in IN_SERVICE,
            busy=busy_reason(view.twin.operation, self._stores.clock()) or "",
            route=RouteFacts(route.node_id, route.boot_id, route.session_epoch) if route else None,
        )

    @activity.defn
    @mapped
    async def settle_late(self, given: LateEnd) -> None:
        """Write down what became of one: in the audit log, as an incident, in its target."""
        owed, stores = given.owed, self._stores
        key = owed.campaign_id, owed.wave, owed.charger_id
        if not given.words:
            await stores.kept.forget(*key)
        if await stores.kept.get(*key) is None:
            return  # There is nothing to say, or an earlier try has said it.
        await stores.record(
            _WHO,
            f"charger.late_settings_{given.kind.value}",
            f"charger/{owed.charger_id}",
            campaign=owed.campaign_id,
            wave=owed.wave,
            version=owed.version,
            found=given.words,
        )
        spoilt = given.kind is LateKind.SPOILT
        if spoilt or given.kind is LateKind.GIVEN_UP:
            await self._incidents.apply([self._incident(given)])
        await stores.kept.settle(owed, given.words, spoilt=spoilt)

    def _incident(self, given: LateEnd) -> IncidentChange:
        owed = given.owed
        return IncidentChange(
            IncidentKind.SETTINGS_NOT_KEPT,
            f"charger/{owed.charger_id}",
            self._stores.clock(),
            f"{owed.charger_id} counts as updated to {owed.version}; {given.words}",
            {"campaign_id": owed.campaign_id, "wave": owed.wave, "version": owed.version},
        )


def _runs(view: ChargerView) -> str | None:
    firmware = view.twin.firmware
    return None if firmware is None or version_unread(view.twin) else firmware.version


def _kind(found: Compared) -> LateKind:
    if found.spoilt:
        return LateKind.SPOILT
    return LateKind.UNTOLD if found.untold else LateKind.KEPT


def _words(found: Compared) -> str:
    if found.spoilt:
        return f"its settings were compared since: the update had changed {found.spoilt}"
    if found.untold:
        return f"it did not tell {found.untold}"
    if found.put_back:
        return f"its settings were compared since: the update had changed {found.put_back}, put back"
    return "its settings were compared since, and are what they were"
