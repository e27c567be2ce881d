"""What was withdrawn: one person, a charger or a revocation list takes away, two people give back (S66).

A withdrawal speaks of an image or of a firmware signing certificate. It only ever forbids, so a row of the
database is good enough for it: whoever deletes one gains no more than what people signed before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from storage.audit import AuditEntry

VOTES_TO_RESTORE = 2


class Source(StrEnum):
    """Who said so."""

    PERSON = "person"
    CHARGER = "charger"
    """It refused the vendor's signature or certificate (S38)."""
    LIST = "list"
    """The manufacturer's certificate revocation list; people cannot overrule it."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One thing that is not sent any more."""

    subject: str
    reason: str
    source: Source
    withdrawn_by: str
    withdrawn_at: datetime
    restored_by: tuple[str, ...] = ()
    """Who has said yes to its return."""

    @property
    def in_force(self) -> bool:
        """Until two people restored it."""
        return len(self.restored_by) < VOTES_TO_RESTORE

    def sentence(self) -> str:
        """Why nothing is sent, for people."""
        kind = "image" if self.subject.startswith("artifact:") else "signing certificate"
        return f"its {kind} was withdrawn by {self.withdrawn_by}: {self.reason}"


def artifact_subject(artifact_id: str) -> str:
    """An image by its SHA-256."""
    return f"artifact:{artifact_id}"


def certificate_subject(fingerprint: str) -> str:
    """A certificate by its SHA-256."""
    return f"certificate:{fingerprint}"


def serial_subject(issuer_sha256: str, serial: int) -> str:
    """A certificate by its issuer's name and its number, which is how revocation lists speak of it."""
    return f"serial:{issuer_sha256}:{serial:x}"


OnRecord = Callable[[Withdrawal], AuditEntry]
"""What the audit log is told, from the withdrawal as it is then."""

OnRecordAll = Callable[[Sequence[str]], AuditEntry]
"""The same, from the subjects that are withdrawn now and were not before."""


class WithdrawalStore(Protocol):
    """What was withdrawn, by subject."""

    async def add(
        self, withdrawals: Sequence[Withdrawal], on_record: OnRecordAll | None = None
    ) -> Sequence[str]:
        """Subjects that were not withdrawn before; for others the first reason stands.

        In the audit log in the same transaction, so that whoever dies or asks again leaves none unrecorded.

        A person's word counts anew where somebody has said yes to its return, and voids what was said.
        """

    async def in_force(self, subjects: Sequence[str]) -> Sequence[Withdrawal]:
        """Those of them that are withdrawn now."""

    async def find(self, *, limit: int = 100) -> Sequence[Withdrawal]:
        """The newest, restored ones too."""

    async def restore(self, subject: str, actor: str, on_record: OnRecord) -> Withdrawal:
        """One person's yes to its return. It is in the audit log, or it was not said.

        Raises:
            NotFound: nothing of that name was withdrawn.
            Conflict: a list says so, it is back already, or this person said yes before.
        """
