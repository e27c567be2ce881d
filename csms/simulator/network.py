"""Where a charger connects: its slots, which of them it tries first, and the way back to the one before.

2.x has numbered slots and an order among them (B09, B10), which counts from a restart on; a 1.6 charge point
has one way for each security profile, and takes the new one at once (WP3 A05). Both go back to what worked.
"""

from dataclasses import dataclass, replace

_UNREACHABLE = "wss://127.0.0.1:9"
"""Nobody listens there (the discard port)."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the server."""

    url: str
    profile: int


@dataclass(frozen=True, slots=True)
class NetworkHabits:
    """How a charger deals with another way to the server."""

    slots: int = 2
    attempts: int = 3
    """Failures after which it tries the next way (OCPPCommCtrlr.NetworkProfileConnectionAttempts)."""
    refuses_priority: bool = False
    falls_back: bool = False
    """Whatever it is given does not work, so it comes back on its old way."""
    stranded: bool = False
    """The same, and it has forgotten the old one."""


class Network:
    """Kept over restarts, as it is in flash."""

    def __init__(self, home: Way, secure_url: str | None, habits: NetworkHabits) -> None:
        self._slots = {1: home}
        self._order: tuple[int, ...] = (1,)
        self._next: tuple[int, ...] | None = None
        self._place = self._failures = 0
        self._secure_url = secure_url
        self._habits = habits
        self.active = 1
        """The slot that it last connected by."""

    @property
    def way(self) -> Way:
        """What it tries now."""
        way = self._slots[self._order[self._place]]
        given = self._order[self._place] != 1
        broken = given and (self._habits.falls_back or self._habits.stranded)
        return replace(way, url=_UNREACHABLE) if broken else way

    @property
    def highest(self) -> int:
        """The security profile that it could have."""
        return 3 if self._secure_url else max(way.profile for way in self._slots.values())

    # 2.x.

    def take(self, slot: int, way: Way) -> str:
        """SetNetworkProfile; never into the slot that is in use, nor lower (A05.FR.07)."""
        if not 1 <= slot <= self._habits.slots or slot == self.active:
            return "Rejected"
        if way.profile < self._slots[self.active].profile:
            return "Rejected"
        self._slots[slot] = way
        return "Accepted"

    def prefer(self, value: str) -> bool:
        """A new order of the slots, from the next start on; False: it is none."""
        if self._habits.refuses_priority:
            return False
        order = [int(part) for part in value.split(",") if part.strip().isdecimal()]
        if not order or len(set(order)) != len(order) or not set(order) <= set(self._slots):
            return False
        self._next = tuple(order)
        return True

    # 1.6.

    def raise_to(self, profile: int) -> None:
        """The way of a security profile, from now on; the one before stays behind it."""
        now = self._slots[self.active]
        slot = 2 if self.active == 1 else 1
        self._slots[slot] = Way(self._secure_url or now.url, profile)
        self._order, self._place, self._failures = (slot, self.active), 0, 0
        self._strand()

    # What happens to it.

    def started(self) -> None:
        """It starts: a new order counts."""
        if self._next is not None:
            self._order, self._next = self._next, None
            self._strand()
        self._place = self._failures = 0

    def connected(self) -> bool:
        """It got through; whether that is another way than the last one was."""
        self._failures = 0
        before, self.active = self.active, self._order[self._place]
        return before != self.active

    def failed(self) -> bool:
        """It did not; whether it goes over to the next way now."""
        self._failures += 1
        if self._failures < self._habits.attempts or len(self._order) == 1:
            return False
        self._place, self._failures = (self._place + 1) % len(self._order), 0
        return True

    def _strand(self) -> None:
        if self._habits.stranded:
            self._order = self._order[:1]
