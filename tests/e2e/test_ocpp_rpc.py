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

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

CLIENT = Path(__file__).parents[1] / "clients" / "ocpp-rpc"
CACHE = Path(__file__).parents[2] / ".ampwave" / "clients"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH")

VENDOR, SITE = "Wright Stations", "wright-yard"
MODELS = {"ocpp1.6": ("W16", "ecdsa-p256-sha256"), "ocpp2.0.1": ("W201", "rsa-pss-sha256")}


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


def register(stack: Any) -> dict[str, dict[str, Any]]:
    """A site with a charger of each version; the settings of each."""
    from api.demo.people import register_fleet

    passwords = {protocol: secrets.token_hex(16) for protocol in MODELS}
    site = {"site_id": SITE, "name": "Wright Yard", "time_zone": "Europe/Berlin", "max_down": 2}
    models = [
        {"vendor": VENDOR, "model": model, "signature_scheme": scheme, "reboot_seconds": 60}
        for model, scheme in MODELS.values()
    ]
    chargers = [
        {
            "charger_id": f"WRIGHT-{model}",
            "site_id": SITE,
            "vendor": VENDOR,
            "model": model,
            "password": passwords[protocol],
        }
        for protocol, (model, _) in MODELS.items()
    ]
    register_fleet(stack.people, [site], models, chargers)
    common = {
        "endpoint": f"ws://127.0.0.1:{stack.settings.csms_port}/ocpp",
        "vendor": VENDOR,
        "version": "1.0",
        "root": stack.workshop.manufacturer.root,
    }
    return {
        protocol: {
            **common,
            "identity": f"WRIGHT-{model}",
            "password": passwords[protocol],
            "protocol": protocol,
            "model": model,
            "scheme": scheme,
        }
        for protocol, (model, scheme) in MODELS.items()
    }


def release(stack: Any, image: bytes, version: str) -> str:
    """Have an image for these models signed, reviewed and released; the artifact's id."""
    from api.demo import people as acts
    from signing.development import ensure_leaf
    from signing.keys import file_address
    from storage.charger import SignatureScheme
    from storage.clock import system_clock

    shop = stack.workshop
    path = shop.folder / f"wright-{version}.bin"
    path.write_bytes(image)
    leaves = [
        ensure_leaf(shop.keys, shop.manufacturer, SignatureScheme(scheme), system_clock())
        for _, scheme in MODELS.values()
    ]
    proofs = [leaf.sign(image) for leaf in leaves]
    manifest = {
        "vendor_role": shop.vendor_role,
        "version": version,
        "release_counter": 100 + stack.releases,
        "filename": "firmware.bin",
        "compatible": [{"vendor": VENDOR, "model": model} for model, _ in MODELS.values()],
        "vendor_signatures": [
            {"scheme": one.scheme.value, "signature": one.signature, "certificate": one.certificate}
            for one in proofs
        ],
    }
    keys = [file_address(shop.keys / f"{shop.vendor_role}-{who}.pem") for who in ("release", "security")]
    return acts.release(stack.people, path, manifest, keys, shop.keys / "root.json")


@pytest.mark.requirement("F34", "F71", "F73", "R28")
async def test_chargers_on_another_library_charge_and_take_a_signed_update(stack: Any, modules: Path) -> None:
    settings = await asyncio.to_thread(register, stack)
    stack.releases += 1
    version = f"3.{stack.releases}"
    image = json.dumps({"version": version}).encode() + b"\n" + secrets.token_bytes(150_000)
    artifact_id = await asyncio.to_thread(release, stack, image, version)
    async with AsyncExitStack() as running:
        chargers = {
            protocol: await running.enter_async_context(outsider(modules, each))
            for protocol, each in settings.items()
        }
        for charger in chargers.values():
            await charger.until("ready")
        campaign_id = await stack.start_campaign(
            artifact_id,
            [{"name": "all", "share": 1.0}],
            name="another make",
            targets={"vendor": VENDOR},
            gate={"min_attempts": 1, "hold_seconds": 2, "max_looks": 15},
        )
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
