"""The gate: facts and evidence in, a verdict out, and a record from which anybody computes it again (X17).

Pure: no I/O, no clock, and no chance but from a seed in the inputs. The live gate, the simulator and the
offline check all judge by it.
"""

from activities.evidence import (
    Arm,
    Cluster,
    Counts,
    Coverage,
    Epoch,
    Evidence,
    History,
    Sample,
    SignalEvidence,
    Stratum,
)
from activities.sampling import summarise
from workflows.gate.judge import judge, next_hours
from workflows.gate.judgement import Comparison, Judgement, Rate, Says
from workflows.gate.outcomes import AllOf, Check, assess, assess_rollback, attempts_of, chance, failures_of
from workflows.gate.policies import POLICIES
from workflows.gate.record import (
    GATE,
    REHEARSAL,
    ROLLBACK,
    RULES,
    GateInputs,
    Health,
    Look,
    decision,
    judged,
    recompute,
    with_context,
)
from workflows.gate.words import CheckResult, EmptyGate, Verdict, combine, worst

__all__ = [
    "GATE",
    "POLICIES",
    "REHEARSAL",
    "ROLLBACK",
    "RULES",
    "AllOf",
    "Arm",
    "Check",
    "CheckResult",
    "Cluster",
    "Comparison",
    "Counts",
    "Coverage",
    "EmptyGate",
    "Epoch",
    "Evidence",
    "GateInputs",
    "Health",
    "History",
    "Judgement",
    "Look",
    "Rate",
    "Sample",
    "Says",
    "SignalEvidence",
    "Stratum",
    "Verdict",
    "assess",
    "assess_rollback",
    "attempts_of",
    "chance",
    "combine",
    "decision",
    "failures_of",
    "judge",
    "judged",
    "next_hours",
    "recompute",
    "summarise",
    "with_context",
    "worst",
]
