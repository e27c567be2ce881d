"""Whether a charger is accepted, and what it may say and hear until it is (2.x B01-B03; 1.6 section 4.2)."""

from collections.abc import Awaitable, Callable
from enum import StrEnum

from csms.access import SetNetworkProfile
from csms.commands import (
    CertificateSigned,
    Command,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetVariables,
    InstallCertificate,
    Reset,
    SetVariables,
    TriggerKind,
    TriggerMessage,
)
from csms.monitoring import GetBaseReport, GetReport
from storage.certificate_use import CertificateUse
from storage.charger import Charger
from storage.twin import Lifecycle


class Registration(StrEnum):
    """OCPP RegistrationStatusEnumType."""

    ACCEPTED = "Accepted"
    PENDING = "Pending"
    """It is known and not yet in service: it may be set up, nothing else."""
    REJECTED = "Rejected"


Registrar = Callable[[Charger], Awaitable[Registration]]
"""Decides anew at every boot; provisioning hands in one that parks chargers as Pending.

Where it raises EngineUnavailable the socket is closed, and the charger comes back to be judged.
"""

_BY_LIFECYCLE = {
    Lifecycle.REGISTERED: Registration.ACCEPTED,
    Lifecycle.PROVISIONING: Registration.PENDING,
    Lifecycle.ACTIVE: Registration.ACCEPTED,
    # Its sessions end in peace, and it takes what is asked of it.
    Lifecycle.RETIRING: Registration.ACCEPTED,
    # These two do not get past the handshake; should one be changed while it is connected, it is told here.
    Lifecycle.QUARANTINED: Registration.REJECTED,
    Lifecycle.RETIRED: Registration.REJECTED,
}


async def by_lifecycle(charger: Charger) -> Registration:
    """Who is in service, or on the way out of it, is accepted; who is on the way in is parked."""
    return _BY_LIFECYCLE[charger.lifecycle]


# B02.FR.01 and 1.6 section 4.2: to learn what it is and to set it up. With what setting up needs besides:
# certificates (A00.FR.429), a network profile, and a restart for what wants one.
_SET_UP = (
    *(GetVariables, SetVariables, GetBaseReport, GetReport, TriggerMessage, Reset, SetNetworkProfile),
    *(CertificateSigned, InstallCertificate, DeleteCertificate, GetInstalledCertificateIds),
)

_RENEWAL = (TriggerKind.SIGN_CHARGING_STATION, TriggerKind.SIGN_COMBINED, TriggerKind.BOOT)
_OWN = (None, CertificateUse.CHARGING_STATION)


def renews(command: Command) -> bool:
    """Whether this does nothing but renew a charger's own certificate (A02)."""
    match command:
        case TriggerMessage(kind=kind):
            return kind in _RENEWAL
        case CertificateSigned(use=use):
            return use in _OWN
    return False


_SIGN = frozenset({"SignCertificate"})
_CAUSED = {
    TriggerKind.FIRMWARE_STATUS: frozenset(
        {"FirmwareStatusNotification", "SignedFirmwareStatusNotification"}
    ),
    TriggerKind.LOG_STATUS: frozenset({"LogStatusNotification", "DiagnosticsStatusNotification"}),
    TriggerKind.SIGN_COMBINED: _SIGN,
    TriggerKind.SIGN_CHARGING_STATION: _SIGN,
    TriggerKind.SIGN_V2G: _SIGN,
    TriggerKind.SIGN_V2G20: _SIGN,
}
"""What a trigger makes a charger send, where that is not the trigger's own name."""


def caused_by(command: Command) -> frozenset[str]:
    """The actions that a charger may call because it was asked to (B02.FR.09)."""
    match command:
        case TriggerMessage():
            return _CAUSED.get(command.kind, frozenset({command.kind.value}))
        case GetBaseReport() | GetReport() | GetVariables(names=()):
            return frozenset({"NotifyReport"})
    return frozenset()


class Standing:
    """One session's registration: as its last boot was answered, and until then as it would be."""

    def __init__(self, ask: Callable[[], Awaitable[Registration]], *, confined: bool = False) -> None:
        """``confined``: it came with an expired certificate, and stays Pending for a new one (A00.FR.429)."""
        self._ask = ask
        self.confined = confined
        self._now: Registration | None = Registration.PENDING if confined else None
        # It may ask for a new one by itself, too (A03).
        self._expected: frozenset[str] = _SIGN if confined else frozenset()

    def may_hear(self, command: Command) -> bool:
        """Whether this may be sent now; while Rejected only the wish that it boots.

        B03.FR.03 forbids even that, TC_B_31 of the same standard wants it sent.
        """
        if self._now is Registration.REJECTED:
            return isinstance(command, TriggerMessage) and command.kind is TriggerKind.BOOT
        if self.confined:
            return renews(command)
        return self._now is not Registration.PENDING or isinstance(command, _SET_UP)

    @property
    def accepted(self) -> bool:
        """Whether the last boot was answered so."""
        return self._now is Registration.ACCEPTED

    def expect(self, command: Command) -> None:
        """What this command makes the charger send is allowed from now on."""
        self._expected |= caused_by(command)

    async def at_boot(self) -> Registration:
        """What to answer to a BootNotification."""
        self._now = await self._ask()
        if self.confined and self._now is Registration.ACCEPTED:
            self._now = Registration.PENDING
        return self._now

    async def refusal(self, action: str) -> str | None:
        """Why a charger may not call this now, or None (B01.FR.10, B02.FR.09, B03.FR.07)."""
        if action == "BootNotification":
            return None
        if self._now is None:
            # A charger that only reconnects does not boot again (2.x Part 4 section 5.4).
            self._now = await self._ask()
        if self._now is Registration.ACCEPTED:
            return None
        if self._now is Registration.PENDING and action in self._expected:
            return None
        return f"registration is {self._now.value}; send a BootNotification"
