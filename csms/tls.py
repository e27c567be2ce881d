"""The server's side of TLS: which certificates, which ciphers, and new ones without dropping a socket.

A new context takes over for handshakes to come; open sockets keep the one they began with.
"""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from csms.pki.shown import ShownChains
from csms.pki.trust import read_certificates, read_file
from csms.reloading import Reloading
from storage.clock import Clock, system_clock
from storage.errors import InvalidInput

# OCPP 2.0.1 A00.FR.318. The second line has no forward secrecy: behind a setting with Unsafe in its name.
_FORWARD_SECRET = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, for which Python has no name."""

_STATIC_RSA = ("AES256-GCM-SHA384", "AES128-GCM-SHA256")


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """One server certificate: its chain and its private key, PEM."""

    chain: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ServerTlsFiles:
    """What the TLS port is made of."""

    certificates: tuple[CertificateFiles, ...]
    """One for each type of key (ECDSA, RSA); a charger gets the one that it can check."""
    charger_ca_files: tuple[Path, ...] = ()
    """With any, chargers are asked for a certificate (security profile 3)."""
    unsafe_static_rsa: bool = False
    times_later: bool = False
    """Let expired certificates through the handshake: whose may come in is judged after it (A00.FR.429)."""

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file to watch."""
        pairs = [path for each in self.certificates for path in (each.chain, each.key)]
        return (*pairs, *self.charger_ca_files)


def agreed(socket: ssl.SSLObject | None) -> str | None:
    """Version and cipher suite that a socket speaks; None: it is not encrypted."""
    suite = socket.cipher() if socket is not None else None
    if socket is None or suite is None:
        return None
    return f"{socket.version()} {suite[0]}"


def ciphers(*, unsafe_static_rsa: bool) -> str:
    """The TLS 1.2 cipher suites; those of TLS 1.3 are all in."""
    return ":".join(_FORWARD_SECRET + (_STATIC_RSA if unsafe_static_rsa else ()))


def build_context(files: ServerTlsFiles) -> ssl.SSLContext:
    """A context over these files as they are now. Raises InvalidInput naming the file that is wrong."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(ciphers(unsafe_static_rsa=files.unsafe_static_rsa))
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_RENEGOTIATION
    # Who resumes by a ticket shows no chain again, and every connection is to be judged by its chain.
    # By session id TLS 1.2 still resumes: from this process's memory, which keeps the chain. Python cannot
    # turn that off; OpenSSL holds 20,480 sessions at most, of 10 kB with a client certificate (measured).
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    for pair in files.certificates:
        _load_pair(context, pair)
    if files.charger_ca_files:
        # Optional, since chargers of profile 2 come to the same port; who shows none needs a password.
        context.verify_mode = ssl.CERT_OPTIONAL
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        if files.times_later:
            context.verify_flags |= _NO_CHECK_TIME
        for path in files.charger_ca_files:
            _load_authorities(context, path)
    return context


def _load_pair(context: ssl.SSLContext, pair: CertificateFiles) -> None:
    read_certificates(pair.chain)
    read_file(pair.key)
    try:
        context.load_cert_chain(pair.chain, pair.key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            raise InvalidInput(f"{pair.key} is not the key of the certificate in {pair.chain}.") from error
        raise InvalidInput(f"{pair.chain} with {pair.key} cannot be used (PEM): {error}") from error


def _no_password() -> str:
    """OpenSSL would otherwise ask at the terminal, and wait for ever."""
    raise InvalidInput("A TLS private key is encrypted; hand in one without a passphrase.")


def _load_authorities(context: ssl.SSLContext, path: Path) -> None:
    read_certificates(path)
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise InvalidInput(f"{path} holds no authorities that can be used (PEM): {error}") from error


class ServerTls:
    """The TLS context of a listener, always over the newest good files."""

    def __init__(self, files: ServerTlsFiles, clock: Clock = system_clock) -> None:
        """Raises InvalidInput."""
        self._contexts = Reloading("server certificates", files.all, lambda: self._built(files))
        self._clock = clock
        self.shown = ShownChains()
        """By which roots chargers can know it."""
        self.shown.show(self._chains, clock())
        self.asks_for_certificates = bool(files.charger_ca_files)
        self.context = self._contexts.current
        """For the listener; every handshake is moved on to the newest one."""
        self.context.sni_callback = self._newest
        self.context.sslobject_class = self._watched()
        self.on_failure: Callable[[str], None] = lambda _: None
        """Told why a handshake came to nothing; asyncio tells nobody, and the charger's maker asks."""

    @property
    def problem(self) -> str:
        """Why the newest files are not in force; empty: they are."""
        return self._contexts.problem

    async def refresh(self) -> bool:
        """Look at the files once; whether new ones are in force now."""
        changed = await self._contexts.refresh()
        if changed:
            self.shown.show(self._chains, self._clock())
        return changed

    def _built(self, files: ServerTlsFiles) -> ssl.SSLContext:
        context = build_context(files)
        self._chains = [read_certificates(pair.chain) for pair in files.certificates]
        return context

    def _watched(self) -> type[ssl.SSLObject]:
        tls = self

        class Watched(ssl.SSLObject):
            def do_handshake(self) -> None:
                try:
                    super().do_handshake()
                except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                    raise
                except ssl.SSLError as error:
                    tls.on_failure(_why(error))
                    raise

        return Watched

    def _newest(self, connection: ssl.SSLObject, _name: str | None, _first: ssl.SSLContext) -> None:
        connection.context = self._contexts.current


def _why(error: ssl.SSLError) -> str:
    """OpenSSL's words: ``NO_SHARED_CIPHER``, or what is wrong with the certificate that was shown."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the client certificate cannot be trusted: {error.verify_message}"
    return error.reason or "unknown"


def expiry_problems(files: ServerTlsFiles, at: datetime) -> list[str]:
    """Server certificates that chargers would refuse now, a sentence each. Raises InvalidInput."""
    found = []
    for pair in files.certificates:
        leaf = read_certificates(pair.chain)[0]
        if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
            found.append(
                f"The server certificate in {pair.chain} is valid from {leaf.not_valid_before_utc:%Y-%m-%d}"
                f" to {leaf.not_valid_after_utc:%Y-%m-%d}, not now."
            )
    return found
