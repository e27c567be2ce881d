"""Activities of a node's own queue: send an update, restart a charger, close its maintenance."""

from temporalio import activity

from activities.availability import restore
from activities.conclusion import Books, RestoreInput
from activities.errors import beating, mapped
from activities.orders import DispatchAnswer, DispatchInput, Node, ResetAnswer, ResetInput
from activities.sending import Sending
from csms.commands import AnswerStatus, Reset, ResetKind
from csms.errors import CallFailed, Unsupported
from storage.ids import charger_workflow_id
from storage.twin import busy_reason

HEARTBEAT_S = 2.0


class DispatchActivities:
    """What only the node that holds the charger's socket can do. Register ``all()`` on its queue."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._books = Books(node.stores)

    @activity.defn
    @mapped
    async def dispatch_update(self, given: DispatchInput) -> DispatchAnswer:
        """Reserve, drain, verify and send one update. What a charger does is an answer, not an error."""
        async with beating(HEARTBEAT_S):
            return await Sending(self._node, given).run()

    @activity.defn
    @mapped
    async def reset_charger(self, given: ResetInput) -> ResetAnswer:
        """Send Reset OnIdle, unless the charger is busy or not ours any more.

        Raises NotConnectedHere, CommandTimeout, CallFailed or Unsupported.
        """
        node = self._node
        lease = await node.stores.leases.get(given.charger_id)
        if lease is None or lease.workflow_id != charger_workflow_id(given.charger_id):
            return ResetAnswer(accepted=False, reason="its site lease is not ours any more")
        await node.sender.settle(given.charger_id, given.session_epoch)
        view = await node.stores.chargers.get(given.charger_id)
        busy = busy_reason(view.twin.operation, node.stores.clock())
        if busy:
            return ResetAnswer(accepted=False, reason=busy)
        command = Reset(ResetKind.ON_IDLE)
        answer = await node.sender.send(
            given.charger_id, given.session_epoch, command, deadline_s=node.command_seconds
        )
        done = answer.status in (AnswerStatus.ACCEPTED, AnswerStatus.SCHEDULED)
        return ResetAnswer(done, f"it answered {answer.status.value} to Reset")

    @activity.defn
    @mapped
    async def conclude_update(self, given: RestoreInput) -> None:
        """Give availability back and close the books.

        Raises NotConnectedHere or CommandTimeout with the books still open: another route may help.
        """
        async with beating(HEARTBEAT_S):
            await self._books.close(given.end, await self._restore(given))

    async def _restore(self, given: RestoreInput) -> str:
        try:
            return await restore(
                self._node.sender,
                (given.end.charger_id, given.session_epoch),
                given.out_of_service,
                self._node.command_seconds,
            )
        except (CallFailed, Unsupported) as error:
            return error.message
