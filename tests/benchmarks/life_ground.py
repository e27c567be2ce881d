"""What the rows about chargers' lives stand on: every role over TLS, and the chargers in another process."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
from pydantic import TypeAdapter

from api import bootstrap
from api.auth import mint_token
from api.embedded import EmbeddedS3, EmbeddedTemporal
from csms.simulator.faults import NetworkFault
from csms.simulator.spec import ChargerSpec, FleetSpec
from storage.access import Principal, Role
from storage.clock import system_clock
from storage.renewal import Renewal
from tests.benchmarks.child import Child
from tests.benchmarks.report import say
from tests.benchmarks.world import World
from tests.support.renewal_stage import Stage, stage
from tests.support.tls_bench import TlsBench

_PAGE = 500


@asynccontextmanager
async def ground(
    world: World, name: str, more: Callable[[TlsBench], dict[str, Any]] = lambda _: {}
) -> AsyncIterator[Stage]:
    """Engines and roles of one row."""
    async with world.database(0) as database, AsyncExitStack() as stack:
        folder = Path(world.folder) / name
        folder.mkdir()
        s3 = await stack.enter_async_context(EmbeddedS3(folder / "s3"))
        temporal = await stack.enter_async_context(EmbeddedTemporal(folder / "temporal"))
        there = SimpleNamespace(
            endpoint=s3.endpoint,
            bucket=s3.bucket,
            region="us-east-1",
            access_key=s3.access_key,
            secret_key=s3.secret_key,
        )
        place = await stack.enter_async_context(
            stage(folder, database=database, s3=there, temporal=temporal, more=more)
        )
        await bootstrap.ensure_bucket(place.settings)
        yield place


@asynccontextmanager
async def chargers(
    world: World,
    place: Stage,
    specs: tuple[ChargerSpec, ...],
    *,
    faults: tuple[NetworkFault, ...] = (),
    per_s: float = 50.0,
) -> AsyncIterator[None]:
    """The chargers at work, in a process of their own."""
    fleet = replace(place.fleet_of(specs, faults=faults, per_s=per_s), seed=world.seed)
    file = place.bench.folder / f"fleet-{secrets.token_hex(4)}.json"
    file.write_bytes(TypeAdapter(FleetSpec).dump_json(fleet))
    async with Child("chargers") as child:
        await child.ask("start", file=str(file), url=place.url)
        yield


async def over(place: Stage, renewal_id: str, seconds: float) -> Renewal:
    """A job of many chargers once it is over or holds; says how it goes on."""
    told = 0.0
    async with asyncio.timeout(seconds):
        while True:
            found = await place.stores.renewals.get(renewal_id)
            if found.phase.value != "running":
                return found
            now = asyncio.get_running_loop().time()
            if now - told > 30:
                say(f"{renewal_id}: {found.counts}")
                told = now
            await asyncio.sleep(1)


async def away(place: Stage, charger_ids: Sequence[str], seconds: int = 120) -> list[str]:
    """Who has no open socket, and gets none within this time."""
    left = list(charger_ids)
    for _ in range(seconds):
        online = set[str]()
        for start in range(0, len(left), _PAGE):
            for view in await place.stores.chargers.views(left[start : start + _PAGE]):
                if view.twin.connectivity and view.twin.connectivity.online:
                    online.add(view.charger.charger_id)
        left = [each for each in left if each not in online]
        if not left:
            break
        await asyncio.sleep(1)
    return left


async def caller(place: Stage, role: Role) -> httpx2.AsyncClient:
    """Somebody of this role at the api."""
    text, token = mint_token(
        Principal(f"{role.value}@bench", role),
        now=system_clock(),
        expires_at=None,
        token_id=f"{role.value}-{secrets.token_hex(3)}",
        random_bytes=secrets.token_bytes,
    )
    await place.stores.tokens.add(token)
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=place.app),
        base_url="http://bench",
        headers={"Authorization": f"Bearer {text}"},
        timeout=600,
    )
