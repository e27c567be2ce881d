"""What a charger holds: its variables, its certificates, its local list; and what it answers about them."""

from collections.abc import Callable
from dataclasses import dataclass

from csms.simulator.asks import (
    Ask,
    ClearCacheRequest,
    ClearProfilesRequest,
    DeleteRequest,
    InstallRequest,
    ListRequest,
    ListVersionRequest,
    LocalListRequest,
    NetworkRequest,
    SignedRequest,
    VendorRequest,
    WriteRequest,
)
from csms.simulator.client_tls import client_context
from csms.simulator.device import ACCEPTED, REJECTED, Device
from csms.simulator.dial import Access
from csms.simulator.keyring import Keyring
from csms.simulator.ledger import ChargerLedger
from csms.simulator.network import Network, Way
from csms.simulator.voice import Voice
from csms.simulator.wire import Answer, Entry, OwnNames, ReadRequest

Deed = Callable[[], None] | None

SIGN_TRIGGERS = {
    "SignChargePointCertificate": None,
    "SignChargingStationCertificate": "ChargingStationCertificate",
    "SignV2GCertificate": "V2GCertificate",
    "SignCombinedCertificate": None,
}
"""What a trigger of a signing request asks for, as the request names it."""
_MOST_TOKENS = 1_000
_PLAIN = {ClearCacheRequest: ACCEPTED, ClearProfilesRequest: "Unknown", VendorRequest: "UnknownVendorId"}
"""What is always answered alike: there is a cache, no charging profile, and no vendor's message known."""


@dataclass(slots=True)
class LocalList:
    """The tokens that may charge without being asked about."""

    version: int = 0
    tokens: frozenset[str] = frozenset()

    def take(self, request: LocalListRequest) -> str:
        """D01: a whole list replaces, a difference needs a later version."""
        if not request.full and request.version <= self.version:
            return "VersionMismatch"
        kept = frozenset() if request.full else self.tokens - set(request.gone)
        tokens = kept | set(request.tokens)
        if len(tokens) > _MOST_TOKENS:
            return "Failed"
        # A full and empty list of version 0 is no list (D01.FR.05).
        self.version, self.tokens = request.version if tokens or not request.full else 0, tokens
        return ACCEPTED


