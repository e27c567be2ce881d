"""An authority behind EST (RFC 7030) on a real TLS port: ours, with the habits of others."""

import asyncio
import base64
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.hazmat.primitives.serialization.pkcs7 import serialize_certificates
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from signing.ca.builtin import BuiltInAuthority
from signing.ca.ceremony import read_authority
from signing.ca.ports import Applicant
from storage.clock import system_clock
from tests.support.tls_bench import TlsBench


@dataclass
class Habits:
    """What servers differ in, and what they do when something is wrong."""

    raw_der: bool = False
    """Answers in DER without base64, as some do although RFC 7030 section 4.1.3 says base64."""
    with_chain: bool = False
    """Puts its issuers beside the new certificate."""
    waits: int = 0
    """So many requests are answered 202 first (manual approval, section 4.2.3)."""
    retry_after: str = "1"
    refuses: str = ""
    """A text with 400."""
    status: int = 200
    basic: tuple[str, str] | None = None
    answers: bytes | None = None
    """In place of certificates."""
    asked: list[tuple[str, bytes]] = field(default_factory=list)


class EstResponder:
    """One server."""

    def __init__(self, authority: BuiltInAuthority, certificates: str, habits: Habits) -> None:
        self._authority = authority
        self._certificates = read_authority(certificates)
        self.habits = habits
        base = "/.well-known/est"
        self.app = Starlette(
            routes=[
                Route(f"{prefix}/{name}", handler, methods=[method])
                for prefix in (base, f"{base}/chargers")
                for name, handler, method in (
                    ("cacerts", self._cacerts, "GET"),
                    ("simpleenroll", self._enroll, "POST"),
                    ("simplereenroll", self._enroll, "POST"),
                )
            ]
        )

    async def _cacerts(self, _: Request) -> Response:
        return self._pkcs7(list(self._certificates))

    async def _enroll(self, request: Request) -> Response:
        habits, body = self.habits, await request.body()
        habits.asked.append((request.url.path.rsplit("/", 1)[1], body))
        if habits.basic is not None and not _knows(request, habits.basic):
            return Response(status_code=401, headers={"WWW-Authenticate": 'Basic realm="est"'})
        if habits.waits:
            habits.waits -= 1
            return Response(status_code=202, headers={"Retry-After": habits.retry_after})
        if habits.status != 200:
            return Response(status_code=habits.status)
        if habits.refuses:
            return PlainTextResponse(habits.refuses, status_code=400)
        assert request.headers["content-type"] == "application/pkcs10"
        der = base64.b64decode(body)
        csr = x509.load_der_x509_csr(der).public_bytes(Encoding.PEM).decode()
        (name,) = x509.load_der_x509_csr(der).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        who = Applicant(str(name.value), str(name.value), "", "")
        issued = await self._authority.issue(csr, who, system_clock(), renews=False)
        leaf = x509.load_pem_x509_certificates(issued.chain.encode())[0]
        return self._pkcs7([leaf, *(self._certificates if habits.with_chain else ())])

    def _pkcs7(self, certificates: list[x509.Certificate]) -> Response:
        if self.habits.answers is not None:
            return Response(self.habits.answers, media_type="application/pkcs7-mime")
        der = serialize_certificates(certificates, Encoding.DER)
        body = der if self.habits.raw_der else base64.encodebytes(der)
        kind = "application/pkcs7-mime; smime-type=certs-only"
        return Response(body, media_type=kind, headers={"Content-Transfer-Encoding": "base64"})


def _knows(request: Request, basic: tuple[str, str]) -> bool:
    wanted = base64.b64encode(":".join(basic).encode()).decode()
    return request.headers.get("authorization") == f"Basic {wanted}"


@asynccontextmanager
async def est_server(responder: EstResponder, bench: TlsBench) -> AsyncIterator[tuple[str, Any]]:
    """Its https:// address, and a TLS context that trusts it."""
    pair = bench.server_certificate("est")
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(
            responder.app,
            log_level="error",
            lifespan="off",
            ssl_certfile=str(pair.chain),
            ssl_keyfile=str(pair.key),
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    trust = ssl.create_default_context(cafile=str(bench.root_file))
    yield f"https://localhost:{listening.getsockname()[1]}", trust
    server.should_exit = True
    await serving
