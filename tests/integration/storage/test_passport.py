"""A passport put together from real stores: what was written there is what is signed."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activities.passports import PassportActivities, PassportSources
from csms.projection import project
from storage.artifact import VendorSignature
from storage.audit import AuditEntry
from storage.campaign import SignedDirective, TargetPhase
from storage.charger import Charger, SignatureScheme, Site
from storage.errors import NotFound
from storage.events import ChargerBooted, ConnectionOpened, EventRecord
from storage.ownership import Move
from storage.passport import PassportOrder
from storage.postgres.artifacts import PostgresArtifactStore
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.campaigns import PostgresCampaignStore
from storage.postgres.certificates import PostgresCertificateStore
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.registry import PostgresRegistryStore
from storage.postgres.retirement import PostgresRetirementStore
from storage.retirement import PASSPORT, Burial, Retirement
from tests.support.passports import facts, given, minutes, target

pytestmark = pytest.mark.integration


class Stores:
    """Of the shared stores, those that a passport is made of; and who would sign."""

    def __init__(self, engine: Any) -> None:
        self.chargers = PostgresChargerStore(engine)
        self.events = PostgresEventStore(engine)
        self.campaigns = PostgresCampaignStore(engine)
        self.artifacts = PostgresArtifactStore(engine)
        self.audit = PostgresAuditLog(engine)
        self.registry = PostgresRegistryStore(engine)
        self.certificates = PostgresCertificateStore(engine)
        self.retirements = PostgresRetirementStore(engine)
        self.clock = lambda: minutes(99)
        self.said: list[tuple[str, dict[str, Any]]] = []

    async def testify(self, kind: str, said: dict[str, Any]) -> str:
        self.said.append((kind, said))
        return "5" * 64

    async def record(self, actor: str, action: str, subject: str, **detail: object) -> None:
        await self.audit.append(AuditEntry(self.clock(), actor, action, subject, detail))

    def activities(self) -> PassportActivities:
        sources = PassportSources(
            self.registry,
            self.certificates,
            self.retirements,
            lambda envelope: given(target()).directive,  # type: ignore[arg-type, return-value]
        )
        return PassportActivities(self, sources, self)  # type: ignore[arg-type]


@pytest.fixture
async def stores(engine: Any) -> Stores:
    made, past = Stores(engine), given(target())
    for site_id in ("yard", "depot"):
        await made.chargers.put_site(Site(site_id, site_id, "UTC"))
    await made.chargers.register(Charger("CP-1", "yard", "Volta", "V22", serial_number="SN-1"), None)
    await made.registry.request_move(
        Move("m1", "CP-1", 1, {"site_id": "depot"}, "olga", "a new tenant", minutes(-80))
    )
    await made.registry.apply_move("m1", minutes(-79))
    assert past.artifact is not None
    assert past.release is not None
    signature = VendorSignature(SignatureScheme.ECDSA_P256, "c2ln", "PEM")
    await made.artifacts.add(replace(past.artifact, vendor_signatures=(signature,)))
    await made.artifacts.stage(past.release)
    await made.artifacts.add_sign_off(past.signed[0])
    bare = replace(past.target, phase=TargetPhase.DISPATCHED, outcome=None, finished_at=None)
    await made.campaigns.create(replace(past.campaign, approvals=()), [bare], [])
    await made.campaigns.add_approval("spring", past.campaign.approvals[0])
    await made.campaigns.add_directive(SignedDirective("d1", "spring", 0, 0, b"{}"))
    await made.campaigns.add_decision(past.decisions[0])
    assert past.target.outcome is not None
    await made.campaigns.finish_target("spring", 0, "CP-1", past.target.outcome, "it booted", minutes(5))
    await made.certificates.add(facts().certificates[0])
    events = (ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "n1"), ChargerBooted("Volta", "V22", "1.1"))
    records = [EventRecord("CP-1", event, minutes(3), minutes(3 + n), 1) for n, event in enumerate(events)]
    await PostgresIngestStore(engine).commit([], records, project)
    return made


async def test_what_real_stores_keep_is_what_is_signed_and_on_record(stores: Stores) -> None:
    order = PassportOrder("p" * 64, "CP-1", "ada", "warranty claim 7")
    assert await stores.activities().sign_passport(order) == "5" * 64
    [(kind, said)] = stores.said
    assert kind == PASSPORT
    [update] = said["updates"]
    assert update["image"]["sha256"] == "ab" * 32
    assert update["image"]["vendor_signature"] == ["ecdsa-p256-sha256"]
    assert update["metadata"]["signed_by"][0]["signer"] == "carl"
    assert update["plan"]["approved_by"][0]["actor"] == "bob"
    assert update["directive"]["directive_id"] == "d1"
    assert update["verdicts"][0]["verdict"] == "proceed"
    assert (update["proof"]["version"], update["proof"]["kind"]) == ("1.1", "charger_booted")
    assert [each["serial"] for each in said["certificates"]] == ["0A"]
    assert [each["reason"] for each in said["moves"]] == ["a new tenant"]
    assert said["retirement"] is None
    [row] = [row for row in await stores.audit.rows() if row.entry.action == "charger.passport_signed"]
    assert row.entry.detail == {"sha256": "5" * 64, "reason": "warranty claim 7"}


async def test_one_that_was_retired_keeps_its_passport_and_one_that_nobody_knows_has_none(
    stores: Stores,
) -> None:
    at = minutes(20)
    await stores.retirements.open(Retirement("CP-1", "sam", "sold", at, at + timedelta(hours=1)))
    await stores.retirements.bury(Burial("CP-1", "sam", at))
    await stores.activities().sign_passport(PassportOrder("p" * 64, "CP-1", "ada", ""))
    said = stores.said[-1][1]
    assert (said["charger"]["lifecycle"], said["retirement"]["reason"]) == ("retired", "sold")
    assert len(said["updates"]) == 1
    with pytest.raises(NotFound):
        await PassportActivities.sign_passport.__wrapped__(  # type: ignore[attr-defined]
            stores.activities(), PassportOrder("p" * 64, "NOBODY", "ada", "")
        )
