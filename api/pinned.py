"""Where a request to an address that others gave us really goes: looked at once, and then connected to.

The name is resolved once, every address it has must be allowed, and the connection goes to the very address
that was looked at, so that a second answer of the resolver changes nothing (DNS rebinding, S45).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

from api.vendor_url import Address

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""(host, port) -> the texts of its addresses. Raises OSError."""
Allowed = Callable[[Address], bool]


class UnknownName(Exception):
    """Nobody knows an address for the name."""


class NotAllowed(Exception):
    """One of its addresses is on a network where we do not go."""


async def resolve(host: str, port: int) -> list[str]:
    """By the system's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def pinned(host: str, port: int, look_up: Resolve, allowed: Allowed) -> Address:
    """The address to connect to. Raises UnknownName or NotAllowed."""
    try:
        found = [ipaddress.ip_address(text) for text in await look_up(host, port)]
    except (OSError, ValueError) as error:
        raise UnknownName(host) from error
    if not found:
        raise UnknownName(host)
    if any(not allowed(address) for address in found):
        raise NotAllowed(host)
    return found[0]


def netloc(address: Address, port: int) -> str:
    """Address and port as in a URL."""
    return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
