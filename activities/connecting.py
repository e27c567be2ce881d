"""The steps that bring one charger to another connection, over the socket that it has now (A05, B09, B10).

Nothing is sent while a session is open, and from the first word on none can begin: it is out of service.
"""

from activities.availability import closed_to_cars, out_before, put_back, taking_out
from activities.connection_orders import ConnectionAnswer, ConnectionOrder
from activities.guards import CONNECTIONS, PRIORITY_VARIABLE, active_slot
from activities.orders import DispatchKind, Node, Obstacle
from activities.passwords import rotate_password
from activities.renewal import reserve, send_to
from activities.steadiness import restless, still_restless
from csms.access import Apn, NetworkProfile, SetNetworkProfile
from csms.capabilities import PROFILE_16
from csms.commands import (
    AnswerStatus,
    Command,
    CommandAnswer,
    GetInstalledCertificateIds,
    GetVariables,
    Reset,
    ResetKind,
    SetVariables,
    VariableValue,
)
from csms.errors import NotConnectedHere
from csms.frames import OCPP16
from storage.certificate_use import CertificateUse
from storage.charger import OutOfService
from storage.command import CommandState
from storage.connection import Connection
from storage.errors import AmpwaveError
from storage.ports import ChargerView
from storage.renewal import RenewalPlan, spelled
from storage.twin import Lifecycle, busy_reason

KIND = "connection"
"""Of the site lease."""
WELCOME = frozenset({Lifecycle.REGISTERED, Lifecycle.ACTIVE})
_ROOT = CertificateUse.CSMS_ROOT
_TAKEN = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.REBOOT_REQUIRED})
_RESTARTS = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.SCHEDULED})
_LISTED = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.NOT_FOUND})
_OPEN = frozenset({AnswerStatus.REBOOT_REQUIRED.value, AnswerStatus.SCHEDULED.value})


