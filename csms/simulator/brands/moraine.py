"""Moraine: a 2.1 post that boots on every socket and claims success before it restarts, twice."""

from csms.simulator.personality import Claim, Dialect, Evidence, Personality, TimeStyle
from csms.simulator.words import FirmwareWord
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="moraine",
    vendor="Moraine Power",
    model="Moraine Peak 400",
    dialect=Dialect.OCPP21,
    scheme=SignatureScheme.ECDSA_P256,
    claim=Claim.BEFORE_REBOOT,
    claims=2,
    boots_on_every_connect=True,
    omits=frozenset({FirmwareWord.INSTALLING}),
    time_style=TimeStyle.OFFSET,
    evidence=(
        Evidence(
            "claim",
            "EVerest, run by us: Installed with the version unchanged; L01.FR.32 (b) allows it",
            '[2,"21","FirmwareStatusNotification",{"status":"Installed","requestId":7}]',
        ),
        Evidence(
            "claims",
            "e-mobility-charging-stations-simulator#459: Installed twice",
            '[2,"22","FirmwareStatusNotification",{"status":"Installed","requestId":7}]',
        ),
        Evidence(
            "boots_on_every_connect",
            "evcc#25069: takes BootNotification for the handshake of every socket",
            '[2,"1","BootNotification",{"reason":"PowerUp","chargingStation":'
            '{"vendorName":"Moraine Power","model":"Moraine Peak 400","firmwareVersion":"1.0"}}]',
        ),
        Evidence("omits", "OCPP 2.1 L01.FR.23: Installing may be omitted when the bootloader is mute"),
        Evidence(
            "time_style",
            "monta ocpp-emulator#5: an offset in time stamps",
            '[2,"23","StatusNotification",{"timestamp":"2026-03-01T14:00:00+02:00",'
            '"connectorStatus":"Available","evseId":1,"connectorId":1}]',
        ),
    ),
)
