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
from csms.ports import LastLook
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


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison came to."""

    put_back: str = ""
    """Settings that the update had changed and that are as they were again; "": none."""
    spoilt: str = ""
    """What is otherwise and stays so, in words; "": nothing."""
    untold: str = ""
    """What was noted of it and it does not tell now, so that nobody knows; "": it told of all."""


async def compared(node: Node, end: ConcludeInput, session_epoch: int) -> ConcludeInput:
    """The end with what became of its settings: put back, or a failure where that cannot be done.

    Raises NotConnectedHere and CommandTimeout, for whoever concludes to try again.
    """
    kept = await node.stores.kept.get(end.campaign_id, end.wave, end.charger_id)
    if end.outcome is not Outcome.UPDATED or kept is None:
        return end
    found = await compared_with(node, kept, session_epoch)
    if found.spoilt:
        reason = f"{end.reason}, but the update changed {found.spoilt}"
        return replace(end, outcome=Outcome.FAILED, reason=reason)
    if found.put_back:
        return replace(end, reason=f"{end.reason}; the update had changed {found.put_back}, put back")
    return end


async def compared_with(
    node: Node, kept: Kept, session_epoch: int, last_look: LastLook | None = None
) -> Compared:
    """Ask a charger for all that was noted of it, and put its settings back.

    ``last_look``: before each message that puts back; what it raises holds that back.
    Raises NotConnectedHere and CommandTimeout.
    """
    return await _Comparison(node, kept, session_epoch, last_look).run()


@dataclass(frozen=True, slots=True)
class _Comparison:
    node: Node
    kept: Kept
    session_epoch: int
    last_look: LastLook | None

    async def run(self) -> Compared:
        told = await self._told()
        roots, local_list = await self._roots(), await self._list_version()
        difference = await self._difference(told, roots, local_list)
        refused = await self._put_back(difference)
        untold = self._untold(told, roots, local_list)
        if not (difference.settings or difference.trust or difference.access):
            return Compared(untold=untold)
        await self._record(difference, refused)
        if difference.trust:
            return Compared(spoilt=f"whom it trusts or where it connects: {difference.trust[0]}")
        if difference.access:
            return Compared(spoilt=f"who may charge: {difference.access[0]}")
        if refused:
            return Compared(spoilt=f"settings that cannot be put back: {some(refused)}")
        return Compared(put_back=some(tuple(difference.settings)), untold=untold)

    async def _told(self) -> dict[str, str]:
        if not self.kept.values:
            return {}
        answer = await self._asked(GetVariables(tuple(sorted(self.kept.values))))
        return dict(answer.values) if answer else {}

    async def _roots(self) -> tuple[str, ...] | None:
        listed = await self._asked(GetInstalledCertificateIds()) if self.kept.roots else None
        # An empty list is an answer, too: it has none any more.
        known = listed is not None and listed.status in (AnswerStatus.ACCEPTED, AnswerStatus.NOT_FOUND)
        return roots_in(listed.certificates) if listed and known else None

    async def _difference(
        self, told: Mapping[str, str], roots: tuple[str, ...] | None, local_list: int | None
    ) -> Difference:
        security = (await self.node.stores.chargers.glance(self.kept.charger_id)).security
        profile = security.profile if security else self.kept.profile
        return compare(self.kept, told, profile, roots, local_list)

    def _untold(self, told: Mapping[str, str], roots: tuple[str, ...] | None, local_list: int | None) -> str:
        """A single setting that a version does not have any more is no loss; none at all is no answer."""
        kept = self.kept
        missing = {
            "its settings": kept.values and not kept.values.keys() & told.keys(),
            "its roots": kept.roots and roots is None,
            "the version of its local list": kept.local_list is not None and local_list is None,
        }
        return " and ".join(what for what, is_missing in missing.items() if is_missing)

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
        answer = await self._asked(SetVariables(wanted), self.last_look)
        if answer is None or (not answer.items and answer.status not in _TAKEN):
            return tuple(each.name for each in wanted)
        return tuple(item.name for item in answer.items if item.status not in _TAKEN)

    async def _asked(self, command: Command, last_look: LastLook | None = None) -> CommandAnswer | None:
        """None: it cannot be asked that."""
        seconds, kept = self.node.command_seconds, self.kept
        try:
            return await self.node.sender.send(
                kept.charger_id, self.session_epoch, command, deadline_s=seconds, last_look=last_look
            )
        except (CallFailed, NotAccepted, Unsupported):
            return None

    async def _record(self, difference: Difference, refused: tuple[str, ...]) -> None:
        await self.node.stores.record(
            f"campaign/{self.kept.campaign_id}",
            "charger.settings_changed_by_update",
            f"charger/{self.kept.charger_id}",
            wave=self.kept.wave,
            settings=sorted(difference.settings),
            not_put_back=list(refused),
            trust=list(difference.trust),
            access=list(difference.access),
        )


def some(names: tuple[str, ...]) -> str:
    """The first of many names, and how many there are besides."""
    shown = ", ".join(sorted(names)[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
