"""Zero touch: a first connection that proves a manufacturer's identity that is on our list (F44).

A manufacturer's authority says that it made this charger, not that it is ours. So its certificate opens
nothing but the way in, for a key that a signed list of that manufacturer names; everybody else is turned
away and remembered.
"""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from csms.pki.certificates import Presented, parse, parse_issuer
from csms.pki.path import Untrusted, find_path
from csms.pki.trust import TrustFiles, load_trust
from csms.reloading import Reloading
from storage.clock import Clock
from storage.provisioning import Arrival

Arrive = Callable[[Arrival], Awaitable[str]]
"""Let a listed unit in as a parked charger; empty, or why not."""


class Newcomers:
    """Judges certificates of manufacturers, against the newest of their authorities."""

    def __init__(self, ca_files: tuple[Path, ...], arrive: Arrive, clock: Clock) -> None:
        """Raises InvalidInput when a file cannot be used."""
        files = TrustFiles(ca_files)
        self._trust = Reloading("manufacturers' authorities", files.all, lambda: load_trust(files))
        self._arrive = arrive
        self._clock = clock

    async def admit(self, presented: Presented, charger_id: str, address: str) -> str | None:
        """Empty: it may come, parked. A sentence: why not. None: no manufacturer of ours vouches for it.

        Raises EngineUnavailable.
        """
        leaf = parse(presented.leaf)
        if leaf is None:
            return None
        await self._trust.refresh()
        issuers = [issuer for der in presented.chain if (issuer := parse_issuer(der)) is not None]
        path = find_path(leaf, issuers, self._trust.current.anchors, self._clock())
        if isinstance(path, Untrusted):
            return None
        key = leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        digest = hashlib.sha256(key).hexdigest()
        return await self._arrive(Arrival(charger_id, path.common_name, digest, address, self._clock()))
