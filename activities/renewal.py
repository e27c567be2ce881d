"""Renewing one charger's certificate: what the node that holds its socket sends, and what was seen since.

The old certificate counts until the charger has come with the new one; nothing here takes it away.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from temporalio import activity

from activities.errors import beating, mapped
from activities.facts import RouteFacts
from activities.orders import DispatchKind, Node, Obstacle
from activities.stores import Stores, this_run
from csms.capabilities import of_charger
from csms.commands import (
    AnswerStatus,
    CertificateSigned,
    Command,
    CommandAnswer,
    TriggerKind,
    TriggerMessage,
)
from csms.errors import CallFailed, CommandTimeout, NotAccepted, NotConnectedHere, Unsupported
from storage.certificate import Certificate, CertificatePhase, CertificateStore
from storage.certificate_use import CertificateUse
from storage.charger import SiteLease
from storage.errors import InvalidInput, NotFound
from storage.ids import charger_workflow_id
from storage.ports import ChargerView
from storage.twin import Lifecycle, busy_reason

KIND = "certificate"
"""Of the site lease."""
WAKE_ON = ("signing_requested", "connected")
_HEARTBEAT_S = 2.0
_END = "-----END CERTIFICATE-----\n"
_WELCOME = frozenset({Lifecycle.REGISTERED, Lifecycle.PROVISIONING, Lifecycle.ACTIVE})
"""One on its way in gets its first certificate like this (F44)."""


@dataclass(frozen=True, slots=True)
class RenewalOrder:
    """One step on one charger. Seconds."""

    charger_id: str
    session_epoch: int
    seconds: float
    """How long the charger stays reserved."""
    idle: bool
    """Only while no session is open; a charger that asks by itself is answered in any case."""
    serial: str | None = None
    """The certificate to hand over; None: have it ask for one."""
    request: int | None = None
    """The signing request that it answers, which may be a later one than the one it was issued for."""


@dataclass(frozen=True, slots=True)
class RenewalAnswer:
    """What the node did and heard."""

    kind: DispatchKind
    reason: str = ""
    with_certificate: bool = False
    """It came with a client certificate, so it can show the new one."""


@dataclass(frozen=True, slots=True)
class RenewalQuery:
    """What happened to a charger since then."""

    charger_id: str
    since: datetime
    serial: str | None = None


@dataclass(frozen=True, slots=True)
class RenewalFacts:
    """What the store says."""

    request: int | None
    """The newest signing request since then that its node took."""
    proven: bool
    """It came with the new certificate."""
    online: bool
    route: RouteFacts | None


class RenewalSender:
    """On the node that holds the charger's socket."""

    def __init__(self, node: Node, certificates: CertificateStore) -> None:
        self._node = node
        self._certificates = certificates

    @activity.defn
    @mapped
    async def advance_renewal(self, given: RenewalOrder) -> RenewalAnswer:
        """Reserve the charger, then have it ask, or hand it what was issued."""
        async with beating(_HEARTBEAT_S), self._node.locks.alone(given.charger_id):
            try:
                return await self._advance(given)
            except NotConnectedHere as error:
                return RenewalAnswer(DispatchKind.GONE, error.message)
            except Obstacle as obstacle:
                return RenewalAnswer(obstacle.kind, obstacle.reason)

    async def _advance(self, given: RenewalOrder) -> RenewalAnswer:
        view = await self._node.stores.chargers.get(given.charger_id)
        if view.charger.lifecycle not in _WELCOME:
            raise Obstacle(DispatchKind.REFUSED, f"the charger is {view.charger.lifecycle.value}")
        await reserve(self._node, view, given.seconds)
        await self._node.sender.settle(given.charger_id, given.session_epoch)
        view = await self._node.stores.chargers.get(given.charger_id)
        if given.idle and (busy := busy_reason(view.twin.operation, self._node.stores.clock())):
            raise Obstacle(DispatchKind.NOT_NOW, busy)
        await self._remember(view)
        command = await self._command(view, given)
        answer = await send_to(self._node, given.charger_id, given.session_epoch, command)
        if answer.status is AnswerStatus.ACCEPTED and given.serial is not None:
            at = self._node.stores.clock()
            await self._certificates.move(given.charger_id, given.serial, CertificatePhase.DELIVERED, at)
        return _judged(answer, came=_shown(view) is not None)

    async def _remember(self, view: ChargerView) -> None:
        """What it comes with now, if it is not ours: to be refused, too, once it has shown the new one."""
        serial, security = _shown(view), view.twin.security
        if serial is None or security is None or security.certificate_until is None:
            return
        now = self._node.stores.clock()
        await self._certificates.add(
            Certificate(
                charger_id=view.charger.charger_id,
                serial=serial,
                issuer="",
                key_sha256="",
                chain="",
                not_before=now - timedelta(days=1),
                not_after=security.certificate_until,
                issued_at=now - timedelta(days=1),
                issued_by="another authority",
                phase=CertificatePhase.PROVEN,
                proven_at=now,
            )
        )

    async def _command(self, view: ChargerView, given: RenewalOrder) -> Command:
        if given.serial is None:
            return TriggerMessage(TriggerKind.SIGN_CHARGING_STATION)
        issued = await self._certificates.get(given.charger_id, given.serial)
        if issued.phase is CertificatePhase.REVOKED:
            raise Obstacle(DispatchKind.REFUSED, "the certificate was revoked meanwhile")
        stores, charger = self._node.stores, view.charger
        profile = await stores.chargers.model(charger.vendor, charger.model)
        room = of_charger(charger, view.twin, profile).known.certificate_chain_chars
        use, request_id = await self._answered(given.request or issued.request)
        return CertificateSigned(fitting(issued.chain, room), use, request_id)

    async def _answered(self, sequence: int | None) -> tuple[CertificateUse | None, int | None]:
        """What the request that is answered was for; nothing of one that a person handed in, or long ago."""
        try:
            asked = await self._certificates.request(sequence or 0)
        except NotFound:
            return None, None
        return CertificateUse(asked.use) if asked.use else None, asked.request_id


