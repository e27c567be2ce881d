"""A town of real engines: a repository on S3, a database, a signer, and a node with a charger on its socket.

One person listed two approvers; the test's own hand is a database administrator's.
"""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from activities.dispatch import DispatchActivities
from activities.orders import DispatchAnswer, DispatchInput, Node
from activities.signer import DirectiveOrder, SignerActivities
from activities.stores import Stores as ActivityStores
from activities.tickets import TicketOffice
from api import bootstrap
from api.settings import Settings
from csms.gateway import Gateway
from csms.options import GatewayOptions, GatewayStores, Sources
from csms.secrets import hash_secret
from signing.approval import Statement, sign_statement
from signing.ceremony import DevelopmentCeremony
from signing.development import DevelopmentLeaf, DevelopmentManufacturer
from signing.keys import ensure_key_file, file_address, open_signer, public_of_file
from signing.policy import Approver, ModelTrust, TrustPolicy
from signing.service import OnlineKeys, SigningService
from signing.sign_off import collect_evidence, review, sign
from signing.trust_source import TrustSource, fetch_from
from signing.verify import Verifier
from storage.artifact import Artifact, ArtifactPhase, Compatible, SignOff
from storage.campaign import Approval, Campaign, CampaignPhase, CampaignPlan, Target, WavePlan
from storage.canonical import sha256_hex
from storage.charger import Charger, ChargerCredential, ChargerFilter, SignatureScheme, Site
from storage.clock import system_clock
from storage.errors import AmpwaveError
from storage.plan_digest import plan_digest
from storage.s3 import S3BlobStore
from storage.twin import Lifecycle

PEPPER = b"p" * 32
VENDOR, MODEL = "Acme", "Volt"
PEOPLE = ("ada", "bob")


@dataclass
class Library:
    """The repository with three releases, made once: nobody here writes to it."""

    blobs: S3BlobStore
    settings: dict[str, Any]
    folder: Path
    root: bytes
    leaf: DevelopmentLeaf
    artifacts: dict[str, Artifact]

    def signer(self) -> SigningService:
        return SigningService(self.blobs, self.root, OnlineKeys.in_folder(self.folder), system_clock)

    def source(self) -> TrustSource:
        return TrustSource(fetch_from(self.blobs), self.root)

    async def release(self, version: str, counter: int) -> None:
        image = f"firmware {version}".encode()
        artifact = Artifact(
            artifact_id=sha256_hex(image),
            vendor_role="acme",
            version=version,
            release_counter=counter,
            length=len(image),
            compatible=(Compatible(VENDOR, MODEL),),
            vendor_signatures=(self.leaf.sign(image),),
            phase=ArtifactPhase.RELEASED,
            uploaded_by="rita",
            uploaded_at=system_clock(),
        )
        await self.blobs.put_bytes(artifact.artifact_id, image)
        service = self.signer()
        staged = await service.stage(artifact)
        now = system_clock()
        evidence = await collect_evidence(fetch_from(self.blobs), "acme")
        reviewed = await review("acme", staged.payload, evidence, self.root, now)
        offs = []
        for person in ("release", "qa"):
            keyid, signature = sign(reviewed, file_address(self.folder / f"acme-{person}.pem"))
            offs.append(SignOff(artifact.artifact_id, staged.sha256, keyid, signature, person, now))
        await service.publish(staged, tuple(offs))
        self.artifacts[version] = artifact


@pytest.fixture(scope="module")
async def library(embedded_s3: Any, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Library]:
    bucket = f"admin-{secrets.token_hex(6)}"
    embedded_s3.client().create_bucket(Bucket=bucket)
    names = ("endpoint", "region", "access_key", "secret_key")
    given = {name: getattr(embedded_s3, name) for name in names} | {"bucket": bucket}
    blobs = S3BlobStore(**given)
    folder = tmp_path_factory.mktemp("library") / "keys"
    maker = DevelopmentManufacturer.create("acme", system_clock())
    ceremony = DevelopmentCeremony(blobs, folder, system_clock)
    made = await ceremony.ensure(["acme"], manufacturer_roots={"acme": (maker.root,)})
    keys = {name: ensure_key_file(folder / f"approver-{name}.pem") for name in (*PEOPLE, "mallory")}

    def enlist(policy: TrustPolicy) -> TrustPolicy:
        people = {keys[name].keyid: Approver(name, keys[name]) for name in PEOPLE}
        return replace(policy, approvers=people, models={(VENDOR, MODEL): ModelTrust(minimum_counter=10)})

    await DevelopmentCeremony(blobs, folder, system_clock, change=enlist).ensure(["acme"])
    leaf = maker.leaf(SignatureScheme.ECDSA_P256, system_clock())
    library = Library(blobs, given, folder, made.trusted_root, leaf, {})
    for version, counter in (("0.9", 9), ("1.0", 10), ("1.1", 11), ("1.2", 12)):
        await library.release(version, counter)
    yield library
    blobs.close()


