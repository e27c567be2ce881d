"""Our own machines are late: nothing new is sent until they are not, and then a little at first. Pure.

What is measured: how late a shard came to its look (workers), how long what chargers told has been
waiting for its workflow (relay, Temporal), and what a node says of itself when it is asked to send.
Chargers that would fail because we are slow would be counted against a release, so they wait, and say why.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from activities.strain import HELD

LOOK_LATE_S = 15.0
SIGNALS_LATE_S = 15.0
LEAST = 1 / 16
"""Of what may be in flight otherwise; one charger may be in any case."""
AGAIN = "it waits for its turn"


class Lateness(NamedTuple):
    """What was measured, seconds. ``node``: what a node said of itself, or ""."""

    look_s: float = 0.0
    signals_s: float = 0.0
    node: str = ""


@dataclass(frozen=True, slots=True)
class Ease:
    """How much less than usual may be in flight; ``why``: nothing new begins until the next look."""

    share: float = 1.0
    why: str = ""


CALM = Ease()


def judge_strain(late: Lateness) -> str:
    """Why nothing new is to be sent now, in words that stay the same while it lasts; or ""."""
    if late.node:
        return late.node if late.node.startswith(HELD) else f"{HELD}{late.node}"
    if late.signals_s > SIGNALS_LATE_S:
        return f"{HELD}what chargers tell reaches its workflow too late"
    if late.look_s > LOOK_LATE_S:
        return f"{HELD}workers come too late to their work"
    return ""


def tightened(ease: Ease, why: str) -> Ease:
    """Nothing new until the next look, and half as much after it; once for each hold."""
    return Ease(ease.share if ease.why else max(LEAST, ease.share / 2), why)


def relaxed(ease: Ease) -> Ease:
    """A look that found nothing late ends a hold; the next ones let twice as many begin each."""
    return Ease(ease.share) if ease.why else Ease(min(1.0, ease.share * 2))


def bound(most: int, ease: Ease) -> int:
    """How many may be in flight, of ``most`` otherwise."""
    return 0 if ease.why else max(1, int(most * ease.share))


def words(queue: Iterable[str], said: Mapping[str, str], why: str) -> list[tuple[str, str, bool]]:
    """What has to be written of chargers that could start: that they are held, or are so no more."""
    return [
        (name, why or AGAIN, False)
        for name in queue
        if (said.get(name) != why if why else said.get(name, "").startswith(HELD))
    ]
