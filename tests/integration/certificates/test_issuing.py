"""What the signer issues, refuses, settles and revokes, over PostgreSQL; and killed at any step."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from temporalio.exceptions import ApplicationError

from activities.certificate_end import RevokeOrder
from activities.certificates import (
    CertificateActivities,
    HandedIn,
    IssueAnswer,
    IssueOrder,
    IssuePolicy,
)
from csms.denials import Denials
from csms.projection import project
from signing.ca.builtin import BuiltInAuthority
from signing.ca.ceremony import ensure_development_authority
from signing.ca.csr import CsrPolicy
from signing.ca.profile import ChargerProfile
from storage.certificate import CertificateFilter, CertificatePhase, RequestState
from storage.certificate_use import CertificateUse
from storage.charger import Charger, Site
from storage.events import ConnectionOpened, EventRecord
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.certificates import PostgresCertificateStore
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.routes import PostgresRouteStore
from storage.reports import CertificateSigningRequested
from storage.twin import Lifecycle
from tests.support.csrs import csr
from tests.support.pki import NOW
from tests.unit.activities.world import World

pytestmark = pytest.mark.integration
OTHER = "SN-0002"


@dataclass
class Desk:
    """The signer's activities over one database, and the chargers that ask."""

    engine: Any
    authority: BuiltInAuthority
    now: datetime = NOW
    policy: IssuePolicy = field(default_factory=lambda: IssuePolicy(per_day=3))

    def __post_init__(self) -> None:
        self.certificates = PostgresCertificateStore(self.engine)
        self.chargers, self.audit = PostgresChargerStore(self.engine), PostgresAuditLog(self.engine)
        self.ingest, self.events = PostgresIngestStore(self.engine), PostgresEventStore(self.engine)
        self.signer = self.over(self.certificates)

    def over(self, certificates: Any) -> CertificateActivities:
        stores = replace(World().stores, chargers=self.chargers, audit=self.audit, clock=lambda: self.now)
        return CertificateActivities(stores, certificates, self.authority, self.policy)

    async def tell(self, charger_id: str, event: Any) -> None:
        await self.ingest.commit([], [EventRecord(charger_id, event, self.now, self.now, 1)], project)

    async def asks(self, charger_id: str, pem: str, use: CertificateUse | None = None) -> int:
        """A charger's own request; the number of its event."""
        await self.tell(charger_id, CertificateSigningRequested(pem, use))
        return await self.events.latest_sequence()

    async def issue(self, charger_id: str, pem: str, use: CertificateUse | None = None) -> IssueAnswer:
        order = IssueOrder(charger_id, await self.asks(charger_id, pem, use), "ada")
        return await self.signer.issue_certificate(order)

    async def comes_with(self, charger_id: str, serial: str) -> None:
        until = self.now + timedelta(days=300)
        opened = ConnectionOpened("ocpp2.0.1", 3, "10.0.0.1", "n1", 3, serial, until)
        await self.tell(charger_id, opened)

    async def phases(self, charger_id: str) -> dict[str, CertificatePhase]:
        return {each.serial: each.phase for each in await self.certificates.of_charger(charger_id)}

    async def said(self) -> list[str]:
        return [row.entry.action for row in await self.audit.rows()]


@pytest.fixture
async def desk(database: str, tmp_path: Path) -> AsyncIterator[Desk]:
    engine = create_engine(database)
    address, certificates = ensure_development_authority(tmp_path, NOW)
    house = BuiltInAuthority(address, certificates.read_text(), CsrPolicy(), ChargerProfile())
    made = Desk(engine, house)
    await made.chargers.put_site(Site("s1", "Depot", "UTC", 2))
    for charger_id, serial in (("CP-1", "SN-0001"), ("CP-2", OTHER)):
        charger = Charger(charger_id, "s1", "Volt", "V2", Lifecycle.ACTIVE, serial_number=serial)
        await made.chargers.register(charger, None)
    yield made
    await engine.dispose()


