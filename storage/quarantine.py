"""Quarantine: a charger that looks like an intrusion is set aside until a person has looked (F34).

It keeps its row, its history and its credentials; it has no socket, gets nothing, and counts for no campaign.
``SIGNALS`` is the whole table of what may set one aside; each of its rows has a test.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.twin import Lifecycle

ALLOWED = {
    "connect": False,
    "be sent a command": False,
    "be a target of a campaign": False,
    "be given a certificate or a password": False,
    "be moved or provisioned anew": False,
    "be looked at: twin, timeline, doubts": True,
    "have a doubt accepted by a person": True,
    "be released once nothing critical is open": True,
    "be retired": True,
}
"""What may still happen to a charger that is set aside."""


class Signal(StrEnum):
    """What set a charger aside."""

    VERSION = "unexpected_version"
    PROFILE = "downgraded_profile"
    CERTIFICATE = "unknown_certificate"
    ROOT = "unknown_root"
    TAMPER = "tamper"
    CLONE = "clone"
    BACK_END = "changed_back_end"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class SignalRule:
    """One row: how it is noticed, and what a person does about it."""

    signal: Signal
    paths: tuple[str, ...]
    """Of the doubts that are this signal; ``*`` at an end stands for anything."""
    noticed: str
    advice: str
    """What to do next; ``{charger}`` and ``{path}`` are filled in."""


_ACCEPT = "If it is right: ampwave charger accept {charger} {path} --reason WHY."
_VISIT = "Have somebody look at the charger."

SIGNALS = (
    SignalRule(
        Signal.VERSION,
        ("firmware.version",),
        "It runs a firmware that no campaign sent it, or went back to an older one by itself, other than by "
        "restarts right after an update.",
        f"Bring it back by a campaign once it is released, or find out who installed it. {_ACCEPT}",
    ),
    SignalRule(
        Signal.PROFILE,
        ("security.profile",),
        "It proved who it is over a security profile below its floor, or its own variable says a lower one.",
        f"Such a socket is refused whatever you decide. {_VISIT} {_ACCEPT}",
    ),
    SignalRule(
        Signal.CERTIFICATE,
        ("security.certificate_serial",),
        "It came with a certificate that our authority signed and that we did not give to it.",
        "Revoke the certificate unless you know it: ampwave cert list --charger {charger}. " + _ACCEPT,
    ),
    SignalRule(
        Signal.ROOT,
        ("security.roots",),
        "It trusts a root certificate that nobody gave it.",
        f"Whoever has that root can pose as this server. {_VISIT} {_ACCEPT}",
    ),
    SignalRule(
        Signal.TAMPER,
        ("security.tampered",),
        "It told TamperDetectionActivated: somebody opened or manipulated it.",
        f"{_VISIT} {_ACCEPT}",
    ),
    SignalRule(
        Signal.CLONE,
        ("security.clone", "identity.serial_number"),
        "Two sockets of one identity push each other out from two addresses, or it tells another charger's "
        "serial number.",
        "One of the two is not yours: give it a new password or certificate once you know which. "
        "If there is only one: ampwave charger accept {charger} security.clone --reason WHY; "
        "for a serial number: ampwave charger reidentify {charger}.",
    ),
    SignalRule(
        Signal.BACK_END,
        ("configuration.values.*",),
        "What decides whom it trusts or talks to left what is desired of it.",
        "See what changed: ampwave charger drift {charger}. Desire it no more (ampwave charger set {charger} "
        "--unset {path}), release it, and desire it again, so that it is set back.",
    ),
    SignalRule(
        Signal.PERSON,
        (),
        "Somebody set it aside by hand.",
        "Take it back when you are done: ampwave charger release {charger} --reason WHY.",
    ),
)
"""Ordered as they are asked; no path belongs to two."""


def rule_of(path: str) -> SignalRule:
    """The row that a doubt about this path is; what is in no row is a person's."""
    for rule in SIGNALS:
        if any(path == each or (each.endswith("*") and path.startswith(each[:-1])) for each in rule.paths):
            return rule
    return SIGNALS[-1]


def advice(path: str, charger_id: str) -> str:
    """What to do about a doubt of this path."""
    return rule_of(path).advice.format(charger=charger_id, path=path)


@dataclass(frozen=True, slots=True)
class QuarantineAct:
    """A charger is set aside, or taken back, by a person or by what watches."""

    charger_id: str
    actor: str
    reason: str
    at: datetime
    signal: Signal = Signal.PERSON


@dataclass(frozen=True, slots=True)
class QuarantineCase:
    """One stay in quarantine."""

    charger_id: str
    signal: Signal
    reason: str
    actor: str
    since: datetime
    before: Lifecycle
    """Where it was."""
    released_at: datetime | None = None
    released_by: str = ""
    release_reason: str = ""
    after: Lifecycle | None = None
    """Where it went: back, or out for good."""
