"""Taking a charger out of service for an update, and putting back exactly what was (X3)."""

from activities.facts import out_of_service
from csms.commands import AnswerStatus, ChangeAvailability
from csms.ports import CommandSender
from storage.events import ConnectorStatus
from storage.ports import CampaignStore, ChargerView

WHOLE = "0.0"
"""The key under which a charger as a whole reports (OCPP 1.6 connector 0)."""

STILL_OUT = "it is still out of service: restore its availability by hand"
"""Ends the reason of a target whose charger could not be put back into service."""

_DONE = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.SCHEDULED})


async def before_us(campaigns: CampaignStore, view: ChargerView) -> tuple[str, ...]:
    """The connectors to leave out of service afterwards: those that were so, but not through us.

    A charger that vanished in an earlier attempt could not be put back; what it reports now is our
    doing, and its last finished target says so.
    """
    out = out_of_service(view.twin.operation)
    operation = view.twin.operation
    if not out or operation is None:
        return ()
    states = operation.connectors.values()
    if all(state.status is ConnectorStatus.UNAVAILABLE for state in states):
        last = await campaigns.target_history(view.charger.charger_id, limit=1)
        if last and STILL_OUT in last[0].reason:
            return ()
    return out


async def restore(sender: CommandSender, where: tuple[str, int], out: tuple[str, ...], seconds: float) -> str:
    """Put everything back into service but what was out before; "" or what did not work, in words.

    ``where``: charger and session epoch. Raises what ``CommandSender.send`` raises.

    In 1.6 the command for the whole charger reaches every connector, so those of ``out`` are taken out
    again; in 2.x that repeats what the charger kept by itself.
    """
    if WHOLE in out:
        return ""
    commands = [ChangeAvailability(operative=True)]
    for key in out:
        evse_id, connector_id = key.split(".")
        commands.append(
            ChangeAvailability(operative=False, evse_id=int(evse_id), connector_id=int(connector_id))
        )
    for command in commands:
        answer = await sender.send(*where, command, deadline_s=seconds)
        if answer.status not in _DONE:
            return f"it answered {answer.status.value} to ChangeAvailability, {STILL_OUT}"
    return ""
