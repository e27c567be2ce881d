"""Brick or network? A charger that is silent at its deadline, judged against its neighbours and its model.

Pure (X7). The charger is blamed by default: silence counts (R24), and only neighbours that went away with it
speak for the network. What is judged decides who is sent there, and whether the wave stops at once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from activities.facts import Sighting
from activities.silence_facts import SilenceFacts
from storage.events import FirmwareStatus
from storage.learned import MIN_SAMPLES, Spread, limit_s

ENOUGH = 2
"""So many neighbours that went away together are no accident; one alone may be."""
_TOUCHED = frozenset({FirmwareStatus.INSTALLING, FirmwareStatus.INSTALL_REBOOTING, FirmwareStatus.INSTALLED})


class Blame(StrEnum):
    """What is most likely gone."""

    NETWORK = "network"
    CHARGER = "charger"
    STARTING = "starting"
    """It has been away for no longer than its model takes to restart."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Whom to blame, in a sentence that says what to do."""

    blame: Blame
    reason: str


def installing(sightings: Iterable[Sighting]) -> bool:
    """Whether it told that it began to write the image: from then on it may not come back."""
    return any(one.status in _TOUCHED for one in sightings)


def diagnose(facts: SilenceFacts, now: datetime, *, touched: bool) -> Diagnosis:
    """The first rule that holds. ``touched``: it had begun to install."""
    if _network(facts):
        where = "behind the same router" if facts.same_router else "at its site"
        return Diagnosis(
            Blame.NETWORK,
            f"{facts.together} of {facts.neighbours} others {where} went away with it: "
            "probably the network or the power there; check those first",
        )
    if _starting(facts, now):
        longest = facts.longest_reboot_s or 0.0
        return Diagnosis(
            Blame.STARTING,
            f"its model has taken up to {longest:.0f} s to restart, so it may yet come back",
        )
    if facts.neighbours == 0:
        known = "it had begun to install" if touched else "it never told that it began to install"
        return Diagnosis(
            Blame.UNKNOWN, f"nobody near it tells whether the network is there; {known}; look at it"
        )
    online = facts.neighbours - facts.away
    after = "after it began to install" if touched else "before it told of an install"
    return Diagnosis(
        Blame.CHARGER,
        f"{online} of {facts.neighbours} others near it are connected, and it went silent {after}: "
        "probably the charger itself; send somebody",
    )


def _network(facts: SilenceFacts) -> bool:
    """Most neighbours went away at the same time; behind one router a single one is enough if it is all."""
    if facts.together == 0 or facts.together * 2 <= facts.neighbours:
        return False
    return facts.together >= ENOUGH or (facts.same_router and facts.together == facts.neighbours)


def _starting(facts: SilenceFacts, now: datetime) -> bool:
    if facts.gone_at is None or facts.longest_reboot_s is None or facts.reboots < MIN_SAMPLES:
        return False
    longest = facts.longest_reboot_s
    return (now - facts.gone_at).total_seconds() <= limit_s(Spread(facts.reboots, 0.0, 0.0, longest))
