"""The opening handshake: which path, which charger, which version; and a clear no to everybody else."""

from collections.abc import Callable, Sequence
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

import structlog
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from csms.auth import REALM, Attempt, Authenticator, Refused
from csms.frames import OCPP16, OCPP21, OCPP201
from csms.limits import Arrival, Arrivals
from csms.metrics import CsmsMetrics
from csms.pki.certificates import presented_by
from csms.websocket import ChargerConnection
from storage.errors import EngineUnavailable, InvalidName
from storage.ids import check_charger_id

log = structlog.get_logger(__name__)

PREFIX = "/ocpp/"
SUBPROTOCOLS = (OCPP21, OCPP201, OCPP16)

OnRefused = Callable[[str, Refused, str], None]
"""Told of a refused registered charger: identity, why, address."""
OnThrottled = Callable[[str], None]
"""Told of a charger that comes too often, once an episode."""

_EXTRA_HEADERS = {
    401: ("WWW-Authenticate", f'Basic realm="{REALM}", charset="UTF-8"'),
    429: ("Retry-After", "60"),
    503: ("Retry-After", "5"),
}


def choose_subprotocol(offered: Sequence[str]) -> str | None:
    """The first that we speak, in the charger's order of preference (RFC 6455 section 4.1)."""
    return next((name for name in offered if name in SUBPROTOCOLS), None)


def address_of(connection: ServerConnection) -> str:
    """The peer's address, without its port."""
    address = connection.remote_address
    return str(address[0]) if address else "unknown"


class Handshake:
    """Hooks for ``websockets``: admit, or answer with HTTP."""

    def __init__(
        self,
        authenticator: Authenticator,
        arrivals: Arrivals,
        metrics: CsmsMetrics,
        on_refused: OnRefused,
        on_throttled: OnThrottled,
    ) -> None:
        self._authenticator = authenticator
        self._arrivals = arrivals
        self._metrics = metrics
        self._on_refused = on_refused
        self._on_throttled = on_throttled

    async def process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """None to go on with the handshake, or the response that ends it."""
        path = _path(request.path)
        if path == "/livez":
            return connection.respond(HTTPStatus.OK, "alive\n")
        charger_id = _identity(path)
        if charger_id is None:
            text = f"Connect to {PREFIX}{{identity}}; an identity is 1 to 48 characters of its own alphabet."
            return self._no(connection, 404, text)
        tls = connection.transport.get_extra_info("ssl_object")
        attempt = Attempt(
            charger_id,
            address_of(connection),
            _authorization(request),
            choose_subprotocol(_offered(request)) == OCPP16,
            tls=tls is not None,
            certificate=presented_by(tls),
        )
        return await self._judge(connection, attempt)

    async def _judge(self, connection: ServerConnection, attempt: Attempt) -> Response | None:
        try:
            verdict = await self._authenticator.admit(attempt)
        except EngineUnavailable:
            return self._no(connection, 503, "The central system cannot look you up now; try again.")
        if isinstance(verdict, Refused):
            log.warning(
                "refused a charger",
                charger_id=attempt.charger_id,
                address=attempt.address,
                reason=verdict.reason,
                status=verdict.status,
            )
            if verdict.registered:
                self._on_refused(attempt.charger_id, verdict, attempt.address)
            return self._no(connection, verdict.status, verdict.reason)
        # Only who proved to be the charger uses up its arrivals: a stranger cannot lock it out.
        arrival = self._arrivals.admit(attempt.charger_id)
        if arrival is not Arrival.WELCOME:
            if arrival is Arrival.TOO_OFTEN:
                self._on_throttled(attempt.charger_id)
            return self._no(connection, 429, "You connect too often; wait before you try again.")
        if verdict.caution is not None:
            log.warning(
                "let a charger in with caution", charger_id=attempt.charger_id, caution=verdict.caution
            )
            self._metrics.cautions.inc()
        if isinstance(connection, ChargerConnection):
            connection.admitted = verdict
        return None

    def no_tls(self, reason: str) -> None:
        """A TLS handshake came to nothing; who it was is not known yet."""
        self._metrics.refused.labels("tls").inc()
        log.info("a TLS handshake failed", reason=reason)

    def _no(self, connection: ServerConnection, status: int, text: str) -> Response:
        self._metrics.refused.labels(str(status)).inc()
        response = connection.respond(HTTPStatus(status), f"{text}\n")
        if status in _EXTRA_HEADERS:
            name, value = _EXTRA_HEADERS[status]
            response.headers[name] = value
        return response

    @staticmethod
    def select_subprotocol(_: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
        """None lets the handshake finish without the header, as Part 4 asks; the gateway then closes."""
        chosen = choose_subprotocol(offered)
        return None if chosen is None else Subprotocol(chosen)


def _path(target: str) -> str:
    """The path of a request target; empty for one that nobody can read, such as ``//[``."""
    try:
        return urlsplit(target).path
    except ValueError:
        return ""


def _authorization(request: Request) -> str | None:
    """The header; two of them are as good as none, since nobody can say which one counts."""
    headers = request.headers.get_all("Authorization")
    return headers[0] if len(headers) == 1 else None


def _identity(path: str) -> str | None:
    if not path.startswith(PREFIX):
        return None
    try:
        return check_charger_id(unquote(path.removeprefix(PREFIX), errors="strict"))
    except (InvalidName, UnicodeDecodeError):
        return None


def _offered(request: Request) -> list[str]:
    headers = request.headers.get_all("Sec-WebSocket-Protocol")
    return [name.strip() for header in headers for name in header.split(",")]
