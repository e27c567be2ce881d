"""``make soak``: ten thousand chargers on one node for ten minutes, with storms; not one event lost."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tests.benchmarks.child import Child, Json
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import PASSWORD, World

CHARGERS = 10_000
SECONDS = 600.0
PACE_S = 10.0
LOOK_S = 15.0
STORM_EVERY, STORM_SHARE = 8, 0.3
"""Every so many looks that share of the fleet drops and comes back at once."""
FLAT = 1.10
"""The node may hold so many times at the end of what it held when a third of the time was over."""

_JOURNALED = """
SELECT charger_id, array_agg((substring(text from '^\\[2,"([0-9]+)"'))::int) AS numbers
FROM frame WHERE direction = 'in' AND text ~ '^\\[2,"[0-9]+"' AND charger_id = ANY($1) GROUP BY charger_id
"""


async def measure_soak(world: World) -> list[Row]:
    """Counted at both ends: what the chargers were answered against what the journal holds."""
    count = world.sized(CHARGERS, 40)
    async with world.database(count) as database, Child("node") as node, Child("fleet") as fleet:
        port = (await node.ask("start", database=database))["ports"][0]
        await fleet.ask("create", port=port, count=count, password=PASSWORD, seed=world.seed, keep_ids=True)
        await fleet.ask("connect", boot=True, spread_s=world.sized(30, 0))
        await fleet.ask("start", pace_s=0.2 if world.quick else PACE_S)
        memory = await _weather(world, node, fleet)
        counted = await fleet.ask("stop")
        acknowledged = await fleet.ask("acknowledged")
        lost = await _lost(database, acknowledged)
    told = sum(map(len, acknowledged.values()))
    grown = memory[-1] / memory[len(memory) // 3]
    say(
        f"soak: {told:,} messages acknowledged, {lost} of them not in the journal, "
        f"{counted['refused']} refused; node {memory[len(memory) // 3]} -> {memory[-1]} MiB"
    )
    return [
        Row(
            *("soak", float(lost), f"acknowledged messages lost of {told:,}; memory x {grown:.2f}"),
            *(None, None, None),
            target=f"0, memory <= x {FLAT:g}",
            met=lost == 0 and grown <= FLAT and not counted["refused"],
        )
    ]


async def _weather(world: World, node: Child, fleet: Child) -> list[int]:
    """The node's memory over time, MiB; storms in between."""
    memory = []
    began = time.monotonic()
    look_s = 0.3 if world.quick else LOOK_S
    while (passed := time.monotonic() - began) < (2.0 if world.quick else SECONDS):
        await asyncio.sleep(look_s)
        memory.append(node.rss() // 2**20)
        counted = await fleet.ask("count")
        say(
            f"soak {passed:4.0f} s: {memory[-1]} MiB, {counted['connected']:,} connected, "
            f"{counted['acknowledged']:,} acknowledged"
        )
        if len(memory) % STORM_EVERY == STORM_EVERY // 2:
            storm = await fleet.ask("storm", share=STORM_SHARE)
            say(f"soak: {storm['chargers']:,} dropped and were back in {storm['seconds']:.1f} s")
    return memory


async def _lost(database: str, acknowledged: Json) -> int:
    """How many acknowledged messages the journal does not hold."""
    lost = 0
    names = list(acknowledged)
    async with _connected(database) as connection:
        for start in range(0, len(names), 500):
            part = names[start : start + 500]
            rows = await connection.fetch(_JOURNALED, part)
            journaled = {row["charger_id"]: set(row["numbers"]) for row in rows}
            lost += sum(len(set(acknowledged[name]) - journaled.get(name, set())) for name in part)
    return lost


@asynccontextmanager
async def _connected(database: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database, command_timeout=300)
    try:
        yield connection
    finally:
        await connection.close()
