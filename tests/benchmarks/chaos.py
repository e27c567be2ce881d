"""Row ``chaos``: campaigns on the real stack while its processes are killed with -9, and a referee.

Several campaigns run side by side on their own parts of one simulated fleet; from a seed it is drawn
which of them are of a bad release or are aborted by a person, and which process dies when. What is real:
everything but the chargers, and those fetch and check real images over real sockets.
"""

import asyncio
import os
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from api import bootstrap
from api.cli.errors import Refused, Unreachable
from api.demo.people import approve, until
from api.demo.workshop import register
from api.stack import role_environment
from api.supervisor import RoleProcess
from csms.simulator.firmware import Script
from csms.simulator.spec import FleetSpec, default_fleet, save_fleet
from storage.clock import system_clock
from tests.benchmarks.report import Row, say
from tests.benchmarks.stack import Stack, database_of, whole_stack
from tests.benchmarks.witnesses import MAX_DOWN, Violation, judge, last_frames, online, seconds
from tests.benchmarks.world import World

CAMPAIGNS = 50
ABREAST = 5
"""Campaigns at the same time, each with chargers of its own."""
CHARGERS = 8
"""Of each, on two sites."""
KILLS = 4
"""In every round."""
VICTIMS = ("worker", "csms", "api", "signer", "relay", "PostgreSQL", "S3", "Temporal")
WEIGHTS = (4, 4, 2, 3, 2, 3, 1, 2)
KINDS = ("good", "bad", "aborted", "taken back")
ODDS = (4, 3, 2, 2)
ENDED = {"completed", "aborted", "rolled_back", "failed"}
PACE = {
    "tick_seconds": 1,
    "wave_deadline_seconds": 240,
    "attempt_deadline_seconds": 120,
    "max_attempts": 2,
    "retry_backoff_seconds": 2,
    "settle_seconds": 2,
    "ticket_seconds": 600,
    "steady_seconds": 10,
}
GATE = {"min_attempts": 2, "hold_seconds": 2, "max_looks": 20, "max_failure_share": 0.2}
BAD = Script(seed=3, boot_loop_share=0.4, install_failure_share=0.4)
PATIENCE_S = 900.0


@dataclass
class Trial:
    """One campaign."""

    kind: str
    chargers: list[str]
    campaign_id: str = ""
    phase: str = ""


@dataclass
class Outcome:
    """Of a whole run."""

    campaigns: int = 0
    violations: list[Violation] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    phases: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)


