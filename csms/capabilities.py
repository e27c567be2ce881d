"""What a charger can do, from its twin and what is declared of it: one pure function."""

from collections.abc import Mapping
from dataclasses import replace

from csms.frames import OCPP16
from csms.quirks.catalogue import CATALOGUE
from csms.quirks.quirk import declared, matching
from storage.capability import Capabilities, Declared
from storage.charger import Charger, ModelProfile
from storage.glances import Manner
from storage.twin import TwinState

PROFILE_16 = "SecurityProfile"
"""A configuration key that only the 1.6 security extension has (WP3)."""
FEATURES_16 = "SupportedFeatureProfiles"
TRANSFERS_16 = "SupportedFileTransferProtocols"
CHAIN_16 = "CertificateSignedMaxChainSize"
MAX_KEYS_16 = "GetConfigurationMaxKeys"
ASKED_16 = (PROFILE_16, FEATURES_16, TRANSFERS_16, CHAIN_16, MAX_KEYS_16)
"""What to ask a 1.6 charge point after a boot."""

VERSION_2X = "Controller.FirmwareVersion"
VERSIONS_2X = (VERSION_2X, "ChargingStation.FirmwareVersion")
"""Where a 2.x charging station keeps the version that it may leave out of its boot."""
TRANSFERS_2X = "OCPPCommCtrlr.FileTransferProtocols"
CHAIN_2X = "SecurityCtrlr.MaxCertificateChainSize"
GET_ITEMS_2X = "DeviceDataCtrlr.ItemsPerMessage[GetVariables]"
SET_ITEMS_2X = "DeviceDataCtrlr.ItemsPerMessage[SetVariables]"
SET_BYTES_2X = "DeviceDataCtrlr.BytesPerMessage[SetVariables]"
_AVAILABLE = ".Available"
_CONTROLLERS = ("LocalAuthListCtrlr", "MonitoringCtrlr", "SmartChargingCtrlr", "DisplayMessageCtrlr")
ASKED_2X = (
    VERSION_2X,
    TRANSFERS_2X,
    GET_ITEMS_2X,
    SET_ITEMS_2X,
    SET_BYTES_2X,
    CHAIN_2X,
    *(f"{controller}{_AVAILABLE}" for controller in _CONTROLLERS),
)
"""What to ask a 2.x charging station; the version, so that the answers can be told from an older image's."""
ROOM_2X = (
    "DeviceDataCtrlr.BytesPerMessage[GetVariables]",
    "DeviceDataCtrlr.ItemsPerMessage[GetReport]",
    "DeviceDataCtrlr.BytesPerMessage[GetReport]",
)
"""What to ask it after that, in a message of its own: of the first one few take more."""

_UPDATES_16 = "FirmwareManagement"


def capabilities(twin: TwinState, profile: ModelProfile | None, brand: Declared) -> Capabilities:
    """What is known: by the operator's profile of the model, by its brand's quirks, by its own words."""
    dialect = twin.connectivity.dialect if twin.connectivity else None
    values = twin.configuration.values if twin.configuration else {}
    if dialect is None:
        told = Capabilities(None, Declared())
    else:
        told = _told_16(dialect, values) if dialect == OCPP16 else _told_2x(dialect, values)
    wanted = profile.declared if profile else Declared()
    return replace(told, known=wanted.over(brand).over(told.known))


def of_charger(charger: Charger, twin: TwinState, profile: ModelProfile | None) -> Capabilities:
    """The same, with what is known of the charger's brand."""
    dialect = twin.connectivity.dialect if twin.connectivity else None
    version = twin.firmware.version if twin.firmware else None
    return capabilities(twin, profile, _brand(Manner(charger.vendor, charger.model, dialect, version)))


def declared_of(manner: Manner) -> Declared:
    """What the operator or the brand says of it, without its own words."""
    return manner.declared.over(_brand(manner))


def _brand(manner: Manner) -> Declared:
    known = matching(CATALOGUE, manner.dialect or "", manner.vendor, manner.model, manner.version)
    return declared(known)


def knows_capabilities(manner: Manner) -> bool:
    """Whether the charger answered already with the firmware that runs now, so that it need not be asked.

    In 1.6 the answers do not tell of which firmware they are, so each boot asks anew.
    """
    version, told = manner.version, manner.told
    return version is not None and any(told.get(name) == version for name in VERSIONS_2X)


def _told_16(dialect: str, values: Mapping[str, str]) -> Capabilities:
    features = _words(values.get(FEATURES_16))
    extended = PROFILE_16 in values
    # The extension's update belongs to the same feature profile, yet some leave it out there (WP3 2.1).
    updates = None if not features or extended or _UPDATES_16 in features else False
    known = Declared(
        updates=updates,
        signed_update=True if extended else None,
        transfers=_transfers(values.get(TRANSFERS_16)),
        certificate_chain_chars=whole(values.get(CHAIN_16)),
        items_per_get=whole(values.get(MAX_KEYS_16)),
    )
    return Capabilities(dialect, known, features)


def _told_2x(dialect: str, values: Mapping[str, str]) -> Capabilities:
    known = Declared(
        signed_update=True,
        transfers=_transfers(values.get(TRANSFERS_2X)),
        certificate_chain_chars=whole(values.get(CHAIN_2X)),
        items_per_get=whole(values.get(GET_ITEMS_2X)),
        items_per_set=whole(values.get(SET_ITEMS_2X)),
        bytes_per_message=whole(values.get(SET_BYTES_2X)),
    )
    features = sorted(
        name.removesuffix(_AVAILABLE)
        for name, value in values.items()
        if name.endswith(_AVAILABLE) and value.lower() == "true" and name.count(".") == 1
    )
    return Capabilities(dialect, known, tuple(features), values.get(VERSION_2X))


def _words(value: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (value or "").split(",") if word.strip())


def _transfers(value: str | None) -> tuple[str, ...] | None:
    # An empty list is no answer: a charger that can be updated can fetch by something.
    return tuple(word.upper() for word in _words(value)) or None


def whole(value: str | None) -> int | None:
    """A limit in a charger's own words; what is no positive number is none."""
    try:
        number = int(value or "")
    except ValueError:
        return None
    return number if number > 0 else None
