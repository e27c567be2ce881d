"""One word for a charger, for people: derived at reading, never stored.

Silence is unknown, never healthy (F104); maintenance is shown as such and hides an expected absence.
"""

from datetime import datetime
from enum import StrEnum

from storage.events import ConnectorStatus
from storage.ports import ChargerView
from storage.twin import OperationSection


class ChargerState(StrEnum):
    """In order of precedence."""

    MAINTENANCE = "maintenance"
    OFFLINE = "offline"
    UNKNOWN = "unknown"
    FAULTED = "faulted"
    CHARGING = "charging"
    OCCUPIED = "occupied"
    UNAVAILABLE = "unavailable"
    AVAILABLE = "available"


_BY_CONNECTOR = (
    (ConnectorStatus.FAULTED, ChargerState.FAULTED),
    (ConnectorStatus.OCCUPIED, ChargerState.OCCUPIED),
    (ConnectorStatus.RESERVED, ChargerState.OCCUPIED),
    (ConnectorStatus.UNAVAILABLE, ChargerState.UNAVAILABLE),
)


def charger_state(view: ChargerView, now: datetime) -> ChargerState:
    """The word for a charger as read at ``now``."""
    if view.maintenance is not None and view.maintenance.expires_at > now:
        return ChargerState.MAINTENANCE
    if view.twin.connectivity is None:
        return ChargerState.UNKNOWN
    if not view.twin.connectivity.online:
        return ChargerState.OFFLINE
    if view.twin.connectivity.silent:
        return ChargerState.UNKNOWN
    if not view.heard_lately(now):
        return ChargerState.UNKNOWN
    return _operation_state(view.twin.operation)


def _operation_state(operation: OperationSection | None) -> ChargerState:
    if operation is None or not operation.connectors:
        return ChargerState.UNKNOWN
    seen = {connector.status for connector in operation.connectors.values()}
    if ConnectorStatus.FAULTED in seen:
        return ChargerState.FAULTED
    if operation.transactions:
        return ChargerState.CHARGING
    for status, state in _BY_CONNECTOR:
        if status in seen and (state is not ChargerState.UNAVAILABLE or len(seen) == 1):
            return state
    return ChargerState.AVAILABLE