class Visit:
    """One step on one charger, over one socket."""

    def __init__(self, node: Node, given: ConnectionOrder) -> None:
        self._node = node
        self._stores = node.stores
        self.given = given

    async def look(self) -> ChargerView:
        """The twin with everything that the charger told before now."""
        await self._node.sender.settle(self.given.charger_id, self.given.session_epoch)
        return await self._stores.chargers.get(self.given.charger_id)

    def is_1_6(self, view: ChargerView) -> bool:
        """Whether it has no slots. Raises Obstacle."""
        link = view.twin.connectivity
        if link is None or link.dialect is None:
            raise Obstacle(DispatchKind.NOT_NOW, "which version it speaks is not known yet")
        return link.dialect == OCPP16

    async def idle(self) -> ChargerView:
        """Raises Obstacle while a session is open or may begin any moment (X1)."""
        view = await self.look()
        if busy := busy_reason(view.twin.operation, self._stores.clock()):
            raise Obstacle(DispatchKind.NOT_NOW, busy)
        return view

    async def say(self, command: Command) -> CommandAnswer:
        """Send one command. Raises Obstacle, NotConnectedHere."""
        given = self.given
        return await send_to(self._node, given.charger_id, given.session_epoch, command)

    # --- looking ----------------------------------------------------------------------------------

    async def require_root(self, plan: RenewalPlan) -> None:
        """Raises Obstacle unless it lists the root of its new door (M03)."""
        answer = await self.say(GetInstalledCertificateIds((_ROOT,)))
        if answer.status not in _LISTED:
            kind = answer.status is AnswerStatus.NOT_IMPLEMENTED
            raise Obstacle(
                DispatchKind.UNSUPPORTED if kind else DispatchKind.REFUSED,
                f"it does not list its roots: {answer.status.value}",
            )
        listed = {spelled(each.hash) for each in answer.certificates if each.use is _ROOT}
        if not listed & set(plan.root_names):
            reason = "it does not have the root of its new door; install it first: ampwave cert root install"
            raise Obstacle(DispatchKind.REFUSED, reason)

    async def require_extension(self) -> None:
        """1.6: the security extension has the key (WP3)."""
        known = dict((await self.say(GetVariables((PROFILE_16,)))).values)
        if PROFILE_16 not in known:
            reason = f"it has no {PROFILE_16}: OCPP 1.6 without the security extension has no profiles"
            raise Obstacle(DispatchKind.UNSUPPORTED, reason)

    async def connections(self) -> dict[str, str]:
        """What it says about its slots."""
        return dict((await self.say(GetVariables(CONNECTIONS))).values)

    async def show(self) -> ConnectionAnswer:
        """Which slot it says it uses."""
        active = active_slot(await self.connections())
        return ConnectionAnswer(DispatchKind.ACCEPTED, active=active)

    # --- sending ----------------------------------------------------------------------------------

    async def write(self, connection: Connection) -> ConnectionAnswer:
        """Out of service first, so that no session begins under what follows."""
        await self._take_out(await self.idle())
        if not self.given.slots:
            return await self._raise()
        refused = ""
        for slot in self.given.slots:
            answer = await self.say(SetNetworkProfile(slot, _profile(connection, self.given)))
            if answer.status is AnswerStatus.ACCEPTED:
                return ConnectionAnswer(DispatchKind.ACCEPTED, slots=(slot,))
            if answer.status is AnswerStatus.NOT_IMPLEMENTED:
                raise Obstacle(DispatchKind.UNSUPPORTED, "it takes no connections (SetNetworkProfile)")
            refused = f"slot {slot}: {_said(answer)}"
        raise Obstacle(DispatchKind.REFUSED, f"no slot took the new connection; {refused}")

    async def _raise(self) -> ConnectionAnswer:
        await self.idle()
        answer = await self.say(SetVariables((VariableValue(PROFILE_16, str(self.given.profile)),)))
        if answer.status not in _TAKEN:
            raise Obstacle(DispatchKind.REFUSED, f"it keeps its security profile: it {_said(answer)}")
        return ConnectionAnswer(DispatchKind.ACCEPTED, reboot=answer.status is AnswerStatus.REBOOT_REQUIRED)

    async def prefer(self) -> ConnectionAnswer:
        """The order of slots in the order; also to put it back."""
        answer = await self.say(SetVariables((VariableValue(PRIORITY_VARIABLE, self.given.priority),)))
        if answer.status not in _TAKEN:
            said = f"it does not take the order {self.given.priority} of its slots: it {_said(answer)}"
            raise Obstacle(DispatchKind.REFUSED, said)
        return ConnectionAnswer(DispatchKind.ACCEPTED)

    async def restart(self) -> ConnectionAnswer:
        """Once it is idle."""
        await self.idle()
        # On idle: should a session begin in this very moment, it ends by itself first (B12).
        answer = await self.say(Reset(ResetKind.ON_IDLE))
        if answer.status not in _RESTARTS:
            raise Obstacle(DispatchKind.REFUSED, f"it does not restart: it {_said(answer)}")
        return ConnectionAnswer(DispatchKind.ACCEPTED)

    async def password(self) -> ConnectionAnswer:
        """Give it a new one, which nobody but the node and the charger sees."""
        view = await self.look()
        if view.charger.lifecycle not in WELCOME:
            raise Obstacle(DispatchKind.REFUSED, f"the charger is {view.charger.lifecycle.value}")
        await reserve(self._node, view, self.given.seconds, KIND)
        await self.idle()  # Some restart for it.
        given = self.given
        seconds = self._node.command_seconds
        end = await rotate_password(self._node.sender, given.charger_id, given.session_epoch, seconds)
        if end.state is CommandState.ANSWERED and end.status == AnswerStatus.ACCEPTED.value:
            return ConnectionAnswer(DispatchKind.ACCEPTED, end.reason)
        if end.state in (CommandState.HELD, CommandState.SILENT) or end.status in _OPEN:
            return ConnectionAnswer(DispatchKind.UNKNOWN, end.reason)
        return ConnectionAnswer(DispatchKind.REFUSED, end.reason)

    # --- in and out of service --------------------------------------------------------------------

    async def _take_out(self, view: ChargerView) -> None:
        store, charger = self._stores.out_of_service, view.charger
        row = await store.get(charger.charger_id)
        before = row.before if row else await out_before(self._node, view, self.given.session_epoch)
        if row is None:
            if closed_to_cars(view.twin.operation):
                return
            cause = f"another connection, job {self.given.renewal_id}"
            await store.add(
                OutOfService(charger.charger_id, charger.site_id, before, self._stores.clock(), cause)
            )
        for command in taking_out(view, before):
            answer = await self.say(command)
            if answer.status is AnswerStatus.SCHEDULED:
                raise Obstacle(DispatchKind.NOT_NOW, "a session began when it was to be taken out of service")
            if answer.status is not AnswerStatus.ACCEPTED:
                said = f"it cannot be taken out of service for a restart: it {_said(answer)}"
                raise Obstacle(DispatchKind.REFUSED, said)
        await self.idle()

    async def back_into_service(self) -> ConnectionAnswer:
        """Exactly what was in service before."""
        given = self.given
        row = await self._stores.out_of_service.get(given.charger_id)
        if row is not None and await restless(self._stores, row):
            return ConnectionAnswer(DispatchKind.UNKNOWN, still_restless(row))
        try:
            await put_back(self._node, given.charger_id, given.session_epoch)
        except NotConnectedHere:
            raise
        except AmpwaveError as error:
            # That we took it out is on record, so housekeeping tries again.
            return ConnectionAnswer(DispatchKind.UNKNOWN, error.message)
        return ConnectionAnswer(DispatchKind.ACCEPTED)


def _said(answer: CommandAnswer) -> str:
    return f"answered {answer.status.value}" + (f": {answer.detail}" if answer.detail else "")


def _profile(connection: Connection, given: ConnectionOrder) -> NetworkProfile:
    return NetworkProfile(
        csms_url=connection.url,
        security_profile=given.profile,
        interface=connection.interface,
        message_timeout_s=connection.message_timeout_s,
        apn=Apn(connection.apn) if connection.apn else None,
    )
