"""An image from a vendor's address to the shelf: fetched in bounds, hashed, read back, stored."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from api.ports import ApiServices
from api.schemas.artifacts import ManifestBody
from api.shelf import Recorded, Shelf
from api.vendor_fetch import VendorFetch
from storage.access import Principal
from storage.artifact import Artifact
from storage.errors import AmpwaveError, InvalidInput
from storage.transfer import INCOMING


@dataclass(frozen=True, slots=True)
class VendorImport:
    """Imports of one person."""

    services: ApiServices
    actor: Principal
    repeated: bool
    fetch: VendorFetch

    async def take(self, url: str, manifest: ManifestBody) -> Artifact:
        """The artifact, stored and on its way; a refusal is recorded in the audit log and raised."""
        async with Recorded(self.services, self.actor, "import"):
            return await self._taken(url, manifest)

    async def _taken(self, url: str, manifest: ManifestBody) -> Artifact:
        services, fetched = self.services, _Fetched()
        key = f"{INCOMING}import-{services.new_id()}/1"
        seconds = services.limits.import_seconds
        try:
            async with (
                asyncio.timeout(seconds),
                self.fetch.open(url, services.limits.upload_bytes) as chunks,
            ):
                await services.blobs.put_new(key, fetched.measured(chunks))
            artifact = self._named(manifest, fetched)
            shelf = Shelf(services, self.actor, self.repeated)
            return await shelf.store(artifact, lambda: services.blobs.read(key), came="import")
        except TimeoutError:
            raise InvalidInput(f"Fetching the image took longer than {seconds:g} s.") from None
        finally:
            with suppress(AmpwaveError):  # Otherwise the sweep finds it.
                await asyncio.shield(services.blobs.delete(key))

    def _named(self, manifest: ManifestBody, fetched: "_Fetched") -> Artifact:
        sha256 = fetched.sha256.hexdigest()
        problems = [] if fetched.length else ["url: the vendor sent an empty file"]
        if manifest.sha256 not in (None, sha256):
            problems.append(f"url: its SHA-256 is {sha256}, the manifest says {manifest.sha256}")
        if problems:
            raise InvalidInput("The import was refused; nothing was stored.", problems)
        return manifest.to_noun(sha256, fetched.length, self.actor.name, self.services.clock())


class _Fetched:
    """What came."""

    def __init__(self) -> None:
        self.sha256 = hashlib.sha256()
        self.length = 0

    async def measured(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for chunk in chunks:
            self.sha256.update(chunk)
            self.length += len(chunk)
            yield chunk
