# long-file: every look at many chargers, which share how they page and what they remember
"""Activities that look at many chargers at once, and move many targets at once."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from temporalio import activity

from activities.availability import before_us
from activities.circumstances import Openings, Outlook, Surroundings, circumstances_of
from activities.conclusion import owes
from activities.errors import mapped
from activities.facts import (
    Entry,
    GroupFacts,
    LocalFacts,
    ShardFacts,
    SiteFacts,
    Situation,
    WaveFacts,
    artifact_facts,
    group_of,
    situation_of,
)
from activities.fetch_facts import Ahead, ahead_of, is_frozen, uplink_left
from activities.parking import did_not_wait
from activities.steadiness import staying
from activities.stores import Stores
from storage.campaign import (
    ATTEMPTED,
    REHEARSAL_WAVE,
    ROLLBACK_WAVE_BASE,
    Campaign,
    CampaignPlan,
    Outcome,
    Target,
    TargetPhase,
    WaveTally,
    goes_back,
)
from storage.charger import ModelProfile, Site
from storage.errors import NotFound
from storage.kept import OWED
from storage.listening import breaks
from storage.parked import Parked
from storage.ports import ChargerView
from storage.upkeep import Claimant

SAMPLE = 2000
"""At most so many chargers per group are looked at by a gate; waves are random, so any are as good."""

_SITES_FRESH = timedelta(seconds=60)
_OF_THE_ATTEMPTED = {
    Outcome.ALREADY_CURRENT: Outcome.UPDATED,
    Outcome.SKIPPED: Outcome.FAILED,
    Outcome.UPDATED: Outcome.UPDATED,
}
"""What an outcome without an attempt is called after one."""
_WITHOUT_PROOF = frozenset(Outcome) - {Outcome.UPDATED, Outcome.ALREADY_CURRENT}
_SENT = (TargetPhase.DISPATCHED, TargetPhase.CONFIRMING)
_PAGE = 1000
_KEPT = 8
"""Campaigns whose plan is remembered."""
_WAVES_KNOWN = 1000
_ALL = 1_000_000

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class ShardQuery:
    """A range of ordinals of one wave."""

    campaign_id: str
    wave: int
    first: int
    count: int
    deadline: datetime | None = None
    """Of the wave."""


@dataclass(frozen=True, slots=True)
class TargetMoves:
    """Many targets at once: who waits and why, who is done and how."""

    campaign_id: str
    wave: int
    waiting: tuple[tuple[str, str, bool], ...] = ()
    """(charger, reason, because of a session)."""
    done: tuple[tuple[str, Outcome, str], ...] = ()
    """(charger, outcome, reason)."""


@dataclass(frozen=True, slots=True)
class WaveQuery:
    """One wave of one campaign."""

    campaign_id: str
    wave: int


@dataclass(frozen=True, slots=True)
class AttemptsQuery:
    """One wave of one campaign, and what its workflow knows of it."""

    campaign_id: str
    wave: int
    failed: int = 0
    """Chargers whose attempt failed, those that wait for a repetition included."""


class FleetActivities:
    """Measures fleets; opinions are the workflows'."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._sites: dict[str, Site] = {}
        self._sites_at: datetime | None = None
        self._campaigns: dict[str, Campaign] = {}
        self._surroundings = Surroundings(stores.chargers, stores.upkeep)
        self._deadlines: dict[tuple[str, int], datetime] = {}

    @activity.defn
    @mapped
    async def measure_attempts(self, given: AttemptsQuery) -> int:
        """To how many chargers of a wave something was sent, those under way included."""
        tallies = await self._stores.campaigns.tallies(given.campaign_id)
        return sum(_attempts(tally, given.failed) for tally in tallies if tally.wave == given.wave)

    @activity.defn
    @mapped
    async def measure_eligibility(self, given: ShardQuery) -> ShardFacts:
        """The situation of every target of a shard that is not done."""
        stores = self._stores
        targets = await stores.campaigns.targets(given.campaign_id, given.wave, given.first, given.count)
        await self._note_wave(given)
        if not targets:
            raise NotFound("wave with targets", f"{given.campaign_id}/{given.wave}")
        artifact = await stores.artifacts.get(targets[0].artifact_id)
        book = _ModelBook(stores, artifact.vendor_role)
        sites, situations, nodes = _Places[str](), _Places[Situation](), _Places[tuple[str, str]]()
        views = await self._views(target for target in targets if target.phase is not TargetPhase.DONE)
        ours = await self._down_through_us(views)
        campaign = await self._campaign(given.campaign_id)
        outlook = await self._outlook(campaign, views, artifact.length, given.wave)
        ahead = await ahead_of(stores, campaign, given.wave, views)
        entries = []
        routes = await stores.routes.resolve_all([view.charger.charger_id for view in views])
        # Who is down already comes first: it needs no more room at its site, and then gives it back.
        for view in sorted(views, key=lambda view: view.charger.charger_id not in ours):
            situation = await book.situation(view, outlook, ahead)
            # Only of a charger that may be about to be sent to.
            away = not situation.online or situation.maintenance or (situation.busy and not situation.ahead)
            route = None if away else routes.get(view.charger.charger_id)
            entries.append(
                Entry(
                    charger_id=view.charger.charger_id,
                    site=sites.of(view.charger.site_id),
                    situation=situations.of(situation),
                    node=nodes.of((route.node_id, route.boot_id)) if route else -1,
                    session_epoch=route.session_epoch if route else 0,
                    out_of_service=await before_us(stores.out_of_service, view),
                )
            )
        stays = await self._staying(campaign.plan, targets, views, artifact.version)
        return ShardFacts(
            artifact=artifact_facts(artifact),
            sites=await self._site_facts(sites.items(), Counter(ours.values()), campaign.plan, outlook),
            situations=situations.items(),
            nodes=nodes.items(),
            entries=tuple(entries),
            replaces=targets[0].from_version if goes_back(given.wave) else None,
            takes=campaign.plan.pace.attempt_deadline_seconds,
            recalled=tuple(
                (target.charger_id, target.recalled)
                for target in targets
                if target.recalled and target.phase is not TargetPhase.DONE
            ),
            parked=ahead.facts,
            local=await self._controllers(given, sites.items()),
            staying=stays,
            back_at=await self._back_at(campaign.plan.pace.attempt_deadline_seconds) if stays else None,
            signals_late=round(await stores.events.signals_late(), 1),
        )

    async def _staying(
        self, plan: CampaignPlan, targets: Sequence[Target], views: Sequence[ChargerView], version: str
    ) -> tuple[tuple[str, datetime | None], ...]:
        """Who waits and runs the version through us counts once it stays up; others ran it before.

        On a way back it is through us whatever was sent there: it had the version that goes.
        """
        seconds, waiting = plan.pace.steady_seconds, {one.charger_id: one for one in targets if _waits(one)}
        there = [
            view
            for view in views
            if view.charger.charger_id in waiting
            and view.twin.firmware is not None
            and view.twin.firmware.version == version
        ]
        if seconds is None or not there:
            return ()
        parked = await self._stores.parked.of([view.charger.charger_id for view in there])
        ours = [
            view
            for view in there
            if waiting[view.charger.charger_id].dispatched_at is not None
            or goes_back(waiting[view.charger.charger_id].wave)
            or _is_for(parked.get(view.charger.charger_id), waiting[view.charger.charger_id])
        ]
        return await staying(self._stores, ours, seconds)

    async def _back_at(self, seconds: float) -> datetime | None:
        """When the last break within so long was over; now, if it is not."""
        now = self._stores.clock()
        since = now - timedelta(seconds=seconds)
        found = breaks(await self._stores.routes.listened(since), since)
        return found[-1].ends(now) if found else None

    async def _campaign(self, campaign_id: str) -> Campaign:
        """Its plan, priority and age, which never change; read once."""
        if campaign_id not in self._campaigns:
            self._campaigns[campaign_id] = await self._stores.campaigns.get(campaign_id)
            while len(self._campaigns) > _KEPT:
                self._campaigns.pop(next(iter(self._campaigns)))
        return self._campaigns[campaign_id]

    async def _outlook(
        self, campaign: Campaign, views: Sequence[ChargerView], length: int, wave: int
    ) -> Outlook:
        await self._fresh_sites()
        plan = campaign.plan
        claimant = Claimant(campaign.campaign_id, plan.rank, campaign.created_at, plan.after)
        found = await self._surroundings.outlook(
            plan,
            claimant,
            views,
            self._sites,
            self._stores.clock(),
            wave=wave,
        )
        there = {view.charger.site_id for view in views}
        rooms = await self._surroundings.rooms([site for name, site in self._sites.items() if name in there])
        return replace(found, rooms=rooms, length=length)

    async def _note_wave(self, given: ShardQuery) -> None:
        """Until when it may last; written when it begins, and when a pause has moved it."""
        key = given.campaign_id, given.wave
        if given.deadline is None or self._deadlines.get(key) == given.deadline:
            return
        await self._stores.campaigns.note_wave(*key, given.deadline)
        while len(self._deadlines) >= _WAVES_KNOWN:
            del self._deadlines[next(iter(self._deadlines))]
        self._deadlines[key] = given.deadline

    async def _down_through_us(self, views: Sequence[ChargerView]) -> dict[str, str]:
        """Connected chargers of these that we left out of service, each with its site."""
        names = {view.charger.charger_id for view in views}
        stranded = await self._stores.out_of_service.stranded(limit=_ALL)
        return {row.charger_id: row.site_id for row in stranded if row.charger_id in names}

    async def _site_facts(
        self, site_ids: Sequence[str], ours: Counter[str], plan: CampaignPlan, outlook: Outlook
    ) -> tuple[SiteFacts, ...]:
        """``ours``: how many of a site's chargers are down and waiting in this very shard."""
        now = self._stores.clock()
        down = await self._stores.leases.down(site_ids)
        openings = Openings(plan, await self._surroundings.closures(now))
        found = []
        for site_id in site_ids:
            site = self._sites.get(site_id) or Site(site_id, site_id, "")
            opening = openings.of(site, now)
            away = max(0, down.get(site_id, 0) - ours[site_id])
            found.append(
                SiteFacts(
                    site_id,
                    away,
                    site.max_down,
                    opening.closed,
                    opening.opens_at,
                    is_frozen(openings.closures(site_id), now),
                    uplink_left(site, (outlook.rooms or {}).get(site_id), outlook.length),
                )
            )
        return tuple(found)

    async def _controllers(self, given: ShardQuery, site_ids: Sequence[str]) -> tuple[LocalFacts, ...]:
        """Nothing is read where no site has one. A way back waits for nobody else's download."""
        if given.wave >= REHEARSAL_WAVE:
            return ()
        found = {name: self._sites[name].rules.local_controller for name in site_ids if name in self._sites}
        controllers = {name: controller for name, controller in found.items() if controller}
        if not controllers:
            return ()
        images = await self._stores.publications.of_wave(given.campaign_id, given.wave, controllers.keys())
        standing = {image.site_id: (image.state, image.deadline) for image in images}
        return tuple(
            LocalFacts(name, controller, *standing.get(name, ()))
            for name, controller in sorted(controllers.items())
        )

    async def _fresh_sites(self) -> None:
        now = self._stores.clock()
        if self._sites_at is None or now - self._sites_at > _SITES_FRESH:
            self._sites = {site.site_id: site for site in await self._stores.chargers.sites()}
            self._sites_at = now

    @activity.defn
    @mapped
    async def move_targets(self, given: TargetMoves) -> None:
        """Write who waits and why, and who is done without an attempt."""
        campaigns, now = self._stores.campaigns, self._stores.clock()
        if given.waiting:
            moves = [(name, TargetPhase.WAITING, reason, session) for name, reason, session in given.waiting]
            await campaigns.move_targets(given.campaign_id, given.wave, moves)
        for name, outcome, reason in given.done:
            word = await self._last_word(given, name, outcome, reason)
            await campaigns.finish_target(given.campaign_id, given.wave, name, *word, now)

    async def _last_word(
        self, given: TargetMoves, name: str, outcome: Outcome, reason: str
    ) -> tuple[Outcome, str]:
        """One to which something was sent was attempted, whoever remembers it (R37).

        Where it counts by this look alone, its reason says what nobody has asked it (X9).
        """
        if outcome not in _OF_THE_ATTEMPTED:
            return outcome, reason
        target = await self._stores.campaigns.target(given.campaign_id, given.wave, name)
        early = outcome is Outcome.ALREADY_CURRENT and await did_not_wait(self._stores, target)
        if early or target.dispatched_at is not None:
            outcome = _OF_THE_ATTEMPTED[outcome]
        owed = await owes(self._stores, target, outcome)
        return outcome, f"{reason}; {OWED}" if owed else reason

    @activity.defn
    @mapped
    async def measure_wave(self, given: WaveQuery) -> WaveFacts:
        """What a gate looks at: outcomes of the wave, health of the updated and of the control group."""
        campaigns = self._stores.campaigns
        wave = await campaigns.targets(given.campaign_id, given.wave, 0, _ALL)
        tally: defaultdict[Outcome | None, int] = defaultdict(int)
        for target in wave:
            tally[target.outcome if target.phase is TargetPhase.DONE else None] += 1
        treated, control = await self._groups(given, wave)
        return WaveFacts(
            wave=given.wave,
            total=len(wave),
            unfinished=tally[None] + await self._undecided(wave),
            updated=tally[Outcome.UPDATED],
            already_current=tally[Outcome.ALREADY_CURRENT],
            failed=tally[Outcome.FAILED],
            silent=tally[Outcome.SILENT],
            deferred=tally[Outcome.DEFERRED],
            skipped=tally[Outcome.SKIPPED],
            cancelled=tally[Outcome.CANCELLED],
            reverted=await self._reverted(given, wave),
            recovered=await self._running(wave),
            treated=await self._health(treated, restarted=True),
            control=await self._health(control),
        )

    async def _groups(self, given: WaveQuery, wave: Sequence[Target]) -> tuple[list[Target], list[Target]]:
        """The updated of this wave and before, and those whose turn has not come. At most SAMPLE each."""
        treated = [target for target in wave if target.outcome is Outcome.UPDATED][:SAMPLE]
        control: list[Target] = []
        if given.wave >= REHEARSAL_WAVE:
            return treated, control
        left_back = await self._left_back(given.campaign_id)
        for other in await self._forward_waves(given.campaign_id):
            if other < given.wave and len(treated) < SAMPLE:
                earlier = await self._stores.campaigns.targets(given.campaign_id, other, 0, SAMPLE)
                updated = [target for target in earlier if target.outcome is Outcome.UPDATED]
                treated += [target for target in updated if target.charger_id not in left_back]
            elif other > given.wave and len(control) < SAMPLE:
                later = await self._stores.campaigns.targets(given.campaign_id, other, 0, SAMPLE)
                control += [target for target in later if target.phase is not TargetPhase.DONE]
        return treated[:SAMPLE], control[:SAMPLE]

    async def _left_back(self, campaign_id: str) -> frozenset[str]:
        """Canaries that a rehearsal took back and that run the former version: they tell of that one."""
        targets = await self._stores.campaigns.targets(campaign_id, REHEARSAL_WAVE, 0, _ALL)
        taken = {target.charger_id: target for target in targets if target.dispatched_at is not None}
        return frozenset(
            view.charger.charger_id
            for view in await self._views(taken.values())
            if view.twin.firmware and view.twin.firmware.version == taken[view.charger.charger_id].to_version
        )

    async def _forward_waves(self, campaign_id: str) -> list[int]:
        tallies = await self._stores.campaigns.tallies(campaign_id)
        return sorted(tally.wave for tally in tallies if tally.wave < REHEARSAL_WAVE)

    async def _running(self, wave: Sequence[Target]) -> int:
        """How many of the wave that have no proof of an update report its version now."""
        chosen = {target.charger_id: target for target in wave if target.outcome in _WITHOUT_PROOF}
        told = await self._told(chosen)
        return sum(told[name] == target.to_version for name, target in chosen.items())

    async def _undecided(self, wave: Sequence[Target]) -> int:
        """Who was sent the update while we came and went, and does not run its version now.

        Deferred, as nobody knows what became of them; a gate that took them for untried would pass without
        data.
        """
        deferred = [target for target in wave if target.outcome is Outcome.DEFERRED]
        chosen = {target.charger_id: target for target in deferred if target.dispatched_at is not None}
        told = await self._told(chosen) if chosen else {}
        return sum(told[name] != target.to_version for name, target in chosen.items())

    async def _reverted(self, given: WaveQuery, wave: Sequence[Target]) -> int:
        """How many of the updated report another version now, unless another campaign brought them that.

        Or were found otherwise than they were, once somebody could compare (X9); but for a way back, which
        is over where they run its version.
        """
        chosen = {target.charger_id: target for target in wave if target.outcome is Outcome.UPDATED}
        told = await self._told(chosen)
        left = {
            name: told[name]
            for name, target in chosen.items()
            if told[name] not in (None, target.to_version)  # not read yet: it says nothing of either
        }
        fell = left.keys() - await self._brought_elsewhere(chosen, left)
        if given.wave >= ROLLBACK_WAVE_BASE:
            return len(fell)
        spoilt = await self._stores.kept.spoilt(given.campaign_id, given.wave)
        return len(fell | (spoilt & chosen.keys()))

    async def _brought_elsewhere(
        self, ours: Mapping[str, Target], told: Mapping[str, str | None]
    ) -> set[str]:
        """Who runs what another campaign sent them once ours was through with them."""
        brought: set[str] = set()
        names = sorted(told)
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            since = min((at for name in page if (at := ours[name].finished_at)), default=None)
            if since is None:
                continue
            campaign_id = ours[page[0]].campaign_id
            for row in await self._stores.campaigns.sent_elsewhere(campaign_id, page, since):
                ended, sent = ours[row.charger_id].finished_at, row.dispatched_at
                after = ended is not None and sent is not None and sent >= ended
                if after and row.to_version == told[row.charger_id]:
                    brought.add(row.charger_id)
        return brought

    async def _told(self, chosen: Mapping[str, Target]) -> dict[str, str | None]:
        """The version that each of them told last; None: it is not read yet."""
        told: dict[str, str | None] = dict.fromkeys(chosen)
        for view in await self._views(chosen.values()):
            firmware = view.twin.firmware
            told[view.charger.charger_id] = firmware.version if firmware else None
        return told

    @activity.defn
    @mapped
    async def measure_cohort(self, campaign_id: str) -> GroupFacts:
        """The health of the cohort before anything is sent: the baseline. At most SAMPLE chargers."""
        cohort: list[Target] = []
        for wave in await self._forward_waves(campaign_id):
            cohort += await self._stores.campaigns.targets(campaign_id, wave, 0, SAMPLE - len(cohort))
            if len(cohort) >= SAMPLE:
                break
        return await self._health(cohort)

    async def _health(self, targets: Sequence[Target], *, restarted: bool = False) -> GroupFacts:
        live = await self._stores.routes.live([target.charger_id for target in targets])
        return group_of(await self._views(targets), live, self._stores.clock(), restarted=restarted)

    async def _views(self, targets: Iterable[Target]) -> list[ChargerView]:
        names = [target.charger_id for target in targets]
        views: list[ChargerView] = []
        for start in range(0, len(names), _PAGE):
            views += await self._stores.chargers.views(names[start : start + _PAGE])
        return views


