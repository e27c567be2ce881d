# long-file: a scenario for every workflow, and the one list of them
"""Writes a history of every workflow to ``tests/replay/*.json``. Run: ``python -m tests.replay.record``.

Record anew when a workflow changes on purpose and no run of the old code can be alive; otherwise guard
the change with ``workflow.patched`` and add a history instead.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from activities.metadata import CeremonyOrder
from csms.commands import (
    AnswerStatus,
    Command,
    CommandAnswer,
    GetLog,
    PublishFirmware,
    Reset,
    ResetKind,
    UnpublishFirmware,
    UpdateFirmware,
)
from storage.artifact import ArtifactPhase, SignOff
from storage.bundle import BundleOrder
from storage.campaign import CampaignPhase, EndBehaviour, GatePolicy, Outcome, Pace, WavePlan
from storage.canonical import sha256_hex
from storage.charger import Charger, ModelProfile
from storage.codec import to_json
from storage.command import CommandRecord
from storage.configuration import ConfigurationJob
from storage.events import ConnectorStatus, FirmwareStatus
from storage.ids import TASK_QUEUE, ceremony_key, log_workflow_id
from storage.kept import OWED
from storage.log import LogRequest, LogSort, LogState, LogUpload
from storage.ownership import Move
from storage.parked import Parking
from storage.passport import PassportOrder
from storage.ports import ChargerView
from storage.provisioning import Enrolment, Origin
from storage.reports import PublishStatus, PublishStatusReported
from storage.reprovision import Reprovision, ReprovisionMode
from storage.retirement import Retirement
from storage.transfer import StoredVersion
from storage.twin import ConfigurationSection, ConnectorState, Lifecycle, OperationSection, TwinState
from storage.upkeep import SiteRules
from storage.windows import Closure, ClosureKind
from tests.integration.workflows.harness import QUICK, Harness, real_server, running, time_skipping, until
from tests.support.memory_listening import Nodes
from tests.support.memory_twins import MemoryTwins
from tests.unit.activities.world import (
    ACCEPTED,
    MODEL,
    START,
    VENDOR,
    World,
    broken,
    doubt_about,
    falls_after_rollback,
    falls_back,
    good,
    idle,
    lost_answer,
    mute,
    unheard,
)
from workflows.campaign import ROLLBACK_ROUNDS
from workflows.charger_command import CommandInput
from workflows.housekeeping import HousekeepingWorkflow
from workflows.life_watch import LifeWatchWorkflow
from workflows.log_retrieval import LogInput
from workflows.record_keeping import RecordKeepingWorkflow
from workflows.session_rules import SessionWatchPolicy
from workflows.session_watch import SessionWatchWorkflow
from workflows.storage_care import StorageCareWorkflow
from workflows.strain import HELD

FOLDER = Path(__file__).parent
SUGGEST_AFTER = ("--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=40")


def _strip(value: Any) -> None:
    """Take out what names the machine that recorded: process identities and stack traces."""
    if isinstance(value, dict):
        for name in ("identity", "stackTrace"):
            value.pop(name, None)
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _strip(inner)


class Recorder:
    """Keeps histories under a scenario's name."""

    def __init__(self, harness: Harness, scenario: str) -> None:
        self._harness = harness
        self._scenario = scenario

    async def keep(self, name: str, workflow_id: str, run_id: str | None = None) -> None:
        """Write one history."""
        handle = self._harness.client.get_workflow_handle(workflow_id, run_id=run_id)
        history = json.loads((await handle.fetch_history()).to_json())
        _strip(history)
        text = json.dumps(
            {"workflow_id": workflow_id, "history": history}, separators=(",", ":"), sort_keys=True
        )
        (FOLDER / f"{name}-{self._scenario}.json").write_text(text + "\n")

    async def keep_campaign(self, *chargers: str) -> None:
        """The campaign with its first wave and shard, and these chargers."""
        await self.keep("campaign", "campaign/c1")
        await self.keep("wave", "campaign/c1/w0")
        await self.keep("shard", "campaign/c1/w0/s0")
        for name in chargers:
            await self.keep("charger_update", f"charger/{name}")


