"""Row ``memory``: what an idle connection costs a node, plain and with mutual TLS."""

from tests.benchmarks.certificates import Tls, make_tls
from tests.benchmarks.child import Child
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import PASSWORD, World

WARM, MORE = 300, 3000
"""Connections before the first look, and those whose cost is measured."""
KIB = 1024


async def measure_memory(world: World) -> list[Row]:
    """Four servers one after the other: bare ``websockets`` and ours, plain and with mutual TLS."""
    rows = []
    for name, tls, floor, target in (
        ("memory", None, 14.0, 25.0),
        ("memory-mtls", make_tls(world.folder, world.sized(WARM + MORE, 60)), 63.0, 80.0),
    ):
        bare = await _bare(world, tls)
        ours = await _ours(world, tls)
        say(f"{name}: {ours:.1f} KiB per connection, bare websockets {bare:.1f}, floor {floor:g}")
        ratio = ours / bare if bare else None
        rows.append(
            Row(
                *(name, ours, "KiB per idle connection", "bare websockets server", bare, ratio),
                target=f"<= {target:g}",
                met=ours <= target,
            )
        )
    return rows


async def _bare(world: World, tls: Tls | None) -> float:
    async with Child("comparators") as server, Child("fleet") as fleet:
        given = {"tls": tls.server} if tls else {}
        port = (await server.ask("start", kind="echo", **given))["ports"][-1]
        return await _cost(world, server, fleet, port, tls)


async def _ours(world: World, tls: Tls | None) -> float:
    async with (
        world.database(world.sized(WARM + MORE, 60)) as database,
        Child("node") as node,
        Child("fleet") as fleet,
    ):
        given = {"tls": tls.server} if tls else {}
        port = (await node.ask("start", database=database, **given))["ports"][-1]
        return await _cost(world, node, fleet, port, tls)


async def _cost(world: World, server: Child, fleet: Child, port: int, tls: Tls | None) -> float:
    """KiB of resident memory that each further connection adds, once the first ones are there."""
    warm, count = world.sized(WARM, 10), world.sized(WARM + MORE, 60)
    given = {"tls": tls.client} if tls else {}
    await fleet.ask("create", port=port, count=count, password=PASSWORD, seed=world.seed, **given)
    await fleet.ask("connect", count=warm)
    before = await _settled(server)
    await fleet.ask("connect", count=count, spread_s=world.sized(8, 0))
    return (await _settled(server) - before) / (count - warm) / KIB


async def _settled(server: Child) -> int:
    """Resident bytes after the garbage collector went by."""
    await server.ask("collect")
    return server.rss()
