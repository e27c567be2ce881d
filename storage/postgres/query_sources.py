"""Where each thing that a query asks about is read: columns, sections, and tallies beside them.

Sections and tallies are joined only where a query needs them; a value that is not there is NULL.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Double,
    FromClause,
    Select,
    Subquery,
    Text,
    and_,
    case,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql.selectable import TableValuedAlias

from storage.campaign import ATTEMPTED, Outcome
from storage.charger import STALE_AFTER
from storage.drift import DriftState
from storage.incident import IncidentKind
from storage.ownership import Ownership
from storage.postgres.columns import Time
from storage.postgres.leases import ALIVE
from storage.postgres.tables import (
    anomaly,
    campaign_target,
    charger,
    drift,
    incident,
    site_lease,
    twin,
    twin_section,
)
from storage.query.vocabulary import Kind, Side, Subject
from storage.twin import Lifecycle
from storage.twin_schema import Severity, patch_keys

Value = ColumnElement[Any]

_EMPTY = literal_column("'{}'::jsonb", JSONB)
_REGISTER = {
    "register.charger_id": charger.c.charger_id,
    "register.vendor": charger.c.vendor,
    "register.model": charger.c.model,
    "register.serial_number": charger.c.serial_number,
    "register.hardware_revision": charger.c.hardware_revision,
    "register.registered_at": charger.c.registered_at,
    "register.site_id": charger.c.site_id,
    **{f"register.{each.name}": charger.c[each.name] for each in fields(Ownership)},
    "register.lifecycle": charger.c.lifecycle,
}
_MIRRORED = {"firmware.version": twin.c.firmware_version}
"""What the twin's row repeats of its sections, so that no section has to be read for it."""


def _tally(query: Select[*tuple[Any, ...]], name: str) -> Subquery:
    return query.group_by(literal_column("1")).subquery(name)


_OF_SESSION = func.split_part(incident.c.subject, "/", 2)
_OVER = [outcome.value for outcome in ATTEMPTED]
_LOST = [Outcome.FAILED.value, Outcome.SILENT.value]
TALLIES: Mapping[str, Callable[[], Subquery]] = {
    "drift": lambda: _tally(
        select(
            drift.c.charger_id,
            func.count().label("open"),
            func.count().filter(drift.c.severity == Severity.CRITICAL.value).label("critical"),
        ).where(drift.c.state == DriftState.OPEN.value),
        "drifts",
    ),
    "anomalies": lambda: _tally(select(anomaly.c.charger_id, func.count().label("kinds")), "anomalies"),
    "incidents": lambda: _tally(
        select(_OF_SESSION.label("charger_id"), func.count().label("open")).where(
            incident.c.closed_at.is_(None), incident.c.subject.like("session/%")
        ),
        "incidents",
    ),
    "updates": lambda: _tally(
        select(
            campaign_target.c.charger_id,
            func.count().label("attempted"),
            func.count().filter(campaign_target.c.outcome.in_(_LOST)).label("failed"),
        ).where(campaign_target.c.outcome.in_(_OVER), campaign_target.c.finished_at.is_not(None)),
        "updates",
    ),
}
_OUTAGES = select(incident.c.subject).where(
    incident.c.kind == IncidentKind.SITE_OUTAGE.value, incident.c.closed_at.is_(None)
)


@dataclass(frozen=True, slots=True)
class Instant:
    """When a question is asked, and how old an answer may be."""

    now: datetime
    stale_after: timedelta = STALE_AFTER


