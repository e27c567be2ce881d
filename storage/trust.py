"""Whether a charger is what our own records say, although nobody desired anything of it (F2, F15, F34).

One pure judgement over what was registered, what was attested, what was accepted and what is reported now.
Each doubt is a drift whose desired version is 0: opened at once, closed when it no longer holds.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from storage.charger import Charger
from storage.events import EventKind, StoredEvent
from storage.fall_back import TAMPER_EVENTS, FallBack, Trial
from storage.twin import TwinState
from storage.twin_schema import Severity

BASELINE = 0
"""The desired version of a drift that no desired section is behind."""
PROFILE_NAMES = ("SecurityProfile", "SecurityCtrlr.SecurityProfile")
_PROFILES = frozenset({"0", "1", "2", "3"})
SERIAL_PATH, VERSION_PATH = "identity.serial_number", "firmware.version"
ACCEPTABLE = frozenset(
    {
        "firmware.version",
        "security.profile",
        "security.tampered",
        "security.certificate_serial",
        "security.roots",
        "security.clone",
    }
)
"""What a person may hold to be right. Another identity is registered (re-identified), never accepted."""


CLONE_TURNS = 3
CLONE_WITHIN = timedelta(minutes=10)
"""So many times within so long has an open socket to be pushed out, with two addresses taking turns.

One charger whose network loses connections pushes its own socket out, too, but does not come and go between
two addresses that often. Two behind one address are told apart by their serial numbers alone.
"""
TAKEN_OVER = 4001
"""The close code of a socket that a newer one of its identity pushed out (``csms.session``)."""


@dataclass(frozen=True, slots=True)
class Opening:
    """A socket that was opened, and from where."""

    address: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """What was held to be right of a charger, beside what was registered and attested."""

    certificate: str | None = None
    """Serial number of the client certificate; the first one is taken as it comes."""
    certificate_due: bool = False
    """We handed it another one, so the next may differ."""
    roots: tuple[str, ...] | None = None
    roots_due: bool = False
    version: str | None = None
    """A firmware that a person accepted, and when."""
    version_at: datetime | None = None
    tampered_at: datetime | None = None
    tamper_accepted_at: datetime | None = None
    low_profile: int | None = None
    """It proved who it is over a profile below its floor, and was turned away; until a person looked."""
    told_profile: int | None = None
    """What its own variable says, as last read."""
    openings: tuple[Opening, ...] = ()
    """The latest that came from another address than the one before, oldest first."""
    pushed_out: tuple[datetime, ...] = ()
    """When sockets of it were pushed out by newer ones, the latest."""
    cloned_at: datetime | None = None
    cloned: str = ""
    """Which two addresses took turns."""
    clone_accepted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Proved:
    """A firmware that we sent, and what became of it."""

    version: str
    """Or the version that it fell back to from what we sent, where that is on record of a campaign."""
    attested: bool
    finished_at: datetime
    trial: Trial | None = None
    """Of one that proved it for a campaign: what it ran before, and since when its boots are to be read."""
    settled: str = ""
    """How it fell back, as the campaign ended with it."""
    left: str = ""
    """What it fell back from."""


@dataclass(frozen=True, slots=True)
class TrustFacts:
    """What a judgement of one charger rests on."""

    charger: Charger
    twin: TwinState
    memory: Memory = Memory()
    proved: tuple[Proved, ...] = ()
    """Every version that we sent it, in the order in which that ended."""
    updating: bool = False
    """An update or rollback has it now: what boots is judged there."""
    serial_owner: str | None = None
    """Whose serial number it reports; None: nobody's."""
    first_serial: str | None = None
    """What it told first, where none was registered."""
    firmware_desired: bool = False
    """A desired version is judged by the drift of desired values."""
    fell: str = ""
    """How an update made it go back to what it runs, where its boots show that it did so by itself."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing that is not as our records say."""

    path: str
    expected: Any
    reported: Any
    suspicion: str
    """Why it may be somebody's doing; empty: it is known to be nobody's."""
    severity: Severity = Severity.CRITICAL
    cause: str = ""
    """How it came about, where that is known."""


@dataclass(frozen=True, slots=True)
class Acceptance:
    """A person looked, and holds what is reported to be right."""

    charger_id: str
    paths: tuple[str, ...]
    actor: str
    reason: str
    at: datetime


CONCERNS = frozenset(
    {
        EventKind.CONNECTION_OPENED,
        EventKind.CONNECTION_CLOSED,
        EventKind.CONNECTION_REFUSED,
        EventKind.CHARGER_BOOTED,
        EventKind.FIRMWARE_VERSION_READ,
        EventKind.SECURITY_EVENT_REPORTED,
        EventKind.CERTIFICATES_LISTED,
        EventKind.VARIABLES_REPORTED,
        EventKind.COMMAND_ANSWERED,
    }
)
"""The kinds of events after which a charger is looked at."""
_KEPT = 12
"""Openings and pushes that are remembered."""
_HANDED_OUT = frozenset({"CertificateSigned", "InstallCertificate"})


