"""Certificates that our own records revoke, whatever their issuer's list says by now (S57).

The record is asked at every handshake, and what was added to it is looked at every few seconds for the
sockets that are open: neither has to wait until a list is signed, fetched and read.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from storage.certificate import Denied
from storage.clock import Clock

_OVERLAP = timedelta(minutes=2)
"""Looked at again: clocks differ, and a transaction may commit late."""


class DenialStore(Protocol):
    """What is needed of ``storage.certificate.CertificateStore``."""

    async def denied(self, since: datetime | None, now: datetime) -> Sequence[Denied]:
        """Those revoked since then that have not expired; None: all of them."""

    async def is_denied(self, charger_id: str, serial: str) -> Denied | None:
        """Whether this one is."""


class Denials:
    """What is known to be revoked, kept current."""

    def __init__(self, store: DenialStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[tuple[str, str], Denied] = {}
        self._looked: datetime | None = None

    async def refresh(self) -> bool:
        """Look once; whether there is anything new. Raises EngineUnavailable."""
        now = self._clock()
        since = self._looked - _OVERLAP if self._looked else None
        found = {(each.charger_id, each.serial): each for each in await self._store.denied(since, now)}
        new = found.keys() - self._known.keys()
        self._known.update(found)
        self._looked = now
        return bool(new)

    def known(self, charger_id: str, serial: str) -> Denied | None:
        """After the last look; asks nobody."""
        return self._known.get((charger_id, serial))

    async def ask(self, charger_id: str, serial: str) -> Denied | None:
        """Now. Raises EngineUnavailable."""
        return self.known(charger_id, serial) or await self._store.is_denied(charger_id, serial)


def sentence(denied: Denied) -> str:
    """For the socket's end and the charger's timeline."""
    return f"revoked on {denied.revoked_at:%Y-%m-%d %H:%M} UTC ({denied.reason or 'no reason given'})"
