"""What a charger can be asked and told: its variables, kept over restarts, with what each write means."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """One variable or configuration key as it left the factory."""

    value: str
    writable: bool = False
    reboot: bool = False
    """A new value counts from the next start on."""
    hidden: bool = False
    """It can be written and not read: a password."""
    span: tuple[int, int] | None = None
    """The value is a whole number within these."""
    words: frozenset[str] = frozenset()
    """The value is one of these; empty: any."""

    def takes(self, value: str) -> bool:
        """Whether a value is one of this variable."""
        if self.span is not None:
            least, most = self.span
            digits = value.removeprefix("-")
            return digits.isascii() and digits.isdigit() and least <= int(value) <= most
        return not self.words or value in self.words


ACCEPTED, REJECTED, REBOOT, UNKNOWN = "Accepted", "Rejected", "RebootRequired", "UnknownVariable"


class Device:
    """The variables of one charger. ``factory`` gives them as its facts are now."""

    def __init__(self, factory: Callable[[], Mapping[str, Variable]]) -> None:
        self._factory = factory
        self._written: dict[str, str] = {}
        self._waiting: dict[str, str] = {}

    def read(self, names: tuple[str, ...] = ()) -> dict[str, str]:
        """The values that may be read; no names: all of them."""
        known = self._factory()
        return {
            name: self._written.get(name, known[name].value)
            for name in names or known
            if name in known and not known[name].hidden
        }

    def value(self, name: str) -> str | None:
        """What counts now, hidden or not; None: there is no such variable."""
        known = self._factory().get(name)
        return None if known is None else self._written.get(name, known.value)

    def known(self) -> dict[str, bool]:
        """Every variable, and whether it can be written."""
        return {name: variable.writable for name, variable in self._factory().items()}

    def hidden(self, name: str) -> bool:
        """Whether it is a secret."""
        known = self._factory().get(name)
        return known is not None and known.hidden

    def write(self, name: str, value: str) -> str:
        """Write, and say what came of it in the words of OCPP 2.x SetVariableStatusEnumType."""
        known = self._factory().get(name)
        if known is None:
            return UNKNOWN
        if not known.writable or not known.takes(value):
            return REJECTED
        if known.reboot and value != self._written.get(name, known.value):
            self._waiting[name] = value
            return REBOOT
        self._written[name] = value
        return ACCEPTED

    def started(self) -> None:
        """The charger starts: what waited for that counts."""
        self._written.update(self._waiting)
        self._waiting.clear()

    def forget(self, keep: frozenset[str] = frozenset()) -> tuple[str, ...]:
        """Everything that was written is as it left the factory, but for ``keep``; returns what was lost."""
        lost = tuple(sorted(set(self._written) - keep))
        self._written = {name: value for name, value in self._written.items() if name in keep}
        self._waiting.clear()
        return lost

    def force(self, name: str, value: str) -> None:
        """What the charger does to itself, whether it may be written or not."""
        self._written[name] = value
