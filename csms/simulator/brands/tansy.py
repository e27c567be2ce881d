"""Tansy: a 1.6 post that loses the number of its update and knows no cache."""

from csms.simulator.personality import Dialect, Evidence, LogStyle, Personality
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="tansy",
    vendor="Tansy Mobility",
    model="Tansy Curb 7",
    dialect=Dialect.OCPP16,
    scheme=SignatureScheme.ECDSA_P256,
    forgets_request=True,
    lacks=frozenset({"ClearCache", "GetLocalListVersion", "SendLocalList"}),
    log_style=LogStyle.PUT_NAMED,
    evidence=(
        Evidence(
            "forgets_request",
            "libocpp#277: -1 where the update module does not know which request a status belongs to",
            '[2,"5","SignedFirmwareStatusNotification",{"status":"Downloading","requestId":-1}]',
        ),
        Evidence(
            "lacks",
            "MicroOcpp 1.2.0, run by us: ClearCache is not implemented",
            '[4,"7","NotImplemented","",{}]',
        ),
        Evidence("log_style", "MicroOcpp#397: its client puts the file's name behind the location"),
    ),
)
