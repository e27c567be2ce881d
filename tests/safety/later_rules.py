"""The referee's rules about images that come before their install, and about what others are at.

Fetched ahead (R20), offered by a local controller (L03), after another campaign (R32), on one feeder (X4).
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from csms.commands import PublishFirmware, UpdateFirmware
from storage.campaign import (
    REHEARSAL_WAVE,
    ROLLBACK_WAVE_BASE,
    UNDER_WAY,
    CampaignPhase,
    Outcome,
    Target,
    TargetPhase,
    VerdictWord,
)
from storage.parked import DOWNLOAD
from storage.windows import ClosureKind
from tests.safety.station import Station
from tests.safety.wires import LONGEST_BACKOFF_S

if TYPE_CHECKING:
    from tests.safety.referee import Referee

MINUTE_S = 60.0
LOOKED_S = 5.0
"""So long ago it was looked at, at the most, what is done now rests on."""
LONG_AFTER = timedelta(days=300)
"""An install that is told for then comes in no campaign."""
SENT_LATE_S = 120.0
"""An attempt begins before its order leaves: it may have been tried over several sessions."""
DIALS_S = 20.0
UNNOTICED_S = 20.0
"""Nodes that are away for less may only be slow: three of their marks may be late, one every 5 s."""
_OURS = "/d/"
_PROVEN = frozenset({Outcome.UPDATED, Outcome.ALREADY_CURRENT})


def fetch_left(referee: "Referee", station: Station, command: UpdateFirmware) -> None:
    """An order to fetch now and to install never: cars may be there, everything else holds."""
    name, now = station.name, referee.loop.instant()
    referee.seen["told to fetch ahead"] += 1
    if command.install_at is not None and command.install_at < now + LONG_AFTER:
        referee.broken("told to install too soon", f"{name}: {command.install_at:%H:%M:%S}")
    row = referee.books.parked.rows.get(name)
    if row is None or row.request_id != command.request_id:
        referee.broken("sent for nobody", f"{name}: nothing is to be parked under {command.request_id}")
        return
    target = referee.books.campaigns.target_rows[row.campaign_id, row.wave, name]
    if target.wave >= REHEARSAL_WAVE:
        referee.broken("sent for nobody", f"{name}: wave {target.wave} fetches nothing ahead")
    if any(one.kind is ClosureKind.FREEZE for one in _closures(referee)):
        referee.broken("sent while its site is closed", f"{name}: a freeze forbids downloads, too")
    lease = referee.books.leases.rows.get(name)
    if lease is None or lease.kind != DOWNLOAD:
        referee.broken("sent without its lease", name)
    referee.fetched[target.campaign_id, name] = referee.loop.time()
    referee.check_order(station, command, target)


def stays_up(referee: "Referee", station: Station) -> None:
    """Whoever has to stay up before it counts does not go down by itself under a car once it counts."""
    rows = [row for row in referee.books.campaigns.target_rows.values() if row.charger_id == station.name]
    done = [row for row in rows if row.finished_at is not None]
    last = max(done, key=lambda row: row.finished_at or referee.loop.instant(), default=None)
    if referee.steady_seconds and last is not None and last.outcome is Outcome.UPDATED:
        referee.broken("crashed after it had stayed up", f"{station.name}: {last.reason}")


def gives_back(referee: "Referee", station: Station, since: float) -> None:
    """Whoever was sent an order while it was out of service comes back once it has stayed up.

    ``since``: when it was taken out. One to which nothing was sent is as it was before.
    """
    boots = [at for at, _ in station.booted_with if at > since]
    told = referee.last_order(station.name)
    if not referee.steady_seconds or not boots or told is None or told < since:
        return
    referee.seen["came back after it had stayed up"] += 1
    lasted = referee.loop.time() - boots[-1]
    if lasted < referee.steady_seconds:
        referee.broken("put back before it stayed up", f"{station.name}: {lasted:.1f} s after its last boot")


def lasts(referee: "Referee", station: Station, since: float, reason: str) -> None:
    """Whoever counts as updated has stayed up; a boot of this very moment may not be known yet.

    ``since``: when the first order left.
    """
    if not referee.steady_seconds:
        return
    now = referee.loop.time()
    boots = [at for at, _ in station.booted_with if since < at <= now - LOOKED_S]
    if not boots or now - boots[-1] < referee.steady_seconds:
        last = f"{now - boots[-1]:.1f} s after a boot" if boots else "at its first boot"
        referee.broken("counted before it stayed up", f"{station.name}: {last}, {reason}")


def installs_in_time(referee: "Referee", target: Target) -> None:
    """An order to install: not while the site is closed, whatever the charger has fetched already."""
    for one in _closures(referee):
        referee.broken("sent while its site is closed", f"{target.charger_id}: {one.kind.value}")
    row = referee.books.parked.rows.get(target.charger_id)
    if row is not None and row.campaign_id == target.campaign_id:
        referee.seen["installed what was fetched ahead"] += 1


def _closures(referee: "Referee") -> list[object]:
    """Those that hold, and were there when it was looked at."""
    now = referee.loop.instant()
    known = now - timedelta(seconds=LOOKED_S)
    return [one for one in referee.books.upkeep.closed.values() if one.begins <= known and now < one.ends]


def follows(referee: "Referee", target: Target) -> None:
    """Only who proved the campaign that comes first, past its gate, and is not being taken back."""
    after = referee.books.campaigns.rows[target.campaign_id].plan.after
    if after is None or target.wave >= ROLLBACK_WAVE_BASE:
        return
    referee.seen["followed another campaign"] += 1
    name = target.charger_id
    rows = [
        row
        for row in referee.books.campaigns.target_rows.values()
        if (row.campaign_id, row.charger_id) == (after, name)
    ]
    proven = [row.wave for row in rows if row.outcome in _PROVEN and row.wave < ROLLBACK_WAVE_BASE]
    if not proven:
        referee.broken("sent before its predecessor", f"{name}: {after} did not prove it there")
    elif not _passed(referee, after, min(proven)):
        referee.broken("sent before its predecessor", f"{name}: no gate of {after} let wave {proven} pass")
    if any(row.wave >= ROLLBACK_WAVE_BASE for row in rows):
        referee.broken("sent before its predecessor", f"{name}: {after} takes it back")


def _passed(referee: "Referee", campaign_id: str, wave: int) -> bool:
    books = referee.books
    if books.campaigns.rows[campaign_id].phase is CampaignPhase.COMPLETED:
        return True
    about = f"campaign/{campaign_id}"
    by_hand = any(
        row.subject == about and "let wave" in str(row.detail.get("reason")) for row in books.audit.rows
    )
    return by_hand or any(
        (one.campaign_id, one.wave, one.kind, one.verdict) == (campaign_id, wave, "gate", VerdictWord.PROCEED)
        for one in books.campaigns.decision_rows
    )


def offered(referee: "Referee", command: UpdateFirmware, target: Target) -> None:
    """An address that is not ours is one that its site's controller gave for this very version."""
    if _OURS in command.location:
        return
    referee.seen["sent to a local controller"] += 1
    here = [one for one in referee.controllers.values() if one.nature.site == target.site_id]
    given = {place: version for one in here for place, version in one.announced.items()}
    if given.get(command.location) != target.to_version:
        referee.broken("sent to an address that nobody offered", f"{target.charger_id}: {command.location}")
    if target.attempt > 1 or target.wave >= REHEARSAL_WAVE:
        referee.broken(
            "sent to an address that nobody offered", f"{target.charger_id}: not at the first attempt"
        )


