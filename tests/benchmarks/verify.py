"""``verify``: the last look before an update leaves, beside what a bare TUF client does of it.

Both read the same repository on the same S3 server. Ours does all of it: TUF metadata and our own rules,
the directive, two people's signatures in it, the release and the vendor's signature. The stock client
refreshes and looks the target up. *Cold* starts with nothing but the root, *warm* is any dispatch of the
next five minutes.
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from api.embedded import EmbeddedS3
from signing.ports import DispatchRequest
from signing.trust_source import METADATA_PREFIX, TrustSource, fetch_from
from signing.verify import Verifier
from storage.campaign import SignedDirective
from storage.charger import SignatureScheme
from storage.clock import system_clock
from storage.s3 import S3BlobStore
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from tests.support.signing_library import Library, make_library

WARM_S, COLD_S = 0.050, 0.500
RELEASES = 200
_URL = "s3://"


class _Fetcher(FetcherInterface):
    """The stock client's way to the bucket."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            found = self._client.get_object(Bucket=self._bucket, Key=METADATA_PREFIX + url.removeprefix(_URL))
        except ClientError as error:
            raise DownloadHTTPError("not there", 404) from error
        return iter([found["Body"].read()])


async def measure_verify(world: World) -> list[Row]:
    """p95 of a verification, cold and warm."""
    library = await make_library(
        world.folder / "verify", releases=world.sized(RELEASES, 2), approvers=("ada", "bob")
    )
    async with EmbeddedS3(world.folder) as server:
        blobs = S3BlobStore(
            bucket=server.bucket,
            endpoint=server.endpoint,
            region=server.region,
            access_key=server.access_key,
            secret_key=server.secret_key,
        )
        for key, data in library.blobs.objects.items():
            await blobs.put_bytes(key, data)
        try:
            return await _rows(world, library, server, blobs)
        finally:
            blobs.close()


async def _rows(world: World, library: Library, server: EmbeddedS3, blobs: S3BlobStore) -> list[Row]:
    request, cold, bare_cold, bare_warm = _request(library), [], [], []
    fetcher = _Fetcher(server.client(), server.bucket)
    for number in range(world.sized(40, 2)):
        started = time.perf_counter()
        verifier = Verifier(TrustSource(fetch_from(blobs), library.root))
        await verifier.verify(request)
        cold.append(time.perf_counter() - started)
        bare = await asyncio.to_thread(_bare, fetcher, library, world.folder / f"bare-{number}")
        bare_cold.append(bare[0])
        bare_warm.append(bare[1])
    warm = []
    for _ in range(world.sized(500, 5)):
        started = time.perf_counter()
        await verifier.verify(request)
        warm.append(time.perf_counter() - started)
    said = f"ms, p95, {world.sized(RELEASES, 2)} releases, S3"
    return [
        _row("verify warm", said, (warm, WARM_S), bare_warm, "tuf.ngclient, one more look-up"),
        _row("verify cold", said, (cold, COLD_S), bare_cold, "tuf.ngclient, refresh and look-up"),
    ]


def _bare(fetcher: _Fetcher, library: Library, folder: Path) -> tuple[float, float]:
    """Seconds of a cold refresh with a look-up, and of one more look-up."""
    folder.mkdir()
    started = time.perf_counter()
    client = Updater(str(folder), _URL, fetcher=fetcher, bootstrap=library.root)
    client.refresh()
    found = client.get_targetinfo("acme/1.1/firmware.bin")
    cold = time.perf_counter() - started
    if found is None:
        raise AssertionError("the stock client does not find the release")
    started = time.perf_counter()
    client.get_targetinfo("acme/1.1/firmware.bin")
    return cold, time.perf_counter() - started


def _request(library: Library) -> DispatchRequest:
    return DispatchRequest(
        charger_id="CP-1",
        vendor="Acme",
        model="Volt",
        hardware_revision=None,
        installed_version="1.0",
        installed_counter=10,
        request_id=1,
        scheme=SignatureScheme.ECDSA_P256,
        signed_update=True,
        unsafe_unsigned_waiver=None,
        directive=SignedDirective("d-1", "c-1", 0, 0, library.envelope),
        now=system_clock(),
    )


def _row(name: str, said: str, ours: tuple[list[float], float], bare: list[float], comparator: str) -> Row:
    seconds, target = ours
    value, beside = _p95(seconds) * 1000, _p95(bare) * 1000
    say(f"{name}: p95 {value:.2f} ms, worst {max(seconds) * 1000:.2f} ms; stock client {beside:.2f} ms")
    return Row(
        *(name, value, said, comparator, beside, value / beside),
        target=f"< {target * 1000:g}",
        met=value < target * 1000,
    )


def _p95(seconds: list[float]) -> float:
    return sorted(seconds)[min(len(seconds) - 1, int(len(seconds) * 0.95))]