def fresh(*names: str) -> str:
    return csr(*names, key=ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.requirement("S53")
async def test_a_request_counts_for_the_charger_that_sent_it_alone(desk: Desk) -> None:
    answer = await desk.issue("CP-2", fresh())
    assert answer.serial is None
    assert "the charger that asks is SN-0002 or CP-2" in answer.reasons[0]
    sequence = await desk.asks("CP-1", fresh())
    stolen = await desk.signer.issue_certificate(IssueOrder("CP-2", sequence, "mallory"))
    assert stolen == IssueAnswer(None, ("the request is one of CP-1",))
    assert await desk.phases("CP-2") == {}
    assert await desk.said() == ["certificate.refused"]


@pytest.mark.requirement("S56")
async def test_the_same_key_again_is_the_same_certificate(desk: Desk) -> None:
    pem = fresh()
    first, second = await desk.issue("CP-1", pem), await desk.issue("CP-1", pem)
    assert first.serial is not None
    assert first == second
    assert await desk.phases("CP-1") == {first.serial: CertificatePhase.ISSUED}
    assert await desk.said() == ["certificate.issued"], "issued once, and said once"
    desk.now = NOW + timedelta(days=350)
    late = await desk.issue("CP-1", pem)
    assert "a new key is needed" in late.reasons[0], "replayed when its certificate ends"


@pytest.mark.requirement("F36")
async def test_a_key_of_another_charger_or_of_a_revoked_certificate_is_refused(desk: Desk) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    mine = await desk.issue("CP-1", csr(key=key))
    theirs = await desk.issue("CP-2", csr(OTHER, key=key))
    assert theirs.reasons == ("its key is that of another charger's certificate (F36)",)
    assert mine.serial is not None
    await desk.signer.revoke_certificates(RevokeOrder("CP-1", (mine.serial,), "keyCompromise", "ada"))
    again = await desk.issue("CP-1", csr(key=key))
    assert again.reasons == ("its key is that of a revoked certificate; a new key is needed",)


@pytest.mark.requirement("S56")
async def test_a_storm_of_one_charger_ends_and_the_others_go_on(desk: Desk) -> None:
    made = [await desk.issue("CP-1", fresh()) for _ in range(5)]
    assert [answer.serial is None for answer in made] == [False, False, False, True, True]
    assert "3 certificates within a day; 3 at most" in made[-1].reasons[0]
    assert (await desk.issue("CP-2", fresh(OTHER))).serial is not None
    desk.now = NOW + timedelta(days=2)
    assert (await desk.issue("CP-1", fresh())).serial is not None


@pytest.mark.requirement("S56")
async def test_of_ten_thousand_requests_only_the_newest_is_looked_at(desk: Desk) -> None:
    pem = fresh()
    records = [
        EventRecord("CP-1", CertificateSigningRequested(pem), NOW, NOW, 1, f"storm:{number}")
        for number in range(10_000)
    ]
    await desk.ingest.commit([], records, project)
    await PostgresRouteStore(desk.engine).claim("CP-1", "n1", "b1", "ocpp2.0.1", timedelta(hours=1))
    newest = await desk.events.latest_sequence()
    (found,) = await desk.certificates.open_requests(NOW - timedelta(hours=1))
    assert found.sequence == newest
    assert [each.sequence for each in await desk.certificates.open_requests(NOW - timedelta(hours=1))] == [
        newest
    ], "the others count as superseded, and are not looked at again"
    assert (await desk.certificates.request(newest - 1)).answered is RequestState.SUPERSEDED


async def test_whoever_may_not_come_gets_nothing(desk: Desk) -> None:
    await desk.chargers.set_lifecycle("CP-1", Lifecycle.RETIRED)
    assert (await desk.issue("CP-1", fresh())).reasons == ("the charger is retired",)


@pytest.mark.requirement("F78")
async def test_certificates_for_cars_are_not_ours(desk: Desk) -> None:
    answer = await desk.issue("CP-1", fresh(), CertificateUse.V2G)
    assert "not here (F78)" in answer.reasons[0]


async def test_a_request_handed_in_by_a_person_keeps_the_same_rules(desk: Desk) -> None:
    pem = fresh()
    made = await desk.signer.issue_handed_in(HandedIn("CP-1", pem, "ada"))
    assert made.serial is not None
    assert await desk.signer.issue_handed_in(HandedIn("CP-1", pem, "ada")) == made
    wrong = await desk.signer.issue_handed_in(HandedIn("CP-2", pem, "ada"))
    assert len(wrong.reasons) == 2, "another's name, and another's key"


@pytest.mark.requirement("F40")
async def test_the_old_one_goes_when_the_charger_came_with_the_new_one_and_not_before(desk: Desk) -> None:
    old = (await desk.issue("CP-1", fresh())).serial or ""
    await desk.comes_with("CP-1", old)
    await desk.signer.settle_certificates("CP-1")
    desk.now += timedelta(hours=1)
    new = (await desk.issue("CP-1", fresh())).serial or ""
    assert (await desk.signer.settle_certificates("CP-1")).revoked == ()
    assert await desk.phases("CP-1") == {old: CertificatePhase.PROVEN, new: CertificatePhase.ISSUED}
    desk.now += timedelta(hours=1)
    newer = (await desk.issue("CP-1", fresh())).serial or ""
    await desk.comes_with("CP-1", new)
    assert list(await desk.certificates.unsettled()) == ["CP-1"], "also when nobody waited for it"
    settled = await desk.signer.settle_certificates("CP-1")
    assert (settled.proven, settled.revoked) == (new, (old,))
    assert (await desk.phases("CP-1"))[newer] is CertificatePhase.ISSUED, "it may be on its way"
    assert list(await desk.certificates.unsettled()) == []
    assert (await desk.signer.settle_certificates("CP-1")).revoked == ()


@pytest.mark.requirement("S57")
async def test_what_is_revoked_is_denied_listed_and_answered(desk: Desk) -> None:
    serial = (await desk.issue("CP-1", fresh())).serial or ""
    other = (await desk.issue("CP-2", fresh(OTHER))).serial or ""
    assert await desk.signer.publish_revocations() == 2
    first = await desk.certificates.newest_list()
    assert first is not None
    denials = Denials(desk.certificates, lambda: desk.now)
    assert not await denials.refresh()
    desk.now += timedelta(minutes=1)
    await desk.signer.revoke_certificates(RevokeOrder("CP-1", (), "keyCompromise", "ada"))
    assert await denials.refresh(), "a node sees it at its next look"
    assert denials.known("CP-1", serial) is not None
    assert denials.known("CP-2", serial) is None, "of this charger alone"
    assert await Denials(desk.certificates, lambda: desk.now).ask("CP-1", serial) is not None
    newest = await desk.certificates.newest_list()
    assert newest is not None
    assert newest.number > first.number
    answer = await desk.certificates.status_answer(serial)
    assert answer is not None
    assert answer.phase is CertificatePhase.REVOKED
    good = await desk.certificates.status_answer(other)
    assert good is not None
    assert good.phase is CertificatePhase.ISSUED
    page = await desk.certificates.find(CertificateFilter(phase=CertificatePhase.REVOKED))
    assert [each.serial for each in page.items] == [serial]


class Killed(Exception):
    """The process died here."""


class Mortal:
    """A store whose process dies before or after its n-th deed."""

    def __init__(self, inner: Any, deed: int, *, after: bool) -> None:
        self._inner, self._left, self._after = inner, deed, after

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)

        async def call(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise Killed
            result = await method(*given, **named)
            if self._left == 0:
                raise Killed
            return result

        return call


@pytest.mark.requirement("S56")
async def test_killed_at_any_step_it_goes_on_and_nobody_is_locked_out(desk: Desk) -> None:
    desk.policy = IssuePolicy(per_day=1000)
    desk.signer = desk.over(desk.certificates)
    first = (await desk.issue("CP-1", fresh())).serial or ""
    await desk.comes_with("CP-1", first)
    await desk.signer.settle_certificates("CP-1")
    shown, deaths = first, 0
    for deed in range(1, 8):
        for after in (False, True):
            desk.now += timedelta(minutes=1)
            order = IssueOrder("CP-1", await desk.asks("CP-1", fresh()), "ada")
            dying = desk.over(Mortal(desk.certificates, deed, after=after))
            deaths += await died(dying.issue_certificate(order))
            answer = await desk.signer.issue_certificate(order)
            assert answer.serial is not None
            assert (await desk.phases("CP-1"))[shown] is CertificatePhase.PROVEN, "the old one still counts"
            await desk.comes_with("CP-1", answer.serial)
            deaths += await died(
                desk.over(Mortal(desk.certificates, deed, after=after)).settle_certificates("CP-1")
            )
            await desk.signer.settle_certificates("CP-1")
            phases = await desk.phases("CP-1")
            assert [serial for serial, phase in phases.items() if phase is not CertificatePhase.REVOKED] == [
                answer.serial
            ]
            shown = answer.serial
    assert deaths >= 12, "the deaths were real ones"


async def died(work: Any) -> bool:
    try:
        await work
    except ApplicationError as error:
        return error.type == Killed.__name__
    return False
