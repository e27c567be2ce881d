"""May this charger be touched now? Pure: facts and an instant in, one of three answers out.

Used by the plan (who is left out), by every tick of a shard (who may start) and, through
``storage.twin.busy_reason`` and ``activities.leave``, by the step that sends. No data is never a pass.

Every rule is a row of one table, in the order in which they speak: the final ones first.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from activities.circumstances import NOTHING, Circumstances
from activities.facts import ArtifactFacts, LocalFacts, SiteFacts, Situation
from storage.artifact import Compatible
from storage.publication import Publication
from storage.twin import IN_SERVICE

"""Who may be a target: not who has not passed its checklist, nor who is set aside or on its way out."""


@dataclass(frozen=True, slots=True)
class ChargerFacts:
    """One charger before one artifact. ``downgrade`` is allowed in rollbacks only (S25)."""

    situation: Situation
    artifact: ArtifactFacts
    site: SiteFacts
    downgrade: bool = False
    replaces: str | None = None
    """The only version that a rollback takes back; None: whatever runs there."""
    takes: float = 0.0
    """Seconds that an attempt may take at the most."""
    local: LocalFacts | None = None
    """The local controller of its site, where there is one."""

    @property
    def around(self) -> Circumstances:
        """What surrounds it."""
        return self.situation.around or NOTHING


ONE_WAY = "its model takes no earlier version again: read what it runs, and mend it by a newer version"


@dataclass(frozen=True, slots=True)
class Ready:
    """Nothing stands in the way."""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Not now. ``when``: the earliest instant that makes sense, None: ask again at the next tick."""

    reason: str
    when: datetime | None = None
    for_session: bool = False
    """Because a car is there: counted as a deferral for a session."""
    for_site: bool = False
    """Only its site's budget stands in the way."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Never in this wave. ``already_current``: it runs the version already."""

    reason: str
    already_current: bool = False


Readiness = Ready | WaitUntil | Skip


class Rule(NamedTuple):
    """A row of the table: what it is called, what it answers with, and how it is asked."""

    name: str
    answer: str
    """``skip`` or ``wait``."""
    says: str
    """What it is about, for people."""
    ask: Callable[[ChargerFacts, datetime], Readiness | None]
    lasting: bool = False
    """It may hold at the time of planning and is worth a word there; others change by the minute."""


def assess(facts: ChargerFacts, now: datetime) -> Readiness:
    """Ready, wait or skip; the first rule that has something to say."""
    return first_of(RULES, facts, now) or Ready()


def first_of(rules: Iterable[Rule], facts: ChargerFacts, now: datetime) -> Readiness | None:
    """The first answer of some rules."""
    for rule in rules:
        if answer := rule.ask(facts, now):
            return answer
    return None


def mismatch(situation: Situation, artifact: ArtifactFacts, *, downgrade: bool = False) -> Skip | None:
    """Why this charger can never get this artifact as both are, or None."""
    facts = ChargerFacts(situation, artifact, SiteFacts("", 0, 1), downgrade)
    answer = first_of((rule for rule in RULES if rule.name in _OF_THE_IMAGE), facts, _ANY_TIME)
    return answer if isinstance(answer, Skip) else None


# --- never: as the charger and the image are -----------------------------------------------------


def _life(facts: ChargerFacts, _: datetime) -> Skip | None:
    lifecycle = facts.situation.lifecycle
    return None if lifecycle in IN_SERVICE else Skip(f"it is {lifecycle.value}")


def _model(facts: ChargerFacts, _: datetime) -> Skip | None:
    situation, artifact = facts.situation, facts.artifact
    entry = _compatible(situation, artifact.compatible)
    if entry is None:
        name = f"{situation.vendor} {situation.model}"
        return Skip(f"{name} is not a model that {artifact.vendor_role} {artifact.version} is for")
    if entry.hardware_revisions and situation.hardware_revision not in entry.hardware_revisions:
        return Skip(f"hardware revision {situation.hardware_revision or 'unknown'} is not one it is for")
    return None


def _version(facts: ChargerFacts, _: datetime) -> Skip | None:
    situation, artifact = facts.situation, facts.artifact
    if situation.version is None and not situation.unread:
        return Skip("it never reported its firmware version")
    if situation.version == artifact.version:
        return Skip(f"it runs {artifact.version} already", already_current=True)
    if not facts.downgrade and (situation.installed_counter or 0) > artifact.release_counter:
        return Skip(f"{situation.version} is a later release than {artifact.version}")
    return None


