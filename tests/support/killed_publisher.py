"""A publisher in a process of its own that gets a real kill -9 right after its n-th write.

Run: python -m tests.support.killed_publisher FOLDER BUCKET ENDPOINT ACCESS SECRET REGION CEREMONY WRITES
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from signing.service import OnlineKeys, SigningService
from storage.clock import system_clock
from storage.s3 import S3BlobStore


class Deadly:
    """The real store, whose n-th successful write is the last thing that this process does."""

    def __init__(self, store: S3BlobStore, writes: int) -> None:
        self._store = store
        self._left = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async def put_bytes(self, key: str, data: bytes) -> bool:
        made = await self._store.put_bytes(key, data)
        if made:
            self._count()
        return made

    async def replace(self, key: str, data: bytes, *, etag: str | None) -> None:
        await self._store.replace(key, data, etag=etag)
        self._count()


async def main(root: bytes, keys: OnlineKeys, store: list[str], ceremony: bytes, writes: int) -> None:
    bucket, endpoint, access, secret, region = store
    blobs = S3BlobStore(bucket=bucket, endpoint=endpoint, access_key=access, secret_key=secret, region=region)
    service = SigningService(Deadly(blobs, writes), root, keys, system_clock)  # type: ignore[arg-type]
    await service.conclude_ceremony(ceremony)
    blobs.close()


if __name__ == "__main__":
    folder, *where, file, count = sys.argv[1:]
    embedded = (Path(folder) / "root.json").read_bytes()
    online = OnlineKeys.in_folder(Path(folder) / "online")
    asyncio.run(main(embedded, online, where, Path(file).read_bytes(), int(count)))
