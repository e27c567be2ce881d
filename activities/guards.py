"""What each command of a person needs before it may be sent. Pure; a command that is not here is never sent.

Firmware goes out through campaigns alone, where it is proven (S22-S26), so ``UpdateFirmware`` and
``PublishFirmware`` are missing on purpose.
"""

import re
from collections.abc import Callable
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
from storage.twin import ConfigurationSection, TwinState


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


def need_of(command: Command | RotatePassword) -> Need | None:
    """What this command needs; None: it is never sent through this door."""
    guard = GUARDS.get(type(command))
    return guard(command) if callable(guard) else guard


def profile_problem(command: SetNetworkProfile, twin: TwinState) -> str | None:
    """Why this connection must not be written, or None."""
    now, wanted = twin.security.profile if twin.security else None, command.profile.security_profile
    if now is not None and wanted < now:
        # A05.FR.07: never allow a lower one again.
        return f"it connects with security profile {now}, and that is never lowered"
    return slot_problem(command.slot, twin.configuration)


def slot_problem(slot: int, configuration: ConfigurationSection | None) -> str | None:
    """Why this slot must not be written: a charger that loses the connection it uses is lost (OCPP B09)."""
    known = configuration.values if configuration else {}
    active, priority = known.get(_ACTIVE, ""), known.get(_PRIORITY, "")
    if not active and not priority:
        return f"which slot it uses now is not known; read {_PRIORITY} first"
    first = priority.split(",")[0].strip()
    if str(slot) in (active.strip(), first):
        return f"slot {slot} is the connection it uses now; write another one"
    return None
