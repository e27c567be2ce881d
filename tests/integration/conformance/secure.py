"""A node behind real TLS, and stations' contexts to reach it with."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from csms.client_certificates import ClientCertificates, ClientTlsOptions
from csms.pki.trust import TrustFiles
from csms.tls import ServerTls, ServerTlsFiles
from storage.clock import system_clock
from tests.integration.conformance.certificates import Authority


@dataclass
class Secured:
    """The node of a test with its two authorities: one for servers, one for stations."""

    csms: Any
    folder: Path
    servers: Authority
    stations: Authority

    async def start(self, *, unsafe_static_rsa: bool = False) -> None:
        """Start a node with an ECDSA and an RSA certificate that asks stations for theirs."""
        keys = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
        authorities = self.folder / "stations.pem"
        authorities.write_text(self.stations.pem)
        files = ServerTlsFiles(
            tuple(self.servers.server(self.folder, key) for key in keys),
            (authorities,),
            unsafe_static_rsa=unsafe_static_rsa,
        )
        options = ClientTlsOptions(TrustFiles((authorities,)))
        judge = ClientCertificates(options, self.csms.place.chargers, system_clock, None)
        await self.csms.start("node-tls", tls=ServerTls(files), certificates=judge)

    def context(self, client: tuple[Path, Path] | None = None, **limits: Any) -> ssl.SSLContext:
        """A station's context: it knows our root, and may have a certificate."""
        context = ssl.create_default_context(cadata=self.servers.pem)
        for name, value in limits.items():
            setattr(context, name, value)
        if client is not None:
            context.load_cert_chain(*client)
        return context


async def secured(csms: Any, folder: Path) -> Secured:
    """A second node, with TLS, which is the one of this test from here on."""
    place = Secured(csms, folder, Authority.create("Servers"), Authority.create("Stations"))
    await place.start()
    return place
