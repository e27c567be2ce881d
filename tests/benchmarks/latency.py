"""Row ``latency``: from a charger's message to a reader of the event stream that feeds the dashboard."""

import asyncio

from tests.benchmarks.child import Child
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import PASSWORD, World

CHARGERS = 10_000
PACE_S = 10.0
"""Each charger says something about every ten seconds."""
PROBES, EVERY_S = 400, 0.05
SEED_S = 30.0
"""What the reference architecture allows (F106)."""
TARGET_S = 2.0


async def measure_latency(world: World) -> list[Row]:
    """Probes of twenty chargers while all others talk; sent and seen on the same clock."""
    count, probing = world.sized(CHARGERS, 40), world.sized(20, 5)
    async with (
        world.database(count + probing) as database,
        Child("node") as node,
        Child("fleet") as fleet,
        Child("fleet") as probes,
        Child("subscriber") as subscriber,
    ):
        port = (await node.ask("start", database=database))["ports"][0]
        common = {"port": port, "password": PASSWORD, "seed": world.seed}
        await fleet.ask("create", count=count, **common)
        await probes.ask("create", first=count, count=probing, **common)
        await fleet.ask("connect", boot=True, spread_s=world.sized(30, 0))
        await probes.ask("connect", boot=True)
        await fleet.ask("start", pace_s=0.5 if world.quick else PACE_S)
        await asyncio.sleep(0.2 if world.quick else PACE_S)
        await subscriber.ask("start", database=database, first=count)
        before = await fleet.ask("count")
        sent = (await probes.ask("probe", count=world.sized(PROBES, 10), every_s=EVERY_S))["sent"]
        after = await fleet.ask("count")
        seen = (await subscriber.ask("seen", count=sent))["seconds"]
    seen.sort()
    p99 = seen[min(len(seen) - 1, int(len(seen) * 0.99))]
    rate = (after["acknowledged"] - before["acknowledged"]) / (after["at"] - before["at"])
    say(
        f"latency: {len(seen)} of {sent} probes, p50 {seen[len(seen) // 2] * 1000:.0f} ms, "
        f"p99 {p99 * 1000:.0f} ms, worst {seen[-1] * 1000:.0f} ms, beside {rate:,.0f} messages/s"
    )
    return [
        Row(
            *("latency", p99, f"s, p99 to a subscriber, {count:,} chargers, {rate:,.0f} messages/s"),
            *("30 s (F106)", SEED_S, p99 / SEED_S),
            target=f"< {TARGET_S:g}",
            met=p99 < TARGET_S and len(seen) == sent,
        )
    ]
