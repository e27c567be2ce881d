"""Taking firmware in: every problem at once, nothing stored while there is one, repeats are harmless."""

import base64
import json
import tracemalloc
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from api.ports import ApiLimits
from storage.access import Role
from storage.artifact import ArtifactPhase, StagedRelease
from storage.canonical import sha256_hex
from storage.errors import EngineUnavailable
from tests.support.house import House

IMAGE = b"firmware" * 1000
KEYID = "ab" * 32


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "vendor_role": "volta",
        "version": "1.1.0",
        "release_counter": 2,
        "compatible": [{"vendor": "Volta", "model": "V22"}],
        **changes,
    }


async def upload(house: House, image: bytes, said: Any, *, key: str | None = None) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    text = said if isinstance(said, str) else json.dumps(said)
    async with house.client(Role.RELEASE_MANAGER) as client:
        return await client.post(
            "/api/v1/artifacts", files={"file": ("fw.bin", image)}, data={"manifest": text}, headers=headers
        )


async def test_an_upload_is_stored_under_its_hash_and_its_publication_starts() -> None:
    house = House()
    answer = await upload(house, IMAGE, manifest(sha256=sha256_hex(IMAGE)))

    key = sha256_hex(IMAGE)
    assert answer.status_code == 201
    assert answer.headers["location"] == f"/api/v1/artifacts/{key}"
    assert answer.json()["length"] == len(IMAGE)
    assert house.blobs.objects == {key: IMAGE}
    assert house.orchestrator.asked == [("start_publication", key)]
    assert house.audit.actions == ["artifact.uploaded"]


@pytest.mark.requirement("S41")
async def test_a_wrong_hash_is_refused_recorded_and_nothing_is_stored() -> None:
    house = House()
    answer = await upload(house, IMAGE, manifest(sha256="0" * 64))

    assert answer.status_code == 422
    assert sha256_hex(IMAGE) in answer.json()["problems"][0]
    assert not house.blobs.objects
    assert not house.artifacts.all
    assert house.audit.actions == ["artifact.refused"]


async def test_every_problem_of_an_upload_is_named_at_once() -> None:
    signature = {"scheme": "ecdsa-p256-sha256", "signature": "not base64!", "certificate": "x"}
    wrong = manifest(vendor_role="Not A Slug", version="a/b", vendor_signatures=[signature], extra=1)
    answer = await upload(House(), b"", wrong)

    named = " ".join(answer.json()["problems"])
    assert answer.status_code == 422
    for what in ("vendor_role", "version", "signature", "extra", "file: it is empty"):
        assert what in named


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"version": "1"})])
async def test_a_broken_manifest_is_refused_with_reasons(text: str) -> None:
    answer = await upload(House(), IMAGE, text)

    assert answer.status_code == 422
    assert all(problem.startswith("manifest") for problem in answer.json()["problems"])


async def test_missing_parts_are_named() -> None:
    async with House().client(Role.RELEASE_MANAGER) as client:
        parts = await client.post("/api/v1/artifacts", files={"other": ("x", b"x")})
        plain = await client.post("/api/v1/artifacts", content=b"raw", headers={"content-type": "text/plain"})
        broken = await client.post(
            "/api/v1/artifacts", content=b"--x", headers={"content-type": "multipart/form-data; boundary=y"}
        )

    assert {problem.split(":")[0] for problem in parts.json()["problems"]} == {"manifest", "file"}
    assert "multipart" in plain.json()["detail"]
    assert (parts.status_code, plain.status_code) == (422, 422)
    assert broken.status_code in (400, 422)


async def test_an_image_over_the_limit_is_refused_before_it_is_stored() -> None:
    house = House(limits=ApiLimits(upload_bytes=4096))
    answer = await upload(house, IMAGE, manifest())

    assert answer.status_code == 413
    assert not house.blobs.objects


