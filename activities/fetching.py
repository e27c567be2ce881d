"""The step that has a charger fetch an image ahead of its install, and the one that calls it back (R20).

A download cuts no session and darkens no site, so this step asks for neither. Everything else that it takes
to send an update, it takes: the campaign runs, the directive, the release and the vendor's signature are
proven, and the note that it is sent is one statement with the question whether it may be. The install is told
an instant that never comes (``storage.parked``); the order to install comes from ``sending`` alone.
"""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.addresses import fetch_window, unsendable
from activities.errors import beating, mapped
from activities.leave import no_leave_to_fetch, still_wanted
from activities.orders import DispatchInput, DispatchKind, Node, Obstacle, Order, PutBackInput
from activities.parking import installed_by_itself
from activities.proving import Proving, security_event
from activities.recalling import empty_update
from activities.stores import Stores, this_run
from activities.withdrawn import distrusted, subjects_of
from csms.commands import AnswerStatus, CommandAnswer, UpdateFirmware
from csms.errors import CallFailed, CommandTimeout, NotAccepted, NotConnectedHere, Unsupported
from signing.ports import VerifiedDispatch
from storage.campaign import CampaignPhase, CampaignPlan, Target, TargetPhase
from storage.charger import ModelProfile, SiteLease
from storage.ids import charger_workflow_id
from storage.parked import DOWNLOAD, NEVER, Parked, Parking
from storage.ports import ChargerView
from storage.twin import IN_SERVICE

_HEARTBEAT_S = 2.0
ASK_AGAIN = timedelta(hours=1)
"""A charger that says no is left alone so long: it must not keep others from being asked."""
_WAKE_ON = ("booted", "firmware_failed", "fetched", "installing")
_OF_THE_CHARGER = frozenset({DispatchKind.REFUSED, DispatchKind.UNSUPPORTED, DispatchKind.HALT})
"""What it says again if it is asked again: it fetches with its install then."""


@dataclass(frozen=True, slots=True)
class FetchInput:
    """One charger of one wave, to fetch ahead."""

    campaign_id: str
    wave: int
    shard: int
    charger_id: str
    session_epoch: int


@dataclass(frozen=True, slots=True)
class FetchAnswer:
    """What the node did and heard."""

    kind: DispatchKind
    reason: str = ""
    request_id: int | None = None


class FetchActivities:
    """What only the node that holds the charger's socket can do."""

    def __init__(self, node: Node) -> None:
        self._node = node

    @activity.defn
    @mapped
    async def order_fetch(self, given: FetchInput) -> FetchAnswer:
        """Prove and send an order to fetch now, and to install never. What a charger does is an answer."""
        async with beating(_HEARTBEAT_S), self._node.locks.alone(given.charger_id):
            return await _Fetching(self._node, given).run()

    @activity.defn
    @mapped
    async def call_back_image(self, given: PutBackInput) -> bool:
        """Have a charger drop an image that nobody will install; False: nothing to do, or it said no.

        Raises NotConnectedHere or CommandTimeout; the next round tries again.
        """
        async with beating(_HEARTBEAT_S), self._node.locks.alone(given.charger_id):
            return await _call_back(self._node, given)


