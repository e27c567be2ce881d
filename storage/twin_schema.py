# long-file: one table of all fields of the twin; apart, its rows would drift apart.
"""The schema of the twin: for every field its type, owner, rhythm, mutability, privacy and weight (F11).

The one source: ``docs/TWIN.md`` is generated from it, the query language takes its fields from it, desired
values are checked against it, drift takes its severities from it, and what a charger reports outside
it stays out of the twin. A test holds it against the dataclasses of ``storage.twin``.

Limits follow part 2 of what other twin services publish: 64 KiB a section, depth 8.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Any

MAX_SECTION_BYTES = 64 * 1024
"""Of one section's JSON, reported or desired; a change that passes it is refused whole."""
MAX_DEPTH = 8
MAX_NAME_CHARS = 200
MAX_VALUE_CHARS = 2500
"""OCPP 2.0.1 ReportDataType, variableAttribute.value."""

_NAME = re.compile(r"[^\x00-\x1f\x7f]+")


class FieldType(StrEnum):
    """What a value is in JSON."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"
    LIST = "list"


class Owner(StrEnum):
    """Who says what the value is."""

    DEVICE = "device"
    """The charger reports it."""
    SYSTEM = "system"
    """We observe or compute it."""
    OPERATOR = "operator"
    """People set it."""
    PROVISIONING = "provisioning"
    """Set when the charger is registered or moved."""


class Mutability(StrEnum):
    """How it may change."""

    FIXED = "fixed"
    """Written once; another value is refused, or recorded as an anomaly."""
    CONTROLLED = "controlled"
    """Only by a privileged, audited act with the version it was read at (F18)."""
    REPORTED = "reported"
    """With what is observed; nobody can set it."""
    DESIRED = "desired"
    """People may say what it should be; the charger says what it is."""


class Privacy(StrEnum):
    """What a value can tell about a person."""

    NONE = "none"
    NETWORK = "network"
    """Addresses."""
    PLACE = "place"
    """Where it stands."""
    USAGE = "usage"
    """Who charged when, without who: session ids and their times."""


class Severity(StrEnum):
    """How grave it is when the reported value leaves the desired one (F15)."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``*`` in a path stands for any key."""

    path: str
    type: FieldType
    owner: Owner
    meaning: str
    mutability: Mutability = Mutability.REPORTED
    every: timedelta | None = None
    """How often it is expected anew; None: when it changes."""
    stale: timedelta | None = None
    """After so long without news it is *last known*, no longer current; None: it does not age."""
    privacy: Privacy = Privacy.NONE
    severity: Severity = Severity.INFO

    @property
    def section(self) -> str:
        """The first word of its path."""
        return self.path.partition(".")[0]

    @property
    def may_be_desired(self) -> bool:
        """Whether people may say what it should be."""
        return self.mutability in (Mutability.DESIRED, Mutability.CONTROLLED) and self.section in DESIRABLE


REGISTER = "register"
"""The section of what was registered; it is no reported section."""
POWER = "power"
"""Of what its site can carry: with a desired side alone, which we keep to and tell no charger (F33, F61)."""
NETWORK = "network"
"""Of how it is to connect: with a desired side alone; a charger does not tell (F54)."""
TERMS = "terms"
"""Of how it is offered: with a desired side alone; references that we keep and never read (F63, F64)."""
DESIRED_ONLY = (POWER, NETWORK, TERMS)
DESIRABLE = ("configuration", "firmware", "security", *DESIRED_ONLY)
"""Sections of which a desired side exists."""
VARIABLES = "configuration.values"

_TEXT, _NUMBER, _FLAG, _TIME, _LIST = FieldType
_DEVICE, _SYSTEM, _OPERATOR, _PROVISIONING = Owner
_ONLINE_RHYTHM = timedelta(minutes=15)
_SILENT = timedelta(minutes=15)
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_CONTROLLED = Mutability.CONTROLLED
_FIXED = Mutability.FIXED