@pytest.mark.requirement("S39")
async def test_a_large_image_takes_little_memory() -> None:
    size, house = 24 * 1024 * 1024, House()
    kept = 0

    async def put_new(key: str, chunks: AsyncIterator[bytes], **_: Any) -> bool:
        nonlocal kept
        async for chunk in chunks:
            kept += len(chunk)
        return True

    async def body() -> AsyncIterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="manifest"\r\n\r\n'
        yield json.dumps(manifest()).encode()
        yield b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="fw"\r\n\r\n'
        for _ in range(size // 65536):
            yield b"\xa5" * 65536
        yield b"\r\n--b--\r\n"

    house.blobs.put_new = put_new  # type: ignore[method-assign]
    async with house.client(Role.RELEASE_MANAGER) as client:
        tracemalloc.start()
        headers = {"content-type": "multipart/form-data; boundary=b"}
        answer = await client.post("/api/v1/artifacts", content=body(), headers=headers)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    assert (answer.status_code, kept) == (201, size)
    assert peak < size / 3


async def test_the_same_upload_again_is_a_conflict_without_a_key_and_a_repeat_with_one() -> None:
    house = House()
    first = await upload(house, IMAGE, manifest(), key="k1")
    await house.artifacts.set_phase(sha256_hex(IMAGE), ArtifactPhase.RELEASED, "Released.")

    again = await upload(house, IMAGE, manifest(), key="k1")
    duplicate = await upload(house, IMAGE, manifest())

    assert first.status_code == again.status_code == 201
    assert again.json()["phase"] == "released"
    assert duplicate.status_code == 409
    assert "volta 1.1.0" in duplicate.json()["detail"]
    assert house.audit.actions.count("artifact.uploaded") == 1


async def test_a_version_is_never_replaced_by_other_bytes() -> None:
    house = House()
    await upload(house, IMAGE, manifest())
    answer = await upload(house, b"other bytes", manifest())

    assert answer.status_code == 409
    assert "other bytes" in answer.json()["detail"]
    assert len(house.blobs.objects) == 1


async def test_what_was_rejected_may_come_again_and_the_rejection_stays_on_record() -> None:
    house = House()
    await upload(house, IMAGE, manifest())
    key = sha256_hex(IMAGE)
    await house.artifacts.set_phase(key, ArtifactPhase.REJECTED, "No root of the vendor vouches for it.")
    again = await upload(house, IMAGE, manifest(compatible=[{"vendor": "Volta", "model": "V23"}]))

    assert (again.status_code, again.json()["phase"]) == (201, "uploaded")
    assert house.artifacts.all[key].compatible[0].model == "V23"
    assert house.orchestrator.asked == [("start_publication", key)] * 2
    first, second = (row.entry.detail for row in house.audit.chain)
    assert "rejected_before" not in first
    assert second["rejected_before"] == "No root of the vendor vouches for it."


async def test_rejected_bytes_do_not_keep_their_version_from_the_right_ones() -> None:
    house = House()
    await upload(house, b"cut on its way", manifest())
    await house.artifacts.set_phase(sha256_hex(b"cut on its way"), ArtifactPhase.REJECTED, "Damaged.")
    right = await upload(house, IMAGE, manifest())
    back = await upload(house, b"cut on its way", manifest())

    assert right.status_code == 201
    assert back.status_code == 409, "the version is another image's by now"
    assert sha256_hex(IMAGE)[:12] in back.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"no boundary at all",
        b"--b\r\n\r\n\r\nno name\r\n--b--\r\n",
        b"--b\r\nbroken header\r\n\r\nx\r\n--b--",
    ],
)
async def test_a_form_that_cannot_be_read_is_refused_in_words_and_recorded(body: bytes) -> None:
    house = House()
    async with house.client(Role.RELEASE_MANAGER) as client:
        kind = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await client.post("/api/v1/artifacts", content=body, headers=kind)

    assert answer.status_code == 422, answer.text
    assert house.audit.actions == ["artifact.refused"]
    assert not house.blobs.objects


async def test_an_upload_whose_publication_did_not_start_is_taken_up_by_its_repeat() -> None:
    house = House()
    house.orchestrator.failure = EngineUnavailable("Temporal does not answer.")
    lost = await upload(house, IMAGE, manifest())
    house.orchestrator.failure = None
    repeat = await upload(house, IMAGE, manifest())

    assert (lost.status_code, repeat.status_code) == (503, 201)
    assert house.orchestrator.asked == [("start_publication", sha256_hex(IMAGE))]


def staged_house() -> House:
    house = House()
    artifact = house.add_artifact("1.1.0", phase=ArtifactPhase.AWAITING_SIGNATURES)
    payload = b'{"_type":"targets"}'
    house.artifacts.stages[artifact.artifact_id] = StagedRelease(
        artifact.artifact_id, "volta", 4, payload, sha256_hex(payload), 2, (KEYID, "cd" * 32)
    )
    return house


def sign_off(house: House, **changes: str) -> tuple[str, dict[str, str]]:
    artifact_id, staged = next(iter(house.artifacts.stages.items()))
    body = {"staged_sha256": staged.sha256, "keyid": KEYID, "signature": "00ff", **changes}
    return f"/api/v1/artifacts/{artifact_id}", body


async def test_the_staged_bytes_come_exactly_as_they_are_signed() -> None:
    house = staged_house()
    path, _ = sign_off(house)
    async with house.client(Role.VIEWER) as client:
        answer = (await client.get(f"{path}/staged")).json()

    assert sha256_hex(base64.b64decode(answer["payload"])) == answer["sha256"]
    assert (answer["threshold"], answer["signed_by"]) == (2, [])


