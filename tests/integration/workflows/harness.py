"""Real workers on a real or a time-skipping Temporal server, over a fleet in memory."""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowHandle, WorkflowHistory
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
    Worker,
    WorkflowRunner,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.blob_care import BlobCareActivities, CareStores
from activities.daily import DailyActivities
from activities.journal import JournalActivities
from activities.log_keeping import LogKeepingActivities
from activities.metadata import MetadataActivities
from activities.moves import MoveActivities
from activities.notary import NotaryActivities
from activities.reprovisioning import ReprovisionActivities
from activities.retention import RetentionActivities
from storage.artifact import Artifact
from storage.bundle import BundleOrder
from storage.campaign import Approval, Campaign, CampaignPhase, Pace
from storage.charger import Route
from storage.events import StoredEvent
from storage.ids import SIGNER_QUEUE, TASK_QUEUE, campaign_workflow_id, charger_workflow_id, node_queue
from storage.journal import JournalRule
from storage.passport import PassportOrder
from storage.retention import RetentionPolicy
from tests.support.memory_chargers import MemoryChargers
from tests.support.memory_enrolments import MemoryEnrolments
from tests.support.memory_registry import MemoryRegistry
from tests.support.memory_reprovisions import MemoryReprovisions
from tests.support.memory_retirements import MemoryRetirements
from tests.support.memory_transfers import MemoryBucket, MemoryUploads
from tests.unit.activities.world import BOOT_ID, NODE_ID, PEOPLE, World
from workflows.client import Orchestrator
from workflows.payloads import DATA_CONVERTER
from workflows.registry import (
    WORKFLOWS,
    late_activities,
    life_activities,
    local_image_activities,
    metadata_activities,
    move_activities,
    node_activities,
    record_activities,
    reprovision_activities,
    signer_activities,
    testimony_activities,
    worker_activities,
)
from workflows.signals import CHARGER_EVENT, ChargerSignal, hinted

BUILD = "1.0.0"
"""What every task names, as in production. The SDK's own would be longer, and read all our code for it."""
KEYWORDS = ("OtaCampaign", "OtaState", "OtaVendorModel", "OtaSite", "OtaCharger", "OtaFirmware")


QUICK = Pace(
    tick_seconds=0.2,
    attempt_deadline_seconds=10.0,
    settle_seconds=0.05,
    retry_backoff_seconds=0.2,
    wave_deadline_seconds=60.0,
    ticket_seconds=60.0,
)
"""Real time, in tenths of a second."""


def program(name: str) -> str:
    """A program of the development wheels, on the path or beside this interpreter."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    assert found, f"{name} is not installed"
    return found


class _Clockwork(Interceptor):
    """Moves the world's clock to the server's before every activity, and lets chargers be heard."""

    def __init__(self, world: World, env: WorkflowEnvironment) -> None:
        self.world = world
        self.env = env

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _Ticking(next, self)


class _Ticking(ActivityInboundInterceptor):
    def __init__(self, following: ActivityInboundInterceptor, clockwork: _Clockwork) -> None:
        super().__init__(following)
        self._clockwork = clockwork

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        world = self._clockwork.world
        world.tick(await self._clockwork.env.get_current_time())
        return await super().execute_activity(input)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that other coroutines bring about."""
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - stores have no event to wait for
            await asyncio.sleep(0.02)


@dataclass
class Harness:
    """One test's server, workers and world."""

    env: WorkflowEnvironment
    world: World
    orchestrator: Orchestrator
    bucket: MemoryBucket = field(default_factory=MemoryBucket)
    registry: MemoryRegistry = field(default_factory=lambda: MemoryRegistry(MemoryChargers()))

    def __post_init__(self) -> None:
        world = self.world
        self.retirements: Any = MemoryRetirements(world.chargers, world.set_lifecycle)
        self.enrolments: Any = MemoryEnrolments(world.chargers)
        self.reprovisions: Any = MemoryReprovisions(world.chargers, world.set_lifecycle)

    @property
    def client(self) -> Client:
        return self.env.client

    def node_worker(self, boot_id: str = BOOT_ID) -> Worker:
        world = self.world
        return self.worker(node_queue(NODE_ID, boot_id), activities=node_activities(world.node, world))

    def worker(self, queue: str, **options: Any) -> Worker:
        return Worker(
            self.client,
            task_queue=queue,
            interceptors=[_Clockwork(self.world, self.env)],
            sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
            build_id=BUILD,
            **options,
        )

    async def signal(self, charger_id: str, event: StoredEvent, route: Route) -> None:
        """What the relay does: a hint to whoever waits."""
        hint = ChargerSignal(
            event.sequence,
            event.kind.value,
            hinted(event.body),
            event.received_at,
            route.node_id,
            route.boot_id,
            route.session_epoch,
        )
        lease = self.world.leases.rows.get(charger_id)
        workflow_id = lease.workflow_id if lease else charger_workflow_id(charger_id)
        with suppress(RPCError):
            handle = self.client.get_workflow_handle(workflow_id)
            await handle.signal(CHARGER_EVENT, hint)

    async def start(self, campaign: Campaign, *approvers: str) -> WorkflowHandle[Any, Any]:
        """Start a campaign and let these people approve it."""
        await self.orchestrator.start_campaign(campaign.campaign_id)
        for actor in approvers or PEOPLE[: campaign.plan.approvals_needed]:
            await self.approve(campaign, actor)
        return self.handle(campaign)

    async def approve(self, campaign: Campaign, actor: str, digest: str = "") -> None:
        approval = Approval(actor, self.world.now, digest or campaign.plan_digest)
        await self.orchestrator.approve(
            campaign.campaign_id, approval, f"approve-{actor}-{len(self.world.campaigns.phases)}"
        )

    def handle(self, campaign: Campaign) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(
            campaign_workflow_id(campaign.campaign_id), result_type=CampaignPhase
        )

    async def result(self, campaign: Campaign, *, seconds: float = 60.0) -> CampaignPhase:
        """The last phase; on a time-skipping server all waits are jumped over."""
        unlocked = getattr(self.env, "time_skipping_unlocked", nullcontext)
        async with asyncio.timeout(seconds), unlocked():
            while True:
                # The time-skipping server ends a long poll after 20 s; the SDK calls that an error.
                with suppress(RuntimeError):
                    phase: CampaignPhase = await self.handle(campaign).result()
                    return phase

    async def until_phase(self, campaign: Campaign, *phases: CampaignPhase, minutes: float = 1.0) -> None:
        """Let virtual time pass in steps until the campaign is written down in one of these phases."""
        async with asyncio.timeout(60):
            while self.world.campaigns.rows[campaign.campaign_id].phase not in phases:
                await self.env.sleep(timedelta(minutes=minutes))

    async def history(self, workflow_id: str) -> WorkflowHistory:
        return await self.client.get_workflow_handle(workflow_id).fetch_history()


