# long-file: the one step that sends; its order is its point
"""The flow of the step that sends.

Everything is looked at again here, after the last frame of the charger is committed and after no
session can begin any more: nothing unproven is sent, and no session is cut (X1, S22-S26).
"""

from dataclasses import replace
from datetime import timedelta

from activities.addresses import fetch_window, unsendable
from activities.availability import closed_to_cars, out_before, put_back, taking_out
from activities.facts import has_car, version_unread
from activities.keeping import note
from activities.leave import no_leave, still_wanted
from activities.local_images import LocalQuery, local_address
from activities.orders import DispatchAnswer, DispatchInput, DispatchKind, Node, Obstacle, Order, wake_on
from activities.proving import Proving, security_event
from activities.steadiness import restless
from activities.stores import this_run
from activities.withdrawn import distrusted, subjects_of
from csms.commands import AnswerStatus, ChangeAvailability, Command, CommandAnswer, UpdateFirmware
from csms.errors import CallFailed, CommandTimeout, CsmsError, NotAccepted, NotConnectedHere, Unsupported
from csms.ports import LastLook
from signing.ports import VerifiedDispatch
from storage.campaign import CampaignPlan, Pace, Target, TargetPhase, follows, goes_back, sent_in
from storage.charger import ModelProfile, OutOfService, SiteLease
from storage.ids import charger_workflow_id
from storage.ports import ChargerView
from storage.twin import IN_SERVICE, Lifecycle, OperationSection, busy_reason

ASKED_LONG_AGO = timedelta(seconds=1)
"""So old is the leave of people and site at the most when the command is written."""
_SENT = frozenset({TargetPhase.DISPATCHED, TargetPhase.CONFIRMING})


