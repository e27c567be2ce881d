"""Activities of a node's own queue: send an update, restart a charger, close its maintenance."""

from asyncio import Lock
from dataclasses import replace

from temporalio import activity

from activities.availability import STILL_AT_WORK, put_back, still_at_work
from activities.conclusion import Books, ConcludeAnswer, ConcludeInput, RestoreInput, taken_over
from activities.errors import beating, mapped
from activities.keeping import compared
from activities.orders import DispatchAnswer, DispatchInput, Node, PutBackInput, ResetAnswer, ResetInput
from activities.recalling import RecallAnswer, RecallInput, call_back
from activities.sending import Sending
from activities.steadiness import DidNotStayUp, restless, stays_up_until, still_restless
from activities.stores import this_run
from csms.commands import AnswerStatus, Reset, ResetKind
from csms.errors import NotConnectedHere
from storage.campaign import Outcome
from storage.charger import OutOfService
from storage.ids import charger_workflow_id
from storage.twin import busy_reason

HEARTBEAT_S = 2.0


class DispatchActivities:
    """What only the node that holds the charger's socket can do. Register ``all()`` on its queue."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._books = Books(node.stores)

    def _alone(self, charger_id: str) -> Lock:
        return self._node.locks.alone(charger_id)

    @activity.defn
    @mapped
    async def dispatch_update(self, given: DispatchInput) -> DispatchAnswer:
        """Reserve, drain, verify and send one update. What a charger does is an answer, not an error."""
        async with beating(HEARTBEAT_S), self._alone(given.charger_id):
            return await Sending(self._node, given).run()

    @activity.defn
    @mapped
    async def reset_charger(self, given: ResetInput) -> ResetAnswer:
        """Send Reset OnIdle, unless the charger is busy or not ours any more.

        Raises NotConnectedHere, CommandTimeout, CallFailed or Unsupported.
        """
        node = self._node
        lease = await node.stores.leases.get(given.charger_id)
        holder = (lease.workflow_id, lease.run) if lease else None
        if holder != (charger_workflow_id(given.charger_id), this_run()):
            return ResetAnswer(accepted=False, reason="its site lease is not ours any more")
        await node.sender.settle(given.charger_id, given.session_epoch)
        operation = (await node.stores.chargers.glance(given.charger_id)).operation
        busy = busy_reason(operation, node.stores.clock())
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
    async def recall_update(self, given: RecallInput) -> RecallAnswer:
        """Tell it to stop the update that is under way, where its OCPP has a word for that (R31).

        Raises NotConnectedHere.
        """
        async with beating(HEARTBEAT_S), self._alone(given.charger_id):
            return await call_back(self._node, given)

    @activity.defn
    @mapped
    async def conclude_update(self, given: RestoreInput) -> ConcludeAnswer | None:
        """Compare and put back settings, give availability back where it can serve, close the books.

        Raises NotConnectedHere, CommandTimeout, CallFailed or RestoreRefused with the books still open:
        another route may help, and a charger that has only just started says yes a moment later. Raises
        DidNotStayUp where that is what it is to count for: it is judged anew.
        """
        charger_id = given.end.charger_id
        async with beating(HEARTBEAT_S), self._alone(charger_id):
            lease, end = await self._node.stores.leases.get(charger_id), given.end
            if taken_over(lease):
                return None
            await self._require_stay(end, given.session_epoch)
            ours = lease is None or lease.workflow_id == charger_workflow_id(charger_id)
            if ours:
                end = await compared(self._node, end, given.session_epoch)
                if why := await self._stays_out(end, given.session_epoch):
                    end = replace(end, reason=f"{end.reason}; {why}")
                else:
                    await put_back(self._node, charger_id, given.session_epoch)
            await self._books.close(end, compared=ours and given.end.outcome is Outcome.UPDATED)
            return ConcludeAnswer(end.reason) if end.outcome is not given.end.outcome else None

    async def _stays_out(self, end: ConcludeInput, session_epoch: int) -> str:
        """Why housekeeping puts it back later: its time is over and it works on, or it does not stay up."""
        stores = self._node.stores
        row = await stores.out_of_service.get(end.charger_id)
        if row is None:
            return ""
        working = end.outcome is not Outcome.UPDATED and not end.stopped
        if working and await still_at_work(stores, row):
            return STILL_AT_WORK
        return still_restless(row) if await self._restless(row, session_epoch) else ""

    async def _require_stay(self, end: ConcludeInput, session_epoch: int) -> None:
        """Of one that counts for having stayed up: its present session, and what it told, bear that out."""
        charger_id, seconds, stores = end.charger_id, end.stayed_seconds, self._node.stores
        if seconds is None:
            return
        await self._node.sender.settle(charger_id, session_epoch)
        route = await stores.routes.resolve(charger_id)
        if route is None or route.session_epoch != session_epoch:
            raise NotConnectedHere(charger_id, session_epoch)
        if await stays_up_until(stores, charger_id, seconds) is not None:
            raise DidNotStayUp(f"{charger_id} has booted or connected within {seconds:g} s.")

    async def _restless(self, row: OutOfService, session_epoch: int) -> bool:
        """After the last frame of this session is committed: its boot may be on its way."""
        if row.steady_seconds is not None:
            await self._node.sender.settle(row.charger_id, session_epoch)
        return await restless(self._node.stores, row)

    @activity.defn
    @mapped
    async def put_back_charger(self, given: PutBackInput) -> bool:
        """Put a charger back that its workflow had to leave out of service; False: nothing to do yet.

        Raises NotConnectedHere, CommandTimeout, CallFailed or RestoreRefused; the next round tries again.
        """
        stores, charger_id = self._node.stores, given.charger_id
        async with beating(HEARTBEAT_S), self._alone(charger_id):
            if await stores.leases.get(charger_id) is not None:
                return False
            row = await stores.out_of_service.get(charger_id)
            if row is None or await self._restless(row, given.session_epoch):
                return False
            done = await put_back(self._node, charger_id, given.session_epoch)
        if done:
            await stores.record("housekeeping", "charger.put_back", f"charger/{charger_id}")
        return done
