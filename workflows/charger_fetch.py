"""One charger fetches an image ahead of its install (R20). Its id is the charger's lock.

One order, no second one: who does not get it this way gets it in one step with its install. It takes nothing
from the charger, so there is nothing to give back; what is parked there is in PostgreSQL. A charger that does
not wait with the install is followed to its proof, as an update is.
"""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities, ReconcileInput
    from activities.facts import AttemptFacts, Sighting
    from activities.fetching import FetchActivities, FetchAnswer, FetchInput
    from activities.orders import DispatchKind
    from activities.parking import FetchEnd, Haste, ParkingActivities
    from storage.campaign import Outcome
    from storage.errors import AmpwaveError
    from storage.parked import Parking
    from workflows.attest import Attempt, Finding, Judgement, judge, judge_deadline, sighting_of
    from workflows.fetch_rules import STATES, Fetch, FetchFinding, judge_fetch, judge_fetch_deadline
    from workflows.lasting import to_the_end
    from workflows.messages import ChargerFetchInput
    from workflows.options import locally, never_sent, on_node, remotely
    from workflows.signals import CHARGER_EVENT, ChargerSignal
    from workflows.steady import Vigil, begun, judge_vigil, judge_vigil_deadline, stand_of

LOOKS = 4
"""How often PostgreSQL is read at most when no signal comes, the deadline included."""
_OF_THE_INSTALL = {
    Finding.UPDATED: Outcome.UPDATED,
    Finding.OVERDUE: Outcome.FAILED,
    Finding.SILENT: Outcome.SILENT,
}
"""What becomes of a charger that began to install by itself; one that failed then gets a regular attempt."""
_OF_THE_VIGIL = _OF_THE_INSTALL | {Finding.FAILED: Outcome.FAILED}
"""The same of one that proved the version and was to stay up: it had its chance."""


