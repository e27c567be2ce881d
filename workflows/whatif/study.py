"""What a forecast is made from: a plan with its cohort as frozen, and what each charger did before."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from activities.facts import ArtifactFacts, Situation
from storage.campaign import CampaignPlan
from storage.recording import Recorded
from storage.windows import Calendar


@dataclass(frozen=True, slots=True)
class Member:
    """One charger of the cohort."""

    charger_id: str
    site_id: str
    situation: Situation
    """As it is now; whether it is there and free comes from the recording."""
    recorded: Recorded


@dataclass(frozen=True, slots=True)
class Study:
    """A plan, its waves, and the weeks that are replayed."""

    plan: CampaignPlan
    artifact: ArtifactFacts
    waves: Sequence[Sequence[Member]]
    max_down: Mapping[str, int]
    """By site; one where none is named."""
    start: datetime
    """Of the campaign; the recording ends then, so that weekdays and hours fall together."""
    weeks: int
    """Whole ones, recorded."""
    attempt_minutes: float = 10.0
    """What an attempt takes that works out."""
    failure_share: float = 0.01
    """Of attempts."""
    gate_hours: Sequence[Sequence[float]] = ()
    """How long the gates of campaigns on trial took, wave by wave; a stopped one ends early."""
    calendars: Mapping[str, Calendar] = field(default_factory=dict)
    """By site, where windows or closures matter."""
    gates_stopped: int = 0
    """So many of those on trial were stopped, although nothing was wrong with the release."""


def free(situation: Situation) -> Situation:
    """The same charger, there and idle."""
    return replace(
        situation,
        online=True,
        heard_recently=True,
        busy=None,
        session=False,
        free_at=None,
        maintenance=None,
    )


def charging(situation: Situation) -> Situation:
    """The same with a car."""
    return replace(free(situation), busy="a session is open", session=True)


def away(situation: Situation) -> Situation:
    """The same, and nothing is heard of it."""
    return replace(free(situation), online=False, heard_recently=False)