class Holdings:
    """Kept over restarts, as it is in flash."""

    def __init__(
        self,
        device: Device,
        keyring: Keyring,
        voice: Voice,
        account: ChargerLedger,
        reconnect: Callable[[], None],
        network: Network,
    ) -> None:
        self.device = device
        self.network = network
        self.keyring = keyring
        self.local_list = LocalList()
        self._voice = voice
        self._account = account
        self._reconnect = reconnect

    @property
    def _own(self) -> OwnNames:
        return self._voice.wire.own

    # What it proves itself by.

    def access(self, *, forgotten: bool) -> Access:
        """Security profile 3 shows its certificate, the others a password; ``forgotten``: neither."""
        secure = self.network.way.url.startswith("wss:")
        tls = client_context(self.keyring, shown=self._by_certificate) if secure else None
        if forgotten or (secure and self._by_certificate):
            return Access(None, tls)
        return Access(self.device.value(self._own.password) or "", tls)

    @property
    def _by_certificate(self) -> bool:
        return self.network.way.profile == 3 and self.keyring.chain is not None

    def connected(self) -> None:
        """It got through, by whatever way it tried."""
        changed = self.network.connected()
        way = self.network.way
        if changed:
            self._account.note("network_way", slot=self.network.active, profile=way.profile)
        self.device.force(self._own.profile, str(way.profile))
        if self._own.active:
            self.device.force(self._own.active, str(self.network.active))

    def unconnected(self) -> None:
        """It did not, so it may go back to the way before."""
        if self.network.failed():
            self._account.note("network_fallback", profile=self.network.way.profile)

    def refused(self) -> None:
        """The server did not let it in."""
        if self._by_certificate and self.keyring.fall_back():
            self._account.note("certificate_fallback", serial=self.keyring.own_serial)

    # What is asked.

    def read(self, request: ReadRequest) -> Answer:
        """Values, and which of all variables may be written."""
        return Answer(ACCEPTED, self.device.read(request.names), known=self.device.known())

    def entries(self, *, settings_only: bool) -> list[Entry]:
        """For a report."""
        values = self.device.read()
        return [
            Entry(name, values.get(name), writable)
            for name, writable in self.device.known().items()
            if writable or not settings_only
        ]

    def consider(self, ask: Ask) -> tuple[Answer, Deed]:
        """Decide, answer, and what to do once the answer has left."""
        match ask:
            case WriteRequest():
                return self._write(ask)
            case InstallRequest():
                return Answer(self.keyring.install(ask.use, ask.certificate)), None
            case ListRequest():
                return Answer(ACCEPTED, installed=self.keyring.listed(ask.uses)), None
            case DeleteRequest():
                return Answer(self.keyring.delete(ask.hash_data)), None
            case SignedRequest():
                return self._signed(ask)
            case NetworkRequest() | LocalListRequest():
                return Answer(self._take(ask)), None
            case ListVersionRequest():
                return Answer(ACCEPTED, version=self.local_list.version), None
            case ClearCacheRequest() | ClearProfilesRequest() | VendorRequest():
                return Answer(_PLAIN[type(ask)]), None

    def _take(self, ask: NetworkRequest | LocalListRequest) -> str:
        if isinstance(ask, NetworkRequest):
            return self.network.take(ask.slot, Way(ask.url, ask.profile))
        return self.local_list.take(ask)

    def _write(self, ask: WriteRequest) -> tuple[Answer, Deed]:
        results = []
        for setting in ask.settings:
            if setting.attribute != "Actual":
                results.append("NotSupportedAttributeType")
                continue
            results.append(self._write_one(setting.name, setting.value))
            what = {"name": setting.name, "result": results[-1]}
            self._account.note("written", **what, value=self._shown(setting.name, setting.value))
        changed = {
            setting.name
            for setting, result in zip(ask.settings, results, strict=True)
            if result == ACCEPTED and setting.attribute == "Actual"
        }
        # A01.FR.03: the new password counts from the next connection on; it makes one at once.
        again = bool(changed & {self._own.password, self._own.profile})
        return Answer(ACCEPTED, results=tuple(results)), self._reconnect if again else None

    def _write_one(self, name: str, value: str) -> str:
        if name == self._own.profile and value.isdigit():
            # A05.FR.07: never lower.
            now = self.device.value(name) or "0"
            if int(value) < int(now):
                return REJECTED
        if name == self._own.password and not _is_password(value):
            return REJECTED
        if name == self._own.priority and not self.network.prefer(value):
            return REJECTED
        result = self.device.write(name, value)
        if name == self._own.profile and result == ACCEPTED:
            self.network.raise_to(int(value))
        return result

    def _shown(self, name: str, value: str) -> str:
        return "***" if self.device.hidden(name) else value[:100]

    def _signed(self, ask: SignedRequest) -> tuple[Answer, Deed]:
        status = self.keyring.take(ask.chain)
        self._account.note("certificate_signed", result=status, serial=self.keyring.own_serial)
        return Answer(status), self._reconnect if status == ACCEPTED else None

    def forget(self) -> None:
        """As it left the factory, but for the password: without that nobody would hear of it again."""
        lost = self.device.forget(frozenset({self._own.password}))
        self._account.note("fault_reset_configuration", lost=",".join(lost))

    def request_certificate(self, trigger: str) -> None:
        """A02, A03: ask the server to certify a new key."""
        organization = self.device.value(self._own.organization) or ""
        csr = self.keyring.request(organization)
        self._account.note("certificate_requested")
        self._voice.say(self._voice.wire.sign_certificate(csr, SIGN_TRIGGERS[trigger]))


def _is_password(value: str) -> bool:
    return 16 <= len(value) <= 64 and value.isprintable()
