"""One root of one charger: installed and seen, or deleted once the charger came under the new chain."""

from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.chargers import ChargerActivities
    from activities.orders import DispatchKind
    from activities.renewal import RenewalActivities, RenewalAnswer
    from activities.roots import RootOrder, RootSender
    from storage.errors import AmpwaveError
    from storage.renewal import RenewalOutcome
    from workflows.certificate_renewal import RenewalEnd
    from workflows.lasting import and_then
    from workflows.options import locally, never_sent, on_node

ROUTES = 3
"""Sessions over which it is tried before the charger goes back to waiting."""


@dataclass(frozen=True, slots=True)
class RootChangeInput:
    """One charger of a job about roots."""

    charger_id: str
    renewal_id: str


@workflow.defn(failure_exception_types=[AmpwaveError])
class RootChangeWorkflow:
    """Changes one charger's roots; id ``charger/{charger_id}``, the lock of its maintenance."""

    @workflow.run
    async def run(self, given: RootChangeInput) -> RenewalEnd:
        """Every step may be repeated, so a lost answer costs another look and nothing else."""
        return _end(
            await and_then(
                self._change(given), lambda: locally(RenewalActivities.release_renewal, given.charger_id)
            )
        )

    async def _change(self, given: RootChangeInput) -> RenewalAnswer:
        answer = RenewalAnswer(DispatchKind.GONE, "it is not connected")
        for _ in range(ROUTES):
            answer = await self._sent(given)
            if answer.kind not in (DispatchKind.GONE, DispatchKind.UNKNOWN):
                break
        return answer

    async def _sent(self, given: RootChangeInput) -> RenewalAnswer:
        route = await locally(ChargerActivities.resolve_route, given.charger_id)
        if route is None:
            return RenewalAnswer(DispatchKind.GONE, "it is not connected")
        order = RootOrder(given.renewal_id, given.charger_id, route.session_epoch)
        try:
            return await on_node(RootSender.change_root, order, route)
        except ActivityError as error:
            if never_sent(error):
                return RenewalAnswer(DispatchKind.GONE, "its node did not take the command")
            return RenewalAnswer(DispatchKind.UNKNOWN, "its node was lost while sending")


def _end(answer: RenewalAnswer) -> RenewalEnd:
    if answer.kind is DispatchKind.ACCEPTED:
        return RenewalEnd(RenewalOutcome.RENEWED, answer.reason)
    if answer.kind in (DispatchKind.GONE, DispatchKind.NOT_NOW):
        return RenewalEnd(None, answer.reason)
    if answer.kind is DispatchKind.UNKNOWN:
        return RenewalEnd(RenewalOutcome.FAILED, answer.reason)
    return RenewalEnd(RenewalOutcome.REFUSED, answer.reason)