async def good_campaign(harness: Harness, world: World, record: Recorder) -> None:
    """Two waves, the second one approved and soaked; a car defers one charger; two shards."""
    names = world.add_chargers(8, sites=4)
    world.plug_in(names[1])
    world.agenda.append((world.now + timedelta(minutes=5), lambda: world.unplug_car(names[1])))
    waves = (WavePlan("canary", 0.5, soak_seconds=3600), WavePlan("rest", 0.5, needs_approval=True))
    plan = replace(world.plan(pace=Pace(shard_size=2)), waves=waves, start_at=world.now + timedelta(hours=1))
    campaign = await world.add_campaign([names[:4], names[4:]], plan)
    await harness.start(campaign)
    await harness.until_phase(campaign, CampaignPhase.AWAITING_APPROVAL, minutes=0.1)
    await harness.until_phase(campaign, CampaignPhase.RUNNING)
    await harness.until_phase(campaign, CampaignPhase.AWAITING_APPROVAL)
    await harness.approve(campaign, "linus")
    await harness.result(campaign)
    await record.keep_campaign(names[0])


async def bad_campaign(harness: Harness, world: World, record: Recorder) -> None:
    """Two chargers fall back, one is silent: stopped and rolled back."""
    names = world.add_chargers(8)
    world.behaviours |= {names[2]: falls_back, names[3]: mute}
    campaign = await world.add_campaign([names[:5], names[5:]])
    await harness.start(campaign)
    assert await harness.result(campaign) is CampaignPhase.ROLLED_BACK
    await record.keep_campaign(names[3])
    await record.keep("charger_update", f"charger/{names[0]}")


