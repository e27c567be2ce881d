"""A charger's evidence, signed by the signer over real stores, and checked where no server is."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.worker import Worker

from activities.bundles import BundleActivities, BundleSources
from csms import service_days, session_records
from csms.projection import project
from signing.charger_bundle import BundleSeal, check_bundle
from signing.errors import VerificationFailed
from signing.keys import ensure_key_file
from signing.notary import RecordKeys
from storage.audit import AuditEntry
from storage.bundle import SECTIONS, BundleOrder, bundle_key
from storage.charger import Charger, Site
from storage.clock import system_clock
from storage.events import (
    ChargerBooted,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    EventRecord,
    FrameRejected,
    SecurityEventReported,
    TransactionEnded,
    TransactionStarted,
)
from storage.ids import SIGNER_QUEUE, TASK_QUEUE
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.registry import PostgresRegistryStore
from storage.postgres.watching import watch_stores
from storage.s3 import S3BlobStore
from workflows.bundle import BundleWorkflow
from workflows.client import Orchestrator

pytestmark = pytest.mark.integration
NOW = system_clock()
SECRET = "ab" * 32


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    made = create_engine(database)
    chargers = PostgresChargerStore(made)
    await chargers.put_site(Site("depot", "Depot", "UTC", 1))
    await chargers.register(Charger("A", "depot", "Volt", "V2", serial_number="SN-1"), None)
    train = [
        ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "n1"),
        ChargerBooted("Volt", "V2", "1.0"),
        ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE),
        TransactionStarted("T1", 1, 1, SECRET, 100.0),
        TransactionEnded("T1", "Local", 900.0),
        ConnectorStatusChanged(1, 1, ConnectorStatus.FAULTED, "GroundFailure"),
        FrameRejected("FormationViolation", "no JSON"),
        SecurityEventReported("TamperDetectionActivated"),
    ]
    records = [
        EventRecord("A", event, at, at, 1)
        for number, event in enumerate(train)
        for at in [NOW - timedelta(minutes=60 - number)]
    ]
    await PostgresIngestStore(made).commit([], records, project)
    watch = watch_stores(made)
    await watch.projections.advance_sessions(session_records.fold)
    await watch.service.advance_service(service_days.fold)
    yield made
    await made.dispose()


@pytest.fixture
async def blobs(s3_settings) -> AsyncIterator[S3BlobStore]:
    store = S3BlobStore(
        bucket=s3_settings.bucket,
        endpoint=s3_settings.endpoint,
        region=s3_settings.region,
        access_key=s3_settings.access_key,
        secret_key=s3_settings.secret_key,
    )
    yield store
    store.close()


class _Stores:
    """Of the shared stores, those that a bundle is made of."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.chargers = PostgresChargerStore(engine)
        self.events = PostgresEventStore(engine)
        self.campaigns = PostgresCampaignStore(engine)
        self.audit = PostgresAuditLog(engine)
        self.clock = system_clock

    async def record(self, actor: str, action: str, subject: str, **detail: object) -> None:
        await self.audit.append(AuditEntry(self.clock(), actor, action, subject, detail))


@pytest.mark.requirement("F29")
async def test_the_evidence_of_a_charger_is_signed_and_holds_until_a_byte_is_changed(
    real_env, engine, blobs, tmp_path: Path
) -> None:
    key = ensure_key_file(tmp_path / "record.pem")
    seal = BundleSeal(blobs, lambda: RecordKeys.in_folder(tmp_path))
    sources = BundleSources(watch_stores(engine), PostgresRegistryStore(engine), blobs)
    making = BundleActivities(_Stores(engine), sources, seal)  # type: ignore[arg-type]
    order = BundleOrder("f" * 64, "A", NOW - timedelta(days=1), NOW, "ada", "warranty claim 7")
    async with (
        Worker(real_env.client, task_queue=TASK_QUEUE, workflows=[BundleWorkflow]),
        Worker(real_env.client, task_queue=SIGNER_QUEUE, activities=[making.sign_bundle]),
    ):
        lines = await Orchestrator(real_env.client).make_bundle(order)
        assert await Orchestrator(real_env.client).make_bundle(order) == lines
    data, _ = await blobs.get(bundle_key(order.bundle_id), limit=2**20)
    whole = data.splitlines(keepends=True)
    found = check_bundle(whole, {key.keyid: key})
    manifest = found.manifest
    assert (manifest.charger_id, manifest.requested_by, manifest.lines) == ("A", "ada", lines)
    assert set(manifest.sections) == set(SECTIONS)
    told = [json.loads(line) for line in whole[2:]]
    errors = [each["what"] for each in told if each["section"] == "errors"]
    assert set(errors) == {"frame_rejected", "security_event_reported", "connector_status_changed"}
    assert [each["as"]["transaction_id"] for each in told if each["what"] == "session"] == ["T1"]
    assert SECRET.encode() not in data, "who charged is nobody's business here"
    # The key came along: it holds, and says that it did.
    assert not check_bundle(whole, {}).pinned
    for changed in (
        [*whole[:-1]],
        [*whole[:-1], whole[-1].replace(b"{", b'{"x":1,', 1)],
        [*whole[:2], whole[3], whole[2], *whole[4:]],
        [whole[0].replace(b"manifest", b"manifesto", 1), *whole[1:]],
        whole[2:],
        [],
        [b"[]\n", *whole[1:]],
    ):
        with pytest.raises(VerificationFailed):
            check_bundle(changed, {key.keyid: key})
    stranger = ensure_key_file(tmp_path / "other.pem")
    with pytest.raises(VerificationFailed, match="none of these is trusted"):
        check_bundle(whole, {stranger.keyid: stranger})
    [row] = await PostgresAuditLog(engine).rows()
    assert (row.entry.action, row.entry.subject) == ("charger.evidence_signed", "charger/A")
    assert row.entry.at.tzinfo is not None
    assert datetime.now(UTC) >= manifest.made_at
