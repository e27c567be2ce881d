"""One campaign on one world under one rule: waves in turn, until it is stopped or all are through. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from workflows.draw import Lot, draw, wave_sizes
from workflows.trial.shapes import PlanShape
from workflows.trial.view import View
from workflows.trial.world import BASELINE_HOURS, Unit, World


class Word(StrEnum):
    """What a rule says."""

    GO = "go"
    WAIT = "wait"
    STOP = "stop"
    ASK = "ask"
    """It cannot tell, and does not expect to: a person decides."""


@dataclass(frozen=True, slots=True)
class Tally:
    """The attempts of a wave so far: all that many products know."""

    group: int
    """Chargers in the wave."""
    succeeded: int
    failed: int
    wave: int = 0

    @property
    def attempts(self) -> int:
        """Of which the outcome is known."""
        return self.succeeded + self.failed


@dataclass(frozen=True, slots=True)
class Says:
    """A word, the reason, and after how many hours it is to be asked again."""

    word: Word
    reason: str = ""
    again: int = 24
    without: tuple[str, ...] = ()
    """Models that leave the campaign; it goes on for the others."""


class Rule(Protocol):
    """Decides on a campaign. One object judges one campaign: it may remember what it said."""

    def attempted(self, tally: Tally) -> str:
        """Why to stop after this attempt; empty: go on."""

    def look(self, view: View, waited: int) -> Says:
        """Asked when a wave is through, and again until it says go or stop; ``waited`` in hours."""


class Ending(StrEnum):
    """How a campaign came to its end."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    """For all, or for a model."""
    GIVEN_UP = "given up"
    """It ran out of days."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One campaign."""

    ending: Ending
    wave: int
    hours: int
    updated: int
    harmed: int
    asked: int
    """Times a person was asked; the person lets it go on, as if nobody knew better."""
    looks: int
    reason: str
    waits: tuple[int, ...] = ()
    """Hours that each gate took to open."""


def run(world: World, plan: PlanShape, rule: Rule) -> Outcome:
    """The whole campaign."""
    view = View(world, waves_of(world, plan))
    asked = looks = 0
    waits: list[int] = []
    for wave in range(len(view.waves)):
        if reason := _roll_out(view, wave, plan, rule):
            return _outcome(view, Ending.STOPPED, (asked, looks), reason)
        ended, waited = view.now, 0
        while True:
            says = rule.look(view, waited)
            looks += 1
            view.exclude(says.without, says.reason)
            if says.word is Word.STOP:
                return _outcome(view, Ending.STOPPED, (asked, looks), says.reason)
            if says.word in (Word.GO, Word.ASK) or not view.waves[wave]:
                asked += says.word is Word.ASK
                waits.append(waited)
                break
            waited += max(says.again, 1)
            if ended + waited >= world.hours:
                return _outcome(view, Ending.GIVEN_UP, (asked, looks), says.reason)
            view.now = ended + waited
        if view.now + plan.rollout_hours >= world.hours:
            return _outcome(view, Ending.GIVEN_UP, (asked, looks), "out of days")
    # To take out a good model is as false as to stop everybody.
    ending = Ending.STOPPED if view.excluded else Ending.COMPLETED
    return replace(_outcome(view, ending, (asked, looks), view.excluded), waits=tuple(waits))


def waves_of(world: World, plan: PlanShape) -> list[list[Unit]]:
    """Drawn as campaigns draw: at random within models, spread over sites."""
    lots = []
    for unit in world.units:
        vendor, _, model = unit.model.name.partition("/")
        lots.append(Lot(unit.name, (vendor, model), unit.site, unit))
    return draw(lots, wave_sizes(len(lots), plan.shares), plan.seed)


def _roll_out(view: View, wave: int, plan: PlanShape, rule: Rule) -> str:
    """Why it was stopped meanwhile, or nothing."""
    view.begin(wave)
    begun, group = view.now, len(view.waves[wave])
    for unit in sorted(view.waves[wave], key=lambda one: one.delay):
        view.attempt(unit, begun + int(unit.delay * plan.rollout_hours))
        if reason := rule.attempted(Tally(group, view.succeeded, view.failed, wave)):
            return reason
    view.now = begun + plan.rollout_hours
    return ""


def _outcome(view: View, ending: Ending, counted: tuple[int, int], reason: str) -> Outcome:
    asked, looks = counted
    return Outcome(
        ending,
        view.wave,
        view.now - BASELINE_HOURS,
        len(view.updated),
        view.harmed(),
        asked,
        looks,
        reason,
    )