@asynccontextmanager
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """A server whose clock jumps over every wait."""
    async with await WorkflowEnvironment.start_time_skipping(
        data_converter=DATA_CONVERTER, test_server_existing_path=program("temporal-test-server")
    ) as env:
        await env.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=env.client.namespace,
                search_attributes=dict.fromkeys(KEYWORDS, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD),
            )
        )
        yield env


@asynccontextmanager
async def real_server(*more: str) -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's development server, in memory; ``more`` arguments go to it."""
    arguments = [text for name in KEYWORDS for text in ("--search-attribute", f"{name}=Keyword")]
    async with await WorkflowEnvironment.start_local(
        data_converter=DATA_CONVERTER,
        dev_server_existing_path=program("temporal"),
        dev_server_extra_args=[*arguments, *more],
        dev_server_log_level="error",
    ) as env:
        yield env


def care_of(world: World, bucket: MemoryBucket) -> BlobCareActivities:
    """The daily care over a bucket in memory; signed metadata lists nothing of what is released."""

    async def signed(artifact: Artifact) -> str | None:
        return None

    more = CareStores(bucket, bucket, MemoryUploads(), bucket)  # type: ignore[arg-type]
    return BlobCareActivities(world.stores, more, world, signed)


@activity.defn
async def sign_bundle(order: BundleOrder) -> int:
    """Who signs a charger's evidence has a test of its own, over real stores."""
    return len(order.reason)


@activity.defn
async def sign_passport(order: PassportOrder) -> str:
    """As above."""
    return order.passport_id


@asynccontextmanager
async def running(
    env: WorkflowEnvironment, world: World, *, cached: int = 1000, runner: WorkflowRunner | None = None
) -> AsyncIterator[Harness]:
    """All roles at work on a server; ``cached``: how many workflows the worker keeps in memory.

    ``runner``: what production uses, for whoever measures; without it, the full sandbox.
    """
    harness = Harness(env, world, Orchestrator(env.client))
    world.signaller = harness.signal
    world.tick(await env.get_current_time())
    async with AsyncExitStack() as stack:
        journal = JournalActivities(world.journal, JournalRule(), lambda: world.now)
        retention = RetentionActivities(world.records, RetentionPolicy(), lambda: world.now)  # type: ignore[arg-type]
        daily = DailyActivities(world.stores, world.records, world.blobs)  # type: ignore[arg-type]
        logs = LogKeepingActivities(world.stores, world.leftovers, timedelta(days=90))
        care = care_of(world, harness.bucket)
        metadata = MetadataActivities(world.expiries, world.incidents, lambda: world.now)
        shared = worker_activities(
            world.stores,  # type: ignore[arg-type]
            world,
            journal,
            logs,
            world,  # type: ignore[arg-type]
            care=care,
        )
        await stack.enter_async_context(
            harness.worker(
                TASK_QUEUE,
                workflows=list(WORKFLOWS),
                activities=[
                    *shared,
                    *metadata_activities(metadata),
                    *late_activities(world.stores, world.incidents),  # type: ignore[arg-type]
                    *local_image_activities(world.stores, world.blobs),  # type: ignore[arg-type]
                    *move_activities(
                        MoveActivities(harness.registry, world.stores.ingest, lambda: world.now)
                    ),
                    *life_activities(world.stores, harness.retirements, harness.enrolments),
                    *reprovision_activities(ReprovisionActivities(world.stores, harness.reprovisions)),
                    *record_activities(world.stores, daily, retention),
                ],
                max_cached_workflows=cached,
                workflow_runner=runner or SandboxedWorkflowRunner(),
            )
        )
        signing = signer_activities(
            world.stores,
            world,
            lambda: "n" * 32,
            desk=world.desk,
            blobs=world.blobs,  # type: ignore[arg-type]
        )
        notary = NotaryActivities(world.stores.audit, world.incidents, world.records, lambda: world.now)  # type: ignore[arg-type]
        testifying = testimony_activities(world.stores, harness.retirements, world)
        vouching = [*signing, notary.checkpoint_audit, *testifying, sign_bundle, sign_passport]
        await stack.enter_async_context(harness.worker(SIGNER_QUEUE, activities=vouching))
        await stack.enter_async_context(harness.node_worker())
        yield harness