@dataclass
class Chaos:
    """The stack under test and what is known of its fleet."""

    stack: Stack
    ledger: Path
    fleet: FleetSpec
    rng: random.Random
    groups: list[list[str]]
    releases: int = 0
    runs: dict[int, str | None] = field(default_factory=dict)
    """By group: the artifact that its chargers run, as far as one is known."""
    stopped: dict[str, float] = field(default_factory=dict)
    outcome: Outcome = field(default_factory=Outcome)

    async def play(self, rounds: int) -> Outcome:
        """So many rounds of a campaign for each group, and the referee after each."""
        for number in range(rounds):
            began = time.monotonic()
            trials = await self._round()
            await self._settled()
            referee = await self._judged([trial.campaign_id for trial in trials])
            self._note(trials, referee.violations, referee.seen)
            words = ", ".join(f"{trial.kind} {trial.phase}" for trial in trials)
            say(f"round {number + 1}: {words}; {time.monotonic() - began:.0f} s")
            for violation in referee.violations:
                await self._explain(violation)
        return self.outcome

    async def _explain(self, violation: Violation) -> None:
        """With the journal's last frames of the charger that it is about."""
        say(f"  {violation}")
        name = violation.detail.partition(":")[0].split(" ")[0]
        for line in await last_frames(database_of(self.stack), name):
            say(f"    {line}")

    def _note(self, trials: list[Trial], broken: list[Violation], seen: Counter[str]) -> None:
        self.outcome.campaigns += len(trials)
        self.outcome.violations += broken
        self.outcome.phases.update(trial.phase for trial in trials)
        self.outcome.seen.update(seen)

    async def _judged(self, campaigns: list[str]) -> Any:
        await self._fresh_ledger()
        async with bootstrap.open_stores(self.stack.settings) as stores:
            return await judge(stores, self.ledger, campaigns, self.stopped)

    # --- a round ---------------------------------------------------------------------------------

    async def _round(self) -> list[Trial]:
        kinds = self.rng.choices(KINDS, ODDS, k=len(self.groups))
        # A way back needs something to go back to.
        kinds = [kind if self.runs.get(place) else "good" for place, kind in enumerate(kinds)]
        good = await self._release()
        bad = await self._release(BAD) if "bad" in kinds else good
        trials = [Trial(kind, group) for kind, group in zip(kinds, self.groups, strict=True)]
        for place, trial in enumerate(trials):
            image = bad if trial.kind == "bad" else good
            await self._begin(trial, image, self.runs.get(place))
        await asyncio.gather(self._kill(), *map(self._follow, trials))
        for place, trial in enumerate(trials):
            if trial.phase == "completed":
                self.runs[place] = bad if trial.kind == "bad" else good
        return trials

    async def _release(self, script: Script | None = None) -> str:
        self.releases += 1
        version, counter = f"2.{self.releases}", 100 + self.releases
        workshop, people = self.stack.workshop, self.stack.people
        return await asyncio.to_thread(workshop.release, people, version, counter, script or Script(seed=3))

    async def _begin(self, trial: Trial, artifact: str, before: str | None) -> None:
        plan = {
            "name": f"{trial.kind} {self.releases}",
            "artifact_id": artifact,
            "targets": {"charger_ids": trial.chargers},
            "waves": [{"name": "first", "share": 0.5}, {"name": "rest", "share": 0.5}],
            "pace": PACE,
            "gate": GATE,
            "seed": self.rng.randrange(2**31),
        }
        if trial.kind in ("bad", "taken back"):
            plan["rollback_artifact_id"] = before
        people = self.stack.people
        campaign = await asyncio.to_thread(people.author.post, "/campaigns", plan)
        trial.campaign_id = campaign["campaign_id"]
        await asyncio.to_thread(approve, people, campaign)

    async def _kill(self) -> None:
        """Processes die at moments drawn from the seed; whatever keeps them starts them again."""
        for _ in range(KILLS):
            await asyncio.sleep(self.rng.uniform(0.5, 8.0))
            victim = self.rng.choices(VICTIMS, WEIGHTS)[0]
            engine = next((one for one in self.stack.engines.running() if one.name == victim), None)
            alive = engine.pid if engine is not None else self.stack.supervisor.pid(victim)
            if alive is None:
                continue  # Dead from the last time, and on its way back.
            if engine is not None:
                engine.kill()
            else:
                self.stack.supervisor.kill(victim)
            self.outcome.kills[victim] += 1

    async def _follow(self, trial: Trial) -> None:
        """Until it has ended; who is to abort it does so in the middle."""
        aborts = trial.kind in ("aborted", "taken back")
        abort_at = time.monotonic() + self.rng.uniform(3.0, 15.0)
        deadline = time.monotonic() + PATIENCE_S
        while trial.phase not in ENDED and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            seen = await self._ask(lambda: self.stack.people.author.get(f"/campaigns/{trial.campaign_id}"))
            trial.phase = seen["phase"] if seen else trial.phase
            if trial.phase == "paused":
                aborts, abort_at = True, 0.0  # A person has to decide, and this one does not trust it.
            if aborts and trial.phase not in ENDED and time.monotonic() > abort_at:
                aborts = not await self._abort(trial)

    async def _abort(self, trial: Trial) -> bool:
        body = {"reason": "enough", "rollback": trial.kind in ("bad", "taken back")}
        path = f"/campaigns/{trial.campaign_id}/abort"
        if await self._ask(lambda: self.stack.people.admin.post(path, body)) is None:
            return False
        self.stopped[trial.campaign_id] = seconds(system_clock())
        return True

    async def _ask(self, ask: Callable[[], Any]) -> Any:
        """None: the api is away, or an engine behind it is."""
        try:
            return await asyncio.to_thread(ask)
        except (Unreachable, Refused):
            return None

    # --- afterwards ------------------------------------------------------------------------------

    async def _settled(self) -> None:
        """Wait until everybody is connected, and nobody is held or out of service through us."""
        deadline = time.monotonic() + PATIENCE_S
        async with bootstrap.open_stores(self.stack.settings) as stores:
            while time.monotonic() < deadline:
                views = await stores.chargers.views([one.charger_id for one in self.fleet.chargers])
                names = [view.charger.charger_id for view in views]
                held = [name for name in names if await stores.leases.get(name)]
                held += [name for name in names if await stores.out_of_service.get(name)]
                if not held and all(map(online, views)):
                    return
                await asyncio.sleep(0.5)

    async def _fresh_ledger(self) -> None:
        """Wait for the chargers' own account of everything up to now; they rewrite it every second."""
        before = self.ledger.stat().st_mtime_ns
        async with asyncio.timeout(60):
            for _ in range(2):
                while self.ledger.stat().st_mtime_ns == before:  # noqa: ASYNC110 - another process writes
                    await asyncio.sleep(0.1)
                before = self.ledger.stat().st_mtime_ns