def publish_left(referee: "Referee", command: PublishFirmware) -> None:
    """An order to a local controller: as for every sender, a stop reaches it."""
    rows = referee.books.publications.rows.values()
    row = next(row for row in rows if row.request_id == command.request_id)
    referee.seen["images published locally"] += 1
    if any(one.kind is ClosureKind.FREEZE for one in _closures(referee)):
        referee.broken(
            "sent while its site is closed", f"{row.controller_id}: a freeze forbids downloads, too"
        )
    target = next(
        one
        for one in referee.books.campaigns.target_rows.values()
        if (one.campaign_id, one.wave, one.site_id) == (row.campaign_id, row.wave, row.site_id)
    )
    referee.check_stop(replace(target, charger_id=row.controller_id))


def fed(referee: "Referee") -> None:
    """What is away on the feeder and what came back within a minute is never more than it takes back."""
    if not referee.feeder_kw:
        return
    now = referee.loop.time()
    away = {name for site in referee.taken.values() for name in site}
    back = {name for name, at in referee.back.items() if now - at < MINUTE_S} - away
    kw = sum(referee.stations[name].nature.power_kw for name in away | back)
    referee.seen["load on the feeder"] += 1
    if kw > referee.feeder_kw:
        referee.broken(
            "feeder above its budget",
            f"{kw:g} kW of {referee.feeder_kw:g}: {sorted(away)} away, {sorted(back)} just back",
        )


