"""Campaigns on the embedded Temporal server: chargers per second, what each costs, how fast an abort works.

Real workflows, activities, workers and server; the fleet and its stores are in memory, so that what is
compared is the orchestration: a bare loop that runs one workflow for each charger on the same server.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.codec import data_converter
from api.embedded import EmbeddedTemporal
from csms.commands import Command, CommandAnswer, UpdateFirmware
from storage.campaign import CampaignPhase, Outcome, Pace
from storage.ids import campaign_workflow_id, charger_workflow_id, shard_workflow_id, wave_workflow_id
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World as Bench
from tests.integration.workflows.harness import Harness, running
from tests.unit.activities.world import ACCEPTED, World
from workflows.cost import cost_of, total
from workflows.registry import RUNNER
from workflows.signals import AbortRequest

BOOT_S = 0.3
"""From the command to the boot that proves it, on both sides of the comparison."""
HEARD_EVERY = timedelta(seconds=20)
"""Well within what counts as silent."""
PAYLOAD_KEY = b"a key of a bench, of 32 bytes...."[:32]
WINDOW = 200
QUEUE = "bare"
PACE = Pace(
    window=WINDOW,
    tick_seconds=1.0,
    attempt_deadline_seconds=120.0,
    settle_seconds=0.05,
    wave_deadline_seconds=3600.0,
    ticket_seconds=600.0,
)


class Fleet(World):
    """A fleet whose clock is the real one; hearing everybody before each activity would be the cost."""

    last_heard: datetime | None = None

    def tick(self, now: datetime) -> None:
        self.now = now
        if self.last_heard is None or now - self.last_heard > HEARD_EVERY:
            self.last_heard = now
            self.heard()


async def boots_later(world: World, charger_id: str, command: UpdateFirmware) -> CommandAnswer:
    """Accepts, and proves it a moment later."""
    version = world.sent_version(charger_id)

    async def boot() -> None:
        await asyncio.sleep(BOOT_S)
        await world.boot(charger_id, version)

    world.tasks.append(asyncio.create_task(boot()))
    return ACCEPTED


# --- the bare loop -------------------------------------------------------------------------------


@activity.defn
async def send_bare(charger_id: str) -> None:
    """One command, and the charger's word a moment later."""
    client = activity.client()

    async def tell() -> None:
        await asyncio.sleep(BOOT_S)
        await client.get_workflow_handle(f"bare/{charger_id}").signal("booted")

    _TELLING.add(task := asyncio.create_task(tell()))
    task.add_done_callback(_TELLING.discard)


_TELLING: set[asyncio.Task[None]] = set()


@workflow.defn(sandboxed=False)
class BareCharger:
    """One activity, one timer, one signal: design A2 of the background notes."""

    def __init__(self) -> None:
        self._booted = False

    @workflow.signal
    def booted(self) -> None:
        self._booted = True

    @workflow.run
    async def run(self, charger_id: str) -> None:
        await workflow.execute_activity(send_bare, charger_id, start_to_close_timeout=timedelta(seconds=20))
        await workflow.wait_condition(lambda: self._booted, timeout=timedelta(seconds=120))


@workflow.defn(sandboxed=False)
class BareLoop:
    """A window of children, nothing else."""

    @workflow.run
    async def run(self, names: list[str]) -> None:
        room = asyncio.Semaphore(WINDOW)

        async def one(name: str) -> None:
            async with room:
                await workflow.execute_child_workflow(BareCharger.run, name, id=f"bare/{name}")

        await asyncio.gather(*(one(name) for name in names))


async def _bare(client: Client, count: int, turn: int) -> float:
    """Chargers per second."""
    names = [f"B{turn}-{number}" for number in range(count)]
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[BareLoop, BareCharger],
        activities=[send_bare],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with worker:
        began = time.monotonic()
        await client.execute_workflow(BareLoop.run, names, id=f"bare-{turn}", task_queue=QUEUE)
        return count / (time.monotonic() - began)


# --- ours ----------------------------------------------------------------------------------------


@asynccontextmanager
async def _server(bench: Bench, name: str) -> AsyncIterator[Client]:
    async with EmbeddedTemporal(bench.folder / name) as server:
        # As production has it: compressed, encrypted.
        yield await Client.connect(server.address, data_converter=data_converter(PAYLOAD_KEY))


