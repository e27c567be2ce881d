"""Estuary: a 2.1 hub that runs a new image only after a reset."""

from csms.simulator.personality import Dialect, Evidence, Personality
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="estuary",
    vendor="Estuary",
    model="Estuary Hub 150",
    dialect=Dialect.OCPP21,
    scheme=SignatureScheme.RSA_PSS,
    evses=2,
    needs_reset=True,
    waits_for_session=False,
    evidence=(
        Evidence("needs_reset", "FEATURES X8, asked for by operators; no public thread found"),
        Evidence(
            "waits_for_session", "steve and lbbrhzn threads of updates that stop a charge; L01.FR.06 broken"
        ),
    ),
)