@dataclass
class Wire:
    """A charger's end of its socket: answers what it must, and keeps every command."""

    socket: ClientConnection
    heard: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _answers: dict[str, asyncio.Future[Any]] = field(default_factory=dict)

    async def listen(self) -> None:
        with suppress(ConnectionClosed):
            async for text in self.socket:
                kind, message_id, *rest = json.loads(text)
                if kind != 2:
                    self._answers.pop(message_id).set_result(rest)
                    continue
                self.heard.append((rest[0], rest[1]))
                await self.socket.send(json.dumps([3, message_id, {"status": "Accepted"}]))

    async def ask(self, action: str, payload: dict[str, Any]) -> Any:
        message_id = secrets.token_hex(8)
        self._answers[message_id] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps([2, message_id, action, payload]))
        return await asyncio.wait_for(self._answers[message_id], 20)

    async def introduce(self, model: str, version: str) -> None:
        station = {"vendorName": VENDOR, "model": model, "firmwareVersion": version}
        await self.ask("BootNotification", {"chargingStation": station, "reason": "PowerUp"})
        status = {"connectorStatus": "Available", "evseId": 1, "connectorId": 1}
        await self.ask("StatusNotification", {**status, "timestamp": system_clock().isoformat()})

    def updates(self) -> list[dict[str, Any]]:
        return [payload for action, payload in self.heard if "irmware" in action]


