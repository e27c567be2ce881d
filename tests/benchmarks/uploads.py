"""Row ``uploads``: one image of 500 MB through the api in pieces, beside a PUT to the S3 server itself."""

import asyncio
import base64
import hashlib
import random

import httpx2

from tests.benchmarks.child import ChildFailed
from tests.benchmarks.downloads import IDLE_MIB, MIB, Ground, ground, watched
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World

BLOCK = 1024
PIECE = 64 * MIB
MEDIA_TYPE = "application/offset+octet-stream"


async def measure_uploads(world: World) -> list[Row]:
    """How fast, and what it costs the api in memory."""
    length = world.sized(500 * 1000 * 1000, 300_000)
    block = random.Random(world.seed).randbytes(BLOCK)
    async with ground(world, 1) as place:
        await _uploaded(place, block, 2 * MIB, 0)  # warm
        await place.door.ask("collect")
        idle = place.door.rss()
        highest = [idle]
        bare = await _put(place, block, length)
        async with watched(place.door, highest):
            sent, finished = await _uploaded(place, block, length, 1)
    more, mib = (max(highest) - idle) / MIB, length / MIB
    say(
        f"uploads: {mib:.0f} MiB sent at {mib / sent:.0f} MiB/s, read back and stored in {finished:.1f} s, "
        f"S3 itself {mib / bare:.0f} MiB/s, +{more:.1f} MiB"
    )
    ours, theirs = mib / (sent + finished), mib / bare
    return [
        Row(
            *("uploads", ours, "MiB/s, sent, read back, hashed, stored", "a PUT to the S3 server itself"),
            *(theirs, ours / theirs if theirs else None),
            target="shown beside it",
            met=True,
        ),
        Row(
            *("uploads-memory", more, f"MiB above idle while {mib:.0f} MiB come in", None, None, None),
            target=f"<= {IDLE_MIB:g}",
            met=more <= IDLE_MIB,
        ),
    ]


async def _put(place: Ground, block: bytes, length: int) -> float:
    given = {"Bucket": place.s3.bucket, "Key": "bare"}
    url = await asyncio.to_thread(place.blobs.client().generate_presigned_url, "put_object", Params=given)
    return await _sent(place, "PUT", url, {}, (block, length))


async def _uploaded(place: Ground, block: bytes, length: int, version: int) -> tuple[float, float]:
    """Seconds to send it, and seconds until it is an artifact."""
    digest = hashlib.sha256()
    for _ in range(length // BLOCK):
        digest.update(block)
    digest.update(block[: length % BLOCK])
    sha256, base = digest.hexdigest(), f"http://127.0.0.1:{place.port}"
    bearer = {"Authorization": f"Bearer {place.token}"}
    async with httpx2.AsyncClient(base_url=base, headers=bearer, timeout=120) as client:
        named = base64.b64encode(sha256.encode()).decode()
        begun = {"Upload-Length": str(length), "Upload-Metadata": f"sha256 {named}"}
        where = (await client.post("/api/v1/uploads", headers=begun)).headers["location"]
        seconds = 0.0
        for first in range(0, length, PIECE):
            headers = {**bearer, "Upload-Offset": str(first), "Content-Type": MEDIA_TYPE}
            part = (block, min(PIECE, length - first))
            seconds += await _sent(place, "PATCH", f"{base}{where}", headers, part)
        started = asyncio.get_running_loop().time()
        answer = await client.post(f"{where}/artifact", json=_manifest(version))
    if answer.status_code != 201 or answer.json()["artifact_id"] != sha256:
        raise ChildFailed(f"the upload became no artifact: {answer.text}")
    return seconds, asyncio.get_running_loop().time() - started


async def _sent(
    place: Ground, method: str, url: str, headers: dict[str, str], body: tuple[bytes, int]
) -> float:
    block, length = body
    answer = await place.fetchers.ask(
        "send", method=method, url=url, headers=headers, block=block.hex(), length=length
    )
    if answer["status"] not in (200, 204):
        raise ChildFailed(f"{method} ended with {answer['status']}")
    return float(answer["seconds"])


def _manifest(version: int) -> dict[str, object]:
    models = [{"vendor": "Bench", "model": "B1"}]
    return {"vendor_role": "bench", "version": f"1.{version}", "release_counter": 1, "compatible": models}
