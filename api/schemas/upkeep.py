"""What people say of chargers, sites and images, at the door."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import Field, model_validator

from api.schemas.common import Body, ChargerId, Flag, Instant, Label, Real, Reply, Sentence, Slug, Whole
from storage.upkeep import Link, SiteRules, Upkeep
from storage.windows import Closure, ClosureKind

Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$", examples=["DE"], description="ISO 3166, two letters.")]


class SiteRulesBody(Body):
    """What a site asks for beside `max_down`; null asks for nothing."""

    kind: Label | None = Field(
        default=None, examples=["depot"], description="Waves are spread evenly over kinds."
    )
    country: Country | None = Field(
        default=None, description="Where firmware that affects metering has to be permitted."
    )
    keep_power_share: Real | None = Field(
        default=None, gt=0, lt=1, description="Of the power of its chargers, what has to stay."
    )
    keep_connector_types: Flag = Field(
        default=False, description="One of each type of connector that it has stays."
    )
    max_downloads: Whole | None = Field(default=None, ge=1, le=1000, description="At once.")
    max_download_bytes: Whole | None = Field(
        default=None, ge=1, le=2**50, description="On their way at once, all together."
    )
    uptime_floor: Real | None = Field(
        default=None, gt=0, lt=1, description="The share of time that each charger owes.", examples=[0.97]
    )
    uptime_days: Whole = Field(default=30, ge=1, le=366, description="Over so many days back.")
    local_controller: ChargerId | None = Field(
        default=None, description="A charger of the site that fetches images once for all others there (L03)."
    )

    feeder: Label | None = Field(
        default=None,
        examples=["transformer-7"],
        description="The supply that it hangs on; sites that name the same one share its cap.",
    )
    feeder_kw: Real | None = Field(
        default=None,
        gt=0,
        le=1_000_000,
        description="Kilowatts of chargers that may come back on the feeder within a minute; the least "
        "number of its sites counts.",
    )

    @model_validator(mode="after")
    def _feeder_whole(self) -> "SiteRulesBody":
        if (self.feeder is None) != (self.feeder_kw is None):
            raise ValueError("feeder and feeder_kw go together: name the feeder and its cap, or neither")
        return self

    def to_noun(self) -> SiteRules:
        """The rules."""
        return SiteRules(**dict(self))


class UpkeepBody(Body):
    """What to say of a charger. What is left out stays as it is, null takes it away."""

    hold: Sentence | None = Field(default=None, description="Why nobody may update it.")
    hold_until: Instant | None = Field(default=None, description="Null: until somebody lifts the hold.")
    pin: Label | None = Field(default=None, description="The version it stays on.")
    link: Link | None = None
    power_kw: Real | None = Field(default=None, ge=0, le=10_000)
    connector_types: tuple[Label, ...] | None = Field(default=None, max_length=20, examples=[["cCCS2"]])


class UpkeepReply(Reply):
    """What is said of a charger."""

    charger_id: str
    hold: str | None
    hold_until: datetime | None
    held: bool = Field(description="Whether the hold is in force now.")
    pin: str | None
    link: Link | None
    power_kw: float | None
    connector_types: tuple[str, ...]
    changed_by: str

    @classmethod
    def of(cls, upkeep: Upkeep, now: datetime) -> "UpkeepReply":
        """The reply at ``now``."""
        return cls(
            charger_id=upkeep.charger_id,
            hold=upkeep.hold or None,
            hold_until=upkeep.hold_until,
            held=upkeep.held(now),
            pin=upkeep.pin,
            link=upkeep.link,
            power_kw=upkeep.power_kw,
            connector_types=upkeep.connector_types,
            changed_by=upkeep.changed_by,
        )


class ClosureBody(Body):
    """A time in which nothing is installed."""

    begins: Instant
    ends: Instant
    kind: ClosureKind
    reason: Sentence = Field(examples=["Demand response 4711"])
    site_id: Slug | None = Field(default=None, description="Null: everywhere.")
    price: Real | None = Field(
        default=None, description="Of a tariff: it closes for plans whose max_price is below it."
    )

    @model_validator(mode="after")
    def _forward(self) -> "ClosureBody":
        if self.ends <= self.begins:
            raise ValueError("ends must be after begins")
        if self.price is not None and self.kind is not ClosureKind.TARIFF:
            raise ValueError("only a tariff has a price")
        return self

    def to_noun(self) -> Closure:
        """The closure."""
        begins, ends = self.begins.astimezone(UTC), self.ends.astimezone(UTC)
        return Closure(begins, ends, self.kind, self.reason, self.site_id, self.price)


class ClosuresBody(Body):
    """Times to be stored, all or none."""

    closures: tuple[ClosureBody, ...] = Field(min_length=1, max_length=1000)


class ClosureReply(Reply):
    """A time in which nothing is installed."""

    closure_id: str
    begins: datetime
    ends: datetime
    kind: ClosureKind
    reason: str
    site_id: str | None
    price: float | None


class MeteringBody(Body):
    """Its vendor marks this firmware as affecting legal metering; where it is permitted all the same."""

    countries: tuple[Country, ...] = Field(max_length=250)
    reason: Sentence = Field(examples=["PTB approval DE-24-M-1234"])


class MeteringReply(Reply):
    """Where firmware that affects metering is permitted."""

    artifact_id: str
    countries: tuple[str, ...]
    reason: str
    actor: str
    at: datetime
