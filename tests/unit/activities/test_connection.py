"""What a charger needs before it is brought to another connection; and nothing is sent into a session."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from activities.connection import ConnectionSender
from activities.connection_orders import ConnectionAnswer, ConnectionOrder, ConnectionStep
from activities.guards import CONNECTIONS, PRIORITY_VARIABLE
from activities.orders import DispatchKind
from csms.access import Apn, SetNetworkProfile
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    CommandAnswer,
    GetInstalledCertificateIds,
    GetVariables,
    Reset,
    ResetKind,
    SetVariables,
)
from csms.errors import CommandTimeout
from storage.certificate import Certificate, CertificatePhase
from storage.certificate_use import CertificateHash, CertificateUse, HashAlgorithm, InstalledCertificate
from storage.charger import ChargerCredential
from storage.connection import Connection
from storage.renewal import FleetWork, Renewal, RenewalPhase, RenewalPlan, spelled
from storage.twin import ConnectivitySection, Lifecycle, SecuritySection
from tests.support.memory_certificates import MemoryCertificates, MemoryRenewals
from tests.unit.activities.world import START, World

NAME, URL = "CP000", "wss://csms.test/ocpp"
ROOT = CertificateHash(HashAlgorithm.SHA256, "aa", "bb", "01")
LISTED = CommandAnswer(
    AnswerStatus.ACCEPTED, certificates=(InstalledCertificate(CertificateUse.CSMS_ROOT, ROOT),)
)
SLOTS = CommandAnswer(AnswerStatus.ACCEPTED, values=((CONNECTIONS[0], "1"), (PRIORITY_VARIABLE, "1")))
EXTENDED = CommandAnswer(AnswerStatus.ACCEPTED, values=(("SecurityProfile", "1"),))


class Bench:
    """One charger with profile 1, and a node that is told to bring it elsewhere."""

    def __init__(self, dialect: str = "ocpp2.0.1") -> None:
        self.world = World()
        self.world.add_chargers(1, sites=1)
        self.certificates, self.renewals = MemoryCertificates(), MemoryRenewals()
        self.link = ConnectivitySection(online=True, dialect=dialect)
        self.world._twin(NAME, connectivity=self.link, security=SecuritySection(profile=1, floor=1))
        self.world.answers |= {GetInstalledCertificateIds: LISTED, GetVariables: SLOTS}
        if dialect == "ocpp1.6":
            self.world.answers[GetVariables] = EXTENDED
        self.password: ChargerCredential | None = ChargerCredential(NAME, b"x", START)
        self.world.stores.chargers.credential = self._credential  # type: ignore[method-assign]
        self.door = ""

    async def _credential(self, _: str) -> ChargerCredential | None:
        return self.password

    async def _probe(self, url: str, root: str) -> str:
        assert url.startswith("ws")
        return self.door

    async def step(
        self, step: ConnectionStep, profile: int = 2, work: FleetWork = FleetWork.RAISE_PROFILE, **more: Any
    ) -> ConnectionAnswer:
        url = more.pop("url", URL)
        apn = more.pop("apn", "")
        slot = more.pop("slot", 0)
        plan = RenewalPlan(
            "up",
            work=work,
            root="PEM",
            root_names=(spelled(ROOT),),
            connection=Connection(url, profile, apn=apn, slot=slot),
        )
        self.renewals.rows["r1"] = Renewal("r1", plan, RenewalPhase.RUNNING, "", "ada", START, 1, 1)
        sender = ConnectionSender(self.world.node, self.certificates, self.renewals, self._probe)  # type: ignore[arg-type]
        return await sender.advance_connection(ConnectionOrder("r1", NAME, 1, step, 60.0, **more))

    async def check(self, profile: int = 2, **more: Any) -> ConnectionAnswer:
        return await self.step(ConnectionStep.CHECK, profile, **more)

    def sent(self) -> list[type]:
        return [type(command) for _, command in self.world.sent]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.mark.requirement("F54", "S61")
async def test_a_charger_with_everything_is_reserved_and_nothing_is_changed_yet(bench: Bench) -> None:
    checked = await bench.check()
    assert checked == ConnectionAnswer(DispatchKind.ACCEPTED, slots=(2, 3), before="1", active=1, profile=2)
    assert bench.world.leases.rows[NAME].kind == "connection"
    assert set(bench.sent()) == {GetInstalledCertificateIds, GetVariables}, "only looked at"


async def test_each_thing_that_is_missing_is_named(bench: Bench) -> None:
    bench.world.answers[GetInstalledCertificateIds] = CommandAnswer(AnswerStatus.NOT_FOUND)
    refused = await bench.check()
    assert (refused.kind, "root of its new door" in refused.reason) == (DispatchKind.REFUSED, True)
    bench.world.answers[GetInstalledCertificateIds] = CommandAnswer(AnswerStatus.NOT_IMPLEMENTED)
    assert (await bench.check()).kind is DispatchKind.UNSUPPORTED
    bench.world.answers[GetInstalledCertificateIds] = LISTED

    assert "no certificate to come with" in (await bench.check(3)).reason
    bench.password = None
    assert "no password" in (await bench.check()).reason
    bench.password = ChargerCredential(NAME, b"x", START)

    bench.door = "it does not answer"
    closed = await bench.check()
    assert (closed.kind, "does not stand open" in closed.reason) == (DispatchKind.NOT_NOW, True)
    bench.door = ""

    bench.world.answers[GetVariables] = CommandAnswer(AnswerStatus.ACCEPTED)
    nothing = await bench.check()
    assert (nothing.kind, "tells nothing about its slots" in nothing.reason) == (DispatchKind.REFUSED, True)
    assert SetNetworkProfile not in bench.sent()


@pytest.mark.parametrize(
    ("ends", "phase", "holds"),
    [
        (10, CertificatePhase.DELIVERED, True),
        (10, CertificatePhase.PROVEN, True),
        (10, CertificatePhase.ISSUED, False),
        (10, CertificatePhase.REVOKED, False),
        (-1, CertificatePhase.PROVEN, False),
    ],
)
async def test_only_a_certificate_that_it_has_and_that_holds_counts(
    bench: Bench, ends: int, phase: CertificatePhase, *, holds: bool
) -> None:
    until = START + timedelta(days=ends)
    bench.certificates.rows.append(
        Certificate(NAME, "AA", "i", "k", "PEM", START - timedelta(days=20), until, START, "ada", phase)
    )
    assert ((await bench.check(3)).kind is DispatchKind.ACCEPTED) is holds


async def test_a_wrong_clock_waits_for_tls(bench: Bench) -> None:
    wrong = ConnectivitySection(online=True, dialect="ocpp2.0.1", clock_suspicious=True)
    bench.world._twin(NAME, connectivity=wrong)
    answer = await bench.check()
    assert (answer.kind, "clock is wrong" in answer.reason) == (DispatchKind.NOT_NOW, True)
    assert bench.world.leases.rows == {}


@pytest.mark.requirement("S61")
@pytest.mark.parametrize("work", [FleetWork.RAISE_PROFILE, FleetWork.CHANGE_NETWORK])
async def test_nothing_leads_to_a_lower_profile(bench: Bench, work: FleetWork) -> None:
    bench.world._twin(NAME, security=SecuritySection(profile=3, floor=3))
    answer = await bench.check(2, work=work)
    assert (answer.kind, "never lowered" in answer.reason) == (DispatchKind.REFUSED, True)
    assert (await bench.check(3)).kind is DispatchKind.ALREADY
    plain = await bench.check(0, work=FleetWork.CHANGE_NETWORK, url="ws://csms.test/ocpp")
    assert (plain.kind, "does not come to" in plain.reason) == (DispatchKind.REFUSED, True)


@pytest.mark.parametrize("lifecycle", [Lifecycle.QUARANTINED, Lifecycle.RETIRING, Lifecycle.PROVISIONING])
async def test_a_charger_that_is_not_in_service_is_left_alone(bench: Bench, lifecycle: Lifecycle) -> None:
    view = await bench.world.stores.chargers.get(NAME)
    bench.world.chargers.rows[NAME] = replace(view, charger=replace(view.charger, lifecycle=lifecycle))
    assert (await bench.check()).kind is DispatchKind.REFUSED
    assert bench.sent() == []


@pytest.mark.requirement("X1")
@pytest.mark.parametrize("step", [ConnectionStep.CHECK, ConnectionStep.WRITE, ConnectionStep.RESTART])
async def test_nothing_that_disturbs_is_sent_into_a_session(bench: Bench, step: ConnectionStep) -> None:
    bench.world.on_settle = bench.world.plug_in
    answer = await bench.step(step, slots=(2,), profile=2)
    assert (answer.kind, "session t1 is open" in answer.reason) == (DispatchKind.NOT_NOW, True)
    assert bench.sent() == []


@pytest.mark.requirement("F54", "F57")
async def test_it_is_out_of_service_before_its_new_connection_is_written(bench: Bench) -> None:
    bench.world.answers[SetNetworkProfile] = CommandAnswer(AnswerStatus.ACCEPTED)
    answer = await bench.step(ConnectionStep.WRITE, slots=(2, 3), apn="depot.iot")
    assert (answer.kind, answer.slots) == (DispatchKind.ACCEPTED, (2,))
    assert bench.sent() == [ChangeAvailability, SetNetworkProfile]
    written = bench.world.sent[-1][1]
    assert isinstance(written, SetNetworkProfile)
    assert (written.slot, written.profile.csms_url, written.profile.apn) == (2, URL, Apn("depot.iot"))
    assert await bench.world.stores.out_of_service.get(NAME) is not None
    assert (await bench.step(ConnectionStep.RETURN)).kind is DispatchKind.ACCEPTED
    assert await bench.world.stores.out_of_service.get(NAME) is None


async def test_every_slot_is_tried_and_one_that_says_nothing_is_not_known(bench: Bench) -> None:
    bench.world.answers[SetNetworkProfile] = CommandAnswer(AnswerStatus.REJECTED)
    answer = await bench.step(ConnectionStep.WRITE, slots=(2, 3))
    assert (answer.kind, "no slot took" in answer.reason) == (DispatchKind.REFUSED, True)
    assert bench.sent().count(SetNetworkProfile) == 2
    bench.world.answers[SetNetworkProfile] = CommandTimeout(NAME, "SetNetworkProfile", 5.0)
    assert (await bench.step(ConnectionStep.WRITE, slots=(2,))).kind is DispatchKind.UNKNOWN


async def test_an_order_that_is_refused_ends_it_and_the_restart_waits_for_idle(bench: Bench) -> None:
    bench.world.answers[SetVariables] = CommandAnswer(AnswerStatus.REJECTED)
    refused = await bench.step(ConnectionStep.PREFER, priority="2,1")
    assert (refused.kind, "does not take the order 2,1" in refused.reason) == (DispatchKind.REFUSED, True)
    bench.world.answers[SetVariables] = CommandAnswer(AnswerStatus.REBOOT_REQUIRED)
    assert (await bench.step(ConnectionStep.PREFER, priority="2,1")).kind is DispatchKind.ACCEPTED
    bench.world.answers[Reset] = CommandAnswer(AnswerStatus.ACCEPTED)
    assert (await bench.step(ConnectionStep.RESTART)).kind is DispatchKind.ACCEPTED
    assert bench.world.sent[-1][1] == Reset(ResetKind.ON_IDLE)


async def test_a_1_6_charger_is_given_the_profile_alone() -> None:
    bench = Bench("ocpp1.6")
    checked = await bench.check()
    assert (checked.kind, checked.by_itself, checked.slots) == (DispatchKind.ACCEPTED, True, ())
    bench.world.answers[SetVariables] = CommandAnswer(AnswerStatus.REBOOT_REQUIRED)
    answer = await bench.step(ConnectionStep.WRITE, profile=2)
    assert (answer.kind, answer.reboot) == (DispatchKind.ACCEPTED, True)
    bench.world.answers[GetVariables] = CommandAnswer(AnswerStatus.ACCEPTED)
    plain = await bench.check()
    assert (plain.kind, "security extension" in plain.reason) == (DispatchKind.UNSUPPORTED, True)
    bench.world.answers[GetVariables] = EXTENDED
    network = await bench.check(2, work=FleetWork.CHANGE_NETWORK)
    assert (network.kind, "no network profiles" in network.reason) == (DispatchKind.UNSUPPORTED, True)


async def test_a_change_that_nothing_could_prove_is_not_begun(bench: Bench) -> None:
    bench.world._twin(NAME, security=SecuritySection(profile=2, floor=2))
    silent = CommandAnswer(AnswerStatus.ACCEPTED, values=((PRIORITY_VARIABLE, "1"),))
    bench.world.answers[GetVariables] = silent
    answer = await bench.check(0, work=FleetWork.CHANGE_NETWORK)
    assert (answer.kind, "does not tell which slot" in answer.reason) == (DispatchKind.UNSUPPORTED, True)
    assert (await bench.check(2, work=FleetWork.CHANGE_NETWORK, slot=1)).kind is DispatchKind.REFUSED