def _attempts(tally: WaveTally, failed: int) -> int:
    """A charger under way counts, too: its failure would be known before its success.

    One that failed and waits for a repetition has no outcome and nothing under way; it was attempted.
    """
    under_way = sum(tally.by_phase.get(phase.value, 0) for phase in _SENT)
    updated = tally.by_outcome.get(Outcome.UPDATED.value, 0)
    ended = sum(tally.by_outcome.get(outcome.value, 0) for outcome in ATTEMPTED)
    return under_way + updated + max(failed, ended - updated)


def _waits(target: Target) -> bool:
    """It is open, and no attempt is under way."""
    return target.phase is not TargetPhase.DONE and target.phase not in _SENT


def _is_for(parked: Parked | None, target: Target) -> bool:
    return parked is not None and (parked.campaign_id, parked.wave) == (target.campaign_id, target.wave)


class _Places(Generic[T]):
    """Values once each, by the place at which they were first seen."""

    def __init__(self) -> None:
        self._places: dict[T, int] = {}

    def of(self, item: T) -> int:
        return self._places.setdefault(item, len(self._places))

    def items(self) -> tuple[T, ...]:
        return tuple(self._places)


class _ModelBook:
    """Profiles and release counters, each read once per measurement."""

    def __init__(self, stores: Stores, vendor_role: str) -> None:
        self._stores = stores
        self._vendor_role = vendor_role
        self._profiles: dict[tuple[str, str], ModelProfile] = {}
        self._counters: dict[str, int | None] = {}

    async def situation(self, view: ChargerView, outlook: Outlook, ahead: Ahead) -> Situation:
        firmware = view.twin.firmware
        counter = await self._counter(firmware.version) if firmware and firmware.version else None
        profile = await self._profile(view.charger.vendor, view.charger.model)
        around = circumstances_of(view, outlook, profile)
        found = situation_of(view, profile, counter, outlook.now, around)
        return replace(found, ahead=True) if ahead.may(view, profile, found) else found

    async def _profile(self, vendor: str, model: str) -> ModelProfile:
        if (vendor, model) not in self._profiles:
            profile = await self._stores.chargers.model(vendor, model)
            self._profiles[vendor, model] = profile or ModelProfile(vendor, model)
        return self._profiles[vendor, model]

    async def _counter(self, version: str) -> int | None:
        if version not in self._counters:
            installed = await self._stores.artifacts.by_version(self._vendor_role, version)
            self._counters[version] = installed.release_counter if installed else None
        return self._counters[version]
