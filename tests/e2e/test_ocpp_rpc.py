"""Chargers of another make: the npm library ``ocpp-rpc`` in strict mode, against the whole stack."""

import asyncio
import hashlib
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.outsiders import Make

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CLIENT = Path(__file__).parents[1] / "clients" / "ocpp-rpc"
CACHE = Path(__file__).parents[2] / ".ampwave" / "clients"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH")

MAKE = Make("Wright Stations", "wright-yard", {"W16": "ecdsa-p256-sha256", "W201": "rsa-pss-sha256"})
MODELS = {"ocpp1.6": "W16", "ocpp2.0.1": "W201"}


@pytest.fixture(scope="session")
def modules() -> Path:
    """The library, installed as its lock file says; kept from one run to the next."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("node and npm are not installed")
    lock = (CLIENT / "package-lock.json").read_bytes()
    home = CACHE / f"ocpp-rpc-{hashlib.sha256(lock).hexdigest()[:12]}"
    if not (home / "installed").exists():
        home.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(CLIENT / name, home)
        words = ["npm", "ci", "--ignore-scripts", "--fetch-retries=1"]
        done = subprocess.run(words, cwd=home, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode and any(code in done.stderr for code in UNREACHABLE):
            pytest.skip("no npm registry can be reached")
        assert done.returncode == 0, done.stderr
        (home / "installed").touch()
    return home / "node_modules"


@dataclass
class Outsider:
    """One such charger while it runs, and what it told."""

    process: asyncio.subprocess.Process
    told: list[dict[str, Any]] = field(default_factory=list)
    news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            async with self.news:
                self.told.append(json.loads(line))
                self.news.notify_all()
        async with self.news:
            self.told.append({"event": "gone"})
            self.news.notify_all()

    def of(self, event: str) -> list[dict[str, Any]]:
        return [each for each in self.told if each["event"] == event]

    async def until(self, event: str) -> dict[str, Any]:
        async with asyncio.timeout(120), self.news:
            await self.news.wait_for(lambda: self.of(event) or self.of("gone") or self.of("fault"))
        assert not self.of("fault"), self.told
        assert self.of(event), self.told
        return self.of(event)[0]


@asynccontextmanager
async def outsider(modules: Path, settings: dict[str, Any]) -> AsyncIterator[Outsider]:
    """Start one; leaving ends it and asks that it found no fault with us."""
    process = await asyncio.create_subprocess_exec(
        "node",
        str(CLIENT / "charger.js"),
        json.dumps(settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "NODE_PATH": str(modules)},
    )
    charger = Outsider(process)
    listening = asyncio.create_task(charger.listen())
    try:
        yield charger
    finally:
        assert process.stdin
        process.stdin.close()
        await asyncio.wait_for(listening, 30)
        code = await process.wait()
    assert charger.of("end")[0]["faults"] == [], charger.told
    assert code == 0


def settings_of(stack: Any, protocol: str, password: str) -> dict[str, Any]:
    """What one of them is started with."""
    model = MODELS[protocol]
    return {
        "endpoint": f"ws://127.0.0.1:{stack.settings.csms_port}/ocpp",
        "vendor": MAKE.vendor,
        "version": "1.0",
        "root": stack.workshop.manufacturer.root,
        "identity": MAKE.charger_id(model),
        "password": password,
        "protocol": protocol,
        "model": model,
        "scheme": MAKE.schemes[model],
    }


@pytest.mark.requirement("F41", "F58", "F69", "R28")
async def test_chargers_on_another_library_charge_and_take_a_signed_update(modules: Path, stack: Any) -> None:
    passwords = await MAKE.register(stack)
    settings = {
        protocol: settings_of(stack, protocol, passwords[model]) for protocol, model in MODELS.items()
    }
    version = "3.0"
    image = json.dumps({"version": version}).encode() + b"\n" + secrets.token_bytes(150_000)
    artifact_id = await MAKE.release(stack, image, version)
    async with AsyncExitStack() as running:
        chargers = {
            protocol: await running.enter_async_context(outsider(modules, each))
            for protocol, each in settings.items()
        }
        for charger in chargers.values():
            await charger.until("ready")
        campaign_id = await MAKE.roll_out(stack, artifact_id)
        campaign = await stack.until_ended(campaign_id)
        targets = await stack.targets(campaign_id)
        assert campaign["phase"] == "completed", (campaign["reason"], targets, charger.told)
        for charger in chargers.values():
            assert (await charger.until("downloaded")).items() >= {
                "length": len(image),
                "announced": len(image),
                "sha256": hashlib.sha256(image).hexdigest(),
            }.items()
            assert (await charger.until("installed"))["version"] == version
            assert charger.of("verified")
            assert [one["problem"] for one in charger.of("update")] == [None]
    assert {one["charger_id"]: one["outcome"] for one in targets} == {
        each["identity"]: "updated" for each in settings.values()
    }
    for protocol, each in settings.items():
        await the_twin_knows(stack, each["identity"], protocol, version)
        assert chargers[protocol].of("charged")


async def the_twin_knows(stack: Any, charger_id: str, protocol: str, version: str) -> None:
    """Both ends tell the same story."""
    found = await asyncio.to_thread(stack.people.author.get, f"/chargers/{charger_id}")
    twin = found["twin"]
    assert twin["firmware"]["version"] == version
    assert twin["connectivity"]["dialect"] == protocol
    assert len(twin["operation"]["ended"]) == 1
    assert twin["operation"]["transactions"] == {}
    assert {each["status"] for each in twin["operation"]["connectors"].values()} == {"Available"}
