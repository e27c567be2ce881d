"""Fetching an image ahead of its install: who may, and what a charger's words about it mean (R20). Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from activities.facts import Sighting
from storage.events import FETCHED_AHEAD, FIRMWARE_INSTALLING, FirmwareStatus
from storage.parked import Parking
from workflows.attest import Attempt, Finding, judge
from workflows.eligibility import RULES, ChargerFacts, first_of

_OF_THE_INSTALL = frozenset({"certificate", "uptime", "calendar", "busy", "local image", "site budget"})
"""What forbids to take a charger away forbids no download: it serves cars meanwhile."""
_OF_THE_FETCH = tuple(rule for rule in RULES if rule.name not in _OF_THE_INSTALL)
_BYTES_THERE = frozenset({FirmwareStatus.DOWNLOADED})


class Fetch(StrEnum):
    """Where fetching ahead stands."""

    FETCHED = "fetched"
    FAILED = "failed"
    DISTRUSTED = "distrusted"
    """The vendor's signature did not hold there (S38)."""
    LATE = "late"
    """It may have it some day."""
    INSTALLING = "installing"
    """It was told to wait, and does not."""
    UPDATED = "updated"
    """It came back with the version already."""


@dataclass(frozen=True, slots=True)
class FetchFinding:
    """What is known, and a sentence for people."""

    fetch: Fetch
    reason: str


def may_fetch(facts: ChargerFacts, now: datetime) -> bool:
    """Whether it may fetch now what it must not install yet. A freeze forbids both."""
    able = facts.situation.ahead and not facts.downgrade and not facts.site.frozen
    return able and first_of(_OF_THE_FETCH, facts, now) is None


def judge_fetch(attempt: Attempt, sightings: Iterable[Sighting]) -> FetchFinding | None:
    """What the charger's words allow to say, or None: it is still at it."""
    seen = list(sightings)
    judged = judge(attempt, seen)
    if judged and judged.finding is Finding.UPDATED:
        return FetchFinding(Fetch.UPDATED, f"it installed {attempt.to_version} by itself, told to wait")
    if judged and judged.halt:
        return FetchFinding(Fetch.DISTRUSTED, judged.reason)
    if judged:
        return FetchFinding(Fetch.FAILED, f"{judged.reason} when it was to fetch the image ahead")
    said = _said(attempt, seen)
    if said & FIRMWARE_INSTALLING:
        return FetchFinding(Fetch.INSTALLING, "it installs by itself, although it was told to wait")
    if said & FETCHED_AHEAD:
        return FetchFinding(Fetch.FETCHED, "it has the image, and waits for the order to install it")
    return None


def judge_fetch_deadline(attempt: Attempt, sightings: Iterable[Sighting], seconds: float) -> FetchFinding:
    """The same when its time is over; who has the bytes and never speaks of the signature has them."""
    seen = list(sightings)
    if found := judge_fetch(attempt, seen):
        return found
    if _said(attempt, seen) & _BYTES_THERE:
        return FetchFinding(Fetch.FETCHED, "it has the image, and waits for the order to install it")
    last = max((one for one in seen if one.status), key=lambda one: one.sequence, default=None)
    word = f"the last it said was {last.status.value}" if last and last.status else "it said nothing of it"
    return FetchFinding(Fetch.LATE, f"it had not fetched the image ahead within {seconds:g} s; {word}")


def _said(attempt: Attempt, sightings: Iterable[Sighting]) -> set[FirmwareStatus]:
    return {
        one.status
        for one in sightings
        if one.status and one.at >= attempt.since and one.request_id in (None, attempt.request_id)
    }


STATES = {
    Fetch.FETCHED: Parking.FETCHED,
    Fetch.LATE: Parking.ASKED,
    Fetch.FAILED: Parking.FAILED,
    Fetch.DISTRUSTED: Parking.FAILED,
    Fetch.INSTALLING: Parking.HASTY,
    Fetch.UPDATED: Parking.HASTY,
}
"""How each is remembered."""
