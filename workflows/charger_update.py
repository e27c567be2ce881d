# long-file: one workflow, whose steps share one state
"""One attempt to update one charger, from the reservation to the proof. Its id is the charger's lock.

Send once, or again with the same request id while the outcome is unknown; wait for a hint or the next
look at PostgreSQL; judge; give back what was taken. It lives minutes and ends by itself.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.availability import STILL_OUT
    from activities.chargers import ChargerActivities, ReconcileInput
    from activities.conclusion import ConcludeInput, RestoreInput
    from activities.dispatch import DispatchActivities
    from activities.facts import AttemptFacts, RouteFacts, Sighting
    from activities.orders import DispatchAnswer, DispatchInput, DispatchKind, ResetInput
    from activities.recalling import RecallAnswer, RecallInput, RecallNote
    from activities.waiting import LongerWait
    from storage.campaign import Outcome
    from storage.errors import AmpwaveError
    from workflows.absence import Say, Term, patience
    from workflows.attest import (
        Attempt,
        Finding,
        Judgement,
        installed_seen,
        judge,
        judge_deadline,
        judge_stage,
        progress_seen,
        sighting_of,
        told_no_version,
    )
    from workflows.lasting import to_the_end
    from workflows.messages import ChargerUpdateInput, Mark, UpdateEnd, marks_of
    from workflows.options import locally, never_sent, on_node, remotely
    from workflows.recall import NOT_TOLD, StopWord, called_off
    from workflows.signals import CHARGER_EVENT, RECALL, ChargerSignal, Recall
    from workflows.steady import Vigil, begun, judge_vigil, judge_vigil_deadline, stand_of

LOOKS = 4
"""How often PostgreSQL is read at most when no signal comes, the deadline included."""
FRUITLESS_SENDS = 3
"""So many sessions in a row that vanish before anything was sent: the charger goes back to waiting."""
_SOON = timedelta(milliseconds=10)
_OUTCOMES = {
    DispatchKind.REFUSED: Outcome.FAILED,
    DispatchKind.UNSUPPORTED: Outcome.SKIPPED,
    DispatchKind.ALREADY: Outcome.ALREADY_CURRENT,
    DispatchKind.HALT: Outcome.FAILED,
}
_NEVER_CAME = frozenset({Mark.FETCH, Mark.REFUSED})
"""Failures before it had the image: of one that was called back they are none."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class ChargerUpdateWorkflow:
    """Updates one charger; id ``charger/{charger_id}``."""

    @workflow.init
    def __init__(self, given: ChargerUpdateInput) -> None:
        self._given = given
        self._since = workflow.now()
        self._term = Term(self._since, given.deadline_seconds, given.steady_seconds)
        self._deadline = self._term.planned
        self._over_since: datetime | None = None
        self._absence, self._undecided = "", False
        self._route: RouteFacts | None = given.route
        self._request_id: int | None = None
        self._before = given.out_of_service
        self._touched = self._uncompared = False
        self._maybe_sent = False
        self._needs_reset = False
        self._reset_at: datetime | None = None
        self._stopped = False
        self._distrusted = False
        self._spoilt: UpdateEnd | None = None
        self._news = False
        self._sightings: dict[int, Sighting] = {}
        self._look: asyncio.Task[None] | None = None
        self._vigil: Vigil | None = None
        self._vigil_timer: asyncio.Task[None] | None = None
        self._vigil_due = self._deadline
        self._doing = "reserving"
        self._recalled = ""
        self._word = StopWord.within(given.deadline_seconds)
        self._told_to_stop = self._called_off = False

    @workflow.run
    async def run(self, given: ChargerUpdateInput) -> UpdateEnd:  # noqa: ARG002 - __init__ has it
        """Update, wait for the proof, conclude."""
        return await to_the_end(self._work(), self._stop)

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:
        """A hint; repeats are dropped by their sequence."""
        sighting = sighting_of(signal)
        if sighting is None or sighting.sequence in self._sightings:
            return
        self._sightings[sighting.sequence] = sighting
        if self._route is None or signal.session_epoch >= self._route.session_epoch:
            self._route = RouteFacts(signal.node_id, signal.boot_id, signal.session_epoch)
        self._news = True

    @workflow.signal(name=RECALL, description="Somebody wants the update back that is under way.")
    def recall(self, given: Recall) -> None:
        """Of this very attempt; the store has it as well."""
        if (given.campaign_id, given.wave) == (self._given.campaign_id, self._given.wave):
            self._recalled = self._recalled or given.reason
            self._news = True

    @workflow.query(description="What is being done, in words.")
    def doing(self) -> str:
        """What is being done, in words."""
        return self._doing

    def _stop(self) -> None:
        self._stopped = True

    def _say(self, text: str) -> None:
        self._doing = text
        workflow.set_current_details(f"**{self._given.charger_id}** {text}")

    async def _work(self) -> UpdateEnd:
        end = await self._send() or await self._watch()
        while (concluded := await self._conclude(end)) is None:
            end = await self._watch()
        end = concluded
        # PostgreSQL has the sentence; the shard needs it only where something is left to decide.
        return replace(end, reason="") if end.outcome is Outcome.UPDATED else end

    # --- send ------------------------------------------------------------------------------------

    async def _send(self) -> UpdateEnd | None:
        """Send until there is an answer; None: it has arrived, or may have."""
        fruitless = 0
        pause = min(5.0, self._given.deadline_seconds / 20)
        while self._maybe_sent or not (self._stopped or self._recalled):
            answer = await self._dispatch()
            if answer.kind not in (DispatchKind.GONE, DispatchKind.UNKNOWN):
                if answer.kind is DispatchKind.NOT_NOW and self._maybe_sent:
                    # Its node was lost; where not even the mark was written, nothing had left it.
                    self._maybe_sent = (await self._reconcile()).marked == self._given.attempt
                return self._answered(answer)
            fruitless += 1
            if not self._maybe_sent and (fruitless == FRUITLESS_SENDS or not await self._moved()):
                return UpdateEnd(None, answer.reason, marks_of({Mark.STRAINED: answer.strained}))
            if self._maybe_sent and not await self._lost(pause):
                return None
            pause = min(pause * 2, 60.0)
        why = "it was called back" if self._recalled else "the campaign stopped"
        return UpdateEnd(None, f"{why} before anything was sent")

    def _answered(self, answer: DispatchAnswer) -> UpdateEnd | None:
        if answer.kind is DispatchKind.ACCEPTED:
            return None
        if self._maybe_sent and answer.kind is not DispatchKind.HALT:
            return None  # An earlier try may have arrived; only the deadline or a proof ends that.
        outcome = _OUTCOMES.get(answer.kind)
        there = answer.kind is DispatchKind.ALREADY
        if there and self._given.steady_seconds and workflow.patched("there-and-steady"):
            return UpdateEnd(
                None, f"{answer.reason}, and counts once it has stayed up"
            )  # The next look tells.
        if there and self._given.attempt > 1:
            outcome = Outcome.UPDATED  # By an earlier attempt, and so it counts and goes back as one,
            self._uncompared = workflow.patched("compared-late")  # and what that one changed is put back.
        if answer.kind is DispatchKind.REFUSED and not self._given.last_attempt:
            return UpdateEnd(None, answer.reason, (Mark.RETRY, Mark.REFUSED))
        said = {Mark.HALT: answer.kind is DispatchKind.HALT, Mark.SESSION: answer.for_session}
        said |= {Mark.STRAINED: answer.strained, Mark.SPENT: answer.spent}
        return UpdateEnd(outcome, answer.reason, marks_of(said))

    async def _dispatch(self) -> DispatchAnswer:
        given, route = self._given, self._route
        if route is None:
            return DispatchAnswer(DispatchKind.GONE, "it is not connected")
        self._say("sending")
        order = DispatchInput(
            campaign_id=given.campaign_id,
            wave=given.wave,
            shard=given.shard,
            charger_id=given.charger_id,
            attempt=given.attempt,
            session_epoch=route.session_epoch,
            out_of_service=self._before if self._touched else None,
        )
        try:
            answer = await on_node(DispatchActivities.dispatch_update, order, route)
        except ActivityError as error:
            if never_sent(error):
                return DispatchAnswer(DispatchKind.GONE, "its node did not take the command", strained=True)
            self._touched = self._maybe_sent = True
            return DispatchAnswer(DispatchKind.UNKNOWN, "its node was lost while sending")
        self._learn(answer)
        return answer

    def _learn(self, answer: DispatchAnswer) -> None:
        if answer.out_of_service is not None and not self._touched:
            self._before = answer.out_of_service
        self._request_id = answer.request_id or self._request_id
        self._needs_reset = answer.needs_reset
        self._touched = self._touched or answer.drained
        if answer.kind in (DispatchKind.ACCEPTED, DispatchKind.UNKNOWN):
            self._maybe_sent = True

    async def _moved(self) -> bool:
        """Whether the charger is reached over another session now."""
        before = self._route
        self._route = await locally(ChargerActivities.resolve_route, self._given.charger_id)
        return self._route is not None and self._route != before

    async def _lost(self, pause: float) -> bool:
        """After an unknown outcome: wait, look, and say whether it has to be sent again."""
        await workflow.sleep(pause, summary="before the same request is sent again")
        facts = await self._reconcile()
        arrived = progress_seen(self._attempt(), self._sightings.values())
        due = workflow.now() + timedelta(seconds=pause) >= self._deadline
        over = due and not await self._has_longer(facts)
        return not (arrived or over or self._stopped or self._recalled)

    # --- watch -----------------------------------------------------------------------------------

    async def _watch(self) -> UpdateEnd:
        """Wait for what decides; at the latest the deadline does."""
        self._say(f"waiting until it boots with {self._given.version}")
        while True:
            self._news = False
            judged = self._judge()
            if judged:
                return self._judged(judged)
            if self._vigil is None:
                self._called_off = bool(self._recalled) and await self._stops()
                if self._called_off:
                    return UpdateEnd(None, "it stopped at our word")
                await self._reset_if_due()
            if await self._next_news():
                continue
            facts = await self._reconcile()
            stuck = judge_stage(self._attempt(), facts, self._sightings.values())
            if stuck and not self._given.last_attempt and self._vigil is None:
                return self._judged(stuck)
            if workflow.now() >= self._deadline and not await self._has_longer(facts):
                return self._judged(self._judge() or self._judge_deadline(facts))

    def _judge(self) -> Judgement | None:
        attempt, sightings = self._attempt(), self._sightings.values()
        # Such a boot was a failure once. Asked only where there is one, as every marker costs history.
        reads = not told_no_version(attempt, sightings) or workflow.patched("version-read")
        judged = judge(attempt, sightings, reads=reads)
        if judged and judged.finding is Finding.UPDATED and self._given.steady_seconds:
            return self._judge_vigil(self._given.steady_seconds)
        self._vigil = None
        return judged

    def _judge_vigil(self, seconds: float) -> Judgement | None:
        """The proof once it has lasted; None: wait on."""
        attempt, now, epoch = self._attempt(), workflow.now(), self._epoch()
        stand = stand_of(attempt, self._sightings.values())
        if stand is None:
            return None
        if self._vigil is None:
            self._say(
                f"it booted with {attempt.to_version}; waiting until it has stayed up for {seconds:g} s"
            )
            self._vigil = begun(seconds, stand, epoch, now)
        else:
            self._vigil = self._vigil.kept(stand, epoch, now)
        return judge_vigil(attempt, self._vigil, stand, now)

    def _judge_deadline(self, facts: AttemptFacts) -> Judgement:
        if self._undecided:
            return Judgement(Finding.UNDECIDED, self._absence, suspicious=False)
        if self._vigil is not None:
            judged = judge_vigil_deadline(self._attempt(), self._vigil, facts, workflow.now())
        else:
            judged = judge_deadline(self._attempt(), facts, workflow.now())
        return replace(judged, reason=f"{judged.reason}; {self._absence}") if self._absence else judged

    async def _has_longer(self, facts: AttemptFacts) -> bool:
        """Whether it is waited for beyond its deadline, for nobody of ours listened.

        Old histories know of no breaks, so nothing is asked of them.
        """
        now = workflow.now()
        self._over_since = self._over_since or now
        found = patience(self._term, facts.breaks, self._over_since, now)
        self._absence, self._undecided = found.reason, found.say is Say.UNDECIDED
        if found.say is not Say.LATER or self._judge():
            return False
        self._deadline = found.deadline
        self._say(found.reason)
        who, until = self._given, found.deadline
        longer = LongerWait(who.campaign_id, who.wave, who.charger_id, until, self._needs_reset, found.reason)
        await locally(ChargerActivities.wait_longer, longer)
        return True

    def _epoch(self) -> int | None:
        return self._route.session_epoch if self._route else None

    async def _next_news(self) -> bool:
        """True when a signal came, False when it is time to look for ourselves."""
        left = self._deadline - workflow.now()
        if left <= timedelta(0):
            return False
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(workflow.sleep(min(self._pause(), left)))
        look, again = self._look, self._tells_again()
        lasts = self._vigil_ends()
        timers = [timer for timer in (look, again, lasts) if timer is not None]
        await workflow.wait_condition(lambda: self._news or any(timer.done() for timer in timers))
        if again is not None:
            again.cancel()
        # Of one that is away a hint may never come: it may come back without a boot.
        away = lasts is not None and lasts.done() and self._route is None
        return self._news or not (look.done() or away)

    def _pause(self) -> timedelta:
        """Until the next look; while we were away, what it told may have brought no hint."""
        quarter = timedelta(seconds=self._given.deadline_seconds / LOOKS)
        planned = self._deadline == self._term.planned
        return quarter if planned else min(quarter, self._term.grace / LOOKS)

    def _vigil_ends(self) -> "asyncio.Task[None] | None":
        """Until it has stayed up, or is looked for again; kept as it moves, for every timer costs."""
        vigil, now = self._vigil, workflow.now()
        if vigil is None:
            return None
        due = max(now + _SOON, vigil.until)
        if vigil.epoch is None:
            due = max(due, now + timedelta(seconds=self._given.deadline_seconds / LOOKS**2))
        timer = self._vigil_timer
        if timer is not None and not timer.done():
            if self._vigil_due <= due:
                return timer
            timer.cancel()  # It was for one that was away, and is back.
        if due >= self._deadline:
            return None
        self._vigil_due = due
        self._vigil_timer = asyncio.create_task(workflow.sleep(due - now))
        return self._vigil_timer

    def _tells_again(self) -> "asyncio.Task[None] | None":
        """Until it is time to tell it once more to stop."""
        word = self._word
        if not self._recalled or self._vigil or word.over or word.again_at is None:
            return None
        return asyncio.create_task(workflow.sleep(max(_SOON, word.again_at - workflow.now())))

    async def _stops(self) -> bool:
        """Tell it to stop, and again until it is known what it makes of that; True: it has stopped.

        Its ticket is revoked already, so that nothing more arrives.
        """
        if not workflow.patched("told-again"):
            return await self._told_once()
        word, now = self._word, workflow.now()
        if looked := word.looks(now):
            await self._reconcile()
        if word.heard(self._sightings.values()):
            return True
        route, epoch = self._route, self._epoch()
        if not word.due(epoch, now):
            self._word = word.later(now) if looked else word
            return False
        answer = await self._tell_to_stop(route, word.request_id) if route else NOT_TOLD
        self._word = word.told(answer, epoch, workflow.now())
        await self._note_word(here=route is not None)
        return bool(answer and answer.stopped)

    async def _told_once(self) -> bool:
        """As histories of before have it."""
        if self._told_to_stop or self._route is None:
            return False
        self._told_to_stop = True
        return bool((answer := await self._tell_to_stop(self._route, None)) and answer.stopped)

    async def _tell_to_stop(self, route: RouteFacts, request_id: int | None) -> RecallAnswer | None:
        """None: nobody knows what became of it."""
        who = self._given
        order = RecallInput(who.campaign_id, who.wave, who.charger_id, route.session_epoch, request_id)
        try:
            return await on_node(DispatchActivities.recall_update, order, route)
        except ActivityError as error:
            return NOT_TOLD if never_sent(error) else None

    async def _note_word(self, *, here: bool) -> None:
        who, text = self._given, self._word.sentence(self._deadline, here=here)
        self._say(text)
        note = RecallNote(who.campaign_id, who.wave, who.charger_id, text)
        await locally(ChargerActivities.note_recall, note)

    async def _reset_if_due(self) -> None:
        route = self._route
        if not self._needs_reset or self._reset_at is not None or route is None:
            return
        # Even when the campaign stopped: an installed image would activate at any later restart.
        if not installed_seen(self._attempt(), self._sightings.values()):
            return
        order, asked = ResetInput(self._given.charger_id, route.session_epoch), workflow.now()
        try:
            answer = await on_node(DispatchActivities.reset_charger, order, route)
        except ActivityError:
            return  # Tried again at the next look.
        self._reset_at = asked if answer.accepted else None

    async def _reconcile(self) -> AttemptFacts:
        given = self._given
        facts = await locally(
            ChargerActivities.reconcile_update,
            ReconcileInput(given.campaign_id, given.wave, given.charger_id, self._since),
        )
        self._route = facts.route
        self._request_id = self._request_id or facts.request_id
        self._sightings |= {sighting.sequence: sighting for sighting in facts.sightings}
        return facts

    def _attempt(self) -> Attempt:
        return Attempt(self._given.version, self._since, self._request_id, self._needs_reset, self._reset_at)

    def _judged(self, judged: Judgement) -> UpdateEnd:
        off = called_off(judged, self._sightings.values(), self._word) if self._recalled else None
        if off is not None:
            return off
        if judged.finding is Finding.UPDATED:
            return UpdateEnd(Outcome.UPDATED, judged.reason)
        if judged.finding is Finding.SILENT:
            blame = Mark.NETWORK if judged.network else Mark.SUSPICIOUS
            return UpdateEnd(Outcome.SILENT, judged.reason, (blame,))
        if judged.finding is Finding.UNDECIDED:
            return self._undecidable(judged.reason)
        self._distrusted = judged.halt
        retry = judged.retryable and not self._given.last_attempt
        said = {Mark.RETRY: retry, Mark.SUSPICIOUS: judged.suspicious, Mark.HALT: judged.halt}
        cause = (judged.cause,) if judged.cause and retry else ()
        return UpdateEnd(None if retry else Outcome.FAILED, judged.reason, marks_of(said) + cause)

    def _undecidable(self, reason: str) -> UpdateEnd:
        """Neither success nor failure, unless an attempt before has failed: nobody takes that back."""
        if self._recalled:
            return UpdateEnd(None, reason)
        former = self._given.attempt - 1
        if former:
            return UpdateEnd(Outcome.FAILED, f"attempt {former} failed, and attempt {former + 1} is {reason}")
        return UpdateEnd(Outcome.DEFERRED, reason)

    # --- conclude --------------------------------------------------------------------------------

    async def _conclude(self, end: UpdateEnd) -> UpdateEnd | None:
        """Give availability back and close the books; never hangs on a charger that is away.

        None: it did not stay up after all, so nothing was concluded.
        """
        self._say(f"concluding: {end.reason}")
        on_node = self._touched or self._uncompared or self._by_node(end)
        if on_node and await self._concluded_on_node(end):
            return self._spoilt or end
        if self._wavers(end):
            return None
        end = (
            replace(end, reason=f"{end.reason}; it could not be reached, {STILL_OUT}")
            if self._touched
            else end
        )
        await remotely(ChargerActivities.close_update, self._books(end), "close the books")
        return end

    def _stayed(self, end: UpdateEnd) -> bool:
        return self._vigil is not None and end.outcome is Outcome.UPDATED

    def _by_node(self, end: UpdateEnd) -> bool:
        """Whether its node has the last word, and what it does not know is judged anew by PostgreSQL.

        Of one that stayed up: a boot brings a hint only once it was told, and a connection that begins or
        ends brings none. Asked only off the ordinary way, as every marker is an Action.
        """
        return self._stayed(end) and workflow.patched("steady-node")

    async def _concluded_on_node(self, end: UpdateEnd) -> bool:
        """Over whatever route reaches it, until the deadline (a silent charger gets one try)."""
        grace = timedelta(seconds=min(60.0, self._given.deadline_seconds / LOOKS))
        limit = workflow.now()
        if end.outcome is not Outcome.SILENT:
            limit = max(self._deadline, limit + grace)
        pause = timedelta(seconds=min(5.0, self._given.deadline_seconds / 20))
        while True:
            if self._route and await self._concluded_over(self._route, end):
                return True
            if workflow.now() + pause > limit:
                return False
            await workflow.sleep(pause, summary="until it can be reached again")
            if self._by_node(end):
                await self._reconcile()
            else:
                self._route = await locally(ChargerActivities.resolve_route, self._given.charger_id)
            if self._wavers(end):
                return False
            pause *= 2

    def _wavers(self, end: UpdateEnd) -> bool:
        """Whether one that had stayed up did not, by what is known by now, and is watched on."""
        vigil = self._vigil
        if vigil is None or not self._stayed(end):
            return False
        if self._by_node(end):
            judged = self._judge()
            return judged is None or judged.finding is not Finding.UPDATED
        return workflow.now() < self._deadline and self._epoch() != vigil.epoch

    async def _concluded_over(self, route: RouteFacts, end: UpdateEnd) -> bool:
        order = RestoreInput(self._books(end), route.session_epoch, self._before)
        try:
            answer = await on_node(DispatchActivities.conclude_update, order, route)
        except ActivityError:
            return False
        if answer is not None:  # It runs the version, and is not what it was otherwise.
            self._spoilt = UpdateEnd(Outcome.FAILED, answer.reason, (Mark.SUSPICIOUS,))
        return True

    def _books(self, end: UpdateEnd) -> ConcludeInput:
        given = self._given
        failed = f"attempt {given.attempt} failed: {end.reason}"
        return ConcludeInput(
            campaign_id=given.campaign_id,
            wave=given.wave,
            charger_id=given.charger_id,
            attempt=given.attempt,
            outcome=end.outcome,
            reason=failed if Mark.RETRY in end.marks else end.reason,
            for_session=Mark.SESSION in end.marks,
            distrusted=self._distrusted,
            failed=Mark.RETRY in end.marks and not _NEVER_CAME & set(end.marks),
            stopped=self._called_off,
            stayed_seconds=given.steady_seconds if self._stayed(end) else None,
        )
