"""A founded repository with readers who look after every single write, and a publisher who may die there."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tuf.ngclient import Updater

from signing.bundle import write_bundle
from signing.rehearsal import People
from signing.service import OnlineKeys, SigningService
from signing.trust_source import METADATA_PREFIX, TrustSource, fetch_from
from tests.unit.signing.conftest import DictBlobs
from tests.unit.signing.test_standard_client import BucketFetcher

NOW = datetime.now(UTC).replace(microsecond=0)
"""The stock client asks the machine for the time."""

Look = Callable[[], Awaitable[None]]


class WatchedBlobs(DictBlobs):
    """Lets readers look after every write; dies after the write it was told to."""

    def __init__(self) -> None:
        super().__init__()
        self.look: Look | None = None
        self.looks = 0

    async def put_bytes(self, key: str, data: bytes) -> bool:
        try:
            return await super().put_bytes(key, data)
        finally:
            await self._looked()

    async def replace(self, key: str, data: bytes, *, etag: str | None) -> None:
        try:
            await super().replace(key, data, etag=etag)
        finally:
            await self._looked()

    async def _looked(self) -> None:
        if self.look is not None:
            self.looks += 1
            await self.look()


class Readers:
    """Two who have seen everything so far, and one who comes for the first time."""

    def __init__(self, people: People, blobs: DictBlobs, folder: Path) -> None:
        self._people, self._blobs, self._folder = people, blobs, folder

    async def look(self) -> None:
        self.stock("old")
        self.stock(f"new-{len(list(self._folder.iterdir()))}")
        await self.ours()

    def stock(self, name: str) -> Updater:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        client = Updater(
            str(folder),
            "https://bucket/metadata/",
            str(folder),
            "https://bucket/targets/",
            BucketFetcher(self._blobs.objects),
            bootstrap=self._people.root,
        )
        client.refresh()
        assert client.get_targetinfo("acme/none/none") is None
        return client

    async def ours(self) -> Any:
        memory = self._folder / "ours.json"
        source = TrustSource(fetch_from(self._blobs), self._people.root, memory_file=memory)
        trust = await source.current(NOW)
        for role in trust.roles():
            await source.role(trust, role)
        return trust


class Stage:
    """A founded repository, its people and its readers."""

    def __init__(self, folder: Path) -> None:
        self.people = People(folder / "people")
        self.blobs = WatchedBlobs()
        (folder / "readers").mkdir()
        self.readers = Readers(self.people, self.blobs, folder / "readers")

    def service(self) -> SigningService:
        keys = OnlineKeys.in_folder(self.people.online_folder)
        return SigningService(self.blobs, self.people.root, keys, lambda: NOW)

    async def found(self) -> "Stage":
        await self.service_of(write_bundle(self.people.found(NOW)))
        await self.readers.look()
        self.blobs.writes.clear()
        return self

    async def service_of(self, data: bytes) -> None:
        await self.service().conclude_ceremony(data)

    async def prepared(self, *signers: str, **wishes: Any) -> bytes:
        bundle = await self.people.next(fetch_from(self.blobs), NOW, **wishes)
        return write_bundle(self.people.sign(bundle, signers, NOW))

    def stored(self, name: str) -> bytes:
        return self.blobs.objects[METADATA_PREFIX + name]

    def online(self, *names: str) -> None:
        self.people.change(**{name.partition("-")[0]: self.people.online(name) for name in names})