FIELDS: tuple[Field, ...] = (
    # --- what was registered ---
    Field("register.charger_id", _TEXT, _PROVISIONING, "OCPP identity: the last path segment.", _FIXED),
    Field("register.vendor", _TEXT, _PROVISIONING, "Vendor, as registered.", _FIXED),
    Field("register.model", _TEXT, _PROVISIONING, "Model, as registered.", _FIXED),
    Field("register.serial_number", _TEXT, _PROVISIONING, "Serial number, one charger a vendor.", _FIXED),
    Field("register.hardware_revision", _TEXT, _PROVISIONING, "Hardware revision.", _FIXED),
    Field("register.registered_at", _TIME, _SYSTEM, "When it was registered.", _FIXED),
    Field(
        "register.site_id",
        _TEXT,
        _PROVISIONING,
        "Where it stands.",
        _CONTROLLED,
        privacy=Privacy.PLACE,
    ),
    Field(
        "register.operator",
        _TEXT,
        _PROVISIONING,
        "Who runs it; restricts nobody's access.",
        _CONTROLLED,
    ),
    Field("register.site_group", _TEXT, _PROVISIONING, "The group that its site is of.", _CONTROLLED),
    Field(
        "register.location",
        _TEXT,
        _PROVISIONING,
        "Where at its site.",
        _CONTROLLED,
        privacy=Privacy.PLACE,
    ),
    Field("register.installer", _TEXT, _PROVISIONING, "Who installed it.", _CONTROLLED),
    Field("register.lifecycle", _TEXT, _OPERATOR, "From registered to retired.", _CONTROLLED),
    # --- power: desired only, and only we keep to it ---
    Field(
        "power.load_group", _TEXT, _OPERATOR, "The load group it draws its power from.", Mutability.DESIRED
    ),
    Field(
        "power.group_max_down",
        _NUMBER,
        _OPERATOR,
        "Chargers of that group, at its site, that may be away at once; the least that one says counts.",
        Mutability.DESIRED,
    ),
    Field(
        "power.limit_a",
        _NUMBER,
        _OPERATOR,
        "What the group may draw, in ampere; only kept.",
        Mutability.DESIRED,
    ),
    Field(
        "power.priority", _NUMBER, _OPERATOR, "Of the charger in its group; only kept.", Mutability.DESIRED
    ),
    # --- network: desired only; what it uses shows in security.profile and ActiveNetworkProfile ---
    *(
        Field(f"network.{name}", kind, _OPERATOR, meaning, Mutability.DESIRED, privacy=privacy)
        for name, kind, meaning, privacy in (
            ("endpoint", _TEXT, "Which of our endpoints it is to use.", Privacy.NONE),
            ("url", _TEXT, "Where that is.", Privacy.NETWORK),
            ("security_profile", _NUMBER, "The security profile it is to come with.", Privacy.NONE),
            ("interface", _TEXT, "Which of its interfaces it is to use.", Privacy.NONE),
            ("message_timeout_s", _NUMBER, "How long it waits for an answer, seconds.", Privacy.NONE),
            ("apn", _TEXT, "The private APN it is to use.", Privacy.NETWORK),
            ("vpn", _TEXT, "The tunnel its site is reached through; only kept.", Privacy.NETWORK),
        )
    ),
    # --- terms: desired only; what they mean is another system's business ---
    *(
        Field(f"terms.{name}", _TEXT, _OPERATOR, meaning, Mutability.DESIRED)
        for name, meaning in (
            ("pricing_policy", "Which prices hold, as another system names them; only kept."),
            ("access_policy", "Who may charge, and its version: public, a list; only kept."),
            ("charging_policy", "Its limits and schedules, as another system names them; only kept."),
        )
    ),
    # --- identity, as the charger says it at boot ---
    Field("identity.vendor", _TEXT, _DEVICE, "Vendor.", severity=Severity.WARNING),
    Field("identity.model", _TEXT, _DEVICE, "Model.", severity=Severity.WARNING),
    Field("identity.serial_number", _TEXT, _DEVICE, "Serial number.", severity=Severity.WARNING),
    # --- firmware ---
    Field(
        "firmware.version",
        _TEXT,
        _DEVICE,
        "What runs, as the last boot said, or as it was read after it.",
        _CONTROLLED,
        severity=Severity.CRITICAL,
    ),
    Field("firmware.previous_version", _TEXT, _SYSTEM, "What ran before."),
    Field("firmware.before_boot", _TEXT, _SYSTEM, "What ran before a boot whose version is not read yet."),
    Field("firmware.booted_at", _TIME, _SYSTEM, "Server time of the last accepted boot."),
    Field("firmware.boots", _LIST, _SYSTEM, "Server times of the latest boots, at most 10."),
    Field("firmware.status", _TEXT, _DEVICE, "The latest firmware status."),
    Field("firmware.status_request_id", _NUMBER, _DEVICE, "The request that status belongs to."),
    Field("firmware.status_at", _TIME, _DEVICE, "When it had that status."),
    # --- security ---
    Field(
        "security.profile",
        _NUMBER,
        _SYSTEM,
        "OCPP security profile of its connection.",
        _CONTROLLED,
        severity=Severity.CRITICAL,
    ),
    Field("security.last_auth_ok_at", _TIME, _SYSTEM, "When it last proved who it is."),
    Field("security.last_auth_failed_at", _TIME, _SYSTEM, "When somebody last failed to, in its name."),
    Field("security.auth_failures", _NUMBER, _SYSTEM, "How often that happened."),
    Field("security.last_event", _TEXT, _DEVICE, "The latest security event."),
    Field("security.last_event_at", _TIME, _DEVICE, "When that was."),
    Field("security.tampered", _FLAG, _DEVICE, "It said once that it was opened or manipulated."),
    Field(
        "security.roots",
        _LIST,
        _DEVICE,
        "Installed root certificates, as `use/issuer key hash/serial`.",
        _CONTROLLED,
        every=_WEEK,
        stale=4 * _WEEK,
        severity=Severity.CRITICAL,
    ),
    Field("security.roots_at", _TIME, _DEVICE, "When they were last listed."),
    Field("security.floor", _NUMBER, _SYSTEM, "The lowest profile it may connect with."),
    Field("security.certificate_serial", _TEXT, _SYSTEM, "Of the certificate it last connected with."),
    Field("security.certificate_until", _TIME, _SYSTEM, "When that certificate ends."),
    Field("security.caution", _TEXT, _SYSTEM, "What could not be checked at its last connection."),
    # --- connectivity ---
    Field(
        "connectivity.online", _FLAG, _SYSTEM, "It has a socket with us.", every=_ONLINE_RHYTHM, stale=_SILENT
    ),
    Field("connectivity.dialect", _TEXT, _SYSTEM, "Negotiated version of OCPP."),
    Field("connectivity.since", _TIME, _SYSTEM, "Since when it is connected, or away."),
    Field("connectivity.node_id", _TEXT, _SYSTEM, "The node that holds its socket."),
    Field(
        "connectivity.remote_address",
        _TEXT,
        _SYSTEM,
        "Where it connects from.",
        privacy=Privacy.NETWORK,
    ),
    Field("connectivity.reconnects", _NUMBER, _SYSTEM, "Connections after the first."),
    Field("connectivity.clock_skew_s", _NUMBER, _SYSTEM, "Server time minus its own, seconds."),
    Field("connectivity.clock_suspicious", _FLAG, _SYSTEM, "Its clock is wrong by more than is allowed."),
    Field("connectivity.tls", _TEXT, _SYSTEM, "TLS version and cipher suite of its connection."),
    Field("connectivity.silent", _FLAG, _SYSTEM, "Its socket lives, and it answers nothing."),
    # --- operation ---
    *(
        Field(f"operation.connectors.*.{name}", kind, owner, meaning, stale=_SILENT)
        for name, kind, owner, meaning in (
            ("evse_id", _NUMBER, _DEVICE, "EVSE; 0 is the whole charger."),
            ("connector_id", _NUMBER, _DEVICE, "Connector of that EVSE."),
            ("status", _TEXT, _DEVICE, "Available, Occupied, Reserved, Unavailable or Faulted."),
            ("since", _TIME, _DEVICE, "Its own time of that report."),
            ("error_code", _TEXT, _DEVICE, "Error code, if it gave one."),
            ("vendor_status", _TEXT, _DEVICE, "The dialect's own word."),
            ("reported_at", _TIME, _SYSTEM, "Server time of that report."),
            ("covered", _TEXT, _DEVICE, "Its newest word, where an older one asks for caution."),
            ("covered_since", _TIME, _DEVICE, "Its own time of that newest word."),
            ("session_epoch", _NUMBER, _SYSTEM, "The connection over which that report came."),
        )
    ),
    *(
        Field(f"operation.transactions.*.{name}", kind, owner, meaning, privacy=Privacy.USAGE)
        for name, kind, owner, meaning in (
            ("transaction_id", _TEXT, _DEVICE, "Id of an open session."),
            ("evse_id", _NUMBER, _DEVICE, "Where it charges."),
            ("connector_id", _NUMBER, _DEVICE, "At which connector."),
            ("started_at", _TIME, _DEVICE, "When it began."),
            ("updated_at", _TIME, _DEVICE, "When it was last heard of."),
            ("charging_state", _TEXT, _DEVICE, "2.x charging state."),
            ("suspect", _FLAG, _SYSTEM, "A boot happened while it was open."),
            ("heard_at", _TIME, _SYSTEM, "When a message last spoke of it, in our time."),
            ("stuck", _TEXT, _SYSTEM, "Why a person has to look at it, if so."),
        )
    ),
    *(
        Field(f"operation.sequences.*.{name}", kind, _SYSTEM, meaning, privacy=Privacy.USAGE)
        for name, kind, meaning in (
            ("first", _NUMBER, "Lowest number of a 2.x session's messages that came."),
            ("last", _NUMBER, "Highest number that came."),
            ("missing", _LIST, "Gaps between them."),
            ("begun", _FLAG, "Its start came."),
            ("ended", _FLAG, "Its end came."),
        )
    ),
    Field("operation.ended", _LIST, _DEVICE, "Ids of the latest ended sessions.", privacy=Privacy.USAGE),
    Field("operation.reservations", _LIST, _DEVICE, "Ids of active reservations.", privacy=Privacy.USAGE),
    Field("operation.remote_start_pending_until", _TIME, _SYSTEM, "A remote start may still come."),
    # --- configuration ---
    Field(
        "configuration.values.*",
        _TEXT,
        _DEVICE,
        "Device-model variables (`Component.Variable`) or 1.6 configuration keys.",
        Mutability.DESIRED,
        every=_DAY,
        stale=_WEEK,
        severity=Severity.WARNING,
    ),
    Field("configuration.read_at", _TIME, _SYSTEM, "When it was last read."),
    Field(
        "configuration.local_list_version",
        _NUMBER,
        _DEVICE,
        "Of its local list of who may charge; 0 is an empty one, -1 none.",
    ),
    Field("configuration.local_list_at", _TIME, _DEVICE, "When it last told that."),
)

