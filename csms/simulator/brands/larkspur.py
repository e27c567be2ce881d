"""Larkspur: a 1.6 charger that says little about its updates."""

from csms.simulator.personality import Dialect, Evidence, LogStyle, Personality
from csms.simulator.words import FirmwareWord
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="larkspur",
    vendor="Larkspur",
    model="Larkspur Duo 22",
    dialect=Dialect.OCPP16,
    scheme=SignatureScheme.ECDSA_P256,
    evses=2,
    omits=frozenset({FirmwareWord.DOWNLOADING, FirmwareWord.DOWNLOADED, FirmwareWord.SIGNATURE_VERIFIED}),
    resends_same_id=True,
    log_style=LogStyle.PUT_NAMED,
    evidence=(
        Evidence("omits", "ev-server#2305 and MicroOcpp#261: intermediate firmware statuses never come"),
        Evidence("resends_same_id", "OCPP 2.1 Part 4: a retried message may be identical, its id included"),
        Evidence("log_style", "MicroOcpp#397: its client puts the file's name behind the location"),
    ),
)