async def test_a_sign_off_counts_once_and_names_its_person() -> None:
    house = staged_house()
    path, body = sign_off(house)
    async with house.client(Role.SECURITY) as client:
        answers = [await client.post(f"{path}/sign-offs", json=body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    signers = answers[1].json()["signed_by"]
    assert [(each["keyid"], each["signer"]) for each in signers] == [(KEYID, "security@ampwave.test")]


@pytest.mark.requirement("S16")
@pytest.mark.parametrize(
    ("changes", "status"), [({"staged_sha256": "1" * 64}, 409), ({"keyid": "ef" * 32}, 422)]
)
async def test_a_sign_off_of_other_bytes_or_by_another_key_is_refused(
    changes: dict[str, str], status: int
) -> None:
    house = staged_house()
    path, body = sign_off(house, **changes)
    async with house.client(Role.SECURITY) as client:
        answer = await client.post(f"{path}/sign-offs", json=body)

    assert answer.status_code == status
    assert not house.artifacts.signed


@pytest.mark.requirement("S16")
async def test_who_may_sign_has_what_is_staged_looked_at_again() -> None:
    house = staged_house()
    path, _ = sign_off(house)
    artifact_id, staged = next(iter(house.artifacts.stages.items()))

    async def stage_again(asked: str) -> None:
        house.artifacts.stages[asked] = replace(staged, version=5)

    house.orchestrator.look_again = stage_again  # type: ignore[method-assign]
    async with house.client(Role.VIEWER) as client:
        assert (await client.post(f"{path}/staged")).status_code == 403
    async with house.client(Role.SECURITY) as client:
        assert (await client.post(f"{path}/staged")).json()["version"] == 5
        house.artifacts.all[artifact_id] = replace(
            house.artifacts.all[artifact_id], phase=ArtifactPhase.REJECTED, reason="Its counter is too low."
        )
        refused = await client.post(f"{path}/staged")
    assert (refused.status_code, "Its counter is too low." in refused.text) == (409, True)


async def test_nothing_staged_is_said_so() -> None:
    house = staged_house()
    path, body = sign_off(house)
    house.artifacts.stages.clear()
    async with house.client(Role.SECURITY) as client:
        missing = await client.get(f"{path}/staged")
        refused = await client.post(f"{path}/sign-offs", json=body)

    assert (missing.status_code, refused.status_code) == (404, 409)


@pytest.mark.parametrize(
    ("phase", "said"),
    [
        (
            ArtifactPhase.REJECTED,
            "It was rejected: The V22 needs a signature. Mend that, and upload it again",
        ),
        (ArtifactPhase.REVOKED, "It was withdrawn"),
        (ArtifactPhase.RELEASED, "It is released already."),
        (ArtifactPhase.AWAITING_EVIDENCE, "Bring what is missing first: ampwave artifact show volta/1.1.0"),
        (ArtifactPhase.INSPECTING, "wait: ampwave artifact release volta/1.1.0 --wait"),
    ],
)
async def test_who_cannot_sign_is_told_what_to_do_instead(phase: ArtifactPhase, said: str) -> None:
    house = staged_house()
    path, body = sign_off(house)
    house.artifacts.stages.clear()
    artifact_id = path.rsplit("/", 1)[1]
    found = replace(house.artifacts.all[artifact_id], phase=phase, reason="The V22 needs a signature.")
    house.artifacts.all[artifact_id] = found
    async with house.client(Role.SECURITY) as client:
        for answer in (await client.get(f"{path}/staged"), await client.post(f"{path}/sign-offs", json=body)):
            assert said.replace("volta/1.1.0", f"{found.vendor_role}/{found.version}") in answer.text


async def test_an_unchanged_artifact_is_not_sent_twice() -> None:
    house = House()
    artifact = house.add_artifact("1.1.0")
    path = f"/api/v1/artifacts/{artifact.artifact_id}"
    async with house.client(Role.VIEWER) as client:
        first = await client.get(path)
        again = await client.get(path, headers={"If-None-Match": f'"x", W/{first.headers["etag"]}'})
        house.artifacts.all[artifact.artifact_id] = replace(artifact, phase=ArtifactPhase.REVOKED)
        changed = await client.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200
    assert changed.json()["phase"] == "revoked"


async def test_a_listing_pages_to_its_end_without_gaps() -> None:
    house = House()
    for number in range(5):
        house.add_artifact(f"1.{number}.0")
    seen: list[str] = []
    async with house.client(Role.VIEWER) as client:
        cursor: str | None = None
        while True:
            params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = (await client.get("/api/v1/artifacts", params=params)).json()
            seen += [each["version"] for each in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break

    assert sorted(seen) == [f"1.{number}.0" for number in range(5)]
