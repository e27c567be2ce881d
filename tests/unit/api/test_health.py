"""Alive without any engine; ready only with all of them, and saying which one is away."""

import asyncio

from api.ports import ApiLimits
from storage.errors import EngineUnavailable
from tests.support.house import House


async def fine() -> None: ...


async def away() -> None:
    raise EngineUnavailable("The bucket ampwave cannot be reached.")


async def stuck() -> None:
    await asyncio.Event().wait()


async def broken() -> None:
    raise ValueError("postgresql://user:secret@host")


async def test_ready_when_every_engine_answers() -> None:
    async with House(readiness={"database": fine, "s3": fine}).client() as client:
        answer = await client.get("/readyz")

    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"database": "ok", "s3": "ok"}}


async def test_not_ready_names_what_is_away_and_no_secret() -> None:
    readiness = {"database": broken, "temporal": stuck, "s3": away, "signer": fine}
    house = House(readiness=readiness, limits=ApiLimits(readiness_seconds=0.01))
    async with house.client() as client:
        answer = await client.get("/readyz")
        alive = await client.get("/livez")

    checks = answer.json()["checks"]
    assert answer.status_code == 503
    assert alive.status_code == 200
    assert checks["database"] == "failed: ValueError"
    assert checks["temporal"].startswith("no answer within")
    assert checks["s3"] == "The bucket ampwave cannot be reached."
    assert checks["signer"] == "ok"


async def test_numbers_are_kept_by_route_template_never_by_path() -> None:
    async with House().client() as client:
        await client.get("/problems/conflict")
        await client.get("/no/such/path/42")
        text = (await client.get("/metrics")).text

    assert 'ampwave_api_requests_total{method="GET",route="/problems/{slug}",status="200"} 1.0' in text
    assert "/no/such/path/42" not in text
