"""Jetty: a 2.0.1 DC charger that claims success before it restarts."""

from csms.simulator.personality import Claim, Dialect, Evidence, Personality
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="jetty",
    vendor="Cobalt Jetty",
    model="Jetty 50 DC",
    dialect=Dialect.OCPP201,
    scheme=SignatureScheme.RSA_PSS,
    evses=2,
    claim=Claim.BEFORE_REBOOT,
    unavailable_while_installing=True,
    piece_bytes=48 * 1024,
    evidence=(
        Evidence(
            "claim", "EVerest, run by us: Installed with the version unchanged; L01.FR.32 (b) allows it"
        ),
        Evidence("unavailable_while_installing", "OCPP 2.0.1 L01.FR.07; libocpp#464, #1058"),
        Evidence("piece_bytes", "LilyGo-Modem-Series#352: a small modem fetches in Range pieces"),
    ),
)
