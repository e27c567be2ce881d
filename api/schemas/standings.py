"""Where each charger of a campaign stands, at the door."""

from datetime import datetime

from pydantic import Field

from api.schemas.common import Reply
from storage.standing import ChargerStanding, Standing


class StandingReply(Reply):
    """One charger of a campaign in its one named state."""

    charger_id: str
    site_id: str
    state: Standing
    reason: str
    deadline: datetime | None = Field(description="When this state ends at the latest; null: final.")
    next_action: str = Field(description="What a person can do, or that nothing is to be done.")
    wave: int
    attempt: int
    from_version: str | None
    to_version: str

    @classmethod
    def of(cls, found: ChargerStanding) -> "StandingReply":
        """The reply for a charger."""
        target = found.target
        return cls(
            charger_id=target.charger_id,
            site_id=target.site_id,
            state=found.standing,
            reason=found.reason,
            deadline=found.deadline,
            next_action=found.next_action,
            wave=target.wave,
            attempt=target.attempt,
            from_version=target.from_version,
            to_version=target.to_version,
        )


class OutcomeReply(Reply):
    """Where the chargers of one model stand that speak one OCPP version."""

    dialect: str = Field(description="OCPP version of the present or last socket; empty: never connected.")
    vendor: str
    model: str
    chargers: int
    by_standing: dict[Standing, int]
