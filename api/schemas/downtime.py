"""Planned downtime and what an uptime obligation leaves of it, at the door."""

from datetime import datetime

from pydantic import Field

from api.downtime import Spent
from api.schemas.common import Reply


class BookingReply(Reply):
    """One absence for maintenance of ours."""

    began: datetime
    ended: datetime = Field(description="Of one that lasts: now.")
    lasts: bool
    kind: str = Field(
        description="What it was away for, as `update`, `rollback`, `certificate`.", examples=["update"]
    )
    campaign_id: str | None = Field(
        description="Null: for no campaign, or of the time before this was written down."
    )
    counted_s: float = Field(description="Seconds of it within the period.")


class DowntimeReply(Reply):
    """One charger's planned downtime, in the figures by which updates wait for it."""

    charger_id: str
    site_id: str
    uptime_floor: float | None = Field(
        description="The share of time that it owes; null: its site asks for none, so nothing is bounded."
    )
    uptime_days: int = Field(description="The period: so many days back.")
    since: datetime = Field(description="When the period began that ends now.")
    at: datetime
    allowed_s: float | None = Field(description="What the floor leaves in a period; null without a floor.")
    spent_s: float
    left_s: float | None = Field(description="Null without a floor.")
    takes_s: float = Field(description="What an update may take, as asked.")
    room_from: datetime | None = Field(
        description="When so much is left, if nothing more is spent: `at` if it is now; null: the floor "
        "never allows it."
    )
    bookings: tuple[BookingReply, ...] = Field(description="What spent it, oldest first.")

    @classmethod
    def of(cls, spent: Spent, takes_s: float) -> "DowntimeReply":
        """The reply for one charger."""
        found, rules = spent.account, spent.account.rules
        return cls(
            charger_id=spent.charger.charger_id,
            site_id=spent.charger.site_id,
            uptime_floor=rules.uptime_floor,
            uptime_days=rules.uptime_days,
            since=found.since,
            at=found.now,
            allowed_s=spent.allowed,
            spent_s=found.spent,
            left_s=spent.left,
            takes_s=takes_s,
            room_from=found.room_for(takes_s),
            bookings=tuple(
                BookingReply(
                    began=one.began,
                    ended=one.ended,
                    lasts=one.lasts,
                    kind=one.kind,
                    campaign_id=one.campaign_id,
                    counted_s=one.within(found.since),
                )
                for one in found.bookings
            ),
        )
