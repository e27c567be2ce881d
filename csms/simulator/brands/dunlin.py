"""Dunlin: a slow 2.0.1 wallbox that never says Installed."""

from csms.simulator.personality import Dialect, Evidence, Personality, TimeStyle
from csms.simulator.words import FirmwareWord
from storage.charger import SignatureScheme

PERSONALITY = Personality(
    name="dunlin",
    vendor="Dunlin Energy",
    model="Dunlin Wallbox 2",
    dialect=Dialect.OCPP201,
    scheme=SignatureScheme.ECDSA_P256,
    claims=0,
    omits=frozenset({FirmwareWord.INSTALL_REBOOTING}),
    boot_factor=2.0,
    time_style=TimeStyle.NAIVE,
    reports_fall_back=False,
    evidence=(
        Evidence("claims", "ev-server#2305: Installed is never sent; libocpp#758: it is lost at the reboot"),
        Evidence("omits", "OCPP 2.0.1 L01.FR.32: InstallRebooting may never come"),
        Evidence("boot_factor", "SAP simulator 4.11, run by us: 17 to 24 s a step"),
        Evidence("time_style", "steve#136, MicroOcpp#354: local or naive time before the clock is set"),
        Evidence("reports_fall_back", "MicroOcpp#261: no status at all once the boot loader took over"),
    ),
)
