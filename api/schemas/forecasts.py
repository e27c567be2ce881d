"""Forecasts at the door, and recordings of fleets for trials."""

from datetime import datetime

from pydantic import Field

from api.schemas.common import Reply
from workflows.trial import Wilson
from workflows.whatif import Forecasted
from workflows.whatif.fact import Line
from workflows.whatif.forecast import Band, Blocked


class ShareReply(Reply):
    """A share with its 95 % interval."""

    share: float
    low: float
    high: float
    of: int

    @classmethod
    def from_wilson(cls, found: Wilson) -> "ShareReply":
        """The reply for a share of trials."""
        return cls(share=found.share, low=found.low, high=found.high, of=found.of)


class ReasonReply(Reply):
    """Why chargers are blocked, and how many on average."""

    why: str
    chargers: float


class ForecastReply(Reply):
    """What a plan would come to, from recorded sessions and connectivity."""

    plan_digest: str = Field(description="Of plan and cohort: a campaign of exactly these has this forecast.")
    made_at: datetime
    starts: datetime
    runs: int = Field(description="Replays; numbers are of those that no gate stopped.")
    weeks: int = Field(description="Recorded weeks that are replayed.")
    cohort: int
    unrecorded: int = Field(description="Chargers of which nothing is recorded; taken for offline.")
    minutes: Band | None = Field(description="From start to end; low and high hold 90 % of the replays.")
    waves: tuple[Band, ...]
    updated: Band
    failed: Band
    deferrals: Band
    blocked: Band
    reasons: tuple[ReasonReply, ...]
    most_blocked: tuple[Blocked, ...]
    lost_kwh: Band
    false_stop: ShareReply = Field(description="Gates on trial that stopped a release without harm.")
    permitted: float = Field(description="What the policy permits of that.")
    assumed: tuple[str, ...]

    @classmethod
    def of(cls, digest: str, made_at: datetime, starts: datetime, found: Forecasted) -> "ForecastReply":
        """The reply for a forecast."""
        same = {name: getattr(found, name) for name in _SAME}
        return cls(
            plan_digest=digest,
            made_at=made_at,
            starts=starts,
            reasons=tuple(ReasonReply(why=why, chargers=count) for why, count in found.reasons),
            false_stop=ShareReply.from_wilson(found.false_stop),
            **same,
        )


_SAME = (
    "runs",
    "weeks",
    "cohort",
    "unrecorded",
    "minutes",
    "waves",
    "updated",
    "failed",
    "deferrals",
    "blocked",
    "most_blocked",
    "lost_kwh",
    "permitted",
    "assumed",
)


class ComparedReply(Reply):
    """A campaign's forecast, and what became of it."""

    forecast: ForecastReply
    ended: bool
    completed: bool
    lines: tuple[Line, ...]


class TrackReply(Reply):
    """One signal of one charger: hours of hits, and of what they are hits of."""

    hits: tuple[int, ...]
    cases: tuple[int, ...] | None
    per_hour: int
    once: bool


class FleetCharger(Reply):
    """One charger of a recorded fleet; its name says nothing about it."""

    name: str
    model: str
    hardware: str
    site: str
    kind: str = Field(description="Of its site; empty: none is known.")
    tracks: dict[str, TrackReply]


class FleetReply(Reply):
    """A part of the fleet over whole weeks, for policies on trial."""

    weeks: int
    of: int = Field(description="Chargers that are registered; these are drawn from them.")
    chargers: tuple[FleetCharger, ...]
