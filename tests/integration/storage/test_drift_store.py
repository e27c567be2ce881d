"""Drift on record: found incrementally, opened once, closed, and a quarantine only where it is set."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from temporalio.exceptions import ApplicationError

from activities.stores import Stores
from activities.twins import DriftPolicy, TwinActivities
from csms.projection import project
from storage.desired import Ack, AckStatus, Answers, DesiredChange
from storage.drift import DriftState
from storage.events import ChargerBooted, ConnectionOpened, EventRecord, VariablesReported
from storage.postgres.audit import PostgresAuditLog
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.provisioning import PostgresProvisioningStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.twins import PostgresTwinStore
from storage.twin import Lifecycle
from storage.twin_schema import Severity

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Round:
    """The sweep over real stores, with a clock of its own."""

    def __init__(self, engine: Any, chargers: Any, *, quarantine: bool = False) -> None:
        self.now = AT
        self.twins = PostgresTwinStore(engine, project)
        self.chargers = chargers
        self.audit = PostgresAuditLog(engine)
        self._ingest = PostgresIngestStore(engine)
        stores, aside = cast("Stores", _Some(self)), PostgresProvisioningStore(engine).set_aside
        self.activities = TwinActivities(
            stores, DriftPolicy(timedelta(minutes=10), aside if quarantine else None)
        )

    async def tell(self, *events: Any, minute: float = 0, charger_id: str = "A") -> None:
        at = AT + timedelta(minutes=minute)
        await self._ingest.commit(
            [], [EventRecord(charger_id, event, at, at, 1) for event in events], project
        )

    async def desire(self, section: str, body: dict[str, Any], *, accepted: bool = True) -> None:
        after = await self.twins.set_desired(DesiredChange("A", section, body, 0, "ada", "request/1", AT))
        acks = {path: Ack(AckStatus.ACCEPTED, after.version, AT) for path in after.values}
        if accepted:
            await self.twins.answer(Answers("A", section, after.version, after.values, acks, "ada", "x"))

    async def sweep(self, minute: float) -> int:
        self.now = AT + timedelta(minutes=minute)
        return await self.activities.sweep_drift()

    async def acts(self) -> list[str]:
        return [row.entry.action for row in await self.audit.rows()]


class _Some:
    """The stores that the sweep uses."""

    def __init__(self, world: Round) -> None:
        self.twins, self.chargers = world.twins, world.chargers
        self.clock = lambda: world.now
        self.record = lambda *given, **detail: Stores.record(cast("Stores", self), *given, **detail)
        self.audit = world.audit


class _Counting:
    """A twin store whose looks for drift go another way."""

    def __init__(self, twins: Any, drift_facts: Any) -> None:
        self._twins, self.drift_facts = twins, drift_facts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._twins, name)


OPENED = ConnectionOpened("ocpp2.0.1", 2, "10.0.0.1", "n1")


@pytest.fixture
async def world(engine, chargers) -> Round:
    await PostgresRouteStore(engine).claim("A", "n1", "b1", "ocpp2.0.1", timedelta(hours=1))
    found = Round(engine, chargers)
    await found.tell(OPENED)
    return found


@pytest.mark.requirement("F14", "F15")
async def test_exactly_one_drift_opens_and_closes_on_convergence(world: Round, sql) -> None:
    await world.desire("configuration", {"values": {"A": "1"}})
    await world.tell(VariablesReported({"A": "2"}), minute=1)
    assert [await world.sweep(minute) for minute in (2, 5, 13, 14)] == [0, 0, 1, 0]
    (drift,) = (await world.twins.drifts()).items
    assert (drift.path, drift.reported, drift.severity) == ("configuration.values.A", "2", Severity.WARNING)
    assert await sql.value("SELECT count(*) FROM drift") == 1
    await world.tell(VariablesReported({"A": "1"}), minute=15)
    assert await world.sweep(16) == 1
    assert (await world.twins.drifts()).items == ()
    (closed,) = (await world.twins.drifts(charger_id="A", states=list(DriftState))).items
    assert (closed.state, closed.reason) == (DriftState.CLOSED, "converged")
    assert await world.acts() == ["charger.drift_opened", "charger.drift_closed"]


async def test_a_round_reads_only_what_changed(world: Round, sql) -> None:
    await world.desire("configuration", {"values": {"A": "1"}})
    await world.tell(VariablesReported({"A": "1"}), minute=1)
    assert len(await world.twins.drift_facts()) == 1
    await world.sweep(2)
    assert await world.twins.drift_facts() == []
    await world.tell(OPENED, minute=3)
    assert await world.twins.drift_facts() == [], "no section that is desired changed"
    await world.tell(VariablesReported({"B": "1"}), minute=4)
    assert len(await world.twins.drift_facts()) == 1


@pytest.mark.requirement("F34")
@pytest.mark.parametrize("quarantine", [False, True])
async def test_an_unexpected_firmware_is_critical_and_quarantined_only_where_it_is_set(
    engine, chargers, quarantine: bool
) -> None:
    await PostgresRouteStore(engine).claim("A", "n1", "b1", "ocpp2.0.1", timedelta(hours=1))
    world = Round(engine, chargers, quarantine=quarantine)
    await world.tell(OPENED, ChargerBooted("Volt", "V2", "1.0"))
    await world.desire("firmware", {"version": "1.0"}, accepted=False)
    await world.sweep(1)
    sections = {each.section: each for each in await world.twins.desired("A")}
    assert sections["firmware"].ack_status is AckStatus.ACCEPTED, "it runs it, so it is acknowledged"
    await world.tell(ChargerBooted("Volt", "V2", "6.6"), minute=2)
    assert [await world.sweep(3), await world.sweep(14)] == [0, 1]
    (drift,) = (await world.twins.drifts(severity=Severity.CRITICAL)).items
    assert drift.suspicion == "it runs 6.6, which nobody rolled out to it"
    lifecycle = (await chargers.get("A")).charger.lifecycle
    assert lifecycle is (Lifecycle.QUARANTINED if quarantine else Lifecycle.REGISTERED)
    assert ("charger.quarantined" in await world.acts()) == quarantine


@pytest.mark.requirement("F34")
async def test_a_crash_right_after_a_drift_opened_does_not_spare_it_the_quarantine(
    engine, chargers, monkeypatch: pytest.MonkeyPatch
) -> None:
    await PostgresRouteStore(engine).claim("A", "n1", "b1", "ocpp2.0.1", timedelta(hours=1))
    world = Round(engine, chargers, quarantine=True)
    await world.tell(OPENED, ChargerBooted("Volt", "V2", "1.0"))
    await world.desire("firmware", {"version": "1.0"}, accepted=False)
    await world.sweep(1)
    await world.tell(ChargerBooted("Volt", "V2", "6.6"), minute=2)
    await world.sweep(3)

    async def killed(drift: Any) -> None:
        raise RuntimeError("killed")

    monkeypatch.setattr(world.activities, "_tell", killed)
    with pytest.raises(ApplicationError, match="RuntimeError"):
        await world.sweep(14)
    monkeypatch.undo()
    await world.sweep(15)
    assert (await chargers.get("A")).charger.lifecycle is Lifecycle.QUARANTINED


async def test_drifts_of_chargers_that_are_away_starve_nobody(
    world: Round, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.twins.PAGE", 1)
    await world.desire("configuration", {"values": {"A": "1"}})
    await world.tell(VariablesReported({"A": "2"}), minute=1)
    await world.sweep(2)
    (waiting,) = await world.twins.drift_facts()
    await world.twins.set_desired(
        DesiredChange("B", "configuration", {"values": {"A": "1"}}, 0, "ada", "request/2", AT)
    )
    looks = 0

    async def counted(**limit: int) -> Any:
        nonlocal looks
        looks += 1
        assert looks < 9, "the round looks at the same ones again and again"
        return await world.twins.drift_facts(**limit)

    monkeypatch.setattr(world.activities, "_stores", _Some(world))
    monkeypatch.setattr(world.activities._stores, "twins", _Counting(world.twins, counted))
    await world.sweep(3)
    (judged,) = await world.twins.drift_facts(limit=9)
    assert judged.twin.charger_id == waiting.twin.charger_id == "A", "B was judged beside it"


async def test_two_rounds_at_once_open_it_once(world: Round) -> None:
    await world.desire("configuration", {"values": {"A": "1"}})
    await world.tell(VariablesReported({"A": "2"}), minute=1)
    (facts,) = await world.twins.drift_facts()
    await world.sweep(2)
    (again,) = await world.twins.drift_facts()
    (pending,) = again.known
    opened = replace(pending, state=DriftState.OPEN, opened_at=AT)
    moved = [await world.twins.note_drift(again, [opened], AT) for _ in range(2)]
    assert [len(each) for each in moved] == [1, 0]
    fresh = replace(pending, drift_id=None)
    assert await world.twins.note_drift(facts, [fresh], AT) == []
    page = await world.twins.drifts(states=list(DriftState))
    assert len(page.items) == 1
