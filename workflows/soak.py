"""Does a charger depart from its own normal after an update? Pure (F31).

What it did since the update is held against the same charger's days before, by exact tests: counts per hour
heard as shares of one Poisson stream, shares of tries by the hypergeometric distribution. A departure needs
both: it is beyond chance, and it is large. Too little heard before is no normal to depart from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import exp, lgamma, log

from storage.health import ChargerSignals, FleetSignals, HealthHour
from storage.health_time import HealthTime
from storage.incident import IncidentChange, IncidentKind
from storage.watching import Updated


@dataclass(frozen=True, slots=True)
class SoakRule:
    """What counts. All defaults are proposals, to be tuned on a fleet."""

    soak: timedelta = timedelta(hours=24)
    """How long after an update a departure is looked for; one that is open is followed until it is over."""
    baseline: timedelta = timedelta(days=14)
    followed: timedelta = timedelta(days=30)
    """Then the hours to compare with are about to be forgotten."""
    known_hours: int = 24
    """Of the baseline in which the charger must have been heard."""
    false_alarms: float = 0.01
    """Of healthy chargers in the whole soak, all tests and one look each hour together."""
    times: float = 3.0
    """A rate must have grown so much, and have come to pass at least so often:"""
    at_least: int = 3
    points: float = 0.2
    """A share must have grown by so much."""
    skew_s: float = 30.0

    def over(self, time: HealthTime) -> "SoakRule":
        """The same where hours of health last otherwise."""
        spans = (self.soak, self.baseline, self.followed)
        soak, baseline, followed = (each * time.scale for each in spans)
        return replace(self, soak=soak, baseline=baseline, followed=followed)


_RATES = {
    "boots": "restarts",
    "connects": "connections",
    "silences": "silences",
    "went_faulted": "connectors that became Faulted",
    "went_unavailable": "connectors that became Unavailable",
    "meter_backwards": "registers that went back",
}
_FACTS = {"boot_loops": "boots in a loop", "profile_drops": "connections with a lower security profile"}
"""What never happens to a healthy charger: once is enough, where it never did before."""


@dataclass(frozen=True, slots=True)
class _Tries:
    """A share: how many of how many went wrong, now and before."""

    what: str
    bad: int
    tries: int
    bad_before: int
    tries_before: int
    points: float


def judge(
    updated: Updated, fleet: FleetSignals, charger: ChargerSignals, rule: SoakRule, *, known: bool
) -> IncidentChange | None:
    """Open the incident of this charger, close it, or let things be; ``known``: it is open."""
    subject = f"charger/{charger.charger_id}"
    found = departures(fleet, charger, rule) if fleet.until - updated.at <= rule.followed else ()
    if not found:
        over = IncidentChange(IncidentKind.UPDATE_DEPARTURE, subject, fleet.until, close=True)
        return over if known else None
    name = charger.charger_id
    summary = f"Since its update to {updated.version}, {name} is not as it was: {'; '.join(found)}"
    detail = {
        "campaign_id": updated.campaign_id,
        "version": updated.version,
        "updated_at": updated.at.isoformat(),
        "departures": list(found),
        "since": fleet.since.isoformat(),
        "until": fleet.until.isoformat(),
        "events_up_to": fleet.watermark.sequence,
    }
    return IncidentChange(IncidentKind.UPDATE_DEPARTURE, subject, fleet.until, summary, detail)


def departures(fleet: FleetSignals, charger: ChargerSignals, rule: SoakRule) -> tuple[str, ...]:
    """Every way in which it departs from its own normal, in words."""
    if charger.baseline_heard_hours < rule.known_hours:
        return ()
    tries = _shares(fleet, charger, rule)
    looks = max(1, round(rule.soak / fleet.hour))
    alpha = rule.false_alarms / looks / (len(_RATES) + len(tries))
    told = [_rate(name, what, charger, rule, alpha) for name, what in _RATES.items()]
    told += [_share(each, alpha) for each in tries]
    told += [_fact(name, what, charger) for name, what in _FACTS.items()]
    return tuple(filter(None, [*told, _clock(charger, rule)]))


def _rate(name: str, what: str, charger: ChargerSignals, rule: SoakRule, alpha: float) -> str:
    count, before = getattr(charger.window, name), getattr(charger.baseline, name)
    hours, hours_before = charger.heard_hours, charger.baseline_heard_hours
    if count < rule.at_least or not hours:
        return ""
    usual = before * hours / hours_before
    if count < rule.times * usual or at_least_of_poisson(count, hours, before, hours_before) > alpha:
        return ""
    return f"{count} {what} in {hours} hours, usual {usual:.1f}"


def _shares(fleet: FleetSignals, charger: ChargerSignals, rule: SoakRule) -> Sequence[_Tries]:
    now, before = charger.window, charger.baseline
    hours = round((fleet.until - fleet.since) / fleet.hour)
    hours_before = round((fleet.since - fleet.baseline_since) / fleet.hour)
    unheard, unheard_before = hours - charger.heard_hours, hours_before - charger.baseline_heard_hours

    def share(what: str, bad: str, tries: str, points: float = rule.points) -> _Tries:
        return _Tries(what, *_both(now, bad, tries), *_both(before, bad, tries), points)

    return (
        share("sessions without energy", "attempts_failed", "attempts_known"),
        share("abnormal stops", "abnormal_stops", "stops"),
        share("unanswered probes", "probes_unanswered", "probes"),
        share("sessions lost at a restart", "lost_at_boot", "open_at_boot"),
        share("errors", "errors", "messages", rule.points / 10),
        _Tries("hours without a word", unheard, hours, unheard_before, hours_before, 0.5),
    )


def _both(hour: HealthHour, bad: str, tries: str) -> tuple[int, int]:
    made = {
        "attempts_known": hour.attempts_ok + hour.attempts_failed,
        "probes_unanswered": hour.probes - hour.probes_answered,
        "lost_at_boot": hour.open_at_boot - hour.closed_after_boot,
    }
    # A loss may be made good in a later hour than it was counted in, and errors come without messages.
    wrong = max(0, made.get(bad, getattr(hour, bad, 0)))
    return wrong, max(wrong, made.get(tries, getattr(hour, tries, 0)))


def _share(given: _Tries, alpha: float) -> str:
    if given.tries <= 0 or given.tries_before <= 0:
        return ""
    usual = given.bad_before / given.tries_before
    if given.bad / given.tries < usual + given.points:
        return ""
    total, wrong = given.tries + given.tries_before, given.bad + given.bad_before
    if at_least_of_drawn(given.bad, given.tries, wrong, total) > alpha:
        return ""
    return f"{given.bad} {given.what} of {given.tries}, usual {usual:.0%}"


def _fact(name: str, what: str, charger: ChargerSignals) -> str:
    count = getattr(charger.window, name)
    return f"{count} {what}, never before" if count and not getattr(charger.baseline, name) else ""


def _clock(charger: ChargerSignals, rule: SoakRule) -> str:
    now, before = charger.window.skew_min_s, charger.baseline.skew_min_s
    if now is None or before is None or now <= rule.skew_s or before > rule.skew_s:
        return ""
    return f"its clock is off by {now:.0f} s, and was by {before:.0f} s"


def at_least_of_poisson(count: int, hours: float, before: int, hours_before: float) -> float:
    """The chance of so many in ``hours`` or more, if all came at one rate: a binomial's upper tail."""
    total, share = count + before, hours / (hours + hours_before)
    if count <= 0:
        return 1.0

    def term(k: int) -> float:
        return _choose(total, k) + k * log(share) + (total - k) * log(1 - share)

    return min(1.0, sum(exp(term(k)) for k in range(count, total + 1)))


def at_least_of_drawn(bad: int, drawn: int, all_bad: int, total: int) -> float:
    """The chance of so many bad ones or more among those drawn: the hypergeometric's upper tail."""
    if bad <= 0:
        return 1.0

    def term(k: int) -> float:
        return _choose(all_bad, k) + _choose(total - all_bad, drawn - k) - _choose(total, drawn)

    return min(1.0, sum(exp(term(k)) for k in range(bad, min(drawn, all_bad) + 1)))


def _choose(n: int, k: int) -> float:
    """The logarithm; of nothing that can be, minus infinity."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1) if 0 <= k <= n else float("-inf")
