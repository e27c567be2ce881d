"""What is asked of the object store; like ``ports``, which hands it on."""

from collections.abc import AsyncIterator
from typing import Protocol

from storage.read_budget import ReadBudget


class BlobStore(Protocol):
    """Objects by key: create-only, except where a conditional replace is asked for."""

    async def put_new(
        self,
        key: str,
        chunks: AsyncIterator[bytes],
        *,
        length: int | None = None,
        keep: bool = False,
        anew: bool = False,
    ) -> bool:
        """Create; False if the key was there already, with whatever bytes it has.

        ``keep``: lock it against deletion where the bucket offers that. ``anew``: write a new version even
        if the key is there; for objects named by their own hash only.
        """

    async def put_bytes(self, key: str, data: bytes) -> bool:
        """Create a small object; False if the key was there."""

    async def replace(self, key: str, data: bytes, *, etag: str | None) -> None:
        """Write if the object still has this etag (None: does not exist); raise StaleVersion otherwise."""

    async def get(self, key: str, *, limit: int) -> tuple[bytes, str]:
        """(bytes, etag); raise NotFound, or InvalidInput when it is longer than ``limit`` bytes."""

    async def length(self, key: str) -> int:
        """Bytes; raise NotFound."""

    def read(
        self, key: str, *, first: int = 0, last: int | None = None, budget: ReadBudget | None = None
    ) -> AsyncIterator[bytes]:
        """Stream a byte range, in chunks; ``budget``: shared with others who read at once."""

    async def delete(self, key: str) -> None:
        """Its bytes stay as an older version until the sweep; an unknown key is no error."""

    async def ready(self) -> None:
        """Raise EngineUnavailable if the bucket cannot be reached."""
