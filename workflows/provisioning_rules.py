"""How an enrolment moves, and what it waits for: a table of moves, judgements over facts. Pure (F50, F51)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from storage.provisioning import HOST, Asset, Attestation, CheckResult, EnrolmentState, LinkTest

S = EnrolmentState


class Move(StrEnum):
    """What may happen to an enrolment."""

    CLAIM = "claim"
    CONNECT = "connect"
    GIVE_CREDENTIAL = "give_credential"
    RECONNECT = "reconnect"
    CONFIGURE = "configure"
    PASS = "pass"  # noqa: S105 - the name of a move
    ACTIVATE = "activate"
    EXPIRE = "expire"
    RESTART = "restart"


MOVES: dict[tuple[EnrolmentState, Move], EnrolmentState] = {
    (S.REGISTERED, Move.CLAIM): S.CLAIMED,
    (S.CLAIMED, Move.CLAIM): S.CLAIMED,
    (S.REGISTERED, Move.CONNECT): S.PARKED,
    (S.CLAIMED, Move.CONNECT): S.PARKED,
    (S.PARKED, Move.GIVE_CREDENTIAL): S.CREDENTIAL_PENDING,
    (S.CREDENTIAL_PENDING, Move.GIVE_CREDENTIAL): S.CREDENTIAL_PENDING,
    (S.CREDENTIAL_PENDING, Move.RECONNECT): S.PROVED,
    (S.PROVED, Move.CONFIGURE): S.CONFIGURED,
    (S.CONFIGURED, Move.PASS): S.CHECKED,
    (S.CHECKED, Move.ACTIVATE): S.ACTIVE,
    **{(state, Move.EXPIRE): S.EXPIRED for state in S if state not in (S.ACTIVE, S.EXPIRED)},
    (S.EXPIRED, Move.RESTART): S.REGISTERED,
}
"""There is no way to ACTIVE but by CHECKED."""


def advance(state: EnrolmentState, move: Move) -> EnrolmentState | None:
    """The state after a move; None: it is none from here."""
    return MOVES.get((state, move))


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """The socket that a charger has now."""

    connected: bool
    booted: bool = False
    """It said who it is on this socket, or before."""
    since: datetime | None = None
    profile: int = 0
    credential_settled: bool = True
    """No password of it is in doubt."""


def came_without(link: LinkFacts, given_at: datetime | None) -> bool:
    """Whether it came back since it was given a credential, and by another one: then it lost it."""
    back = given_at is not None and link.since is not None and link.since > given_at
    return link.connected and back and link.profile == 0


def proof_missing(link: LinkFacts, wanted: int, given_at: datetime | None) -> str:
    """Why it has not proved itself by the credential that it was given; empty: it has."""
    if not link.connected:
        return "it is not connected"
    if given_at is None or link.since is None or link.since <= given_at:
        return "it has not come back with the credential that it was given"
    if not link.credential_settled:
        return "which of its passwords it uses is not known yet"
    if link.profile == 0 < wanted:
        return "it came with what its factory gave it, and not with the credential of its own"
    if link.profile < wanted:
        return f"it came with security profile {link.profile}, and {wanted} is wanted of it"
    return ""


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What was measured of a parked charger."""

    connected: bool
    vendor: str
    model: str
    serial_number: str | None
    told_vendor: str | None
    told_model: str | None
    told_serial: str | None
    profile: int
    wanted_profile: int
    clock_suspicious: bool
    version: str | None
    connectors: tuple[tuple[int, int, str], ...]
    """EVSE, connector and status, as reported."""
    answers: tuple[tuple[str, str, float], ...]
    """What it was asked, its answer, and the seconds that took."""
    has_model: bool
    """An operator said what holds for its model, so that it has an update channel."""
    takes_updates: bool
    asset: Asset
    attestations: tuple[Attestation, ...]
    wanted_attestations: tuple[str, ...]
    link: LinkTest | None = None
    """None: not measured, as in visits that began before it was."""


SLOWEST_ANSWER_S = 10.0
_OUT = frozenset({"Faulted", "Unavailable"})


def checklist(facts: CheckFacts, at: datetime) -> tuple[CheckResult, ...]:
    """Every line of it. No data is never a pass."""
    lines = (
        ("connectivity", _connectivity(facts)),
        ("identity", _identity(facts)),
        ("security_profile", _profile(facts)),
        *((("tls", _tls(facts.link, facts)),) if facts.link else ()),
        ("clock", "its clock is wrong" if facts.clock_suspicious else ""),
        ("firmware_version", "" if facts.version else "it has not told what it runs"),
        ("connectors", _connectors(facts)),
        ("metering", _asked(facts, "MeterValues", "metering", "meter readings")),
        ("update_channel", _channel(facts)),
        ("monitoring", _asked(facts, "StatusNotification", "monitoring", "its status")),
        *((f"attested:{name}", _attested(facts, name)) for name in facts.wanted_attestations),
    )
    seen = _measured(facts)
    return tuple(CheckResult(name, not why, why or seen.get(name, "passed"), at) for name, why in lines)


