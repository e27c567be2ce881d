"""Who is renewed by itself, and who waits: whatever some chargers or people do, the others go on."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509

from activities.certificate_end import RevocationActivities, RevokeOrder
from activities.certificates import HandedIn
from activities.orders import DispatchKind
from activities.renewal import RenewalActivities, RenewalOrder, RenewalQuery, RenewalSender
from activities.renewals import SCHEDULED, FleetRenewalActivities, PageOrder, RenewalRules
from activities.stores import Stores
from csms.commands import AnswerStatus, CertificateSigned, CommandAnswer
from storage.certificate import CertificatePhase
from storage.charger import Charger, SiteLease
from storage.events import (
    ConnectionClosed,
    ConnectionOpened,
    ConnectorStatus,
    ConnectorStatusChanged,
    TransactionStarted,
)
from storage.postgres.halts import PostgresHaltStore
from storage.postgres.leases import PostgresLeaseStore
from storage.postgres.renewals import PostgresRenewalStore
from storage.postgres.routes import PostgresRouteStore
from storage.renewal import FleetWork, Renewal, RenewalOutcome, RenewalPhase, RenewalPlan
from storage.twin import Lifecycle
from tests.integration.certificates.test_issuing import Desk, desk, fresh
from tests.support.pki import DAY, NOW
from tests.unit.activities.world import World

__all__ = ["desk"]
pytestmark = [pytest.mark.integration, pytest.mark.requirement("F40", "S56")]
RULES = RenewalRules(before=30 * DAY, jitter=timedelta())


@dataclass
class Planner:
    """The planner over the desk's database."""

    desk: Desk

    def __post_init__(self) -> None:
        engine = self.desk.engine
        self.renewals, self.routes = PostgresRenewalStore(engine), PostgresRouteStore(engine)
        self.leases, self.halts = PostgresLeaseStore(engine), PostgresHaltStore(engine)
        self.fleet = FleetRenewalActivities(self.stores, self.desk.certificates, self.renewals, RULES)
        self.looks = 0

    @property
    def stores(self) -> Stores:
        desk = self.desk
        return replace(
            World().stores,
            chargers=desk.chargers,
            audit=desk.audit,
            events=desk.events,
            routes=self.routes,
            leases=self.leases,
            halts=self.halts,
            clock=lambda: desk.now,
        )

    async def add(self, *names: str, ends: timedelta = 5 * DAY, online: bool = True) -> None:
        """Chargers with a certificate of somebody's that ends soon."""
        for name in names:
            charger = Charger(name, "s1", "Volt", "V2", Lifecycle.ACTIVE, serial_number=f"S{name}")
            await self.desk.chargers.register(charger, None)
            shown = f"{abs(hash(name)):X}"
            opened = ConnectionOpened("ocpp2.0.1", 3, "10.0.0.1", "n1", 3, shown, NOW + ends)
            await self.desk.tell(name, opened)
            if not online:
                await self.desk.tell(name, ConnectionClosed(1006, "gone"))

    async def connect(self, *names: str) -> None:
        for name in names:
            await self.routes.claim(name, "n1", "b1", "ocpp2.0.1", timedelta(hours=1))

    async def look(self) -> tuple[str, ...]:
        """What the schedule does; ids of all that are not over."""
        self.looks += 1
        return await self.fleet.plan_renewals(f"look-{self.looks}")

    async def planned(self, renewal_id: str) -> list[str]:
        return [each.charger_id for each in await self.renewals.targets(renewal_id)]

    async def end(self, renewal_id: str, phase: RenewalPhase, **outcomes: RenewalOutcome) -> None:
        for each in await self.renewals.targets(renewal_id):
            outcome = outcomes.get(each.charger_id)
            if outcome is not None:
                await self.renewals.note(replace(each, outcome=outcome, finished_at=self.desk.now))
        await self.renewals.set_phase(renewal_id, phase, "it is over", self.desk.now)

    async def of_a_person(self, work: FleetWork, phase: RenewalPhase, *names: str) -> None:
        plan = RenewalPlan("by hand", work=work)
        new = Renewal(f"by-hand-{work.value}", plan, phase, "", "ada", self.desk.now, len(names), 0)
        await self.renewals.create(new, names)


@pytest.fixture
def planner(desk: Desk) -> Planner:
    return Planner(desk)


