"""Fetching from a vendor over real TLS on a real socket, where the vendor, or its name, turns on us (S45)."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.errors import TooLarge
from api.vendor_fetch import VendorFetch
from storage.errors import InvalidInput

pytestmark = pytest.mark.integration
NAME = "vendor.example"
Answer = Callable[[str, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate of the vendor, with its key, in one PEM file."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("vendor") / "vendor.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@asynccontextmanager
async def vendor(certificate: Path, answer: Answer) -> AsyncIterator[int]:
    """A TLS server that answers each request this way; its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            await answer(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def fetch_of(
    certificate: Path, resolve: Callable[[str, int], Awaitable[list[str]]] | None = None
) -> VendorFetch:
    async def local(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    def allowed(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return str(address) == "127.0.0.1"  # the one stand-in for the open network

    return VendorFetch(resolve or local, allowed, lambda: ssl.create_default_context(cafile=str(certificate)))


async def got(fetch: VendorFetch, url: str, limit: int = 10_000) -> bytes:
    async with asyncio.timeout(20), fetch.open(url, limit) as chunks:
        return b"".join([chunk async for chunk in chunks])


def plain(body: bytes, status: str = "200 OK", **headers: str) -> Answer:
    async def answer(_: str, writer: asyncio.StreamWriter) -> None:
        given = {"Content-Length": str(len(body)), "Connection": "close", **headers}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items())]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        await writer.drain()

    return answer


@pytest.mark.requirement("S45")
async def test_a_vendors_image_comes_with_its_name_checked(certificate: Path) -> None:
    asked = []

    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        asked.append(head)
        await plain(b"firmware")(head, writer)

    async with vendor(certificate, answer) as port:
        assert await got(fetch_of(certificate), f"https://{NAME}:{port}/fw.bin?v=1") == b"firmware"
        assert asked[0].startswith("GET /fw.bin?v=1 HTTP/1.1")
        assert f"host: {NAME}:{port}" in asked[0].lower()
        with pytest.raises(InvalidInput, match=r"other\.example"):
            await got(fetch_of(certificate), f"https://other.example:{port}/fw.bin")


@pytest.mark.requirement("S45")
@pytest.mark.parametrize(
    "found", [["169.254.169.254"], ["10.0.0.7"], ["127.0.0.1", "192.168.1.1"], ["fe80::1"], []]
)
async def test_a_name_that_leads_inside_is_not_connected_to(certificate: Path, found: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return found

    connected = []

    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        connected.append(head)

    async with vendor(certificate, answer) as port:
        with pytest.raises(InvalidInput):
            await got(fetch_of(certificate, resolve), f"https://{NAME}:{port}/fw.bin")
    assert connected == []


@pytest.mark.requirement("S45")
async def test_a_name_that_changes_after_it_was_looked_at_changes_nothing(certificate: Path) -> None:
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])

    async def rebinding(host: str, port: int) -> list[str]:
        return next(answers)

    async with vendor(certificate, plain(b"firmware")) as port:
        url = f"https://{NAME}:{port}/fw.bin"
        assert await got(fetch_of(certificate, rebinding), url) == b"firmware"
        assert next(answers) == ["169.254.169.254"], "it was asked more than once"


@pytest.mark.requirement("S45")
@pytest.mark.parametrize(
    "place",
    [
        "https://169.254.169.254/latest/meta-data/",
        "http://vendor.example/fw.bin",
        "https://inside.example/fw.bin",
        "https://user@vendor.example/",
        "gopher://vendor.example/",
    ],
)
async def test_a_redirect_inside_is_not_followed(certificate: Path, place: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return ["10.1.2.3"] if host == "inside.example" else ["127.0.0.1"]

    async with vendor(certificate, plain(b"", "302 Found", Location=place)) as port:
        with pytest.raises(InvalidInput):
            await got(fetch_of(certificate, resolve), f"https://{NAME}:{port}/fw.bin")


async def test_redirects_are_followed_but_not_for_ever(certificate: Path) -> None:
    async def answer(head: str, writer: asyncio.StreamWriter) -> None:
        target = head.split(" ")[1]
        end = plain(b"firmware") if target == "/3" else None
        number = int(target.strip("/")) if target != "/loop" else 0
        onward = "/loop" if target == "/loop" else f"/{number + 1}"
        await (end or plain(b"", "307 Temporary Redirect", Location=onward))(head, writer)

    async with vendor(certificate, answer) as port:
        assert await got(fetch_of(certificate), f"https://{NAME}:{port}/1") == b"firmware"
        with pytest.raises(InvalidInput, match="more than 5"):
            await got(fetch_of(certificate), f"https://{NAME}:{port}/loop")


@pytest.mark.requirement("S45")
async def test_one_that_never_ends_is_cut_at_the_limit(certificate: Path) -> None:
    async def endless(_: str, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(4096))
            await writer.drain()

    async with vendor(certificate, endless) as port:
        with pytest.raises(TooLarge):
            await got(fetch_of(certificate), f"https://{NAME}:{port}/fw.bin")
    async with vendor(certificate, plain(b"", **{"Content-Length": "999999"})) as port:
        with pytest.raises(TooLarge):
            await got(fetch_of(certificate), f"https://{NAME}:{port}/fw.bin")


@pytest.mark.parametrize(
    "answer",
    [
        plain(b"firm", **{"Content-Length": "8"}),
        plain(b"firmware", "404 Not Found"),
        plain(b"firmware", "206 Partial Content"),
        plain(b"firmware", **{"Content-Encoding": "gzip"}),
        plain(b"", "302 Found"),
    ],
)
async def test_what_is_not_the_whole_image_is_none(certificate: Path, answer: Answer) -> None:
    async with vendor(certificate, answer) as port:
        with pytest.raises((InvalidInput, TooLarge)):
            await got(fetch_of(certificate), f"https://{NAME}:{port}/fw.bin")
