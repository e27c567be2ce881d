"""The story of the demo, as people would live it: a fleet appears, a good release, a bad release."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from api.demo import people as acts
from api.demo.people import People, Record
from api.demo.screen import Screen
from api.demo.workshop import Workshop, register
from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.firmware import Script
from csms.simulator.spec import FleetSpec

GOOD, BAD = "1.1", "1.2"

# What makes 1.2 bad: it mostly starts and says so, and then connectors fail. Statuses alone look fine.
BAD_SCRIPT = Script(boot_loop_share=0.1, install_failure_share=0.05, faulted_share=0.5)

CANARIES = 12
"""At least so many: fewer cannot tell a bad image from chance, and the gate would wait for a person."""
HOUR_S = 4
"""The demo lives through an hour in four seconds, and its gates judge by a shipped policy."""


def waves(chargers: int) -> list[dict[str, Any]]:
    """Canary, half, rest; in a small fleet the canary is a larger part of it."""
    canary = round(max(0.25, CANARIES / chargers), 4)
    half = round((1 - canary) * 0.4, 4)
    shares = {"canary": canary, "half": half, "rest": round(1 - canary - half, 4)}
    return [{"name": name, "share": share} for name, share in shares.items()]


GATE = {
    "max_failure_share": 0.1,
    "min_attempts": 3,
    "max_excess_fault_share": 0.1,
    "max_excess_offline_share": 0.3,
    "hold_seconds": 3,
    "max_looks": 5,
    "health": "fast",
}
PACE = {
    "tick_seconds": 6,
    "wave_deadline_seconds": 240,
    "attempt_deadline_seconds": 120,
    "max_attempts": 2,
    "retry_backoff_seconds": 3,
    "settle_seconds": 12,
    "ticket_seconds": 300,
}


@dataclass(frozen=True, slots=True)
class Ended:
    """Both campaigns as they ended, their targets, and the fleet's versions afterwards."""

    good: Record
    bad: Record
    good_targets: list[Record]
    bad_targets: list[Record]
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Story:
    """Everything it takes to tell it."""

    people: People
    screen: Screen
    fleet: FleetSpec
    workshop: Workshop
    start_fleet: Callable[[], None]
    seed: int

    def tell(self) -> Ended:
        """From an empty house to the end of the second campaign. Raises DemoFailed or CliError."""
        with self._stage("register sites, models and chargers") as note:
            register(self.people, self.fleet)
            note(
                f"{len(self.fleet.chargers)} of {len(PERSONALITIES)} makes on {len(self.fleet.sites())} sites"
            )
        with self._stage("let the chargers connect and report") as note:
            self.start_fleet()
            fleet = self._until_online()
            note(f"{fleet['online']} online, {fleet['charging']} charging, on {_words(fleet['by_version'])}")
        with self._stage(f"release {GOOD} and {BAD}: upload, check, two people sign, publish") as note:
            good = self.workshop.release(self.people, GOOD, 2, Script(seed=self.seed))
            bad = self.workshop.release(self.people, BAD, 3, replace(BAD_SCRIPT, seed=self.seed))
            note(f"{GOOD} is {good[:12]}…, {BAD} is {bad[:12]}…")
        with self._stage(f"campaign 1: {GOOD}, canary, then waves") as note:
            first = self._campaign(f"Release {GOOD}", good, None)
            note(f"{first['phase']}. {first['reason']}")
        with self._stage(f"campaign 2: {BAD}, which is bad and says nothing of it") as note:
            second = self._campaign(f"Release {BAD}", bad, good)
            note(f"{second['phase']}. {second['reason']}")
        return Ended(
            good=first,
            bad=second,
            good_targets=acts.targets(self.people, first["campaign_id"]),
            bad_targets=acts.targets(self.people, second["campaign_id"]),
            versions=self.people.author.get("/fleet")["by_version"],
        )

    @contextmanager
    def _stage(self, title: str) -> Iterator[Callable[[str], None]]:
        notes: list[str] = []
        began = time.monotonic()
        self.screen.begin(title)
        yield notes.append
        self.screen.end(time.monotonic() - began, " ".join(notes))

    def _until_online(self) -> Record:
        count = len(self.fleet.chargers)
        return acts.until(
            lambda: self.people.author.get("/fleet"),
            lambda fleet: fleet["online"] == count and sum(fleet["by_version"].values()) == count,
            what=f"{count} chargers to be online and say which firmware they run",
            within_s=120,
        )

    def _campaign(self, name: str, artifact_id: str, rollback_to: str | None) -> Record:
        plan: dict[str, Any] = {
            "name": name,
            "artifact_id": artifact_id,
            "rollback_artifact_id": rollback_to,
            "waves": waves(len(self.fleet.chargers)),
            "gate": GATE,
            "pace": PACE,
            "seed": self.seed,
        }
        return acts.run_campaign(
            self.people,
            plan,
            lambda campaign: self.screen.show(campaign, self.people.author.get("/fleet")),
            within_s=420,
        )


def _words(by_version: Mapping[str, int]) -> str:
    return ", ".join(sorted(by_version)) or "nothing"
