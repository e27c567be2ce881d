"""The doors over real engines: what goes in through one comes out through the other, unchanged."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from csms.projection import project
from storage.artifact import ArtifactPhase
from storage.canonical import sha256_hex
from storage.charger import DownloadTicket
from storage.clock import system_clock
from storage.events import (
    ChargerBooted,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventRecord,
    HeartbeatReceived,
)
from storage.ticket_binding import bound_ticket
from tests.integration.api.conftest import Deployment, served

pytestmark = pytest.mark.integration

SITE = {"site_id": "harbour", "name": "Harbour North", "time_zone": "Europe/Berlin"}
CHARGERS = [
    {"charger_id": f"CP-{number}", "site_id": "harbour", "vendor": "Volta", "model": "V22"}
    for number in range(8)
]


def manifest(**changes: Any) -> dict[str, str]:
    said = {
        "vendor_role": "volta",
        "version": "1.1.0",
        "release_counter": 2,
        "compatible": [{"vendor": "Volta", "model": "V22"}],
        **changes,
    }
    return {"manifest": json.dumps(said)}


async def stock(client: httpx2.AsyncClient) -> None:
    assert (await client.post("/api/v1/sites", json=SITE)).status_code == 201
    imported = (await client.post("/api/v1/chargers/import", json=CHARGERS)).json()
    assert imported["registered"] == len(CHARGERS)


async def ticket_for(deployment: Deployment, artifact_id: str) -> str:
    text, now = bound_ticket(secrets.token_bytes(16), "CP-0", artifact_id), system_clock()
    await deployment.services.tickets.add(
        DownloadTicket(sha256_hex(text.encode()), "CP-0", artifact_id, now, now + timedelta(hours=1))
    )
    return text


@pytest.mark.requirement("S40", "S41", "S43")
async def test_an_uploaded_image_comes_out_by_ticket_in_pieces_unchanged(deployment: Deployment) -> None:
    image = secrets.token_bytes(3 * 1024 * 1024 + 17)
    async with deployment.client() as client:
        await stock(client)
        answer = await client.post("/api/v1/artifacts", files={"file": ("fw", image)}, data=manifest())
        again = await client.post("/api/v1/artifacts", files={"file": ("fw", image)}, data=manifest())
        text = await ticket_for(deployment, answer.json()["artifact_id"])
        head = await client.head(f"/d/{text}")
        pieces, at = b"", 0
        while at < len(image):
            part = await client.get(f"/d/{text}", headers={"Range": f"bytes={at}-{at + 1_000_000 - 1}"})
            assert part.status_code == 206
            pieces += part.content
            at += len(part.content)
        whole = await client.get(f"/d/{text}")
        tail = await client.get(f"/d/{text}", headers={"Range": "bytes=-17"})
        beyond = await client.get(f"/d/{text}", headers={"Range": f"bytes={len(image)}-"})
        await deployment.services.tickets.revoke_for("CP-0")
        revoked = await client.get(f"/d/{text}")

    assert (answer.status_code, again.status_code) == (201, 201)  # not begun: the repeat takes it up
    assert int(head.headers["content-length"]) == len(image)
    assert pieces == whole.content == image
    assert tail.content == image[-17:]
    assert (beyond.status_code, revoked.status_code) == (416, 410)


@pytest.mark.requirement("S40")
async def test_the_same_image_twice_at_once_becomes_one_artifact(deployment: Deployment) -> None:
    image = secrets.token_bytes(300_000)
    async with deployment.client() as client:
        answers = await asyncio.gather(
            *(
                client.post("/api/v1/artifacts", files={"file": ("fw", image)}, data=manifest())
                for _ in range(4)
            )
        )
        audit = (await client.get("/api/v1/audit")).json()["items"]

    assert {answer.status_code for answer in answers} == {201}, "not begun: each takes it up"
    assert len({answer.json()["artifact_id"] for answer in answers}) == 1
    assert [row["action"] for row in audit].count("artifact.uploaded") == 1


async def test_a_refused_upload_leaves_nothing_behind(deployment: Deployment) -> None:
    async with deployment.client() as client:
        wrong = await client.post(
            "/api/v1/artifacts", files={"file": ("fw", b"image")}, data=manifest(sha256="0" * 64)
        )
        listed = (await client.get("/api/v1/artifacts")).json()
        audit = (await client.get("/api/v1/audit")).json()

    assert wrong.status_code == 422
    assert listed["items"] == []
    assert [row["action"] for row in audit["items"]] == ["artifact.refused"]


async def heartbeats(deployment: Deployment, *charger_ids: str) -> None:
    now = system_clock()
    records = [EventRecord(charger_id, HeartbeatReceived(), now, now, 1) for charger_id in charger_ids]
    await deployment.ingest.commit([], records, project)


async def lines(stream: AsyncIterator[str], count: int) -> list[str]:
    """The charger ids of the next events."""
    found: list[str] = []
    async with asyncio.timeout(20):
        async for line in stream:
            if line.startswith("data: "):
                found.append(json.loads(line[6:])["charger_id"])
                if len(found) == count:
                    break
    return found


@pytest.mark.requirement("F105")
async def test_a_stream_follows_commits_and_resumes_where_it_broke_off(deployment: Deployment) -> None:
    async with deployment.client() as client:
        await stock(client)
    headers = {"Authorization": f"Bearer {deployment.text}"}
    async with served(deployment) as url, httpx2.AsyncClient(headers=headers, timeout=30) as client:
        start = await deployment.services.events.latest_sequence()
        resume = {"Last-Event-ID": str(start)}
        await heartbeats(deployment, "CP-0", "CP-1")
        async with client.stream("GET", f"{url}/api/v1/events", headers=resume) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            stream = answer.aiter_lines()
            first = await lines(stream, 2)
            await heartbeats(deployment, "CP-2")
            second = await lines(stream, 1)
        await heartbeats(deployment, "CP-3")
        params = {"charger_id": "CP-3"}
        async with client.stream("GET", f"{url}/api/v1/events", headers=resume, params=params) as answer:
            narrowed = await lines(answer.aiter_lines(), 1)

    assert (first, second, narrowed) == (["CP-0", "CP-1"], ["CP-2"], ["CP-3"])


async def test_a_campaign_is_planned_over_the_stored_fleet_and_frozen(deployment: Deployment) -> None:
    async with deployment.client() as client:
        await stock(client)
        now = system_clock()
        facts = (
            ChargerBooted("Volta", "V22", "1.0.0"),
            ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE),
        )
        records = [
            EventRecord(charger["charger_id"], fact, now, now, 1) for charger in CHARGERS for fact in facts
        ]
        await deployment.ingest.commit([], records, project)
        uploaded = await client.post("/api/v1/artifacts", files={"file": ("fw", b"x" * 99)}, data=manifest())
        artifact_id = uploaded.json()["artifact_id"]
        await deployment.services.artifacts.set_phase(artifact_id, ArtifactPhase.RELEASED, "Released.")
        plan = {
            "name": "Spring",
            "artifact_id": artifact_id,
            "waves": [{"name": "canary", "share": 0.5}, {"name": "rest", "share": 0.5}],
        }
        preview = await client.post("/api/v1/campaigns/plan", json=plan)
        headers = {"Idempotency-Key": "once"}
        answers = [await client.post("/api/v1/campaigns", json=plan, headers=headers) for _ in range(2)]
        campaign_id = answers[0].json()["campaign_id"]
        path, targets, cursor = f"/api/v1/campaigns/{campaign_id}/targets", [], None
        while True:
            params = {"limit": 3, **({"cursor": cursor} if cursor else {})}
            page = (await client.get(path, params=params)).json()
            targets += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        shown = await client.get(f"/api/v1/campaigns/{campaign_id}")

    assert preview.status_code == 200, preview.text
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    assert answers[0].json()["plan_digest"] == preview.json()["plan_digest"]
    frozen = [wave["chargers"] for wave in preview.json()["waves"]]
    assert [each["charger_id"] for each in targets] == [charger for wave in frozen for charger in wave]
    assert [wave["total"] for wave in shown.json()["waves"]] == [4, 4]


async def test_every_page_of_the_dashboard_reads_from_the_real_stores(deployment: Deployment) -> None:
    async with deployment.client() as client:
        await stock(client)
        await heartbeats(deployment, "CP-0")
        await client.post("/api/v1/artifacts", files={"file": ("fw", b"x" * 99)}, data=manifest())
        await client.post("/login", data={"token": deployment.text})
        for path in ("/", "/?site_id=harbour", "/campaigns", "/artifacts", "/chargers/CP-0"):
            answer = await client.get(path)
            assert answer.status_code == 200, path
        timeline = await client.get("/chargers/CP-0")
        bad = await client.get("/api/v1/chargers", params={"cursor": "not ours"})

    assert "heartbeat received" in timeline.text
    assert bad.status_code == 422