# OCPP 2.0.1 part 2 appendix, 1.6 edition 2 section 9, 1.6 security whitepaper section 3: what decides whom
# a charger trusts and talks to, and how it tells the time.
VARIABLE_SEVERITY: Mapping[str, Severity] = {
    name: severity
    for severity, names in {
        Severity.CRITICAL: (
            "SecurityProfile",
            "SecurityCtrlr.SecurityProfile",
            "SecurityCtrlr.Identity",
            "SecurityCtrlr.OrganizationName",
            "SecurityCtrlr.AdditionalRootCertificateCheck",
            "AdditionalRootCertificateCheck",
            "CentralSystemURL",
            "CentralSystemAddress",
            "BackendURL",
            "OCPPCommCtrlr.NetworkConfigurationPriority",
            "OCPPCommCtrlr.ActiveNetworkProfile",
            "InternalCtrlr.CentralSystemURL",
        ),
        Severity.INFO: (
            "DisplayMessageCtrlr.Language",
            "HeartbeatInterval",
            "OCPPCommCtrlr.HeartbeatInterval",
        ),
    }.items()
    for name in names
}
"""Of variables whose drift weighs other than ``configuration.values.*`` says."""

_BY_PATH = {field.path: field for field in FIELDS}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something reported that was not taken into the twin, and why."""

    path: str
    reason: str


def field_of(path: str) -> Field | None:
    """The field that a path names, ``*`` matching one key; variables' names may contain dots."""
    if path.startswith(f"{VARIABLES}."):
        return _BY_PATH[f"{VARIABLES}.*"] if _NAME.fullmatch(path[len(VARIABLES) + 1 :]) else None
    if path in _BY_PATH:
        return None if "*" in path else _BY_PATH[path]
    parts = path.split(".")
    if parts[:1] == ["operation"] and len(parts) >= 4:
        # The keys of connectors hold a dot themselves: operation.connectors.1.2.status.
        return _BY_PATH.get(".".join((*parts[:2], "*", parts[-1])))
    return None