async def reserve(node: Node, view: ChargerView, seconds: float, kind: str = KIND) -> None:
    """One charger, one work; and its site's room, since it may be away for a moment (X2). Raises Obstacle."""
    stores, charger = node.stores, view.charger
    answer = await stores.leases.take(
        SiteLease(
            charger_id=charger.charger_id,
            site_id=charger.site_id,
            workflow_id=charger_workflow_id(charger.charger_id),
            kind=kind,
            expires_at=stores.clock() + timedelta(seconds=seconds + node.lease_slack_seconds),
            wake_on=WAKE_ON,
            run=this_run(),
        )
    )
    if not answer.granted:
        raise Obstacle(DispatchKind.NOT_NOW, answer.why_not)


async def send_to(node: Node, charger_id: str, session_epoch: int, command: Command) -> CommandAnswer:
    """Send, and say in our words what came in between. Raises Obstacle, NotConnectedHere."""
    try:
        return await node.sender.send(charger_id, session_epoch, command, deadline_s=node.command_seconds)
    except CommandTimeout as error:
        raise Obstacle(DispatchKind.UNKNOWN, error.message) from None
    except CallFailed as error:
        raise Obstacle(DispatchKind.REFUSED, error.message) from None
    except NotAccepted as error:
        raise Obstacle(DispatchKind.NOT_NOW, error.message) from None
    except (Unsupported, InvalidInput) as error:
        raise Obstacle(DispatchKind.UNSUPPORTED, error.diagnostics()) from None


def fitting(chain: str, room: int | None) -> str:
    """As much of a chain as the charger takes, its own certificate at least.

    Intermediates may be left out: the server knows its own authorities. Raises Obstacle.
    """
    if room is None or len(chain) <= room:
        return chain
    parts = [part + _END for part in chain.split(_END) if part.strip()]
    fit = ""
    for part in parts:
        if len(fit) + len(part) > room:
            break
        fit += part
    if not fit:
        reason = (
            f"its certificate has {len(parts[0])} characters, and it takes {room} (MaxCertificateChainSize)"
        )
        raise Obstacle(DispatchKind.UNSUPPORTED, reason)
    return fit


def _shown(view: ChargerView) -> str | None:
    """The certificate of the connection that it has now; a profile below 3 shows none."""
    security = view.twin.security
    return security.certificate_serial if security and security.profile == CLIENT_CERTIFICATE else None


CLIENT_CERTIFICATE = 3
"""The security profile in which a charger proves itself by a certificate."""


def _judged(answer: CommandAnswer, *, came: bool) -> RenewalAnswer:
    said = f"it answered {answer.status.value}" + (f": {answer.detail}" if answer.detail else "")
    if answer.status is AnswerStatus.ACCEPTED:
        return RenewalAnswer(DispatchKind.ACCEPTED, said, came)
    if answer.status is AnswerStatus.NOT_IMPLEMENTED:
        return RenewalAnswer(DispatchKind.UNSUPPORTED, said, came)
    return RenewalAnswer(DispatchKind.REFUSED, said, came)


class RenewalActivities:
    """On any worker: what was seen, and the books."""

    def __init__(self, stores: Stores, certificates: CertificateStore) -> None:
        self._stores = stores
        self._certificates = certificates

    @activity.defn
    @mapped
    async def measure_renewal(self, given: RenewalQuery) -> RenewalFacts:
        """Everything the store knows; signals are only hints."""
        view = await self._stores.chargers.get(given.charger_id)
        route = await self._stores.routes.resolve(given.charger_id)
        link = view.twin.connectivity
        return RenewalFacts(
            request=await self._certificates.newest_request(given.charger_id, given.since),
            proven=given.serial is not None and _shown(view) == given.serial,
            online=bool(link and link.online),
            route=RouteFacts(route.node_id, route.boot_id, route.session_epoch) if route else None,
        )

    @activity.defn
    @mapped
    async def release_renewal(self, charger_id: str) -> None:
        """Give the site's room back."""
        workflow_id = charger_workflow_id(charger_id)
        await self._stores.leases.release(charger_id, workflow_id, run=this_run())