class Sources:
    """The values of one query, and all joins that they need; ``now`` is the instant of the question."""

    def __init__(self, asked: Instant) -> None:
        self.now = asked.now
        self._stale_after = asked.stale_after
        self._joins: dict[str, tuple[FromClause, ColumnElement[bool]]] = {}

    def joined(self) -> FromClause:
        """Chargers with their twins and whatever else was asked for. Call it last."""
        whole: FromClause = charger.join(twin, twin.c.charger_id == charger.c.charger_id)
        for source, condition in self._joins.values():
            whole = whole.outerjoin(source, condition)
        return whole

    def value(self, subject: Subject) -> Value:
        """One value per charger, NULL where it is not known; a list as JSON."""
        if subject.side is Side.REGISTER:
            return _REGISTER[subject.path]
        if subject.side is Side.FACT:
            return self._fact(subject.path)
        if subject.side is Side.REPORTED and subject.path in _MIRRORED:
            return _MIRRORED[subject.path]
        return _typed(self._side(subject), patch_keys(subject.path), subject.kind)

    def certain(self, subject: Subject) -> Value | None:
        """A column that is true exactly where a flag is certainly true, if there is a cheap one."""
        return {"faulted": twin.c.faulted, "charging": twin.c.charging}.get(
            subject.path if subject.side is Side.FACT else ""
        )

    def elements(self, subject: Subject) -> tuple[TableValuedAlias, Value]:
        """The connectors or sessions of a charger, and this value of one of them."""
        collection, _, leaf = patch_keys(subject.path)
        found = self._side(subject)[collection]
        objects = case((func.jsonb_typeof(found) == "object", found))
        each = (
            func.jsonb_each(objects)
            .table_valued(column("key", Text), column("value", JSONB))
            .render_derived()
        )
        return each, _typed(each.c.value, (leaf,), subject.kind)

    def _side(self, subject: Subject) -> Value:
        section = self.section(subject.path.partition(".")[0])
        side: Value = section.c.desired if subject.side is Side.DESIRED else section.c.reported
        return side

    def section(self, name: str) -> FromClause:
        """A section's row, joined once."""
        if name not in self._joins:
            alias = twin_section.alias(f"section_{name}")
            of_it = and_(
                alias.c.charger_id == charger.c.charger_id, alias.c.name == literal_column(f"'{name}'")
            )
            self._joins[name] = (alias, of_it)
        return self._joins[name][0]

    def tally(self, name: str) -> FromClause:
        """Counts of what stands beside the twin, joined once."""
        key = f"tally {name}"
        if key not in self._joins:
            counted = TALLIES[name]()
            self._joins[key] = (counted, counted.c.charger_id == charger.c.charger_id)
        return self._joins[key][0]

    def lease(self) -> FromClause:
        """The live lease of a charger."""
        held = and_(site_lease.c.charger_id == charger.c.charger_id, ALIVE)
        return self._joins.setdefault("lease", (site_lease, held))[0]

    def has_connectors(self) -> ColumnElement[bool]:
        """It reported what connectors it has."""
        return func.coalesce(self._operation("connectors"), _EMPTY) != _EMPTY

    def _operation(self, collection: str) -> Value:
        found: Value = self.section("operation").c.reported[collection]
        return found

    def _fact(self, path: str) -> Value:
        simple: dict[str, Value] = {
            "online": twin.c.online,
            "quarantined": charger.c.lifecycle == Lifecycle.QUARANTINED.value,
            "connectivity.last_message_at": twin.c.last_message_at,
            "revision": twin.c.revision,
            "stale": self._stale(),
            "site.outage": (literal("site/", Text) + charger.c.site_id).in_(_OUTAGES),
        }
        if path in simple:
            return simple[path]
        return self._joined_fact(path)

    def _joined_fact(self, path: str) -> Value:
        noun, _, part = path.partition(".")
        if noun in TALLIES:
            return func.coalesce(self.tally(noun).c[part or "kinds"], 0)
        match path:
            case "charging" | "faulted":
                return case((twin.c[path], True), (self.has_connectors(), False))
            case "maintenance":
                return self.lease().c.charger_id.is_not(None)
            case "maintenance.kind":
                kind: Value = self.lease().c.kind
                return kind
            case "sessions.open":
                return case((self.has_connectors(), self._count("$.transactions.*")))
            case "connectors":
                return func.nullif(self._count("$.connectors.* ? (@.evse_id > 0 && @.connector_id > 0)"), 0)
            case "evses":
                return self._evses()
            case _:
                return self._state()

    def _stale(self) -> Value:
        heard = twin.c.last_message_at
        return func.coalesce(heard < literal(self.now - self._stale_after, Time), True)

    def _count(self, path: str) -> Value:
        found = func.jsonb_path_query_array(self.section("operation").c.reported, _json_path(path))
        return func.jsonb_array_length(found)

    def _evses(self) -> Value:
        each = func.jsonb_path_query(
            self.section("operation").c.reported, _json_path("$.connectors.*.evse_id")
        )
        ids = each.table_valued(column("evse", JSONB), name="evses").render_derived()
        counted = select(func.nullif(func.count(ids.c.evse.distinct()), 0)).where(ids.c.evse != _json("0"))
        return counted.correlate_except(ids).scalar_subquery()

    def _state(self) -> Value:
        """As ``api.states.charger_state`` has it; a test compares the two."""
        unknown = literal_column("'unknown'", Text)
        connectivity = self.section("connectivity").c.reported
        return case(
            (self.lease().c.charger_id.is_not(None), literal_column("'maintenance'", Text)),
            (connectivity.is_(None), unknown),
            (twin.c.online.is_(False), literal_column("'offline'", Text)),
            (connectivity.contains(_json('{"silent": true}')), unknown),
            (self._stale(), unknown),
            (self.has_connectors().is_(False), unknown),
            (self._some("Faulted"), literal_column("'faulted'", Text)),
            (
                func.coalesce(self._operation("transactions"), _EMPTY) != _EMPTY,
                literal_column("'charging'", Text),
            ),
            (self._some("Occupied"), literal_column("'occupied'", Text)),
            (self._some("Reserved"), literal_column("'occupied'", Text)),
            (
                ~self._exists('$.connectors.* ? (@.status != "Unavailable")'),
                literal_column("'unavailable'", Text),
            ),
            else_=literal_column("'available'", Text),
        )

    def _some(self, status: str) -> ColumnElement[bool]:
        return self._exists(f'$.connectors.* ? (@.status == "{status}")')

    def _exists(self, path: str) -> ColumnElement[bool]:
        reported = self.section("operation").c.reported
        return func.jsonb_path_exists(reported, _json_path(path), type_=Boolean)


def _json(text: str) -> ColumnElement[Any]:
    """A constant of ours."""
    return literal_column(f"'{text}'::jsonb", JSONB)


def _json_path(text: str) -> ColumnElement[Any]:
    """A constant of ours."""
    return literal_column(f"'{text}'::jsonpath")


def _typed(whole: Value, keys: tuple[str, ...], kind: Kind) -> Value:
    """What lies below these keys, as its kind; JSON of another kind is NULL, never an error."""
    path = cast(list(keys), ARRAY(Text))
    if kind is Kind.LIST:
        found = whole.op("#>", return_type=JSONB())(path)
        return case((func.jsonb_typeof(found) == "array", found))
    text = whole.op("#>>", return_type=Text())(path)
    if kind is Kind.NUMBER:
        found = whole.op("#>", return_type=JSONB())(path)
        return case((func.jsonb_typeof(found) == "number", cast(text, Double)))
    if kind is Kind.FLAG:
        return case((text == "true", True), (text == "false", False))
    return cast(text, Time) if kind is Kind.TIME else text
