"""Keeps TLS current while the node runs: new files, and open sockets whose certificate was revoked (S57)."""

import asyncio
from collections.abc import Callable

import structlog

from csms.client_certificates import ClientCertificates
from csms.metrics import CsmsMetrics
from csms.pki.path import CertificatePath
from csms.pki.revocation import Revocation, Standing
from csms.session import Session
from csms.tls import ServerTls

log = structlog.get_logger(__name__)

_AT_ONCE = 32
"""Open sockets whose certificates are looked up at the same time; a responder may be slow."""

Close = Callable[[Session, str], None]


class SecurityWatch:
    """Looks at files and lists every few seconds, and asks responders more often than once a minute."""

    def __init__(
        self,
        server: ServerTls | None,
        clients: ClientCertificates | None,
        metrics: CsmsMetrics,
        close: Close,
        reload_s: float,
    ) -> None:
        self._server = server
        self._clients = clients
        self._metrics = metrics
        self._close = close
        self._reload_s = reload_s
        self._held: dict[Session, CertificatePath] = {}

    def enter(self, session: Session, path: CertificatePath | None) -> None:
        """A socket is open on the strength of this certificate."""
        if path is not None and self._clients is not None:
            self._held[session] = path
            # The files may have changed since the handshake was judged.
            self._apply(session, path, self._clients.listed(session.charger_id, path))

    def leave(self, session: Session) -> None:
        """It is closed."""
        self._held.pop(session, None)

    async def close(self) -> None:
        """Let go of the connections to responders."""
        if self._clients is not None:
            await self._clients.close()

    async def look_for_ever(self) -> None:
        """At files and lists, until cancelled. Never waits for anybody, so revocation is quick."""
        while self._server or self._clients:
            await asyncio.sleep(self._reload_s)
            try:
                if await self.refresh():
                    await self.check_lists()
            except Exception:
                log.exception("a look at TLS files failed")

    async def ask_for_ever(self) -> None:
        """Responders, until cancelled; they may be slow."""
        while self._clients and self._clients.asks_responders:
            await asyncio.sleep(self._clients.options.check_every_s)
            try:
                await self.ask_responders()
            except Exception:
                log.exception("a look at certificates failed")

    async def refresh(self) -> bool:
        """Take new files into force; whether what they say of chargers' certificates may have changed."""
        if self._server is not None:
            await self._server.refresh()
        changed = await self._clients.refresh() if self._clients is not None else False
        problems = (self._server and self._server.problem) or (self._clients and self._clients.problem)
        self._metrics.tls_problem.set(1 if problems else 0)
        return changed

    async def check_lists(self) -> None:
        """Close every open socket whose certificate the files revoke."""
        for number, (session, path) in enumerate(list(self._held.items())):
            if self._clients is not None:
                self._apply(session, path, self._clients.listed(session.charger_id, path))
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)

    async def ask_responders(self) -> None:
        """The same, after what the responders say."""
        held = list(self._held.items())
        for start in range(0, len(held), _AT_ONCE):
            await asyncio.gather(*(self._ask(*pair) for pair in held[start : start + _AT_ONCE]))

    async def _ask(self, session: Session, path: CertificatePath) -> None:
        if self._clients is None:
            return
        try:
            standing = await self._clients.standing(session.charger_id, path)
        except Exception:
            # One certificate must not keep the others from being looked up.
            log.exception("a certificate could not be looked up", charger_id=session.charger_id)
        else:
            self._apply(session, path, standing)

    def _apply(self, session: Session, path: CertificatePath, revocation: Revocation) -> None:
        # Unproven alone closes nothing: a list that was not renewed in time must not darken the fleet.
        if revocation.standing is Standing.REVOKED and self._held.pop(session, None) is not None:
            log.warning("a certificate was revoked", charger_id=session.charger_id, serial=path.serial)
            self._metrics.revoked.inc()
            self._close(session, f"the certificate was {revocation.reason}")
