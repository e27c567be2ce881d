# long-file: one campaign's stage, its processes, people and disasters, in the order in which they come
"""One campaign from its first approval to the last charger that is put back, in simulated time.

The workflows, the activities, the projection of events and the gate are the product's own. Played are: the
Temporal server (``temporal``), the stores (``stores``), the sockets (``wires``), the chargers (``station``),
and the signatures: directives and images carry a seal instead, every other rule of the proof is asked.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

from activities.campaigns import CampaignActivities
from activities.chargers import ChargerActivities
from activities.dispatch import DispatchActivities
from activities.fetching import FetchActivities
from activities.fleet import FleetActivities
from activities.health import HealthActivities
from activities.late_settings import LateFacts
from activities.local_images import LocalImageActivities, LocalImageSender
from activities.log_keeping import LogRound
from activities.orders import Node
from activities.parking import ParkingActivities
from activities.signer import SignerActivities
from activities.stores import Stores
from activities.tickets import TicketOffice
from csms.commands import PublishFirmware, UpdateFirmware
from signing.ledger import UseLedger
from signing.release import release_of
from storage.artifact import ArtifactPhase
from storage.audit import AuditEntry
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    EndBehaviour,
    GatePolicy,
    Pace,
    Target,
    WavePlan,
)
from storage.canonical import sha256_hex
from storage.charger import Charger, ChargerFilter, ModelProfile, Site, SiteLease
from storage.halt import EVERYTHING, Halt, Vote
from storage.ids import (
    SIGNER_QUEUE,
    TASK_QUEUE,
    campaign_workflow_id,
    charger_workflow_id,
    node_queue,
)
from storage.journal import JournalRound
from storage.plan_digest import plan_digest
from storage.ports import ChargerView
from storage.twin import Lifecycle, TwinState
from storage.upkeep import SiteRules, Upkeep
from storage.windows import Closure, ClosureKind
from storage.withdrawal import Source, Withdrawal, artifact_subject
from tests.safety.calls import Deeds
from tests.safety.clockwork import SimulatedLoop, Stuck
from tests.safety.controller import Controller
from tests.safety.processes import Port, Process, Trouble
from tests.safety.referee import Referee, Violation
from tests.safety.scenario import Act, Scenario
from tests.safety.seals import SEAL, Images, Signer, Verifier, artifact_id_of, image
from tests.safety.station import MODEL, SLOW_MODEL, VENDOR, Nature, Station
from tests.safety.stores import Books
from tests.safety.temporal import Refused, Temporal, Unknown
from tests.safety.wires import Hall, Noise
from workflows.campaign import FirmwareCampaignWorkflow
from workflows.charger_fetch import ChargerFetchWorkflow
from workflows.charger_update import ChargerUpdateWorkflow
from workflows.housekeeping import HousekeepingWorkflow
from workflows.local_image import LocalImageWorkflow
from workflows.messages import CampaignInput
from workflows.shard import ShardWorkflow
from workflows.signals import (
    CHARGER_EVENT,
    AbortRequest,
    ChargerSignal,
    ExtendRequest,
    PersonRequest,
    SkipRequest,
)
from workflows.wave import WaveWorkflow

BEGINS = 60.0
LONGEST = 12 * 3600.0
ROUND_S = 600.0
"""Between two rounds of housekeeping."""
HEALING_ROUNDS = 48
PEOPLE = ("grace", "hedy", "ida")
NODES = ("node-1", "node-2")


@workflow.defn
class OtherMaintenance:
    """Somebody else's work on a charger, under the same lock."""

    @workflow.run
    async def run(self, seconds: float) -> None:
        await workflow.sleep(seconds)


@dataclass(slots=True)
class Report:
    """What became of one campaign."""

    seed: int
    violations: list[Violation] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    phases: tuple[str, ...] = ()
    seconds: float = 0.0
    """Simulated."""


