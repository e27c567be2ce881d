"""The story of the demo, as people would live it: a fleet appears, a good release, a bad release."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from api.demo import people as acts
from api.demo.people import People, Record
from api.demo.screen import Screen
from csms.simulator.firmware import Script, build_image
from csms.simulator.personality import PERSONALITIES
from csms.simulator.spec import FleetSpec
from signing.development import DevelopmentManufacturer
from signing.keys import file_address
from storage.charger import SignatureScheme

IMAGE_BYTES = 192 * 1024
GOOD, BAD = "1.1", "1.2"

# What makes 1.2 bad: it mostly starts and says so, and then connectors fail. Statuses alone look fine.
BAD_SCRIPT = Script(boot_loop_share=0.1, install_failure_share=0.05, faulted_share=0.5)

WAVES = (
    {"name": "canary", "share": 0.15},
    {"name": "half", "share": 0.35},
    {"name": "rest", "share": 0.5},
)
GATE = {
    "max_failure_share": 0.1,
    "min_attempts": 3,
    "max_excess_fault_share": 0.1,
    "max_excess_offline_share": 0.3,
    "early_stop_failures": 3,
    "hold_seconds": 3,
    "max_looks": 5,
}
PACE = {
    "tick_seconds": 1,
    "wave_deadline_seconds": 240,
    "attempt_deadline_seconds": 60,
    "max_attempts": 2,
    "retry_backoff_seconds": 3,
    "settle_seconds": 4,
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
    manufacturer: DevelopmentManufacturer
    vendor_role: str
    keys: Path
    workshop: Path
    """Where images are built."""
    start_fleet: Callable[[], None]
    now: Callable[[], datetime]
    seed: int

    def tell(self) -> Ended:
        """From an empty house to the end of the second campaign. Raises DemoFailed or CliError."""
        with self._stage("register sites, models and chargers") as note:
            self._register()
            note(
                f"{len(self.fleet.chargers)} chargers, {len(PERSONALITIES)} makes, {len(self._sites())} sites"
            )
        with self._stage("let the chargers connect and report") as note:
            self.start_fleet()
            fleet = self._until_online()
            note(f"{fleet['online']} online, {fleet['charging']} charging, on {_words(fleet['by_version'])}")
        with self._stage(f"release {GOOD} and {BAD}: upload, check, two people sign, publish") as note:
            good = self._release(GOOD, 2, Script(seed=self.seed))
            bad = self._release(BAD, 3, _seeded(BAD_SCRIPT, self.seed))
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

    def _sites(self) -> list[str]:
        return sorted({charger.site_id for charger in self.fleet.chargers})

    def _register(self) -> None:
        acts.register_fleet(
            self.people,
            [
                {
                    "site_id": site,
                    "name": site.replace("-", " ").title(),
                    "time_zone": "Europe/Berlin",
                    "max_down": 2,
                }
                for site in self._sites()
            ],
            [
                {
                    "vendor": one.vendor,
                    "model": one.model,
                    "signature_scheme": one.scheme.value,
                    "needs_reset_after_install": one.needs_reset,
                    "reboot_seconds": 60,
                }
                for one in PERSONALITIES.values()
            ],
            [
                {
                    "charger_id": charger.charger_id,
                    "site_id": charger.site_id,
                    "vendor": PERSONALITIES[charger.personality].vendor,
                    "model": PERSONALITIES[charger.personality].model,
                    "serial_number": charger.serial,
                    "password": charger.password,
                }
                for charger in self.fleet.chargers
            ],
        )

    def _until_online(self) -> Record:
        count = len(self.fleet.chargers)
        return acts.until(
            lambda: self.people.author.get("/fleet"),
            lambda fleet: fleet["online"] == count and sum(fleet["by_version"].values()) == count,
            what=f"{count} chargers to be online and say which firmware they run",
            within_s=120,
        )

    def _release(self, version: str, counter: int, script: Script) -> str:
        image = build_image(version, size=IMAGE_BYTES, seed=counter, script=script)
        path = self.workshop / f"firmware-{version}.bin"
        path.write_bytes(image)
        signatures = [self.manufacturer.leaf(scheme, self.now()).sign(image) for scheme in SignatureScheme]
        manifest = {
            "vendor_role": self.vendor_role,
            "version": version,
            "release_counter": counter,
            "filename": "firmware.bin",
            "compatible": [{"vendor": one.vendor, "model": one.model} for one in PERSONALITIES.values()],
            "vendor_signatures": [
                {"scheme": one.scheme.value, "signature": one.signature, "certificate": one.certificate}
                for one in signatures
            ],
        }
        (self.workshop / f"firmware-{version}.json").write_text(json.dumps(manifest, indent=2))
        addresses = [
            file_address(self.keys / f"{self.vendor_role}-{who}.pem") for who in ("release", "security")
        ]
        return acts.release(self.people, path, manifest, addresses, self.keys / "root.json")

    def _campaign(self, name: str, artifact_id: str, rollback_to: str | None) -> Record:
        plan: dict[str, Any] = {
            "name": name,
            "artifact_id": artifact_id,
            "rollback_artifact_id": rollback_to,
            "waves": list(WAVES),
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


def _seeded(script: Script, seed: int) -> Script:
    return replace(script, seed=seed)


def _words(by_version: Mapping[str, int]) -> str:
    return ", ".join(sorted(by_version)) or "nothing"
