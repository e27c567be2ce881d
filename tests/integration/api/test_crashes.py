"""kill -9 of PostgreSQL and of the S3 server while an image comes in and goes out: nothing is lost."""

import asyncio
import base64
import random
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from activities.blob_care import BlobCareActivities, CarePolicy, CareStores
from api.app import create_app
from api.auth import mint_token
from api.embedded import EmbeddedPostgres, EmbeddedS3
from api.embedded.engine import Engine
from storage.access import Principal, Role
from storage.audit import AuditEntry
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.clock import system_clock
from storage.postgres.blob_care import PostgresBlobCareStore
from storage.postgres.engine import create_engine
from storage.postgres.migrate import upgrade
from storage.s3 import S3BlobStore
from storage.s3_keeper import S3BlobKeeper
from storage.ticket_binding import bound_ticket
from tests.integration.api.conftest import Deployment, served
from tests.support.deployment import services_over

pytestmark = pytest.mark.integration
MIB = 1024 * 1024
IMAGE = random.Random(6).randbytes(32 * MIB)
SHA256 = sha256_hex(IMAGE)
MANIFEST = {
    "vendor_role": "volta",
    "version": "1.1.0",
    "release_counter": 2,
    "compatible": [{"vendor": "Volta", "model": "V22"}],
}


@dataclass
class Ground:
    """Engines of this test alone, for it kills them, and the api over them on a socket."""

    postgres: EmbeddedPostgres
    s3: EmbeddedS3
    deployment: Deployment
    blobs: S3BlobStore
    url: str
    care: BlobCareActivities
    keeper: S3BlobKeeper

    def client(self) -> httpx2.AsyncClient:
        headers = {"Authorization": f"Bearer {self.deployment.text}"}
        return httpx2.AsyncClient(base_url=self.url, headers=headers, timeout=60)


@dataclass
class _Recorder:
    """What the sweep asks of the shared stores."""

    services: Any

    def clock(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)

    async def record(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        await self.services.audit.append(AuditEntry(self.clock(), actor, action, subject, detail))


@pytest.fixture
async def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    monkeypatch.setattr("temporalio.activity.heartbeat", lambda *_: None)
    async with EmbeddedPostgres(tmp_path, durable=False) as postgres, EmbeddedS3(tmp_path) as s3:
        await upgrade(postgres.url)
        engine = create_engine(postgres.url)
        keys = {"access_key": s3.access_key, "secret_key": s3.secret_key}
        blobs = S3BlobStore(bucket=s3.bucket, endpoint=s3.endpoint, **keys)
        blobs.part_bytes = 5 * MIB
        await blobs.ensure_bucket()
        services, orchestrator = services_over(engine, blobs)
        text, token = mint_token(
            Principal("admin", Role.ADMIN),
            now=system_clock(),
            expires_at=None,
            token_id="t1",
            random_bytes=secrets.token_bytes,
        )
        await services.tokens.add(token)
        deployment = Deployment(create_app(services), services, None, orchestrator, text)  # type: ignore[arg-type]
        more = CareStores(
            PostgresBlobCareStore(engine), S3BlobKeeper(blobs), services.uploads, services.watch.incidents
        )
        shared: Any = _Recorder(services)
        nothing: Any = None  # the sweep inspects nothing
        care = BlobCareActivities(shared, more, nothing, nothing, CarePolicy(grace=timedelta(minutes=1)))
        async with served(deployment) as url:
            yield Ground(postgres, s3, deployment, blobs, url, care, S3BlobKeeper(blobs))
        blobs.close()
        await engine.dispose()


async def body(data: bytes, at: int, happens: Callable[[], None]) -> AsyncIterator[bytes]:
    """The bytes, and what happens once so many of them were sent."""
    for start in range(0, len(data), MIB):
        if start == at:
            happens()
        yield data[start : start + MIB]


async def send(client: httpx2.AsyncClient, place: str, offset: int, killed: Engine | None) -> int:
    """The rest of the image from there on; the status."""
    headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
    data = IMAGE[offset : offset + 16 * MIB]
    content = body(data, 8 * MIB, killed.kill if killed else lambda: None)
    return (await client.patch(place, content=content, headers=headers)).status_code


async def offset_of(client: httpx2.AsyncClient, place: str) -> int:
    return int((await client.head(place)).headers["upload-offset"])


@pytest.mark.requirement("S40", "S43")
async def test_everything_recovers_and_nothing_is_orphaned_for_good(ground: Ground) -> None:
    named = base64.b64encode(SHA256.encode()).decode()
    begun = {"Upload-Length": str(len(IMAGE)), "Upload-Metadata": f"sha256 {named}"}
    async with ground.client() as client:
        place = (await client.post("/api/v1/uploads", headers=begun)).headers["location"]
        answers = []
        for engine in (ground.s3, ground.postgres):
            answers.append(await send(client, place, 0, engine))
            await engine.restart()
            answers.append(await offset_of(client, place))
        assert answers == [503, 0, 503, 0], "a piece is here whole and on record, or not at all"
        assert [await send(client, place, at, None) for at in (0, 16 * MIB)] == [204, 204]
        ground.s3.kill()
        lost = await client.post(f"{place}/artifact", json=MANIFEST)
        await ground.s3.restart()
        done = await client.post(f"{place}/artifact", json=MANIFEST)
        assert (lost.status_code, done.status_code) == (503, 201), done.text

        ticket, now = bound_ticket(secrets.token_bytes(16), "CP-1", SHA256), system_clock()
        until = now + timedelta(hours=1)
        await ground.deployment.services.tickets.add(
            DownloadTicket(sha256_hex(ticket.encode()), "CP-1", SHA256, now, until)
        )
        first = await broken_off(ground, client, f"/d/{ticket}")
        await ground.s3.restart()
        assert 0 < len(first) < len(IMAGE), "what was cut off looks whole"
        rest = {"Range": f"bytes={len(first)}-", "If-Range": f'"{SHA256}"'}
        assert first + (await client.get(f"/d/{ticket}", headers=rest)).content == IMAGE

    swept = await ground.care.sweep_leftovers()
    assert swept.versions > 0
    assert await ground.keeper.multiparts() == []
    left = {one.key for one in await ground.keeper.versions()} - {"private-probe"}
    assert left == {SHA256}, "the image alone is left"
    assert await ground.blobs.length(SHA256) == len(IMAGE)
    actions = [row.entry.action for row in await ground.deployment.services.audit.rows()]
    assert actions.count("artifact.uploaded") == 1
    assert actions[-1] == "storage.swept"


async def broken_off(ground: Ground, client: httpx2.AsyncClient, path: str) -> bytes:
    """What a charger has of the image when the S3 server dies under its download."""
    got = bytearray()
    try:
        async with asyncio.timeout(60), client.stream("GET", path) as answer:
            async for chunk in answer.aiter_raw(MIB):
                if not got:
                    ground.s3.kill()
                got += chunk
    except httpx2.TransportError:
        pass
    return bytes(got)