async def test_chargers_that_are_away_for_a_year_hold_nobody_up(planner: Planner) -> None:
    """First in the order of their ends, they would be the canary, which would show nothing and hold."""
    await planner.add("OLD-1", "OLD-2", ends=-365 * DAY, online=False)
    await planner.add("A", "B")
    (renewal_id,) = await planner.look()
    assert sorted(await planner.planned(renewal_id)) == ["A", "B"]
    await planner.end(renewal_id, RenewalPhase.COMPLETED)
    opened = ConnectionOpened("ocpp2.0.1", 3, "10.0.0.1", "n1", 4, "0D", NOW - 365 * DAY)
    await planner.desk.tell("OLD-1", opened)
    again = await planner.look()
    assert "OLD-1" in await planner.planned(again[0]), "once it is back, it is due"


async def test_a_persons_paused_job_does_not_keep_certificates_from_being_renewed(planner: Planner) -> None:
    await planner.add("A", "B", "C", ends=25 * DAY)
    await planner.of_a_person(FleetWork.INSTALL_ROOT, RenewalPhase.PAUSED, "A")
    await planner.of_a_person(FleetWork.RENEW, RenewalPhase.HELD, "B")
    running = await planner.look()
    assert set(running) == {"by-hand-install_root", "by-hand-renew", "scheduled-look-1"}
    assert await planner.planned("scheduled-look-1") == ["C"], "the others are in somebody's hands"
    assert set(await planner.look()) == set(running), "one scheduled renewal at a time"


async def test_whoever_cannot_be_renewed_is_left_alone_for_a_day_and_is_no_canary_then(
    planner: Planner,
) -> None:
    """A02.FR.18. Otherwise it would be asked every minute until its certificate ends."""
    await planner.add("BAD", ends=2 * DAY)
    (first,) = await planner.look()
    await planner.end(first, RenewalPhase.COMPLETED, BAD=RenewalOutcome.REFUSED)
    assert await planner.look() == ()
    await planner.add("A", "B")
    planner.desk.now += timedelta(hours=25)
    (second,) = await planner.look()
    assert await planner.planned(second) == ["A", "B", "BAD"]
    plan = (await planner.renewals.get(second)).plan
    assert plan.hold_seconds > 0, "nobody waits for a renewal that nobody began"
    assert plan.canary == 2, "whether renewing works is shown by those that never said no"


async def test_after_an_abort_nobody_is_risked_for_a_day(planner: Planner) -> None:
    await planner.add("A", "B")
    (first,) = await planner.look()
    await planner.end(first, RenewalPhase.ABORTED, A=RenewalOutcome.LOST)
    assert await planner.look() == ()
    planner.desk.now += timedelta(hours=25)
    (second,) = await planner.look()
    assert await planner.planned(second) == ["B", "A"]
    assert (await planner.renewals.get(second)).created_by == SCHEDULED


async def test_who_was_given_one_lately_is_not_asked_again(planner: Planner) -> None:
    await planner.add("A", "B")
    assert (await planner.desk.issue("A", fresh("A"))).serial
    (first,) = await planner.look()
    assert await planner.planned(first) == ["B"]


async def test_requests_of_chargers_that_are_away_keep_no_place_from_the_others(planner: Planner) -> None:
    away = [f"AWAY-{number}" for number in range(3)]
    await planner.add(*away, "BUSY", "HERE")
    for name in (*away, "BUSY", "HERE"):
        await planner.desk.asks(name, fresh(name))
    await planner.connect("BUSY", "HERE")
    lease = SiteLease("BUSY", "s1", "charger/BUSY", "update", NOW + 3650 * DAY)
    assert (await planner.leases.take(lease)).granted
    found = await planner.fleet.find_open_requests(2)
    assert [each.charger_id for each in found] == ["HERE"]


async def test_chargers_that_charge_for_hours_keep_no_place_from_those_behind_them(planner: Planner) -> None:
    names = [f"C{number}" for number in range(4)]
    await planner.add(*names)
    await planner.connect(*names)
    for name in names:
        await planner.desk.tell(name, ConnectorStatusChanged(1, 1, ConnectorStatus.AVAILABLE))
    for name in names[:2]:
        await planner.desk.tell(name, TransactionStarted(f"T-{name}", 1, 1))
    new = Renewal("r1", RenewalPlan("all", canary=4), RenewalPhase.RUNNING, "", "ada", NOW, 4, 0)
    await planner.renewals.create(new, names)
    page = await planner.fleet.find_renewable(PageOrder("r1", 0, limit=2))
    assert [each.charger_id for each in page] == names[2:]


