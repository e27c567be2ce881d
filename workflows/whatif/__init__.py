"""What a plan would come to, before it starts: the recorded weeks once more, under the live rules. Pure."""

from workflows.whatif.fact import Fact, compared, fact_of
from workflows.whatif.forecast import Band, Forecasted, forecast
from workflows.whatif.replay import Run, replay
from workflows.whatif.study import Member, Study
from workflows.whatif.weeks import Weeks

__all__ = [
    "Band",
    "Fact",
    "Forecasted",
    "Member",
    "Run",
    "Study",
    "Weeks",
    "compared",
    "fact_of",
    "forecast",
    "replay",
]
