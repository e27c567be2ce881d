"""Where and how a charger connects: our doors, and the connection it is to have (F54).

A private network is metadata here: which APN, which tunnel; nobody but the network's owner sets it up (F57).
"""

from dataclasses import dataclass

HIGHEST = 3
"""Security profiles go from 1 to this; 0 is no profile that anybody is moved to."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to reach our nodes: its door without TLS and the one with it."""

    name: str
    ws: str | None = None
    wss: str | None = None
    apn: str = ""
    """The private APN that it is reached by; chargers are told."""
    vpn: str = ""
    """What the tunnel is called that it is reached through; nobody is told."""

    def door(self, profile: int) -> str | None:
        """Where chargers of this security profile connect; None: there is no such door."""
        return self.ws if profile < 2 else self.wss


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection that chargers are to have."""

    url: str
    profile: int
    """0: each keeps the security profile that it has."""
    endpoint: str = "main"
    interface: str = "Wired0"
    message_timeout_s: int = 30
    apn: str = ""
    vpn: str = ""
    slot: int = 0
    """0: one that the charger does not use."""


def desired_of(connection: Connection, profile: int) -> dict[str, object]:
    """As the twin keeps it."""
    return {
        "endpoint": connection.endpoint,
        "url": connection.url,
        "security_profile": profile,
        "interface": connection.interface,
        "message_timeout_s": connection.message_timeout_s,
        # An empty text takes away what was there before.
        "apn": connection.apn,
        "vpn": connection.vpn,
    }