class _Fetching:
    """One run of the step."""

    def __init__(self, node: Node, given: FetchInput) -> None:
        self._node = node
        self._stores = node.stores
        self._given = DispatchInput(
            given.campaign_id, given.wave, given.shard, given.charger_id, 0, given.session_epoch
        )
        self._order: Order | None = None
        self._parked = False

    async def run(self) -> FetchAnswer:
        try:
            plan, target = await still_wanted(self._stores, self._given, CampaignPhase.RUNNING)
            if why := self._node.strain:
                raise Obstacle(DispatchKind.NOT_NOW, why, strained=True)
            self._order = order = await self._reserve(plan, target)
            view = await self._stores.chargers.get(self._given.charger_id)
            proof = await Proving(self._node, self._given).prove(order, view)
            return FetchAnswer(await self._send(plan, order, proof, view), request_id=order.request_id)
        except NotConnectedHere as error:
            return await self._given_up(Obstacle(DispatchKind.GONE, error.message))
        except Obstacle as obstacle:
            return await self._given_up(obstacle)

    async def _given_up(self, obstacle: Obstacle) -> FetchAnswer:
        order = self._order
        if order is None:
            return FetchAnswer(obstacle.kind, obstacle.reason)
        if obstacle.kind in _OF_THE_CHARGER or obstacle.spent:
            # Where an order that was taken back has used the directive, it is asked no more: it fetches with
            # its install, for which the note asks for the next directive.
            await self._stores.parked.park(self._note(order, Parking.FAILED), CampaignPhase.RUNNING)
        else:
            await self._stores.parked.forget(self._given.charger_id, order.request_id)
        return FetchAnswer(obstacle.kind, obstacle.reason, order.request_id)

    async def _reserve(self, plan: CampaignPlan, target: Target) -> Order:
        given, stores = self._given, self._stores
        directive = await stores.campaigns.directive(given.campaign_id, given.wave, given.shard)
        if directive is None:
            raise Obstacle(DispatchKind.NOT_NOW, "there is no signed directive for it yet")
        await self._require_leave(target.site_id)
        charger = await stores.chargers.registered(given.charger_id)
        known = await stores.chargers.model(charger.vendor, charger.model)
        profile = known or ModelProfile(charger.vendor, charger.model)
        artifact = await stores.artifacts.get(target.artifact_id)
        number = await stores.campaigns.next_request_id()
        await self._lease(plan, target, number, artifact.length)
        return Order(target, artifact, profile, number, directive)

    async def _require_leave(self, site_id: str) -> None:
        given, stores = self._given, self._stores
        why = await no_leave_to_fetch(stores, given.charger_id, site_id)
        if why := why or await _held_for_another(stores, given.campaign_id, given.charger_id):
            raise Obstacle(DispatchKind.NOT_NOW, why)

    async def _lease(self, plan: CampaignPlan, target: Target, number: int, length: int) -> None:
        """The charger's and the uplink's; it stays in service."""
        seconds = (plan.pace.download_ahead_seconds or 0.0) + self._node.lease_slack_seconds
        answer = await self._stores.leases.take(
            SiteLease(
                charger_id=target.charger_id,
                site_id=target.site_id,
                workflow_id=charger_workflow_id(target.charger_id),
                kind=DOWNLOAD,
                expires_at=self._stores.clock() + timedelta(seconds=seconds),
                request_id=number,
                wake_on=_WAKE_ON,
                run=this_run(),
                download_bytes=length,
                campaign_id=target.campaign_id,
            )
        )
        if not answer.granted:
            raise Obstacle(DispatchKind.NOT_NOW, answer.why_not)

    async def _send(
        self, plan: CampaignPlan, order: Order, proof: VerifiedDispatch, view: ChargerView
    ) -> DispatchKind:
        given = self._given
        command = await self._update(plan, order, proof, view)
        try:
            answer = await self._node.sender.send(
                given.charger_id,
                given.session_epoch,
                command,
                deadline_s=self._node.command_seconds,
                last_look=lambda: self._park(order, proof),
            )
        except NotAccepted as error:
            raise Obstacle(DispatchKind.NOT_NOW, error.message) from None
        except CommandTimeout as error:
            if not self._parked:
                raise Obstacle(DispatchKind.NOT_NOW, f"nothing was sent: {error.message}") from None
            return DispatchKind.UNKNOWN
        except CallFailed as error:
            raise Obstacle(DispatchKind.REFUSED, error.message) from None
        except Unsupported as error:
            raise Obstacle(DispatchKind.UNSUPPORTED, error.message) from None
        return await self._judge(answer, order)

    async def _update(
        self, plan: CampaignPlan, order: Order, proof: VerifiedDispatch, view: ChargerView
    ) -> UpdateFirmware:
        given, vendor, now = self._given, proof.vendor_signature, self._stores.clock()
        signed = self._node.sender.supports_signed_update(given.charger_id, given.session_epoch)
        if vendor is None or not signed:
            # Plain OCPP 1.6 UpdateFirmware has no install time (section 6.19).
            raise Obstacle(DispatchKind.UNSUPPORTED, "only a signed update can be told when to install")
        window = fetch_window(view, order.profile, plan.pace.download_ahead_seconds or 0.0)
        digest = proof.directive.sha256
        location = await self._node.office.mint(given.charger_id, digest, window, proof.certificate_subjects)
        if unfit := unsendable(view, order.profile, location, signed=True):
            raise Obstacle(DispatchKind.UNSUPPORTED, unfit)
        return UpdateFirmware(
            request_id=order.request_id,
            location=location,
            retrieve_at=now,
            signing_certificate=vendor.certificate,
            signature=vendor.signature,
            install_at=now + NEVER,
        )

    async def _park(self, order: Order, proof: VerifiedDispatch) -> None:
        """Its turn has come and only the write is left: what forbids the download since holds it back."""
        given = self._given
        charger = await self._stores.chargers.registered(given.charger_id)
        if charger.lifecycle not in IN_SERVICE:
            raise Obstacle(DispatchKind.NOT_NOW, f"it is {charger.lifecycle.value} by now")
        await self._require_leave(charger.site_id)
        await self._stores.record(
            f"campaign/{given.campaign_id}",
            "update.fetch_ordered",
            f"charger/{given.charger_id}",
            wave=given.wave,
            request_id=order.request_id,
            artifact=proof.directive.sha256,
            version=proof.directive.version,
            directive=order.directive.directive_id,
            evidence=proof.evidence,
        )
        note, subjects = self._note(order, Parking.ASKED), subjects_of(proof)
        if not await self._stores.parked.park(note, CampaignPhase.RUNNING, subjects):
            raise Obstacle(
                DispatchKind.NOT_NOW, "its target, its campaign or its image was stopped meanwhile"
            )
        self._parked = True

    def _note(self, order: Order, state: Parking) -> Parked:
        given, artifact = self._given, order.artifact
        return Parked(
            given.charger_id,
            given.campaign_id,
            given.wave,
            order.request_id,
            order.directive.directive_id,
            artifact.artifact_id,
            order.target.to_version,
            self._stores.clock(),
            state,
        )

    async def _judge(self, answer: CommandAnswer, order: Order) -> DispatchKind:
        said = f"it answered {answer.status.value} {answer.detail}".strip()
        match answer.status:
            case AnswerStatus.ACCEPTED | AnswerStatus.ACCEPTED_CANCELED:
                return DispatchKind.ACCEPTED
            case AnswerStatus.INVALID_CERTIFICATE | AnswerStatus.REVOKED_CERTIFICATE:
                await security_event(self._stores, self._given, answer.status.value, said)
                await distrusted(self._stores, order.artifact.artifact_id, self._given.charger_id, said)
                raise Obstacle(DispatchKind.HALT, said)
            case AnswerStatus.NOT_IMPLEMENTED:
                raise Obstacle(DispatchKind.UNSUPPORTED, said)
            case _:
                raise Obstacle(DispatchKind.REFUSED, said)