def _sendable(facts: ChargerFacts, _: datetime) -> Skip | None:
    situation, artifact = facts.situation, facts.artifact
    if not situation.updates:
        return Skip("it takes no firmware updates over OCPP")
    if facts.downgrade and not situation.goes_back:
        return Skip(ONE_WAY)
    if situation.unsigned_waiver:
        return None
    if situation.takes_signed is False:
        return Skip("it cannot take a signed update, and its model has no waiver")
    if situation.scheme is not None and situation.scheme not in artifact.schemes:
        return Skip(f"the artifact carries no {situation.scheme.value} signature, which its model needs")
    return None


def _replaced(facts: ChargerFacts, _: datetime) -> Skip | None:
    version, stopped = facts.situation.version, facts.replaces
    if stopped is None or version in (None, stopped):
        return None  # Not read yet: waited for below.
    return Skip(f"it runs {version} by now and not {stopped}, which is taken back")


# --- never: as people decided --------------------------------------------------------------------


def _set_apart(facts: ChargerFacts, _: datetime) -> Skip | None:
    apart = facts.situation.set_apart
    return Skip(apart) if apart and not facts.downgrade else None  # Its way back stays open.


def _pin(facts: ChargerFacts, _: datetime) -> Skip | None:
    pin = facts.around.pin
    return Skip(f"it is pinned to {pin}") if pin not in (None, facts.artifact.version) else None


def _way(facts: ChargerFacts, _: datetime) -> Skip | None:
    risk = facts.around.risk
    if risk is None:
        return None
    because = f": {risk.reason}" if risk.reason else ""
    if risk.via is not None:
        way = f"from {facts.situation.version} the way leads over {risk.via}, which it has to run first"
        return Skip(f"{way}{because}")
    return Skip(f"it is at risk on the way from {facts.situation.version}{because}")


def _order(facts: ChargerFacts, _: datetime) -> Skip | None:
    before = facts.around.before
    return None if before is None or before.open else Skip(before.why)


def _link(facts: ChargerFacts, _: datetime) -> Skip | None:
    link = facts.around.link_refused
    return Skip(f"its link is {link}, which this plan leaves out") if link else None


def _metering(facts: ChargerFacts, _: datetime) -> Skip | None:
    country = facts.around.metering
    if country is None:
        return None
    where = "a country that nobody told" if country == "unknown" else country
    return Skip(f"{facts.artifact.version} affects legal metering and is not permitted in {where}")


# --- not now: as the charger stands --------------------------------------------------------------