class Sending:
    """One run of the step that sends."""

    def __init__(self, node: Node, given: DispatchInput) -> None:
        self._node = node
        self._stores = node.stores
        self._given = given
        self._request_id: int | None = None
        self._before = given.out_of_service
        self._drained = False
        self._sent_before = False
        self._recorded = False
        self._marked = False
        self._row: OutOfService | None = None
        self._needs_reset = False
        self._local = False
        self._asked_at = node.stores.clock()
        self._plan: CampaignPlan
        self._pace = Pace()
        self._rollback = goes_back(given.wave)
        self._phase = sent_in(given.wave)

    async def run(self) -> DispatchAnswer:
        """The whole flow; an obstacle on the way gives back what was taken from the charger."""
        try:
            target = await self._wanted()
            self._sent_before = target.phase in _SENT and target.attempt == self._given.attempt
            self._require_ease()
            order = await self._reserve(target)
            view = await self._drain(order)
            proof = await Proving(self._node, self._given).prove(order, view)
            return self._answer(await self._send(order, proof, view))
        except NotConnectedHere as error:
            return await self._give_up(Obstacle(DispatchKind.GONE, error.message))
        except Obstacle as obstacle:
            return await self._give_up(obstacle)

    def _answer(self, kind: DispatchKind, reason: str = "") -> DispatchAnswer:
        return DispatchAnswer(
            kind,
            reason,
            request_id=self._request_id,
            out_of_service=self._before,
            drained=self._drained,
            needs_reset=self._needs_reset,
        )

    async def _give_up(self, obstacle: Obstacle) -> DispatchAnswer:
        if self._drained and not self._sent_before:
            self._drained = not await self._undrained()
        told = self._answer(obstacle.kind, obstacle.reason)
        return replace(
            told, for_session=obstacle.for_session, strained=obstacle.strained, spent=obstacle.spent
        )

    async def _undrained(self) -> bool:
        """Whether nothing is left to give back; a charger that does not stay up is left to housekeeping.

        By what was known of it before this order, of which nothing left us.
        """
        if self._row is not None and await restless(self._stores, self._row):
            return True
        try:
            await put_back(self._node, self._given.charger_id, self._given.session_epoch)
        except CsmsError:
            return False
        return True

    # --- 1. reserve: still wanted, a directive, a number, the site's leave ----------------------

    async def _wanted(self) -> Target:
        self._plan, target = await still_wanted(self._stores, self._given, self._phase)
        self._pace = self._plan.pace
        return target

    def _require_ease(self) -> None:
        """What was sent before is sent to its end, however late this node is."""
        if not self._sent_before and (why := self._node.strain):
            raise Obstacle(DispatchKind.NOT_NOW, why, strained=True)

    async def _reserve(self, target: Target) -> Order:
        given, stores = self._given, self._stores
        if not (directive := await stores.campaigns.directive(given.campaign_id, given.wave, given.shard)):
            raise Obstacle(DispatchKind.NOT_NOW, "there is no signed directive for it yet")
        artifact = await stores.artifacts.get(target.artifact_id)
        profile = await self._profile()
        await self._require_leave(target)
        self._request_id = await self._number(target)
        await self._lease(target, profile, artifact.length)
        if not self._sent_before:
            await self._move(TargetPhase.RESERVED, "it is reserved at its site")
        return Order(target, artifact, profile, self._request_id, directive)

    async def _require_leave(self, target: Target) -> None:
        self._asked_at = self._stores.clock()
        if why := await no_leave(self._stores, self._plan, target):
            raise Obstacle(DispatchKind.NOT_NOW, why)

    async def _profile(self) -> ModelProfile:
        charger = await self._stores.chargers.registered(self._given.charger_id)
        known = await self._stores.chargers.model(charger.vendor, charger.model)
        profile = known or ModelProfile(charger.vendor, charger.model)
        self._needs_reset = profile.needs_reset_after_install
        return profile

    async def _number(self, target: Target) -> int:
        """The request id of this attempt: the same one again, however often it is sent."""
        if target.attempt == self._given.attempt and target.request_id is not None:
            return target.request_id
        return await self._stores.campaigns.next_request_id()

    async def _lease(self, target: Target, profile: ModelProfile, length: int) -> None:
        given, leases = self._given, self._stores.leases
        seconds = self._pace.attempt_deadline_seconds + self._node.lease_slack_seconds
        workflow_id = charger_workflow_id(given.charger_id)
        answer = await leases.take(
            SiteLease(
                charger_id=given.charger_id,
                site_id=target.site_id,
                workflow_id=workflow_id,
                kind="rollback" if self._rollback else "update",
                expires_at=self._stores.clock() + timedelta(seconds=seconds),
                request_id=self._request_id,
                wake_on=wake_on(needs_reset=profile.needs_reset_after_install),
                run=this_run(),
                download_bytes=length,
                campaign_id=given.campaign_id,
            )
        )
        if not answer.granted:
            raise Obstacle(DispatchKind.NOT_NOW, answer.why_not)

    # --- 2. drain: no session now, and none can begin -------------------------------------------

    async def _drain(self, order: Order) -> ChargerView:
        """The charger as it is once no car can begin at it."""
        view = await self._look()
        self._require_fit(view, order)
        ours = await self._stores.out_of_service.get(self._given.charger_id)
        epoch = self._given.session_epoch
        self._before = ours.before if ours else await out_before(self._node, view, epoch)
        if ours or not closed_to_cars(view.twin.operation):
            await self._remember(view, self._before)
            for place, command in enumerate(taking_out(view, self._before)):
                await self._make_inoperative(command, anew=ours is None and place == 0)
        return await self._look()

    async def _look(self) -> ChargerView:
        """The twin with everything the charger told us before now; it must be idle."""
        given = self._given
        await self._node.sender.settle(given.charger_id, given.session_epoch)
        view = await self._stores.chargers.get(given.charger_id)
        self._require_idle(view.charger.lifecycle, view.twin.operation)
        return view

    def _require_idle(self, lifecycle: Lifecycle, operation: OperationSection | None) -> None:
        if lifecycle not in IN_SERVICE and not self._sent_before:
            # Set aside, or on its way out since it was found ready: what was sent before goes to its end.
            raise Obstacle(DispatchKind.NOT_NOW, f"it is {lifecycle.value} by now")
        if busy := busy_reason(operation, self._stores.clock()):
            raise Obstacle(DispatchKind.NOT_NOW, busy, for_session=has_car(operation))

    def _require_fit(self, view: ChargerView, order: Order) -> None:
        given, firmware = self._given, view.twin.firmware
        if version_unread(view.twin):
            raise Obstacle(DispatchKind.NOT_NOW, "it has not told which version it runs")
        if firmware and firmware.version == order.target.to_version:
            raise Obstacle(DispatchKind.ALREADY, f"it runs {firmware.version} already")
        if self._rollback and not self._sent_before:
            self._require_bad_version(firmware.version if firmware else None, order.target)
        signed = self._node.sender.supports_signed_update(given.charger_id, given.session_epoch)
        if not signed and order.profile.unsafe_unsigned_waiver is None:
            reason = "it cannot take a signed update, and its model has no waiver"
            raise Obstacle(DispatchKind.UNSUPPORTED, reason)

    def _require_bad_version(self, version: str | None, target: Target) -> None:
        """A rollback takes back one version; a charger that runs another by now is left alone."""
        if version is None:
            raise Obstacle(DispatchKind.NOT_NOW, "it has not told which version it runs")
        if version != target.from_version:
            reason = f"it runs {version}, not {target.from_version}, which is rolled back"
            raise Obstacle(DispatchKind.UNSUPPORTED, reason)

    async def _remember(self, view: ChargerView, before: tuple[str, ...]) -> None:
        """Before the charger is told, so that nothing that happens from here on leaves it out for ever."""
        given, charger = self._given, view.charger
        cause = f"update in campaign {given.campaign_id}, wave {given.wave}"
        row = OutOfService(charger.charger_id, charger.site_id, before, self._stores.clock(), cause)
        self._row = await self._stores.out_of_service.add(row)

    async def _untouched(self, *, anew: bool) -> None:
        """The charger cannot be taken out of service, so it was not."""
        if anew:
            self._drained = False
            await self._stores.out_of_service.remove(self._given.charger_id)

    async def _make_inoperative(self, command: ChangeAvailability, *, anew: bool) -> None:
        # From here on the charger may be inoperative, whatever becomes of the answer.
        self._drained = True
        try:
            answer = await self._command(command)
        except (CommandTimeout, CallFailed) as error:
            raise Obstacle(DispatchKind.NOT_NOW, error.message) from None
        except NotAccepted as error:
            await self._untouched(anew=anew)
            raise Obstacle(DispatchKind.NOT_NOW, error.message) from None
        except Unsupported as error:
            await self._untouched(anew=anew)
            raise Obstacle(DispatchKind.UNSUPPORTED, error.message) from None
        if answer.status is AnswerStatus.NOT_IMPLEMENTED:
            await self._untouched(anew=anew)
            raise Obstacle(DispatchKind.UNSUPPORTED, "it cannot be taken out of service for an update")
        if answer.status is not AnswerStatus.ACCEPTED:
            # Scheduled: a transaction runs that it has not told us of yet.
            raise Obstacle(
                DispatchKind.NOT_NOW,
                f"it answered {answer.status.value} when it was to be taken out of service",
                for_session=answer.status is AnswerStatus.SCHEDULED,
            )

    # --- 3. send ---------------------------------------------------------------------------------

    async def _send(self, order: Order, proof: VerifiedDispatch, view: ChargerView) -> DispatchKind:
        order = replace(order, target=self._from(view, order.target))
        command = await self._update(order, proof, view)
        signed = command.signature is not None
        if unfit := unsendable(view, order.profile, command.location, signed=signed):
            raise Obstacle(DispatchKind.UNSUPPORTED, unfit)
        await note(self._node, self._given, view)
        try:
            answer = await self._command(command, lambda: self._last_look(order, proof))
        except NotConnectedHere:
            await self._unmark(order)
            raise
        except NotAccepted as error:
            await self._unmark(order)
            raise Obstacle(DispatchKind.NOT_NOW, error.message) from None
        except CommandTimeout as error:
            if not self._marked:  # Another command had its turn all the time.
                raise Obstacle(DispatchKind.NOT_NOW, f"nothing was sent: {error.message}") from None
            return DispatchKind.UNKNOWN
        except CallFailed as error:
            raise Obstacle(DispatchKind.REFUSED, error.message) from None
        except Unsupported as error:
            raise Obstacle(DispatchKind.UNSUPPORTED, error.message) from None
        return await self._judge(answer, order.artifact.artifact_id)

    def _from(self, view: ChargerView, target: Target) -> Target:
        """With what it runs now, which may be another version than when the plan was made."""
        runs = view.twin.firmware.version if view.twin.firmware else None
        return target if runs is None or self._sent_before else replace(target, from_version=runs)

    async def _last_look(self, order: Order, proof: VerifiedDispatch) -> None:
        """Its turn has come and only the write is left: a car or an abort since then holds it back (X1).

        Taken again where it waited long for the store.
        """
        try:
            await self._glance()  # Also where it was drained: not every charger turns cars away then.
            if not self._sent_before and self._stores.clock() - self._asked_at > ASKED_LONG_AGO:
                await self._require_leave(order.target)  # A hold or a freeze while it was drained.
            await self._record_dispatch(order, proof)
            await self._mark(order, proof)
        except Obstacle as obstacle:
            await self._withhold(order, obstacle.reason)
            raise

    async def _glance(self) -> None:
        given = self._given
        await self._node.sender.settle(given.charger_id, given.session_epoch)
        now = await self._stores.chargers.glance(given.charger_id)
        self._require_idle(now.lifecycle, now.operation)

    async def _withhold(self, order: Order, reason: str) -> None:
        if self._recorded:
            await self._record_withheld(order, reason)
        if self._marked:
            self._marked = False
            await self._unmark(order)

    async def _mark(self, order: Order, proof: VerifiedDispatch) -> None:
        """Write down that it is sent, if it may be: in one statement, so that no abort or halt slips in."""
        marked = replace(
            order.target,
            attempt=self._given.attempt,
            request_id=order.request_id,
            reason="the command is on its way",
            dispatched_at=self._stores.clock(),
        )
        first = self._plan.after if follows(self._given.wave) else None
        if not await self._stores.campaigns.mark_dispatched(marked, self._phase, subjects_of(proof), first):
            await self._wanted()  # Says what stopped it, where that can still be seen.
            stopped = "its target, its campaign, what comes first or its image was stopped meanwhile"
            raise Obstacle(DispatchKind.NOT_NOW, stopped)
        self._marked = True
        if self._row is not None and self._pace.steady_seconds is not None:
            # From this order on it has to stay up before it goes back; whoever was sent nothing goes at once.
            steady = replace(self._row, steady_seconds=self._pace.steady_seconds)
            await self._stores.out_of_service.add(steady)

    async def _unmark(self, order: Order) -> None:
        """Nothing left us, so nothing was dispatched, unless an earlier try of this attempt was."""
        if not self._sent_before:
            unsent = replace(order.target, attempt=self._given.attempt, reason="it was not sent")
            await self._stores.campaigns.unmark_dispatched(unsent)

    async def _update(self, order: Order, proof: VerifiedDispatch, view: ChargerView) -> UpdateFirmware:
        given, vendor, digest = self._given, proof.vendor_signature, proof.directive.sha256
        window = fetch_window(view, order.profile, self._pace.ticket_seconds)
        location = await self._local_address(order, view) if vendor else None
        self._local = location is not None
        if location is None:
            office = self._node.office
            location = await office.mint(given.charger_id, digest, window, proof.certificate_subjects)
        return UpdateFirmware(
            request_id=order.request_id,
            location=location,
            retrieve_at=self._stores.clock(),
            signing_certificate=vendor.certificate if vendor else None,
            signature=vendor.signature if vendor else None,
        )

    async def _local_address(self, order: Order, view: ChargerView) -> str | None:
        """Its site's controller offers the image (L03). A repetition, and a way back, come to us."""
        given = self._given
        if given.attempt > 1 or self._rollback:
            return None
        query = LocalQuery(given.campaign_id, given.wave, order.target.site_id)
        return await local_address(self._stores, query, order.artifact.artifact_id, view, order.profile)

    async def _judge(self, answer: CommandAnswer, artifact_id: str) -> DispatchKind:
        said = f"it answered {answer.status.value} {answer.detail}".strip()
        match answer.status:
            case AnswerStatus.ACCEPTED | AnswerStatus.ACCEPTED_CANCELED:
                await self._stores.parked.forget(self._given.charger_id)  # This order took its place.
                await self._move(TargetPhase.CONFIRMING, "it accepted the update")
                return DispatchKind.ACCEPTED
            case AnswerStatus.INVALID_CERTIFICATE | AnswerStatus.REVOKED_CERTIFICATE:
                await security_event(self._stores, self._given, answer.status.value, said)
                await distrusted(self._stores, artifact_id, self._given.charger_id, said)
                raise Obstacle(DispatchKind.HALT, said)
            case AnswerStatus.NOT_IMPLEMENTED:
                raise Obstacle(DispatchKind.UNSUPPORTED, said)
            case _:
                raise Obstacle(DispatchKind.REFUSED, said)

    async def _command(self, command: Command, last_look: LastLook | None = None) -> CommandAnswer:
        given, seconds = self._given, self._node.command_seconds
        sender = self._node.sender
        return await sender.send(
            given.charger_id, given.session_epoch, command, deadline_s=seconds, last_look=last_look
        )

    async def _move(self, phase: TargetPhase, reason: str) -> None:
        given = self._given
        await self._stores.campaigns.move_target(
            given.campaign_id,
            given.wave,
            given.charger_id,
            phase,
            reason,
            at=self._stores.clock(),
            attempt=given.attempt,
            request_id=self._request_id,
        )

    async def _record_withheld(self, order: Order, reason: str) -> None:
        given = self._given
        await self._stores.record(
            f"campaign/{given.campaign_id}",
            "update.withheld",
            f"charger/{given.charger_id}",
            request_id=order.request_id,
            reason=reason,
        )

    async def _record_dispatch(self, order: Order, proof: VerifiedDispatch) -> None:
        if self._recorded:
            return
        given = self._given
        await self._stores.record(
            f"campaign/{given.campaign_id}",
            "update.dispatched",
            f"charger/{given.charger_id}",
            wave=given.wave,
            attempt=given.attempt,
            request_id=order.request_id,
            artifact=proof.directive.sha256,
            version=proof.directive.version,
            directive=order.directive.directive_id,
            evidence=proof.evidence,
            **({"fetches_from": "its site's local controller"} if self._local else {}),
        )
        self._recorded = True
