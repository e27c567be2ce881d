"""Row ``campaign-100k``: one campaign over a whole fleet, through everything that ``ampwave up`` starts.

The row is named by the fleet's size: ``campaign-2k`` for 2,000.

Real: PostgreSQL with fsync, Temporal, S3, api, worker, signer, relay, csms nodes, sockets, frames, TUF,
directives, approvals, gates, leases. Played: the chargers (``stations``), which fetch no image.
"""

import asyncio
import math
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from api.codec import read_key
from api.demo.people import approve, until
from api.demo.workshop import register
from csms.secrets import hash_secret
from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.firmware import Script
from csms.simulator.spec import default_fleet
from tests.benchmarks.child import Child
from tests.benchmarks.fleet import name_of
from tests.benchmarks.processes import Memory, watch_memory
from tests.benchmarks.report import Row, say
from tests.benchmarks.stack import Stack, database_of, whole_stack
from tests.benchmarks.world import PASSWORD, World, value

CHARGERS = 2000
"""Without ``--chargers``: a few minutes."""
TARGET = 1000.0
"""Chargers a minute: what AWS IoT Jobs dispatches at most."""
SOCKETS_PER_NODE = 17_000
"""A process may have 20,000 files open here."""
SITE = 10
IN_FLIGHT = 60
FEW = 20_000
"""More are a large fleet, with the settings of one (``deploy/README.md``)."""
CONNECTING_PER_S = 200
"""Two cores take 330 a second in (row ``storm``), with nothing else to do."""
FROM, TO = "1.0", "2.0"
MAKE = PERSONALITIES["jetty"]
MIB = 2**20
CORES = os.cpu_count() or 1
PLAYED = "chargers"
"""What their processes are called: no part of the product."""

_REGISTER = (
    """
    INSERT INTO site (site_id, name, time_zone, max_down)
    SELECT DISTINCT 'bench-' || number / $2, 'Bench ' || number / $2, 'UTC', $2 / 2
    FROM generate_series(0, $1 - 1) AS number
    """,
    """
    INSERT INTO charger (charger_id, site_id, vendor, model, lifecycle, registered_at)
    SELECT name, 'bench-' || (place - 1) / $2, $3, $4, 'active', now()
    FROM unnest($1::text[]) WITH ORDINALITY AS given (name, place)
    """,
    """
    INSERT INTO charger_credential (charger_id, secret_hmac, created_at)
    SELECT name, $2, now() FROM unnest($1::text[]) AS name
    """,
    "INSERT INTO twin (charger_id) SELECT name FROM unnest($1::text[]) AS name",
    "ANALYZE",
)
_DONE = "SELECT count(*) FROM campaign_target WHERE campaign_id = $1 AND outcome = 'updated'"
_SPAN = """
SELECT extract(epoch FROM min(dispatched_at)), extract(epoch FROM max(finished_at))
FROM campaign_target WHERE campaign_id = $1 AND outcome = 'updated'
"""


def settings_of(count: int) -> dict[str, int]:
    """How often a fleet of that size beats, is pinged, and has its leases renewed. Seconds."""
    if count <= FEW:
        return {"csms_heartbeat_interval_s": 600}
    return {"csms_heartbeat_interval_s": 3600, "csms_ping_interval_s": 240, "csms_lease_s": 90}


@dataclass
class Course:
    """How it went, looked at every few seconds."""

    began: float
    limit_s: float = math.inf
    """A person aborts it after so long: of a fleet that takes hours, the first part."""
    aborted: bool = False
    done: list[tuple[float, int]] = field(default_factory=list)

    def note(self, done: int) -> None:
        self.done.append((time.monotonic() - self.began, done))

    def slowest_minute(self) -> float:
        """Chargers a minute in the slowest stretch of a minute between a tenth and nine tenths."""
        last = self.done[-1][1]
        inner = [(at, done) for at, done in self.done if 0.1 * last <= done <= 0.9 * last]
        rates = [
            (later[1] - now[1]) / (later[0] - now[0]) * 60
            for place, now in enumerate(inner)
            for later in [next((each for each in inner[place:] if each[0] - now[0] >= 60), None)]
            if later is not None
        ]
        return min(rates, default=0.0)


