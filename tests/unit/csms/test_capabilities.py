"""What a charger can do: declared over known over told, and None where nobody knows."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from csms.capabilities import (
    ASKED_2X,
    ASKED_16,
    ROOM_2X,
    capabilities,
    knows_capabilities,
    of_charger,
)
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.ocpp2x import ocpp201
from csms.ocpp16 import Ocpp16
from storage.capability import Declared
from storage.charger import Charger, ModelProfile
from storage.glances import Manner
from storage.twin import ConfigurationSection, ConnectivitySection, FirmwareSection, TwinState

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def twin(dialect: str | None, version: str = "1.0", **values: str) -> TwinState:
    told = {name.replace("__", "."): value for name, value in values.items()}
    return TwinState(
        "CP-1",
        firmware=FirmwareSection(version=version),
        connectivity=ConnectivitySection(dialect=dialect),
        configuration=ConfigurationSection(told, NOW) if told else None,
    )


@pytest.mark.requirement("F58")
@pytest.mark.parametrize(
    ("given", "signed"),
    [
        (twin(OCPP16), None),
        (twin(OCPP16, SecurityProfile="1"), True),
        (twin(OCPP16, SupportedFeatureProfiles="Core,FirmwareManagement"), None),
        (twin(OCPP16, SupportedFeatureProfiles="Core,SmartCharging"), False),
        (twin(OCPP16, SupportedFeatureProfiles="Core", SecurityProfile="2"), True),
        (twin(OCPP201), True),
        (twin(OCPP21), True),
        (twin(None), None),
        (TwinState("CP-1"), None),
    ],
)
def test_signed_updates_are_known_where_the_charger_told(given: TwinState, signed: bool | None) -> None:
    assert capabilities(given, None, Declared()).takes_signed is signed


@pytest.mark.requirement("F58")
@pytest.mark.requirement("F76")
def test_limits_transfers_and_components_are_read_from_the_device_model() -> None:
    given = twin(
        OCPP201, OCPPCommCtrlr__FileTransferProtocols="https, http", MonitoringCtrlr__Available="true"
    )
    assert given.configuration
    more = {
        "DeviceDataCtrlr.ItemsPerMessage[GetVariables]": "20",
        "DeviceDataCtrlr.ItemsPerMessage[SetVariables]": "nonsense",
        "DeviceDataCtrlr.BytesPerMessage[SetVariables]": "4096",
        "SecurityCtrlr.MaxCertificateChainSize": "-1",
        "LocalAuthListCtrlr.Available": "false",
        "Controller.FirmwareVersion": "1.0",
    }
    section = replace(given.configuration, values={**given.configuration.values, **more})
    found = capabilities(replace(given, configuration=section), None, Declared())
    assert found.known == Declared(
        signed_update=True, transfers=("HTTPS", "HTTP"), items_per_get=20, bytes_per_message=4096
    )
    assert found.feature_profiles == ("MonitoringCtrlr",)
    assert found.told_at_version == "1.0"
    assert found.fetches("https") is True
    assert found.fetches("ftp") is False


def test_the_operator_knows_better_than_the_brand_and_the_brand_than_the_charger() -> None:
    given = twin(OCPP16, SupportedFileTransferProtocols="HTTP", CertificateSignedMaxChainSize="1000")
    profile = ModelProfile("V", "M", declared=Declared(transfers=("HTTPS",)))
    brand = Declared(transfers=("FTP",), signed_update=False)
    found = capabilities(given, profile, brand)
    assert found.known == Declared(signed_update=False, transfers=("HTTPS",), certificate_chain_chars=1000)
    assert capabilities(given, None, brand).known.transfers == ("FTP",)
    assert capabilities(given, None, Declared()).known.transfers == ("HTTP",)
    assert capabilities(twin(OCPP16), None, Declared()).fetches("https") is None


@pytest.mark.requirement("F58")
def test_a_brand_that_cannot_be_updated_is_known_before_anything_is_sent() -> None:
    charger = Charger("CP-1", "s", "MicroOcpp", "MicroOcpp Simulator")
    assert of_charger(charger, twin(OCPP16), None).known.updates is False
    assert of_charger(charger, twin(OCPP201), None).known.updates is None
    assert of_charger(replace(charger, model="Other"), twin(OCPP16), None).known.updates is None


def test_a_charger_is_asked_once_for_each_firmware() -> None:
    told = {"Controller.FirmwareVersion": "1.0"}
    manner = Manner("Volt", "V2", OCPP201, "1.0", told)
    assert knows_capabilities(manner)
    assert not knows_capabilities(replace(manner, version="1.1"))
    assert not knows_capabilities(replace(manner, version=None))
    assert not knows_capabilities(replace(manner, told={}))
    assert not knows_capabilities(replace(manner, dialect=OCPP16, told={"SecurityProfile": "1"}))


@pytest.mark.parametrize("dialect", [Ocpp16(), ocpp201()], ids=lambda dialect: dialect.name)
def test_what_is_asked_fits_one_message_of_the_dialect(dialect: object) -> None:
    probes = dialect.capability_probes  # type: ignore[attr-defined]
    asked = {name for probe in probes for name in probe.names}
    assert asked in ({*ASKED_16}, {*ASKED_2X, *ROOM_2X})
    # Of EVerest's 2.0.1 stations few take more than ten variables at a time.
    assert all(len(probe.names) <= 10 for probe in probes)
