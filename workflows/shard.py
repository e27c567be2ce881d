# long-file: one workflow, whose steps share one state
"""At most 500 chargers of a wave: look at all of them, start who is ready, let the others wait.

Waiting happens here, not in the charger's workflow, so that other maintenance is never blocked by a
campaign that waits. A look is one bulk read; between looks a charger whose site has room again is
started without another.
"""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import TypedSearchAttributes
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    FailureError,
    WorkflowAlreadyStartedError,
)

with workflow.unsafe.imports_passed_through():
    from activities.campaigns import CampaignActivities, CloseInput
    from activities.facts import LocalFacts, ShardFacts
    from activities.fleet import FleetActivities, ShardQuery, TargetMoves
    from activities.signer import DirectiveOrder, SignerActivities
    from storage.campaign import Outcome, goes_back
    from storage.errors import AmpwaveError
    from storage.ids import charger_workflow_id, local_image_workflow_id, wave_workflow_id
    from storage.parked import Parking
    from workflows.charger_fetch import ChargerFetchWorkflow
    from workflows.charger_update import ChargerUpdateWorkflow
    from workflows.gate.attempts import beyond_chance
    from workflows.lasting import to_the_end, unless
    from workflows.local_image import LocalImageInput, LocalImageWorkflow
    from workflows.local_rules import STARTS
    from workflows.messages import (
        ChargerFetchInput,
        ChargerUpdateInput,
        Mark,
        Retry,
        ShardInput,
        ShardMemory,
        ShardStatus,
        UpdateEnd,
        WaveEnd,
    )
    from workflows.options import (
        OTA_CAMPAIGN,
        OTA_SITE,
        by_signer,
        keywords,
        locally,
    )
    from workflows.ramp import most_in_flight
    from workflows.retries import is_last, pause_before
    from workflows.signals import CHARGER_SPOILT, SET_PAUSED, SHARD_CURED, SHARD_FAILED, STOP, StopRequest
    from workflows.strain import CALM, Ease, Lateness, bound, judge_strain, relaxed, tightened, words
    from workflows.triage import Candidate, Context, choose, choose_fetching, triage

