"""Row ``ingest``: messages per second that a node validates, journals, projects and commits, then answers."""

import asyncio
from dataclasses import dataclass

from tests.benchmarks.child import Child, tree_cpu_seconds
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import PASSWORD, World, value

SOCKETS = 1000
SECONDS = 6.0
WARM_UP_S = 3.0


@dataclass(frozen=True)
class Load:
    """What one server did under the common load."""

    per_s: float
    shares: dict[str, float]
    """Cores used, by process."""


async def measure_ingest(world: World) -> list[Row]:
    """The node and the two comparators under the same load; two rows, one per comparator."""
    seen: dict[str, list[float]] = {"echo": [], "ocpp": [], "ampwave": []}
    # There and back again: what else the machine does meanwhile falls on all of them.
    for name in ("echo", "ocpp", "ampwave", "ampwave", "ocpp", "echo"):
        load = await (_ours(world) if name == "ampwave" else _bare(world, name))
        seen[name].append(load.per_s)
        say(f"{name}: {load.per_s:,.0f}/s, cores {_cores(load)}")
    echo, package, ours = (sum(each) / len(each) for each in seen.values())
    unit = f"messages/s, {world.sized(SOCKETS, 20)} sockets"
    return [
        Row.at_least("ingest", ours, unit, "bare websockets echo", echo, 0.25),
        Row.at_least("ingest-package", ours, unit, "ocpp package's loop", package, 2.0),
    ]


async def _bare(world: World, kind: str) -> Load:
    async with Child("comparators") as server, Child("fleet") as fleet:
        ports = (await server.ask("start", kind=kind))["ports"]
        await fleet.ask(
            "create", port=ports[0], count=world.sized(SOCKETS, 20), echo=kind == "echo", seed=world.seed
        )
        return await _loaded(world, fleet, {"server": server})


async def _ours(world: World) -> Load:
    count = world.sized(SOCKETS, 20)
    async with world.database(count) as database, Child("node") as node, Child("fleet") as fleet:
        ports = (await node.ask("start", database=database))["ports"]
        await fleet.ask("create", port=ports[0], count=count, password=PASSWORD, seed=world.seed)
        load = await _loaded(world, fleet, {"node": node}, world.server.pid)
        counted = await fleet.ask("stop")
        if counted["refused"]:
            raise AssertionError(f"the node refused messages of the mix: {counted['refused']}")
        journaled = await value(
            database,
            """SELECT count(*) FROM frame WHERE direction = 'in' AND text ~ '^\\[2,"[0-9]+"'""",
        )
        if journaled != counted["acknowledged"]:
            raise AssertionError(f"acknowledged {counted['acknowledged']}, journaled {journaled}")
        return load


async def _loaded(world: World, fleet: Child, servers: dict[str, Child], postgres: int | None = None) -> Load:
    await fleet.ask("connect", spread_s=world.sized(2, 0))
    await fleet.ask("start")
    await asyncio.sleep(0.2 if world.quick else WARM_UP_S)

    def used() -> dict[str, float]:
        cpu = {name: child.cpu_s() for name, child in {**servers, "load": fleet}.items()}
        return cpu if postgres is None else {**cpu, "postgres": tree_cpu_seconds(postgres)}

    before, first = used(), await fleet.ask("count")
    await asyncio.sleep(0.5 if world.quick else SECONDS)
    last, after = await fleet.ask("count"), used()
    seconds = last["at"] - first["at"]
    shares = {name: (after[name] - before[name]) / seconds for name in after}
    return Load((last["acknowledged"] - first["acknowledged"]) / seconds, shares)


def _cores(load: Load) -> str:
    return ", ".join(f"{name} {share:.2f}" for name, share in load.shares.items())