def _measured(facts: CheckFacts) -> dict[str, str]:
    """What the lines of the connection rest on, in words (F56)."""
    took = _round_trip(facts)
    words = {} if took is None else {"connectivity": f"passed: it answered within {took:.2f} s"}
    for each in facts.attestations:
        value = f" {each.value}" if each.value else ""
        words[f"attested:{each.name}"] = f"passed: {each.actor} attested{value or ' it'}"
    if facts.link:
        words["tls"] = f"passed: {facts.link.tls or 'security profile 1 has none'}"
        if facts.link.log_at:
            words[f"attested:{HOST}"] = (
                f"passed: a log of it came to our host at {facts.link.log_at:%H:%M} UTC"
            )
    return words


def failed(checks: Sequence[CheckResult]) -> str:
    """What stands in the way, in words; empty: nothing."""
    if not checks:
        return "nothing was checked"
    return "; ".join(f"{each.name}: {each.detail}" for each in checks if not each.passed)


def _connectivity(facts: CheckFacts) -> str:
    if not facts.connected:
        return "it is not connected"
    took = _round_trip(facts)
    if took is None:
        return "it did not answer when it was asked for a heartbeat"
    return "" if took <= SLOWEST_ANSWER_S else f"it took {took:.0f} s to answer"


def _round_trip(facts: CheckFacts) -> float | None:
    said = (took for name, answer, took in facts.answers if name == "Heartbeat" and answer == "Accepted")
    return min(said, default=None)


_TLS = ("TLSv1.2", "TLSv1.3")


def _tls(link: LinkTest, facts: CheckFacts) -> str:
    if link.tls is None:
        encrypted = max(facts.profile, facts.wanted_profile) > 1
        return "how its connection is encrypted is not known: have it reconnect" if encrypted else ""
    # OCPP 2.0.1 A00.FR.313: TLS 1.2 or above.
    version = link.tls.partition(" ")[0]
    return "" if version in _TLS else f"it speaks {version}, and {_TLS[0]} or above is wanted"


def _identity(facts: CheckFacts) -> str:
    pairs = (
        ("vendor", facts.vendor, facts.told_vendor),
        ("model", facts.model, facts.told_model),
        ("serial number", facts.serial_number, facts.told_serial),
    )
    for name, ours, theirs in pairs:
        if theirs is None and name != "serial number":
            return f"it has not told its {name}"
        if theirs is not None and ours is not None and theirs.strip().casefold() != ours.strip().casefold():
            return f"it says that its {name} is {theirs}, and was registered with {ours}"
    return ""


def _profile(facts: CheckFacts) -> str:
    if facts.profile >= facts.wanted_profile:
        return ""
    return f"it connects with security profile {facts.profile}, and {facts.wanted_profile} is wanted"


def _connectors(facts: CheckFacts) -> str:
    told = {(evse, connector) for evse, connector, _ in facts.connectors if evse > 0 and connector > 0}
    if not told:
        # Some say nothing while they are parked; then somebody has to have looked.
        return _vouched(facts, "connectors") and "it has reported no connector, and nobody attested them"
    planned = {(each.evse_id, each.connector_id) for each in facts.asset.connectors}
    if planned and planned != told:
        return f"{_named(planned)} were built in, and it reports {_named(told)}"
    out = [
        f"{evse}.{connector}"
        for evse, connector, status in facts.connectors
        if status in _OUT and connector > 0
    ]
    return f"{', '.join(out)} cannot be used" if out else ""


def _named(places: set[tuple[int, int]]) -> str:
    return ", ".join(f"{evse}.{connector}" for evse, connector in sorted(places))


def _asked(facts: CheckFacts, name: str, line: str, what: str) -> str:
    answers = [answer for asked, answer, _ in facts.answers if asked == name]
    if "Accepted" in answers or not _vouched(facts, line):
        return ""
    return f"asked for {what}, it answered {answers[0]}" if answers else f"it was not asked for {what}"


def _vouched(facts: CheckFacts, name: str) -> str:
    """Empty if the latest word of a person on it is that it is good."""
    said = [each.passed for each in facts.attestations if each.name == name]
    return "" if said and said[-1] else f"nobody attested {name}"


def _channel(facts: CheckFacts) -> str:
    if not facts.has_model:
        return f"nobody said how {facts.vendor} {facts.model} is updated: ampwave model set"
    return "" if facts.takes_updates else "it takes no firmware updates over OCPP"


def _attested(facts: CheckFacts, name: str) -> str:
    if name == HOST and facts.link and facts.link.log_at:
        return ""
    found = [each for each in facts.attestations if each.name == name]
    if not found and name == HOST:
        return "no log of it came to our host yet (ampwave charger logs), and nobody attested it"
    if not found:
        return "nobody attested it"
    return "" if found[-1].passed else f"{found[-1].actor} attested that it failed"


def look_again(now: datetime, since: datetime) -> datetime:
    """When to look next: often at first, then every tenth of the time that it waits already."""
    waited = max(0.0, (now - since).total_seconds())
    return now + timedelta(seconds=min(600.0, max(5.0, waited / 10)))
