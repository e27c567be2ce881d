"""What became of a campaign, beside what was forecast of it. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.campaign import Campaign, CampaignPhase, Outcome, WaveTally


@dataclass(frozen=True, slots=True)
class Fact:
    """A campaign so far, or as it ended."""

    ended: bool
    completed: bool
    """False of one that was stopped: when it would have ended is not known."""
    minutes: float | None
    """From its start to its end, or until now; None: it has not started."""
    updated: int
    failed: int
    deferrals: int
    blocked: int


@dataclass(frozen=True, slots=True)
class Line:
    """One number: as forecast, and as it came."""

    what: str
    low: float
    middle: float
    high: float
    fact: float | None
    within: bool | None
    """None: not known yet, or never."""


def fact_of(
    campaign: Campaign, tallies: Iterable[WaveTally], started_at: datetime | None, now: datetime
) -> Fact:
    """The numbers of a campaign; waves of a rollback do not count."""
    mine = [tally for tally in tallies if tally.wave < len(campaign.plan.waves)]
    end = campaign.finished_at
    minutes = ((end or now) - started_at).total_seconds() / 60 if started_at else None
    return Fact(
        ended=end is not None,
        completed=campaign.phase is CampaignPhase.COMPLETED,
        minutes=minutes,
        updated=_count(mine, (Outcome.UPDATED, Outcome.ALREADY_CURRENT)),
        failed=_count(mine, (Outcome.FAILED, Outcome.SILENT)),
        deferrals=sum(tally.deferred_for_session for tally in mine),
        blocked=_count(mine, (Outcome.DEFERRED,)),
    )


def _count(tallies: Sequence[WaveTally], outcomes: Sequence[Outcome]) -> int:
    return sum(tally.by_outcome.get(outcome.value, 0) for tally in tallies for outcome in outcomes)


def compared(body: dict[str, dict[str, float] | None], fact: Fact) -> list[Line]:
    """Forecast and fact, line by line; ``body`` has the bands of a forecast as it was kept."""
    known = {
        "minutes": fact.minutes,
        "updated": fact.updated,
        "failed": fact.failed,
        "deferrals": fact.deferrals,
        "blocked": fact.blocked,
    }
    return [_line(what, band, value, fact) for what, value in known.items() if (band := body.get(what))]


def _line(what: str, band: dict[str, float], value: float | None, fact: Fact) -> Line:
    low, middle, high = band["low"], band["middle"], band["high"]
    within = None
    if fact.completed and value is not None:
        within = low <= value <= high
    elif value is not None and value > high:  # more than was forecast before it even ended
        within = False
    return Line(what, low, middle, high, value, within)
