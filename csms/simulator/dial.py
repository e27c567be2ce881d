"""How a charger opens its socket, and the clock it goes by."""

import base64
import ssl
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from csms.simulator.pace import SimPace
from csms.simulator.personality import KeyStyle, Personality
from storage.clock import Clock

_MAX_FRAME = 1024 * 1024
_CLOSE_S = 1.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Access(NamedTuple):
    """What a charger proves itself by: a password, a certificate, or nothing."""

    password: str | None
    tls: ssl.SSLContext | None = None


def dial(url: str, charger_id: str, character: Personality, pace: SimPace, access: Access) -> connect:
    """The socket to be."""
    password = access.password
    headers = {} if password is None else {"Authorization": basic(charger_id, password, character.key_style)}
    return connect(
        f"{url}/{quote(charger_id, safe='')}",
        subprotocols=[Subprotocol(character.dialect.value)],
        additional_headers=headers,
        # Its heartbeat and the server's pings tell it enough; a timer for each socket would not be free.
        ping_interval=None,
        compression=None,
        proxy=None,
        ssl=access.tls,
        open_timeout=pace.open_timeout_s,
        close_timeout=_CLOSE_S,
        max_size=_MAX_FRAME,
    )


def basic(charger_id: str, password: str, style: KeyStyle) -> str:
    """The Authorization header as this brand writes it."""
    secret = bytes.fromhex(password) if style is KeyStyle.HEX_BYTES else password.encode()
    return f"Basic {base64.b64encode(charger_id.encode() + b':' + secret).decode()}"


class DeviceClock:
    """A charger's own clock: right, ahead or behind, or not set until it is told."""

    def __init__(self, clock: Clock, skew_s: float, *, unset: bool) -> None:
        self._clock = clock
        self._skew = timedelta(seconds=skew_s)
        self._unset = unset
        self.power_on()

    def power_on(self) -> None:
        """Without a battery it starts at nothing."""
        self._started = self._clock()
        self._set = not self._unset

    def told(self) -> None:
        """The server said what time it is."""
        self._set = True

    def now(self) -> datetime:
        """What it shows."""
        now = self._clock()
        return now + self._skew if self._set else _EPOCH + (now - self._started)
