"""The options of a plan at the door: windows, ramp, edges."""

from typing import Annotated

from pydantic import Field

from api.schemas.common import Body, Label, QueryText, Real, Sentence, Whole
from storage.campaign import Edge, Ramp
from storage.windows import EVERY_DAY, Day, Window

_Clock = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["22:00"])]
_RAMP, _EDGE = Ramp(), Edge()


class WindowBody(Body):
    """A recurring time in which updates may run, on the clock of each site's own wall."""

    opens: _Clock
    closes: _Clock = Field(description="At or before `opens`: on the next day.", examples=["05:00"])
    days: tuple[Day, ...] = Field(
        default=EVERY_DAY, min_length=1, max_length=7, description="On which it opens."
    )

    def to_noun(self) -> Window:
        """The window."""
        return Window(**dict(self))


class RampBody(Body):
    """Few chargers at once first, more with every success; a failure begins again. Per shard."""

    start: Whole = Field(default=_RAMP.start, ge=1, le=200, description="In flight at first.")
    factor: Real = Field(default=_RAMP.factor, gt=1, le=10)
    every: Whole = Field(default=_RAMP.every, ge=1, le=10_000, description="Successes for one step up.")

    def to_noun(self) -> Ramp:
        """The ramp."""
        return Ramp(**dict(self))


class EdgeBody(Body):
    """What holds on the way from some versions to the plan's: `via` or `risk`."""

    from_version: Label = Field(default=_EDGE.from_version, description="A pattern with * and ?.")
    via: Label | None = Field(default=None, description="The version that has to run first.")
    risk: QueryText | None = Field(default=None, description="Whoever matches does not go this way.")
    reason: Sentence | None = Field(default=None, examples=["Revision B2 loses its network."])

    def to_noun(self) -> Edge:
        """The edge."""
        return Edge(self.from_version, self.via, self.risk, self.reason or "")
