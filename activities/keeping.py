"""Settings and trust come through an update: noted before it is sent, compared before cars may come (X9)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from activities.conclusion import ConcludeInput
from activities.orders import DispatchInput, Node
from csms.access import GetLocalListVersion
from csms.commands import (
    AnswerStatus,
    Command,
    CommandAnswer,
    GetInstalledCertificateIds,
    GetVariables,
    SetVariables,
    VariableValue,
)
from csms.errors import CallFailed, CommandTimeout, NotAccepted, Unsupported
from storage.campaign import Outcome
from storage.kept import LISTS, Difference, Kept, before, compare, roots_in
from storage.ports import ChargerView

_TAKEN = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.REBOOT_REQUIRED})
_NAMED = 5
"""So many settings are named in a sentence; the audit log has all."""


async def note(node: Node, given: DispatchInput, view: ChargerView) -> None:
    """Note what the charger is, unless it was noted before an earlier attempt, or nothing is known.

    It is asked anew: what the twin remembers may have been set otherwise since.
    """
    kept = before(given.campaign_id, given.wave, view.twin, node.stores.clock())
    if kept.empty or await node.stores.kept.get(given.campaign_id, given.wave, given.charger_id):
        return
    if kept.values:
        has_list = not LISTS.isdisjoint(kept.values)
        kept = replace(kept, values=await _told(node, given, kept.values))
        if has_list:
            kept = replace(kept, local_list=await _local_list(node, given))
    await node.stores.kept.keep(kept)


async def _told(node: Node, given: DispatchInput, known: Mapping[str, str]) -> dict[str, str]:
    """What it says now; nothing, and so nothing to compare, where it does not say."""
    command = GetVariables(tuple(sorted(known)))
    try:
        answer = await node.sender.send(
            given.charger_id, given.session_epoch, command, deadline_s=node.command_seconds
        )
    except (CallFailed, CommandTimeout, NotAccepted, Unsupported):
        return {}
    return {name: value for name, value in answer.values if name in known}


async def _local_list(node: Node, given: DispatchInput) -> int | None:
    """The version of its list of who may charge; None: it does not say."""
    try:
        answer = await node.sender.send(
            given.charger_id, given.session_epoch, GetLocalListVersion(), deadline_s=node.command_seconds
        )
    except (CallFailed, CommandTimeout, NotAccepted, Unsupported):
        return None
    return answer.list_version


async def compared(node: Node, end: ConcludeInput, session_epoch: int) -> ConcludeInput:
    """The end with what became of its settings: put back, or a failure where that cannot be done.

    Raises NotConnectedHere and CommandTimeout, for whoever concludes to try again.
    """
    kept = await node.stores.kept.get(end.campaign_id, end.wave, end.charger_id)
    if end.outcome is not Outcome.UPDATED or kept is None:
        return end
    return await _Comparison(node, end, session_epoch, kept).run()


@dataclass(frozen=True, slots=True)
class _Comparison:
    node: Node
    end: ConcludeInput
    session_epoch: int
    kept: Kept

    async def run(self) -> ConcludeInput:
        difference = await self._difference()
        refused = await self._put_back(difference)
        if not (difference.settings or difference.trust or difference.access):
            return self.end
        await self._record(difference, refused)
        if difference.trust:
            return self._failed(f"whom it trusts or where it connects: {difference.trust[0]}")
        if difference.access:
            return self._failed(f"who may charge: {difference.access[0]}")
        if refused:
            return self._failed(f"settings that cannot be put back: {_some(refused)}")
        put_back = _some(tuple(difference.settings))
        return replace(self.end, reason=f"{self.end.reason}; the update had changed {put_back}, put back")

    def _failed(self, what: str) -> ConcludeInput:
        reason = f"{self.end.reason}, but the update changed {what}"
        return replace(self.end, outcome=Outcome.FAILED, reason=reason)

    async def _difference(self) -> Difference:
        answer = (
            await self._asked(GetVariables(tuple(sorted(self.kept.values)))) if self.kept.values else None
        )
        listed = await self._asked(GetInstalledCertificateIds()) if self.kept.roots else None
        security = (await self.node.stores.chargers.glance(self.end.charger_id)).security
        profile = security.profile if security else self.kept.profile
        told = dict(answer.values) if answer else {}
        # An empty list is an answer, too: it has none any more.
        known = listed is not None and listed.status in (AnswerStatus.ACCEPTED, AnswerStatus.NOT_FOUND)
        roots = roots_in(listed.certificates) if listed and known else None
        return compare(self.kept, told, profile, roots, await self._list_version())

    async def _list_version(self) -> int | None:
        if self.kept.local_list is None:
            return None
        answer = await self._asked(GetLocalListVersion())
        return answer.list_version if answer else None

    async def _put_back(self, difference: Difference) -> tuple[str, ...]:
        """The settings that the charger does not take back; none are tried where its trust changed."""
        if difference.trust or not difference.settings:
            return ()
        wanted = tuple(VariableValue(name, value) for name, value in sorted(difference.settings.items()))
        answer = await self._asked(SetVariables(wanted))
        if answer is None or (not answer.items and answer.status not in _TAKEN):
            return tuple(each.name for each in wanted)
        return tuple(item.name for item in answer.items if item.status not in _TAKEN)

    async def _asked(self, command: Command) -> CommandAnswer | None:
        """None: it cannot be asked that."""
        node = self.node
        try:
            return await node.sender.send(
                self.end.charger_id, self.session_epoch, command, deadline_s=node.command_seconds
            )
        except (CallFailed, NotAccepted, Unsupported):
            return None

    async def _record(self, difference: Difference, refused: tuple[str, ...]) -> None:
        await self.node.stores.record(
            f"campaign/{self.end.campaign_id}",
            "charger.settings_changed_by_update",
            f"charger/{self.end.charger_id}",
            wave=self.end.wave,
            settings=sorted(difference.settings),
            not_put_back=list(refused),
            trust=list(difference.trust),
            access=list(difference.access),
        )


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(sorted(names)[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
