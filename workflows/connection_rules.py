"""How a charger is brought to another connection, as a table; and what each end of it means. Pure (A05, B09).

From WRITE on the charger is out of service, so every way ends through RETURN. From PREFER on it would go the
new way at its next start by itself, so a way that does not end in proof leads through RESTORE.
"""

from collections.abc import Mapping
from enum import StrEnum

from activities.connection_orders import ConnectionAnswer
from activities.orders import DispatchKind
from storage.renewal import RenewalOutcome


class ConnectionPhase(StrEnum):
    """Where one charger stands."""

    CHECK = "check"
    WRITE = "write"
    PREFER = "prefer"
    RESTART = "restart"
    PROVE = "prove"
    RESTORE = "restore"
    RETURN = "return"
    OVER = "over"


class Said(StrEnum):
    """What came of a phase."""

    YES = "yes"
    ALREADY = "already"
    AT_ONCE = "at_once"
    """Yes, and it goes the new way by itself (1.6)."""
    AFTER_RESTART = "after_restart"
    """Yes, and it wants a restart for it (1.6)."""
    NO = "no"
    LATER = "later"
    """Nothing was sent: it is busy, not there, or something else has to come first."""
    UNKNOWN = "unknown"
    """No answer came."""
    CAME = "came"
    """It came the new way."""
    BACK = "back"
    """It came the old way."""
    STAYED = "stayed"
    """It has never left."""
    AWAY = "away"
    """It is away."""


P, S, R = ConnectionPhase, Said, RenewalOutcome
MOVES: Mapping[tuple[ConnectionPhase, Said], ConnectionPhase] = {
    (P.CHECK, S.YES): P.WRITE,
    (P.CHECK, S.ALREADY): P.OVER,
    (P.CHECK, S.NO): P.OVER,
    (P.CHECK, S.LATER): P.OVER,
    (P.CHECK, S.UNKNOWN): P.OVER,
    (P.WRITE, S.YES): P.PREFER,
    (P.WRITE, S.AT_ONCE): P.PROVE,
    (P.WRITE, S.AFTER_RESTART): P.RESTART,
    (P.WRITE, S.NO): P.RETURN,
    (P.WRITE, S.LATER): P.RETURN,
    (P.WRITE, S.UNKNOWN): P.PROVE,
    (P.PREFER, S.YES): P.RESTART,
    (P.PREFER, S.NO): P.RETURN,
    (P.PREFER, S.LATER): P.RESTORE,
    (P.PREFER, S.UNKNOWN): P.RESTORE,
    (P.RESTART, S.YES): P.PROVE,
    (P.RESTART, S.NO): P.RESTORE,
    (P.RESTART, S.LATER): P.RESTORE,
    (P.RESTART, S.UNKNOWN): P.PROVE,
    (P.PROVE, S.CAME): P.RETURN,
    (P.PROVE, S.BACK): P.RESTORE,
    (P.PROVE, S.STAYED): P.RESTORE,
    (P.PROVE, S.AWAY): P.OVER,
    (P.RESTORE, S.YES): P.RETURN,
    (P.RESTORE, S.NO): P.RETURN,
    (P.RESTORE, S.LATER): P.RETURN,
    (P.RESTORE, S.UNKNOWN): P.RETURN,
    (P.RETURN, S.YES): P.OVER,
    (P.RETURN, S.NO): P.OVER,
    (P.RETURN, S.LATER): P.OVER,
    (P.RETURN, S.UNKNOWN): P.OVER,
}
"""RETURN without an answer is over, too: that it is out of service is on record, and housekeeping goes on."""

_WORKING = (P.CHECK, P.WRITE, P.PREFER, P.RESTART)
ENDS: Mapping[tuple[ConnectionPhase, Said], RenewalOutcome | None] = {
    (P.CHECK, S.ALREADY): R.RENEWED,
    (P.CHECK, S.UNKNOWN): R.FAILED,
    (P.PREFER, S.UNKNOWN): R.FAILED,
    **{(phase, S.NO): R.REFUSED for phase in _WORKING},
    **{(phase, S.LATER): None for phase in _WORKING},
    (P.PROVE, S.CAME): R.RENEWED,
    (P.PROVE, S.BACK): R.FAILED,
    (P.PROVE, S.STAYED): R.FAILED,
    (P.PROVE, S.AWAY): R.LOST,
}
"""The last word on the charger, where this decides it; None: nothing was begun, it goes back to waiting."""

_KINDS = {
    DispatchKind.ACCEPTED: S.YES,
    DispatchKind.ALREADY: S.ALREADY,
    DispatchKind.NOT_NOW: S.LATER,
    DispatchKind.GONE: S.LATER,
    DispatchKind.UNKNOWN: S.UNKNOWN,
    DispatchKind.REFUSED: S.NO,
    DispatchKind.UNSUPPORTED: S.NO,
}


def advance(phase: ConnectionPhase, said: Said) -> ConnectionPhase:
    """Where it goes from here. Raises KeyError for what cannot be said there."""
    return MOVES[phase, said]


def heard(phase: ConnectionPhase, answer: ConnectionAnswer, *, by_itself: bool) -> Said:
    """What a node's answer says. ``by_itself``: the charger has no slots (1.6)."""
    said = _KINDS[answer.kind]
    if phase is not P.WRITE:
        return said
    if said is S.UNKNOWN and not by_itself:
        return S.LATER  # A slot that is not in use may or may not be written: nothing has changed.
    if said is S.YES and by_itself:
        return S.AFTER_RESTART if answer.reboot else S.AT_ONCE
    return said
