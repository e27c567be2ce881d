"""The whole stack over TLS with an authority of its own, and a mixed fleet that renews its certificates."""

import asyncio
import base64
import secrets
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pydantic import SecretStr
from temporalio.client import Client

from api import bootstrap
from api.settings import Settings
from csms.secrets import hash_secret
from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import NetworkFault
from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import Ledger
from csms.simulator.pace import SessionPattern, SimPace
from csms.simulator.spec import ChargerSpec, FleetSpec
from signing.ca.builtin import BuiltInAuthority
from signing.ca.ceremony import ensure_development_authority
from signing.ca.csr import CsrPolicy
from signing.ca.ports import Applicant, Issued
from signing.ca.profile import ChargerProfile, subject_of
from storage.certificate import Certificate, CertificatePhase
from storage.charger import Charger, ChargerCredential, Site
from storage.clock import system_clock
from storage.twin import Lifecycle
from tests.support.tls_bench import TlsBench
from workflows.client import Orchestrator
from workflows.payloads import DATA_CONVERTER
from workflows.relay import Relay

QUICK = SimPace(
    install_s=(0.05, 0.05), reboot_s=(0.05, 0.2), backoff_s=(0.05, 0.4), upload_retry_s=0.05, report_s=0.05
)


@dataclass
class Stage:
    """Everything that runs, and what the chargers came with."""

    settings: Settings
    stores: bootstrap.Stores
    client: Client
    gateway: Any
    bench: TlsBench
    authority: BuiltInAuthority
    orchestrator: Orchestrator
    app: Any
    pepper: bytes
    tag: str
    first: dict[str, str] = field(default_factory=dict)
    """Serial number of each charger's first certificate."""

    @property
    def url(self) -> str:
        return f"wss://localhost:{self.gateway.ports[-1]}/ocpp"

    async def certified(self, charger_id: str, serial: str) -> tuple[str, str, Issued]:
        """A first certificate with its key, as a factory gives it out by our authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = x509.CertificateSigningRequestBuilder().subject_name(subject_of(serial, "Ampwave"))
        csr = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
        who = Applicant(charger_id, serial, "", "")
        issued = await self.authority.issue(csr, who, system_clock(), renews=False)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return issued.chain, pem, issued

    async def enrol(self, spec: ChargerSpec, *, by_certificate: bool) -> ChargerSpec:
        """Register a charger, with its certificate (profile 3) or its password (profile 2)."""
        now, who = system_clock(), PERSONALITIES[spec.personality]
        charger = Charger(
            spec.charger_id,
            spec.site_id,
            who.vendor,
            who.model,
            Lifecycle.ACTIVE,
            serial_number=spec.serial,
            registered_at=now,
        )
        credential = ChargerCredential(spec.charger_id, hash_secret(self.pepper, spec.password), now)
        await self.stores.chargers.register(charger, None if by_certificate else credential)
        if not by_certificate:
            return spec
        chain, key, issued = await self.certified(spec.charger_id, spec.serial)
        then = now - timedelta(days=300)
        await self.stores.certificates.add(
            Certificate(
                spec.charger_id,
                issued.serial,
                issued.issuer,
                issued.key_sha256,
                chain,
                issued.not_before,
                issued.not_after,
                then,
                "factory",
                CertificatePhase.PROVEN,
                proven_at=then,
            )
        )
        self.first[spec.charger_id] = issued.serial
        return replace(spec, certificate=chain, key=key)

    async def enrolled(
        self, count: int, *, sites: int, names: tuple[str, ...], max_down: int = 10_000
    ) -> tuple[ChargerSpec, ...]:
        """A mixed fleet: every second charger by certificate, spread over personalities and sites."""
        for number in range(sites):
            await self.stores.chargers.put_site(Site(f"site-{number + 1:03d}", "Depot", "UTC", max_down))
        found = []
        for number in range(count):
            spec = ChargerSpec(
                charger_id=f"REN-{self.tag}-{number + 1:05d}",
                site_id=f"site-{number % sites + 1:03d}",
                serial=f"SN{self.tag}{number + 1:06d}",
                password=secrets.token_hex(20),
                personality=names[(number // 2) % len(names)],
            )
            found.append(await self.enrol(spec, by_certificate=number % 2 == 0))
        return tuple(found)

    def fleet_of(
        self, specs: tuple[ChargerSpec, ...], *, faults: tuple[NetworkFault, ...] = (), per_s: float = 200.0
    ) -> FleetSpec:
        """These chargers, which know the server by its root and charge no cars."""
        return FleetSpec(
            "renewal",
            7,
            specs,
            csms_roots=(self.bench.root_file.read_text(),),
            pace=QUICK,
            sessions=SessionPattern(busy_share=0.0),
            faults=faults,
            connect_per_s=per_s,
        )

    @asynccontextmanager
    async def fleet(
        self, specs: tuple[ChargerSpec, ...], *, faults: tuple[NetworkFault, ...] = (), per_s: float = 200.0
    ) -> AsyncIterator["asyncio.Task[Ledger]"]:
        """The chargers at work in this process."""
        fleet = self.fleet_of(specs, faults=faults, per_s=per_s)
        stop = asyncio.Event()
        task = asyncio.create_task(
            run_fleet(fleet, csms_url=self.url, report_path=None, stop_event=stop, clock=system_clock)
        )
        try:
            yield task
        finally:
            stop.set()
            await task

    async def introduced(self, specs: tuple[ChargerSpec, ...], *, seconds: float = 60) -> None:
        """Wait until each has told of its connectors."""
        waiting = [spec.charger_id for spec in specs]
        async with asyncio.timeout(seconds), self.stores.events.changes() as changes:
            while waiting:
                views = await self.stores.chargers.views(waiting[:500])
                known = {
                    view.charger.charger_id
                    for view in views
                    if view.twin.operation
                    and any(one.evse_id for one in view.twin.operation.connectors.values())
                }
                waiting = [each for each in waiting if each not in known]
                if waiting and not known:
                    await anext(changes)

    async def renewal_over(self, renewal_id: str, *, seconds: float) -> Any:
        """The renewal once it is over or holds."""
        async with asyncio.timeout(seconds), self.stores.events.changes() as changes:
            while (found := await self.stores.renewals.get(renewal_id)).phase.value == "running":
                await anext(changes)
        return found


def _settings(folder: Path, engines: dict[str, Any], bench: TlsBench, more: dict[str, Any]) -> Settings:
    key, pepper = folder / "payload.key", folder / "pepper.key"
    for file in (key, pepper):
        file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    pair = bench.server_certificate("server")
    address, certificates = ensure_development_authority(folder / "authority", system_clock())
    return Settings(
        _env_file=None,
        data_dir=folder,
        payload_key_file=key,
        charger_pepper_file=pepper,
        csms_port=0,
        csms_tls_port=0,
        csms_internal_port=0,
        csms_connects_per_minute=0,
        csms_reload_s=0.5,
        csms_tls_cert_file=pair.chain,
        csms_tls_key_file=pair.key,
        csms_charger_ca_files=(certificates,),
        signer_ca=address,
        signer_ca_certificate_file=certificates,
        **engines,
        **more,
    )


@asynccontextmanager
async def stage(
    folder: Path,
    *,
    database: str,
    s3: Any,
    temporal: Any,
    plain: bool = False,
    more: Callable[[TlsBench], dict[str, Any]] = lambda _: {},
) -> AsyncIterator[Stage]:
    """Every role as bootstrap wires it, in this process; ``plain``: histories can be read.

    ``more``: other settings, over the files of the bench.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    bench = TlsBench(folder)
    engines = {
        "database_url": SecretStr(database),
        "s3_endpoint": s3.endpoint,
        "s3_bucket": s3.bucket,
        "s3_region": s3.region,
        "s3_access_key": SecretStr(s3.access_key),
        "s3_secret_key": SecretStr(s3.secret_key),
        "temporal_address": temporal.address,
        "temporal_namespace": temporal.namespace,
        "public_url": f"http://127.0.0.1:{listening.getsockname()[1]}",
    }
    settings = await asyncio.to_thread(_settings, folder, engines, bench, more(bench))
    async with AsyncExitStack() as stack:
        stores = await stack.enter_async_context(bootstrap.open_stores(settings))
        await bootstrap.ensure_repository(settings, stores)
        client = await bootstrap.connect_temporal(settings)
        if plain:
            client = await Client.connect(
                temporal.address, namespace=temporal.namespace, data_converter=DATA_CONVERTER
            )
        await stack.enter_async_context(bootstrap.shared_worker(settings, stores, client))
        signer = bootstrap.signing_service(settings, stores)
        await stack.enter_async_context(bootstrap.signer_worker(settings, stores, client, signer))
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
        certificates = (settings.signer_ca_certificate_file or Path()).read_text()
        authority = BuiltInAuthority(
            settings.signer_ca or "", certificates, CsrPolicy(), ChargerProfile(life=timedelta(days=40))
        )
        yield Stage(
            settings,
            stores,
            client,
            gateway,
            bench,
            authority,
            Orchestrator(client),
            app,
            bootstrap.read_key(settings.charger_pepper_path),
            secrets.token_hex(3),
        )
        server.should_exit = True
        await serving
        relay.cancel()
        with suppress(asyncio.CancelledError):
            await relay
