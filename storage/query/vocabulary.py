"""What a query may ask about: the fields of the twin's schema, and facts that we keep beside the twin."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from itertools import chain

from storage.events import ConnectorStatus, FirmwareStatus
from storage.twin import Lifecycle
from storage.twin_schema import (
    DESIRED_ONLY,
    FIELDS,
    REGISTER,
    VARIABLES,
    Field,
    FieldType,
    canonical_path,
    field_of,
)


class Kind(StrEnum):
    """What a value is, and with it how it may be compared."""

    TEXT = "text"
    VERSION = "version"
    """A text that orders as a version where it is one."""
    VARIABLE = "variable"
    """A text of the charger that may hold a number or true/false."""
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"
    LIST = "list"


class Side(StrEnum):
    """Where a value is kept."""

    REGISTER = "register"
    REPORTED = "reported"
    DESIRED = "desired"
    FACT = "fact"


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing a query may ask about."""

    path: str
    """Canonical, without its side."""
    kind: Kind
    side: Side
    meaning: str = ""
    choices: tuple[str, ...] = ()
    """All values there are, where that is known."""

    @property
    def many(self) -> bool:
        """It stands for the values of all connectors or sessions: one of them is enough."""
        return "*" in self.path and not self.path.startswith(f"{VARIABLES}.")

    @property
    def name(self) -> str:
        """As it is best written in a query."""
        if self.side is Side.DESIRED:
            return f"desired.{self.path}"
        return _SHORT.get(self.path, self.path)

    @property
    def groupable(self) -> bool:
        """Whether chargers can be counted by it."""
        return not self.many and self.kind not in (Kind.TIME, Kind.LIST) and self.path not in _TOO_MANY


STATES = (
    "maintenance",
    "offline",
    "unknown",
    "faulted",
    "charging",
    "occupied",
    "unavailable",
    "available",
)
"""As ``api.states.ChargerState`` has them; a test compares."""
SEVERITIES = ("critical", "warning", "info")

_FACT = Side.FACT
FACTS: tuple[Subject, ...] = (
    Subject("state", Kind.TEXT, _FACT, "The one word that the fleet page shows.", STATES),
    Subject("online", Kind.FLAG, _FACT, "It has a socket with us now; one that never had is not online."),
    Subject(
        "stale", Kind.FLAG, _FACT, "Nothing was heard of it for 15 minutes (or 1.5 heartbeats, if more)."
    ),
    Subject("charging", Kind.FLAG, _FACT, "A session is open; unknown until it reports its connectors."),
    Subject("faulted", Kind.FLAG, _FACT, "A connector is Faulted; unknown until it reports its connectors."),
    Subject("quarantined", Kind.FLAG, _FACT, "It is in quarantine."),
    Subject("maintenance", Kind.FLAG, _FACT, "Maintenance holds it now."),
    Subject("maintenance.kind", Kind.TEXT, _FACT, "update, rollback, certificate, configuration ..."),
    Subject("connectivity.last_message_at", Kind.TIME, _FACT, "When anything was last heard of it."),
    Subject("connectors", Kind.NUMBER, _FACT, "How many connectors it reported, all EVSEs together."),
    Subject("evses", Kind.NUMBER, _FACT, "How many EVSEs it reported."),
    Subject("sessions.open", Kind.NUMBER, _FACT, "Open sessions; unknown until it reports its connectors."),
    Subject("drift.open", Kind.NUMBER, _FACT, "Open drifts."),
    Subject("drift.critical", Kind.NUMBER, _FACT, "Open drifts that are critical."),
    Subject("anomalies", Kind.NUMBER, _FACT, "Kinds of things that it said and nobody can believe."),
    Subject("incidents.open", Kind.NUMBER, _FACT, "Open incidents of its sessions."),
    Subject("site.outage", Kind.FLAG, _FACT, "Its whole site is away."),
    Subject("updates.attempted", Kind.NUMBER, _FACT, "Updates by campaigns that were sent and are over."),
    Subject("updates.failed", Kind.NUMBER, _FACT, "Of those, failed or never back."),
    Subject("revision", Kind.NUMBER, _FACT, "Of its twin."),
)

