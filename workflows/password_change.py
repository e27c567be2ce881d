"""One charger's new password, from the command until it came with it (A01)."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.connection_orders import ConnectionStep
    from activities.orders import DispatchKind
    from activities.renewal import RenewalActivities
    from storage.errors import AmpwaveError
    from storage.renewal import RenewalOutcome
    from workflows.certificate_renewal import RenewalEnd
    from workflows.connection_link import ConnectionInput, ConnectionLink
    from workflows.lasting import and_then, to_the_end
    from workflows.options import locally
    from workflows.signals import CHARGER_EVENT, ChargerSignal


@workflow.defn(failure_exception_types=[AmpwaveError])
class PasswordChangeWorkflow:
    """Gives one charger a new password; id ``charger/{charger_id}``, the lock of its maintenance."""

    @workflow.init
    def __init__(self, given: ConnectionInput) -> None:
        self._link = ConnectionLink(given)

    @workflow.run
    async def run(self, given: ConnectionInput) -> RenewalEnd:  # noqa: ARG002 - __init__ has it
        """The old one dies when the charger says yes, or when it comes with the new one."""
        return await to_the_end(self._work(), self._link.stop)

    @workflow.signal(name=CHARGER_EVENT, description="An event of this charger was committed.")
    def charger_event(self, signal: ChargerSignal) -> None:  # noqa: ARG002 - the store has the truth
        """A hint: look again."""
        self._link.news = True

    async def _work(self) -> RenewalEnd:
        charger_id = self._link.given.charger_id
        end = await and_then(self._change(), lambda: locally(RenewalActivities.release_renewal, charger_id))
        self._link.say(end.reason)
        return end

    async def _change(self) -> RenewalEnd:
        link = self._link
        await link.from_now_on()
        before = link.facts.password_since
        if link.facts.pending:
            # An earlier change: the charger's next restart shows which of the two it uses.
            return RenewalEnd(None, "an earlier new password is not settled yet")
        link.say("is given a new password")
        answer = await link.step(ConnectionStep.PASSWORD)
        if answer.kind in (DispatchKind.GONE, DispatchKind.NOT_NOW):
            return RenewalEnd(None, answer.reason)
        if answer.kind in (DispatchKind.REFUSED, DispatchKind.UNSUPPORTED):
            return RenewalEnd(RenewalOutcome.REFUSED, answer.reason)
        link.say("is awaited with its new password")
        await link.until(
            lambda: link.facts.online and not link.facts.pending and link.facts.came_with is not None,
            link.given.proof_seconds,
        )
        facts = link.facts
        if not facts.online:
            return RenewalEnd(RenewalOutcome.LOST, f"it did not come back: {answer.reason}")
        if facts.pending:
            return RenewalEnd(RenewalOutcome.TAKEN, answer.reason)
        if facts.password_since == before:
            return RenewalEnd(RenewalOutcome.FAILED, f"it keeps its old password: {answer.reason}")
        if facts.came_with is None:
            return RenewalEnd(RenewalOutcome.TAKEN, f"{answer.reason}; it has not come with it yet")
        return RenewalEnd(RenewalOutcome.RENEWED, "it came with its new password")
