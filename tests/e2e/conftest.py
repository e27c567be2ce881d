"""The whole of Ampwave on real engines with a simulated fleet, started once for all end-to-end tests."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

CHARGERS, SITES = 12, 4
PACE = {
    "tick_seconds": 1,
    "wave_deadline_seconds": 180,
    "attempt_deadline_seconds": 90,
    "max_attempts": 2,
    "retry_backoff_seconds": 2,
    "settle_seconds": 2,
    "ticket_seconds": 300,
}


@dataclass
class Stack:
    """Everything that runs, and the people who use it."""

    settings: Any
    engines: Any
    supervisor: Any
    people: Any
    workshop: Any
    ledger_file: Path
    releases: int = 0
    good: str | None = None
    """The artifact that the fleet runs now."""

    async def release(self, **script: float) -> tuple[str, str]:
        """A new version, signed and released: (version, artifact id)."""
        from csms.simulator.firmware import Script

        self.releases += 1
        version = f"2.{self.releases}"
        artifact_id = await asyncio.to_thread(
            self.workshop.release, self.people, version, 100 + self.releases, Script(seed=3, **script)
        )
        return version, artifact_id

    async def start_campaign(self, artifact_id: str, waves: list[dict[str, Any]], **plan: Any) -> str:
        """Create and approve a campaign over the whole fleet; its id."""

        from api.demo.people import approve

        def start() -> str:
            body = {"name": f"e2e {self.releases}", "artifact_id": artifact_id, "waves": waves, "pace": PACE}
            campaign = self.people.author.post("/campaigns", {**body, **plan})
            approve(self.people, campaign)
            return str(campaign["campaign_id"])

        return await asyncio.to_thread(start)

    async def targets(self, campaign_id: str) -> list[dict[str, Any]]:
        """Every target of a campaign."""
        from api.demo.people import targets

        return await asyncio.to_thread(targets, self.people, campaign_id)

    async def until_targets(self, campaign_id: str, done: Callable[[list[dict[str, Any]]], bool]) -> None:
        """Wait until the targets satisfy a condition."""

        async def satisfied() -> bool:
            return done(await self._patiently(lambda: self.targets(campaign_id)))

        await _until(satisfied, within_s=90)

    async def until_nobody_is_left_behind(self, campaign_id: str) -> None:
        """Wait until nobody may run the stopped version, by what each says that it runs."""
        path = f"/campaigns/{campaign_id}/chargers?limit=500"

        async def satisfied() -> bool:
            found = await asyncio.to_thread(self.people.author.get, path)
            return all(one["state"] != "left_behind" for one in found["items"])

        await _until(satisfied, within_s=60)

    async def incidents(self, kind: str) -> list[dict[str, Any]]:
        """Of a kind, closed ones, too."""
        found = await asyncio.to_thread(self.people.author.get, "/incidents?closed=true&limit=500")
        return [one for one in found["items"] if one["kind"] == kind]

    async def until_ended(self, campaign_id: str) -> dict[str, Any]:
        """Wait until the campaign is over; the last look at it. The api may be away for a while."""
        found: dict[str, Any] = {}

        async def over() -> bool:
            look = lambda: asyncio.to_thread(self.people.author.get, f"/campaigns/{campaign_id}")  # noqa: E731
            found.update(await self._patiently(look))
            return found["phase"] in {"completed", "aborted", "rolled_back", "failed"}

        try:
            await _until(over, within_s=170)
        except TimeoutError:
            open_targets = [one for one in await self.targets(campaign_id) if one["phase"] != "done"]
            pytest.fail(f"the campaign is still {found['phase']} ({found['reason']}): {open_targets}")
        return found

    async def _patiently(self, ask: Callable[[], Any]) -> Any:
        from api.cli.errors import Unreachable

        while True:
            try:
                return await ask()
            except Unreachable:
                await asyncio.sleep(0.2)

    async def truth(self) -> dict[str, Any]:
        """What the chargers lived, as of now: their own ledger, once it was written after this call."""
        before = self._ledger()["written_at"]

        async def newer() -> bool:
            return bool(self._ledger()["written_at"] != before)

        await _until(newer, within_s=60)
        return self._ledger()

    def _ledger(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ledger_file.read_text())
        return found

    async def lost_events(self) -> int:
        """Messages that were acknowledged to a charger and are not in the journal."""
        from api import bootstrap
        from csms.simulator.ledger import acknowledged_ids

        ledger = await self.truth()
        lost = 0
        async with bootstrap.open_stores(self.settings) as stores:
            for charger_id, account in ledger["chargers"].items():
                stored = await stores.frames.message_ids(charger_id)
                lost += sum(1 for message_id in acknowledged_ids(account) if message_id not in stored)
        return lost


async def _until(condition: Callable[[], Awaitable[bool]], *, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not await condition():  # noqa: ASYNC110 - the condition lies in other processes
            await asyncio.sleep(0.1)


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    from api import bootstrap
    from api.demo.approvers import enlist_approvers
    from api.demo.people import gather, until
    from api.demo.workshop import Workshop, register
    from api.embedded.engine import free_ports
    from api.readiness import role_processes
    from api.settings import Settings
    from api.stack import prepared_engines, role_environment
    from api.supervisor import RoleProcess, Supervisor
    from csms.simulator.spec import default_fleet, save_fleet
    from signing.development import ensure_manufacturer
    from storage.clock import system_clock

    home = tmp_path_factory.mktemp("stack")
    api_port, csms_port = free_ports(2)
    settings = Settings(
        data_dir=home,
        api_port=api_port,
        csms_port=csms_port,
        csms_tls_port=0,
        csms_internal_port=0,
        postgres_port=0,
        s3_port=0,
        temporal_port=0,
        temporal_ui_port=0,
        csms_heartbeat_interval_s=10,
        csms_lease_s=6,
        webhook_networks=("127.0.0.0/8",),
        unsafe_plain_http_webhooks=True,
    )
    async with prepared_engines(settings, durable=False) as engines, Supervisor(home) as supervisor:
        ready = engines.settings
        await supervisor.start_all(role_processes(ready, os.environ))
        token = ready.token_path.read_text().strip()
        await enlist_approvers(ready)
        people = await asyncio.to_thread(gather, ready.base_url, token, ready.keys)
        role = bootstrap.development_roles(ready)[0]
        maker = ensure_manufacturer(ready.keys, role, system_clock())
        fleet = replace(default_fleet(CHARGERS, sites=SITES, seed=11), manufacturer_roots=(maker.root,))
        await asyncio.to_thread(register, people, fleet)
        save_fleet(fleet, home / "fleet.json")
        ledger = home / "chargers.json"
        words = ("simulate", "--fleet", str(home / "fleet.json"), "--csms", f"ws://127.0.0.1:{csms_port}")
        argv = (sys.executable, "-m", "api.cli.main", *words, "--report", str(ledger))
        await supervisor.start(RoleProcess("simulate", role_environment(ready, os.environ), argv=argv))
        await asyncio.to_thread(
            until,
            lambda: people.author.get("/fleet"),
            lambda fleet: fleet["online"] == CHARGERS and sum(fleet["by_version"].values()) == CHARGERS,
            what="the fleet to be online",
            within_s=90,
        )
        workshop = Workshop(maker, role, ready.keys, home, system_clock)
        yield Stack(ready, engines, supervisor, people, workshop, ledger)
        people.close()
