"""Whether a door of ours lets a charger in: opened from here, as the charger will open it.

Over TLS the one root that the charger knows has to be enough, name and dates included: what fails for us
would fail for it, when nobody can reach it any more.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

DoorProbe = Callable[[str, str], Awaitable[str]]
"""(address, root or "") -> why a charger would not get in; empty: it would come as far as its credentials."""

_ANSWER = b"HTTP/1.1 "
_MOST = 512
_PORTS = {"ws": 80, "wss": 443}


async def probe_door(url: str, root: str, *, seconds: float = 5.0) -> str:
    """Open it, ask for a socket of nobody's, and see that a server answers."""
    try:
        async with asyncio.timeout(seconds):
            return await _ask(url, root)
    except TimeoutError:
        return f"{url} does not answer within {seconds:g} s"
    except ssl.SSLCertVerificationError as error:
        return f"{url}: a charger that knows this root alone refuses the server ({error.verify_message})"
    except ssl.SSLError as error:
        return f"{url}: there is no TLS ({error.reason})"
    except (OSError, ValueError) as error:
        return f"{url} cannot be opened ({type(error).__name__})"


async def _ask(url: str, root: str) -> str:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    context = _context(root) if parts.scheme == "wss" else None
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        # Plain HTTP without an upgrade: nothing of it counts as somebody's failed attempt.
        writer.write(f"GET / HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read(_MOST)
    finally:
        writer.transport.abort()
    return "" if answer.startswith(_ANSWER) else f"{url}: what answers there is no web server"


def _context(root: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(cadata=root)
    return context