ALIASES: Mapping[str, str] = {
    "id": "register.charger_id",
    "charger_id": "register.charger_id",
    "vendor": "register.vendor",
    "model": "register.model",
    "serial": "register.serial_number",
    "serial_number": "register.serial_number",
    "hardware": "register.hardware_revision",
    "hardware_revision": "register.hardware_revision",
    "site": "register.site_id",
    "site_id": "register.site_id",
    "operator": "register.operator",
    "site_group": "register.site_group",
    "location": "register.location",
    "installer": "register.installer",
    "lifecycle": "register.lifecycle",
    "registered_at": "register.registered_at",
    "pricing_policy": "terms.pricing_policy",
    "version": "firmware.version",
    "firmware_version": "firmware.version",
    "last_message_at": "connectivity.last_message_at",
    "connectivity.last_message": "connectivity.last_message_at",
}
"""Short names, and the canonical names they stand for."""
_SHORT = {path: path.removeprefix("register.") for path in ALIASES.values() if path.startswith("register.")}
_SHORT |= {
    "register.serial_number": "serial",
    "register.hardware_revision": "hardware",
    "register.site_id": "site",
}

_CHOICES: Mapping[str, Iterable[str]] = {
    "register.lifecycle": Lifecycle,
    "firmware.status": FirmwareStatus,
    "operation.connectors.*.status": ConnectorStatus,
    "operation.connectors.*.covered": ConnectorStatus,
}
_VERSIONS = frozenset({"firmware.version", "firmware.previous_version"})
_TOO_MANY = frozenset({"register.charger_id", "register.serial_number", "identity.serial_number", "revision"})
"""Every charger has its own, so that counting by them says nothing."""

_FACT_OF = {subject.path: subject for subject in FACTS}
_WILD = {field.path: field for field in FIELDS if "*" in field.path and field.section != "configuration"}


def subject_of(name: str) -> Subject | None:
    """What a name in a query stands for."""
    name = ALIASES.get(name, name)
    if name in _FACT_OF:
        return _FACT_OF[name]
    side, path = Side.REPORTED, name
    if name.startswith("desired."):
        side, path = Side.DESIRED, name.removeprefix("desired.")
    elif name.startswith("reported."):
        path = name.removeprefix("reported.")
    path = canonical_path(path)
    field = _WILD.get(path) or field_of(path)
    if field is None or (side is Side.DESIRED and not field.may_be_desired):
        return None
    if field.section == REGISTER:
        side = Side.REGISTER
    elif field.section in DESIRED_ONLY:
        side = Side.DESIRED
    return Subject(path, _kind(field), side, field.meaning, tuple(map(str, _CHOICES.get(field.path, ()))))


def _kind(field: Field) -> Kind:
    if field.path in _VERSIONS:
        return Kind.VERSION
    if field.path == f"{VARIABLES}.*":
        return Kind.VARIABLE
    return Kind(field.type.value) if field.type is not FieldType.TEXT else Kind.TEXT


def names() -> tuple[str, ...]:
    """Every name that is not made up of a variable's or a connector's."""
    schema = (field.path for field in FIELDS if field.path != f"{VARIABLES}.*")
    desired = (f"desired.{field.path}" for field in FIELDS if field.may_be_desired and "*" not in field.path)
    return tuple(chain(_FACT_OF, ALIASES, schema, desired))


def near(name: str) -> tuple[str, ...]:
    """Names that may have been meant, best first, at most three."""
    known = names()
    last = name.rpartition(".")[2].lower()
    found = get_close_matches(name.lower(), known, n=3, cutoff=0.7)
    same = [each for each in known if each.rpartition(".")[2] == last]
    return tuple(dict.fromkeys([*found, *same]))[:3]
