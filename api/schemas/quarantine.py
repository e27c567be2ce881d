"""Quarantine at the door."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from api.schemas.common import Body, Reply, Sentence
from storage.drift import Drift
from storage.quarantine import QuarantineCase, Signal, advice, rule_of
from storage.twin import Lifecycle


class QuarantineBody(Body):
    """Why."""

    reason: Sentence


class QuarantineReply(Reply):
    """Where it is now."""

    charger_id: str
    lifecycle: Lifecycle


class CaseReply(Reply):
    """One stay in quarantine."""

    signal: Signal
    reason: str
    actor: str
    since: datetime
    before: Lifecycle
    released_at: datetime | None
    released_by: str
    release_reason: str
    after: Lifecycle | None

    @classmethod
    def of(cls, case: QuarantineCase) -> "CaseReply":
        """The reply for a stay."""
        return cls.model_validate(case)


class DoubtReply(Reply):
    """Something critical that is open: until it is settled, the charger is not taken back."""

    path: str
    signal: Signal
    suspicion: str
    since: datetime | None
    advice: str = Field(description="What to do about it.")

    @classmethod
    def of(cls, drift: Drift) -> "DoubtReply":
        """The reply for a doubt."""
        why = drift.suspicion or "it is not what is desired of it"
        signal = rule_of(drift.path).signal
        hint = advice(drift.path, drift.charger_id)
        return cls(path=drift.path, signal=signal, suspicion=why, since=drift.opened_at, advice=hint)


class QuarantineStateReply(Reply):
    """Whether a charger is set aside, why, and what to do next."""

    charger_id: str
    lifecycle: Lifecycle
    current: CaseReply | None = Field(description="This stay; null: it is not set aside.")
    doubts: tuple[DoubtReply, ...]
    allowed: dict[str, bool] = Field(description="What may still happen to it while it is set aside.")
    next: str = Field(description="What a person does next.")
    stays: tuple[CaseReply, ...] = Field(description="Every stay, the latest first.")


def next_step(charger_id: str, doubts: Sequence[Drift]) -> str:
    """The way out, in words."""
    if doubts:
        return (
            f"Settle what is in doubt: {', '.join(sorted({each.path for each in doubts}))}; then release it."
        )
    return f"Nothing critical is open. Take it back: ampwave charger release {charger_id} --reason WHY"
