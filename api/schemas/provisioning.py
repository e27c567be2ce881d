"""Chargers on their way in, at the door."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, field_validator

from api.schemas.chargers import ChargerBody
from api.schemas.common import Body, ChargerId, Flag, Label, Real, Reply, Slug, Whole
from storage.asset_rules import missing
from storage.provisioning import Asset, ConnectorPlan, Enrolment, LinkClass
from storage.templates import Parameter, ParameterType, Template

_Values = Annotated[dict[Label, Annotated[str, Field(max_length=500)]], Field(max_length=100)]


class ConnectorBody(Body):
    """One connector as it was built."""

    evse_id: Whole
    connector_id: Whole
    kind: Label = Field(examples=["Type 2 socket"])
    max_current_a: Real
    max_power_kw: Real


class AssetBody(Body):
    """What is known of a charger beside the network."""

    address: Label | None = None
    warranty_from: Label | None = Field(default=None, examples=["2026-11-25"])
    link_class: LinkClass | None = None
    iccid: Label | None = Field(default=None, description="Of its SIM; in one charger only.")
    apn: Label | None = None
    plan: Label | None = None
    meter_serial: Label | None = None
    meter_locked: Flag = Field(default=False, description="Legal metering: firmware must not touch it.")
    connectors: tuple[ConnectorBody, ...] = Field(default=(), max_length=32)

    @field_validator("connectors", mode="before")
    @classmethod
    def _cell(cls, given: Any) -> Any:
        """In CSV as ``EVSE.CONNECTOR:KIND:AMPERES:KILOWATTS``, several after each other with ``;``."""
        if not isinstance(given, str):
            return given
        return [_connector(part) for part in given.split(";") if part.strip()]

    @field_validator("meter_locked", mode="before")
    @classmethod
    def _flag(cls, given: Any) -> Any:
        return {"true": True, "false": False}.get(given, given) if isinstance(given, str) else given

    def asset(self, installer: str | None) -> Asset:
        """The noun."""
        fields = {name: getattr(self, name) for name in AssetBody.model_fields if name != "connectors"}
        connectors = tuple(ConnectorPlan(**dict(each)) for each in self.connectors)
        return Asset(**fields, installer=installer, connectors=connectors)


def _connector(text: str) -> dict[str, Any]:
    try:
        place, kind, amperes, kilowatts = text.strip().split(":")
        evse, connector = place.split(".")
        return {
            "evse_id": int(evse),
            "connector_id": int(connector),
            "kind": kind,
            "max_current_a": float(amperes),
            "max_power_kw": float(kilowatts),
        }
    except ValueError:
        raise ValueError(
            f"{text!r} is not EVSE.CONNECTOR:KIND:AMPERES:KILOWATTS, as 1.1:Type 2:32:22"
        ) from None


class EnrolmentBody(ChargerBody, AssetBody):
    """A charger to bring into service. Without a password it waits for an installer's claim."""

    profile: Whole = Field(default=1, ge=1, le=3, description="Lowest security profile to be active with.")
    template: Slug | None = None
    parameters: _Values = Field(default_factory=dict)
    environment: Label | None = Field(default=None, description="Refused if it is not this one.")
    pricing_policy: Label | None = Field(
        default=None, description="Which prices hold; a reference, only kept."
    )

    @field_validator("parameters", mode="before")
    @classmethod
    def _pairs(cls, given: Any) -> Any:
        """In CSV as ``NAME=VALUE;NAME=VALUE``."""
        if not isinstance(given, str):
            return given
        pairs = [part.split("=", 1) for part in given.split(";") if part.strip()]
        if any(len(pair) != 2 for pair in pairs):
            raise ValueError("is not NAME=VALUE;NAME=VALUE")
        return {name.strip(): value.strip() for name, value in pairs}

    @field_validator("profile", mode="before")
    @classmethod
    def _number(cls, given: Any) -> Any:
        return int(given) if isinstance(given, str) and given.isdigit() else given


class EnrolledRow(Reply):
    """What became of one row."""

    line: int = Field(description="Of the file, as an editor counts; in JSON the place in the list, from 1.")
    charger_id: str | None
    result: str = Field(description="`enrolled`, `unchanged`, `refused`; with dry_run what would be.")
    problems: tuple[str, ...] = ()


