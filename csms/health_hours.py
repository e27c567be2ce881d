"""Health hours after a batch of events: a pure fold of counters (background: signals for gates).

Server time decides which hour an event falls into; the charger's clock is only compared with it. How the
stream is cut into batches changes nothing, and an event that was counted already is not counted again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from csms.connector_reports import remembered_back
from csms.meters import register_wh
from storage.charging import ABNORMAL_STOPS
from storage.codec import decode_event
from storage.events import (
    FIRMWARE_FAILURES,
    NO_RESTART,
    NOT_SAID,
    ChargerBooted,
    ClockDriftChanged,
    CommandAnswered,
    CommandSent,
    ConnectionClosed,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventKind,
    FirmwareStatus,
    FirmwareStatusReported,
    MeterValuesSampled,
    StoredEvent,
    TransactionEnded,
    TransactionStarted,
    TransactionUpdated,
)
from storage.health import Attempt, HealthChange, HealthHour, HealthMemory, heard_in
from storage.health_time import REAL, HealthTime

SYNTHETIC = "~"
"""Identities that begin so are no chargers: none can be registered with it."""
BOOT_LOOP = timedelta(minutes=15)
BOOTS_OF_A_LOOP = 3
ENERGY_WITHIN = timedelta(minutes=5)
DRY_FROM = timedelta(minutes=4)
"""A reading without energy so late in those five minutes settles them."""
READ_WITHIN = timedelta(minutes=20)
"""So long a later reading may still show that none had flowed; chargers sample as seldom as every 15."""
PROBE_WITHIN = timedelta(seconds=10)
OURS_FOR = timedelta(minutes=10)
"""A connector that becomes Unavailable so soon after we changed the availability did what it was told.

