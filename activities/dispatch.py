"""Activities of a node's own queue: send an update, restart a charger, close its maintenance."""

from temporalio import activity

from activities.availability import restoring, send_all
from activities.conclusion import Books, RestoreInput
from activities.errors import beating, mapped
from activities.orders import DispatchAnswer, DispatchInput, Node, ResetAnswer, ResetInput
from activities.sending import Sending
from csms.commands import AnswerStatus, Reset, ResetKind
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

        Raises NotConnectedHere, CommandTimeout, CallFailed or RestoreRefused with the books still open:
        another route may help, and a charger that has only just started says yes a moment later.
        """
        async with beating(HEARTBEAT_S):
            await self._restore(given)
            await self._books.close(given.end)

    async def _restore(self, given: RestoreInput) -> None:
        node, charger_id = self._node, given.end.charger_id
        view = await node.stores.chargers.get(charger_id)
        commands = restoring(view.twin.operation, given.out_of_service)
        await send_all(node.sender, (charger_id, given.session_epoch), commands, node.command_seconds)
