"""Where notices may go: https, and by default the open network only, so that nobody turns us on our own."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from api.vendor_url import Address, is_public
from storage.errors import InvalidInput

MAX_URL = 1000
_PORTS = {"https": 443, "http": 80}
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was looked at, as far as its text tells."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, as sent."""

    @property
    def authority(self) -> str:
        """For the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """What an operator's settings allow beyond https to public addresses."""

    networks: tuple[Network, ...] = ()
    plain_http: bool = False

    @classmethod
    def of(cls, networks: Sequence[str], *, plain_http: bool) -> "WebhookRules":
        """From the texts of settings. Raises InvalidInput."""
        try:
            return cls(tuple(ipaddress.ip_network(each) for each in networks), plain_http)
        except ValueError as error:
            raise InvalidInput(
                f"AMPWAVE_WEBHOOK_NETWORKS: {error}.", hint="For example 10.2.0.0/16."
            ) from None

    def allows(self, address: Address) -> bool:
        """Whether notices may be sent to it."""
        inside = any(address.version == each.version and address in each for each in self.networks)
        return inside or is_public(address)

    def parse(self, text: str) -> Target:
        """Raises InvalidInput with every problem of the text."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise _refused([f"it cannot be read: {error}"]) from None
        problems = [*self._problems(text, parts)]
        if problems:
            raise _refused(problems)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        host = (parts.hostname or "").rstrip(".")
        return Target(parts.scheme, host, port or _PORTS[parts.scheme], target)

    def _problems(self, text: str, parts: SplitResult) -> list[str]:
        found = []
        if len(text) > MAX_URL:
            found.append(f"it is longer than {MAX_URL} characters")
        if not text.isascii() or not text.isprintable() or " " in text:
            found.append("it holds spaces, control characters or letters outside of ASCII")
        if parts.scheme not in _PORTS or (parts.scheme == "http" and not self.plain_http):
            found.append(f"it begins with {parts.scheme[:20] or 'nothing'}://; notices go to https:// only")
        if parts.username is not None or parts.password is not None:
            found.append("it holds a user name or a password; the signature is what a receiver checks")
        if parts.fragment:
            found.append("it holds a #fragment, which is never sent")
        return [*found, *self._host_problems((parts.hostname or "").rstrip("."))]

    def _host_problems(self, host: str) -> list[str]:
        if not host:
            return ["it names no host"]
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return []
        return [] if self.allows(address) else [_not_allowed(host)]


def _not_allowed(host: str) -> str:
    return f"{host} is not a public address, and AMPWAVE_WEBHOOK_NETWORKS does not hold it"


def _refused(problems: list[str]) -> InvalidInput:
    return InvalidInput(
        "No notice is sent to this address.",
        [f"url: {problem}" for problem in problems],
        hint="Give an https:// address of the receiver.",
    )