async def test_who_is_left_of_a_wave_gets_its_turn_in_the_next(planner: Planner) -> None:
    names = ["A", "B", "C", "D"]
    await planner.add(*names)
    plan = RenewalPlan("all", canary=2)
    await planner.renewals.create(Renewal("r1", plan, RenewalPhase.RUNNING, "", "ada", NOW, 4, 0), names)
    first = (await planner.renewals.targets("r1"))[0]
    await planner.renewals.note(replace(first, outcome=RenewalOutcome.RENEWED))
    assert [await planner.renewals.carry("r1", 0) for _ in range(2)] == [1, 0]
    assert (await planner.renewals.counts("r1", 0)).outcomes == {"renewed": 1}
    assert (await planner.renewals.counts("r1", 1)).open == 3


class Wire:
    """Takes a command down."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    async def settle(self, *_: Any) -> None:
        return

    async def send(self, charger_id: str, epoch: int, command: Any, **_: Any) -> CommandAnswer:
        self.sent.append(command)
        return CommandAnswer(AnswerStatus.ACCEPTED)


async def handed_over(planner: Planner, charger_id: str, serial: str, request: int | None) -> Any:
    wire = Wire()
    node = replace(World().node, stores=planner.stores, sender=wire)  # type: ignore[arg-type]
    order = RenewalOrder(charger_id, 1, 60.0, idle=False, serial=serial, request=request)
    answer = await RenewalSender(node, planner.desk.certificates).advance_renewal(order)
    return answer, wire.sent


async def test_a_request_is_answered_by_its_own_number_also_with_an_older_certificate(
    planner: Planner,
) -> None:
    """Handed in by a person first, or asked for by a request that is gone from the journal (A02.FR.25)."""
    desk_, pem = planner.desk, fresh("A")
    await planner.add("A")
    made = await desk_.signer.issue_handed_in(HandedIn("A", pem, "ada"))
    asked = await desk_.asks("A", pem)
    answer, sent = await handed_over(planner, "A", made.serial or "", asked)
    assert answer.kind is DispatchKind.ACCEPTED, answer
    (command,) = sent
    assert isinstance(command, CertificateSigned)
    _, unasked = await handed_over(planner, "A", made.serial or "", None)
    assert unasked == [replace(command, use=None, request_id=None)]


@pytest.mark.requirement("F44")
async def test_a_charger_on_its_way_in_is_handed_its_first_certificate(planner: Planner) -> None:
    await planner.add("A")
    await planner.desk.chargers.set_lifecycle("A", Lifecycle.PROVISIONING)
    asked = await planner.desk.asks("A", fresh("A"))
    newest = RenewalActivities(planner.stores, planner.desk.certificates)
    found = await newest.measure_renewal(RenewalQuery("A", NOW - DAY))
    assert found.request == asked
    serial = (await planner.desk.issue("A", fresh("A"))).serial or ""
    answer, sent = await handed_over(planner, "A", serial, asked)
    assert (answer.kind, len(sent)) == (DispatchKind.ACCEPTED, 1), answer


@pytest.mark.requirement("S57")
async def test_a_revocation_needs_no_signer_and_is_listed_whatever_the_clocks_say(planner: Planner) -> None:
    desk_ = planner.desk
    serial = (await desk_.issue("CP-1", fresh())).serial or ""
    await desk_.signer.publish_revocations()
    signed_at = desk_.now
    # Committed while the list was being signed, by a worker whose clock is behind.
    desk_.now -= timedelta(seconds=30)
    order = RevokeOrder("CP-1", (), "keyCompromise", "ada")
    revocations = RevocationActivities(planner.stores, desk_.certificates)
    assert await revocations.record_revocation(order) == (serial,)
    assert await revocations.record_revocation(order) == (), "told again it is nothing new"
    desk_.now = signed_at + timedelta(seconds=30)
    await desk_.signer.publish_revocations()
    assert await listed(desk_) == [int(serial, 16)]
    assert (await desk_.phases("CP-1"))[serial] is CertificatePhase.REVOKED


async def listed(desk_: Desk) -> Sequence[int]:
    newest = await desk_.certificates.newest_list()
    assert newest is not None
    return [each.serial_number for each in x509.load_der_x509_crl(newest.der)]
