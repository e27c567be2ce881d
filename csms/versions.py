"""Which firmware runs, where a charger's boot did not say: 2.x leaves ``firmwareVersion`` open in it.

What is asked after a boot and answered on the same socket counts for that boot, and for no other: an answer
to a question of before, or a report that nobody asked for since, may be of the image that ran before (R28).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from storage.findings import FirmwareVersionRead
from storage.twin import FirmwareSection


class VersionWatch:
    """The boot of one session whose version is not known, and what was asked since."""

    __slots__ = ("_asked", "_names", "_restarted", "_told", "booted_at")

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._told: str | None = None
        self._restarted = True
        self._asked: frozenset[int] = frozenset()
        self.booted_at: datetime | None = None
        """Server time of the boot that told no version; None: it told one, or there was none."""

    @property
    def unread(self) -> bool:
        """Whether it booted without a version, and has not said since."""
        return self.booted_at is not None and self._told is None

    def booted(self, at: datetime, version: str | None, *, restarted: bool = True) -> None:
        """It booted, with or without saying what runs."""
        self._restarted = restarted
        self.booted_at, self._told, self._asked = None if version else at, None, frozenset()

    def asked_for_report(self, request_id: int) -> None:
        """A report was asked for since that boot."""
        self._asked |= {request_id}

    def answered(self, values: Mapping[str, str], asked_after: datetime | None) -> FirmwareVersionRead | None:
        """What an answer tells of the version; ``asked_after``: ``booted_at`` when it was asked."""
        return self._read(values) if asked_after == self.booted_at else None

    def reported(self, values: Mapping[str, str], request_id: int | None) -> FirmwareVersionRead | None:
        """What a part of a report tells of it."""
        return self._read(values) if request_id in self._asked else None

    def _read(self, values: Mapping[str, str]) -> FirmwareVersionRead | None:
        if self.booted_at is None:
            return None
        name = next((name for name in self._names if values.get(name, "").strip()), None)
        if name is None or values[name] == self._told:
            return None
        self._told = values[name]
        return FirmwareVersionRead(values[name], self.booted_at, name, self._restarted)


def runs(known: FirmwareSection, version: str | None) -> FirmwareSection:
    """The version is this now; None: it has not told, and what ran before is kept until it is read."""
    before = known.version or known.before_boot
    if version is None:
        return replace(known, version=None, before_boot=before)
    previous = known.previous_version if before in (None, version) else before
    return replace(known, version=version, previous_version=previous, before_boot=None)


def read_of(known: FirmwareSection | None, event: FirmwareVersionRead) -> FirmwareSection | None:
    """What was read after an earlier boot says nothing of what runs since the latest one."""
    if known is None or known.booted_at != event.booted_at:
        return known
    return runs(known, event.version)
