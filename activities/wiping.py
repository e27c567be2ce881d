"""What a charger is told to forget before it is let go, and what its answers mean. Pure (F47).

OCPP has no factory reset. Each step is what the standard has for it; what it has nothing for is said.
"""

from collections.abc import Sequence

from csms.access import ClearCache, ClearChargingProfiles, ProfilePurpose, SendLocalList
from csms.commands import AnswerStatus, Command
from csms.monitoring import MonitoringBase, SetMonitoringBase
from csms.ports import PasswordChange
from storage.certificate_use import CertificateUse, InstalledCertificate
from storage.command import CommandEnd, CommandState
from storage.credentials import PendingFate
from storage.retirement import Step, StepState

COMMANDS: dict[Step, tuple[Command, ...]] = {
    Step.LOCAL_LIST: (SendLocalList(version=1, full=True),),  # D01.FR.05: full and empty
    Step.CACHE: (ClearCache(),),
    Step.PROFILES: tuple(ClearChargingProfiles(purpose) for purpose in ProfilePurpose),
    Step.MONITORS: (SetMonitoringBase(MonitoringBase.HARD_WIRED_ONLY),),
}
"""The steps that are a fixed list of commands."""

REMOVABLE = frozenset({CertificateUse.V2G_ROOT, CertificateUse.MO_ROOT})
"""Not the root of the CSMS, without which it reaches nobody, nor the one that firmware is checked by."""

_GOOD = frozenset({AnswerStatus.ACCEPTED, AnswerStatus.REBOOT_REQUIRED, AnswerStatus.SCHEDULED})
_GONE = frozenset({AnswerStatus.NOT_FOUND, AnswerStatus.EMPTY_RESULT_SET})
"""There was nothing of it: as good as cleared."""
_ENDS = {
    CommandState.UNSUPPORTED: StepState.UNSUPPORTED,
    CommandState.FAILED: StepState.REFUSED,
    CommandState.REFUSED: StepState.REFUSED,
    CommandState.SILENT: StepState.UNKNOWN,
}
_WEIGHT = (StepState.UNKNOWN, StepState.REFUSED, StepState.UNSUPPORTED, StepState.DONE)
"""The first of these that any of its commands ended in speaks for a step."""


def removable(listed: Sequence[InstalledCertificate]) -> list[InstalledCertificate]:
    """The roots that may go."""
    return [each for each in listed if each.use in REMOVABLE]


def state_of(ends: Sequence[CommandEnd]) -> StepState:
    """What the answers to all commands of a step mean for it; nothing was to be sent: nothing to do."""
    states = [_state(end) for end in ends]
    return next((state for state in _WEIGHT if state in states), StepState.NOTHING)


def _state(end: CommandEnd) -> StepState:
    if end.state is CommandState.ANSWERED and end.status is not None:
        status = AnswerStatus(end.status)
        if status in _GOOD or status in _GONE:
            return StepState.DONE
        return StepState.UNSUPPORTED if status is AnswerStatus.NOT_IMPLEMENTED else StepState.REFUSED
    return _ENDS.get(end.state, StepState.UNKNOWN)


def sentence(ends: Sequence[CommandEnd]) -> str:
    """What the charger said, in words."""
    return "; ".join(dict.fromkeys(end.reason for end in ends)) or "there was nothing to do"


_FATES = {
    PendingFate.PROMOTE: (
        StepState.DONE,
        "it has a random password that nobody knows, and its old one is dead",
    ),
    PendingFate.DROP: (StepState.REFUSED, "it refused a new password"),
    PendingFate.HOLD: (StepState.UNKNOWN, "it was sent a random password, and did not say which one it uses"),
}


def of_password(change: PasswordChange) -> tuple[StepState, str]:
    """What became of the random password that it was given."""
    if change.answer is AnswerStatus.NOT_IMPLEMENTED:
        return StepState.UNSUPPORTED, "it cannot be given a password"
    return _FATES[change.fate]


NAMED_ONLY = "OCPP clears more only of a customer who is named (2.x N10)"


def customers_state(local_list: StepState | None, cache: StepState | None) -> tuple[StepState, str]:
    """Of customers' data: what OCPP can take away unnamed is the local list and the cache."""
    told = [local_list, cache]
    if all(each in (StepState.DONE, StepState.UNSUPPORTED, StepState.NOTHING) for each in told):
        state = StepState.DONE if StepState.DONE in told else StepState.UNSUPPORTED
        return state, f"its list and its cache hold nobody any more; {NAMED_ONLY}"
    told_no = (each for each in (StepState.REFUSED, StepState.UNKNOWN) if each in told)
    worst = next(told_no, StepState.UNREACHED)
    return worst, f"its list or its cache may still hold customers; {NAMED_ONLY}"