async def measure_large_campaign(world: World) -> list[Row]:
    """From the first command to the last proof, waves and gates included."""
    count = world.chargers or world.sized(CHARGERS, 20)
    nodes = -(-count // SOCKETS_PER_NODE)
    async with (
        whole_stack(world.folder / "campaign-100k", nodes=nodes, **settings_of(count)) as stack,
        _fleet(stack, count, world.seed) as fleet,
    ):
        artifact = await asyncio.to_thread(stack.workshop.release, stack.people, TO, 2, Script(seed=3))
        course, memory = Course(time.monotonic(), _limit(world)), Memory()
        async with watch_memory(_processes(stack, fleet), memory):
            campaign = await _run(stack, plan_of(count, artifact, world.seed), course, count)
        rate = await _rate(stack, campaign["campaign_id"])
        tallies = [await child.ask("tally") for child in fleet]
    _check(campaign, course, tallies, count)
    return _rows(count, rate, course, memory)


def _limit(world: World) -> float:
    return math.inf if world.minutes is None else world.minutes * 60.0


def plan_of(count: int, artifact_id: str, seed: int) -> dict[str, Any]:
    """A canary, a twentieth, the rest; at most IN_FLIGHT at once in a wave, over all its shards."""
    canary = max(4, min(100, count // 10))
    waves = [
        {"name": "canary", "count": canary, "window": IN_FLIGHT},
        {"name": "twentieth", "share": 0.05, "window": _window(count // 20)},
        {"name": "rest", "share": 0.95, "window": _window(count)},
    ]
    pace = {
        "tick_seconds": 5,
        "settle_seconds": 2,
        "attempt_deadline_seconds": 900,
        "ticket_seconds": 3600,
        "wave_deadline_seconds": 6 * 3600,
    }
    gate = {"min_attempts": max(1, min(20, (count - canary) // 20)), "hold_seconds": 2, "max_looks": 30}
    return {
        "name": f"{count} chargers",
        "artifact_id": artifact_id,
        "waves": waves,
        "pace": pace,
        "gate": gate,
        "seed": seed,
    }


def _window(chargers: int) -> int:
    shards = max(1, -(-chargers // 500))
    return max(1, min(200, IN_FLIGHT // shards))


@asynccontextmanager
async def _fleet(stack: Stack, count: int, seed: int) -> AsyncIterator[list[Child]]:
    """So many chargers, registered and connected, a process of them for each node."""
    await asyncio.to_thread(register, stack.people, default_fleet(1, sites=1, seed=seed))
    await _register(stack, count)
    async with AsyncExitStack() as running:
        fleet = [await running.enter_async_context(Child("stations")) for _ in stack.nodes]
        share = -(-count // len(fleet))
        began = time.monotonic()
        for number, (child, port) in enumerate(zip(fleet, stack.nodes, strict=True)):
            first = number * share
            await child.ask(
                "create",
                port=port,
                first=first,
                count=min(share, count - first),
                password=PASSWORD,
                seed=seed + number,
                heartbeat_s=stack.settings.csms_heartbeat_interval_s,
                vendor=MAKE.vendor,
                model=MAKE.model,
                version=FROM,
                target=TO,
            )
        spread_s = count / CONNECTING_PER_S
        await asyncio.gather(*(child.ask("connect", boot=True, spread_s=spread_s) for child in fleet))
        say(f"{count} chargers are connected to {len(fleet)} nodes after {time.monotonic() - began:.0f} s")
        await asyncio.to_thread(
            until,
            lambda: stack.people.author.get("/fleet"),
            lambda seen: seen["by_version"].get(FROM, 0) >= count,
            what="every charger to be on record",
            within_s=300,
        )
        yield fleet


async def _register(stack: Stack, count: int) -> None:
    names = [name_of(number) for number in range(count)]
    secret = hash_secret(read_key(stack.settings.charger_pepper_path), PASSWORD)
    given = [(count, SITE), (names, SITE, MAKE.vendor, MAKE.model), (names, secret), (names,), ()]
    connection = await asyncpg.connect(database_of(stack))
    try:
        for statement, arguments in zip(_REGISTER, given, strict=True):
            await connection.execute(statement, *arguments)
    finally:
        await connection.close()


def _processes(stack: Stack, fleet: list[Child]) -> Mapping[str, Any]:
    """Who is watched, by name; a process id that changes is asked for each time."""
    supervisor, engines = stack.supervisor, stack.engines.running()
    found: dict[str, Any] = {name: lambda name=name: supervisor.pid(name) for name in supervisor.names}
    found |= {engine.name: lambda engine=engine: engine.pid for engine in engines}
    return found | {
        f"{PLAYED} {place}": lambda child=child: child.pid for place, child in enumerate(fleet, 1)
    }


async def _run(stack: Stack, plan: dict[str, Any], course: Course, count: int) -> dict[str, Any]:
    people, database = stack.people, database_of(stack)
    began = time.monotonic()
    campaign = await asyncio.to_thread(people.author.post, "/campaigns", plan, patience_s=600.0)
    say(f"planned in {time.monotonic() - began:.1f} s: {campaign['cohort_size']} chargers")
    await asyncio.to_thread(approve, people, campaign)
    path = f"/campaigns/{campaign['campaign_id']}"
    course.began = told = time.monotonic()
    while campaign["phase"] not in {"completed", "paused", "aborted", "rolled_back", "failed"}:
        await asyncio.sleep(1.0 if count < 1000 else 5.0)
        done = int(str(await value(database, _DONE, campaign["campaign_id"])))
        course.note(done)
        campaign = await asyncio.to_thread(people.author.get, path)
        if time.monotonic() - course.began > course.limit_s and not course.aborted:
            why = {"rollback": False, "reason": "the time of this bench is over"}
            await asyncio.to_thread(people.author.post, f"{path}/abort", why)
            course.aborted = True
        if time.monotonic() - told > 30:
            told = time.monotonic()
            say(f"{told - course.began:6.0f} s: {done} updated, {campaign['phase']} ({campaign['reason']})")
    return campaign


async def _rate(stack: Stack, campaign_id: str) -> float:
    """Chargers a minute from the first command to the last proof, by the product's own books."""
    connection = await asyncpg.connect(database_of(stack))
    try:
        first, last = await connection.fetchrow(_SPAN, campaign_id)
        done = await connection.fetchval(_DONE, campaign_id)
    finally:
        await connection.close()
    return float(done) / max(1e-9, float(last) - float(first)) * 60


def _check(campaign: dict[str, Any], course: Course, tallies: list[dict[str, Any]], count: int) -> None:
    """Counted at both ends; raises where they disagree."""
    seen = {name: sum(tally[name] for tally in tallies) for name in tallies[0]}
    say(f"{campaign['phase']}: {campaign['reason']}; at the chargers: {seen}")
    ended, due = ("aborted", course.done[-1][1]) if course.aborted else ("completed", count)
    right = course.done[-1][1] == due == seen["on_target"] and seen["in_service"] == count
    if campaign["phase"] != ended or not right:
        raise RuntimeError(f"The campaign is {campaign['phase']}, {course.done[-1][1]} of {due}: {seen}")
    if seen["updates"] != due:
        raise RuntimeError(f"{seen['updates']} commands for {due} chargers")


def _rows(count: int, rate: float, course: Course, memory: Memory) -> list[Row]:
    done = course.done[-1][1]
    lines = memory.lines(done)
    say("\n".join(lines))
    part = f"the first {done:,} of {count:,}, then aborted" if course.aborted else f"{count:,}"
    unit = f"chargers/min, {part} chargers, slowest minute {course.slowest_minute():,.0f}"
    beside = ("AWS IoT Jobs at most", TARGET, rate / TARGET)
    name = f"campaign-{max(1, count // 1000)}k"
    met, detail = rate >= TARGET, tuple(lines)
    busy = sum(used for name, used in memory.cpu_s.items() if not name.startswith(PLAYED)) * 1000 / done
    most, grown = CORES * 60_000 / TARGET, memory.worst_growth()
    return [
        Row(name, rate, unit, *beside, f">= {TARGET:,.0f}", met, detail),
        Row(
            *(f"{name}-cpu", busy, f"ms of processor/charger, {CORES} processors"),
            *(None, None, None),
            target=f"<= {most:g}",
            met=busy <= most,
        ),
        Row(
            *(f"{name}-memory", memory.most() / MIB, f"MiB in all processes at most, {memory.words()}"),
            *(None, None, None),
            target="bounded: last third <= 1.25 x the third before",
            met=grown <= 1.25,
        ),
    ]
