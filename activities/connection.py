"""Bringing one charger to another connection: what it needs beforehand, and what was seen since (A05, B09).

The way that it has stays its way back: it is never overwritten, and it is let in until the charger has come
by the new one. Every step may be repeated.
"""

from collections.abc import Mapping
from dataclasses import replace

from temporalio import activity

from activities.connecting import KIND, WELCOME, Visit
from activities.connection_orders import (
    ConnectionAnswer,
    ConnectionFacts,
    ConnectionNote,
    ConnectionOrder,
    ConnectionQuery,
    ConnectionStep,
)
from activities.door import DoorProbe, probe_door
from activities.errors import beating, mapped
from activities.facts import RouteFacts
from activities.guards import CONNECTIONS, PRIORITY_VARIABLE, active_slot, free_slots
from activities.orders import DispatchKind, Node, Obstacle
from activities.renewal import reserve
from activities.stores import Stores
from csms.errors import NotConnectedHere
from storage.certificate import CertificatePhase, CertificateStore
from storage.connection import Connection, desired_of
from storage.desired import Ack, AckStatus, Answers, DesiredChange, DesiredSection
from storage.errors import StaleVersion
from storage.events import NO_RESTART, EventKind
from storage.ports import ChargerView
from storage.renewal import GOOD, FleetWork, RenewalPlan, RenewalStore
from storage.twin_schema import NETWORK

_HEARTBEAT_S = 2.0
_TLS, _BY_CERTIFICATE = 2, 3
"""The security profiles from which on the server shows a certificate, and the charger does."""
_TO_SHOW = frozenset({CertificatePhase.DELIVERED, CertificatePhase.PROVEN})
_TELLING = (EventKind.CONNECTION_OPENED.value, EventKind.CHARGER_BOOTED.value)
_TRIES = 5


class ConnectionSender:
    """On the node that holds the charger's socket."""

    def __init__(
        self,
        node: Node,
        certificates: CertificateStore,
        renewals: RenewalStore,
        probe: DoorProbe = probe_door,
    ) -> None:
        self._node = node
        self._certificates = certificates
        self._renewals = renewals
        self._probe = probe

    @activity.defn
    @mapped
    async def advance_connection(self, given: ConnectionOrder) -> ConnectionAnswer:
        """Do one step. What the charger says is an answer, no error."""
        plan = (await self._renewals.get(given.renewal_id)).plan
        async with beating(_HEARTBEAT_S), self._node.locks.alone(given.charger_id):
            try:
                return await self._step(given, plan)
            except NotConnectedHere as error:
                return ConnectionAnswer(DispatchKind.GONE, error.message)
            except Obstacle as obstacle:
                return ConnectionAnswer(obstacle.kind, obstacle.reason)

    async def _step(self, given: ConnectionOrder, plan: RenewalPlan) -> ConnectionAnswer:
        visit = Visit(self._node, given)
        connection = plan.connection
        if given.step is ConnectionStep.PASSWORD:
            return await visit.password()
        if given.step is ConnectionStep.RETURN:
            return await visit.back_into_service()
        if given.step is ConnectionStep.SHOW:
            return await visit.show()
        if given.step in (ConnectionStep.PREFER, ConnectionStep.RESTORE):
            return await visit.prefer()
        if given.step is ConnectionStep.RESTART:
            return await visit.restart()
        if connection is None:
            raise Obstacle(DispatchKind.REFUSED, "this job does not say how chargers are to connect")
        if given.step is ConnectionStep.CHECK:
            return await self._check(visit, plan, connection)
        return await visit.write(connection)

    # --- before anything is sent ------------------------------------------------------------------

    async def _check(self, visit: Visit, plan: RenewalPlan, connection: Connection) -> ConnectionAnswer:
        view = await visit.look()
        by_itself = visit.is_1_6(view)
        if by_itself and plan.work is FleetWork.CHANGE_NETWORK:
            raise Obstacle(DispatchKind.UNSUPPORTED, "OCPP 1.6 has no network profiles")
        profile = _target(view, plan, connection)
        if profile is None:
            now = view.twin.security.profile if view.twin.security else 0
            return ConnectionAnswer(DispatchKind.ALREADY, f"it comes with security profile {now} already")
        await self._require_proof(view, profile)
        if why := await self._probe(connection.url, plan.root):
            raise Obstacle(DispatchKind.NOT_NOW, f"its new door does not stand open: {why}")
        await reserve(self._node, view, visit.given.seconds, KIND)
        await visit.idle()
        if profile >= _TLS > _now(view):
            await visit.require_root(plan)
        checked = ConnectionAnswer(DispatchKind.ACCEPTED, profile=profile)
        if by_itself:
            await visit.require_extension()
            return replace(checked, by_itself=True)
        known = await visit.connections()
        slots = free_slots(connection.slot, known)
        if not slots:
            raise Obstacle(DispatchKind.REFUSED, _no_slot(connection.slot, known))
        active = active_slot(known)
        if active is None and profile == _now(view):
            # Nothing but its own word would show that it came the new way.
            raise Obstacle(
                DispatchKind.UNSUPPORTED, f"it does not tell which slot it uses ({CONNECTIONS[0]})"
            )
        return replace(checked, slots=slots, before=known.get(PRIORITY_VARIABLE, ""), active=active)

    async def _require_proof(self, view: ChargerView, profile: int) -> None:
        """Has it what it will have to show?"""
        charger_id, now = view.charger.charger_id, self._node.stores.clock()
        link = view.twin.connectivity
        if profile >= _TLS and link and link.clock_suspicious:
            raise Obstacle(
                DispatchKind.NOT_NOW, "its clock is wrong, so it would find no server certificate valid"
            )
        if profile < _BY_CERTIFICATE:
            if await self._node.stores.chargers.credential(charger_id) is None:
                raise Obstacle(DispatchKind.REFUSED, "it has no password to come with")
            return
        held = await self._certificates.of_charger(charger_id)
        if not any(one.phase in _TO_SHOW and one.not_before <= now < one.not_after for one in held):
            reason = "it has no certificate to come with; give it one first: ampwave cert renew"
            raise Obstacle(DispatchKind.REFUSED, reason)