async def troubled_campaign(harness: Harness, world: World, record: Recorder) -> None:
    """Retries, lost answers, lost signals and a reset, a pause, a hold and a person who lets it pass."""

    async def installs(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await world.report(name, FirmwareStatus.INSTALLED, command.request_id)
        return ACCEPTED

    async def second_time_lucky(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await harness.orchestrator.pause("c1", "grace", f"pause-{len(world.sent)}")
        return await (broken if len(world.updates(name)) == 1 else good)(world, name, command)

    names = world.add_chargers(5)
    world.chargers.profiles[VENDOR, MODEL] = ModelProfile(VENDOR, MODEL, needs_reset_after_install=True)
    world.behaviours |= {
        names[0]: lost_answer,
        names[1]: unheard,
        names[2]: installs,
        names[3]: second_time_lucky,
    }
    plan = world.plan(pace=Pace(window=2))
    gate = replace(plan.gate, min_attempts=9, max_looks=2)
    campaign = await world.add_campaign([names], replace(plan, gate=gate))
    await harness.start(campaign)
    for _ in range(2):
        await harness.until_phase(campaign, CampaignPhase.PAUSED)
        await harness.orchestrator.resume("c1", "grace", f"resume-{len(world.campaigns.phases)}")
    await harness.until_phase(campaign, CampaignPhase.PAUSED)
    await harness.orchestrator.proceed("c1", "grace", "these are all there are", "proceed-1")
    await harness.result(campaign)
    await record.keep_campaign()
    for number in range(4):
        await record.keep(f"charger_update_{number}", f"charger/{names[number]}")


async def aborted_campaign(harness: Harness, world: World, record: Recorder) -> None:
    """Aborted by a person in the middle of a wave, with a way back."""

    async def aborts(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if len(world.updates()) == 2:
            await harness.orchestrator.abort("c1", "grace", "smoke", True, "abort-1")
        return await good(world, name, command)

    names = world.add_chargers(5)
    world.default = aborts
    campaign = await world.add_campaign([names], world.plan(pace=Pace(window=1)))
    await harness.start(campaign)
    await harness.result(campaign)
    await record.keep_campaign(names[1])


async def publication(harness: Harness, world: World, record: Recorder) -> None:
    """Staged twice because another release came first, signed by two people each time."""
    artifact = world.add_artifact("2.0", 5, ArtifactPhase.UPLOADED)
    world.stale_publications = 1
    await harness.orchestrator.start_publication(artifact.artifact_id)
    rows = world.artifacts.rows
    for stagings in (1, 2):
        await until(
            lambda stagings=stagings: (
                world._stagings == stagings  # type: ignore[misc]
                and rows[artifact.artifact_id].phase is ArtifactPhase.AWAITING_SIGNATURES
            )
        )
        staged = world.artifacts.staged_rows[artifact.artifact_id]
        for key in ("k1", "k2"):
            sign_off = SignOff(artifact.artifact_id, staged.sha256, key, "00", f"owner of {key}", START)
            await harness.orchestrator.sign_off(sign_off)
    await until(lambda: rows[artifact.artifact_id].phase is ArtifactPhase.RELEASED)
    await record.keep("publish_artifact", f"artifact/{artifact.artifact_id}")


async def publication_with_evidence(harness: Harness, world: World, record: Recorder) -> None:
    """Judged before it is staged, and again because a piece was added while people were signing."""
    artifact = world.add_artifact("2.1", 6, ArtifactPhase.UPLOADED)
    rows, staged = world.artifacts.rows, world.artifacts.staged_rows
    await harness.orchestrator.start_publication(artifact.artifact_id)
    await until(lambda: rows[artifact.artifact_id].phase is ArtifactPhase.AWAITING_SIGNATURES)
    await harness.orchestrator.evidence_changed(artifact.artifact_id)
    await until(lambda: world._stagings == 2)
    await until(lambda: "evidence changed" in rows[artifact.artifact_id].reason)
    for key in ("k1", "k2"):
        sha256 = staged[artifact.artifact_id].sha256
        sign_off = SignOff(artifact.artifact_id, sha256, key, "00", f"owner of {key}", START)
        await harness.orchestrator.sign_off(sign_off)
    await until(lambda: rows[artifact.artifact_id].phase is ArtifactPhase.RELEASED)
    await record.keep("publish_artifact", f"artifact/{artifact.artifact_id}")


async def overtaken_publications(harness: Harness, world: World, record: Recorder) -> None:
    """Two are staged; the one that is published was doubted in vain, the other is told and staged again."""
    rows, staged = world.artifacts.rows, world.artifacts.staged_rows

    async def put_up(version: str, counter: int) -> str:
        artifact_id = world.add_artifact(version, counter, ArtifactPhase.UPLOADED).artifact_id
        await harness.orchestrator.start_publication(artifact_id)
        await until(lambda: rows[artifact_id].phase is ArtifactPhase.AWAITING_SIGNATURES)
        return artifact_id

    async def sign(artifact_id: str, *keys: str) -> None:
        for key in keys:
            sha256 = staged[artifact_id].sha256
            given = SignOff(artifact_id, sha256, key, "00", f"owner of {key}", START)
            await harness.orchestrator.sign_off(given)

    first, second = [await put_up(version, counter) for version, counter in (("2.2", 7), ("2.1", 6))]
    await sign(first, "k1")
    await harness.orchestrator.look_again(second)
    await sign(second, "k1", "k2")
    await until(lambda: staged[first].version == 3)
    await until(lambda: "published first" in rows[first].reason)
    await sign(first, "k1", "k2")
    for artifact_id in (first, second):
        await until(lambda one=artifact_id: rows[one].phase is ArtifactPhase.RELEASED)  # type: ignore[misc]
    await record.keep("publish_artifact_told", f"artifact/{first}")
    await record.keep("publish_artifact_first", f"artifact/{second}")


async def record_keeping(harness: Harness, world: World, record: Recorder) -> None:
    """One round, with a log that does not hold."""
    world.records.broken = True
    await harness.client.execute_workflow(
        RecordKeepingWorkflow.run, id="record-keeping", task_queue=TASK_QUEUE
    )
    await record.keep("record_keeping", "record-keeping")


async def housekeeping_with_logs(harness: Harness, world: World, record: Recorder) -> None:
    """One round that keeps journal and logs and tends twins; the other histories are from before it did."""


async def ceremony(harness: Harness, world: World, record: Recorder) -> None:
    """What people signed is published."""
    sha256 = sha256_hex(b"ada, grace")
    world.blobs.objects[ceremony_key(sha256)] = b"ada, grace"
    await harness.orchestrator.publish_ceremony(CeremonyOrder(sha256, "mary"))
    await record.keep("publish_ceremony", f"ceremony/{sha256}")


async def housekeeping_with_metadata(harness: Harness, world: World, record: Recorder) -> None:
    """One round that does all there is by now; the other histories are from before it did."""
    await harness.client.execute_workflow(HousekeepingWorkflow.run, id="housekeeping", task_queue=TASK_QUEUE)
    assert world.journal.rounds
    await record.keep("housekeeping", "housekeeping")


async def session_watch(harness: Harness, world: World, record: Recorder) -> None:
    """One session that its charger does not know, one that goes on, one that nobody can settle, one away."""
    names = world.add_chargers(4)
    for name in names:
        world.plug_in(name)
        world.doubts.append(doubt_about(world, name))
    world.transaction_status["t1"] = CommandAnswer(AnswerStatus.ACCEPTED, ongoing=False, queued=False)
    world.unplug(names[3])
    policy = SessionWatchPolicy(answer_seconds=0.1)
    await harness.client.execute_workflow(
        SessionWatchWorkflow.run, policy, id="session-watch", task_queue=TASK_QUEUE
    )
    await record.keep("session_watch", "session-watch")


async def storage_care(harness: Harness, world: World, record: Recorder) -> None:
    """One image that is not what was signed, and one leftover."""
    artifact, old = world.add_artifact("9.9.9", 9), datetime(2026, 1, 1, tzinfo=UTC)
    harness.bucket.due.append((artifact.artifact_id, artifact.length))
    harness.bucket.left.append(StoredVersion("ab" * 32, "v1", old, 5, latest=True))
    bad = await harness.client.execute_workflow(
        StorageCareWorkflow.run, id="storage-care", task_queue=TASK_QUEUE
    )
    assert (bad, harness.bucket.left) == (1, [])
    await record.keep("storage_care", "storage-care")


async def long_shard(harness: Harness, world: World, record: Recorder) -> None:
    """A shard that continues as new."""
    names = world.add_chargers(12)
    plan = world.plan(pace=Pace(window=2, tick_seconds=0.2, settle_seconds=0.1))
    campaign = await world.add_campaign([names], plan)
    await harness.start(campaign)
    await harness.result(campaign)
    runs = [run async for run in harness.client.list_workflows('WorkflowType = "ShardWorkflow"')]
    assert len(runs) > 1
    for number, run in enumerate(sorted(runs, key=lambda one: one.start_time)):
        await record.keep(f"shard_run_{number}", run.id, run.run_id)


async def patient_campaign(harness: Harness, world: World, record: Recorder) -> None:
    """A download that fails twice and is repeated ever later; settings that an update changed for good."""

    async def third_time_lucky(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if len(world.updates(name)) < 3:
            await world.report(name, FirmwareStatus.DOWNLOAD_FAILED, command.request_id)
            return ACCEPTED
        return await good(world, name, command)

    async def forgets(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        world.settings[name] = {"HeartbeatInterval": "86400"}
        return await good(world, name, command)

    names = world.add_chargers(4)
    world.settings[names[1]] = {"HeartbeatInterval": "60"}
    world.read_only.add("HeartbeatInterval")
    world._twin(names[1], configuration=ConfigurationSection({"HeartbeatInterval": "60"}))
    world.behaviours |= {names[0]: third_time_lucky, names[1]: forgets}
    plan = world.plan(pace=replace(QUICK, max_attempts=3))
    campaign = await world.add_campaign(
        [names], replace(plan, gate=replace(plan.gate, max_failure_share=0.5))
    )
    await harness.start(campaign)
    assert await harness.result(campaign) is CampaignPhase.COMPLETED
    assert world.campaigns.outcomes("c1")[names[1]] is Outcome.FAILED
    runs = [run async for run in harness.client.list_workflows('WorkflowType = "ShardWorkflow"')]
    for number, run in enumerate(sorted(runs, key=lambda one: one.start_time)):
        await record.keep(f"shard_run_{number}", run.id, run.run_id)
    for number in range(2):
        await record.keep(f"charger_update_{number}", f"charger/{names[number]}")


async def operator(harness: Harness, world: World, record: Recorder) -> None:
    """A restart that comes back, one that does not, a charger that is away; logs that come and do not."""
    names = world.add_chargers(4)
    world.unplug(names[2])

    async def moment(charger_id: str, command: Command) -> None:
        if isinstance(command, Reset) and charger_id == names[1]:
            world.answers[Reset] = CommandAnswer(AnswerStatus.ACCEPTED)

    world.on_send = moment
    world.chargers.profiles[VENDOR, MODEL] = ModelProfile(VENDOR, MODEL, reboot_seconds=2)
    for number, name in enumerate(names[:3]):
        reset, at = Reset(ResetKind.ON_IDLE), world.now
        asked = CommandRecord(
            f"r{number}", name, "reset", {}, "ab" * 32, "olga", at, at + timedelta(seconds=5)
        )
        await world.commands.open(asked)
        given = CommandInput(asked.command_id, name, "reset", "Reset", to_json(reset), 5.0)
        await harness.orchestrator.send_command(given)
        await harness.client.get_workflow_handle(asked.workflow_id).result()
        await record.keep(f"charger_command_{number}", asked.workflow_id)
    for number, name in enumerate(names[:2]):
        at = world.now
        await world.logs.open(
            LogRequest(number, name, LogSort.SECURITY, "sam", at, at + timedelta(seconds=3))
        )
        await harness.orchestrator.retrieve_log(LogInput(number, name, deadline_seconds=3.0))
        await until(lambda number=number: world.logs.rows[number].state is not LogState.REQUESTED)  # type: ignore[misc]
        if number == 0:
            [ticket] = world.logs.tickets
            await world.logs.add_upload(LogUpload(0, "logs/0/x", "a.log", 3, "ab" * 32, world.now), ticket)
            await harness.orchestrator.log_arrived(name, 0)
        await harness.client.get_workflow_handle(log_workflow_id(name, number)).result()
        await record.keep(f"log_retrieval_{number}", log_workflow_id(name, number))


async def configuration(harness: Harness, world: World, record: Recorder) -> None:
    """Values for three chargers, one of which is away until the time is over."""
    names = world.add_chargers(3)
    world.unplug(names[1])
    twins = world.twins
    deadline = world.now + timedelta(seconds=4)
    job = ConfigurationJob("j1", {"HeartbeatInterval": "300"}, "ada", world.now, deadline, "ab" * 32)
    await twins.open_configuration(job, names)
    await harness.orchestrator.start_configuration("j1")
    await harness.client.get_workflow_handle("configuration/j1").result()
    await record.keep("configuration", "configuration/j1")


async def bundle(harness: Harness, world: World, record: Recorder) -> None:
    """The evidence of a charger."""
    span = (world.now - timedelta(days=1), world.now)
    await harness.orchestrator.make_bundle(BundleOrder("b" * 64, "A", *span, "ada", "warranty"))
    await record.keep("bundle", f"bundle/{'b' * 64}")


async def passport(harness: Harness, world: World, record: Recorder) -> None:
    """The firmware passport of a charger."""
    del world
    await harness.orchestrator.make_passport(PassportOrder("c" * 64, "A", "ada", "warranty"))
    await record.keep("passport", f"passport/{'c' * 64}")


async def move(harness: Harness, world: World, record: Recorder) -> None:
    """A charger that changes hands."""
    view = ChargerView(Charger("A", "depot", VENDOR, MODEL), TwinState("A"))
    harness.registry._chargers.all["A"] = view
    await harness.registry.request_move(Move("m1", "A", 1, {"operator": "south"}, "ada", "sold", world.now))
    await harness.orchestrator.move_charger("A", "m1")
    await record.keep("move", "charger/A")


async def decommission(harness: Harness, world: World, record: Recorder) -> None:
    """A charger that ends at once, and one that nobody reaches; the watch starts both."""
    names = world.add_chargers(2)
    world.answers[GetLog] = CommandAnswer(AnswerStatus.REJECTED)
    world.unplug(names[1])
    for name in names:
        deadline = world.now + timedelta(seconds=3)
        await harness.retirements.open(Retirement(name, "sam", "sold", world.now, deadline))
    watch = await harness.client.start_workflow(LifeWatchWorkflow.run, id="watch", task_queue=TASK_QUEUE)
    await watch.result()
    await record.keep("life_watch", "watch")
    for number, name in enumerate(names):
        await harness.client.get_workflow_handle(f"charger/{name}").result()
        await record.keep(f"decommission_{number}", f"charger/{name}")


async def provisioning(harness: Harness, world: World, record: Recorder) -> None:
    """A charger that comes back with its own credential and fails a check, and one that is not connected."""
    names, at = world.add_chargers(2), world.now
    world.unplug(names[1])
    for name in names:
        await world.set_lifecycle(name, Lifecycle.PROVISIONING)
        harness.enrolments.rows[name] = Enrolment(
            name, Origin.BULK, "ada", at, at + timedelta(days=1), "production", profile=0
        )
        await harness.orchestrator.visit_charger(name)
        await harness.client.get_workflow_handle(f"charger/{name}").result()
    for number, name in enumerate(names):
        await record.keep(f"provisioning_{number}", f"charger/{name}")


async def ahead(harness: Harness, world: World, record: Recorder) -> None:
    """One fetches by day and waits for its order; one installs at once; what is left is called back."""

    async def waits(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if command.install_at is None:
            return await good(world, name, command)
        for word in (FirmwareStatus.DOWNLOAD_PAUSED, FirmwareStatus.SIGNATURE_VERIFIED):
            await world.report(name, word, command.request_id)
        return ACCEPTED

    async def does_not(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        await world.report(name, FirmwareStatus.INSTALLING, command.request_id)
        world.agenda.append((world.now, lambda: world.run_version(name, "1.1")))
        return ACCEPTED

    names = world.add_chargers(3)
    world.behaviours |= {names[0]: waits, names[1]: does_not, names[2]: waits}
    for name in (names[0], names[2]):
        world.plug_in(name)
    pace = replace(QUICK, download_ahead_seconds=5.0, attempt_deadline_seconds=2.0)
    closed = Closure(
        world.now - timedelta(days=1), world.now + timedelta(days=1), ClosureKind.GRID, "", "site-1"
    )
    await world.upkeep.put_closures([closed])
    campaign = await world.add_campaign([names], world.plan(pace=pace))
    await harness.start(campaign)
    await until(lambda: {row.state for row in world.parked.rows.values()} >= {Parking.FETCHED, Parking.HASTY})
    await until(lambda: len(world.parked.rows) == len(names) and world.leases.rows == {})
    world.unplug_car(names[0])
    await until(lambda: world.campaigns.outcomes("c1").get(names[0]) is Outcome.UPDATED)
    await harness.orchestrator.abort("c1", "ada", "enough", False, "abort-1")
    await harness.result(campaign)
    world.answers[UpdateFirmware] = CommandAnswer(AnswerStatus.ACCEPTED_CANCELED)
    await harness.client.execute_workflow(HousekeepingWorkflow.run, id="housekeeping", task_queue=TASK_QUEUE)
    await record.keep("housekeeping", "housekeeping")
    await record.keep("shard", "campaign/c1/w0/s0")
    await record.keep("charger_update", f"charger/{names[0]}")
    runs = [run async for run in harness.client.list_workflows('WorkflowType = "ChargerFetchWorkflow"')]
    for number, run in enumerate(sorted(runs, key=lambda one: one.id)):
        await record.keep(f"charger_fetch_{number}", run.id, run.run_id)


async def reprovision(harness: Harness, world: World, record: Recorder) -> None:
    """A charger that forgets and is parked, and one that nobody reaches in time; the watch starts both."""
    names = world.add_chargers(2)
    world.unplug(names[1])
    for name in names:
        deadline = world.now + timedelta(seconds=3)
        given = Reprovision(
            f"r-{name}", name, ReprovisionMode.RESET, "ada", "sold", world.now, deadline, "production"
        )
        await harness.reprovisions.request(given)
    watch = await harness.client.start_workflow(LifeWatchWorkflow.run, id="watch", task_queue=TASK_QUEUE)
    await watch.result()
    await record.keep("life_watch", "watch")
    for number, name in enumerate(names):
        await harness.client.get_workflow_handle(f"charger/{name}").result()
        await record.keep(f"reprovision_{number}", f"charger/{name}")


async def local_image(harness: Harness, world: World, record: Recorder) -> None:
    """A site's controller offers the image, and takes it back when it is asked the second time."""
    name, *others = world.add_chargers(4, sites=1, max_down=4)
    site = world.chargers.site_rows["site-0"]
    world.chargers.site_rows["site-0"] = replace(site, rules=SiteRules(local_controller=name))
    world.blobs.objects[sha256_hex(b"1.1")] = b"1.1"
    world.answers |= {
        PublishFirmware: ACCEPTED,
        UnpublishFirmware: CommandAnswer(AnswerStatus.DOWNLOAD_ONGOING),
    }

    asked: list[UnpublishFirmware] = []

    async def hear(_: str, command: Command) -> None:
        if isinstance(command, PublishFirmware):
            for status in (PublishStatus.DOWNLOADING, PublishStatus.PUBLISHED):
                places = ("http://192.0.2.1/image",) if status is PublishStatus.PUBLISHED else ()
                event = PublishStatusReported(status, command.request_id, places)
                await world._tell(name, event, signal=False)
        elif isinstance(command, UnpublishFirmware):
            asked.append(command)
            if len(asked) == 2:
                world.answers[UnpublishFirmware] = ACCEPTED

    world.on_send = hear
    campaign = await world.add_campaign([others], world.plan(1, pace=QUICK))
    await harness.start(campaign)
    await harness.result(campaign)
    await harness.client.get_workflow_handle("local/c1/w0/site-0").result()
    await record.keep("local_image", "local/c1/w0/site-0")
    await record.keep("shard", "campaign/c1/w0/s0")


async def paused_at_its_end(harness: Harness, world: World, record: Recorder) -> None:
    """A car keeps one charger from its update until the end comes; people move it, and it goes on."""
    names = world.add_chargers(6)
    world.plug_in(names[5])
    ends_at = await harness.env.get_current_time() + timedelta(seconds=4)
    plan = world.plan(2, pace=QUICK, end_at=ends_at, end_behaviour=EndBehaviour.PAUSE)
    campaign = await world.add_campaign([names[:3], names[3:]], plan)
    await harness.start(campaign)
    await until(lambda: world.campaigns.rows["c1"].phase is CampaignPhase.PAUSED)
    later = ends_at + timedelta(seconds=60)
    await harness.orchestrator.extend("c1", later, "ida", "the car is about to leave", "extend-1")
    world.unplug_car(names[5])
    await harness.orchestrator.resume("c1", "ida", "resume-1")
    assert await harness.result(campaign) is CampaignPhase.COMPLETED
    await record.keep_campaign()


async def stopped_at_its_end(harness: Harness, world: World, record: Recorder) -> None:
    """Its end cuts a wave short in which one failed: it is judged once more, and who failed goes back."""

    async def late(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        if world.version(name) == "1.1":
            return await good(world, name, command)
        world.agenda.append((world.now + timedelta(seconds=2), lambda: world.run_version(name, "1.1")))
        return ACCEPTED

    names = world.add_chargers(4)
    world.plug_in(names[3])
    world.behaviours[names[1]] = late
    ends_at = await harness.env.get_current_time() + timedelta(seconds=5)
    plan = world.plan(1, pace=replace(QUICK, max_attempts=1, attempt_deadline_seconds=1.0))
    plan = replace(
        plan,
        end_at=ends_at,
        end_behaviour=EndBehaviour.ROLL_BACK_FAILED,
        gate=replace(plan.gate, max_failure_share=0.9),
    )
    campaign = await world.add_campaign([names], plan)
    await harness.start(campaign)
    assert await harness.result(campaign) is CampaignPhase.ABORTED
    assert world.version(names[1]) == "1.0"
    await record.keep_campaign()


async def strained(harness: Harness, world: World, record: Recorder) -> None:
    """Signals are late, so nothing begins; then it goes on, but for one whose wave ends before."""
    names = world.add_chargers(3)
    world.plug_in(names[2])
    world.events.late = 60.0
    pace = replace(QUICK, wave_deadline_seconds=8.0)
    campaign = await world.add_campaign([names], world.plan(1, pace=pace))
    await harness.start(campaign)
    await until(lambda: sum(row.reason.startswith(HELD) for row in world.campaigns.target_rows.values()) == 2)
    world.events.late = 0.0
    await until(lambda: list(world.campaigns.outcomes("c1").values()).count(Outcome.UPDATED) == 2)
    world.events.late = 60.0
    world.unplug_car(names[2])
    await until(lambda: world.campaigns.outcomes("c1")[names[2]] is Outcome.DEFERRED)
    await record.keep("shard", "campaign/c1/w0/s0")


Scenario = Callable[[Harness, World, Recorder], Awaitable[None]]
SKIPPING: tuple[Scenario, ...] = (good_campaign, bad_campaign, troubled_campaign, aborted_campaign)


async def _updated(harness: Harness, world: World, record: Recorder, name: str, pace: Pace) -> None:
    """A campaign of one charger, aborted once that is updated; its own history is kept."""
    await harness.start(campaign := await world.add_campaign([[name]], world.plan(pace=pace)))
    await until(lambda: world.campaigns.outcomes("c1").get(name) is Outcome.UPDATED)
    await harness.orchestrator.abort("c1", "ada", "enough", False, "abort-1")
    await harness.result(campaign)
    await record.keep("charger_update", f"charger/{name}")


async def steady(harness: Harness, world: World, record: Recorder) -> None:
    """A charger boots with its version, loses its connection, boots once more, and then stays up."""

    async def loops(world: World, name: str, command: UpdateFirmware) -> CommandAnswer:
        world.tasks.append(asyncio.create_task(boot_again(name)))
        return ACCEPTED

    async def boot_again(name: str) -> None:
        version = world.sent_version(name)
        await world.boot(name, version)
        for boots in (False, True):
            await asyncio.sleep(0.3)
            route = world.routes.rows[name]
            world.routes.rows[name] = replace(route, session_epoch=route.session_epoch + 1)
            if boots:
                await world.boot(name, version)

    names = world.add_chargers(1)
    world.default = loops
    pace = replace(QUICK, steady_seconds=1.0)
    await _updated(harness, world, record, names[0], pace)


async def closed_before(harness: Harness, world: World, record: Recorder) -> None:
    """Its operator has closed it, so nothing is taken from it; its node says that it stayed up."""
    [name] = world.add_chargers(1)
    world.default = good
    closed = ConnectorState(1, 1, ConnectorStatus.UNAVAILABLE, START)
    world._twin(name, operation=OperationSection({"1.1": closed}))
    pace = replace(QUICK, steady_seconds=0.5)
    await _updated(harness, world, record, name, pace)


async def late_version(harness: Harness, world: World, record: Recorder) -> None:
    """The version of an attempt that failed comes up while the next one begins."""
    [name] = world.add_chargers(1)
    world.behaviours[name] = broken

    def late(name: str) -> None:
        if world.updates(name):
            world.run_version(name, "1.1")

    world.on_settle = late
    pace = replace(QUICK, max_attempts=2)
    await _updated(harness, world, record, name, pace)


async def absence(harness: Harness, world: World, record: Recorder) -> None:
    """No node listens when the deadline passes; the charger proves its version once one does again."""
    [name] = world.add_chargers(1)
    world.default = idle
    nodes = Nodes(world)
    pace = replace(QUICK, attempt_deadline_seconds=20.0)
    await harness.start(campaign := await world.add_campaign([[name]], world.plan(pace=pace)))
    await until(lambda: bool(world.updates()))
    nodes.fall(name)
    await until(lambda: nodes.looks > 2)  # after the deadline, again and again
    world.tick(await harness.env.get_current_time())
    nodes.rise()
    seen = nodes.looks
    await until(lambda: nodes.looks > seen + 1)
    await world.boot(name, "1.1", signal=False)
    await until(lambda: world.campaigns.outcomes("c1").get(name) is Outcome.UPDATED)
    await harness.orchestrator.abort("c1", "ada", "enough", False, "abort-1")
    await harness.result(campaign)
    await record.keep("charger_update", f"charger/{name}")


async def late_settings(harness: Harness, world: World, record: Recorder) -> None:
    """Two count by a look at their twins: one is compared, of which its wave hears, and one fell back."""
    one, other, car = world.add_chargers(3)
    world.plug_in(car)
    for name in (one, other):
        world._twin(name, configuration=ConfigurationSection({"HeartbeatInterval": "60"}))
        world.settings[name] = {"HeartbeatInterval": "60"}
        world.behaviours[name] = broken
    pace = replace(QUICK, max_attempts=2, retry_backoff_seconds=2.0)
    plan = replace(world.plan(1, pace=pace), gate=GatePolicy(max_failure_share=0.9, hold_seconds=0.2))
    await harness.start(campaign := await world.add_campaign([[one, other, car]], plan))
    rows = world.campaigns.target_rows
    for name in (one, other):
        await until(lambda of=name: rows["c1", 0, of].reason.startswith("attempt 1 failed"))  # type: ignore[misc]
        world.settings[name] = {"HeartbeatInterval": "1"}
        world.run_version(name, "1.1")
    await until(lambda: sum(OWED in row.reason for row in rows.values()) == 2)
    world.read_only.add("HeartbeatInterval")
    world.run_version(other, "1.0")
    await harness.client.execute_workflow(HousekeepingWorkflow.run, id="housekeeping", task_queue=TASK_QUEUE)
    await harness.client.get_workflow_handle(f"charger/{one}").result()
    assert not any(OWED in row.reason for row in rows.values())
    await harness.orchestrator.abort("c1", "ada", "enough", False, "abort-1")
    await harness.result(campaign)
    for name, workflow_id in (("housekeeping", "housekeeping"), ("late_settings", f"charger/{one}")):
        await record.keep(name, workflow_id)
    await record.keep("wave", "campaign/c1/w0")
    await record.keep("shard", "campaign/c1/w0/s0")


async def falls_again(harness: Harness, world: World, record: Recorder) -> None:
    """A bad release is taken back in three rounds, and one falls back to it after each."""
    names = world.add_chargers(4)
    world.behaviours[names[3]] = broken
    falls_after_rollback(world, names[0], ROLLBACK_ROUNDS)
    plan = replace(world.plan(pace=QUICK), gate=GatePolicy(max_failure_share=0.001, hold_seconds=0.2))
    await harness.start(campaign := await world.add_campaign([names], plan))
    assert await harness.result(campaign) is CampaignPhase.FAILED
    await record.keep("campaign", "campaign/c1")


REAL: tuple[Scenario, ...] = (
    publication,
    publication_with_evidence,
    overtaken_publications,
    record_keeping,
    housekeeping_with_logs,
    ceremony,
    housekeeping_with_metadata,
    operator,
    session_watch,
    storage_care,
    configuration,
    bundle,
    passport,
    move,
    decommission,
    provisioning,
    reprovision,
    long_shard,
    patient_campaign,
    ahead,
    local_image,
    paused_at_its_end,
    stopped_at_its_end,
    strained,
    steady,
    closed_before,
    late_version,
    absence,
    late_settings,
    falls_again,
)


async def record(scenario: Scenario, environment: Any) -> None:
    """Play one scenario and write what it left."""
    world = World()
    world.twins = MemoryTwins(world.chargers)
    async with environment as env, running(env, world) as harness:
        await scenario(harness, world, Recorder(harness, scenario.__name__))


async def main() -> None:
    """Record everything anew, or the real scenarios named on the command line alone."""
    if names := sys.argv[1:]:
        for scenario in (one for one in REAL if one.__name__ in names):
            await record(scenario, real_server(*SUGGEST_AFTER))
        return
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for scenario in SKIPPING:
        await record(scenario, time_skipping())
    for scenario in REAL:
        await record(scenario, real_server(*SUGGEST_AFTER))
    sys.stdout.write(f"{len(list(FOLDER.glob('*.json')))} histories\n")


if __name__ == "__main__":
    asyncio.run(main())
