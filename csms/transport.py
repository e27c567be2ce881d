"""What the session asks of a socket. The gateway gives it a WebSocket; tests give it a pair in memory."""

from typing import Protocol


class TransportClosed(Exception):
    """The socket is closed, by either side."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"socket closed: {code} {reason}".strip())
        self.code = code
        self.reason = reason


class Transport(Protocol):
    """One ordered, framed connection to one charger."""

    async def receive(self) -> str | bytes:
        """The next message. Raises TransportClosed."""

    async def send(self, text: str) -> None:
        """Send one text message. Raises TransportClosed."""

    async def pause(self, seconds: float) -> None:
        """Read nothing for so long, or until the socket is closed."""

    def post(self, text: str) -> bool:
        """Send one text message without waiting; False: the peer reads too slowly or is gone, so ``send``."""

    async def close(self, code: int, reason: str) -> None:
        """Close; never raises, also when it is closed already."""
