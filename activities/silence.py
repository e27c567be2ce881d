"""What is known around a charger that is away, or that takes long: measured, not judged (X7, R23)."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from activities.facts import Sighting
from activities.silence_facts import SilenceFacts
from activities.stores import Stores
from storage.campaign import Target
from storage.charger import ChargerFilter
from storage.learned import (
    MIN_SAMPLES,
    LearnedProfile,
    Mark,
    Spread,
    Step,
    Trail,
    learn,
    limit_s,
    status_mark,
)
from storage.ports import ChargerView

TOGETHER = timedelta(minutes=3)
"""Sockets that were lost within this of each other were lost together."""
_LEARN_FROM = timedelta(days=180)
_FRESH = timedelta(minutes=10)
_TRAILS = 100
_NEIGHBOURS = 100
_FETCHING = (Step.COMMANDED, Step.DOWNLOADING)
"""While one of these is the last that was told, a charger can be asked anew: it has not begun to install."""


class Lessons:
    """What past updates of each model taught, read again after a while: waves ask for it often."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._known: dict[tuple[str, str], tuple[datetime, LearnedProfile]] = {}

    async def of(self, view: ChargerView) -> LearnedProfile:
        """Of this charger's model."""
        now, key = self._stores.clock(), (view.charger.vendor, view.charger.model)
        if key not in self._known or now - self._known[key][0] > _FRESH:
            trails = await self._stores.learned.trails(*key, since=now - _LEARN_FROM, limit=_TRAILS)
            self._known[key] = (now, learn(*key, trails))
        return self._known[key][1]


async def silence_of(stores: Stores, lessons: Lessons, view: ChargerView) -> SilenceFacts:
    """The neighbours of a charger that is away, and how long its model takes to restart."""
    link = view.twin.connectivity
    gone = link.since if link is not None and not link.online else view.last_message_at
    learned = await lessons.of(view)
    near, same_router = await _neighbours(stores, view)
    live = await stores.routes.live([each.charger.charger_id for each in near])
    away = [each for each in near if each.charger.charger_id not in live]
    return SilenceFacts(
        gone_at=gone,
        neighbours=len(near),
        away=len(away),
        together=sum(_lost_with(each, gone) for each in away),
        same_router=same_router,
        reboots=learned.reboot.samples if learned.reboot else 0,
        longest_reboot_s=learned.reboot.longest if learned.reboot else None,
    )


def trail_of(target: Target, sightings: Iterable[Sighting]) -> Trail | None:
    """What this attempt has shown by now; None: nothing was sent."""
    if target.dispatched_at is None:
        return None
    after = [one for one in sightings if one.at >= target.dispatched_at]
    marks = [status_mark(one.at, one.status) for one in after if one.status is not None]
    boots = [Mark(one.at, Step.BOOTED) for one in after if one.booted and not one.triggered]
    both = tuple(sorted(marks + boots, key=lambda mark: mark.at))
    return Trail(target.charger_id, target.dispatched_at, target.from_version, both)


def stuck_in(profile: LearnedProfile, trail: Trail, now: datetime) -> str:
    """The stage before the install in which it has been for longer than any of its model ever was."""
    if profile.succeeded < MIN_SAMPLES or any(mark.failed for mark in trail.marks):
        return ""
    firsts = trail.firsts()
    begun = [step for step in firsts if step is not Step.GONE]
    if any(step not in _FETCHING for step in begun):
        return ""
    last = begun[-1]
    for stage in profile.stages:
        spent = (now - trail.commanded_at).total_seconds() - firsts[last]
        if stage.begins is last and spent > limit_s(stage.seconds):
            return _slow(last, stage.seconds, spent)
    return ""


def _slow(last: Step, known: Spread, spent: float) -> str:
    return (
        f"{last.value} has lasted {spent:.0f} s; "
        f"the longest of {known.samples} of its model was {known.longest:.0f} s"
    )


async def _neighbours(stores: Stores, view: ChargerView) -> tuple[list[ChargerView], bool]:
    """Those behind the same router, or where that is not known those at the same site; none under work."""
    where = ChargerFilter(site_id=view.charger.site_id)
    page = await stores.chargers.find(where, limit=_NEIGHBOURS)
    near = [
        each
        for each in page.items
        if each.charger.charger_id != view.charger.charger_id
        and each.maintenance is None  # one that we sent away is no witness
        and each.twin.connectivity is not None
    ]
    router = _router(view)
    behind = [each for each in near if router and _router(each) == router]
    return (behind, True) if behind else (near, False)


def _router(view: ChargerView) -> str:
    link = view.twin.connectivity
    known = link.remote_address if link is not None else None
    return known if known is not None and known != "unknown" else ""


def _lost_with(view: ChargerView, gone: datetime | None) -> bool:
    link = view.twin.connectivity
    lost = link.since if link is not None and not link.online else view.last_message_at
    return gone is not None and lost is not None and abs(lost - gone) <= TOGETHER
