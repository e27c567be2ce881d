"""A feeder's cap: in no minute does more load come back, whoever goes away and in whatever order."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.site_budget import feeder_refusal, room_refusal
from storage.upkeep import Feeder, Plug, SiteRoom, SiteRules

pytestmark = pytest.mark.requirement("X4")

MINUTE = 60
CAP = 300.0
POWER = {"A": 150.0, "B": 150.0, "C": 100.0, "D": 50.0, "E": 22.0, "F": 300.0}
RULES = SiteRules(feeder="north", feeder_kw=CAP)


@dataclass
class Supply:
    """A feeder whose chargers go when they may, and come back whenever they like."""

    now: int = 0
    away: set[str] = field(default_factory=set)
    returns: list[tuple[int, str]] = field(default_factory=list)

    def loads(self) -> tuple[Plug, ...]:
        back = {name for at, name in self.returns if at > self.now - MINUTE}
        return tuple(Plug(name, POWER[name]) for name in sorted(self.away | back))

    def ask(self, name: str) -> bool:
        if feeder_refusal(Feeder("north", CAP, self.loads()), Plug(name, POWER[name])) is not None:
            return False
        self.away.add(name)
        return True

    def come_back(self, name: str) -> None:
        if name in self.away:
            self.away.discard(name)
            self.returns.append((self.now, name))

    def worst_minute(self) -> float:
        return max((self._within(at) for at, _ in self.returns), default=0.0)

    def _within(self, begin: int) -> float:
        names = {name for at, name in self.returns if begin <= at < begin + MINUTE}
        return sum(POWER[name] for name in names)


# All ask, some come back, and almost a minute passes: the edges are hit often.
ROUND = st.tuples(
    st.permutations(sorted(POWER)),
    st.sets(st.sampled_from(sorted(POWER))),
    st.sampled_from([1, 31, 55, 59, 60]),
)


@given(st.lists(ROUND, max_size=12))
def test_no_minute_sees_more_than_the_cap_come_back(rounds: list[tuple[list[str], set[str], int]]) -> None:
    supply = Supply()
    for asking, coming, seconds in rounds:
        for name in asking:
            if name not in supply.away:
                supply.ask(name)
        for name in sorted(coming):
            supply.come_back(name)
        supply.now += seconds
    for name in sorted(supply.away):
        supply.come_back(name)  # A power cut ends: everybody at once.
    assert supply.worst_minute() <= CAP


def test_the_cap_can_be_used_to_the_full_and_again_after_a_minute() -> None:
    supply = Supply()
    assert supply.ask("A")
    assert supply.ask("B")
    assert not supply.ask("E"), "300 kW are away"
    supply.come_back("A")
    assert not supply.ask("E"), "and as much could still come back in this minute"
    supply.now += MINUTE
    assert supply.ask("E")


@pytest.mark.parametrize(
    ("own", "loads", "part"),
    [
        (Plug("A", 150.0), (Plug("B", 160.0),), "takes 300 kW back a minute; 160 kW are away or just back"),
        (Plug("A", 400.0), (), "it alone brings 400 kW back"),
        (Plug("A"), (), "nobody told the power of A"),
        (Plug("A", 1.0), (Plug("B"),), "nobody told the power of B"),
    ],
)
def test_a_refusal_says_why(own: Plug, loads: tuple[Plug, ...], part: str) -> None:
    assert part in (feeder_refusal(Feeder("north", CAP, loads), own) or "")


def test_who_is_away_already_may_be_worked_on() -> None:
    """Its power is counted, and without the work it never comes back."""
    room = SiteRoom((Plug("A", 300.0),), frozenset({"A"}), feeder=Feeder("north", CAP, (Plug("B", 300.0),)))
    assert room_refusal(RULES, room, "A") is None
    assert room_refusal(RULES, SiteRoom(room.plugs, feeder=room.feeder), "A") is not None


def test_a_charger_itself_is_counted_once() -> None:
    feeder = Feeder("north", CAP, (Plug("F", 300.0),))
    assert feeder_refusal(feeder, Plug("F", 300.0)) is None, "it was back, and goes once more"