def fell_back(referee: "Referee", before: Target, after: Target) -> bool:
    """Whether an update that had succeeded failed after all: it came up so, and runs the former version."""
    station = referee.stations[after.charger_id]
    named = f"{after.campaign_id}/"
    sent = [at for at, _, of in referee._sent[station.name] if of.startswith(named)]
    told = [version for at, version in station.booted_with if sent and at > sent[0]]
    as_written = (before.outcome, after.outcome) == (Outcome.UPDATED, Outcome.FAILED)
    back = station.version == after.fell_back_to == before.from_version and station.powered
    tried = after.to_version in told and after.fell_back_to in told
    if as_written and back and tried:
        referee.seen["fell back by itself"] += 1
    return as_written and back and tried


def nothing_parked(referee: "Referee", station: Station) -> None:
    """An image that nobody will install is called back, from whoever can be reached."""
    if station.parked is None or station.stubborn:
        return  # Whoever says no is asked again and again, and keeps it.
    rows = referee.books.campaigns.target_rows.values()
    if all(row.phase is TargetPhase.DONE for row in rows if row.charger_id == station.name):
        referee.broken("an image is left behind", f"{station.name}: {station.parked[1]}")


def charged(referee: "Referee", before: Target, after: Target) -> None:
    """Nobody is held to have been silent, or slow, who could not tell us: for as long as an attempt may take.

    Nor right after we are back, when it may not be connected again.
    """
    silent = after.outcome is Outcome.SILENT and before.outcome is None
    slow = before.phase in UNDER_WAY and after.phase not in UNDER_WAY and "did not boot with" in after.reason
    sent, now = referee.sent_first(after), referee.loop.time()
    if not (silent or slow) or sent is None:
        return
    referee.seen["held to be silent or slow"] += 1
    # One that has only begun is no more noticed than a short one.
    heard = [(begin, min(end, now)) for begin, end in referee.deaf]
    deaf = [(begin, end) for begin, end in heard if end > sent and end - begin > UNNOTICED_S]
    # What was due when we went away may be written down once we are back.
    judged = [now, *(begin for begin, _ in deaf if begin > sent)]
    if deaf and not any(_due(referee, sent, at, deaf) for at in judged):
        lost = sum(end - max(begin, sent) for begin, end in deaf)
        back = min(now - end for _, end in deaf)
        detail = (
            f"{after.charger_id}: {lost:.0f} of {now - sent:.0f} s nobody listened, back for {back:.0f} s"
        )
        referee.broken("charged for our own absence", f"{detail}: {after.reason}")


def _due(referee: "Referee", sent: float, at: float, deaf: Sequence[tuple[float, float]]) -> bool:
    """Whether an attempt had had its time by then, and after each absence the time to connect again."""
    before = [(max(begin, sent), end) for begin, end in deaf if end <= at]
    listened = at - sent - sum(end - begin for begin, end in before)
    needs = min(LONGEST_BACKOFF_S + DIALS_S, referee.attempt_seconds)
    back = min((at - end for _, end in before), default=needs)
    return listened >= referee.attempt_seconds - SENT_LATE_S and back >= needs
