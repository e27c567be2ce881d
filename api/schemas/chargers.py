"""Chargers, sites and models at the door."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field, SecretStr, field_validator

from api.schemas.common import Body, ChargerId, Label, Reply, Slug, Whole
from api.schemas.ownership import OwnershipReply
from api.schemas.quarantine import CaseReply
from api.schemas.upkeep import SiteRulesBody
from api.states import ChargerState, charger_state
from storage.charger import Charger, Site, SiteLease
from storage.chronicle import Source
from storage.events import EventKind, StoredEvent
from storage.ownership import Ownership
from storage.policies import Policies, policies
from storage.ports import ChargerView
from storage.quarantine import QuarantineCase
from storage.twin import Lifecycle, TwinState


class SiteBody(Body):
    """A place with chargers."""

    site_id: Slug = Field(examples=["harbour-north"])
    name: Label = Field(examples=["Harbour North"])
    time_zone: Label = Field(examples=["Europe/Berlin"], description="IANA name.")
    max_down: Whole = Field(default=1, ge=1, le=1000, description="Chargers away at once for maintenance.")
    rules: SiteRulesBody = SiteRulesBody()

    def to_noun(self) -> Site:
        """The site."""
        return Site(**{**dict(self), "rules": self.rules.to_noun()})


class ChargerBody(Body):
    """A charger to register. The password is its first credential and is never stored or shown."""

    charger_id: ChargerId
    site_id: Slug
    vendor: Label
    model: Label
    serial_number: Label | None = None
    hardware_revision: Label | None = None
    # OCPP 2.0.1 A00.FR.205: 16 to 40 characters.
    password: SecretStr | None = Field(default=None, min_length=16, max_length=40)

    operator: Label | None = Field(default=None, description="Who runs it; restricts nobody's access.")
    site_group: Label | None = None
    location: Label | None = Field(default=None, description="Where at its site.")
    installer: Label | None = None

    security_floor: Whole = Field(
        default=0, ge=0, le=3, description="The lowest OCPP security profile it may ever connect with."
    )

    @field_validator("charger_id")
    @classmethod
    def _own_address(cls, given: str) -> str:
        # GET /api/v1/chargers/counts is the fleet in numbers, not a charger of that name.
        if given == "counts":
            raise ValueError("is a word of this api's own addresses")
        return given

    def to_noun(self, at: datetime) -> Charger:
        """The charger, registered now."""
        return Charger(
            charger_id=self.charger_id,
            site_id=self.site_id,
            vendor=self.vendor,
            model=self.model,
            serial_number=self.serial_number,
            hardware_revision=self.hardware_revision,
            registered_at=at,
            security_floor=self.security_floor,
            ownership=Ownership(self.operator, self.site_group, self.location, self.installer),
        )


class RowResult(Reply):
    """What became of one row of an import."""

    row: int = Field(description="Counted from 1.")
    charger_id: str | None
    result: str = Field(description="`registered`, `unchanged`, `refused`; with dry_run what would be.")
    problems: tuple[str, ...] = ()


class ImportReply(Reply):
    """The whole import, row by row. Rows stand on their own: good ones are in, refused ones are not."""

    dry_run: bool
    registered: int
    unchanged: int
    refused: int
    rows: tuple[RowResult, ...]


class ChargerSummary(Reply):
    """A charger in a list."""

    charger_id: str
    site_id: str
    vendor: str
    model: str
    lifecycle: Lifecycle
    serial_number: str | None
    hardware_revision: str | None
    registered_at: datetime | None
    security_floor: int = Field(description="Rises with the profiles it connects with, never goes down.")
    identity_version: int = Field(description="Rises when what was registered is changed.")
    ownership: OwnershipReply
    ownership_version: int = Field(description="Rises with every move.")
    state: ChargerState = Field(description="One word, derived now; silent chargers are `unknown`.")
    online: bool
    firmware_version: str | None
    last_message_at: datetime | None

    @classmethod
    def of(cls, view: ChargerView, now: datetime) -> "ChargerSummary":
        """The summary of a charger as read at ``now``."""
        return cls(**_summary(view, now))


class ChargerReply(ChargerSummary):
    """A charger with its twin and what is being done to it."""

    twin: TwinState
    maintenance: SiteLease | None
    policies: Policies = Field(description="Who may charge and how, as version and digests of what it told.")
    terms: dict[str, str] = Field(
        default_factory=dict, description="References that are only kept, as `pricing_policy` (F63)."
    )
    set_aside: CaseReply | None = Field(
        default=None, description="Why it is in quarantine; what to do: `GET .../quarantine`."
    )

    @classmethod
    def whole(
        cls,
        view: ChargerView,
        now: datetime,
        set_aside: QuarantineCase | None = None,
        terms: Mapping[str, Any] | None = None,
    ) -> "ChargerReply":
        """Everything of one charger."""
        why = CaseReply.of(set_aside) if set_aside else None
        return cls(
            **_summary(view, now),
            twin=view.twin,
            maintenance=view.maintenance,
            set_aside=why,
            policies=policies(view.twin.configuration),
            terms=dict(terms or {}),
        )


def _summary(view: ChargerView, now: datetime) -> dict[str, Any]:
    charger, twin = view.charger, view.twin
    return {
        "charger_id": charger.charger_id,
        "site_id": charger.site_id,
        "vendor": charger.vendor,
        "model": charger.model,
        "lifecycle": charger.lifecycle,
        "serial_number": charger.serial_number,
        "hardware_revision": charger.hardware_revision,
        "registered_at": charger.registered_at,
        "security_floor": charger.security_floor,
        "identity_version": charger.identity_version,
        "ownership": charger.ownership,
        "ownership_version": charger.ownership_version,
        "state": charger_state(view, now),
        "online": bool(twin.connectivity and twin.connectivity.online),
        "firmware_version": twin.firmware.version if twin.firmware else None,
        "last_message_at": view.last_message_at,
    }


class GroupReply(Reply):
    """Chargers that have the same values."""

    values: tuple[str | float | bool | None, ...] = Field(
        description="In the order of `by`; null is a group of its own: not known."
    )
    count: int
    online: int
    reporting: int | None = Field(description="Of them, those that told their connectors; only with rates.")
    faulted: int | None = Field(description="Of those, with a faulted connector; only with rates.")
    attempted: int | None = Field(description="Updates that were sent to them and are over; only with rates.")
    failed: int | None = Field(description="Of those, failed or never back; only with rates.")


class GroupsReply(Reply):
    """The fleet, or what a query selects of it, counted by one or two fields; all from one instant."""

    by: tuple[str, ...]
    at: datetime
    total: int
    groups: tuple[GroupReply, ...] = Field(description="The largest first.")
    other: GroupReply | None = Field(description="All further groups together.")
    other_groups: int


class EventReply(Reply):
    """One canonical event."""

    sequence: int
    charger_id: str
    kind: EventKind
    body: dict[str, Any]
    observed_at: datetime
    received_at: datetime

    @classmethod
    def of(cls, event: StoredEvent) -> "EventReply":
        """The reply for a stored event."""
        return cls.model_validate(event)


class EntryReply(Reply):
    """One line of a charger's timeline."""

    source: Source = Field(description="Something happened, the twin changed, or a person asked something.")
    sequence: int | None = Field(description="Of an event.")
    charger_id: str
    kind: str = Field(description="Of an event its kind, `twin_changed`, or the name of a command.")
    body: dict[str, Any]
    observed_at: datetime
    received_at: datetime
    revision: int | None = Field(description="Of a change: the twin's.")
    actor: str | None = Field(description="Who did it, where it was no report of the charger.")
    cause: str | None = Field(description="Of a change: the event, or the act.")


class FleetReply(Reply):
    """The fleet in numbers, all from one instant."""

    total: int
    online: int
    charging: int
    faulted: int
    in_maintenance: int
    by_version: dict[str, int]
    by_model: dict[str, int]