def _now(view: ChargerView) -> int:
    return view.twin.security.profile if view.twin.security else 0


def _target(view: ChargerView, plan: RenewalPlan, connection: Connection) -> int | None:
    """The security profile that it is to have; None: it has it. Raises Obstacle."""
    if view.charger.lifecycle not in WELCOME:
        raise Obstacle(DispatchKind.REFUSED, f"the charger is {view.charger.lifecycle.value}")
    now = _now(view)
    floor = max(now, view.charger.security_floor)
    wanted = connection.profile or floor
    if wanted < floor:
        # A05.FR.07, S61: never lower, not even where 2.1 would allow it.
        raise Obstacle(DispatchKind.REFUSED, f"its security profile is {floor}, and that is never lowered")
    if plan.work is FleetWork.RAISE_PROFILE and wanted == now:
        return None
    if (wanted >= _TLS) is not connection.url.startswith("wss://"):
        raise Obstacle(DispatchKind.REFUSED, f"security profile {wanted} does not come to {connection.url}")
    return wanted


def _no_slot(wanted: int, known: Mapping[str, str]) -> str:
    told = ", ".join(
        f"{name.rpartition('.')[2]}={known[name] or 'nothing'}" for name in CONNECTIONS if name in known
    )
    asked = f"slot {wanted} may be in use" if wanted else "no slot is free"
    return f"{asked}: it says {told}" if told else f"{asked}: it tells nothing about its slots"


class ConnectionActivities:
    """On any worker: what was seen, and what is desired of a charger's connection."""

    def __init__(self, stores: Stores, renewals: RenewalStore) -> None:
        self._stores = stores
        self._renewals = renewals

    @activity.defn
    @mapped
    async def measure_connection(self, given: ConnectionQuery) -> ConnectionFacts:
        """Everything the store knows; signals are only hints."""
        stores, charger_id = self._stores, given.charger_id
        newest = await stores.events.latest_sequence()
        mark = newest if given.mark is None else given.mark
        found = await stores.events.since(charger_id, given.since, _TELLING)
        later = [event for event in found if event.sequence > mark]
        opened = [event.body for event in later if event.kind is EventKind.CONNECTION_OPENED]
        boots = [event.body.get("reason") for event in later if event.kind is EventKind.CHARGER_BOOTED]
        view = await stores.chargers.get(charger_id)
        route = await stores.routes.resolve(charger_id)
        credential = await stores.chargers.credential(charger_id)
        link = view.twin.connectivity
        return ConnectionFacts(
            mark=newest,
            online=bool(link and link.online),
            came_with=opened[-1]["security_profile"] if opened else None,
            booted=any(reason not in NO_RESTART for reason in boots),
            pending=bool(credential and credential.pending),
            password_since=credential.created_at if credential else None,
            route=RouteFacts(route.node_id, route.boot_id, route.session_epoch) if route else None,
        )

    @activity.defn
    @mapped
    async def note_connection(self, given: ConnectionNote) -> None:
        """What is desired of a charger's connection, before it is told; and afterwards what it made of it."""
        connection = (await self._renewals.get(given.renewal_id)).plan.connection
        if connection is None:
            return
        cause = f"renewal/{given.renewal_id}"
        section = await self._desired(given, connection, cause)
        if given.outcome is None:
            return
        status = AckStatus.ACCEPTED if given.outcome in GOOD else AckStatus.REFUSED
        ack = Ack(status, section.version, self._stores.clock(), given.reason)
        acks = dict.fromkeys(section.values, ack)
        await self._stores.twins.answer(
            Answers(given.charger_id, NETWORK, section.version, section.values, acks, cause, cause)
        )

    async def _desired(self, given: ConnectionNote, connection: Connection, cause: str) -> DesiredSection:
        """As it is once it says so, whoever else writes meanwhile. Raises StaleVersion."""
        body = desired_of(connection, given.profile)
        for left in reversed(range(_TRIES)):
            sections = await self._stores.twins.desired(given.charger_id)
            known = next(each for each in sections if each.section == NETWORK)
            if known.desired == body:
                return known
            now = self._stores.clock()
            change = DesiredChange(
                given.charger_id, NETWORK, body, known.version, cause, cause, now, merge=False
            )
            try:
                return await self._stores.twins.set_desired(change)
            except StaleVersion:
                if not left:
                    raise
        raise AssertionError
