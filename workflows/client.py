"""How the api talks to workflows. A refusal by a validator is a Conflict; no Temporal, EngineUnavailable."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.metadata import CeremonyOrder
from activities.moves import MoveEnd
from signing.ports import CeremonyStamp
from storage.artifact import SignOff
from storage.campaign import Approval
from storage.errors import Conflict
from storage.ids import (
    TASK_QUEUE,
    artifact_workflow_id,
    campaign_workflow_id,
    ceremony_workflow_id,
    charger_workflow_id,
    command_workflow_id,
    configuration_workflow_id,
    log_workflow_id,
)
from workflows.campaign import FirmwareCampaignWorkflow
from workflows.certificate_client import CertificateDesk
from workflows.certificate_watch import CertificateWatchWorkflow
from workflows.charger_command import ChargerCommandWorkflow, CommandInput
from workflows.client_start import start_recorded
from workflows.client_words import asked, in_our_words, outcome
from workflows.configuration import ConfigurationRun, ConfigurationWorkflow
from workflows.housekeeping import HousekeepingWorkflow
from workflows.life_starter import LifeStarter
from workflows.life_watch import LifeWatchWorkflow
from workflows.log_retrieval import LogInput, LogRetrievalWorkflow
from workflows.messages import CampaignInput, CampaignStatus
from workflows.move import MoveInput, MoveWorkflow
from workflows.options import OTA_CAMPAIGN, OTA_CHARGER, OTA_STATE, keywords
from workflows.publish_artifact import PublicationInput, PublishArtifactWorkflow
from workflows.publish_ceremony import PublishCeremonyWorkflow
from workflows.record_keeping import RecordKeepingWorkflow
from workflows.session_rules import SessionWatchPolicy
from workflows.session_watch import SessionWatchWorkflow
from workflows.signals import AbortRequest, ExtendRequest, PersonRequest, SkipRequest
from workflows.storage_care import StorageCareWorkflow
from workflows.testimony_client import TestimonyDoor

HOUSEKEEPING_SCHEDULE = "ampwave-housekeeping"
CERTIFICATE_SCHEDULE = "ampwave-certificate-watch"
RECORDS_SCHEDULE = "ampwave-records"
SESSION_WATCH_SCHEDULE = "ampwave-session-watch"
STORAGE_CARE_SCHEDULE = "ampwave-storage-care"
_MOVE = "move"
LIFE_WATCH_SCHEDULE = "ampwave-life-watch"


class Orchestrator(LifeStarter, CertificateDesk, TestimonyDoor):
    """Starts workflows and passes on what people ask. ``update_id`` makes an act happen once."""

    def __init__(self, client: Client, *, update_seconds: float = 20.0) -> None:
        super().__init__(client)
        self._timeout = timedelta(seconds=update_seconds)

    @in_our_words
    async def start_publication(self, artifact_id: str) -> None:
        """Start the publication of an uploaded artifact; nothing happens if it is under way.

        One that ended (rejected, or failed) may be started again.
        """
        await self._client.start_workflow(
            PublishArtifactWorkflow.run,
            PublicationInput(artifact_id),
            id=artifact_workflow_id(artifact_id),
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"publish artifact {artifact_id[:12]}",
        )

    @in_our_words
    async def evidence_changed(self, artifact_id: str) -> None:
        """A hint that an artifact's evidence is another one; whoever does not wait for it reads it later."""
        handle = self._client.get_workflow_handle(artifact_workflow_id(artifact_id))
        with suppress(Conflict):
            await asked(handle.signal(PublishArtifactWorkflow.evidence_changed, rpc_timeout=self._timeout))

    @in_our_words
    async def look_again(self, artifact_id: str) -> None:
        """Wait until what is staged can be signed, staged again if need be, or the artifact waits no more.

        Raises Conflict if its publication is over.
        """
        handle = self._client.get_workflow_handle(artifact_workflow_id(artifact_id))
        await asked(handle.execute_update("look_again", rpc_timeout=self._timeout))

    async def publish_ceremony(self, order: CeremonyOrder) -> CeremonyStamp:
        """Have a stored ceremony published, and wait for it; the same one again goes on, or says the same.

        Raises:
            Conflict: somebody has not signed, or it came too late; nothing was written.
            EngineUnavailable: no signer answered in time; it may still be published.
        """
        handle = await self._start_ceremony(order)
        return await outcome(
            handle,
            self._timeout,
            silence="No signer answered in time.",
            hint="Publish the same file again: it goes on, or says that it is done.",
        )

    @in_our_words
    async def _start_ceremony(
        self, order: CeremonyOrder
    ) -> WorkflowHandle[PublishCeremonyWorkflow, CeremonyStamp]:
        return await self._client.start_workflow(
            PublishCeremonyWorkflow.run,
            order,
            id=ceremony_workflow_id(order.sha256),
            task_queue=TASK_QUEUE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"publish ceremony {order.sha256[:12]}",
        )

    async def sign_off(self, sign_off: SignOff) -> None:
        """Pass on one person's signature. Raises Conflict if it does not count or does not hold."""
        await self._ask(
            artifact_workflow_id(sign_off.artifact_id), PublishArtifactWorkflow.sign_off, sign_off
        )

    @in_our_words
    async def start_campaign(self, campaign_id: str) -> None:
        """Start a campaign that is stored as a draft; it then waits for approvals. Idempotent, for ever."""
        await start_recorded(
            self._client,
            FirmwareCampaignWorkflow.run,
            CampaignInput(campaign_id),
            workflow_id=campaign_workflow_id(campaign_id),
            summary=f"campaign {campaign_id}",
            attributes=keywords((OTA_CAMPAIGN, campaign_id), (OTA_STATE, "draft")),
        )

    async def approve(self, campaign_id: str, approval: Approval, update_id: str) -> None:
        """One person's yes. Raises Conflict by the author, for another plan, or a second time."""
        await self._ask(
            campaign_workflow_id(campaign_id), FirmwareCampaignWorkflow.approve, approval, update_id
        )

    async def pause(self, campaign_id: str, actor: str, update_id: str) -> None:
        """Start no more chargers."""
        await self._ask(
            campaign_workflow_id(campaign_id), FirmwareCampaignWorkflow.pause, PersonRequest(actor), update_id
        )

    async def resume(self, campaign_id: str, actor: str, update_id: str) -> None:
        """Go on."""
        await self._ask(
            campaign_workflow_id(campaign_id),
            FirmwareCampaignWorkflow.resume,
            PersonRequest(actor),
            update_id,
        )

    async def abort(
        self,
        campaign_id: str,
        actor: str,
        reason: str,
        rollback: bool,  # noqa: FBT001 - the api's port
        update_id: str,
    ) -> None:
        """Send nothing more; with ``rollback``, take updated chargers back."""
        request = AbortRequest(actor, reason, rollback)
        await self._ask(campaign_workflow_id(campaign_id), FirmwareCampaignWorkflow.abort, request, update_id)

    async def proceed(self, campaign_id: str, actor: str, reason: str, update_id: str) -> None:
        """Pass a gate that holds."""
        await self._ask(
            campaign_workflow_id(campaign_id),
            FirmwareCampaignWorkflow.proceed,
            PersonRequest(actor, reason),
            update_id,
        )

    async def extend(
        self, campaign_id: str, ends_at: datetime, actor: str, reason: str, update_id: str
    ) -> None:
        """Give a campaign a later end. Raises Conflict where it has none to move, or for an earlier one."""
        request = ExtendRequest(ends_at, actor, reason)
        await self._ask(
            campaign_workflow_id(campaign_id), FirmwareCampaignWorkflow.extend, request, update_id
        )

    async def skip_charger(
        self, campaign_id: str, charger_id: str, actor: str, reason: str, update_id: str
    ) -> None:
        """Take one charger out. Raises Conflict once something was sent to it."""
        request = SkipRequest(charger_id, actor, reason)
        await self._ask(
            campaign_workflow_id(campaign_id), FirmwareCampaignWorkflow.skip_charger, request, update_id
        )

    async def recall_charger(
        self, campaign_id: str, charger_id: str, actor: str, reason: str, update_id: str
    ) -> None:
        """Take one charger out, also while its update is under way. Raises Conflict once it installs."""
        request = SkipRequest(charger_id, actor, reason)
        await self._ask(
            campaign_workflow_id(campaign_id), FirmwareCampaignWorkflow.recall_charger, request, update_id
        )

    @in_our_words
    async def send_command(self, given: CommandInput) -> None:
        """Start a command and wait for its end, at most as long as the charger may take to answer.

        How it ended is in the store. The same id again: nothing is sent twice.
        """
        workflow_id = command_workflow_id(given.command_id)
        try:
            await self._client.start_workflow(
                ChargerCommandWorkflow.run,
                given,
                id=workflow_id,
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                static_summary=f"{given.name} to {given.charger_id}",
                search_attributes=keywords((OTA_CHARGER, given.charger_id)),
            )
        except WorkflowAlreadyStartedError:
            return
        handle = self._client.get_workflow_handle(workflow_id)
        wait = timedelta(seconds=given.deadline_seconds)
        # Too late, or over before it could be asked: the store knows.
        with suppress(WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError, Conflict):
            async with asyncio.timeout(given.deadline_seconds):
                await asked(handle.execute_update("answer", rpc_timeout=wait))

    @in_our_words
    async def retrieve_log(self, given: LogInput) -> None:
        """Start the retrieval of a log that is on record; the same request again changes nothing."""
        await start_recorded(
            self._client,
            LogRetrievalWorkflow.run,
            given,
            workflow_id=log_workflow_id(given.charger_id, given.request_id),
            summary=f"retrieve a log of {given.charger_id}",
            attributes=keywords((OTA_CHARGER, given.charger_id)),
        )

    @in_our_words
    async def start_configuration(self, configuration_id: str) -> None:
        """Start a job that is on record; one that was started already goes on, or is over."""
        await start_recorded(
            self._client,
            ConfigurationWorkflow.run,
            ConfigurationRun(configuration_id),
            workflow_id=configuration_workflow_id(configuration_id),
            summary=f"configuration {configuration_id}",
        )

    async def move_charger(self, charger_id: str, move_id: str) -> None:
        """Carry out a move that is on record, and wait for it; what became of it is in the store.

        Raises:
            Conflict: some maintenance has the charger; nothing was changed.
            EngineUnavailable: no worker answered in time; it may still be carried out.
        """
        handle = await self._start_move(charger_id, move_id)
        await outcome(
            handle,
            self._timeout,
            silence="No worker answered in time.",
            hint="Look at its moves before you ask again.",
        )

    @in_our_words
    async def _start_move(self, charger_id: str, move_id: str) -> WorkflowHandle[MoveWorkflow, MoveEnd]:
        try:
            return await self._client.start_workflow(
                MoveWorkflow.run,
                MoveInput(move_id, charger_id),
                id=charger_workflow_id(charger_id),
                task_queue=TASK_QUEUE,
                static_summary=f"move {charger_id}",
                search_attributes=keywords((OTA_CHARGER, charger_id)),
                memo={_MOVE: move_id},
            )
        except WorkflowAlreadyStartedError:
            return await self._same_move(charger_id, move_id)

    async def _same_move(self, charger_id: str, move_id: str) -> WorkflowHandle[MoveWorkflow, MoveEnd]:
        """What has the charger, if it is this very move: asked again, as after a lost answer."""
        handle: WorkflowHandle[MoveWorkflow, MoveEnd] = self._client.get_workflow_handle(
            charger_workflow_id(charger_id), result_type=MoveEnd
        )
        if (await (await handle.describe()).memo()).get(_MOVE) != move_id:
            raise Conflict("other maintenance has it just now")
        return handle

    @in_our_words
    async def log_arrived(self, charger_id: str, request_id: int) -> None:
        """A hint that an upload was taken in; nobody waiting for it is no error."""
        handle = self._client.get_workflow_handle(log_workflow_id(charger_id, request_id))
        with suppress(Conflict):
            await asked(handle.signal(LogRetrievalWorkflow.log_arrived, rpc_timeout=self._timeout))

    @in_our_words
    async def campaign_status(self, campaign_id: str) -> CampaignStatus:
        """Where a campaign is, asked of its workflow."""
        handle = self._client.get_workflow_handle(campaign_workflow_id(campaign_id))
        return await handle.query(FirmwareCampaignWorkflow.status, rpc_timeout=self._timeout)

    @in_our_words
    async def ensure_schedules(self, every: timedelta = timedelta(minutes=5)) -> None:
        """Create the schedules; one that is there already is left as it is."""
        watch = ScheduleActionStartWorkflow(
            SessionWatchWorkflow.run, SessionWatchPolicy(), id="session-watch", task_queue=TASK_QUEUE
        )
        keep = ScheduleActionStartWorkflow(HousekeepingWorkflow.run, id="housekeeping", task_queue=TASK_QUEUE)
        await self._schedule(HOUSEKEEPING_SCHEDULE, keep, every)
        records = ScheduleActionStartWorkflow(
            RecordKeepingWorkflow.run, id="record-keeping", task_queue=TASK_QUEUE
        )
        await self._schedule(RECORDS_SCHEDULE, records, every)
        await self._schedule(SESSION_WATCH_SCHEDULE, watch, timedelta(minutes=1))
        care = ScheduleActionStartWorkflow(StorageCareWorkflow.run, id="storage-care", task_queue=TASK_QUEUE)
        await self._schedule(STORAGE_CARE_SCHEDULE, care, timedelta(days=1))
        certificates = ScheduleActionStartWorkflow(
            CertificateWatchWorkflow.run, id="certificate-watch", task_queue=TASK_QUEUE
        )
        await self._schedule(CERTIFICATE_SCHEDULE, certificates, timedelta(seconds=30))
        life = ScheduleActionStartWorkflow(LifeWatchWorkflow.run, id="life-watch", task_queue=TASK_QUEUE)
        await self._schedule(LIFE_WATCH_SCHEDULE, life, timedelta(seconds=15))

    async def _schedule(self, name: str, action: ScheduleActionStartWorkflow, every: timedelta) -> None:
        try:
            await self._client.create_schedule(
                name,
                Schedule(
                    action=action,
                    spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
                    policy=SchedulePolicy(
                        overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)
                    ),
                ),
            )
        except ScheduleAlreadyRunningError:
            return