LONGEST_STRETCH = 5.0
"""Looks that find nothing new come up to this much less often."""
FAR_STRETCH = 10.0
"""Where everybody waits for a time that is known, the next look comes so many ticks later at the latest.

A freeze or a hold that a person lifts early brings no signal, nor does a skip of the last who waits.
"""
EASED_LOOK_S = 0.06
"""Seconds between looks for each charger that one reads, while our machines are late.

Many shards that looked at every tick would keep them late.
"""
_FAILURES = frozenset({Outcome.FAILED, Outcome.SILENT})
DIRECTIVE_DAY_S = 23 * 3600.0
"""A directive may live for 24 hours; a longer wave gets another one."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class ShardWorkflow:
    """One shard; id ``campaign/{id}/w{n}/s{k}``."""

    @workflow.init
    def __init__(self, given: ShardInput) -> None:
        self._given = given
        self._deadline = given.deadline
        self._issue = given.memory.issue
        self._authorised_until = given.memory.authorised_until
        self._failed = set(given.memory.failed)
        self._updated = given.memory.updated
        self._undecided = given.memory.undecided
        self._ease = Ease(given.memory.share)
        self._late_s = 0.0
        self._retries = {retry.charger_id: retry for retry in given.memory.retries}
        self._streak = given.memory.streak
        self._paused_since: datetime | None = workflow.now() if given.paused else None
        self._stopping = ""
        self._halted = ""
        self._news = False
        self._open = given.count
        self._quiet = 0
        self._next_look = workflow.now()
        self._timer: asyncio.Task[None] | None = None
        self._queue: list[Candidate] = []
        self._fetched: dict[str, int] = {}
        self._under: dict[str, int] = {}
        self._spent = 0
        self._local_starts: Counter[str] = Counter()
        self._slots: dict[str, int] = {}
        self._said: dict[str, str] = {}
        self._flying: dict[str, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._handles: dict[str, workflow.ChildWorkflowHandle[ChargerUpdateWorkflow, UpdateEnd]] = {}

    @workflow.run
    async def run(self, given: ShardInput) -> WaveEnd:  # noqa: ARG002 - __init__ has it
        """Bring every charger of the shard to its last word."""
        return await to_the_end(self._work(), lambda: self._stop("its shard was cancelled"))

    @workflow.signal(name=SET_PAUSED, description="Start nothing, or start again.")
    def set_paused(self, paused: bool) -> None:  # noqa: FBT001 - a signal has one argument
        """While paused nothing is started, and the deadline moves along."""
        if paused and self._paused_since is None:
            self._paused_since = workflow.now()
        elif not paused and self._paused_since is not None:
            self._deadline += workflow.now() - self._paused_since
            self._paused_since = None
        self._news = True

    @workflow.signal(name=STOP, description="Start nothing more; what was sent ends by itself.")
    def stop(self, request: StopRequest) -> None:
        """Orderly: in-flight updates that were not sent yet are called back."""
        self._stop(request.reason)

    @workflow.signal(name=CHARGER_SPOILT, description="One that counted is not what it was.")
    def charger_spoilt(self, charger_id: str) -> None:
        """It counts as a failure from now on; what it counts as in PostgreSQL stands (X9)."""
        if charger_id in self._failed:
            return
        self._failed.add(charger_id)
        self._updated, self._streak = max(0, self._updated - 1), 0
        if over := self._over():
            self._stop(over)

    @workflow.query(description="Who is in flight, and how many are open.")
    def status(self) -> ShardStatus:
        """Where the shard is."""
        return ShardStatus(
            self._open, tuple(self._flying), len(self._failed), self._paused_since is not None, self._over()
        )

    def _stop(self, reason: str) -> None:
        self._stopping = self._stopping or reason
        self._news = True
        called_back, self._handles = self._handles, {}
        for handle in called_back.values():
            handle.cancel()

    def _over(self) -> str:
        """Why nothing more is started, or ""."""
        limit = self._given.early_stop_failures
        if limit is not None and len(self._failed) >= limit:
            return f"{len(self._failed)} chargers failed"
        if self._open and self._undecided >= self._given.pace.window:
            return f"nobody knows what became of {self._undecided} chargers"
        return self._halted or self._stopping or self._beyond_chance()

    def _beyond_chance(self) -> str:
        permitted, failed = self._given.max_failure_share, len(self._failed)
        if permitted is None or not self._given.lone:  # of several shards, the wave counts
            return ""
        attempts = failed + self._updated + len(self._flying.keys() - self._failed)
        return beyond_chance(failed, attempts, permitted, self._given.wave)

    def _late(self) -> bool:
        return self._paused_since is None and workflow.now() >= self._deadline

    # --- the loop --------------------------------------------------------------------------------

    async def _work(self) -> WaveEnd:
        while not self._over() and not self._late():
            await self._look()
            await self._fly_until_next_look()
            if not self._open and not self._flying:
                break
            if self._long():
                await self._land()
                if self._open and not self._over() and not self._late():
                    await self._continue()
        await self._land()
        await self._close()
        return WaveEnd(len(self._failed), self._over(), self._halted)

    async def _look(self) -> None:
        """Read the situation of every open target; find out who may start; write who waits and why."""
        given, now = self._given, workflow.now()
        query = ShardQuery(given.campaign_id, given.wave, given.first, given.count, self._deadline)
        facts = await self._with_local(await locally(FleetActivities.measure_eligibility, query))
        context = Context(given.campaign_id, given.wave, now, self._flying, self._retries, self._said)
        found = triage(facts, context)
        self._weigh_strain(facts.signals_late)
        held = words([one.charger_id for one in found.queue], self._said, self._ease.why)
        moves = found.moves(context)
        moves = replace(moves, waiting=(*moves.waiting, *held))
        if self._over() and workflow.patched("over-while-looking"):
            moves = replace(moves, waiting=())  # Stopped meanwhile: these get their last word at once.
        self._queue, self._open = found.queue, found.open
        self._slots = {site.site_id: site.max_down - site.down for site in facts.sites}
        self._said |= {name: reason for name, reason, _ in (*found.waiting, *held)}
        self._fetched = {one.charger_id: one.issue for one in facts.parked}
        for name, outcome, _ in found.done:
            await self._cure(name, outcome)
            self._settle(name, outcome)
        news = bool(moves.waiting or moves.done)
        self._quiet = 0 if news else self._quiet + 1
        stretch = min(LONGEST_STRETCH, 1 + self._quiet / 4)
        spared = 0.0 if self._ease == CALM else EASED_LOOK_S * self._open
        tick = now + timedelta(seconds=max(spared, given.pace.tick_seconds * stretch))
        far = now + timedelta(seconds=max(spared, given.pace.tick_seconds * FAR_STRETCH))
        self._next_look = max(min(found.earliest, far), tick) if found.earliest else tick
        if news:
            await locally(FleetActivities.move_targets, moves)
        fetching = sum(one.state is Parking.ASKED for one in facts.parked)
        uplinks = {site.site_id: site.uplink for site in facts.sites}
        room = given.pace.window - len(self._flying) - self._undecided - fetching
        await self._fetch_ahead(choose_fetching(found.ahead, uplinks, room))

    async def _with_local(self, facts: ShardFacts) -> ShardFacts:
        """Have local controllers asked that nobody has asked yet; one that never is keeps nobody waiting."""
        unasked = [one for one in facts.local if one.state is None]
        if not unasked:
            return facts
        for one in unasked:
            if not self._paused_since and not self._over() and self._local_starts[one.site_id] < STARTS:
                await self._ask_controller(one)
        left = tuple(one for one in facts.local if one.state or self._local_starts[one.site_id] < STARTS)
        return replace(facts, local=left)

    async def _ask_controller(self, one: LocalFacts) -> None:
        given = self._given
        self._local_starts[one.site_id] += 1
        try:
            await workflow.start_child_workflow(
                LocalImageWorkflow.run,
                LocalImageInput(
                    given.campaign_id,
                    given.wave,
                    one.site_id,
                    one.controller_id,
                    given.pace.attempt_deadline_seconds,
                ),
                id=local_image_workflow_id(given.campaign_id, given.wave, one.site_id),
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                search_attributes=keywords((OTA_CAMPAIGN, given.campaign_id), (OTA_SITE, one.site_id)),
            )
        except FailureError:
            return  # Another shard of the wave was first.

    async def _fetch_ahead(self, chosen: list[Candidate]) -> None:
        """Have chargers fetch what they must not install yet; PostgreSQL will tell how that ended."""
        if not chosen or self._paused_since or self._ease.why or self._over():
            return
        if not await self._authorised(chosen):
            return
        given = self._given
        for candidate in chosen:
            try:
                await workflow.start_child_workflow(
                    ChargerFetchWorkflow.run,
                    ChargerFetchInput(
                        given.campaign_id,
                        given.wave,
                        given.shard,
                        candidate.charger_id,
                        given.version,
                        candidate.route,
                        given.pace.download_ahead_seconds or 0.0,
                        given.pace.attempt_deadline_seconds,
                        given.pace.steady_seconds,
                    ),
                    id=charger_workflow_id(candidate.charger_id),
                    parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                    search_attributes=_attributes(candidate),
                )
            except FailureError:
                continue  # Other maintenance has it; the next look tells.

    async def _fly_until_next_look(self) -> None:
        """Start who may, as long as the last look is good for it."""
        while not (self._over() or self._late() or self._long()) and (self._open or self._flying):
            self._news = False
            await self._start_ready()
            self._set_timer()
            await workflow.wait_condition(self._woken)
            if self._timer and self._timer.done():
                self._timer = None
                return

    def _long(self) -> bool:
        return workflow.info().is_continue_as_new_suggested()

    def _woken(self) -> bool:
        return self._news or (self._timer is not None and self._timer.done())

    def _set_timer(self) -> None:
        """Time the next look, where it can find anything that a landing of ours would not bring."""
        if self._timer or self._paused_since or not self._open or self._waits_for_landings():
            return
        wait = max(min(self._next_look, self._deadline) - workflow.now(), timedelta(seconds=0.01))
        self._timer = asyncio.create_task(self._time(wait))

    async def _time(self, wait: timedelta) -> None:
        """Until the next look; how late it comes is how late our workers are."""
        due = workflow.now() + wait
        await workflow.sleep(wait, summary=f"{self._open} chargers wait")
        self._late_s = (workflow.now() - due).total_seconds()

    def _weigh_strain(self, signals_s: float) -> None:
        """Begin nothing new while our own machines are late, and then a little at first."""
        late, self._late_s = Lateness(self._late_s, signals_s), 0.0
        why = judge_strain(late)
        if why and workflow.patched("strain"):
            if why != self._ease.why:
                workflow.logger.warning("Nothing new is sent: %s %s", why, late)
            self._ease = tightened(self._ease, why)
        else:
            self._ease = relaxed(self._ease)

    def _waits_for_landings(self) -> bool:
        """Whether everybody who is open waits for the window, or for a site where we are at work."""
        if not self._flying or self._open > len(self._queue) or self._ease != CALM:
            return False
        if self._most() <= len(self._flying):
            return True
        ours = set(self._flying.values())
        return all(candidate.site_id in ours for candidate in self._queue)

    async def _start_ready(self) -> None:
        ready = self._startable()
        if ready and await self._authorised(ready):
            for candidate in self._startable():
                self._launch(candidate)

    def _startable(self) -> list[Candidate]:
        """Who may start now: within the window, the ramp and the sites' room, and no directive is missing."""
        if self._paused_since or self._over() or self._late():
            return []
        room = min(bound(self._ramp(), self._ease), self._most()) - len(self._flying)
        return choose(self._queue, self._slots, room)

    def _ramp(self) -> int:
        return most_in_flight(self._given.pace, self._streak)

    def _most(self) -> int:
        """In flight at the same time, by the ramp and by what is left of the window."""
        return min(self._ramp(), self._given.pace.window - self._undecided)

    async def _authorised(self, ready: list[Candidate]) -> bool:
        """Whether a directive covers these now; a new one is signed where none does."""
        given, now = self._given, workflow.now()
        seconds = min(DIRECTIVE_DAY_S, self._seconds_left() + given.pace.attempt_deadline_seconds + 300.0)
        margin = min(given.pace.attempt_deadline_seconds + 60.0, seconds / 2)
        if self._issue > self._issue_used(ready) and self._authorised_for(margin):
            return True
        order = DirectiveOrder(
            campaign_id=given.campaign_id,
            wave=given.wave,
            shard=given.shard,
            issue=self._issue + 1,
            first=given.first,
            count=given.count,
            seconds=seconds,
        )
        if signed := await self._signed(order):
            self._issue += 1
            self._authorised_until = now + timedelta(seconds=seconds)
        return signed

    async def _signed(self, order: DirectiveOrder) -> bool:
        """Have it signed, however long the signer is away, unless the shard is over or late before."""
        within = max(1.0, self._seconds_left())
        work = by_signer(SignerActivities.sign_directive, order, "sign who gets what", within=within)
        try:
            return await unless(lambda: bool(self._over()), work) is not None
        except ActivityError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.non_retryable:
                self._halted = f"the signer refused: {error.cause}"
            return False

    def _issue_used(self, ready: list[Candidate]) -> int:
        """The newest directive under which one of these was tried, or fetched ahead, before."""
        retries = [self._retries[one.charger_id] for one in ready if one.charger_id in self._retries]
        fetched = [self._fetched.get(one.charger_id, 0) for one in ready]
        return max([self._spent, *(retry.issue for retry in retries), *fetched])

    def _authorised_for(self, seconds: float) -> bool:
        until = self._authorised_until
        return until is not None and workflow.now() < until - timedelta(seconds=seconds)

    def _seconds_left(self) -> float:
        return max(0.0, (self._deadline - workflow.now()).total_seconds())

    # --- one charger -----------------------------------------------------------------------------

    def _launch(self, candidate: Candidate) -> None:
        self._queue.remove(candidate)
        self._open -= 1
        self._slots[candidate.site_id] -= 1
        self._flying[candidate.charger_id] = candidate.site_id
        self._under[candidate.charger_id] = self._issue
        task = asyncio.create_task(self._fly(candidate))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fly(self, candidate: Candidate) -> None:
        try:
            handle = await self._start_child(candidate)
            self._handles[candidate.charger_id] = handle
            if self._over():
                self._stop(self._over())
            end = await handle
        except WorkflowAlreadyStartedError:
            end = UpdateEnd(None, "other maintenance of it is running")
        except FailureError as error:
            end = await self._broken(candidate.charger_id, error)
        await self._landed(candidate, end)

    async def _broken(self, name: str, error: FailureError) -> UpdateEnd:
        """Its workflow was cancelled before it ran, or was ended by hand; nothing more is sent to it."""
        if isinstance(error.cause, CancelledError):
            return UpdateEnd(None, "it was called back before anything was sent")
        end = UpdateEnd(Outcome.FAILED, f"its maintenance broke off: {error.cause or error}")
        done = (name, Outcome.FAILED, end.reason)
        moves = TargetMoves(self._given.campaign_id, self._given.wave, (), (done,))
        await locally(FleetActivities.move_targets, moves)
        return end

    async def _start_child(
        self, candidate: Candidate
    ) -> workflow.ChildWorkflowHandle[ChargerUpdateWorkflow, UpdateEnd]:
        given, retry = self._given, self._retries.get(candidate.charger_id)
        attempt = retry.attempt if retry else 1
        return await workflow.start_child_workflow(
            ChargerUpdateWorkflow.run,
            ChargerUpdateInput(
                campaign_id=given.campaign_id,
                wave=given.wave,
                shard=given.shard,
                charger_id=candidate.charger_id,
                version=given.version,
                route=candidate.route,
                attempt=attempt,
                last_attempt=is_last(attempt, retry.marks if retry else (), given.pace),
                deadline_seconds=given.pace.attempt_deadline_seconds,
                out_of_service=candidate.out_of_service,
                steady_seconds=given.pace.steady_seconds,
            ),
            id=charger_workflow_id(candidate.charger_id),
            parent_close_policy=workflow.ParentClosePolicy.REQUEST_CANCEL,
            search_attributes=_attributes(candidate),
        )

    async def _landed(self, candidate: Candidate, end: UpdateEnd) -> None:
        name = candidate.charger_id
        del self._flying[name]
        under = self._under.pop(name)
        self._handles.pop(name, None)
        self._slots[candidate.site_id] = self._slots.get(candidate.site_id, 0) + 1
        self._news = True
        if end.outcome is None:
            self._open += 1
            self._said[name] = end.reason
        else:
            await self._cure(name, end.outcome)
            self._settle(name, end.outcome, counts=Mark.NETWORK not in end.marks)
        if end.outcome is Outcome.DEFERRED:
            self._never_told()
        if Mark.RETRY in end.marks:
            self._keep_for_retry(name, end.marks)
        if Mark.STRAINED in end.marks and workflow.patched("strain"):
            self._ease = tightened(self._ease, judge_strain(Lateness(node=end.reason)))
        if Mark.SPENT in end.marks:
            self._spent = max(self._spent, under)
        if Mark.HALT in end.marks:
            self._halted = self._halted or f"{name}: {end.reason}"
        if (end.outcome in _FAILURES and Mark.NETWORK not in end.marks) or Mark.SUSPICIOUS in end.marks:
            await self._count_failure(name)
        if self._over():
            self._stop(self._over())

    def _never_told(self) -> None:
        """It was sent the update, and nobody knows what became of it: neither success nor failure.

        It keeps its place in the window, or an image that silences chargers went to all, one window after
        another, while we come and go. On a way back everybody is sent it all the same.
        """
        self._streak = 0
        self._undecided += not goes_back(self._given.wave)

    def _settle(self, name: str, outcome: Outcome, *, counts: bool = True) -> None:
        """``counts``: towards an early stop; the gate counts every failure."""
        self._retries.pop(name, None)
        self._streak += outcome is Outcome.UPDATED
        self._updated += outcome is Outcome.UPDATED
        if outcome in _FAILURES and counts:
            self._failed.add(name)
        else:
            self._failed.discard(name)

    def _keep_for_retry(self, name: str, marks: tuple[Mark, ...]) -> None:
        former, pace = self._retries.get(name), self._given.pace
        attempt = (former.attempt if former else 1) + 1
        pause = timedelta(seconds=pace.retry_backoff_seconds)
        # Older runs waited as long before each; the first repetition still does.
        if attempt > 2 and workflow.patched("backoff-by-cause"):
            pause = pause_before(attempt, marks, pace)
        self._retries[name] = Retry(name, attempt, workflow.now() + pause, self._issue, marks)

    async def _count_failure(self, name: str) -> None:
        self._streak = 0
        self._failed.add(name)
        if not self._given.lone:
            await self._tell_wave(SHARD_FAILED, name)

    async def _cure(self, name: str, outcome: Outcome) -> None:
        """A later attempt made good what an earlier one failed at: the wave counts it no more."""
        cured = outcome is Outcome.UPDATED and name in self._failed and not self._given.lone
        if cured and workflow.patched("cured"):
            await self._tell_wave(SHARD_CURED, name)

    async def _tell_wave(self, what: str, name: str) -> None:
        wave = workflow.get_external_workflow_handle(
            wave_workflow_id(self._given.campaign_id, self._given.wave)
        )
        try:
            await wave.signal(what, name)
        except FailureError:
            workflow.logger.warning("The wave does not listen any more", extra={"charger_id": name})

    # --- the end ---------------------------------------------------------------------------------

    async def _land(self) -> None:
        """Wait for everything that is in flight; each ends by itself within its deadline."""
        await workflow.wait_condition(lambda: not self._flying)

    async def _close(self) -> None:
        """Give those that were never touched their last word."""
        over = self._over()
        if not self._open and not over:
            return
        given = self._given
        if not over:
            await self._say_last()
        outcome = Outcome.CANCELLED if over else Outcome.DEFERRED
        reason = over or "it could not be touched before the wave's end"
        await locally(
            CampaignActivities.close_targets,
            CloseInput(given.campaign_id, outcome, reason, given.wave, given.first, given.count),
        )
        self._failed |= set(self._retries)

    async def _say_last(self) -> None:
        """Why those did not start who could have: a deferral keeps the last reason that there was."""
        reasons = tuple((one.charger_id, self._hindrance(one), False) for one in self._queue)
        if reasons and workflow.patched("last-reason"):
            moves = TargetMoves(self._given.campaign_id, self._given.wave, reasons)
            await locally(FleetActivities.move_targets, moves)

    def _hindrance(self, candidate: Candidate) -> str:
        if self._ease.why:
            return self._ease.why
        if self._slots.get(candidate.site_id, 0) <= 0:
            return "its site had no room: so many chargers as may be away there were"
        return "so many chargers were under way that its turn did not come"

    async def _continue(self) -> None:
        await workflow.wait_condition(workflow.all_handlers_finished)
        failed, retries = tuple(sorted(self._failed)), tuple(self._retries.values())
        memory = ShardMemory(self._issue, self._authorised_until, failed, retries, self._streak)
        memory = replace(memory, updated=self._updated, share=self._ease.share, undecided=self._undecided)
        paused = self._paused_since is not None
        workflow.continue_as_new(replace(self._given, deadline=self._deadline, paused=paused, memory=memory))


def _attributes(candidate: Candidate) -> TypedSearchAttributes:
    """Each one is stored twice. Its campaign Temporal itself indexes, as ``RootWorkflowId``."""
    return keywords((OTA_SITE, candidate.site_id))
