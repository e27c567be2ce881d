"""The stock TUF client reads our repository, caps and all, and fetches the image by its hash."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tuf.api.exceptions import DownloadHTTPError, ExpiredMetadataError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from signing.development import DevelopmentManufacturer
from signing.metadata import sign
from storage.charger import SignatureScheme


class BucketFetcher(FetcherInterface):
    """The production fetcher interface over the bench's bucket; targets by consistent-snapshot name."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self.objects = objects

    def _fetch(self, url: str) -> Iterator[bytes]:
        kind, _, rest = url.removeprefix("https://bucket/").partition("/")
        digest = rest.rpartition("/")[2].partition(".")[0]
        key = f"tuf/metadata/{rest}" if kind == "metadata" else digest
        if key not in self.objects:
            raise DownloadHTTPError("not found", 404)
        return iter([self.objects[key]])


def updater(bench, folder: Path) -> Updater:
    folder.mkdir(exist_ok=True)
    return Updater(
        str(folder),
        "https://bucket/metadata/",
        str(folder),
        "https://bucket/targets/",
        BucketFetcher(bench.blobs.objects),
        bootstrap=bench.root,
    )


@pytest.fixture
async def todays_bench(empty_bench):
    """The stock client asks the machine for the time."""
    empty_bench.now = datetime.now(UTC)
    maker = DevelopmentManufacturer.create("acme", empty_bench.now)
    empty_bench.leaf = maker.leaf(SignatureScheme.ECDSA_P256, empty_bench.now)
    await empty_bench.ceremony("acme")
    return empty_bench


@pytest.mark.requirement("S9", "S10", "S18")
async def test_it_follows_releases_and_downloads_the_image(todays_bench, tmp_path) -> None:
    bench = todays_bench
    for counter in range(1, 4):
        artifact = await bench.upload(f"1.{counter}", counter)
        await bench.release(artifact)
        client = updater(bench, tmp_path / "client")
        client.refresh()
        found = client.get_targetinfo(artifact.target_path)
        assert found is not None
        assert found.custom["release_counter"] == counter
        image = tmp_path / "image"
        client.download_target(found, str(image))
        assert image.read_bytes() == f"firmware 1.{counter}".encode()


@pytest.mark.requirement("S7", "S18")
async def test_it_finds_nothing_outside_the_delegated_paths(todays_bench, tmp_path) -> None:
    client = updater(todays_bench, tmp_path / "client")
    assert client.get_targetinfo("bolt/1.1/firmware.bin") is None
    assert client.get_targetinfo("acme/1.1/firmware.bin") is None


@pytest.mark.requirement("S12", "S14")
async def test_it_refuses_what_we_refuse(todays_bench, tmp_path) -> None:
    bench = todays_bench
    old = dict(bench.blobs.objects)
    await bench.release(await bench.upload())
    updater(bench, tmp_path / "client").refresh()
    bench.blobs.objects.update(old)
    with pytest.raises(RepositoryError):
        updater(bench, tmp_path / "client").refresh()
    timestamp = bench.timestamp()
    timestamp.version += 5
    timestamp.expires = datetime(2026, 1, 1, tzinfo=UTC)
    bench.blobs.objects["tuf/metadata/timestamp.json"] = sign(timestamp, *bench.signers("timestamp"))
    with pytest.raises(ExpiredMetadataError):
        updater(bench, tmp_path / "other").refresh()