def canonical_path(path: str) -> str:
    """A path as the schema has it: people leave out ``values`` before the name of a variable."""
    if path.startswith("configuration.") and path not in _BY_PATH and not path.startswith(f"{VARIABLES}."):
        return f"{VARIABLES}.{path.removeprefix('configuration.')}"
    return path


def patch_keys(path: str) -> tuple[str, ...]:
    """The keys below its section that lead to a path's value in JSON."""
    if path.startswith(f"{VARIABLES}."):
        return ("values", path[len(VARIABLES) + 1 :])
    _, *keys = path.split(".")
    if path.startswith("operation.") and len(keys) >= 3:
        return (keys[0], ".".join(keys[1:-1]), keys[-1])
    return tuple(keys)


def severity_of(path: str) -> Severity:
    """How grave drift of this path is."""
    if path.startswith(f"{VARIABLES}."):
        name = path[len(VARIABLES) + 1 :]
        if name in VARIABLE_SEVERITY:
            return VARIABLE_SEVERITY[name]
    field = field_of(path)
    return field.severity if field else Severity.WARNING


def refused_variables(values: Mapping[str, str]) -> list[Refusal]:
    """Those reported variables whose name or value lies outside the schema."""
    return [
        Refusal(f"{VARIABLES}.{_shown(name)}", reason)
        for name, value in values.items()
        if (reason := _variable_problem(name, value))
    ]