def _doubt(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    doubts = facts.around.doubts
    if not doubts:
        return None
    if "security.tampered" in doubts:
        return WaitUntil("it reported that somebody opened or manipulated it, and nobody has accepted that")
    return WaitUntil(f"it is not what it should be: {', '.join(doubts[:3])} (ampwave charger drift)")


def _turn(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    before = facts.around.before
    return WaitUntil(before.why) if before is not None and before.open else None


def _hold(facts: ChargerFacts, now: datetime) -> WaitUntil | None:
    around = facts.around
    if not around.hold or (around.hold_until is not None and around.hold_until <= now):
        return None
    return WaitUntil(f"it is on hold: {around.hold}", around.hold_until)


def _unread(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    return WaitUntil("its configuration was never read") if facts.around.unread else None


def _certificate(facts: ChargerFacts, now: datetime) -> WaitUntil | None:
    ends = facts.around.certificate_ends
    if ends is None or ends > now + timedelta(seconds=facts.takes) + _CERTIFICATE_SPARE:
        return None
    return WaitUntil(f"its certificate ends at {ends:%Y-%m-%d %H:%M} UTC, within the update: renew it first")


def _downtime(facts: ChargerFacts, now: datetime) -> WaitUntil | None:
    around = facts.around
    left, frees = around.downtime_left, around.downtime_frees
    if left is None or left >= facts.takes or (frees is not None and frees <= now):
        return None
    when = f"; enough is free again from {frees:%Y-%m-%d %H:%M} UTC on" if frees else ""
    return WaitUntil(
        f"its uptime obligation leaves it {left / 60:.0f} minutes of planned downtime, "
        f"and an update may take {facts.takes / 60:.0f}"
        f"{', which its floor never allows' if around.downtime_never else when}",
        frees,
    )


def _rival(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    rival = facts.around.rival
    return WaitUntil(f"campaign {rival} goes first") if rival else None


def _site_open(facts: ChargerFacts, now: datetime) -> WaitUntil | None:
    site = facts.site
    if not site.closed:
        return None
    return WaitUntil(site.closed, site.opens_at if site.opens_at and site.opens_at > now else None)


def _online(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    if not facts.situation.online:
        return WaitUntil("it is offline")
    if not facts.situation.heard_recently:
        return WaitUntil("nothing was heard from it lately, so its state is unknown")
    return None


def _maintenance(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    kind = facts.situation.maintenance
    return WaitUntil(f"other maintenance has it: {kind}") if kind is not None else None


def _version_known(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    if facts.situation.version is not None:
        return None
    return WaitUntil("its boot told no firmware version, and it has not answered which one it runs")


def _veto(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    return (
        WaitUntil(f"it says itself that it takes no update now: {facts.around.veto}")
        if (facts.around.veto)
        else None
    )


def _busy(facts: ChargerFacts, now: datetime) -> WaitUntil | None:
    situation = facts.situation
    if situation.busy is None:
        return None
    when = situation.free_at if situation.free_at and situation.free_at > now else None
    return WaitUntil(situation.busy, None if situation.session else when, for_session=situation.session)


def _local(facts: ChargerFacts, now: datetime) -> WaitUntil | None:
    """Bounded: a controller that fails, or is silent past its deadline, keeps nobody waiting."""
    local = facts.local
    if local is None or facts.situation.takes_signed is False:
        return None
    if local.state is None:
        return WaitUntil(f"the local controller {local.controller_id} is to fetch the image first")
    if local.state is not Publication.ASKED or (local.deadline and local.deadline <= now):
        return None
    return WaitUntil(f"the local controller {local.controller_id} fetches the image for its site")


def _budget(facts: ChargerFacts, _: datetime) -> WaitUntil | None:
    site = facts.site
    if facts.around.no_room is not None:
        return WaitUntil(facts.around.no_room)
    if site.down < site.max_down:
        return None
    reason = f"{site.down} of {site.max_down} chargers that may be down at {site.site_id} are"
    return WaitUntil(reason, for_site=True)


_CERTIFICATE_SPARE = timedelta(hours=1)
"""To reconnect after the update, with the certificate it had."""

RULES: tuple[Rule, ...] = (
    Rule("lifecycle", "skip", "it is in quarantine, or not in service", _life),
    Rule("model", "skip", "the image is not for its model or hardware revision", _model),
    Rule("version", "skip", "it runs it already, a later release, or never told its version", _version),
    Rule("signature", "skip", "it takes no update, or no signature that the image carries", _sendable),
    Rule("taken back", "skip", "a rollback is about another version than it runs", _replaced),
    Rule("set apart", "skip", "its updates failed again and again, over all campaigns (R27)", _set_apart),
    Rule("pin", "skip", "somebody pinned it to another version", _pin),
    Rule("way", "skip", "an edge of the plan: another version first, or a risk that it matches", _way),
    Rule("order", "skip", "the campaign that comes first did not prove it there (R32)", _order),
    Rule("link", "skip", "it is not connected in a way that the plan asks for", _link),
    Rule("metering", "skip", "the image affects legal metering and its country did not permit it", _metering),
    Rule("doubt", "wait", "it reported tampering, or a critical drift is open", _doubt, lasting=True),
    Rule("turn", "wait", "the campaign that comes first is not through with it (R32)", _turn, lasting=True),
    Rule("hold", "wait", "somebody holds it", _hold, lasting=True),
    Rule(
        "configuration",
        "wait",
        "the plan needs its configuration, never read",
        _unread,
        lasting=True,
    ),
    Rule(
        "certificate",
        "wait",
        "its certificate ends before the update must end",
        _certificate,
        lasting=True,
    ),
    Rule(
        "uptime",
        "wait",
        "its uptime obligation leaves less downtime than an update may take",
        _downtime,
        lasting=True,
    ),
    Rule("priority", "wait", "another campaign wants it and goes first", _rival, lasting=True),
    Rule("calendar", "wait", "its site's window, tariff, grid event or freeze", _site_open, lasting=True),
    Rule("online", "wait", "it is offline, or was not heard lately", _online),
    Rule("maintenance", "wait", "other maintenance has it", _maintenance),
    Rule("version read", "wait", "its boot told no version, and it has not answered yet", _version_known),
    Rule("veto", "wait", "it says itself that it takes no update now", _veto),
    Rule("busy", "wait", "a session, a plug, a reservation or a remote start that is pending", _busy),
    Rule("local image", "wait", "its site's local controller fetches the image first (L03)", _local),
    Rule("site budget", "wait", "its site has no room: chargers, power, connectors, uplink, feeder", _budget),
)
"""The table. The step that sends asks the last ones again, and the calendar, hold and budget, by itself."""

_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)
_OF_THE_IMAGE = frozenset({"lifecycle", "model", "version", "signature"})


def _compatible(situation: Situation, compatible: tuple[Compatible, ...]) -> Compatible | None:
    for entry in compatible:
        if (entry.vendor, entry.model) == (situation.vendor, situation.model):
            return entry
    return None