So long an update that is over may take to put its connectors back, too.
"""
ENERGY_WH = 1.0
BACKWARDS_WH = 1.0
UPDATE_LASTS = timedelta(days=2)
"""Then it is over, whatever was never told of it."""
_MOST = 200
"""Connectors, EVSEs, sessions remembered of one charger; one that invents more is not followed further."""
_TRIGGERS = frozenset({"TriggerMessage", "ExtendedTriggerMessage"})
_UPDATES = frozenset({"UpdateFirmware", "SignedUpdateFirmware"})
_ACCEPTED = frozenset({"Accepted", "AcceptedCanceled", "Scheduled"})
_AWAY = frozenset({FirmwareStatus.INSTALLING, FirmwareStatus.INSTALL_REBOOTING})
_NOT_YET_BACK = NOT_SAID | {EventKind.CONNECTION_OPENED, EventKind.CHARGER_BOOTED, EventKind.FRAME_REJECTED}
"""What does not show that a charger whose socket closed is back without a restart."""
_USABLE = frozenset({ConnectorStatus.AVAILABLE, ConnectorStatus.OCCUPIED, ConnectorStatus.RESERVED})


def fold(
    known: Mapping[str, HealthMemory], events: Sequence[StoredEvent], time: HealthTime = REAL
) -> HealthChange:
    """What these events add to hours, and what is to be remembered."""
    memories: dict[str, HealthMemory] = {}
    hours: dict[tuple[str, datetime], HealthHour] = {}
    for event in events:
        charger_id = event.charger_id
        before = memories.get(charger_id) or known.get(charger_id) or HealthMemory()
        if charger_id.startswith(SYNTHETIC) or event.sequence <= before.sequence:
            continue
        step = _Step(event, before, {}, time)
        step.take()
        memories[charger_id] = step.memory
        for hour, added in step.added.items():
            key = (charger_id, hour)
            hours[key] = hours[key].merged(added) if key in hours else added
    return HealthChange(hours, memories)


@dataclass(slots=True)
class _Step:
    """One event of one charger."""

    event: StoredEvent
    memory: HealthMemory
    added: dict[datetime, HealthHour]
    time: HealthTime

    @property
    def at(self) -> datetime:
        return self.event.received_at

    def add(self, when: datetime | None = None, **counts: Any) -> None:
        """Count, in the hour of the event or of another instant."""
        hour, more = self.time.begin(when or self.at), HealthHour(**counts)
        self.added[hour] = self.added[hour].merged(more) if hour in self.added else more

    def remember(self, **changes: Any) -> None:
        self.memory = replace(self.memory, **changes)

    def take(self) -> None:
        """Count the message, then what it means."""
        kind = self.event.kind
        if kind in NOT_SAID:
            self.remember(sequence=self.event.sequence)
        else:
            self._count_message()
        if self.memory.attempts:
            _give_up_attempts(self)
        if self.memory.update_at is not None and self.at - self.memory.update_at > UPDATE_LASTS:
            _over(self)
        if self.memory.cut_at is not None:
            _notice_return(self)
        if self.memory.parked_since is not None:
            _judge_parked(self)
        handle = _HANDLERS.get(kind)
        if handle is not None:
            handle(self, decode_event(kind, self.event.body))

    def _count_message(self) -> None:
        # One message may tell several facts; they share the instant in which it came.
        again = self.memory.message_at == self.at
        hour = self.time.begin(self.at)
        self.added[hour] = heard_in(self.time.minute_of(hour, self.at), again=again)
        self.remember(sequence=self.event.sequence, message_at=self.at)


# The link.


def _opened(step: _Step, told: ConnectionOpened) -> None:
    before = step.memory.profile
    step.add(connects=1, profile_drops=int(before is not None and told.security_profile < before))
    step.remember(profile=told.security_profile)


def _closed(step: _Step, _told: ConnectionClosed) -> None:
    if step.memory.update_at is not None and step.memory.left_at is None:
        step.remember(cut_at=step.at)
    _leave(step)


def _notice_return(step: _Step) -> None:
    """A link that broke is no absence once the charger goes on speaking; for its boot the time is kept."""
    if step.memory.left_at == step.memory.cut_at and step.event.kind not in _NOT_YET_BACK:
        step.remember(left_at=None)


def _silent(step: _Step, _told: Any) -> None:
    step.add(silences=1)


def _rejected(step: _Step, _told: Any) -> None:
    step.add(errors=1)


def _sent(step: _Step, told: CommandSent) -> None:
    if told.action in _TRIGGERS:
        step.add(probes=1)
        pending = {**step.memory.probes, told.message_id: step.at}
        step.remember(probes=dict(list(pending.items())[-10:]))


def _answered(step: _Step, told: CommandAnswered) -> None:
    if told.status.startswith("CallError:"):
        # That it cannot do something at all is an answer, no fault.
        able = told.status.removeprefix("CallError:") not in ("NotImplemented", "NotSupported")
        step.add(errors=int(able))
    asked_at = step.memory.probes.get(told.message_id)
    if asked_at is not None:
        step.remember(probes={name: at for name, at in step.memory.probes.items() if name != told.message_id})
        step.add(asked_at, probes_answered=int(step.at - asked_at <= PROBE_WITHIN))
    if told.action == "ChangeAvailability":
        step.remember(availability_at=step.at, **remembered_back(told, step.memory))
    if told.action in _UPDATES and told.status in _ACCEPTED:
        step.add(updates=1)
        step.remember(update_at=step.at, update_id=told.request_id, left_at=None, cut_at=None)


# Firmware.


def _leave(step: _Step) -> None:
    if step.memory.update_at is not None and step.memory.left_at is None:
        step.remember(left_at=step.at)


def _firmware(step: _Step, told: FirmwareStatusReported) -> None:
    memory = step.memory
    if told.status in _AWAY:
        _leave(step)
    # OCPP 2.0.1 L01.FR.24: a request that was replaced may still report its own failure.
    ours = told.request_id is None or memory.update_id in (None, told.request_id)
    if told.status in FIRMWARE_FAILURES and ours and memory.update_at is not None:
        _over(step)


def _over(step: _Step) -> None:
    """The update came to its end, good or bad: from now on it excuses nothing."""
    waiting = step.at if step.memory.parked else None
    step.remember(update_at=None, update_id=None, left_at=None, cut_at=None, parked_since=waiting)


def _booted(step: _Step, told: ChargerBooted) -> None:
    if told.reason in NO_RESTART:
        return
    memory = step.memory
    boots = (*memory.boots, step.at)[-BOOTS_OF_A_LOOP:]
    loop = len(boots) == BOOTS_OF_A_LOOP and boots[-1] - boots[0] <= BOOT_LOOP
    step.add(boots=1, boot_loops=int(loop))
    left = memory.left_at or memory.cut_at or memory.update_at
    if left is not None:
        step.add(returns=1, return_max_s=(step.at - left).total_seconds())
    fresh = tuple(name for name in memory.open if name not in memory.open_at_boot)
    step.add(open_at_boot=len(fresh))
    step.remember(boots=boots, open_at_boot=(*memory.open_at_boot, *fresh)[-_MOST:])
    if memory.update_at is not None:
        _over(step)


# Connectors and sessions.


def _connector(step: _Step, told: ConnectorStatusChanged) -> None:
    _skew(step)
    key = f"{told.evse_id}.{told.connector_id}"
    known = step.memory.connectors
    before = known.get(key)
    if before is None and len(known) >= _MOST:
        return
    step.remember(connectors={**known, key: told.status.value})
    waited = key in step.memory.parked and told.status is not ConnectorStatus.UNAVAILABLE
    if waited:
        step.remember(parked=tuple(each for each in step.memory.parked if each != key))
    if before not in _USABLE and not waited:
        return
    if told.status is ConnectorStatus.FAULTED:
        step.add(went_faulted=1)
    elif told.status is ConnectorStatus.UNAVAILABLE and not _as_told(step):
        # OCPP 2.0.1 L01.FR.07: idle EVSEs are set Unavailable while an update waits or runs.
        if step.memory.update_at is None:
            step.add(went_unavailable=1)
        else:
            step.remember(parked=(*step.memory.parked, key))


def _as_told(step: _Step) -> bool:
    changed = step.memory.availability_at
    return changed is not None and step.at - changed <= OURS_FOR


def _judge_parked(step: _Step) -> None:
    """Connectors that an update took out of service, and that it did not put back, are a regression."""
    since = step.memory.parked_since
    if since is not None and step.at - since > OURS_FOR:
        step.add(went_unavailable=len(step.memory.parked))
        step.remember(parked=(), parked_since=None)


def _skew(step: _Step) -> None:
    """Only facts that have a time of their own; of queued ones the least late decides."""
    if step.event.observed_at != step.event.received_at:
        step.add(skew_min_s=abs((step.event.received_at - step.event.observed_at).total_seconds()))
    elif step.memory.clock_off_s is not None:  # its time could not be believed, so ours stands for it
        step.add(skew_min_s=step.memory.clock_off_s)


def _clock(step: _Step, told: ClockDriftChanged) -> None:
    off_s = abs(told.skew_s)
    step.add(skew_min_s=off_s)
    step.remember(clock_off_s=off_s if told.suspicious else None)


def _started(step: _Step, told: TransactionStarted) -> None:
    _skew(step)
    memory, name = step.memory, told.transaction_id
    _register(step, told.evse_id, told.meter_wh)
    if name in memory.open or len(memory.open) >= _MOST:
        return
    step.add(attempts=1)
    watched = {**memory.attempts, name: Attempt(step.at, told.meter_wh)}
    step.remember(open=(*memory.open, name), attempts=watched)


def _updated(step: _Step, told: TransactionUpdated) -> None:
    _skew(step)
    _register(step, told.evse_id, told.meter_wh)
    _energy(step, told.transaction_id, told.meter_wh, charging=told.charging_state == "Charging")


def _metered(step: _Step, told: MeterValuesSampled) -> None:
    _skew(step)
    register = register_wh(told.samples)
    _register(step, told.evse_id, register)
    if told.transaction_id is not None:
        power = any(sample.value > 0 for sample in told.samples if sample.measurand == "Power.Active.Import")
        _energy(step, told.transaction_id, register, charging=power)


def _ended(step: _Step, told: TransactionEnded) -> None:
    _skew(step)
    memory, name = step.memory, told.transaction_id
    step.add(stops=1, abnormal_stops=int(told.reason in ABNORMAL_STOPS))
    step.add(closed_after_boot=int(name in memory.open_at_boot))
    _energy(step, name, told.meter_wh, charging=False)
    if name in step.memory.attempts:
        _conclude(step, name, failed=step.memory.attempts[name].dry_at is not None)
    step.remember(
        open=tuple(each for each in memory.open if each != name),
        open_at_boot=tuple(each for each in memory.open_at_boot if each != name),
    )


def _abandoned(step: _Step, told: Any) -> None:
    name = told.transaction_id
    step.remember(open=tuple(each for each in step.memory.open if each != name))


def _energy(step: _Step, name: str, register: float | None, *, charging: bool) -> None:
    """First-attempt success: energy within five minutes of the start, by what was told.

    A single reading says nothing of energy: it takes another before it, or the start's.
    """
    attempt = step.memory.attempts.get(name)
    if attempt is None:
        return
    before, late = attempt.meter_wh, step.at - attempt.began_at > ENERGY_WITHIN
    flowed = register is not None and before is not None and register >= before + ENERGY_WH
    if flowed or charging:
        _conclude(step, name, failed=False, ok=not late)
    elif register is not None and before is None:
        _watch(step, name, replace(attempt, meter_wh=register))
    elif register is not None and late:
        _conclude(step, name, failed=True)
    elif register is not None:
        _watch(step, name, replace(attempt, dry_at=step.at))


def _watch(step: _Step, name: str, attempt: Attempt) -> None:
    step.remember(attempts={**step.memory.attempts, name: attempt})


def _give_up_attempts(step: _Step) -> None:
    """Five minutes are over: it failed if that is certain; else a reading may tell for a while yet."""
    for name, attempt in tuple(step.memory.attempts.items()):
        age = step.at - attempt.began_at
        dry = attempt.dry_at is not None and attempt.dry_at - attempt.began_at >= DRY_FROM
        if age > READ_WITHIN or (age > ENERGY_WITHIN and dry):
            _conclude(step, name, failed=dry)


def _conclude(step: _Step, name: str, *, failed: bool, ok: bool = False) -> None:
    attempt = step.memory.attempts[name]
    step.remember(attempts={key: each for key, each in step.memory.attempts.items() if key != name})
    step.add(attempt.began_at, attempts_ok=int(ok), attempts_failed=int(failed))


def _register(step: _Step, evse_id: int | None, register: float | None) -> None:
    """A register only ever counts up. A queued reading is older than the last one and proves nothing."""
    if register is None or not evse_id:
        return
    known, key = step.memory.registers, str(evse_id)
    before = known.get(key)
    if before is None and len(known) >= _MOST:
        return
    queued = step.at - step.event.observed_at > timedelta(minutes=1)
    if before is not None and register < before - BACKWARDS_WH:
        if queued:
            return
        step.add(meter_backwards=1)
    step.remember(registers={**known, key: register})


_HANDLERS: dict[EventKind, Callable[[_Step, Any], None]] = {
    EventKind.CONNECTION_OPENED: _opened,
    EventKind.CONNECTION_CLOSED: _closed,
    EventKind.CHARGER_FELL_SILENT: _silent,
    EventKind.FRAME_REJECTED: _rejected,
    EventKind.COMMAND_SENT: _sent,
    EventKind.COMMAND_ANSWERED: _answered,
    EventKind.FIRMWARE_STATUS_REPORTED: _firmware,
    EventKind.CHARGER_BOOTED: _booted,
    EventKind.CONNECTOR_STATUS_CHANGED: _connector,
    EventKind.CLOCK_DRIFT_CHANGED: _clock,
    EventKind.TRANSACTION_STARTED: _started,
    EventKind.TRANSACTION_UPDATED: _updated,
    EventKind.METER_VALUES_SAMPLED: _metered,
    EventKind.TRANSACTION_ENDED: _ended,
    EventKind.SESSION_ABANDONED: _abandoned,
}
