"""Every role as bootstrap wires it, over real engines, and simulated chargers on their sockets."""

import asyncio
import base64
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn
from pydantic import SecretStr
from temporalio.client import Client

from api import bootstrap
from api.auth import mint_token
from api.embedded import EmbeddedTemporal
from api.settings import Settings
from csms.gateway import Gateway
from csms.secrets import hash_secret
from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import Ledger
from csms.simulator.pace import SessionPattern, SimPace
from csms.simulator.spec import ChargerSpec, FleetSpec
from storage.access import Principal, Role
from storage.charger import Charger, ChargerCredential, Site
from storage.clock import system_clock
from storage.twin import Lifecycle
from tests.conftest import S3Settings
from workflows.relay import Relay

PACE = SimPace(
    install_s=(0.05, 0.05), reboot_s=(0.05, 0.05), backoff_s=(0.05, 0.2), upload_retry_s=0.05, report_s=0.05
)
NOBODY = SessionPattern(busy_share=0.0)


@dataclass
class Place:
    """Everything that runs, and the way in."""

    url: str
    csms_url: str
    stores: bootstrap.Stores
    client: Client
    app: Any
    pepper: bytes
    tag: str
    """In every identity: the Temporal server remembers the workflows of other tests."""
    tokens: dict[Role, str] = field(default_factory=dict)
    settings: Settings | None = None
    gateway: Gateway | None = None
    """The node that holds the sockets."""

    def named(self, personality: str) -> str:
        """The charger of this personality."""
        return f"SIM-{personality}-{self.tag}"

    def http(self, role: Role = Role.ADMIN) -> httpx2.AsyncClient:
        return httpx2.AsyncClient(
            base_url=self.url, headers={"Authorization": f"Bearer {self.tokens[role]}"}, timeout=60
        )

    async def mint(self) -> None:
        """A token for each role."""
        for role in Role:
            text, token = mint_token(
                Principal(f"{role.value}@test", role),
                now=system_clock(),
                expires_at=None,
                token_id=role.value,
                random_bytes=secrets.token_bytes,
            )
            await self.stores.tokens.add(token)
            self.tokens[role] = text

    @asynccontextmanager
    async def fleet(
        self, *personalities: str, sessions: SessionPattern = NOBODY
    ) -> AsyncIterator["asyncio.Task[Ledger]"]:
        """One charger of each, named after it, all at one site; connected and known to be idle or not."""
        specs = tuple(
            ChargerSpec(self.named(name), "site-01", f"SN-{name}", secrets.token_hex(20), name)
            for name in personalities
        )
        await self.stores.chargers.put_site(Site("site-01", "Depot", "UTC", 1))
        for spec in specs:
            await self._register(spec)
        fleet = FleetSpec("operator", 7, specs, pace=PACE, sessions=sessions)
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_fleet(fleet, csms_url=self.csms_url, report_path=None, stop_event=stop, clock=system_clock)
        )
        try:
            for spec in specs:
                await self.until(spec.charger_id, _introduced)
            yield task
        finally:
            stop.set()
            ledger = await task
            assert ledger.totals()["simulator_errors"] == 0

    async def _register(self, spec: ChargerSpec) -> None:
        now, who = system_clock(), PERSONALITIES[spec.personality]
        charger = Charger(
            spec.charger_id, spec.site_id, who.vendor, who.model, Lifecycle.ACTIVE, registered_at=now
        )
        secret = hash_secret(self.pepper, spec.password)
        await self.stores.chargers.register(charger, ChargerCredential(spec.charger_id, secret, now))

    async def until(self, charger_id: str, condition: Callable[[Any], bool]) -> Any:
        """Look again whenever something was stored."""
        async with asyncio.timeout(60), self.stores.events.changes() as changes:
            while not condition(view := await self.stores.chargers.get(charger_id)):
                await anext(changes)
        return view


def _introduced(view: Any) -> bool:
    operation = view.twin.operation
    return bool(
        view.twin.firmware and operation and any(one.evse_id for one in operation.connectors.values())
    )


@pytest.fixture
async def place(
    database: str, s3_settings: S3Settings, embedded_temporal: EmbeddedTemporal, tmp_path: Path
) -> AsyncIterator[Place]:
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    key, pepper = tmp_path / "payload.key", tmp_path / "pepper.key"
    for file in (key, pepper):
        file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    settings = Settings(
        _env_file=None,
        data_dir=tmp_path,
        database_url=SecretStr(database),
        s3_endpoint=s3_settings.endpoint,
        s3_bucket=s3_settings.bucket,
        s3_region=s3_settings.region,
        s3_access_key=SecretStr(s3_settings.access_key),
        s3_secret_key=SecretStr(s3_settings.secret_key),
        temporal_address=embedded_temporal.address,
        temporal_namespace=embedded_temporal.namespace,
        payload_key_file=key,
        charger_pepper_file=pepper,
        public_url=url,
        data_transfer_vendors=("acme",),
        csms_port=0,
        csms_internal_port=0,
    )
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(bootstrap.open_stores(settings))
        await bootstrap.ensure_repository(settings, stores)
        client = await bootstrap.connect_temporal(settings)
        await stack.enter_async_context(bootstrap.shared_worker(settings, stores, client))
        gateway, worker = bootstrap.csms_node(settings, stores, client)
        await gateway.start()
        stack.push_async_callback(gateway.stop)
        await stack.enter_async_context(worker)
        relay = asyncio.create_task(Relay(stores.outbox, client).run())
        app = bootstrap.api_app(settings, stores, client)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1, lifespan="off")
        )
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        found = Place(
            url,
            f"ws://127.0.0.1:{gateway.ports[0]}/ocpp",
            stores,
            client,
            app,
            bootstrap.read_key(pepper),
            secrets.token_hex(3),
            settings=settings,
            gateway=gateway,
        )
        await found.mint()
        yield found
        server.should_exit = True
        await serving
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
