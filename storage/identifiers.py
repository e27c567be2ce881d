"""What things are called: one stable id of ours for each, and the names that others know it by (F20, F103).

Ours never change and are in every event: ``site/{site_id}``, ``charger/{charger_id}``,
``evse/{charger_id}/{evse}`` and ``connector/{charger_id}/{evse}/{connector}``. A name of others belongs to a
namespace, and to one subject within it.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from storage.errors import InvalidName
from storage.ids import check_charger_id, check_slug

OCPP, SERIAL = "ocpp", "serial"
RESERVED = frozenset({OCPP, SERIAL})
"""Kept by registration and by re-identifying, not by hand."""
CHARGER_SAYS = "charger"
"""The actor of a serial number that only its charger told: a registration's word goes before it."""
REGISTRATION = "registration"

_NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9.\-]{0,30}[a-z0-9])?")
_VALUE = re.compile(r"[^\x00-\x1f\x7f]{1,200}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Identifier:
    """One name of one subject."""

    namespace: str
    value: str
    subject: str
    actor: str
    since: datetime | None = None
    """None: from now on."""


def charger_subject(charger_id: str) -> str:
    """The subject of a charger."""
    return f"charger/{charger_id}"


def serial_value(vendor: str, serial_number: str) -> str:
    """Serial numbers are given by vendors, each for itself."""
    return f"{vendor}/{serial_number}"


def check_namespace(text: str) -> str:
    """Return it unchanged, or raise InvalidName."""
    if not _NAMESPACE.fullmatch(text):
        raise InvalidName("namespace", text, "1 to 32 lower-case letters, digits, inner dots and hyphens")
    return text


def check_value(text: str) -> str:
    """Return it unchanged, or raise InvalidName."""
    if not _VALUE.fullmatch(text) or text != text.strip():
        raise InvalidName("identifier", text, "1 to 200 characters, no control characters, no space around")
    return text


def check_subject(text: str) -> tuple[str, str]:
    """The kind of a subject and the site or charger that it belongs to. Raises InvalidName."""
    kind, _, rest = text.partition("/")
    owner, *numbers = rest.split("/")
    expected = {"site": 0, "charger": 0, "evse": 1, "connector": 2}.get(kind)
    if expected is None or len(numbers) != expected or not all(map(_NUMBER.fullmatch, numbers)):
        forms = "site/ID, charger/ID, evse/ID/EVSE or connector/ID/EVSE/CONNECTOR"
        raise InvalidName("subject", text, forms)
    return kind, check_slug("site", owner) if kind == "site" else check_charger_id(owner)


IDENTITY_FIELDS = ("vendor", "model", "serial_number", "hardware_revision")
"""What is written once at registration. The OCPP identity is its id: another one is another charger."""


@dataclass(frozen=True, slots=True)
class Reidentification:
    """A privileged change of what was registered, on record with its reason (F2)."""

    charger_id: str
    expected_version: int
    """``Charger.identity_version`` as it was read."""
    values: dict[str, str | None]
    """New values by ``IDENTITY_FIELDS``; what is left out stays."""
    actor: str
    reason: str
    at: datetime


def claims(charger_id: str, vendor: str, serial_number: str | None) -> list[Identifier]:
    """The names that a registration takes for its charger."""
    subject = charger_subject(charger_id)
    taken = [Identifier(OCPP, charger_id, subject, REGISTRATION)]
    if serial_number is not None:
        serial = serial_value(vendor, serial_number)
        taken.append(Identifier(SERIAL, serial, subject, REGISTRATION))
    return taken