@dataclass
class Town:
    """What runs, and what a test does to it."""

    library: Library
    stores: bootstrap.Stores
    activities: ActivityStores
    gateway: Gateway
    node: Node
    database: str
    settings: Settings
    wires: dict[str, Wire] = field(default_factory=dict)

    async def sql(self, statement: str, *values: Any) -> None:
        """What somebody does who owns the database."""
        connection = await asyncpg.connect(self.database)
        try:
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    def campaign(self, *chargers: str, version: str = "1.1", name: str = "c1") -> Campaign:
        """A campaign that two people are to approve, its one wave over these chargers."""
        plan = CampaignPlan(
            name=name,
            artifact_id=self.library.artifacts[version].artifact_id,
            targets=ChargerFilter(),
            waves=(WavePlan("all", 1.0),),
            rollback_artifact_id=self.library.artifacts["1.0"].artifact_id,
            required_approvals=2,
        )
        digest = plan_digest(plan, [chargers])
        return Campaign(name, plan, digest, CampaignPhase.RUNNING, "rita", system_clock(), len(chargers))

    async def approve_and_store(self, campaign: Campaign, *chargers: str, people: Any = PEOPLE) -> Campaign:
        """As the api and the workflow would leave it, with what these people signed with these keys."""
        given = tuple(self.approval(campaign, name) for name in people)
        approved = replace(campaign, approvals=given)
        artifact = next(
            one for one in self.library.artifacts.values() if one.artifact_id == campaign.plan.artifact_id
        )
        targets = [
            Target(
                campaign.campaign_id, 0, number, name, "site", artifact.artifact_id, "1.0", artifact.version
            )
            for number, name in enumerate(chargers)
        ]
        await self.stores.campaigns.create(approved, targets, [])
        return approved

    def approval(self, campaign: Campaign, name: str, key: str = "") -> Approval:
        now = system_clock()
        pem = self.library.folder / f"approver-{key or name}.pem"
        statement = Statement(
            campaign.campaign_id,
            campaign.plan_digest,
            campaign.plan.artifact_id,
            campaign.plan.rollback_artifact_id,
            name,
            now,
            now + timedelta(days=30),
        )
        evidence = sign_statement(statement, open_signer(file_address(pem), [public_of_file(pem)]))
        return Approval(name, now, campaign.plan_digest, evidence)

    async def authorise(self, campaign_id: str = "c1", wave: int = 0, issue: int = 1, count: int = 1) -> str:
        """Ask the signer for a directive, as a worker does. Returns its refusal, or ""."""
        signer = SignerActivities(self.activities, self.library.signer(), lambda: secrets.token_hex(16))
        try:
            await ActivityEnvironment().run(
                signer.sign_directive, DirectiveOrder(campaign_id, wave, 0, issue, 0, count, 3600.0)
            )
        except (ApplicationError, AmpwaveError) as error:
            return f"{getattr(error, 'type', type(error).__name__)}: {error}"
        return ""

    async def dispatch(self, charger: str = "CP-1", campaign_id: str = "c1", **more: Any) -> DispatchAnswer:
        """Have the node send, as a worker does."""
        route = await self.stores.routes.resolve(charger)
        assert route is not None
        given = DispatchInput(campaign_id, 0, 0, charger, 1, route.session_epoch)
        activities = DispatchActivities(self.node)
        return await ActivityEnvironment().run(activities.dispatch_update, replace(given, **more))

    async def refusals(self) -> list[str]:
        rows = await self.stores.audit.rows()
        return [row.entry.detail["kind"] for row in rows if row.entry.action == "security.dispatch_refused"]

    def updates(self) -> list[dict[str, Any]]:
        return [update for wire in self.wires.values() for update in wire.updates()]

    @asynccontextmanager
    async def charger(self, name: str, model: str = MODEL, version: str = "1.0") -> AsyncIterator[Wire]:
        pair = base64.b64encode(f"{name}:{password_of(name)}".encode()).decode()
        async with connect(
            f"ws://127.0.0.1:{self.gateway.ports[0]}/ocpp/{name}",
            subprotocols=[Subprotocol("ocpp2.0.1")],
            additional_headers={"Authorization": f"Basic {pair}"},
            compression=None,
        ) as socket:
            wire = self.wires[name] = Wire(socket)
            listening = asyncio.create_task(wire.listen())
            await wire.introduce(model, version)
            yield wire
        await listening


def password_of(charger: str) -> str:
    return f"a-password-of-{charger}"


Attack = Callable[[Town], Awaitable[None]]


@pytest.fixture
async def town(library: Library, database: str, tmp_path: Path) -> AsyncIterator[Town]:
    settings = Settings(
        data_dir=tmp_path,
        trusted_root_file=library.folder / "root.json",
        database_url=database,
        s3_endpoint=library.settings["endpoint"],
        s3_bucket=library.settings["bucket"],
        s3_region=library.settings["region"],
        s3_access_key=library.settings["access_key"],
        s3_secret_key=library.settings["secret_key"],
    )
    async with bootstrap.open_stores(settings) as stores:
        await stores.chargers.put_site(Site("site", "Depot", "UTC", 5))
        for number in (1, 2):
            name, now = f"CP-{number}", system_clock()
            secret = hash_secret(PEPPER, password_of(name))
            row = Charger(name, "site", VENDOR, MODEL, Lifecycle.ACTIVE, registered_at=now)
            await stores.chargers.register(row, ChargerCredential(name, secret, now))
        for artifact in library.artifacts.values():
            await stores.artifacts.add(artifact)
        gateway = Gateway(
            GatewayOptions("node-1", "boot-1", PEPPER, port=0, probe_delay_s=600),
            GatewayStores(stores.chargers, stores.ingest, stores.routes, stores.transaction_ids, {}),
            Sources(system_clock),
        )
        await gateway.start()
        shared = bootstrap._activity_stores(stores)
        office = TicketOffice(stores.tickets, secrets.token_bytes, "http://api", system_clock)
        node = Node(shared, gateway, Verifier(library.source()), office)
        town = Town(library, stores, shared, gateway, node, database, settings)
        async with town.charger("CP-1"):
            yield town
        await gateway.stop()
