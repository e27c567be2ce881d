"""Images in pieces: cut off, resumed, wrong, from two at once; nothing half stored becomes an image."""

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.image_pieces import announced
from api.ports import ApiLimits
from storage.access import Role
from storage.artifact import ArtifactPhase
from storage.canonical import sha256_hex
from storage.errors import EngineUnavailable, InvalidInput
from tests.support.house import House

IMAGE = bytes(range(256)) * 40
SHA256 = sha256_hex(IMAGE)
MANIFEST = {
    "vendor_role": "volta",
    "version": "1.1.0",
    "release_counter": 2,
    "compatible": [{"vendor": "Volta", "model": "V22"}],
}


def begun(sha256: str = SHA256, length: int | str = len(IMAGE)) -> dict[str, str]:
    named = base64.b64encode(sha256.encode()).decode()
    return {"Upload-Length": str(length), "Upload-Metadata": f"sha256 {named}", "Tus-Resumable": "1.0.0"}


def piece(offset: int) -> dict[str, str]:
    return {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}


async def begin(client: httpx2.AsyncClient, **said: Any) -> str:
    answer = await client.post("/api/v1/uploads", headers=begun(**said))
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


@pytest.mark.requirement("S41")
async def test_an_upload_that_broke_off_goes_on_and_becomes_an_image() -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        first = await client.patch(place, content=IMAGE[:3000], headers=piece(0))
        early = await client.post(f"{place}/artifact", json=MANIFEST)
        again = await client.post("/api/v1/uploads", headers=begun())
        asked = await client.head(place)
        rest = await client.patch(place, content=IMAGE[3000:], headers=piece(3000))
        done = await client.post(f"{place}/artifact", json=MANIFEST)
        gone = await client.head(place)

    assert [first.status_code, early.status_code, rest.status_code] == [204, 409, 204]
    assert (again.headers["location"], again.headers["upload-offset"]) == (place, "3000")
    assert (asked.headers["upload-offset"], asked.headers["upload-length"]) == ("3000", str(len(IMAGE)))
    assert done.status_code == 201
    assert done.json()["artifact_id"] == SHA256
    assert house.blobs.objects == {SHA256: IMAGE}, "nothing but the image is left"
    assert house.blobs.kept == {SHA256}
    assert house.orchestrator.asked == [("start_publication", SHA256)]
    assert gone.status_code == 404


@pytest.mark.requirement("S41")
async def test_bytes_that_are_not_what_was_announced_become_no_image() -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        await client.patch(place, content=IMAGE[::-1], headers=piece(0))
        other = await client.post(f"{place}/artifact", json={**MANIFEST, "sha256": "0" * 64})
        answer = await client.post(f"{place}/artifact", json=MANIFEST)
        anew = await client.post("/api/v1/uploads", headers=begun())

    assert other.status_code == 422
    assert answer.status_code == 422
    assert sha256_hex(IMAGE[::-1]) in answer.json()["problems"][0]
    assert "upload the image anew" in answer.json()["detail"]
    assert anew.headers["upload-offset"] == "0", "or its sender would be refused again, for ever"
    assert not house.blobs.objects
    assert not house.artifacts.all
    assert house.audit.actions == ["artifact.refused"] * 2