@workflow.defn(failure_exception_types=[AmpwaveError])
class ChargerFetchWorkflow:
    """Has one charger fetch; id ``charger/{charger_id}``."""

    @workflow.init
    def __init__(self, given: ChargerFetchInput) -> None:
        self._given = given
        self._attempt = Attempt(given.version, workflow.now(), None)
        self._deadline = workflow.now() + timedelta(seconds=given.seconds)
        self._sightings: dict[int, Sighting] = {}
        self._news = False
        self._stopped = False

    @workflow.run
    async def run(self, given: ChargerFetchInput) -> str:  # noqa: ARG002 - __init__ has it
        """Order it, wait until it is there, write it down; returns how it ended, in words."""
        return await to_the_end(self._work(), self._stop)

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:
        """A hint; repeats are dropped by their sequence."""
        sighting = sighting_of(signal)
        if sighting is not None and sighting.sequence not in self._sightings:
            self._sightings[sighting.sequence] = sighting
            self._news = True

    def _stop(self) -> None:
        self._stopped = self._news = True

    async def _work(self) -> str:
        answer = await self._order()
        if answer.kind not in (DispatchKind.ACCEPTED, DispatchKind.UNKNOWN):
            return await self._conclude(self._end(answer.reason))
        self._attempt = Attempt(self._given.version, self._attempt.since, answer.request_id)
        found = await self._watch()
        if found.fetch is Fetch.INSTALLING:
            return await self._conclude(await self._follow(found))
        if found.fetch is not Fetch.UPDATED:
            return await self._conclude(self._end(found.reason, found))
        await self._goes_away()
        return await self._conclude(await self._proven(found, found.reason))

    async def _order(self) -> FetchAnswer:
        given = self._given
        order = FetchInput(
            given.campaign_id, given.wave, given.shard, given.charger_id, given.route.session_epoch
        )
        try:
            return await on_node(FetchActivities.order_fetch, order, given.route)
        except ActivityError as error:
            if never_sent(error):
                return FetchAnswer(DispatchKind.GONE, "its node did not take the order")
            return FetchAnswer(DispatchKind.UNKNOWN, "its node was lost while sending")

    async def _watch(self) -> FetchFinding:
        """Wait for what decides; at the latest the deadline does."""
        self._say("fetches the image ahead of its install")
        while not self._stopped:
            if found := judge_fetch(self._attempt, self._sightings.values()):
                return found
            if not await self._next_news():
                await self._reconcile()
                if workflow.now() >= self._deadline:
                    break
        seconds = (workflow.now() - self._attempt.since).total_seconds()
        return judge_fetch_deadline(self._attempt, self._sightings.values(), seconds)

    async def _follow(self, found: FetchFinding) -> FetchEnd:
        """Nobody can stop it any more: it is away from its site until it has booted or given up."""
        self._say(found.reason)
        await self._goes_away()
        while True:
            judged = judge(self._attempt, self._sightings.values())
            if judged is None and not await self._next_news():
                facts = await self._reconcile()
                judged = judge(self._attempt, self._sightings.values())
                if judged is None and workflow.now() >= self._deadline:
                    judged = judge_deadline(self._attempt, facts, workflow.now())
            if judged and judged.finding is Finding.UPDATED:
                return await self._proven(found, f"{found.reason}; {judged.reason}")
            if judged:
                outcome = _OF_THE_INSTALL.get(judged.finding)
                return self._end(f"{found.reason}; {judged.reason}", found, outcome)

    async def _goes_away(self) -> None:
        """From its site, for as long as an attempt may take."""
        await locally(ParkingActivities.note_haste, self._haste())
        self._deadline = workflow.now() + timedelta(seconds=self._given.install_seconds)

    async def _proven(self, found: FetchFinding, reason: str) -> FetchEnd:
        """It counts, and its site's slot is free, once it has stayed up, where the plan wants that."""
        seconds = self._given.steady_seconds
        if seconds is None:
            return self._end(reason, found, Outcome.UPDATED)
        self._say(f"{reason}; waiting until it has stayed up for {seconds:g} s")
        judged = await self._lasts(seconds)
        # Who proved it too late to be seen staying up is seen at its shard's next look.
        outcome = None if judged.retryable else _OF_THE_VIGIL[judged.finding]
        return self._end(f"{found.reason}; {judged.reason}", found, outcome)

    async def _lasts(self, seconds: float) -> Judgement:
        """Every wake-up reads PostgreSQL: it is rare, and a lost connection is no hint."""
        vigil: Vigil | None = None
        while True:
            self._news = False
            facts = await self._reconcile()
            now, epoch = workflow.now(), facts.route.session_epoch if facts.route else None
            if stand := stand_of(self._attempt, self._sightings.values()):
                vigil = vigil.kept(stand, epoch, now) if vigil else begun(seconds, stand, epoch, now)
                if judged := judge_vigil(self._attempt, vigil, stand, now):
                    return judged
            if now >= self._deadline:
                if vigil is None:
                    return judge_deadline(self._attempt, facts, now)
                return judge_vigil_deadline(self._attempt, vigil, facts, now)
            again = now + timedelta(seconds=seconds)
            due = vigil.until if vigil is not None and vigil.epoch is not None else again
            await self._until(min(due, self._deadline))

    async def _next_news(self) -> bool:
        """True when a signal came, False when it is time to look for ourselves."""
        quarter = timedelta(seconds=self._given.seconds / LOOKS)
        self._news = False
        return await self._until(min(workflow.now() + quarter, self._deadline))

    async def _until(self, due: datetime) -> bool:
        """Whether a signal came before that."""
        left = max(due - workflow.now(), timedelta(seconds=0.01))
        try:
            await workflow.wait_condition(lambda: self._news, timeout=left)
        except TimeoutError:
            return False
        return True

    async def _reconcile(self) -> AttemptFacts:
        given = self._given
        query = ReconcileInput(given.campaign_id, given.wave, given.charger_id, self._attempt.since)
        facts = await locally(ChargerActivities.reconcile_update, query)
        self._sightings |= {sighting.sequence: sighting for sighting in facts.sightings}
        return facts

    def _haste(self) -> Haste:
        return Haste(self._given.charger_id, self._given.install_seconds)

    def _end(
        self, reason: str, found: FetchFinding | None = None, outcome: Outcome | None = None
    ) -> FetchEnd:
        given = self._given
        state = STATES[found.fetch] if found else None
        return FetchEnd(
            campaign_id=given.campaign_id,
            wave=given.wave,
            charger_id=given.charger_id,
            reason=reason,
            request_id=self._attempt.request_id,
            state=None if state is Parking.ASKED else state,
            outcome=outcome,
            distrusted=found is not None and found.fetch is Fetch.DISTRUSTED,
        )

    async def _conclude(self, end: FetchEnd) -> str:
        await remotely(ParkingActivities.conclude_fetch, end, "write down how the download ended")
        return end.reason

    def _say(self, text: str) -> None:
        workflow.set_current_details(f"**{self._given.charger_id}** {text}")