def remembered(memory: Memory, event: StoredEvent) -> Memory:
    """The memory after an event, for what no twin keeps."""
    body = event.body
    match event.kind:
        case EventKind.CONNECTION_OPENED:
            opening = Opening(str(body.get("remote_address", "")), event.received_at)
            if memory.openings and memory.openings[-1].address == opening.address:
                return memory
            return _turns(replace(memory, openings=(*memory.openings, opening)[-_KEPT:]), event.received_at)
        case EventKind.CONNECTION_CLOSED if body.get("code") == TAKEN_OVER:
            pushed = (*memory.pushed_out, event.received_at)[-_KEPT:]
            return _turns(replace(memory, pushed_out=pushed), event.received_at)
        case EventKind.SECURITY_EVENT_REPORTED if body.get("type") in TAMPER_EVENTS:
            return replace(memory, tampered_at=event.received_at)
        case EventKind.CONNECTION_REFUSED if body.get("profile") is not None:
            return replace(memory, low_profile=int(body["profile"]))
        case EventKind.COMMAND_ANSWERED if body.get("status") == "Accepted" and body["action"] in _HANDED_OUT:
            root = body["action"] == "InstallCertificate"
            return replace(memory, roots_due=True) if root else replace(memory, certificate_due=True)
        case EventKind.VARIABLES_REPORTED:
            values = body.get("values", {})
            told = [int(values[name]) for name in PROFILE_NAMES if values.get(name) in _PROFILES]
            return replace(memory, told_profile=min(told)) if told else memory
    return memory


def _turns(memory: Memory, now: datetime) -> Memory:
    """Whether two that have one identity push each other out."""
    since = now - CLONE_WITHIN
    pushed = [at for at in memory.pushed_out if at >= since]
    came = [each.address for each in memory.openings if each.at >= since]
    back = any(here == again for here, again in zip(came, came[2:], strict=False))
    if len(pushed) < CLONE_TURNS or not back:
        return memory
    return replace(memory, cloned_at=now, cloned=" and ".join(sorted(set(came))[:3]))


def settled(facts: TrustFacts) -> Memory:
    """The memory with what is taken as it comes: the first certificate and roots, and what we handed out."""
    memory, security = facts.memory, facts.twin.security
    if security is None:
        return memory
    shown = security.certificate_serial
    if (
        shown is not None
        and shown != memory.certificate
        and (not memory.certificate or memory.certificate_due)
    ):
        memory = replace(memory, certificate=shown, certificate_due=False)
    if security.roots_at is not None and (memory.roots is None or memory.roots_due):
        changed = memory.roots is None or set(security.roots) != set(memory.roots)
        memory = replace(memory, roots=security.roots, roots_due=memory.roots_due and not changed)
    return memory


def judge(facts: TrustFacts) -> tuple[Doubt, ...]:
    """Everything that contradicts our records now."""
    found = (*_identity(facts), _firmware(facts), *_security(facts))
    return tuple(doubt for doubt in found if doubt is not None)


def _identity(facts: TrustFacts) -> list[Doubt]:
    charger, told = facts.charger, facts.twin.identity
    if told is None:
        return []
    doubts = [
        Doubt(
            f"identity.{name}",
            registered,
            reported,
            f"it says that its {name} is {reported}, and was registered with {registered}",
            Severity.WARNING,
        )
        for name, registered, reported in (
            ("vendor", charger.vendor, told.vendor),
            ("model", charger.model, told.model),
        )
        if reported != registered
    ]
    known, serial, owner = charger.serial_number or facts.first_serial, told.serial_number, facts.serial_owner
    if serial is not None and owner not in (None, charger.charger_id):
        why = f"it reports the serial number of {owner}; two chargers cannot have one"
        doubts.append(Doubt(SERIAL_PATH, known, serial, why))
    elif serial is not None and known is not None and serial != known:
        why = f"it reports the serial number {serial}, and is known with {known}"
        doubts.append(Doubt(SERIAL_PATH, known, serial, why))
    return doubts


def allowed_versions(facts: TrustFacts) -> tuple[str, ...]:
    """The versions that it may run: the last one that it proved, and what we sent it since; empty: any."""
    attested = [place for place, each in enumerate(facts.proved) if each.attested]
    since = facts.proved[attested[-1] :] if attested else ()
    versions = [each.version for each in since]
    accepted, at = facts.memory.version, facts.memory.version_at
    if (
        accepted is not None
        and at is not None
        and not any(one.attested and one.finished_at > at for one in since)
    ):
        versions = [accepted, *versions[1 if attested else 0 :]]
    return tuple(versions)


