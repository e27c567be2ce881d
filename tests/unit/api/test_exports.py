"""Daily files at the door and at the command line."""

import pytest

from storage.access import Role
from storage.canonical import canonical_json, sha256_hex
from storage.daily import DayManifest, day_file, file_key, manifest_key
from tests.support.house import NOW, House

pytestmark = pytest.mark.requirement("F100")
DATA = b"charger_id\r\nA\r\n"


async def test_manifests_and_files_come_as_they_were_written() -> None:
    house = House()
    manifest = DayManifest("2026-11-19", NOW, (day_file("sessions.csv", DATA, 1),))
    house.blobs.objects[manifest_key("2026-11-19")] = canonical_json(manifest)
    house.blobs.objects[file_key("2026-11-19", "sessions.csv")] = DATA
    async with house.client(Role.VIEWER) as client:
        [listed] = (await client.get("/api/v1/exports")).json()
        assert listed["files"][0]["sha256"] == sha256_hex(DATA)
        assert (await client.get("/api/v1/exports/2026-11-19/sessions.csv")).content == DATA
        assert (await client.get("/api/v1/exports/2026-11-18/sessions.csv")).status_code == 404
        assert (await client.get("/api/v1/exports/..%2F..%2Fx/sessions.csv")).status_code in (404, 422)
