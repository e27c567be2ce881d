"""Wicket: a 2.0.1 station that numbers its reports from one, and restarts slowly behind a small modem."""

from csms.simulator.personality import Dialect, Evidence, LogStyle, Personality
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="wicket",
    vendor="Wicket Charge",
    model="Wicket Gate 22",
    dialect=Dialect.OCPP201,
    scheme=SignatureScheme.RSA_PKCS1V15,
    evses=2,
    report_from=1,
    boot_factor=1.5,
    piece_bytes=48 * 1024,
    lacks=frozenset({"ClearCache"}),
    log_style=LogStyle.FORM,
    evidence=(
        Evidence(
            "report_from",
            "SAP simulator 4.11, run by us: the first part of a report has the number 1",
            '[2,"9","NotifyReport",{"requestId":3,"generatedAt":"2026-03-01T12:00:00Z","seqNo":1,'
            '"tbc":false,"reportData":[{"component":{"name":"Controller"},"variable":'
            '{"name":"FirmwareVersion"},"variableAttribute":[{"value":"1.0"}]}]}]',
        ),
        Evidence("boot_factor", "SAP simulator 4.11, run by us: 17 to 24 s a step"),
        Evidence("piece_bytes", "LilyGo-Modem-Series#352: a small modem fetches in Range pieces"),
        Evidence(
            "lacks",
            "MicroOcpp, run by us: ClearCache of 2.0.1 is not implemented",
            '[4,"11","NotImplemented","",{}]',
        ),
        Evidence("log_style", "openevse_esp32_firmware#790: logs are uploaded by HTTP, as a form"),
    ),
)
