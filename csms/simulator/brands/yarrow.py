"""Yarrow: a 2.0.1 wallbox whose boot says who it is and not which firmware it runs."""

from csms.simulator.personality import Dialect, Evidence, Personality
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="yarrow",
    vendor="Yarrow Electric",
    model="Yarrow Home 11",
    dialect=Dialect.OCPP201,
    scheme=SignatureScheme.ECDSA_P256,
    tells_version=False,
    evidence=(
        Evidence(
            "tells_version",
            "OCPP 2.0.1 Part 2, ChargingStationType: firmwareVersion is 0..1; of five programs that were run"
            " by us three leave it out",
            '[2,"1","BootNotification",{"reason":"PowerUp","chargingStation":'
            '{"vendorName":"Yarrow Electric","model":"Yarrow Home 11","serialNumber":"YAR000701"}}]',
        ),
    ),
)
