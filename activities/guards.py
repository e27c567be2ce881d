"""What each command of a person needs before it may be sent. Pure; a command that is not here is never sent.

Firmware goes out through campaigns alone, where it is proven (S22-S26), so ``UpdateFirmware`` and
``PublishFirmware`` are missing on purpose.
"""

import re
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

from csms.access import (
    ClearCache,
    CustomerInformation,
    GetLocalListVersion,
    RotatePassword,
    SendLocalList,
    SetNetworkProfile,
)
from csms.commands import (
    CertificateSigned,
    ChangeAvailability,
    Command,
    DataTransfer,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetLog,
    GetVariables,
    InstallCertificate,
    Reset,
    SetVariables,
    TriggerMessage,
    UnpublishFirmware,
)
from csms.monitoring import (
    ClearVariableMonitoring,
    GetBaseReport,
    GetMonitoringReport,
    GetReport,
    SetMonitoringBase,
    SetMonitoringLevel,
    SetVariableMonitoring,
)
from storage.twin import TwinState


class Need(IntEnum):
    """What must hold, each including those before it."""

    NOTHING = 0
    ALONE = 1
    """No other maintenance has the charger."""
    IDLE = 2
    """No session is open."""
    ROOM = 3
    """Its site can spare it; it counts as away until it has answered."""
    AWAY = 4
    """It counts as away until it has booted."""


def _of_reset(command: Any) -> Need:
    # An EVSE that restarts sends no BootNotification.
    return Need.AWAY if command.evse_id is None else Need.ROOM


def _of_availability(command: Any) -> Need:
    # Putting it back in the middle of an update would let a car come.
    return Need.ALONE if command.operative else Need.ROOM


# Names of variables are case-insensitive (identifierString), and may have an instance behind them.
# Switching a component off ends what it does (F96: Enabled, Available); where to connect, all of it.
_SWITCH = re.compile(
    r"(^|\.)(Enabled|Available|NetworkConfigurationPriority|ActiveNetworkProfile"
    r"|CentralSystemURL|CentralSystemAddress|BackendURL)(\[[^\]]*\])?\s*$",
    re.IGNORECASE,
)


def _of_variables(command: Any) -> Need:
    return Need.ROOM if any(_SWITCH.search(each.name) for each in command.values) else Need.NOTHING


GUARDS: dict[type[Any], Need | Callable[[Any], Need]] = {
    CertificateSigned: Need.ALONE,
    ChangeAvailability: _of_availability,
    ClearCache: Need.NOTHING,
    ClearVariableMonitoring: Need.NOTHING,
    CustomerInformation: Need.NOTHING,
    # A vendor's message may do anything, a restart included.
    DataTransfer: Need.IDLE,
    DeleteCertificate: Need.ALONE,
    GetBaseReport: Need.NOTHING,
    GetInstalledCertificateIds: Need.NOTHING,
    GetLocalListVersion: Need.NOTHING,
    GetLog: Need.NOTHING,
    GetMonitoringReport: Need.NOTHING,
    GetReport: Need.NOTHING,
    GetVariables: Need.NOTHING,
    InstallCertificate: Need.ALONE,
    Reset: _of_reset,
    # Some restart for it, and one whose update runs must come back with what it had.
    RotatePassword: Need.IDLE,
    SendLocalList: Need.NOTHING,
    SetMonitoringBase: Need.NOTHING,
    SetMonitoringLevel: Need.NOTHING,
    SetNetworkProfile: Need.IDLE,
    SetVariableMonitoring: Need.NOTHING,
    SetVariables: _of_variables,
    TriggerMessage: Need.NOTHING,
    UnpublishFirmware: Need.NOTHING,
}

BY_NAME: dict[str, type[Any]] = {kind.__name__: kind for kind in GUARDS}
"""How a command is named on its way to the node."""

_ACTIVE = "OCPPCommCtrlr.ActiveNetworkProfile"
_PRIORITY = "OCPPCommCtrlr.NetworkConfigurationPriority"
CONNECTIONS = (_ACTIVE, _PRIORITY)
USUAL_SLOTS = (1, 2, 3)
"""Those that chargers have, where they do not say; one that is not there is refused (B09.FR.02)."""
PRIORITY_VARIABLE = _PRIORITY
"""What tells which connection a 2.x charger uses."""
_NUMBER = re.compile(r"\d+")


def need_of(command: Command | RotatePassword) -> Need | None:
    """What this command needs; None: it is never sent through this door."""
    guard = GUARDS.get(type(command))
    return guard(command) if callable(guard) else guard


def vendor_problem(command: DataTransfer, allowed: frozenset[str]) -> str | None:
    """Why this vendor's message must not be sent, or None: what it does, nobody here can tell (CiString)."""
    if command.vendor_id.casefold() in {name.casefold() for name in allowed}:
        return None
    return (
        f"messages of vendor {command.vendor_id!r} are not allowed:"
        " AMPWAVE_DATA_TRANSFER_VENDORS names those that are"
    )


def level_problem(command: SetNetworkProfile, twin: TwinState) -> str | None:
    """Why a connection of this level must not be written, or None."""
    now, wanted = twin.security.profile if twin.security else None, command.profile.security_profile
    if now is not None and wanted < now:
        # A05.FR.07: never allow a lower one again.
        return f"it connects with security profile {now}, and that is never lowered"
    return None


def free_slots(wanted: int, known: Mapping[str, str]) -> tuple[int, ...]:
    """The slots that may be written, best first: those of no use before those that it could fall back to."""
    listed = [int(each) for each in _NUMBER.findall(known.get(_PRIORITY, ""))]
    unused = [slot for slot in USUAL_SLOTS if slot not in listed]
    order = (wanted,) if wanted else tuple(dict.fromkeys([*unused, *reversed(listed)]))
    return tuple(slot for slot in order if slot_problem(slot, known) is None)


def active_slot(known: Mapping[str, str]) -> int | None:
    """The slot that it says it uses; None: it does not tell."""
    active = _NUMBER.findall(known.get(_ACTIVE, ""))
    return int(active[0]) if active else None


def slot_problem(slot: int, known: Mapping[str, str]) -> str | None:
    """Why this slot must not be written: a charger that loses the connection it uses is lost (OCPP B09)."""
    active, priority = ([int(each) for each in _NUMBER.findall(known.get(name, ""))] for name in CONNECTIONS)
    if not active and not priority:
        return f"which slot it uses now is not known; read {_PRIORITY} first"
    if slot in active or (active and slot == next(iter(priority), None)):
        return f"slot {slot} is the connection it uses now; write another one"
    if not active and slot in priority:
        # Which of them it fell back to, it does not tell.
        listed = ", ".join(map(str, priority))
        return f"slot {slot} may be the connection it uses now: its priorities are {listed}"
    return None
