"""Taking a charger out of service for an update, and putting back exactly what was (X3)."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from activities.facts import out_of_service
from activities.orders import Node
from activities.stores import Stores
from csms.commands import AnswerStatus, ChangeAvailability, TriggerKind, TriggerMessage
from csms.connector_reports import WHOLE
from csms.errors import CallFailed, CommandTimeout, NotAccepted, RestoreRefused, Unsupported
from csms.frames import OCPP16
from storage.charger import OutOfService
from storage.events import (
    FIRMWARE_FAILURES,
    NO_RESTART,
    ConnectorStatus,
    EventKind,
    FirmwareStatus,
    StoredEvent,
)
from storage.ports import ChargerView, OutOfServiceStore
from storage.twin import OperationSection

_NUMBER = "NumberOfConnectors"

STILL_OUT = "it is still out of service: housekeeping will restore its availability once it is back"
"""Ends the reason of a target whose charger could not be put back into service."""

STILL_AT_WORK = "it is still at it, so it stays out of service until it has restarted or given up"
"""Ends the reason of a target whose time is over although its charger goes on."""

AT_WORK_AT_MOST = timedelta(hours=6)
"""A charger that says nothing more for so long is not at it any more: downloads and installs take less."""

_OVER = FIRMWARE_FAILURES | {FirmwareStatus.IDLE, FirmwareStatus.INSTALLED}
_TELLING = (EventKind.CHARGER_BOOTED.value, EventKind.FIRMWARE_STATUS_REPORTED.value)
_DONE = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.SCHEDULED})
_READ_BACK_S = 5.0
"""How long a charger that was put back may take to say so, beside its answers."""
_LOOK_EVERY_S = 0.25


async def before_us(store: OutOfServiceStore, view: ChargerView) -> tuple[str, ...]:
    """The connectors to leave out of service afterwards: those that were so, but not through us.

    A charger that vanished in an earlier attempt could not be put back; what it reports now is our
    doing, and the row that we wrote before says how it was.
    """
    out = out_of_service(view.twin.operation)
    row = await store.get(view.charger.charger_id) if out else None
    return row.before if row else out


async def out_before(node: Node, view: ChargerView, session_epoch: int) -> tuple[str, ...]:
    """The same for one that we are about to take out, and never have: what is so now.

    Where a 1.6 charger tells that it is out as a whole and that a connector of it serves, one of the two is
    old, and it is asked anew. Taken at its older word, connector 0 would be left out of service afterwards.
    """
    charger_id, link, out = (
        view.charger.charger_id,
        view.twin.connectivity,
        out_of_service(view.twin.operation),
    )
    contradicts = WHOLE in out and not closed_to_cars(view.twin.operation)
    if not contradicts or link is None or link.dialect != OCPP16:
        return out
    asked_at = node.stores.clock()

    def heard(operation: OperationSection | None) -> bool:
        whole = operation.connectors.get(WHOLE) if operation else None
        return whole is not None and whole.reported_at is not None and whole.reported_at >= asked_at

    try:
        operation = await _told(node, charger_id, session_epoch, heard)
    except CommandTimeout:
        return out  # Nor will it hear that it is to be taken out.
    now = out_of_service(operation)
    places = [key for key, state in operation.connectors.items() if state.evse_id > 0] if operation else []
    if heard(operation) or not _serving(operation, tuple(places), asked_at, whole=False):
        return now
    return tuple(key for key in now if key != WHOLE)  # All of it told that it serves, but for the whole.


async def put_back(node: Node, charger_id: str, session_epoch: int) -> bool:
    """Give back what we took, and forget that we took it; False: nothing of it was ours.

    Raises RestoreRefused when the charger says no, and what ``CommandSender.send`` raises; the row
    stays then, for whoever tries next.
    """
    store = node.stores.out_of_service
    row = await store.get(charger_id)
    if row is None:
        return False
    if not await _back_singly(node, row, session_epoch):
        for command in _restoring(await _connectors(node, row), row.before):
            status = await _sent(node, charger_id, session_epoch, command)
            if status not in _DONE:
                raise RestoreRefused(charger_id, status.value)
    await store.remove(charger_id)
    return True


def taking_out(view: ChargerView, before: tuple[str, ...]) -> list[ChangeAvailability]:
    """The commands that let no car begin: for each connector alone where only that can be undone exactly."""
    singly = [_of(key, operative=False) for key in _singly(view, before)]
    return singly or [ChangeAvailability(operative=False)]


def _singly(view: ChargerView, out: tuple[str, ...]) -> tuple[str, ...]:
    """The connectors to take out and put back one by one; none: the charger as a whole.

    OCPP 1.6 5.2: the command for connector 0 reaches every connector, also those that were out before and
    have to stay so. One that never told of itself would be left open, so all have to be known (9.1.14).
    Where the whole told that it is out while a connector told that it serves, one of the two is old: the
    whole is neither taken out nor put back, so that it is as it was, whichever it is.
    """
    link, operation, settings = view.twin.connectivity, view.twin.operation, view.twin.configuration
    if not out or link is None or link.dialect != OCPP16:
        return ()
    if operation is None or settings is None:
        return ()
    keys = sorted(key for key, state in operation.connectors.items() if state.evse_id > 0)
    if settings.values.get(_NUMBER, "").strip() != str(len(keys)):
        return ()
    return tuple(key for key in keys if key not in out)


async def _connectors(node: Node, row: OutOfService) -> list[str]:
    """Those it told of, which nobody needs to know unless the charger as a whole was out before us."""
    if WHOLE not in row.before:
        return []
    operation = (await node.stores.chargers.glance(row.charger_id)).operation
    return sorted(operation.connectors) if operation else []


async def _back_singly(node: Node, row: OutOfService, session_epoch: int) -> bool:
    """Whether each connector that we took out is back, alone, and says so; False: it takes the whole.

    It does where the charger had been taken out as a whole: connector 0 may then have a state of its own.
    """
    charger_id, out = row.charger_id, row.before
    if not out:
        return False  # As with most: nothing was out before us.
    keys = _singly(await node.stores.chargers.get(charger_id), out)
    if not keys:
        return False
    asked_at = node.stores.clock()
    # Those that stay out are told first: firmware may have opened them, or a try of ours that was cut short.
    stay = [key for key in out if key != WHOLE]
    for command in (
        *(_of(key, operative=False) for key in stay),
        *(_of(key, operative=True) for key in keys),
    ):
        if await _sent(node, charger_id, session_epoch, command) not in _DONE:
            return False

    def back(operation: OperationSection | None) -> bool:
        return _serving(operation, keys, asked_at, whole=WHOLE not in out)

    return back(await _told(node, charger_id, session_epoch, back))


async def _told(
    node: Node,
    charger_id: str,
    session_epoch: int,
    enough: Callable[[OperationSection | None], bool],
) -> OperationSection | None:
    """What a charger has told once that is ``enough``, or a moment after it was asked for its status."""
    try:
        status = TriggerMessage(TriggerKind.STATUS)
        await node.sender.send(charger_id, session_epoch, status, deadline_s=node.command_seconds)
    except (CallFailed, NotAccepted, Unsupported):
        pass  # OCPP 1.6 5.2: a status that changed is told without being asked for.
    loop = asyncio.get_running_loop()
    end = loop.time() + min(_READ_BACK_S, node.command_seconds)
    while True:
        await node.sender.settle(charger_id, session_epoch)
        operation = (await node.stores.chargers.glance(charger_id)).operation
        if enough(operation) or loop.time() >= end:
            return operation
        await asyncio.sleep(_LOOK_EVERY_S)


def _serving(
    operation: OperationSection | None, keys: tuple[str, ...], asked_at: datetime, *, whole: bool
) -> bool:
    """Whether all of these told since then that they are in service, and the ``whole`` says nothing else."""
    known = operation.connectors if operation else {}
    first = known.get(WHOLE)
    if whole and first is not None and first.status is ConnectorStatus.UNAVAILABLE:
        return False
    states = [known[key] for key in keys if key in known]
    return len(states) == len(keys) and all(
        state.status is not ConnectorStatus.UNAVAILABLE
        and state.reported_at is not None
        and state.reported_at >= asked_at
        for state in states
    )


async def _sent(node: Node, charger_id: str, session_epoch: int, command: ChangeAvailability) -> AnswerStatus:
    answer = await node.sender.send(charger_id, session_epoch, command, deadline_s=node.command_seconds)
    return answer.status


async def still_at_work(stores: Stores, row: OutOfService) -> bool:
    """Whether the last that a charger told, since we took it, is that its update goes on.

    Put back now, it would restart under the next car (X1). In the order in which it told, not by its clock.
    """
    told = [one for one in await stores.events.since(row.charger_id, row.since, _TELLING) if _counts(one)]
    last = max(told, key=lambda one: one.sequence, default=None)
    if last is None or last.kind is EventKind.CHARGER_BOOTED:
        return False
    over = FirmwareStatus(last.body["status"]) in _OVER
    return not over and stores.clock() - last.received_at < AT_WORK_AT_MOST


def _counts(event: StoredEvent) -> bool:
    return event.kind is not EventKind.CHARGER_BOOTED or event.body.get("reason") not in NO_RESTART


def closed_to_cars(operation: OperationSection | None) -> bool:
    """Whether every connector at which a car could charge is reported out of service."""
    states = [state for state in operation.connectors.values() if state.evse_id > 0] if operation else []
    return bool(states) and all(state.status is ConnectorStatus.UNAVAILABLE for state in states)


def _restoring(keys: list[str], out: tuple[str, ...]) -> list[ChangeAvailability]:
    """The commands that put everything back into service but what was out before.

    In 1.6 the command for the whole charger reaches every connector, so those of ``out`` are taken out
    again, where they cannot be passed by (``_singly``); in 2.x that repeats what the charger kept by
    itself. Where the whole was out and some connectors were not, those connectors alone are put back.
    """
    if WHOLE not in out:
        return [ChangeAvailability(operative=True), *(_of(key, operative=False) for key in out)]
    return [_of(key, operative=True) for key in keys if key not in out and not key.startswith("0.")]


def _of(key: str, *, operative: bool) -> ChangeAvailability:
    evse_id, connector_id = key.split(".")
    return ChangeAvailability(operative=operative, evse_id=int(evse_id), connector_id=int(connector_id))
