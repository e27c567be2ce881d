"""By which roots chargers can know this server, and since when: what it shows, not what somebody says of it.

An old root is taken from a charger only if it came under a chain of the new one (M05.FR.16). Whoever asks
for that names a time; a wrong one would lock a whole fleet out, so the node that shows the chain looks, too.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

Chain = Sequence[x509.Certificate]
_KEPT = 1000
"""Chains are replaced every day (A00.FR.701 note); before the oldest that is remembered nothing is known."""


@dataclass(frozen=True, slots=True)
class _Shown:
    at: datetime
    chains: tuple[Chain, ...]


class ShownChains:
    """What a node has shown since it runs."""

    def __init__(self) -> None:
        self._past: deque[_Shown] = deque(maxlen=_KEPT)

    def show(self, chains: Sequence[Chain], at: datetime) -> None:
        """From now on these, one for each type of key."""
        self._past.append(_Shown(at, tuple(chains)))

    def since(self, root_pem: str) -> datetime | None:
        """Since when everything that is shown is under this root, without a break; None: not now."""
        root = x509.load_pem_x509_certificate(root_pem.encode())
        found = None
        for each in reversed(self._past):
            if not each.chains or not all(is_under(chain, root) for chain in each.chains):
                break
            found = each.at
        return found


def is_under(chain: Chain, root: x509.Certificate) -> bool:
    """Whether who knows this root alone, and gets this chain, comes to its leaf."""
    for child, parent in zip(chain, (*chain[1:], None), strict=True):
        if _issued(child, root):
            return True
        if parent is None or not _issued(child, parent):
            return False
    return False


def _issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    try:
        child.verify_directly_issued_by(parent)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
