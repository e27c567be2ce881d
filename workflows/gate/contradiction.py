"""Counts that cannot be: a measurement that went wrong, or evidence that somebody wrote by hand."""

from math import isfinite

from activities.evidence import Arm, Coverage, Evidence, SignalEvidence, Stratum
from workflows.gate.signals import words_of


def contradiction_in(evidence: Evidence) -> str:
    """The first contradiction, in a sentence; "": there is none."""
    for arm in (evidence.treated, evidence.control):
        if not _covered(arm):
            return "More chargers were heard than there are, or for less than no time."
    for signal in evidence.signals:
        if not _counted(signal):
            return f"The counters of {words_of(signal.signal).title} contradict themselves."
    return ""


def _covered(arm: Coverage) -> bool:
    return 0 <= arm.heard <= arm.chargers and arm.minutes >= 0 and 0 <= arm.sites <= max(arm.chargers, 0)


def _counted(signal: SignalEvidence) -> bool:
    spread = [value for one in signal.strata for value in (one.squares, one.cubes)]
    spread += [cluster.squares for cluster in signal.clusters]
    if not all(map(isfinite, spread)) or any(one.squares < 0 for one in signal.strata):
        return False
    return all(_possible(arm, signal) for one in signal.strata for arm in _arms(one))


def _arms(one: Stratum) -> tuple[Arm, Arm]:
    return one.treated, one.control


def _possible(arm: Arm, signal: SignalEvidence) -> bool:
    """A charger counts only with exposure, and one that counts zero or one has no more than one hit."""
    if min(arm.chargers, arm.hits, arm.base_hits, arm.base_exposure) < 0 or arm.exposure < arm.chargers:
        return False
    return not signal.binary or arm.hits <= arm.chargers == arm.exposure
