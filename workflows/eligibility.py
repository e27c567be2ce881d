"""May this charger be touched now? Pure: facts and an instant in, one of three answers out.

Used by the plan (who is left out), by every tick of a shard (who may start) and, through
``storage.twin.busy_reason``, by the step that sends. No data is never a pass.
"""

from dataclasses import dataclass
from datetime import datetime

from activities.facts import ArtifactFacts, SiteFacts, Situation
from storage.artifact import Compatible
from storage.twin import Lifecycle

IN_SERVICE = frozenset({Lifecycle.REGISTERED, Lifecycle.ACTIVE})
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


def assess(facts: ChargerFacts, now: datetime) -> Readiness:
    """Ready, wait or skip; the first reason that holds, the final ones first."""
    return (
        mismatch(facts.situation, facts.artifact, downgrade=facts.downgrade)
        or _replaced(facts)
        or _wait(facts.situation, facts.site, now)
        or Ready()
    )


def mismatch(situation: Situation, artifact: ArtifactFacts, *, downgrade: bool = False) -> Skip | None:
    """Why this charger can never get this artifact as both are, or None."""
    name = f"{situation.vendor} {situation.model}"
    entry = _compatible(situation, artifact.compatible)
    if situation.lifecycle not in IN_SERVICE:
        return Skip(f"it is {situation.lifecycle.value}")
    if entry is None:
        return Skip(f"{name} is not a model that {artifact.vendor_role} {artifact.version} is for")
    if entry.hardware_revisions and situation.hardware_revision not in entry.hardware_revisions:
        return Skip(f"hardware revision {situation.hardware_revision or 'unknown'} is not one it is for")
    if situation.version is None and not situation.unread:
        return Skip("it never reported its firmware version")
    if situation.version == artifact.version:
        return Skip(f"it runs {artifact.version} already", already_current=True)
    if not downgrade and (situation.installed_counter or 0) > artifact.release_counter:
        return Skip(f"{situation.version} is a later release than {artifact.version}")
    return _unsendable(situation, artifact)


def _replaced(facts: ChargerFacts) -> Skip | None:
    version, stopped = facts.situation.version, facts.replaces
    if stopped is None or version in (None, stopped):
        return None  # Not read yet: waited for below.
    return Skip(f"it runs {version} by now and not {stopped}, which is taken back")


def _unsendable(situation: Situation, artifact: ArtifactFacts) -> Skip | None:
    if not situation.updates:
        return Skip("it takes no firmware updates over OCPP")
    if situation.unsigned_waiver:
        return None
    if situation.takes_signed is False:
        return Skip("it cannot take a signed update, and its model has no waiver")
    if situation.scheme is not None and situation.scheme not in artifact.schemes:
        return Skip(f"the artifact carries no {situation.scheme.value} signature, which its model needs")
    return None


def _compatible(situation: Situation, compatible: tuple[Compatible, ...]) -> Compatible | None:
    for entry in compatible:
        if (entry.vendor, entry.model) == (situation.vendor, situation.model):
            return entry
    return None


def _wait(situation: Situation, site: SiteFacts, now: datetime) -> WaitUntil | None:
    if not situation.online:
        return WaitUntil("it is offline")
    if not situation.heard_recently:
        return WaitUntil("nothing was heard from it lately, so its state is unknown")
    if situation.maintenance is not None:
        return WaitUntil(f"other maintenance has it: {situation.maintenance}")
    if situation.version is None:
        return WaitUntil("its boot told no firmware version, and it has not answered which one it runs")
    if situation.busy is not None:
        when = situation.free_at if situation.free_at and situation.free_at > now else None
        return WaitUntil(situation.busy, None if situation.session else when, for_session=situation.session)
    if site.down >= site.max_down:
        return WaitUntil(
            f"{site.down} of {site.max_down} chargers that may be down at {site.site_id} are", for_site=True
        )
    return None
