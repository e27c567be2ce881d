"""When is a site dark? Pure: what its sockets told in, one outage for the whole site out.

Most chargers of a site lost within a short time have one cause: power, or the way to us. One charger
that drops is its own affair, and chargers whose node died are not lost: nobody saw their sockets close.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.incident import IncidentChange, IncidentKind
from storage.watching import SiteLoss


@dataclass(frozen=True, slots=True)
class OutageRule:
    """What makes an outage. All defaults are proposals, to be tuned on a fleet."""

    share: float = 0.6
    """Of the site's chargers that must be lost."""
    at_least: int = 2
    within: timedelta = timedelta(minutes=5)
    """They were lost within so long of each other."""
    after: timedelta = timedelta(seconds=60)
    """They are gone for so long: a node that restarts loses its chargers for less."""


def judge(
    site: SiteLoss, dark: frozenset[str] | None, rule: OutageRule, now: datetime
) -> IncidentChange | None:
    """Open an outage, close it, or let things be.

    ``dark``: the chargers of the outage that is open; None: there is none. It closes once half of them
    are back. Chargers that were away long before count neither for nor against a new one.
    """
    subject = f"site/{site.site_id}"
    if dark is not None:
        still = dark & {name for name, _ in site.lost}
        over = len(still) * 2 <= len(dark)
        return IncidentChange(IncidentKind.SITE_OUTAGE, subject, now, close=True) if over else None
    together = _together([at for _, at in site.lost if now - at >= rule.after], rule.within)
    there_before = site.total - len(site.lost) + len(together)
    if len(together) < max(rule.at_least, there_before * rule.share):
        return None
    first, last = together[0], together[-1]
    names = sorted(name for name, at in site.lost if first <= at <= last)
    summary = f"{len(names)} of {site.total} chargers at {site.site_id} were lost within {last - first}"
    detail = {"chargers": names, "total": site.total, "since": first.isoformat()}
    return IncidentChange(IncidentKind.SITE_OUTAGE, subject, now, summary, detail)


def _together(moments: Sequence[datetime], within: timedelta) -> list[datetime]:
    """The largest group of moments that lie so close together."""
    ordered, best = sorted(moments), list[datetime]()
    for place, first in enumerate(ordered):
        group = [at for at in ordered[place:] if at - first <= within]
        best = max(best, group, key=len)
    return best