async def _held_for_another(stores: Stores, campaign_id: str, charger_id: str) -> str | None:
    row = await stores.parked.get(charger_id)
    if row is None or not row.held_from(campaign_id):
        return None
    return f"it was told to fetch {row.version} for campaign {row.campaign_id}, which has not installed it"


async def _call_back(node: Node, given: PutBackInput) -> bool:
    stores, name = node.stores, given.charger_id
    parked = await stores.parked.get(name)
    if parked is None or await stores.leases.get(name) is not None:
        return False
    target = await stores.campaigns.target(parked.campaign_id, parked.wave, name)
    if target.phase is not TargetPhase.DONE:
        return False
    if parked.state is Parking.FAILED:
        return await stores.parked.forget(name, parked.request_id)
    view = await stores.chargers.get(name)
    if view.twin.firmware and view.twin.firmware.version == parked.version:
        if target.dispatched_at is not None:  # By our order, whose answer never came.
            return await stores.parked.forget(name, parked.request_id)
        await installed_by_itself(stores, parked)
        return True
    # What is fetched is dropped for a new order, whose address leads nowhere (L01.FR.24 and its note).
    command = await empty_update(node, view, parked.artifact_id)
    said = await _dropped(node, given, command)
    taken = said in (AnswerStatus.ACCEPTED.value, AnswerStatus.ACCEPTED_CANCELED.value)
    if taken:
        await stores.parked.forget(name, parked.request_id)
    else:
        await stores.parked.postpone(name, parked.request_id, stores.clock() + ASK_AGAIN)
    await stores.record(
        "housekeeping",
        "update.called_back" if taken else "update.not_called_back",
        f"charger/{name}",
        campaign=parked.campaign_id,
        request_id=parked.request_id,
        said=said,
    )
    return taken


async def _dropped(node: Node, given: PutBackInput, command: UpdateFirmware) -> str:
    """What it says to that; an error in answer is an answer, too."""
    try:
        answer = await node.sender.send(
            given.charger_id, given.session_epoch, command, deadline_s=node.command_seconds
        )
    except CallFailed as error:
        return error.message
    return answer.status.value
