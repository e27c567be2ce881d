"""The two state machines: a campaign, and one charger in a wave. One table each; nothing else moves them.

The diagrams in ``README.md`` are written from these tables by ``diagram``; a test keeps them true.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from storage.campaign import CampaignPhase, TargetPhase
from storage.errors import Conflict


class CampaignMove(StrEnum):
    """What can happen to a campaign."""

    SUBMIT = "submit"
    APPROVE = "approve"
    AWAIT_APPROVAL = "await_approval"
    PAUSE = "pause"
    RESUME = "resume"
    PROCEED = "proceed"
    ABORT = "abort"
    COMPLETE = "complete"
    STOPPED = "stopped"
    ROLL_BACK = "roll_back"
    ROLLED_BACK = "rolled_back"
    FAIL = "fail"


class TargetMove(StrEnum):
    """What can happen to one charger in one wave."""

    WAIT = "wait"
    RESERVE = "reserve"
    SEND = "send"
    ACCEPT = "accept"
    FINISH = "finish"


C, CM = CampaignPhase, CampaignMove
CAMPAIGN_MOVES: dict[tuple[CampaignPhase, CampaignMove], CampaignPhase] = {
    (C.DRAFT, CM.SUBMIT): C.AWAITING_APPROVAL,
    (C.DRAFT, CM.ABORT): C.ABORTING,
    (C.AWAITING_APPROVAL, CM.SUBMIT): C.AWAITING_APPROVAL,
    (C.AWAITING_APPROVAL, CM.APPROVE): C.RUNNING,
    (C.AWAITING_APPROVAL, CM.ABORT): C.ABORTING,
    (C.RUNNING, CM.AWAIT_APPROVAL): C.AWAITING_APPROVAL,
    (C.RUNNING, CM.PAUSE): C.PAUSED,
    (C.RUNNING, CM.PROCEED): C.RUNNING,
    (C.RUNNING, CM.ABORT): C.ABORTING,
    (C.RUNNING, CM.COMPLETE): C.COMPLETED,
    (C.PAUSED, CM.RESUME): C.RUNNING,
    (C.PAUSED, CM.PROCEED): C.RUNNING,
    (C.PAUSED, CM.ABORT): C.ABORTING,
    (C.ABORTING, CM.STOPPED): C.ABORTED,
    (C.ABORTING, CM.ROLL_BACK): C.ROLLING_BACK,
    (C.ROLLING_BACK, CM.ABORT): C.ABORTING,
    (C.ROLLING_BACK, CM.ROLLED_BACK): C.ROLLED_BACK,
    (C.ROLLING_BACK, CM.FAIL): C.FAILED,
}

T, TM = TargetPhase, TargetMove
TARGET_MOVES: dict[tuple[TargetPhase, TargetMove], TargetPhase] = {
    (T.PENDING, TM.WAIT): T.WAITING,
    (T.PENDING, TM.RESERVE): T.RESERVED,
    (T.PENDING, TM.FINISH): T.DONE,
    (T.WAITING, TM.WAIT): T.WAITING,
    (T.WAITING, TM.RESERVE): T.RESERVED,
    (T.WAITING, TM.FINISH): T.DONE,
    (T.RESERVED, TM.RESERVE): T.RESERVED,
    (T.RESERVED, TM.WAIT): T.WAITING,
    (T.RESERVED, TM.SEND): T.DISPATCHED,
    (T.RESERVED, TM.FINISH): T.DONE,
    (T.DISPATCHED, TM.SEND): T.DISPATCHED,
    (T.DISPATCHED, TM.ACCEPT): T.CONFIRMING,
    (T.DISPATCHED, TM.WAIT): T.WAITING,
    (T.DISPATCHED, TM.FINISH): T.DONE,
    (T.CONFIRMING, TM.SEND): T.DISPATCHED,
    (T.CONFIRMING, TM.WAIT): T.WAITING,
    (T.CONFIRMING, TM.FINISH): T.DONE,
}

P = TypeVar("P", bound=StrEnum)
M = TypeVar("M", bound=StrEnum)


def advance(table: Mapping[tuple[P, M], P], phase: P, move: M) -> P:
    """The phase after a move, or Conflict if the table has no such move."""
    try:
        return table[phase, move]
    except KeyError:
        allowed = sorted(m.value for p, m in table if p is phase) or ["nothing: this phase is final"]
        raise Conflict(
            f"{move.value!r} is not possible while {phase.value!r}.",
            hint=f"Possible here: {', '.join(allowed)}.",
        ) from None


def can(table: Mapping[tuple[P, M], P], phase: P, move: M) -> bool:
    """Whether the table has this move."""
    return (phase, move) in table


def diagram(table: Mapping[tuple[P, M], P], start: P) -> str:
    """The table as a mermaid state diagram."""
    lines = ["stateDiagram-v2", f"    [*] --> {start.value}"]
    lines += [f"    {phase.value} --> {after.value}: {move.value}" for (phase, move), after in table.items()]
    leaving = {phase for phase, _ in table}
    ends = sorted({after.value for after in table.values() if after not in leaving})
    return "\n".join([*lines, *(f"    {end} --> [*]" for end in ends)])
