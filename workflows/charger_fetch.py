"""One charger fetches an image ahead of its install (R20). Its id is the charger's lock.

One order, no second one: who does not get it this way gets it in one step with its install. It takes nothing
from the charger, so there is nothing to give back; what is parked there is in PostgreSQL. A charger that does
not wait with the install is followed to its proof, as an update is.
"""

from datetime import timedelta

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
    from workflows.attest import Attempt, Finding, judge, judge_deadline, sighting_of
    from workflows.fetch_rules import STATES, Fetch, FetchFinding, judge_fetch, judge_fetch_deadline
    from workflows.lasting import to_the_end
    from workflows.messages import ChargerFetchInput
    from workflows.options import locally, never_sent, on_node, remotely
    from workflows.signals import CHARGER_EVENT, ChargerSignal

LOOKS = 4
"""How often PostgreSQL is read at most when no signal comes, the deadline included."""
_OF_THE_INSTALL = {
    Finding.UPDATED: Outcome.UPDATED,
    Finding.OVERDUE: Outcome.FAILED,
    Finding.SILENT: Outcome.SILENT,
}
"""What becomes of a charger that began to install by itself; one that failed then gets a regular attempt."""


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
        outcome = Outcome.UPDATED if found.fetch is Fetch.UPDATED else None
        if outcome:
            await locally(ParkingActivities.note_haste, self._haste())
        return await self._conclude(self._end(found.reason, found, outcome))

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
        await locally(ParkingActivities.note_haste, self._haste())
        self._deadline = workflow.now() + timedelta(seconds=self._given.install_seconds)
        while True:
            judged = judge(self._attempt, self._sightings.values())
            if judged is None and not await self._next_news():
                facts = await self._reconcile()
                judged = judge(self._attempt, self._sightings.values())
                if judged is None and workflow.now() >= self._deadline:
                    judged = judge_deadline(self._attempt, facts, workflow.now())
            if judged:
                outcome = _OF_THE_INSTALL.get(judged.finding)
                return self._end(f"{found.reason}; {judged.reason}", found, outcome)

    async def _next_news(self) -> bool:
        """True when a signal came, False when it is time to look for ourselves."""
        left = self._deadline - workflow.now()
        quarter = timedelta(seconds=self._given.seconds / LOOKS)
        self._news = False
        try:
            await workflow.wait_condition(
                lambda: self._news, timeout=max(min(quarter, left), timedelta(seconds=0.01))
            )
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
