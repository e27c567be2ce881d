"""Taking a charger out of service for an update, and putting back exactly what was (X3)."""

from activities.facts import out_of_service
from activities.orders import Node
from csms.commands import AnswerStatus, ChangeAvailability
from csms.errors import RestoreRefused
from storage.events import ConnectorStatus
from storage.ports import ChargerView, OutOfServiceStore
from storage.twin import OperationSection

WHOLE = "0.0"
"""The key under which a charger as a whole reports (OCPP 1.6 connector 0)."""

STILL_OUT = "it is still out of service: housekeeping will restore its availability once it is back"
"""Ends the reason of a target whose charger could not be put back into service."""

_DONE = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.SCHEDULED})


async def before_us(store: OutOfServiceStore, view: ChargerView) -> tuple[str, ...]:
    """The connectors to leave out of service afterwards: those that were so, but not through us.

    A charger that vanished in an earlier attempt could not be put back; what it reports now is our
    doing, and the row that we wrote before says how it was.
    """
    out = out_of_service(view.twin.operation)
    row = await store.get(view.charger.charger_id) if out else None
    return row.before if row else out


async def put_back(node: Node, charger_id: str, session_epoch: int) -> bool:
    """Give back what we took, and forget that we took it; False: nothing of it was ours.

    Raises RestoreRefused when the charger says no, and what ``CommandSender.send`` raises; the row
    stays then, for whoever tries next.
    """
    store = node.stores.out_of_service
    row = await store.get(charger_id)
    if row is None:
        return False
    view = await node.stores.chargers.get(charger_id)
    for command in _restoring(view.twin.operation, row.before):
        answer = await node.sender.send(charger_id, session_epoch, command, deadline_s=node.command_seconds)
        if answer.status not in _DONE:
            raise RestoreRefused(charger_id, answer.status.value)
    await store.remove(charger_id)
    return True


def closed_to_cars(operation: OperationSection | None) -> bool:
    """Whether every connector at which a car could charge is reported out of service."""
    states = [state for state in operation.connectors.values() if state.evse_id > 0] if operation else []
    return bool(states) and all(state.status is ConnectorStatus.UNAVAILABLE for state in states)


def _restoring(operation: OperationSection | None, out: tuple[str, ...]) -> list[ChangeAvailability]:
    """The commands that put everything back into service but what was out before.

    In 1.6 the command for the whole charger reaches every connector, so those of ``out`` are taken out
    again; in 2.x that repeats what the charger kept by itself. Where the whole was out and some
    connectors were not, those connectors alone are put back.
    """
    if WHOLE not in out:
        return [ChangeAvailability(operative=True), *(_of(key, operative=False) for key in out)]
    keys = sorted(operation.connectors) if operation else []
    return [_of(key, operative=True) for key in keys if key not in out and not key.startswith("0.")]


def _of(key: str, *, operative: bool) -> ChangeAvailability:
    evse_id, connector_id = key.split(".")
    return ChangeAvailability(operative=operative, evse_id=int(evse_id), connector_id=int(connector_id))
