"""How chargers served, folded from events: a pure fold that runs beside the hot path.

Time is counted when something is heard, by how the charger stood until then (``storage.service.spent``). How
the stream is cut into batches changes nothing, and an event that was counted is not counted again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from csms.connector_reports import remembered_back
from csms.health_hours import OURS_FOR, SYNTHETIC, UPDATE_LASTS
from csms.service_meters import metered, temperatures, with_register
from storage.charger import STALE_AFTER
from storage.codec import decode_event
from storage.events import (
    FIRMWARE_FAILURES,
    NO_RESTART,
    NOT_SAID,
    ChargerBooted,
    CommandAnswered,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventKind,
    FirmwareStatus,
    FirmwareStatusReported,
    MeterValuesSampled,
    MonitoredEventReported,
    StoredEvent,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from storage.findings import FirmwareVersionRead
from storage.service import DayKey, ServiceChange, ServiceDay, ServiceMemory, Standing, spent

RETURN_WITHIN = timedelta(minutes=30)
"""So long an install or a restart that we asked for may keep a charger away; longer is a failure."""
BLIP = timedelta(minutes=1)
"""A failure that ends sooner is down time and no repair: links break."""
LONGEST = timedelta(days=400)
"""Of an absence; what is longer is counted so far."""
_MOST = 200
_ENDED = 50
_LONGEST_VERSION = 100
_UPDATES = frozenset({"UpdateFirmware", "SignedUpdateFirmware"})
_ACCEPTED = frozenset({"Accepted", "AcceptedCanceled", "Scheduled"})
_AWAY = frozenset({FirmwareStatus.INSTALLING, FirmwareStatus.INSTALL_REBOOTING, FirmwareStatus.INSTALLED})
_UNUSABLE = frozenset({ConnectorStatus.FAULTED.value, ConnectorStatus.UNAVAILABLE.value})
_TIMELESS = NOT_SAID - {EventKind.CONNECTION_CLOSED, EventKind.CHARGER_FELL_SILENT}
"""Facts of our own, which show nothing of how it stands: no time is counted by them."""
_WHOLE = "0."


def fold(
    known: Mapping[str, ServiceMemory], events: Sequence[StoredEvent], stale_after: timedelta = STALE_AFTER
) -> ServiceChange:
    """What these events add to days, and what is to be remembered."""
    memories: dict[str, ServiceMemory] = {}
    days: dict[DayKey, ServiceDay] = {}
    for event in events:
        name = event.charger_id
        before = memories.get(name) or known.get(name) or ServiceMemory()
        if name.startswith(SYNTHETIC) or event.sequence <= before.sequence:
            continue
        step = _Step(event, before, days, stale_after.total_seconds())
        step.take()
        memories[name] = step.memory
    return ServiceChange(days, memories)


@dataclass(slots=True)
class _Step:
    """One event of one charger."""

    event: StoredEvent
    memory: ServiceMemory
    days: dict[DayKey, ServiceDay]
    stale_s: float

    @property
    def at(self) -> datetime:
        return self.event.received_at

    def add(self, more: ServiceDay, when: datetime | None = None) -> None:
        version = self.memory.standing.version if self.memory.standing else ""
        key = (self.event.charger_id, (when or self.at).astimezone(UTC).date(), version)
        self.days[key] = self.days[key].merged(more) if key in self.days else more

    def remember(self, **changes: Any) -> None:
        self.memory = replace(self.memory, **changes)

    def stand(self, **changes: Any) -> None:
        before = self.memory.standing or Standing(self.at)
        self.remember(standing=replace(before, **changes))

    def take(self) -> None:
        """Count the time before it, then what it means, then how the charger stands from now on."""
        timeless = self.event.kind in _TIMELESS
        if not timeless:
            self._count_time()
        handle = _HANDLERS.get(self.event.kind)
        if handle is not None:
            handle(self, decode_event(self.event.kind, self.event.body))
        if timeless:
            self.remember(sequence=self.event.sequence)
        else:
            self._stand_anew()

    def _count_time(self) -> None:
        standing = self.memory.standing
        if standing is None:
            return
        begin, end = standing.at, min(self.at, standing.at + LONGEST)
        while begin < end:
            midnight = (begin.astimezone(UTC) + timedelta(days=1)).replace(
                hour=0, minute=0, second=0, microsecond=0
            )
            until = min(end, midnight)
            self.add(_between(standing, begin, until, self.at), begin)
            begin = until
        planned = standing.planned_until
        if standing.failing_since is None and planned is not None and standing.at < planned <= self.at:
            self._note_overdue(standing, planned)

    def _note_overdue(self, standing: Standing, planned: datetime) -> None:
        if _failing(standing, self.at):
            self.stand(failing_since=planned)

    def _stand_anew(self) -> None:
        memory = self.memory
        standing = memory.standing or Standing(self.at)
        up, parked, in_use = _shares(memory)
        online = memory.connected and not memory.silent
        now = max(self.at, standing.at)
        after = replace(
            standing, at=now, online=online, up=up, parked=parked, in_use=in_use, stale_s=self.stale_s
        )
        failing = _failing(after, self.at)
        if failing and after.failing_since is None:
            after = replace(after, failing_since=self.at)
        elif not failing and after.failing_since is not None and up is not None:
            self._repaired(self.at - after.failing_since)
            after = replace(after, failing_since=None)
        self.remember(sequence=self.event.sequence, standing=after)

    def _repaired(self, lasted: timedelta) -> None:
        if lasted >= BLIP:
            self.add(ServiceDay(repairs=1, repair_s=lasted.total_seconds()))


def _between(standing: Standing, begin: datetime, end: datetime, heard: datetime) -> ServiceDay:
    """A part of an interval; whether it was too long is judged by the whole of it."""
    if standing.online and (heard - standing.at).total_seconds() > standing.stale_s:
        return ServiceDay(unknown_s=(end - begin).total_seconds())
    return spent(standing, begin, end)


def _failing(standing: Standing, at: datetime) -> bool:
    planned = standing.planned_until is not None and at < standing.planned_until
    return standing.up is not None and not planned and standing.up + standing.parked < 1.0


def _shares(memory: ServiceMemory) -> tuple[float | None, float, float]:
    """(usable, parked, in use) as shares of its connectors; usable None: nobody can tell."""
    places = {name: word for name, word in memory.connectors.items() if not name.startswith(_WHOLE)}
    whole = [name for name, word in memory.connectors.items() if name not in places and word in _UNUSABLE]
    in_use = min(1.0, len(memory.open) / max(1, len(places)))
    if memory.standing is not None and (not memory.connected or memory.silent):
        return 0.0, 0.0, in_use
    if whole:
        return 0.0, float(any(name in memory.parked for name in whole)), in_use
    if not places:
        return None, 0.0, in_use
    out = [name for name, word in places.items() if word in _UNUSABLE]
    parked = sum(name in memory.parked for name in out)
    return 1.0 - len(out) / len(places), parked / len(places), in_use


# The link.


def _opened(step: _Step, _told: Any) -> None:
    step.add(ServiceDay(connects=1))
    step.remember(connected=True, silent=False)


def _closed(step: _Step, _told: Any) -> None:
    step.remember(connected=False, silent=False)
    if _updating(step):
        _plan(step, RETURN_WITHIN)


def _silent(step: _Step, _told: Any) -> None:
    step.remember(silent=True)


def _spoke(step: _Step, _told: Any) -> None:
    step.remember(silent=False)


# Work that we do or order.


def _updating(step: _Step) -> bool:
    since = step.memory.update_at
    return since is not None and step.at - since <= UPDATE_LASTS


def _plan(step: _Step, lasts: timedelta) -> None:
    """From now on so long; what was planned already is not made longer by its own steps."""
    standing = step.memory.standing
    known = standing.planned_until if standing else None
    if known is None or known <= step.at:
        step.stand(planned_until=step.at + lasts)


def _answered(step: _Step, told: CommandAnswered) -> None:
    if told.status not in _ACCEPTED:
        return
    if told.action in _UPDATES:
        step.remember(update_at=step.at)
    elif told.action == "Reset":
        _plan(step, RETURN_WITHIN)
    elif told.action == "ChangeAvailability":
        step.remember(availability_at=step.at, **remembered_back(told, step.memory))


def _firmware(step: _Step, told: FirmwareStatusReported) -> None:
    if told.status in _AWAY and _updating(step):
        _plan(step, RETURN_WITHIN)
    elif told.status in FIRMWARE_FAILURES and _updating(step):
        step.remember(update_at=None)
        step.stand(planned_until=step.at + OURS_FOR)


def _booted(step: _Step, told: ChargerBooted) -> None:
    if told.firmware_version:
        _version(step, told.firmware_version)
    if told.reason in NO_RESTART:
        return
    standing = step.memory.standing
    planned = standing.planned_until if standing else None
    if _updating(step) or (planned is not None and planned > step.at):
        # It is back; its connectors get a while to come back, too (OCPP 2.0.1 L01.FR.07).
        step.stand(planned_until=step.at + OURS_FOR)
    step.remember(update_at=None)


def _read(step: _Step, told: FirmwareVersionRead) -> None:
    _version(step, told.version)


def _version(step: _Step, version: str) -> None:
    step.stand(version=version[:_LONGEST_VERSION])


# Connectors, sessions, meters.


def _connector(step: _Step, told: ConnectorStatusChanged) -> None:
    key, memory = f"{told.evse_id}.{told.connector_id}", step.memory
    before = memory.connectors.get(key)
    if before is None and len(memory.connectors) >= _MOST:
        return
    step.remember(connectors={**memory.connectors, key: told.status.value})
    if told.status is ConnectorStatus.FAULTED and before != told.status.value:
        step.add(ServiceDay(faults=1))
    changed = memory.availability_at
    ours = changed is not None and step.at - changed <= OURS_FOR
    parked = [name for name in memory.parked if name != key]
    if told.status is ConnectorStatus.UNAVAILABLE and (ours or key in memory.parked):
        parked.append(key)
    step.remember(parked=tuple(parked))


def _started(step: _Step, told: TransactionStarted) -> None:
    name, memory = told.transaction_id, step.memory
    _meter(step, told.evse_id, told.meter_wh)
    if name in memory.open or name in memory.ended or len(memory.open) >= _MOST:
        return
    step.add(ServiceDay(sessions=1))
    step.remember(open={**memory.open, name: told.evse_id})


def _updated(step: _Step, told: TransactionUpdated) -> None:
    _meter(step, told.evse_id or step.memory.open.get(told.transaction_id), told.meter_wh)


def _ended(step: _Step, told: TransactionEnded) -> None:
    _meter(step, step.memory.open.get(told.transaction_id), told.meter_wh)
    _over(step, told.transaction_id)


def _abandoned(step: _Step, told: Any) -> None:
    _over(step, told.transaction_id)


def _over(step: _Step, name: str) -> None:
    left = {each: evse for each, evse in step.memory.open.items() if each != name}
    step.remember(open=left, ended=(*step.memory.ended, name)[-_ENDED:])


def _meter(step: _Step, evse_id: int | None, register: float | None) -> None:
    if register is None or not evse_id:
        return
    after, delivered = with_register(step.memory.metering, evse_id, register, step.event)
    step.remember(metering=after)
    if delivered:
        step.add(ServiceDay(energy_wh=delivered))


def _sampled(step: _Step, told: MeterValuesSampled) -> None:
    register, after = metered(step.memory.metering, told, step.event)
    step.remember(metering=after)
    _meter(step, told.evse_id, register)
    for degrees in temperatures(told):
        _warm(step, degrees)


def _monitored(step: _Step, told: MonitoredEventReported) -> None:
    for degrees in temperatures(told):
        _warm(step, degrees)


def _warm(step: _Step, degrees: float) -> None:
    step.add(ServiceDay(temperature_n=1, temperature_sum=degrees, temperature_max=degrees))


_HANDLERS: dict[EventKind, Callable[[_Step, Any], None]] = {
    EventKind.CONNECTION_OPENED: _opened,
    EventKind.CONNECTION_CLOSED: _closed,
    EventKind.CHARGER_FELL_SILENT: _silent,
    EventKind.CHARGER_SPOKE_AGAIN: _spoke,
    EventKind.COMMAND_ANSWERED: _answered,
    EventKind.FIRMWARE_STATUS_REPORTED: _firmware,
    EventKind.CHARGER_BOOTED: _booted,
    EventKind.FIRMWARE_VERSION_READ: _read,
    EventKind.CONNECTOR_STATUS_CHANGED: _connector,
    EventKind.TRANSACTION_STARTED: _started,
    EventKind.TRANSACTION_UPDATED: _updated,
    EventKind.TRANSACTION_ENDED: _ended,
    EventKind.SESSION_ABANDONED: _abandoned,
    EventKind.METER_VALUES_SAMPLED: _sampled,
    EventKind.MONITORED_EVENT_REPORTED: _monitored,
}
