"""Addresses of vendors that we may be told to fetch: rules against being turned on our own network (S45)."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from storage.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

MAX_URL = 2000
# RFC 3986 without userinfo's "@", and without what a shell or a log might act upon: ; ' ( ) * $ ! | etc.
_ALLOWED = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]&=%+,]+")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+[A-Za-z][A-Za-z0-9\-]{{0,61}}")
_ENCODED_CONTROL = re.compile(r"%(0[0-9a-fA-F]|1[0-9a-fA-F]|7[fF])")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class VendorUrl:
    """An https address on somebody else's network, as far as its text tells."""

    host: str
    port: int
    target: str
    """Path and query, as sent."""

    @property
    def text(self) -> str:
        """The whole of it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}{'' if self.port == 443 else f':{self.port}'}{self.target}"


def parse_vendor_url(text: str) -> VendorUrl:
    """Raises InvalidInput with every problem of the text."""
    problems = list(_text_problems(text))
    if problems:
        raise _refused(problems)
    try:
        parts = urlsplit(text)
        port = parts.port or 443
    except ValueError as error:
        raise _refused([f"it cannot be read: {error}"]) from None
    host = (parts.hostname or "").rstrip(".")
    if parts.scheme != "https":
        problems.append(f"it begins with {parts.scheme or 'nothing'}://, only https:// is fetched")
    problems += _host_problems(host)
    if problems:
        raise _refused(problems)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return VendorUrl(host, port, target)


def _text_problems(text: str) -> list[str]:
    problems = []
    if len(text) > MAX_URL:
        problems.append(f"it is longer than {MAX_URL} characters")
    if "@" in text:
        problems.append("it holds a user name, or an @")
    if not _ALLOWED.fullmatch(text.replace("@", "")) or _ENCODED_CONTROL.search(text):
        problems.append(
            "it holds characters that no download address needs (control characters, ; $ ( ) ...)"
        )
    return problems


def _host_problems(host: str) -> list[str]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return [] if _HOST.fullmatch(host) else [f"{host!r} is no public host name"]
    return [] if is_public(address) else [f"{host} is not a public address"]


def is_public(address: Address) -> bool:
    """Whether it lies on the open network; whatever hides an IPv4 address is judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        hidden = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            hidden.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if any(inner is not None and not is_public(inner) for inner in hidden):
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _refused(problems: list[str]) -> InvalidInput:
    return InvalidInput(
        "This address is not fetched.",
        [f"url: {problem}" for problem in problems],
        hint="Give the https:// address at which the vendor offers the image to everybody.",
    )