class EnrolledReply(Reply):
    """The whole import. Rows stand on their own: good ones are in, refused ones are not."""

    dry_run: bool
    enrolled: int
    unchanged: int
    refused: int
    by_problem: dict[str, int] = Field(description="How many rows have which problem, most first.")
    rows: tuple[EnrolledRow, ...]


class AttestationBody(Body):
    """A result that somebody measured."""

    name: Slug = Field(examples=["rcd-test"])
    passed: Flag
    value: Annotated[str, Field(max_length=200)] = Field(default="", examples=["21 ms"])


class AttestationReply(Reply):
    """The same, with who said so."""

    name: str
    passed: bool
    actor: str
    at: datetime
    value: str


class CheckReply(Reply):
    """One line of a checklist."""

    name: str
    passed: bool
    detail: str
    at: datetime


class EnrolmentReply(Reply):
    """Where a charger is on its way in, and what it waits for."""

    charger_id: str
    origin: str
    actor: str
    requested_at: datetime
    deadline_at: datetime
    environment: str
    template: str | None
    parameters: dict[str, str]
    profile: int
    state: str
    waits_for: str
    asset: Asset
    missing: tuple[str, ...] = Field(description="What nobody said of the asset.")
    attestations: tuple[AttestationReply, ...]
    checks: tuple[CheckReply, ...]
    finished_at: datetime | None

    @classmethod
    def of(cls, found: Enrolment) -> "EnrolmentReply":
        """The reply for a stored one."""
        fields = {name: getattr(found, name) for name in cls.model_fields if name != "missing"}
        return cls.model_validate({**fields, "missing": missing(found.asset)})


class ClaimBody(Body):
    """Leave for one charger, to be handed to an installer."""

    charger_id: ChargerId
    serial_number: Label
    site_id: Slug
    issued_to: Label
    minutes: Whole = Field(default=60, ge=1, le=24 * 60, description="How long it can be redeemed.")


class ClaimReply(Reply):
    """The claim, shown this once."""

    claim: str
    charger_id: str
    expires_at: datetime


class RedeemBody(Body):
    """A claim, and what the installer reads on the charger."""

    claim: Annotated[str, Field(min_length=10, max_length=100, repr=False)]
    serial_number: Label
    site_id: Slug


class RedeemReply(Reply):
    """What to enter at the charger, shown this once. It is changed as soon as the charger connects."""

    charger_id: str
    password: str


class ListedReply(Reply):
    """What became of a manufacturer's list."""

    vendor: str
    batch: str
    sha256: str
    units: int
    new: int


class StrangerReply(Reply):
    """Who came with a manufacturer's certificate and is on no list; it was turned away."""

    key_sha256: str
    charger_id: str
    serial_number: str
    address: str
    first_seen: datetime
    last_seen: datetime
    times: int


class ParameterBody(Body):
    """One typed input."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,60}$")]
    type: ParameterType = ParameterType.TEXT
    minimum: Real | None = None
    maximum: Real | None = None
    choices: tuple[Label, ...] = Field(default=(), max_length=100)
    default: Annotated[str, Field(max_length=500)] | None = None


class TemplateBody(Body):
    """What chargers are set to. ``{name}`` stands for a parameter; those of ``site.`` come from the site."""

    parameters: tuple[ParameterBody, ...] = Field(default=(), max_length=50)
    ocpp16: _Values = Field(default_factory=dict, description="Configuration keys of OCPP 1.6.")
    ocpp2: _Values = Field(default_factory=dict, description="Variables of OCPP 2.x.")
    attestations: tuple[Slug, ...] = Field(default=(), max_length=20)

    def to_noun(self, name: str) -> Template:
        """The template."""
        parameters = tuple(Parameter(**dict(each)) for each in self.parameters)
        return Template(name, parameters, self.ocpp16, self.ocpp2, self.attestations)


class TemplateReply(Reply):
    """A template by its name."""

    name: str
    body: dict[str, Any]


class ConstraintsBody(Body):
    """What a site's supply allows, as templates take it: ``supply_limit_a``, ``phases``, ..."""

    values: _Values
