"""Breakwater: the first 2.0.1 post of a row, which is the local controller of the others."""

from csms.simulator.personality import Dialect, Evidence, Personality
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="breakwater",
    vendor="Breakwater Grid",
    model="Breakwater Lead 22",
    dialect=Dialect.OCPP201,
    scheme=SignatureScheme.ECDSA_P256,
    local_controller=True,
    evidence=(
        Evidence(
            "local_controller",
            "OCPP 2.0.1 L03, L04 and Part 1, topologies: a local controller may be a station's own",
            '[2,"31","PublishFirmwareStatusNotification",{"status":"Published","requestId":7,'
            '"location":["http://192.0.2.1/image"]}]',
        ),
    ),
)