def fell_to(facts: TrustFacts, fell: FallBack) -> str:
    """How it went back, if it runs what it went back to; else "": something else came after it."""
    runs = facts.twin.firmware.version if facts.twin.firmware else None
    return (
        f"restarts after an update by campaign {fell.campaign_id}: {fell.sentence}" if runs == fell.to else ""
    )


def on_trial(facts: TrustFacts) -> Trial | None:
    """What a charger proved last and may have fallen back from; None where anything was sent since."""
    return facts.proved[-1].trial if facts.proved and facts.proved[-1].attested else None


def settled_by(facts: TrustFacts) -> str:
    """How what it is held to came about, where that is a fall back on record; "": it is not."""
    attested = [each for each in facts.proved if each.attested]
    last = attested[-1] if attested else None
    runs = facts.twin.firmware.version if facts.twin.firmware else None
    return last.settled if last is not None and last.version == runs else ""


def _firmware(facts: TrustFacts) -> Doubt | None:
    firmware, allowed = facts.twin.firmware, allowed_versions(facts)
    runs = firmware.version if firmware else None
    if runs is None or not allowed or runs in allowed or facts.updating or facts.firmware_desired:
        return None
    if facts.fell:
        return Doubt(VERSION_PATH, allowed[0], runs, "", Severity.WARNING, facts.fell)
    return Doubt(VERSION_PATH, allowed[0], runs, f"{_unexpected(facts, runs)}; it last proved {allowed[0]}")


def _unexpected(facts: TrustFacts, runs: str) -> str:
    if any(each.attested and each.version == runs for each in facts.proved):
        return f"it went back to {runs} by itself"
    if any(each.left == runs for each in facts.proved):
        return f"it runs {runs} again, from which it had fallen back"
    return f"it runs {runs}, which nobody rolled out to it"


def _security(facts: TrustFacts) -> list[Doubt | None]:
    memory, security = facts.memory, facts.twin.security
    if security is None:
        return []
    return [
        _profile(facts),
        _tampered(memory),
        _cloned(memory),
        _certificate(memory, security.certificate_serial),
        _roots(memory, security.roots),
    ]


def _profile(facts: TrustFacts) -> Doubt | None:
    security, memory = facts.twin.security, facts.memory
    floor = max(facts.charger.security_floor, security.floor if security else 0)
    came = security.profile if security and security.last_auth_ok_at else None
    lowest = min(
        (each for each in (came, memory.low_profile, memory.told_profile) if each is not None), default=floor
    )
    if lowest >= floor:
        return None
    return Doubt(
        "security.profile", floor, lowest, f"its security profile went down from {floor} to {lowest}"
    )


def _tampered(memory: Memory) -> Doubt | None:
    at, accepted = memory.tampered_at, memory.tamper_accepted_at
    if at is None or (accepted is not None and accepted >= at):
        return None
    return Doubt("security.tampered", "no", "yes", "it reported that somebody opened or manipulated it")


def _cloned(memory: Memory) -> Doubt | None:
    at, accepted_at = memory.cloned_at, memory.clone_accepted_at
    if at is None or (accepted_at is not None and accepted_at >= at):
        return None
    why = f"two that have its identity push each other out, from {memory.cloned}"
    return Doubt("security.clone", "one", "two", why)


def _certificate(memory: Memory, shown: str | None) -> Doubt | None:
    if shown is None or memory.certificate in (None, shown):
        return None
    why = "it came with a certificate that we did not give it"
    return Doubt("security.certificate_serial", memory.certificate, shown, why)


def _roots(memory: Memory, listed: tuple[str, ...]) -> Doubt | None:
    if memory.roots is None or not set(listed) - set(memory.roots):
        return None
    why = "it trusts a root certificate that nobody gave it"
    return Doubt("security.roots", list(memory.roots), list(listed), why)


def accepted(facts: TrustFacts, given: Acceptance) -> Memory:
    """The memory once a person holds these paths to be right."""
    memory, security, firmware = facts.memory, facts.twin.security, facts.twin.firmware
    changes: dict[str, dict[str, Any]] = {
        "firmware.version": {"version": firmware.version if firmware else None, "version_at": given.at},
        "security.profile": {"low_profile": None, "told_profile": None},
        "security.tampered": {"tamper_accepted_at": given.at},
        "security.certificate_serial": {"certificate": security.certificate_serial if security else None},
        "security.roots": {"roots": security.roots if security else None},
        "security.clone": {"clone_accepted_at": given.at, "pushed_out": ()},
    }
    for path in given.paths:
        memory = replace(memory, **changes[path])
    return memory
