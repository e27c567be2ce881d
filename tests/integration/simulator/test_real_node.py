"""All personalities at once against a real csms node on a real database: nothing refused, nothing lost."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg
import orjson
import pytest

from activities.local_images import usable
from csms.capabilities import of_charger
from csms.commands import (
    AnswerStatus,
    ChangeAvailability,
    GetVariables,
    PublishFirmware,
    Reset,
    ResetKind,
    SetVariables,
    UnpublishFirmware,
    UpdateFirmware,
    VariableValue,
)
from csms.gateway import Gateway
from csms.options import GatewayOptions, GatewayStores, Sources
from csms.secrets import hash_secret
from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.firmware import build_image
from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import Ledger, acknowledged_ids
from csms.simulator.pace import SessionPattern
from csms.simulator.script import load_script
from csms.simulator.spec import ChargerSpec, FleetSpec, default_fleet
from storage.charger import Charger, ChargerCredential, ModelProfile, Site
from storage.clock import system_clock
from storage.events import EventKind
from storage.ports import ChargerView
from storage.postgres.chargers import PostgresChargerStore
from storage.postgres.engine import create_engine
from storage.postgres.events import PostgresEventStore
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.routes import PostgresRouteStore
from storage.postgres.transaction_ids import PostgresTransactionIds
from storage.reports import PublishStatus
from storage.twin import Lifecycle, busy_reason

pytestmark = pytest.mark.integration
PEPPER = b"p" * 32
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


class Node:
    """A csms node with the registered fleet."""

    def __init__(self, gateway: Gateway, stores: GatewayStores, events: PostgresEventStore) -> None:
        self.gateway = gateway
        self.chargers = stores.chargers
        self._routes = stores.routes
        self._events = events

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway.ports[0]}"

    async def register(self, fleet: FleetSpec) -> None:
        now = system_clock()
        for site in fleet.sites():
            await self.chargers.put_site(Site(site, site, "UTC"))
        for spec in fleet.chargers:
            who = spec.character
            charger = Charger(
                spec.charger_id, spec.site_id, who.vendor, who.model, Lifecycle.ACTIVE, registered_at=now
            )
            secret = hash_secret(PEPPER, spec.password)
            await self.chargers.register(charger, ChargerCredential(spec.charger_id, secret, now))

    async def send(self, charger_id: str, command: Any) -> AnswerStatus:
        route = await self._routes.resolve(charger_id)
        assert route is not None
        answer = await self.gateway.send(charger_id, route.session_epoch, command, deadline_s=20)
        return answer.status

    async def until(self, charger_id: str, condition: Any) -> ChargerView:
        """Look again whenever something was stored."""
        async with asyncio.timeout(60), self._events.changes() as changes:
            while not condition(view := await self.chargers.get(charger_id)):
                await anext(changes)
        return view

    async def told(self, charger_id: str, last: PublishStatus) -> list[dict[str, Any]]:
        """What a local controller told, up to this word."""
        kinds = (EventKind.PUBLISH_STATUS_REPORTED.value,)
        async with asyncio.timeout(60), self._events.changes() as changes:
            while True:
                found = [one.body for one in await self._events.since(charger_id, _LONG_AGO, kinds)]
                if any(body["status"] == last for body in found):
                    return found
                await anext(changes)


@pytest.fixture
async def node(database: str) -> AsyncIterator[Node]:
    engine = create_engine(database)
    stores = GatewayStores(
        PostgresChargerStore(engine),
        PostgresIngestStore(engine),
        PostgresRouteStore(engine),
        PostgresTransactionIds(engine),
    )
    options = GatewayOptions("node-1", "boot-1", PEPPER, port=0, probe_delay_s=0.1, drain_per_s=1000)
    gateway = Gateway(options, stores, Sources(system_clock))
    await gateway.start()
    yield Node(gateway, stores, PostgresEventStore(engine))
    await gateway.stop()
    await engine.dispose()


@asynccontextmanager
async def running(fleet: FleetSpec, node: Node) -> AsyncIterator[asyncio.Task[Ledger]]:
    stop = asyncio.Event()
    await node.register(fleet)
    task = asyncio.create_task(
        run_fleet(fleet, csms_url=node.url, report_path=None, stop_event=stop, clock=system_clock)
    )
    try:
        yield task
    finally:
        stop.set()
        await task


async def journal(database: str) -> tuple[set[tuple[str, str]], Counter[str]]:
    """Ids of the calls that came in, per charger, and how many events there are of each kind."""
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        rows = await connection.fetch("SELECT charger_id, text FROM frame WHERE direction = 'in'")
        kinds = await connection.fetch("SELECT kind, count(*) AS n FROM event GROUP BY kind")
    finally:
        await connection.close()
    frames = [(row["charger_id"], orjson.loads(row["text"])) for row in rows]
    calls = {(charger, frame[1]) for charger, frame in frames if frame[0] == 2}
    return calls, Counter({row["kind"]: row["n"] for row in kinds})


async def update(node: Node, spec: ChargerSpec, command: UpdateFirmware) -> None:
    """As the orchestrator does it: out of service, no session, update, back in service."""
    charger_id = spec.charger_id

    def idle(view: ChargerView) -> bool:
        return busy_reason(view.twin.operation, system_clock()) is None

    await node.until(charger_id, lambda view: view.twin.firmware is not None)
    await node.send(charger_id, ChangeAvailability(operative=False))
    before: datetime = system_clock()
    await node.until(charger_id, idle)
    assert await node.send(charger_id, command) is AnswerStatus.ACCEPTED
    if spec.character.needs_reset:
        await node.until(charger_id, lambda view: "Installed" in str(view.twin.firmware.status))
        assert await node.send(charger_id, Reset(ResetKind.ON_IDLE)) is AnswerStatus.ACCEPTED
    view = await node.until(charger_id, lambda view: view.twin.firmware.version == "1.1")
    assert view.twin.firmware.booted_at > before
    assert await node.send(charger_id, ChangeAvailability(operative=True)) is AnswerStatus.ACCEPTED


@pytest.mark.requirement("F72")
async def test_every_personality_is_understood_and_nothing_is_lost(node, database, bench) -> None:
    bare = bench.fleet(default_fleet().chargers[0].character)
    fleet = replace(
        bare,
        pace=replace(bare.pace, session_s=(0.3, 0.6)),
        chargers=default_fleet(chargers=10, sites=2).chargers,
        sessions=SessionPattern(busy_share=0.6),
        connect_per_s=200.0,
    )
    image = build_image("1.1", size=150_000, seed=1)
    location = bench.images.put("fw", image)

    async def update_all(chargers: tuple[ChargerSpec, ...]) -> None:
        for number, spec in enumerate(chargers, start=1):
            signature, certificate = bench.manufacturer.sign(spec.character.scheme, image)
            await update(node, spec, UpdateFirmware(number, location, system_clock(), certificate, signature))

    async with running(fleet, node) as task:
        # One after the other at a site, so that none goes dark.
        await asyncio.gather(*(update_all(site) for site in fleet.sites().values()))
        for spec in fleet.chargers:
            assert await node.send(spec.charger_id, GetVariables()) is AnswerStatus.ACCEPTED
    ledger = await task
    totals = ledger.totals()
    assert totals["by_version"] == {"1.1": 10}
    assert totals["sessions_started"] > 0
    wrong = ("sessions_cut", "unsigned_commands", "badly_signed_commands", "sites_dark", "simulator_errors")
    assert {name: totals[name] for name in wrong} == dict.fromkeys(wrong, 0)
    stored, kinds = await journal(database)
    promised = {
        (name, message_id)
        for name, account in ledger.chargers.items()
        for message_id in acknowledged_ids(account.as_json())
    }
    assert len(promised) > 100
    assert promised - stored == set()
    assert kinds["frame_rejected"] == 0
    assert kinds["transaction_started"] <= totals["sessions_started"]
    assert kinds["transaction_started"] >= totals["sessions_ended"]


@pytest.mark.requirement("F71", "S29")
async def test_a_site_fetches_once_and_its_chargers_from_their_local_controller(node, bench) -> None:
    """What each is told is stored, proven and addressed as the orchestrator does it (L03, L04)."""
    script = bench.report.with_name("script.yaml")
    script.write_text("fleet: {chargers: 2, local_controllers: true, personalities: {moraine: 1}}")
    given = load_script(script)
    bare = bench.fleet(given.chargers[0].character)
    fleet = replace(bare, chargers=given.chargers, connect_per_s=200.0)
    *chargers, controller = fleet.chargers
    image = build_image("1.1", size=150_000, seed=1)
    checksum = hashlib.md5(image, usedforsecurity=False).hexdigest()
    async with running(fleet, node) as task:
        await node.until(controller.charger_id, lambda view: view.twin.firmware is not None)
        publish = PublishFirmware(7, bench.images.put("fw", image), checksum)
        assert await node.send(controller.charger_id, publish) is AnswerStatus.ACCEPTED
        *before, last = await node.told(controller.charger_id, PublishStatus.PUBLISHED)
        assert [each["status"] for each in before] == ["Downloading", "Downloaded", "ChecksumVerified"]
        for number, spec in enumerate(chargers, start=8):
            view = await node.chargers.get(spec.charger_id)
            model = ModelProfile(spec.character.vendor, spec.character.model)
            place = usable(last["locations"], view, model)
            assert place is not None, "the address that it told may be given out"
            signature, certificate = bench.manufacturer.sign(spec.character.scheme, image)
            await update(node, spec, UpdateFirmware(number, place, system_clock(), certificate, signature))
        for told in (AnswerStatus.ACCEPTED, AnswerStatus.NOT_FOUND):
            assert await node.send(controller.charger_id, UnpublishFirmware(checksum)) is told
    ledger = await task
    assert len(bench.images.ranges) == 1, "one download for all"
    assert ledger.chargers[controller.charger_id].counts["image_served"] == len(chargers)
    assert ledger.totals()["by_version"] == {"1.1": 2, "1.0": 1}
    assert ledger.totals()["badly_signed_commands"] == 0


def one(bench, name: str, *faults: NetworkFault) -> FleetSpec:
    return bench.fleet(PERSONALITIES[name], faults=faults)


CHARGER = "SIM-0001"
INTERVAL = {"tansy": "MeterValueSampleInterval", "jetty": "SampledDataCtrlr.TxUpdatedInterval"}


@pytest.mark.requirement("F58")
@pytest.mark.requirement("F76")
@pytest.mark.parametrize("name", ["tansy", "jetty"])
async def test_capabilities_are_found_and_configuration_is_kept(name, node, bench) -> None:
    fleet = one(bench, name)

    def told(view: ChargerView) -> bool:
        return of_charger(view.charger, view.twin, None).known.transfers is not None

    async with running(fleet, node):
        view = await node.until(CHARGER, told)
        able = of_charger(view.charger, view.twin, None)
        assert able.takes_signed is True
        assert able.known.transfers == ("HTTP", "HTTPS")
        assert able.known.certificate_chain_chars == 10_000
        setting = SetVariables((VariableValue(INTERVAL[name], "17"),))
        assert await node.send(CHARGER, setting) is AnswerStatus.ACCEPTED
        wrong = SetVariables((VariableValue(INTERVAL[name], "often"),))
        assert await node.send(CHARGER, wrong) is AnswerStatus.REJECTED
        assert await node.send(CHARGER, GetVariables((INTERVAL[name],))) is AnswerStatus.ACCEPTED
        await node.until(CHARGER, lambda view: view.twin.configuration.values.get(INTERVAL[name]) == "17")


async def test_a_half_open_socket_locks_nobody_out(node, bench) -> None:
    async with running(one(bench, "jetty", NetworkFault(FaultKind.HALF_OPEN, after_s=0.5)), node):
        await node.until(CHARGER, lambda view: (view.twin.connectivity or Never).reconnects == 1)
        await node.until(CHARGER, lambda view: view.twin.connectivity.online)
        assert (
            await node.send(CHARGER, GetVariables(("Controller.FirmwareVersion",))) is AnswerStatus.ACCEPTED
        )


class Never:
    reconnects = 0


@pytest.mark.requirement("F74")
async def test_an_image_that_forgets_its_credentials_is_kept_out_until_it_remembers(node, bench) -> None:
    fleet = one(bench, "jetty", NetworkFault(FaultKind.PROFILE_DOWNGRADE))
    image = build_image("1.1", size=150_000, seed=1)
    location = bench.images.put("fw", image)
    (spec,) = fleet.chargers
    async with running(fleet, node) as task:
        signature, certificate = bench.manufacturer.sign(spec.character.scheme, image)
        await update(node, spec, UpdateFirmware(1, location, system_clock(), certificate, signature))
    account = (await task).chargers[CHARGER]
    assert account.counts["downgrade_refused"] == 3
    assert account.counts["downgrade_accepted"] == 0


@pytest.mark.requirement("F73")
async def test_a_request_id_that_means_none_does_not_reach_the_twin(node, bench) -> None:
    fleet = one(bench, "tansy")
    image = build_image("1.1", size=150_000, seed=1)
    location = bench.images.put("fw", image)
    (spec,) = fleet.chargers
    async with running(fleet, node):
        signature, certificate = bench.manufacturer.sign(spec.character.scheme, image)
        await update(node, spec, UpdateFirmware(9, location, system_clock(), certificate, signature))
        view = await node.until(CHARGER, lambda view: view.twin.firmware.status is not None)
    assert view.twin.firmware.status_request_id is None


@pytest.mark.requirement("R28", "S27", "X8")
async def test_a_station_whose_boot_tells_no_version_is_asked_after_every_boot(node, database, bench) -> None:
    fleet = one(bench, "yarrow")
    image = build_image("1.1", size=150_000, seed=1)
    location = bench.images.put("fw", image)
    (spec,) = fleet.chargers
    async with running(fleet, node):
        await node.until(CHARGER, lambda view: view.twin.firmware and view.twin.firmware.version == "1.0")
        signature, certificate = bench.manufacturer.sign(spec.character.scheme, image)
        await update(node, spec, UpdateFirmware(9, location, system_clock(), certificate, signature))
    view = await node.until(CHARGER, lambda view: view.twin.firmware.version == "1.1")
    assert (view.twin.firmware.previous_version, view.twin.firmware.before_boot) == ("1.0", None)
    _, kinds = await journal(database)
    assert kinds["charger_booted"] == kinds["firmware_version_read"] == 2
    assert kinds["frame_rejected"] == 0