class Simulation:
    """One scenario, played."""

    def __init__(self, scenario: Scenario, longest: float = LONGEST) -> None:
        self.scenario = scenario
        self.longest = longest
        self.loop = SimulatedLoop()
        self.rng = random.Random(scenario.seed ^ 0x5AFE)
        self.injected: Counter[str] = Counter()
        self.books = Books(self.loop.instant)
        sites = sorted({nature.site for nature in scenario.natures})
        self.referee = Referee(self.loop, self.books, dict.fromkeys(sites, scenario.max_down))
        self.referee.feeder_kw = scenario.feeder_kw
        self.referee.steady_seconds = scenario.steady_seconds
        self.referee.attempt_seconds = scenario.attempt_seconds
        self.temporal = Temporal(
            self.loop,
            self.rng,
            (
                FirmwareCampaignWorkflow,
                WaveWorkflow,
                ShardWorkflow,
                ChargerUpdateWorkflow,
                ChargerFetchWorkflow,
                LocalImageWorkflow,
                HousekeepingWorkflow,
                OtherMaintenance,
            ),
            self.referee.broken,
        )
        self.temporal.counted = self.injected
        self.temporal.long_history = scenario.long_history
        odds = scenario.odds
        self.trouble = Trouble(self.rng, self.count, odds.store_away, odds.reply_lost, odds.store_slow)
        self.noise = Noise(
            self.rng,
            self.count,
            odds.command_lost,
            odds.answer_lost,
            odds.message_repeated,
            odds.commit_slow,
        )
        self.processes: dict[str, Process] = {}
        self.ledgers = {node_id: UseLedger() for node_id in NODES}
        self.signed_releases: dict[str, Any] = {}
        self.relay_away_until = 0.0
        self.dark_until = 0.0
        """Our whole system is switched off before this instant."""
        self.healed = False
        self.campaigns: list[str] = []
        self._relaying: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def count(self, what: str) -> None:
        self.injected[what] += 1

    # --- the stage -------------------------------------------------------------------------------

    def play(self) -> Report:
        """All of it. Never raises for what the engine does."""
        try:
            self.loop.run(self._play())
        except Stuck as error:
            self.referee.broken("everything stands still", str(error))
        for text in self.loop.unexpected:
            self.referee.broken("unexpected error", text)
        report = Report(self.scenario.seed, self.referee.violations, list(self.referee.trace))
        report.injected, report.seen = self.injected, self.referee.seen
        report.seconds = self.loop.time()
        report.phases = tuple(self.books.campaigns.rows[name].phase.value for name in self.campaigns)
        report.outcomes = Counter(
            row.outcome.value if row.outcome else "none" for row in self.books.campaigns.target_rows.values()
        )
        return report

    async def _play(self) -> None:
        self.hall = Hall(self.loop, self.rng, self.books, self.noise)
        self.hall.left = self.referee.left
        self.books.campaigns.watch = self.referee.moved
        self.books.ingest.filled = self._relay_for
        self.temporal.calls.disturb = self._disturb
        self._found_companies()
        self._begin_worker()
        for node_id in NODES:
            self._begin_node(node_id, Process(node_id))
        self._begin_signer(Process("signer"))
        self._plug_in()
        await asyncio.sleep(BEGINS)
        await self._launch()
        for act in self.scenario.acts:
            self.loop.call_at(BEGINS + act.at, self._do, act)
        self._go(self._keep_house())
        for name in self.campaigns:
            self._go(self._mind(name))
        await self._until_over()
        await self._heal()
        self.referee.judge_end(self.campaigns)
        for run in self.temporal.all:
            run.drop()

    def _go(self, work: Any) -> asyncio.Task[Any]:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _until_over(self) -> None:
        ends = [self.temporal.end_of(campaign_workflow_id(name)) for name in self.campaigns]
        with suppress(TimeoutError):
            async with asyncio.timeout(self.longest):
                await asyncio.gather(*ends)

    async def _heal(self) -> None:
        """All trouble ends; then housekeeping has time to put right what is left."""
        self.healed = True
        trouble, noise = self.trouble, self.noise
        trouble.refuse = trouble.lose_reply = trouble.slow = trouble.away_until = 0.0
        self._heed()
        noise.lose_command = noise.lose_answer = noise.repeat = noise.slow_commit = 0.0
        for number in range(HEALING_ROUNDS):
            await asyncio.sleep(ROUND_S)
            if number > 0 and not self._open_ends():
                return

    def _open_ends(self) -> bool:
        """Whether housekeeping still has something to put right."""
        books, stations = self.books, self.referee.stations
        out = [stations[name] for name in (*books.out_of_service.rows, *books.parked.unwanted())]
        return bool(books.leases.rows) or any(each.line is not None and not each.dead for each in out)

    # --- processes -------------------------------------------------------------------------------

    def _stores(self, process: Process) -> Stores:
        def port(target: Any) -> Any:
            return Port(target, process, self.trouble)

        books = self.books
        return Stores(
            chargers=port(books.chargers),
            campaigns=port(books.campaigns),
            artifacts=port(books.artifacts),
            routes=port(books.routes),
            leases=port(books.leases),
            out_of_service=port(books.out_of_service),
            events=port(books.events),
            tickets=port(books.tickets),
            twins=port(books),
            audit=port(books.audit),
            commands=port(books.commands),
            logs=port(books.logs),
            ingest=port(books.ingest),
            halts=port(books.halts),
            withdrawals=port(books.withdrawals),
            health=port(books.health),
            upkeep=port(books.upkeep),
            penalties=port(books.penalties),
            learned=port(books.learned),
            kept=port(books.kept),
            parked=port(books.parked),
            publications=port(books.publications),
            clock=self.loop.instant,
        )

    def _begin_worker(self) -> None:
        process = self.temporal.worker
        self.processes["worker"] = process
        stores = self._stores(process)
        campaigns, fleet = CampaignActivities(stores), FleetActivities(stores)
        chargers, health = ChargerActivities(stores), HealthActivities(stores)
        parking = ParkingActivities(stores)
        deeds = _deeds(
            campaigns.load_campaign,
            campaigns.set_campaign_phase,
            campaigns.record_approval,
            campaigns.record_decision,
            campaigns.close_targets,
            campaigns.skip_target,
            campaigns.extend_campaign,
            campaigns.recall_target,
            campaigns.add_rehearsal_targets,
            campaigns.skip_segment,
            campaigns.add_rollback_targets,
            campaigns.measure_rollback,
            fleet.measure_eligibility,
            fleet.move_targets,
            fleet.measure_wave,
            fleet.measure_cohort,
            fleet.measure_attempts,
            health.measure_health,
            chargers.resolve_route,
            chargers.reconcile_update,
            chargers.note_recall,
            chargers.wait_longer,
            chargers.close_update,
            chargers.sweep_leases,
            chargers.find_stranded,
            parking.note_haste,
            parking.conclude_fetch,
            parking.find_parked,
        )
        local = LocalImageActivities(stores, Port(Images(), process, self.trouble))  # type: ignore[arg-type]
        deeds |= _deeds(
            local.open_local_image,
            local.reconcile_local_image,
            local.settle_local_image,
            local.count_local_targets,
        )
        deeds |= dict.fromkeys(_NOT_PLAYED, _nothing) | {"keep_journal": _kept, "keep_logs": _logs}
        deeds["find_late"] = _nobody
        self.temporal.calls.local = deeds
        self.temporal.calls.serve(TASK_QUEUE, process, deeds)

    def _heed(self) -> None:
        """Whether any node listens now, for who writes it down and for the referee."""
        now, nodes = self.loop.time(), [self.processes[name] for name in NODES if name in self.processes]
        up = any(each.alive and each.frozen_until <= now for each in nodes)
        yes = up and now >= self.trouble.away_until
        self.books.routes.listens(yes=yes)
        self.referee.listens(yes=yes)

    def _begin_node(self, node_id: str, process: Process) -> None:
        self.processes[node_id] = process
        self._heed()
        end = self.hall.add(node_id, process)
        stores = self._stores(process)
        office = TicketOffice(stores.tickets, self.rng.randbytes, "https://api.example", self.loop.instant)
        verifier = Port(Verifier(self.signed_releases), process, self.trouble)
        node = Node(
            stores,
            end,
            verifier,  # type: ignore[arg-type]
            office,
            uses=self.ledgers[node_id],
            loop_late=lambda: process.late(self.loop.time()),
        )
        deeds, fetching, local = DispatchActivities(node), FetchActivities(node), LocalImageSender(node)
        self.temporal.calls.serve(
            node_queue(node_id, end.boot_id),
            process,
            _deeds(
                deeds.dispatch_update,
                deeds.reset_charger,
                deeds.recall_update,
                deeds.conclude_update,
                deeds.put_back_charger,
                fetching.order_fetch,
                fetching.call_back_image,
                local.publish_locally,
                local.unpublish_locally,
            ),
        )

    def _begin_signer(self, process: Process) -> None:
        self.processes["signer"] = process
        signer = Port(Signer(), process, self.trouble)
        activities = SignerActivities(
            self._stores(process),
            signer,  # type: ignore[arg-type]
            lambda: f"{self.rng.getrandbits(128):032x}",
        )
        self.temporal.calls.serve(
            SIGNER_QUEUE, process, _deeds(activities.sign_directive) | {"refresh_metadata": _fresh}
        )

    def _kill(self, name: str, seconds: float) -> None:
        process = self.processes[name]
        if not process.alive or self.healed:
            return
        self.count(f"kill -9 of a {name.partition('-')[0]}")
        self.referee.note(f"kill -9 {name} for {seconds:.1f} s")
        if name == "worker":
            self.temporal.kill_worker()
        else:
            process.kill()
            self._heed()
        self.loop.call_later(seconds, self._rise, name)

    def _switch_off(self, seconds: float) -> None:
        """The machine that all of it runs on."""
        self.count("our whole system away")
        self.dark_until = self.loop.time() + seconds
        for name in ("worker", *NODES, "signer"):
            self._kill(name, seconds)

    def _rise(self, name: str) -> None:
        if self.loop.time() < self.dark_until:
            self.loop.call_at(self.dark_until, self._rise, name)
            return
        self.referee.note(f"{name} is up again")
        if name == "worker":
            self.temporal.raise_worker()
            self._begin_worker()
        elif name == "signer":
            self._begin_signer(self.processes[name].rise())
        else:
            self._begin_node(name, self.processes[name].rise())

    def _disturb(self, activity_type: str, process: Process) -> float:
        """Now and then the process of an activity dies while it is at it."""
        share = self.scenario.odds.killed_at_work
        if share and self.rng.random() < share and not self.healed:
            after = self.rng.uniform(0.0, self.rng.choice((0.02, 0.1, 0.6)))
            self.loop.call_later(after, self._kill, process.name, self.rng.uniform(0.5, 40.0))
            self.count(f"killed within {activity_type}")
        return 0.0

    # --- the relay -------------------------------------------------------------------------------

    def _relay_for(self, charger_id: str) -> None:
        if charger_id not in self._relaying:
            self._relaying.add(charger_id)
            self._go(self._relay(charger_id))

    async def _relay(self, charger_id: str) -> None:
        """One charger's signals in order, at least once."""
        box, odds = self.books.ingest.outbox[charger_id], self.scenario.odds
        while box:
            event, workflow_id, route = box[0]
            pause = self.rng.uniform(0.002, 0.1)
            if odds.signal_late and self.rng.random() < odds.signal_late and not self.healed:
                self.count("signal late")
                pause = self.rng.choice((self.rng.uniform(1, 30), self.rng.uniform(30, 1500)))
            await asyncio.sleep(max(pause, self.relay_away_until - self.loop.time()))
            hint = ChargerSignal(
                event.sequence,
                event.kind.value,
                event.body,
                event.received_at,
                route.node_id,
                route.boot_id,
                route.session_epoch,
            )
            with suppress(Unknown):
                self.temporal.signal(workflow_id, CHARGER_EVENT, hint)
                if odds.signal_repeated and self.rng.random() < odds.signal_repeated:
                    self.count("signal repeated")
                    self.temporal.signal(workflow_id, CHARGER_EVENT, hint)
            box.popleft()
        self._relaying.discard(charger_id)

    # --- fleet and campaigns ---------------------------------------------------------------------

    def _found_companies(self) -> None:
        for version, counter in (("1.0", 1), ("1.1", 2), ("1.2", 3)):
            artifact = image(version, counter)
            self.books.artifacts.rows[artifact.artifact_id] = artifact
            self.signed_releases[artifact.target_path] = release_of(artifact)
        for model in (MODEL, SLOW_MODEL):
            profile = ModelProfile(VENDOR, model, needs_reset_after_install=model == SLOW_MODEL)
            self.books.chargers.profiles[VENDOR, model] = profile
        given = self.scenario
        for site, most in self.referee.max_down.items():
            rules = SiteRules(
                feeder="feeder" if given.feeder_kw else None,
                feeder_kw=given.feeder_kw or None,
                local_controller=f"LC-{site}" if given.controller else None,
            )
            self.books.chargers.site_rows[site] = Site(site, site, "Europe/Berlin", most, rules)
            self.books.leases.max_down[site] = most
        if given.closed_seconds:
            kind = ClosureKind.FREEZE if given.frozen else ClosureKind.GRID
            self._close_sites(BEGINS + given.closed_seconds, kind)

    def _close_sites(self, seconds: float, kind: ClosureKind) -> None:
        now, closed = self.loop.instant(), self.books.upkeep.closed
        name = f"c{len(closed) + 1}"
        closed[name] = Closure(now, now + timedelta(seconds=seconds), kind, "not now", closure_id=name)
        self.count(f"sites closed: {kind.value}")

    def _install_controllers(self) -> None:
        if not self.scenario.controller:
            return
        for site in self.referee.max_down:
            controller = Controller(
                Nature(f"LC-{site}", site),
                random.Random(f"{self.scenario.seed}/LC-{site}"),
                "1.0",
                self._version_behind,
                self.referee.happened,
                lambda each: self.hall.dial(each, restarted=True),
                mood=self.scenario.controller,
            )
            self._register(controller)
            self.referee.controllers[controller.name] = controller
            self.count("local controller")

    def _register(self, station: Station) -> None:
        name, nature = station.name, station.nature
        charger = Charger(name, nature.site, VENDOR, station.model, Lifecycle.ACTIVE)
        self.books.chargers.rows[name] = ChargerView(charger, TwinState(name))
        if nature.power_kw:
            self.books.upkeep.said[name] = Upkeep(name, power_kw=nature.power_kw)
        self.hall.dial(station, restarted=True)

    def _plug_in(self) -> None:
        for nature in self.scenario.natures:
            station = Station(
                nature,
                random.Random(f"{self.scenario.seed}/{nature.name}"),
                "1.0",
                self._version_behind,
                self.referee.happened,
                lambda each: self.hall.dial(each, restarted=True),
            )
            self._register(station)
            self.referee.stations[nature.name] = station
        self._install_controllers()

    def _version_behind(self, command: UpdateFirmware | PublishFirmware) -> str | None:
        """What a charger gets from the address; None: nothing is there, or its ticket holds no more."""
        for controller in self.referee.controllers.values():
            if command.location in controller.announced:
                return controller.offers.get(command.location)
        ticket = sha256_hex(command.location.rpartition("/")[2].encode())
        now = self.loop.instant()
        for row in self.books.tickets.rows:
            if row.ticket_sha256 == ticket and not row.revoked and row.not_before <= now < row.expires_at:
                return self.books.artifacts.rows[row.artifact_sha256].version
        self.count("download refused")
        return None

    async def _launch(self) -> None:
        for station in self.referee.stations.values():
            self._go(station.live())
            if station.nature.offline_until and station.line is not None:
                self.count("charger away at the start")
                station.line.broken()  # type: ignore[attr-defined]
                self.hall.dial(station)
        await self._begin_campaign("c1", "1.1", list(self.scenario.chargers), 0.0)
        if self.scenario.chain:
            self.count("campaign that follows another")
            await self._begin_campaign("c2", "1.2", list(self.scenario.chargers), 5.0)
        elif self.scenario.rival:
            some = [name for name in self.scenario.chargers if self.rng.random() < 0.7]
            if some:
                self.count("rival campaign")
                await self._begin_campaign("c2", "1.2", some, self.rng.uniform(0, 200))

    async def _begin_campaign(self, name: str, version: str, chargers: list[str], later: float) -> None:
        plan = self._plan(name, version)
        waves = [chargers[wave :: len(plan.waves)] for wave in range(len(plan.waves))]
        plan = replace(plan, waves=plan.waves[: max(1, sum(bool(wave) for wave in waves))])
        waves = [wave for wave in waves if wave]
        stations = self.referee.stations
        targets = [
            Target(name, wave, place, each, stations[each].nature.site, plan.artifact_id, "1.0", version)
            for wave, members in enumerate(waves)
            for place, each in enumerate(members)
        ]
        digest = plan_digest(plan, waves)
        campaign = Campaign(
            name, plan, digest, CampaignPhase.DRAFT, "ada", self.loop.instant(), cohort_size=len(targets)
        )
        await self.books.campaigns.create(campaign, targets)
        self.campaigns.append(name)
        self._go(self._submit(campaign, later))

    def _plan(self, name: str, version: str) -> CampaignPlan:
        given = self.scenario
        gate = GatePolicy(
            max_failure_share=given.max_failure_share,
            min_attempts=given.min_attempts,
            max_excess_fault_share=1.0,
            max_excess_offline_share=1.0,
            early_stop_failures=given.early_stop,
            hold_seconds=60.0,
            max_looks=3,
        )
        pace = Pace(
            shard_size=given.shard_size,
            window=given.window,
            tick_seconds=20.0,
            wave_deadline_seconds=given.wave_seconds,
            attempt_deadline_seconds=given.attempt_seconds,
            max_attempts=given.max_attempts,
            retry_backoff_seconds=60.0,
            settle_seconds=30.0,
            ticket_seconds=1800.0,
            download_ahead_seconds=given.ahead_seconds or None,
            steady_seconds=given.steady_seconds or None,
        )
        waves = tuple(
            WavePlan(
                f"w{wave}",
                1 / given.waves,
                soak_seconds=300.0 if given.soak else 0.0,
                needs_approval=given.needs_approval and wave > 0,
            )
            for wave in range(given.waves)
        )
        return CampaignPlan(
            name=name,
            artifact_id=artifact_id_of(version),
            targets=ChargerFilter(),
            waves=waves,
            gate=gate,
            pace=pace,
            rollback_artifact_id=artifact_id_of("1.0") if given.rollback else None,
            rehearse_rollback=given.rehearse or None,
            end_at=self.loop.instant() + timedelta(seconds=given.end_seconds) if given.end_seconds else None,
            end_behaviour=EndBehaviour(given.end_behaviour or "stop") if given.end_seconds else None,
            seed=given.seed,
            after="c1" if given.chain and name == "c2" else None,
        )

    async def _submit(self, campaign: Campaign, later: float) -> None:
        await asyncio.sleep(later)
        name = campaign.campaign_id
        self.temporal.begin("FirmwareCampaignWorkflow", campaign_workflow_id(name), CampaignInput(name))
        for actor in PEOPLE[: campaign.plan.approvals_needed]:
            await asyncio.sleep(self.rng.uniform(0.1, 5.0))
            await self._approve(name, actor, campaign.plan_digest, "start")

    async def _approve(self, name: str, actor: str, digest: str, what: str) -> None:
        approval = Approval(actor, self.loop.instant(), digest)
        await self._ask(name, "approve", approval, f"{name}-approve-{actor}-{what}")

    # --- people ----------------------------------------------------------------------------------

    async def _ask(self, name: str, update: str, argument: Any, update_id: str = "") -> bool:
        """One person's request; whether it was granted."""
        update_id = update_id or f"{name}-{update}-{self.loop.time():.3f}"
        try:
            await self.temporal.update(campaign_workflow_id(name), update, update_id, argument)
        except (Unknown, Refused) as error:
            self.referee.note(f"{update} of {name} was refused: {error}")
            return False
        self.count(f"person: {update}")
        self.referee.note(f"{update} of {name} was acknowledged")
        return True

    async def _mind(self, name: str) -> None:
        """People look after a campaign: wave approvals, and what a gate leaves to them."""
        while True:
            await asyncio.sleep(self.rng.uniform(60, 400))
            campaign = self.books.campaigns.rows[name]
            reason = campaign.reason
            waits = campaign.phase in (CampaignPhase.PAUSED, CampaignPhase.AWAITING_APPROVAL)
            if waits and campaign.over(self.loop.instant()):
                await self._too_late(name)
            elif campaign.phase is CampaignPhase.AWAITING_APPROVAL and "wave" in reason:
                for actor in PEOPLE:
                    await self._approve(name, actor, campaign.plan_digest, f"wave-{reason}")
            elif campaign.phase is CampaignPhase.PAUSED and "a person has to decide" in reason:
                await self._decide(name)
            elif campaign.phase is CampaignPhase.PAUSED and self.loop.time() > BEGINS + 7200:
                await self._resume(name)

    async def _decide(self, name: str) -> None:
        if self.rng.random() < 0.5:
            await self._ask(name, "proceed", PersonRequest("grace", "it looks fine to me"))
            if self.books.campaigns.rows[name].phase is CampaignPhase.PAUSED:
                await self._resume(name)
        else:
            rollback = self.scenario.rollback and self.rng.random() < 0.6
            await self._abort(name, rollback=rollback)

    async def _too_late(self, name: str) -> None:
        """Its end came, and a person has to say what now."""
        if self.rng.random() < 0.5:
            await self._extend(name, self.rng.uniform(600, 5400))
            await self._resume(name)
        else:
            await self._abort(name, rollback=self.scenario.rollback and self.rng.random() < 0.5)

    async def _extend(self, name: str, seconds: float) -> None:
        ends_at = self.books.campaigns.rows[name].ends_at
        later = max(self.loop.instant(), ends_at or self.loop.instant()) + timedelta(seconds=seconds)
        await self._ask(name, "extend", ExtendRequest(later, "ida", "we need more time"))

    async def _recall(self, name: str, charger_id: str) -> None:
        if await self._ask(name, "recall_charger", SkipRequest(charger_id, "ida", "a technician is there")):
            self.referee.recalled.setdefault((name, charger_id), self.loop.time())

    async def _abort(self, name: str, *, rollback: bool) -> None:
        if await self._ask(name, "abort", AbortRequest("hedy", "enough", rollback)):
            self.referee.stopped[name] = self.loop.time()

    async def _pause(self, name: str) -> None:
        if await self._ask(name, "pause", PersonRequest("ida")):
            self.referee.paused.setdefault(name, self.loop.time())

    async def _resume(self, name: str) -> None:
        """From the moment it is asked it may be obeyed; a pause that was asked before it is over then."""
        before = self.referee.paused.pop(name, None)
        if await self._ask(name, "resume", PersonRequest("ida")):
            self.referee.paused.pop(name, None)
        elif before is not None:
            self.referee.paused[name] = before

    # --- what happens ----------------------------------------------------------------------------

    def _do(self, act: Act) -> None:
        if self.healed:
            return
        self.referee.note(f"** {act}")
        what, _, whom = act.what.partition(" ")
        deeds: dict[str, Callable[[], Any]] = {
            "kill": lambda: self._kill(whom, act.seconds),
            "freeze": lambda: self._freeze(whom, act.seconds),
            "cut": lambda: self._cut_off(whom.removeprefix("off "), act.seconds),
            "evict": self._evict,
            "store": lambda: self._store_away(act.seconds),
            "relay": lambda: self._relay_away(act.seconds),
            "power": lambda: self._power_cut(act.whom),
            "line": lambda: self._line_cut(act.whom),
            "other": lambda: self._go(self._other_maintenance(act.whom, act.seconds)),
            "pause": lambda: self._go(self._pause("c1")),
            "resume": lambda: self._go(self._resume("c1")),
            "abort": lambda: self._go(
                self._abort("c1", rollback="roll" in act.what and self.scenario.rollback)
            ),
            "skip": lambda: self._go(self._ask("c1", "skip_charger", SkipRequest(act.whom, "ida", "later"))),
            "extend": lambda: self._go(self._extend("c1", act.seconds)),
            "recall": lambda: self._go(self._recall("c1", act.whom)),
            "halt": lambda: self._go(self._halt(act.seconds)),
            "withdraw": lambda: self._go(self._withdraw()),
            "cancel": self._cancel,
            "forge": lambda: self._go(self._forge()),
            "shut": lambda: self._close_sites(act.seconds, ClosureKind.FREEZE),
            "switch": lambda: self._switch_off(act.seconds),
        }
        deeds[what]()

    def _freeze(self, name: str, seconds: float) -> None:
        if self.processes[name].alive:
            self.count("node frozen")
            self.processes[name].freeze(self.loop.time(), seconds)
            self._heed()
            self.loop.call_later(seconds, self._heed)

    def _cut_off(self, name: str, seconds: float) -> None:
        """The node goes on, but Temporal does not hear of it."""
        self.count("node cut off from Temporal")
        queue = self.temporal.calls.queues[node_queue(name, self.hall.nodes[name].boot_id)]
        queue.cut_off = True
        self.loop.call_later(seconds, setattr, queue, "cut_off", False)

    def _evict(self) -> None:
        runs = list(self.temporal.runs.values())
        if runs:
            self.count("workflow evicted in the middle")
            self.temporal.evict(self.rng.choice(runs))

    def _store_away(self, seconds: float) -> None:
        self.count("PostgreSQL away")
        self.trouble.away_until = self.loop.time() + min(seconds, 300.0)
        self._heed()
        self.loop.call_at(self.trouble.away_until, self._heed)

    def _relay_away(self, seconds: float) -> None:
        self.count("relay away")
        self.relay_away_until = self.loop.time() + seconds

    def _power_cut(self, name: str) -> None:
        station = self.referee.stations.get(name)
        if station and station.powered and not station.dead and not station.sessions:
            self.count("power cut")
            station._cancel_update()
            self._go(station._cut())

    def _line_cut(self, name: str) -> None:
        station = self.referee.stations.get(name)
        if station and station.line is not None:
            self.count("connection cut")
            station.line.broken()  # type: ignore[attr-defined]
            self.hall.dial(station)

    async def _other_maintenance(self, name: str, seconds: float) -> None:
        charger = self.books.chargers.rows.get(name)
        workflow_id = charger_workflow_id(name)
        if charger is None or workflow_id in self.temporal.runs:
            return
        self.count("other maintenance")
        run = self.temporal.begin("OtherMaintenance", workflow_id, seconds).start.run_id
        expires = self.loop.instant() + timedelta(seconds=seconds)
        lease = SiteLease(name, charger.charger.site_id, workflow_id, "certificate", expires, run=run)
        if (await self.books.leases.take(lease)).granted:
            await asyncio.sleep(seconds)
            await self.books.leases.release(name, workflow_id, run=run)

    async def _halt(self, seconds: float) -> None:
        if self.referee.halted is not None:
            return
        halt = await self.books.halts.pull(EVERYTHING, "ida", "stop", self.loop.instant())
        self.count("everything halted")
        self.referee.halted = self.loop.time()
        await asyncio.sleep(seconds)
        self.referee.halted = None
        for actor in PEOPLE[:2]:
            vote = Vote(actor, "fine", self.loop.instant())
            await self.books.halts.restore(halt.halt_id, vote, self._on_record)

    @staticmethod
    def _on_record(halt: Halt) -> AuditEntry:
        return AuditEntry(halt.at, "ida", "halt.voted", f"halt/{halt.halt_id}", {})

    async def _withdraw(self) -> None:
        artifact_id = artifact_id_of("1.1")
        row = Withdrawal(
            artifact_subject(artifact_id), "it is bad", Source.PERSON, "ida", self.loop.instant()
        )
        await self.books.withdrawals.add([row])
        await self.books.artifacts.set_phase(artifact_id, ArtifactPhase.REVOKED, "it is bad")
        self.count("image withdrawn")
        self.referee.withdrawn[artifact_id] = self.loop.time()

    def _cancel(self) -> None:
        with suppress(Unknown):
            self.temporal.cancel(campaign_workflow_id("c1"))
            self.count("campaign's workflow cancelled")

    async def _forge(self) -> None:
        """Somebody who can write to the database invents a directive."""
        known = [row for row in self.books.campaigns.directive_rows if row.campaign_id == "c1"]
        if known:
            self.count("directive forged")
            forged = replace(known[-1], envelope=known[-1].envelope.removeprefix(SEAL))
            await self.books.campaigns.add_directive(forged)

    async def _keep_house(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(ROUND_S)
            number += 1
            self.temporal.begin("HousekeepingWorkflow", f"housekeeping-{number}")


_NOT_PLAYED = ("sweep_drift", "summarise_twins", "watch_metadata")
"""What housekeeping does beside leases and chargers: no promise of a campaign rests on it."""


@activity.defn(name="nothing")
async def _nothing() -> int:
    return 0


@activity.defn(name="nobody")
async def _nobody() -> tuple[LateFacts, ...]:
    """Nothing is known of its stations' settings, so nothing is noted."""
    return ()


@activity.defn(name="fresh")
async def _fresh() -> None:
    return None


@activity.defn(name="kept")
async def _kept() -> JournalRound:
    return JournalRound()


@activity.defn(name="logs")
async def _logs() -> LogRound:
    return LogRound()


def _deeds(*methods: Callable[..., Any]) -> Deeds:
    return {method.__name__: method for method in methods}


def play(scenario: Scenario, longest: float = LONGEST) -> Report:
    """One campaign, from its scenario; one that lasts longer is taken to last for ever."""
    return Simulation(scenario, longest).play()