@pytest.mark.requirement("S41")
async def test_a_finish_whose_answer_was_lost_is_repeated_by_its_sender_alone() -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client, house.client(Role.ADMIN) as stranger:
        place = await begin(client)
        await client.patch(place, content=IMAGE, headers=piece(0))
        early = await client.post(
            f"{place}/artifact", json={**MANIFEST, "version": "1.1.1", "sha256": "0" * 64}
        )
        done = await client.post(f"{place}/artifact", json=MANIFEST)
        known = house.artifacts.all[SHA256]
        house.artifacts.all[SHA256] = replace(known, phase=ArtifactPhase.RELEASED)
        again = [await client.post(f"{place}/artifact", json=MANIFEST) for _ in range(2)]
        other = await client.post(f"{place}/artifact", json={**MANIFEST, "release_counter": 3})
        unlike = await client.post(f"{place}/artifact", json={**MANIFEST, "sha256": "0" * 64})
        stolen = await stranger.post(f"{place}/artifact", json=MANIFEST)

    assert early.status_code == 422
    assert [answer.status_code for answer in (done, *again)] == [201] * 3
    assert {answer.json()["artifact_id"] for answer in (done, *again)} == {SHA256}
    assert [other.status_code, unlike.status_code, stolen.status_code] == [404] * 3
    assert house.audit.actions.count("artifact.uploaded") == 1
    assert house.orchestrator.asked == [("start_publication", SHA256)]


@pytest.mark.requirement("S41")
async def test_a_crash_behind_the_last_step_is_finished_by_the_next_request_without_any_key() -> None:
    house = House()
    drop = house.uploads.drop

    async def crash(_: str) -> None:
        raise EngineUnavailable("The database is away.")

    house.uploads.drop = crash  # type: ignore[method-assign]
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        await client.patch(place, content=IMAGE, headers=piece(0))
        lost = await client.post(f"{place}/artifact", json=MANIFEST)
        house.uploads.drop = drop  # type: ignore[method-assign]
        house.artifacts.all[SHA256] = replace(house.artifacts.all[SHA256], phase=ArtifactPhase.RELEASED)
        done = await client.post(f"{place}/artifact", json=MANIFEST)

    assert (lost.status_code, done.status_code) == (503, 201)
    assert house.blobs.objects == {SHA256: IMAGE}
    assert not house.uploads.all


async def test_of_two_who_finish_at_once_both_get_the_artifact() -> None:
    house = House()
    read, overtaken = house.blobs.read, []
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        await client.patch(place, content=IMAGE, headers=piece(0))

        async def slow(key: str, **part: Any) -> AsyncIterator[bytes]:
            if not overtaken:
                overtaken.append(key)
                overtaken.append(await client.post(f"{place}/artifact", json=MANIFEST))
            async for chunk in read(key, **part):
                yield chunk

        house.blobs.read = slow  # type: ignore[method-assign]
        second = await client.post(f"{place}/artifact", json=MANIFEST)

    assert [overtaken[1].status_code, second.status_code] == [201, 201]
    assert second.json() == overtaken[1].json()
    assert house.audit.actions.count("artifact.uploaded") == 1


async def test_a_piece_that_the_store_lost_is_said_and_the_upload_begins_anew() -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        await client.patch(place, content=IMAGE, headers=piece(0))
        house.blobs.objects.clear()
        answer = await client.post(f"{place}/artifact", json=MANIFEST)

    assert answer.status_code == 422
    assert "gone from the store" in answer.json()["detail"]
    assert "incoming/" not in answer.text
    assert not house.uploads.all


async def test_a_piece_elsewhere_or_beyond_the_end_is_refused_and_not_kept() -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        gap = await client.patch(place, content=b"x", headers=piece(5))
        long = await client.patch(place, content=IMAGE + b"x", headers=piece(0))
        shape = await client.patch(place, content=b"x", headers={"Upload-Offset": "0"})
        empty = await client.patch(place, content=b"", headers=piece(0))

    assert [gap.status_code, long.status_code, shape.status_code] == [409, 413, 422]
    assert (empty.status_code, empty.headers["upload-offset"]) == (204, "0")
    assert not house.blobs.objects
    assert house.audit.actions == ["artifact.refused"] * 3


