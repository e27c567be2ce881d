"""Jobs that bring values to many chargers, at the door."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, model_validator

from api.schemas.common import Body, ChargerId, Label, Reply, Slug, Whole
from storage.configuration import MOST_VALUES, JobState, LineState

_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
_Value = Annotated[str, Field(max_length=2500, pattern=r"^[^\x00]*$")]


class ConfigurationBody(Body):
    """Values, and for whom: a list of chargers, or a filter with at least one field."""

    values: dict[_Name, _Value] = Field(
        min_length=1, max_length=MOST_VALUES, examples=[{"OCPPCommCtrlr.HeartbeatInterval": "300"}]
    )
    charger_ids: tuple[ChargerId, ...] = Field(default=(), max_length=10_000)
    vendor: Label | None = None
    model: Label | None = None
    site_id: Slug | None = None
    firmware_version: Label | None = None
    deadline_seconds: Whole = Field(
        default=86_400, ge=60, le=30 * 86_400, description="Chargers not reached by then are given up."
    )

    @model_validator(mode="after")
    def _for_somebody(self) -> Self:
        filters = (self.vendor, self.model, self.site_id, self.firmware_version)
        if bool(self.charger_ids) == any(each is not None for each in filters):
            raise ValueError("give charger_ids, or at least one of vendor, model, site_id, firmware_version")
        return self


class ConfigurationReply(Reply):
    """One job."""

    configuration_id: str
    values: dict[str, str]
    actor: str
    state: JobState
    created_at: datetime
    deadline_at: datetime
    finished_at: datetime | None
    counts: dict[str, int] = Field(description="Chargers by state; empty in a list of jobs.")


class PreviewLine(Reply):
    """One charger that would get the values."""

    charger_id: str
    online: bool
    differs: tuple[str, ...] = Field(description="Values that it does not report now, or never told.")


class PreviewReply(Reply):
    """Who would get the values; nothing is written or sent."""

    chargers: int
    same: int = Field(description="Of them, those that report all of these values already.")
    items: tuple[PreviewLine, ...] = Field(description="The first 200.")


class LineReply(Reply):
    """What became of one charger."""

    charger_id: str
    state: LineState
    reason: str
    desired_version: int | None
    attempts: int
    finished_at: datetime | None
