"""Server certificates, a charger authority and TLS clients of every kind, in one folder."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
from cryptography import x509

from csms.client_certificates import ClientCertificates, ClientTlsOptions
from csms.pki.ocsp_client import OcspClient, OcspOptions
from csms.pki.trust import TrustFiles
from csms.tls import CertificateFiles, ServerTls, ServerTlsFiles
from storage.clock import system_clock
from tests.support.pki import Authority, Issued, key, usage

HOST = "127.0.0.1"


@dataclass
class TlsBench:
    """One node's TLS files, and those of the chargers that come to it."""

    folder: Path

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC)
        self.server_root = Authority.root("Server root", self.now)
        self.charger_ca = Authority.root("Charger CA", self.now)
        self.root_file = self.server_root.write(self.folder / "server-root.pem")
        self.ca_file = self.charger_ca.write(self.folder / "charger-ca.pem")
        self.crl_file = self.folder / "charger.crl"
        self.revoke()

    def server_certificate(self, stem: str, kind: str = "ec", **options: Any) -> CertificateFiles:
        """A server certificate on disk; the same stem again replaces it."""
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address(HOST)), x509.DNSName("localhost")])
        issued = self.server_root.leaf(
            HOST,
            key=options.pop("key", None) or key(kind, f"server {kind}"),
            key_usage=usage("digital_signature", "key_encipherment"),
            extensions=[(names, False)],
            **options,
        )
        return CertificateFiles(*issued.write(self.folder, stem))

    def server(self, *pairs: CertificateFiles, profile_3: bool = True, **options: bool) -> ServerTls:
        """The server's side over these certificates, or over an ECDSA one."""
        chosen = pairs or (self.server_certificate("server"),)
        authorities = (self.ca_file,) if profile_3 else ()
        return ServerTls(ServerTlsFiles(chosen, authorities, **options))

    def certificates(self, chargers: Any, ocsp: Any = None, **options: Any) -> ClientCertificates:
        """How a node judges chargers' certificates."""
        files = TrustFiles((self.ca_file,), options.pop("crl_files", (self.crl_file,)))
        given = ClientTlsOptions(files, OcspOptions(), check_every_s=0.05, **options)
        return ClientCertificates(given, chargers, system_clock, ocsp)

    def revoke(self, *issued: Issued, **options: Any) -> None:
        """Write the revocation list anew, as an operator's job would: whole, then renamed into place."""
        draft = self.crl_file.with_suffix(".draft")
        draft.write_bytes(self.charger_ca.crl_pem(*(each.serial for each in issued), **options))
        draft.replace(self.crl_file)

    def client(
        self,
        issued: Issued | None = None,
        *,
        ciphers: str | None = None,
        newest: ssl.TLSVersion | None = None,
    ) -> ssl.SSLContext:
        """A charger's side, with its certificate if it has one."""
        context = ssl.create_default_context(cafile=self.root_file)
        if issued is not None:
            context.load_cert_chain(*issued.write(self.folder, f"client-{issued.serial}"))
        if newest is not None:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            context.maximum_version = newest
        if ciphers is not None:
            context.set_ciphers(ciphers)
        return context


class Streamed(httpx2.AsyncByteStream):
    """A body as it comes over a socket."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._body


def responder(answer: Any) -> OcspClient:
    """A client of an OCSP responder at this function: request in, response out."""
    transport = httpx2.MockTransport(
        lambda request: httpx2.Response(200, stream=Streamed(answer(request.content)))
    )
    return OcspClient(
        httpx2.AsyncClient(transport=transport),
        OcspOptions(url="http://ocsp.test/", fresh_s=0.05),
        system_clock,
        lambda size: b"r" * size,
    )


LONG_AGO = timedelta(days=3)
AN_HOUR = timedelta(hours=1)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what the node does by itself after a file has changed."""
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - nobody signals that a file was read
            await asyncio.sleep(0.02)