async def test_of_two_senders_at_one_place_one_goes_on() -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        upload_id = place.rsplit("/", 1)[1]
        add, faster = house.uploads.add_piece, []

        async def overtaken(upload: str, given: Any) -> bool:
            if not faster:
                faster.append(await add(upload, type(given)(0, 10, "incoming/faster")))
            return await add(upload, given)

        house.uploads.add_piece = overtaken  # type: ignore[method-assign]
        answer = await client.patch(place, content=IMAGE[:100], headers=piece(0))

    assert answer.status_code == 409
    assert "10 of" in answer.json()["detail"]
    assert (await house.uploads.get(upload_id)).offset == 10
    assert not house.blobs.objects


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 422),
        (begun(length=0), 422),
        (begun(length=-1), 422),
        (begun(length="1e3"), 422),
        (begun(length=2 * 1024**3 + 1), 413),
        (begun(length="9" * 40), 422),
        (begun(sha256="not a hash"), 422),
        ({"Upload-Length": "5", "Upload-Metadata": "sha256 %%%"}, 422),
        ({**begun(), "Tus-Resumable": "0.2.2"}, 422),
    ],
)
async def test_what_cannot_begin_says_why(headers: dict[str, str], status: int) -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client:
        answer = await client.post("/api/v1/uploads", headers=headers)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert not house.uploads.all


async def test_an_image_that_is_too_long_is_told_from_a_request_that_is() -> None:
    async with House(limits=ApiLimits(upload_bytes=100)).client(Role.RELEASE_MANAGER) as client:
        answer = await client.post("/api/v1/uploads", headers=begun(length=101))

    assert answer.status_code == 413
    assert "100 bytes" in answer.json()["detail"]
    assert "AMPWAVE_UPLOAD_BYTES" in answer.json()["detail"]
    assert "at once" not in answer.json()["detail"], "smaller pieces would not help"


async def test_two_gigabytes_are_taken_up_to_the_last_byte() -> None:
    async with House(limits=ApiLimits(upload_bytes=2 * 1024**3)).client(Role.RELEASE_MANAGER) as client:
        assert await begin(client, length=2 * 1024**3)


async def test_an_upload_is_its_senders_alone_and_goes_when_given_up() -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client, house.client(Role.ADMIN) as stranger:
        place = await begin(client)
        await client.patch(place, content=IMAGE[:10], headers=piece(0))
        peeked = await stranger.head(place)
        stolen = await stranger.patch(place, content=b"evil", headers=piece(10))
        dropped = await client.delete(place)

    assert (peeked.status_code, stolen.status_code, dropped.status_code) == (404, 404, 204)
    assert not house.blobs.objects
    assert not house.uploads.all


async def test_a_store_that_is_full_is_said_recorded_and_leaves_nothing() -> None:
    house = House()

    async def full(*_: object, **__: object) -> bool:
        raise EngineUnavailable("The S3 server has no room for it: PutObject ended with 507.")

    house.blobs.put_new = full  # type: ignore[assignment]
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        answer = await client.patch(place, content=IMAGE, headers=piece(0))
        whole = await client.post(
            "/api/v1/artifacts", files={"file": ("fw", IMAGE)}, data={"manifest": json.dumps(MANIFEST)}
        )

    assert (answer.status_code, whole.status_code) == (503, 503)
    assert "no room" in answer.json()["detail"]
    assert answer.headers["retry-after"]
    assert house.audit.actions == ["artifact.upload_failed"] * 2
    assert not house.artifacts.all


async def test_an_image_that_a_crash_left_unknown_is_written_anew() -> None:
    house = House()
    house.blobs.objects[SHA256] = b"left by a crash"
    async with house.client(Role.RELEASE_MANAGER) as client:
        place = await begin(client)
        await client.patch(place, content=IMAGE, headers=piece(0))
        answer = await client.post(f"{place}/artifact", json=MANIFEST)

    assert answer.status_code == 201
    assert house.blobs.objects == {SHA256: IMAGE}


@given(st.dictionaries(st.sampled_from(["upload-length", "upload-metadata"]), st.text(max_size=50)))
def test_whatever_is_announced_is_read_or_refused(headers: dict[str, str]) -> None:
    try:
        length, sha256 = announced(headers, 10**9)
    except InvalidInput:
        return
    assert length > 0
    assert len(sha256) == 64
