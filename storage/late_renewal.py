"""A certificate that ends soon and was not renewed: what keeps it, and who can do something. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from storage.certificate_advice import REFUSED, next_step
from storage.renewal import FleetWork, RenewalPhase, StandingStill
from storage.twin import Lifecycle


class Keeper(StrEnum):
    """By whose hand it is late; part of the incident's subject, so that another one is told anew."""

    PEOPLE = "held"
    """Somebody, or a rule of ours, holds it: nothing moves before a person acts."""
    CHARGER = "late"
    """The charger is away, busy, or refuses."""
    TIME = "ended"
    """It is over: the charger may not come back at all."""


@dataclass(frozen=True, slots=True)
class LateCharger:
    """What is known of a charger whose certificate ends soon. Texts are empty where nothing is."""

    charger_id: str
    not_after: datetime
    lifecycle: Lifecycle
    online: bool
    by_itself: bool
    """Certificates are renewed without anybody's doing."""
    halt: str = ""
    still: StandingStill | None = None
    given: bool = False
    """It was issued a newer one, and has not come with it."""
    refused: tuple[str, ...] = ()
    """Why its newest signing request was not signed."""
    busy: str = ""
    last: str = ""
    """What came of the last attempt."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """The alarm."""

    keeper: Keeper
    why: str
    summary: str


def lateness(charger: LateCharger, now: datetime) -> Lateness:
    """The strongest reason alone: what has to go before any other matters."""
    keeper, why, advice = _kept(charger)
    until = f"{charger.not_after:%Y-%m-%d %H:%M} UTC"
    if charger.not_after <= now:
        summary = f"Its certificate ended on {until} and was not renewed: {why}. {advice}"
        return Lateness(Keeper.TIME, why, summary)
    return Lateness(keeper, why, f"Its certificate ends on {until} and is not renewed yet: {why}. {advice}")


def _kept(charger: LateCharger) -> tuple[Keeper, str, str]:
    held = _held(charger)
    return (Keeper.PEOPLE, *held) if held else (Keeper.CHARGER, *_slow(charger))


def _held(charger: LateCharger) -> tuple[str, str] | None:
    """By people and rules, and what ends it."""
    still = charger.still
    if charger.lifecycle is Lifecycle.QUARANTINED:
        return "it is in quarantine", "Release it, or retire it."
    if charger.halt:
        return (
            f"there is a halt ({charger.halt})",
            "Two people restore it: ampwave halt list.",
        )
    if charger.given:
        return None
    if still is not None and still.work is FleetWork.RENEW:
        return _standing(still), f"ampwave cert resume {still.renewal_id}, or abort."
    if not charger.by_itself:
        advice = f"ampwave cert renew-fleet --name NAME --charger {charger.charger_id}"
        return "nothing is renewed by itself here (AMPWAVE_CERTIFICATE_RENEW)", advice
    return None


def _slow(charger: LateCharger) -> tuple[str, str]:
    """By the charger itself, and what helps."""
    if charger.given:
        advice = f"See that it comes with it: ampwave cert list --charger {charger.charger_id}"
        return "it has a newer one and has not come with it", advice
    if not charger.online:
        return "it is not connected", "It is renewed once it is; past the end it is refused."
    if charger.refused:
        return REFUSED + "; ".join(charger.refused), next_step(charger.refused)
    if charger.busy:
        return charger.busy, "It is renewed once it is idle."
    return charger.last or "its turn has not come", "See ampwave cert renewals."


def _standing(still: StandingStill) -> str:
    stands = "is paused" if still.phase is RenewalPhase.PAUSED else "is held"
    return f"{still.name!r} {stands}" + (f": {still.reason}" if still.reason else "")
