"""What a charger's settings say of who may charge and how, as one digest each (F64). Pure.

Managing them is another system's business. A digest says whether two chargers agree, or one
before and after.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from storage.canonical import canonical_json, sha256_hex
from storage.twin import ConfigurationSection

_ACCESS = ("AuthCtrlr.", "AuthCacheCtrlr.", "LocalAuthListCtrlr.")
_ACCESS_KEYS = frozenset(
    {
        "AllowOfflineTxForUnknownId",
        "AuthorizationCacheEnabled",
        "AuthorizeRemoteTxRequests",
        "LocalAuthListEnabled",
        "LocalAuthorizeOffline",
        "LocalPreAuthorize",
        "StopTransactionOnInvalidId",
        "TxCtrlr.StopTxOnInvalidId",
    }
)
_CHARGING = ("SmartChargingCtrlr.",)
_CHARGING_KEYS = frozenset(
    {
        "ChargeProfileMaxStackLevel",
        "ChargingScheduleAllowedChargingRateUnit",
        "ChargingScheduleMaxPeriods",
        "MaxChargingProfilesInstalled",
        "MaxEnergyOnInvalidId",
        "TxCtrlr.MaxEnergyOnInvalidId",
    }
)
_COUNTED = frozenset({"LocalAuthListCtrlr.Entries"})
"""It changes with every list that is sent, whose version is told apart."""


@dataclass(frozen=True, slots=True)
class Policies:
    """None: nothing of it is known."""

    access_sha256: str | None = None
    charging_sha256: str | None = None
    local_list_version: int | None = None


def policies(configuration: ConfigurationSection | None) -> Policies:
    """What is known of a charger by what it told."""
    if configuration is None:
        return Policies()
    values = configuration.values
    access = {name: value for name, value in values.items() if _is_access(name)}
    charging = {
        name: value for name, value in values.items() if name in _CHARGING_KEYS or name.startswith(_CHARGING)
    }
    return Policies(_digest(access), _digest(charging), configuration.local_list_version)


def _is_access(name: str) -> bool:
    return (name in _ACCESS_KEYS or name.startswith(_ACCESS)) and name not in _COUNTED


def _digest(values: Mapping[str, str]) -> str | None:
    return sha256_hex(canonical_json(values)) if values else None