def _variable_problem(name: str, value: str) -> str | None:
    if len(name) > MAX_NAME_CHARS:
        return f"its name has {len(name)} characters, more than {MAX_NAME_CHARS}"
    if len(value) > MAX_VALUE_CHARS:
        return f"its value has {len(value)} characters, more than {MAX_VALUE_CHARS}"
    if not _NAME.fullmatch(name):
        return "its name is empty or has control characters"
    return None


def admitted_variables(values: Mapping[str, str]) -> Mapping[str, str]:
    """The others."""
    return {name: value for name, value in values.items() if _variable_problem(name, value) is None}


def _shown(name: str) -> str:
    """A name that is fit to be stored and printed."""
    return "".join(each if each.isprintable() else "?" for each in name[:80]) or "(empty)"


def depth_of(value: Any) -> int:
    """How deep JSON is nested; a scalar is 0."""
    deepest, level = 0, [value]
    while containers := [each for each in level if isinstance(each, dict | list)]:
        deepest += 1
        level = [
            each for outer in containers for each in (outer.values() if isinstance(outer, dict) else outer)
        ]
    return deepest


def desired_problems(section: str, desired: Mapping[str, Any]) -> list[str]:
    """Every rule of the schema that a desired section breaks; the size is judged by the store."""
    if section not in DESIRABLE:
        return [f"{section}: only {', '.join(DESIRABLE)} have a desired side"]
    if (depth := depth_of(dict(desired))) > MAX_DEPTH:
        return [f"{section}: nested {depth} deep, more than {MAX_DEPTH}"]
    return [problem for path, value in leaves(section, desired) for problem in _leaf_problems(path, value)]


def leaves(section: str, value: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every (path, value) that a section's JSON sets; lists are values."""
    for key, each in value.items():
        path = f"{section}.{key}"
        if isinstance(each, dict):
            yield from leaves(path, each)
        else:
            yield path, each


def _leaf_problems(path: str, value: Any) -> Iterator[str]:
    field = field_of(path)
    if field is None:
        yield f"{path}: the schema has no such field"
    elif not field.may_be_desired:
        yield f"{path}: nobody can set it; it is {field.mutability.value}"
    elif not _fits(field.type, value):
        yield f"{path}: must be {_ARTICLE[field.type]}"
    elif path in _NOT_NEGATIVE and value < 0:
        yield f"{path}: must be 0 or more"
    elif field.path == f"{VARIABLES}.*":
        reason = _variable_problem(path[len(VARIABLES) + 1 :], value)
        yield from [f"{path}: {reason}"] if reason else []


_NOT_NEGATIVE = frozenset({"power.group_max_down", "power.limit_a"})
_ARTICLE = {
    FieldType.TEXT: "a text without NUL",
    FieldType.NUMBER: "a number",
    FieldType.FLAG: "true or false",
    FieldType.TIME: "a time in RFC 3339",
    FieldType.LIST: "a list of texts",
}


def _fits(kind: FieldType, value: Any) -> bool:
    match kind:
        case FieldType.TEXT:
            return isinstance(value, str) and "\x00" not in value
        case FieldType.NUMBER:
            return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        case FieldType.FLAG:
            return isinstance(value, bool)
        case FieldType.LIST:
            return isinstance(value, list) and all(_fits(FieldType.TEXT, each) for each in value)
        case FieldType.TIME:
            return isinstance(value, str) and is_time(value)


def is_time(text: str) -> bool:
    """Whether a text is a time with its zone."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
