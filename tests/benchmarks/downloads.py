"""Row ``downloads``: chargers that fetch one image, beside the S3 server asked directly in the same run."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median

from api.embedded import EmbeddedS3
from storage.s3 import S3BlobStore
from tests.benchmarks.child import Child, ChildFailed, Json
from tests.benchmarks.fleet import name_of
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World

MIB = 1024 * 1024
IDLE_MIB = 64.0


@dataclass(frozen=True)
class Ground:
    """An S3 server, the api before it, and somebody who fetches."""

    s3: EmbeddedS3
    blobs: S3BlobStore
    door: Child
    fetchers: Child
    port: int
    token: str

    async def store(self, length: int, seed: int) -> str:
        """An image of so many random bytes; its hash."""
        data = random.Random(seed).randbytes(length)
        key = hashlib.sha256(data).hexdigest()
        await self.blobs.put_new(key, _pieces(data))
        return key

    def direct(self, key: str, count: int) -> list[str]:
        """So many addresses of the object at the S3 server itself."""
        place = {"Bucket": self.s3.bucket, "Key": key}
        return [self.blobs.client().generate_presigned_url("get_object", Params=place) for _ in range(count)]

    async def by_ticket(self, key: str, count: int) -> list[str]:
        """So many download tickets of different chargers."""
        chargers = [name_of(number) for number in range(count)]
        answer = await self.door.ask("tickets", sha256=key, chargers=chargers)
        return [f"http://127.0.0.1:{self.port}{path}" for path in answer["paths"]]


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), MIB):
        yield data[start : start + MIB]


@asynccontextmanager
async def ground(world: World, chargers: int) -> AsyncIterator[Ground]:
    """All of it, running."""
    async with (
        EmbeddedS3(world.folder) as s3,
        world.database(chargers) as database,
        Child("door") as door,
        Child("fetchers") as fetchers,
    ):
        given = {
            "bucket": s3.bucket,
            "endpoint": s3.endpoint,
            "access_key": s3.access_key,
            "secret_key": s3.secret_key,
        }
        blobs = S3BlobStore(**given)
        try:
            started = await door.ask("start", database=database, s3=given)
            yield Ground(s3, blobs, door, fetchers, started["port"], started["token"])
        finally:
            blobs.close()


async def measure_downloads(world: World) -> list[Row]:
    """200 at once; then 1,000 that were cut off and resume at once."""
    many, length = world.sized(200, 4), world.sized(8 * MIB, 128 * 1024)
    thousand = world.sized(1000, 8)
    async with ground(world, max(many, thousand)) as place:
        key = await place.store(length, world.seed)
        rows = await _side_by_side(world, place, key, many, length)
        rows.append(await _resumed(world, place, thousand))
    return rows


async def _side_by_side(world: World, place: Ground, key: str, many: int, length: int) -> list[Row]:
    urls = await place.by_ticket(key, many)
    small = await place.store(1, world.seed + 2)
    await _fetched(place.fetchers, await place.by_ticket(small, many), 1)  # warm: every pool is filled
    await place.door.ask("collect")
    idle = place.door.rss()
    ours: list[float] = []
    bare: list[float] = []
    highest = [idle]
    for _ in range(world.sized(3, 1)):
        bare.append(await _fetched(place.fetchers, place.direct(key, many), length))
        async with watched(place.door, highest):
            ours.append(await _fetched(place.fetchers, urls, length))
    more = (max(highest) - idle) / MIB
    say(f"downloads: {many} at once, {median(ours):.0f} MiB/s, S3 itself {median(bare):.0f}, +{more:.1f} MiB")
    return [
        Row.at_least(
            "downloads", median(ours), f"MiB/s to {many} at once", "the S3 server itself", median(bare), 0.5
        ),
        Row(
            *("downloads-memory", more, f"MiB above idle with {many} at once", None, None, None),
            target=f"<= {IDLE_MIB:g}",
            met=more <= IDLE_MIB,
        ),
    ]


async def _resumed(world: World, place: Ground, thousand: int) -> Row:
    """All break off half way, all come back at once with a Range; each must get exactly the rest."""
    length = world.sized(MIB, 64 * 1024)
    key = await place.store(length, world.seed + 1)
    urls = await place.by_ticket(key, thousand)
    cut = await place.fetchers.ask("fetch", urls=urls, stop_after=length // 2)
    first = [min(body, length - 1) for _, body in cut["got"]]
    back = await place.fetchers.ask("fetch", urls=urls, first=first)
    _check(back, [length - at for at in first], 206)
    say(f"downloads: {thousand} cut at {length // 2} bytes and back with the rest in {back['seconds']:.1f} s")
    per_s = thousand / back["seconds"]
    return Row(
        *("downloads-resumed", per_s, f"chargers/s, {thousand} resuming at once", None, None, None),
        target="none lost, every byte right",
        met=True,
    )


async def _fetched(fetchers: Child, urls: Sequence[str], length: int) -> float:
    """MiB/s over all of them; raises where one did not get the whole image."""
    answer = await fetchers.ask("fetch", urls=list(urls))
    _check(answer, [length] * len(urls), 200)
    return len(urls) * length / MIB / float(answer["seconds"])


def _check(answer: Json, lengths: Sequence[int], status: int) -> None:
    wrong = [got for got, length in zip(answer["got"], lengths, strict=True) if got != [status, length]]
    if wrong:
        raise ChildFailed(f"{len(wrong)} of {len(lengths)} downloads were not right, such as {wrong[0]}")


@asynccontextmanager
async def watched(child: Child, highest: list[int]) -> AsyncIterator[None]:
    """Collects the resident memory of a process while the block runs."""

    async def look() -> None:
        while True:
            highest.append(child.rss())
            await asyncio.sleep(0.02)

    task = asyncio.create_task(look())
    try:
        yield
    finally:
        task.cancel()
