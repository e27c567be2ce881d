"""One charger to another connection: a higher security profile, or another way to us (A05, B09; WP3).

Look whether it can come back the new way, take it out of service, write the new way into a slot that it
does not use, restart it, and wait until it comes. The old way is let in until then: only a connection with
the higher profile raises the charger's floor, and from then on the old profile is refused.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.connection import ConnectionActivities
    from activities.connection_orders import ConnectionAnswer, ConnectionNote, ConnectionStep
    from activities.orders import DispatchKind
    from activities.renewal import RenewalActivities
    from storage.errors import AmpwaveError
    from storage.renewal import RenewalOutcome
    from workflows.certificate_renewal import RenewalEnd
    from workflows.connection_link import ConnectionInput, ConnectionLink
    from workflows.connection_rules import ENDS, ConnectionPhase, Said, advance, heard
    from workflows.lasting import and_then, to_the_end
    from workflows.options import locally
    from workflows.signals import CHARGER_EVENT, ChargerSignal

P = ConnectionPhase
_DOING = {
    P.CHECK: "is asked whether it can come back the new way",
    P.WRITE: "is taken out of service and given its new connection",
    P.PREFER: "is told to try the new connection first",
    P.RESTART: "is restarted",
    P.PROVE: "is awaited by its new connection",
    P.RESTORE: "gets its old order of connections back",
    P.RETURN: "goes back into service",
}


@workflow.defn(failure_exception_types=[AmpwaveError])
class ConnectionChangeWorkflow:
    """Brings one charger to another connection; id ``charger/{charger_id}``, the lock of its maintenance."""

    @workflow.init
    def __init__(self, given: ConnectionInput) -> None:
        self._link = ConnectionLink(given)
        self._checked = ConnectionAnswer(DispatchKind.GONE)
        self._slot: int | None = None

    @workflow.run
    async def run(self, given: ConnectionInput) -> RenewalEnd:  # noqa: ARG002 - __init__ has it
        """Phase after phase, and give back what was taken."""
        return await to_the_end(self._work(), self._link.stop)

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:  # noqa: ARG002 - the store has the truth
        """A hint: look again."""
        self._link.news = True

    async def _work(self) -> RenewalEnd:
        charger_id = self._link.given.charger_id
        end = await and_then(self._through(), lambda: locally(RenewalActivities.release_renewal, charger_id))
        self._link.say(end.reason)
        return end

    async def _through(self) -> RenewalEnd:
        phase, end = P.CHECK, None
        while phase is not P.OVER:
            self._link.say(_DOING[phase])
            said, reason = await self._do(phase)
            if end is None and (phase, said) in ENDS:
                end = RenewalEnd(ENDS[phase, said], reason)
            phase = advance(phase, said)
        ended = end or RenewalEnd(RenewalOutcome.FAILED, "it ended without a word")
        if ended.outcome is not None and self._checked.profile:
            await self._note(ended)
        return ended

    async def _note(self, end: RenewalEnd | None = None) -> None:
        given = self._link.given
        told = (end.outcome, end.reason) if end else (None, "")
        note = ConnectionNote(given.renewal_id, given.charger_id, self._checked.profile, *told)
        await locally(ConnectionActivities.note_connection, note)

    async def _do(self, phase: ConnectionPhase) -> tuple[Said, str]:
        link, checked = self._link, self._checked
        match phase:
            case P.CHECK:
                answer = self._checked = await link.step(ConnectionStep.CHECK)
                if answer.kind is DispatchKind.ACCEPTED:
                    await self._note()
            case P.WRITE:
                await link.from_now_on()
                slots, profile = checked.slots, checked.profile
                answer = await link.step(ConnectionStep.WRITE, slots=slots, profile=profile)
                self._slot = next(iter(answer.slots), None)
            case P.PREFER:
                priority = ",".join(map(str, self._order()))
                answer = await link.step(ConnectionStep.PREFER, priority=priority)
            case P.RESTART:
                await link.from_now_on()
                answer = await link.step(ConnectionStep.RESTART)
            case P.PROVE:
                return await self._prove()
            case P.RESTORE if not checked.before:
                return Said.YES, "it had told no order"
            case P.RESTORE:
                answer = await link.step(ConnectionStep.RESTORE, priority=checked.before)
            case _:
                answer = await link.step(ConnectionStep.RETURN)
        return heard(phase, answer, by_itself=checked.by_itself), answer.reason

    def _order(self) -> tuple[int, ...]:
        """The new slot, behind it the one in use: that is the way back; then the others."""
        listed = [int(each) for each in self._checked.before.split(",") if each.strip().isdecimal()]
        active = [] if self._checked.active is None else [self._checked.active]
        return tuple(dict.fromkeys([self._slot or 0, *active, *listed]))

    # --- proof ------------------------------------------------------------------------------------

    async def _prove(self) -> tuple[Said, str]:
        link, seconds = self._link, self._link.given.proof_seconds
        if self._checked.by_itself:
            # It is to reconnect by itself; one that only waits for it is restarted once.
            await link.until(self._settled, seconds / 2)
            if not self._settled() and link.facts.online and link.facts.came_with is None:
                await link.step(ConnectionStep.RESTART)
            await link.until(self._settled, seconds / 2)
        else:
            await link.until(self._settled, seconds)
        return await self._judged()

    def _settled(self) -> bool:
        """It came, by whatever way; a charger with slots after its restart."""
        facts = self._link.facts
        came = facts.came_with is not None and facts.online
        return came and (self._checked.by_itself or facts.booted)

    async def _judged(self) -> tuple[Said, str]:
        facts, wanted = self._link.facts, self._checked.profile
        if not facts.online:
            return Said.AWAY, "it did not come back"
        if facts.came_with is None:
            return Said.STAYED, "it has not connected anew: it took the change, and stays as it was"
        if facts.came_with < wanted:
            return Said.BACK, f"it came back with security profile {facts.came_with}, not {wanted}"
        if self._checked.by_itself or self._checked.active is None:
            return Said.CAME, f"it came with security profile {facts.came_with}"
        return await self._by_slot(facts.came_with)

    async def _by_slot(self, profile: int) -> tuple[Said, str]:
        """It tells which slot it uses: that has to be the new one."""
        answer = await self._link.step(ConnectionStep.SHOW)
        if answer.active == self._slot:
            return Said.CAME, f"it came by slot {self._slot} with security profile {profile}"
        if self._checked.profile == profile and answer.active is None:
            return Said.STAYED, "it came back, and does not tell by which slot"
        return Said.BACK, f"it came back by slot {answer.active}, not {self._slot}"