@asynccontextmanager
async def _chaos(world: World, abreast: int) -> AsyncIterator[Chaos]:
    home = world.folder / "chaos"
    async with whole_stack(home, csms_heartbeat_interval_s=10, csms_lease_s=6) as stack:
        fleet = default_fleet(abreast * CHARGERS, sites=abreast * 2, seed=world.seed)
        fleet = replace(fleet, manufacturer_roots=(stack.workshop.manufacturer.root,))
        await asyncio.to_thread(register, stack.people, fleet, max_down=MAX_DOWN)
        save_fleet(fleet, home / "fleet.json")
        ledger = home / "chargers.json"
        url = f"ws://127.0.0.1:{stack.nodes[0]}"
        words = ("simulate", "--fleet", str(home / "fleet.json"), "--csms", url, "--report", str(ledger))
        environment = role_environment(stack.settings, os.environ)
        argv = (sys.executable, "-m", "api.cli.main", *words)
        await stack.supervisor.start(RoleProcess("simulate", environment, argv=argv))
        count = len(fleet.chargers)
        await asyncio.to_thread(
            until,
            lambda: stack.people.author.get("/fleet"),
            lambda seen: seen["online"] == count and sum(seen["by_version"].values()) == count,
            what="the fleet to be online",
            within_s=300,
        )
        sites = list(fleet.sites().values())
        groups = [
            [one.charger_id for site in sites[2 * place : 2 * place + 2] for one in site]
            for place in range(abreast)
        ]
        yield Chaos(stack, ledger, fleet, random.Random(world.seed), groups)


async def measure_chaos(world: World) -> list[Row]:
    """Violations of the promises, of which there must be none."""
    abreast = world.sized(ABREAST, 2)
    rounds = world.sized(-(-(world.campaigns or CAMPAIGNS) // ABREAST), 1)
    async with _chaos(world, abreast) as chaos:
        outcome = await chaos.play(rounds)
    found, kills = len(outcome.violations), sum(outcome.kills.values())
    unit = f"violations in {outcome.campaigns} campaigns, {kills} kills"
    detail = tuple(f"{name}: {_words(of)}" for name, of in _told(outcome).items())
    return [Row("chaos", found, unit, None, None, None, "0", found == 0, detail)]


def _told(outcome: Outcome) -> dict[str, Counter[str]]:
    return {"ended": outcome.phases, "kill -9": outcome.kills, "looked at": outcome.seen}


def _words(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counted.most_common())
