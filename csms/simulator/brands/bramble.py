"""Bramble: a 1.6 charger that says too much, and never waits."""

from csms.simulator.personality import Dialect, Evidence, KeyStyle, LogStyle, Personality, TimeStyle
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="bramble",
    vendor="Bramble",
    model="Bramble Post 11",
    dialect=Dialect.OCPP16,
    scheme=SignatureScheme.RSA_PKCS1V15,
    claims=2,
    waits_for_session=False,
    time_style=TimeStyle.OFFSET,
    key_style=KeyStyle.HEX_BYTES,
    boots_on_every_connect=True,
    log_style=LogStyle.FORM,
    evidence=(
        Evidence("claims", "e-mobility-charging-stations-simulator#459: Installed twice"),
        Evidence(
            "waits_for_session",
            "no thread found; breaks L01.FR.06 so that the server must guard",
        ),
        Evidence("time_style", "monta ocpp-emulator#5: a +02 offset in time stamps"),
        Evidence("key_style", "MicroOcpp 1.2.0, run by us: sends the bytes its hex AuthorizationKey means"),
        Evidence("log_style", "openevse_esp32_firmware#790: GetDiagnostics uploads by HTTP, as a form"),
        Evidence("boots_on_every_connect", "evcc#31192: only some chargers skip it on a later socket"),
    ),
)
