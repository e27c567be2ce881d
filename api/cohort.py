"""From a plan to its frozen cohort: read the fleet, let the pure planner judge, store what it froze."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from activities.circumstances import Outlook, Surroundings
from api.acts import audit
from api.errors import KeyReused
from api.ports import ApiServices
from signing.vendor_signature import valid_until
from storage.access import Principal
from storage.artifact import Artifact
from storage.campaign import (
    TERMINAL_CAMPAIGN_PHASES,
    Campaign,
    CampaignPhase,
    CampaignPlan,
    Edge,
    Exclusion,
)
from storage.canonical import digest
from storage.charger import ChargerFilter, ModelProfile
from storage.errors import InvalidInput, NotFound
from storage.health_time import REAL
from storage.ports import ChargerView
from storage.query.checker import condition_of
from storage.query.errors import QueryTooBroad
from storage.upkeep import Claimant
from storage.withdrawal import artifact_subject
from workflows import planning
from workflows.partial import changed, is_whole, where_read
from workflows.plan_options import query_problems

_PAGE = 500
_LETS_NOBODY_AWAY = "desired.power.group_max_down < 1"
_REASONS = 10
"""So many lines say why a plan reaches nobody."""


@dataclass(frozen=True, slots=True)
class CampaignDesk:
    """Plans and creates campaigns in one person's name."""

    services: ApiServices
    actor: Principal

    async def preview(self, plan: CampaignPlan, *, without: frozenset[str] = frozenset()) -> planning.Preview:
        """What the plan would do now, to all but some. Raises InvalidInput with every problem of the plan."""
        found = await self._judged(plan, without)
        query = plan.targets.query
        if query is not None and len(found.problems) == 1:
            condition_of(query)  # Where nothing else is wrong, it is shown at its place.
        found.check()
        return replace(found, warnings=(*found.warnings, *self._short_hours(plan)))

    async def reasons(self, plan: CampaignPlan) -> tuple[str, ...]:
        """Why a plan that could not be read whole cannot run, whatever stands where it could not."""
        return (await self._judged(plan)).problems

    async def _judged(self, plan: CampaignPlan, without: frozenset[str] = frozenset()) -> planning.Preview:
        artifact = await self._artifact(lambda: plan.artifact_id)
        rollback = await self._artifact(lambda: plan.rollback_artifact_id)
        views = await self._targeted(plan, without)
        now = self.services.clock()
        found = await asyncio.to_thread(
            planning.preview,
            plan,
            views,
            artifact,
            rollback,
            now,
            models=await self._models(views or ()),
            released=await self._released(artifact.vendor_role, views or ()) if artifact else None,
            proof_until=valid_until(artifact.vendor_signatures) if artifact else None,
            ground=await self._ground(plan, views or (), now),
        )
        if found.problems and views and len(found.exclusions) == len(views):
            found = replace(found, problems=(*found.problems, *_reasons(found.exclusions)))
        return found

    def _short_hours(self, plan: CampaignPlan) -> list[str]:
        """Who approves a policy of hours must know that they are none."""
        policy, time = plan.gate.health, self.services.watch.health.time
        if policy is None or time == REAL:
            return []
        hours, lived = policy.min_hours, time.span(policy.min_hours).total_seconds()
        sentence = (
            f"An hour of health lasts {time.seconds} s here (AMPWAVE_HEALTH_HOUR_S): {hours:g} hours of the "
            f"policy are {lived:g} s, which is for rehearsals only."
        )
        return [sentence]

    async def _ground(
        self, plan: CampaignPlan, views: Sequence[ChargerView], now: datetime
    ) -> planning.Ground:
        """What people, other campaigns and calendars say; queries that cannot be asked are the planner's."""
        services = self.services
        measure = Surroundings(services.chargers, services.upkeep)
        sites = {site.site_id: site for site in await services.chargers.sites()}
        ground = planning.Ground(
            outlook=Outlook(plan, now, sites=sites),
            closures=tuple(await measure.closures(now)),
            stopped=await self._stopped(plan),
            shut=await self._shut(views),
            time=services.watch.health.time,
            whole=False,
        )
        with where_read():
            first = await self._first(plan.after)
            waited = first is not None and first.phase not in TERMINAL_CAMPAIGN_PHASES
            ground = replace(
                ground,
                first_rank=first.plan.rank if first and waited else None,
                nothing_first=plan.after is not None and first is None,
            )
        with where_read():
            ground = replace(ground, matches=await self._matches(plan, views))
        with where_read():
            # A campaign that is not there is told once, not of each charger.
            known = changed(plan, after=None) if ground.nothing_first else plan
            asked = changed(known, edges=tuple(map(_askable, plan.edges))) if plan.edges else known
            claimant = Claimant("", plan.rank, now, known.after)
            outlook = await measure.outlook(asked, claimant, views, sites, now)
            return replace(ground, outlook=replace(outlook, plan=known), whole=True)
        return ground

    async def _first(self, after: str | None) -> Campaign | None:
        try:
            return await self.services.campaigns.get(after) if after else None
        except NotFound:
            return None

    async def _shut(self, views: Sequence[ChargerView]) -> frozenset[str]:
        names = tuple(view.charger.charger_id for view in views)
        where = ChargerFilter(charger_ids=names, query=_LETS_NOBODY_AWAY)
        try:
            return await self.services.chargers.names(where) if names else frozenset()
        except QueryTooBroad:  # it is only a warning; the lease is what holds
            return frozenset()

    async def _matches(self, plan: CampaignPlan, views: Sequence[ChargerView]) -> dict[str, frozenset[str]]:
        names = tuple(view.charger.charger_id for view in views)
        queries = {wave.query for wave in plan.waves if wave.query and not query_problems(wave.query)}
        if not names:
            return {}
        find = self.services.chargers.names
        return {each: await find(ChargerFilter(charger_ids=names, query=each)) for each in queries}

    async def _stopped(self, plan: CampaignPlan) -> dict[str, str]:
        images: list[str] = []
        with where_read():
            images.append(plan.artifact_id)
        with where_read():
            images += [plan.rollback_artifact_id] if plan.rollback_artifact_id else []
        subjects = {artifact_subject(each): each for each in images}
        found = await self.services.withdrawals.in_force(list(subjects))
        return {subjects[each.subject]: each.sentence() for each in found}

    async def create(self, plan: CampaignPlan, key: str | None) -> Campaign:
        """Freeze the cohort and start the campaign's workflow, which waits for approvals.

        With a key, the same request again returns the first campaign. Raises KeyReused if the key
        came with another plan before, InvalidInput if the plan cannot be run.
        """
        campaign_id = self._campaign_id(plan.name, key)
        campaign = await self._earlier(campaign_id, plan) or await self._freeze(campaign_id, plan)
        if campaign.phase is CampaignPhase.DRAFT:
            await self.services.orchestrator.start_campaign(campaign_id)
        return await self.services.campaigns.get(campaign_id)

    async def open(self, campaign_id: str, plan: CampaignPlan, *, without: frozenset[str]) -> Campaign:
        """Freeze and start one under an id of its own, for all that match but these.

        Raises Conflict if there is one of this id, InvalidInput if the plan cannot be run.
        """
        await self._freeze(campaign_id, plan, without)
        await self.services.orchestrator.start_campaign(campaign_id)
        return await self.services.campaigns.get(campaign_id)

    async def _earlier(self, campaign_id: str, plan: CampaignPlan) -> Campaign | None:
        try:
            earlier = await self.services.campaigns.get(campaign_id)
        except NotFound:
            return None
        if digest(earlier.plan) != digest(plan):
            raise KeyReused
        return earlier

    async def _freeze(
        self, campaign_id: str, plan: CampaignPlan, without: frozenset[str] = frozenset()
    ) -> Campaign:
        try:
            found = await self.preview(plan, without=without)
        except InvalidInput as error:
            if without:
                raise  # Asked again and again until enough have joined: no act to be recorded.
            await audit(self.services, self.actor, "campaign.refused", plan.name, why=error.diagnostics())
            raise
        targets = [replace(target, campaign_id=campaign_id) for wave in found.waves for target in wave]
        campaign = Campaign(
            campaign_id=campaign_id,
            plan=plan,
            plan_digest=found.plan_digest,
            phase=CampaignPhase.DRAFT,
            created_by=self.actor.name,
            created_at=self.services.clock(),
            cohort_size=len(targets),
        )
        exclusions = [(each.charger_id, each.reason) for each in found.exclusions]
        await self.services.campaigns.create(campaign, targets, exclusions)
        await audit(
            self.services,
            self.actor,
            "campaign.created",
            f"campaign/{campaign_id}",
            plan_digest=campaign.plan_digest,
            artifact_id=plan.artifact_id,
            cohort_size=campaign.cohort_size,
        )
        return campaign

    def _campaign_id(self, name: str, key: str | None) -> str:
        unique = digest([self.actor.name, key]) if key else digest([self.services.new_id()])
        words = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40].strip("-")
        return f"{words or 'campaign'}-{unique[:10]}"

    async def _views(self, where: ChargerFilter, without: frozenset[str] = frozenset()) -> list[ChargerView]:
        """All that match but some."""
        if without:
            late = sorted(await self.services.chargers.names(where) - without)
            if not late:
                return []
            where = ChargerFilter(charger_ids=tuple(late))
        views: list[ChargerView] = []
        cursor: str | None = None
        while True:
            page = await self.services.chargers.find(where, limit=_PAGE, cursor=cursor)
            views.extend(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return views

    async def _artifact(self, wanted: Callable[[], str | None]) -> Artifact | None:
        """None: there is none, which the planner says beside whatever else is wrong."""
        with where_read():
            try:
                artifact_id = wanted()
                return await self.services.artifacts.get(artifact_id) if artifact_id else None
            except NotFound:
                return None
        return None

    async def _targeted(self, plan: CampaignPlan, without: frozenset[str]) -> list[ChargerView] | None:
        """All whom a plan targets but some; None: its filter was not read, or nobody can ask its query."""
        with where_read():
            where = plan.targets
            if is_whole(where) and not (where.query and query_problems(where.query)):
                return await self._views(where, without)
        return None

    async def _models(self, views: Sequence[ChargerView]) -> dict[tuple[str, str], ModelProfile]:
        names = {(view.charger.vendor, view.charger.model) for view in views}
        found = {name: await self.services.chargers.model(*name) for name in names}
        return {name: profile for name, profile in found.items() if profile}

    async def _released(self, vendor_role: str, views: Sequence[ChargerView]) -> dict[str, int]:
        """Release counters of the versions that run now, so that a downgrade is seen as one (S25)."""
        versions = {view.twin.firmware.version for view in views if view.twin.firmware}
        known = [await self.services.artifacts.by_version(vendor_role, each) for each in versions if each]
        return {artifact.version: artifact.release_counter for artifact in known if artifact}


def _askable(edge: Edge) -> Edge:
    return replace(edge, risk=None) if edge.risk and query_problems(edge.risk) else edge


def _reasons(exclusions: Sequence[Exclusion]) -> list[str]:
    """Why chargers are left out, most frequent first, a line per reason."""
    groups = Counter(exclusion.reason for exclusion in exclusions).most_common()
    shown = groups if len(groups) <= _REASONS else groups[: _REASONS - 1]
    lines = [f"{_chargers(count)}: {reason}" for reason, count in shown]
    rest = sum(count for _, count in groups[len(shown) :])
    return [*lines, f"{_chargers(rest)}: other reasons"] if rest else lines


def _chargers(count: int) -> str:
    return "1 charger" if count == 1 else f"{count} chargers"