async def _ours(client: Client, count: int) -> float:
    """Chargers per second, approvals and the gate left out: from the first command to the last proof."""
    fleet = Fleet(default=boots_later)
    campaign = await fleet.add_campaign([fleet.add_chargers(count)], fleet.plan(pace=PACE))
    first: list[float] = []

    async def note(_charger_id: str, command: Command) -> None:
        if isinstance(command, UpdateFirmware) and not first:
            first.append(time.monotonic())

    fleet.on_send = note
    async with running(WorkflowEnvironment.from_client(client), fleet, runner=RUNNER) as harness:
        began = time.monotonic()
        await harness.start(campaign)
        phase = await harness.result(campaign, seconds=3600.0)
        took = time.monotonic() - began
        updated = sum(each is Outcome.UPDATED for each in fleet.campaigns.outcomes("c1").values())
        if phase is not CampaignPhase.COMPLETED or updated != count:
            raise RuntimeError(f"The campaign is {phase.value}, {updated} of {count} are updated.")
        await _forget(harness)
    return count / took


async def _forget(harness: Harness) -> None:
    for task in harness.world.tasks:
        await task


async def measure_campaign(bench: Bench) -> list[Row]:
    """Ours between two turns of the bare loop, on one server."""
    count = bench.sized(500, 6)
    async with _server(bench, "campaign") as client:
        before = await _bare(client, count, 1)
        rate = await _ours(client, count)
        after = await _bare(client, count, 2)
    say(f"bare {before:.1f}/s, ours {rate:.1f}/s, bare {after:.1f}/s")
    name = f"bare workflow-per-charger loop ({before:.0f} and {after:.0f})"
    return [Row.at_least("campaign", rate, "chargers/s", name, (before + after) / 2, 0.7)]


async def measure_cost(bench: Bench) -> list[Row]:
    """The happy path per charger with its share of the parents, from the histories on the server."""
    count = bench.sized(20, 4)
    fleet = Fleet(default=boots_later)
    names = fleet.add_chargers(count)
    campaign = await fleet.add_campaign([names], fleet.plan(pace=PACE))
    async with (
        _server(bench, "cost") as client,
        running(WorkflowEnvironment.from_client(client), fleet, runner=RUNNER) as harness,
    ):
        await harness.start(campaign)
        await harness.result(campaign, seconds=600.0)
        parents = [campaign_workflow_id("c1"), wave_workflow_id("c1", 0), shard_workflow_id("c1", 0, 0)]
        chargers = [await harness.history(charger_workflow_id(name)) for name in names]
        all_of_it = total([*[await harness.history(name) for name in parents], *chargers])
        await _forget(harness)
    largest = max(cost_of(history).bytes for history in chargers)
    actions, events = all_of_it.actions / count, all_of_it.events / count
    shared = all_of_it.bytes / count
    return [
        Row("cost-actions", actions, "Actions/charger", "naive", 10.0, actions / 10, "<= 8", actions <= 8),
        Row("cost-events", events, "events/charger", None, None, None, "<= 35", events <= 35),
        Row("cost-bytes", largest, "bytes, largest history", None, None, None, "<= 4096", largest <= 4096),
        Row("cost-bytes-shared", shared, "bytes/charger", None, None, None, "<= 4096", shared <= 4096),
    ]


async def measure_abort(bench: Bench) -> list[Row]:
    """From the moment a person asks to the last command that leaves any node, over many campaigns."""
    rounds = bench.sized(30, 2)
    async with _server(bench, "abort") as client:
        found = [await _aborted(client, number, bench.sized(60, 6)) for number in range(rounds)]
    found.sort()
    p99 = found[min(len(found) - 1, int(0.99 * len(found)))]
    unit = f"s, p99 of {rounds} campaigns, median {found[len(found) // 2]:.2f}"
    # A row of zero would say that nothing was measured.
    return [Row("abort", max(p99, 0.001), unit, None, None, None, "<= 5", p99 <= 5.0)]


async def _aborted(client: Client, number: int, count: int) -> float:
    """Seconds from the request to the last send; 0 if none left after it."""
    fleet, sent = Fleet(default=boots_later), list[float]()
    names = fleet.add_chargers(count)
    name = f"abort-{number}"
    pace = replace(PACE, window=4)
    campaign = await fleet.add_campaign([names], fleet.plan(pace=pace), campaign_id=name)

    async def note(_charger_id: str, command: Command) -> None:
        if isinstance(command, UpdateFirmware):
            sent.append(time.monotonic())

    fleet.on_send = note
    async with running(WorkflowEnvironment.from_client(client), fleet, runner=RUNNER) as harness:
        await harness.start(campaign)
        await _until(lambda: len(sent) >= max(1, count // 6))
        asked = time.monotonic()
        handle = harness.handle(campaign)
        await handle.execute_update("abort", AbortRequest("hedy", "enough"), id=f"{name}-abort")
        await harness.result(campaign, seconds=600.0)
        await _forget(harness)
    return max(0.0, max(sent) - asked)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(600):
        while not condition():  # noqa: ASYNC110 - it is the fleet's list that is looked at
            await asyncio.sleep(0.005)
