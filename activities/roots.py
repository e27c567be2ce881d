"""Roots that chargers know the server by: installed and listed, or deleted once not needed (M03-M05).

A charger is never left with roots under which it cannot come back: an old one goes only where the charger
came since the server shows its new chain, and lists the root of that chain.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from temporalio import activity

from activities.errors import beating, mapped
from activities.orders import DispatchKind, Node, Obstacle
from activities.renewal import RenewalAnswer, reserve, send_to
from csms.commands import (
    AnswerStatus,
    DeleteCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
)
from csms.errors import NotConnectedHere
from storage.certificate_use import CertificateHash, CertificateUse
from storage.ports import ChargerView
from storage.renewal import FleetWork, RenewalPlan, RenewalStore, spelled

ShownSince = Callable[[str], datetime | None]
"""Since when a node shows nothing but chains under this root (PEM); None: not now."""
_HEARTBEAT_S = 2.0
_USE = CertificateUse.CSMS_ROOT
_LISTED = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.NOT_FOUND})
_GONE = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class RootOrder:
    """One charger of a job about roots. Seconds."""

    renewal_id: str
    charger_id: str
    session_epoch: int
    seconds: float = 120.0


class RootSender:
    """On the node that holds the charger's socket."""

    def __init__(self, node: Node, renewals: RenewalStore, shown_since: ShownSince | None = None) -> None:
        """``shown_since`` None: TLS ends elsewhere, so a person's word is all that is known of the chain."""
        self._node = node
        self._renewals = renewals
        self._shown_since = shown_since

    @activity.defn
    @mapped
    async def change_root(self, given: RootOrder) -> RenewalAnswer:
        """Look what it has, do what is left to do, and look again. Safe to repeat."""
        plan = (await self._renewals.get(given.renewal_id)).plan
        async with beating(_HEARTBEAT_S), self._node.locks.alone(given.charger_id):
            try:
                reason = await self._change(given, plan)
            except NotConnectedHere as error:
                return RenewalAnswer(DispatchKind.GONE, error.message)
            except Obstacle as obstacle:
                return RenewalAnswer(obstacle.kind, obstacle.reason)
        return RenewalAnswer(DispatchKind.ACCEPTED, reason)

    async def _change(self, given: RootOrder, plan: RenewalPlan) -> str:
        view = await self._node.stores.chargers.get(given.charger_id)
        if plan.work is FleetWork.DELETE_ROOT:
            self._require_came(view, plan)
        await reserve(self._node, view, given.seconds)
        listed = await self._listed(given)
        if plan.work is FleetWork.INSTALL_ROOT:
            return await self._install(given, plan, listed)
        return await self._delete(given, plan, listed)

    async def _listed(self, given: RootOrder) -> dict[str, CertificateHash]:
        """The roots that it has, by name, as it spells them."""
        command = GetInstalledCertificateIds((_USE,))
        answer = await send_to(self._node, given.charger_id, given.session_epoch, command)
        if answer.status not in _LISTED:
            kind = answer.status is AnswerStatus.NOT_IMPLEMENTED
            said = f"it does not list its roots: {answer.status.value}"
            raise Obstacle(DispatchKind.UNSUPPORTED if kind else DispatchKind.REFUSED, said)
        return {spelled(each.hash): each.hash for each in answer.certificates if each.use is _USE}

    async def _install(self, given: RootOrder, plan: RenewalPlan, listed: dict[str, CertificateHash]) -> str:
        if listed.keys() & set(plan.root_names):
            return "it had the root already"
        command = InstallCertificate(_USE, plan.root)
        answer = await send_to(self._node, given.charger_id, given.session_epoch, command)
        if answer.status is not AnswerStatus.ACCEPTED:
            why = f": {answer.detail}" if answer.detail else ""
            raise Obstacle(DispatchKind.REFUSED, f"it answered {answer.status.value}{why}")
        if not (await self._listed(given)).keys() & set(plan.root_names):
            raise Obstacle(DispatchKind.REFUSED, "it said Accepted, and does not list the root")
        return "it has the root, and lists it"

    async def _delete(self, given: RootOrder, plan: RenewalPlan, listed: dict[str, CertificateHash]) -> str:
        if not listed.keys() & set(plan.keep_names):
            raise Obstacle(DispatchKind.REFUSED, "it does not list the new root, so it keeps the old one")
        old = [listed[name] for name in plan.root_names if name in listed]
        for each in old:
            # M04.FR.07: as the charger itself named it.
            answer = await send_to(self._node, given.charger_id, given.session_epoch, DeleteCertificate(each))
            if answer.status not in _GONE:
                raise Obstacle(DispatchKind.REFUSED, f"it answered {answer.status.value}")
        if not old:
            return "it does not have the old root"
        if (await self._listed(given)).keys() & set(plan.root_names):
            raise Obstacle(DispatchKind.REFUSED, "it said Accepted, and still lists the old root")
        return "the old root is gone"

    def _require_came(self, view: ChargerView, plan: RenewalPlan) -> None:
        """M05.FR.16: the old root is kept until the charger has connected by the new one."""
        link = view.twin.connectivity
        since = link.since if link and link.online else None
        switched = datetime.fromisoformat(plan.switched_at) if plan.switched_at else None
        if self._shown_since is not None and plan.root:
            shown = self._shown_since(plan.root)
            if shown is None:
                reason = "its node does not show a chain of the new root, so it keeps the old one"
                raise Obstacle(DispatchKind.NOT_NOW, reason)
            # Whatever time somebody named: the node knows what it showed.
            switched = max(switched or shown, shown)
        if since is None or switched is None or since <= switched:
            reason = "it has not connected since the server shows its new chain, so it keeps the old root"
            raise Obstacle(DispatchKind.NOT_NOW, reason)
