"""From a plan to its forecast: read what was recorded, and have the pure library replay it in a process."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from multiprocessing import get_context
from random import Random

from activities.circumstances import calendar_of
from activities.facts import Situation, artifact_facts, situation_of
from api.cohort import CampaignDesk
from api.ports import ApiServices
from api.schemas.forecasts import ComparedReply, ForecastReply
from storage.access import Principal
from storage.campaign import CampaignPlan, Target
from storage.charger import ChargerFilter, ModelProfile
from storage.errors import Conflict, InvalidInput, NotFound
from storage.health_time import REAL
from storage.ports import ChargerView
from storage.recording import WEEK_HOURS, Forecast, Recorded
from workflows.trial.fleet import Charger, Fleet, tracks_of
from workflows.whatif import Forecasted, Member, Study, compared, fact_of
from workflows.whatif.making import Order, make
from workflows.whatif.study import free

_PAGE = 500
_WEEKS = 4
_WEEK = timedelta(hours=WEEK_HOURS)
_FIRST_HEARD = timedelta(hours=6)
"""Nothing may be heard in the first hours of all."""
_AHEAD = timedelta(days=400)
Models = dict[tuple[str, str], ModelProfile | None]
TRIED = 400
"""Chargers of the cohort on which gates are on trial."""
_making = asyncio.Semaphore(1)
"""One forecast at a time in this process: each keeps a processor busy."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked besides the plan."""

    runs: int = 100
    attempt_minutes: float = 10.0
    failure_share: float = 0.01
    seed: int = 7


@dataclass(frozen=True, slots=True)
class Span:
    """Whole weeks that are recorded."""

    since: datetime
    until: datetime
    weeks: int


@dataclass(frozen=True, slots=True)
class ForecastDesk:
    """Makes forecasts in one person's name."""

    services: ApiServices
    actor: Principal

    async def simulate(self, plan: CampaignPlan, wanted: Wanted) -> ForecastReply:
        """Forecast a plan and keep it. Raises InvalidInput (its problems, no recording), Conflict (busy)."""
        desk = CampaignDesk(self.services, self.actor)
        found = await desk.preview(plan)
        span = await self._span()
        study = await self._study(plan, found.waves, span, wanted)
        names = [target.charger_id for wave in found.waves for target in wave]
        fleet = await self._fleet(names, span, wanted.seed) if plan.gate.health is not None else None
        if _making.locked():
            raise Conflict("Another forecast is being made.", hint="Ask again in a minute.")
        async with _making:
            made = await _in_a_process(Order(study, fleet, wanted.runs, wanted.seed))
        reply = ForecastReply.of(found.plan_digest, self.services.clock(), study.start, made)
        body = reply.model_dump(mode="json")
        await self.services.watch.recordings.keep(Forecast(reply.plan_digest, reply.made_at, body))
        return reply

    async def compared(self, campaign_id: str) -> ComparedReply:
        """A campaign beside its forecast. Raises NotFound where none was made of exactly this plan."""
        campaign = await self.services.campaigns.get(campaign_id)
        kept = await self.services.watch.recordings.forecast(campaign.plan_digest)
        if kept is None:
            raise NotFound(
                "forecast of campaign",
                campaign_id,
                hint="`ampwave campaign plan FILE --simulate` makes one before a campaign is created.",
            )
        tallies = await self.services.campaigns.tallies(campaign_id)
        fact = fact_of(campaign, tallies, await self._started(campaign_id), self.services.clock())
        return ComparedReply(
            forecast=ForecastReply.model_validate(kept.body),
            ended=fact.ended,
            completed=fact.completed,
            lines=tuple(compared(kept.body, fact)),
        )

    async def fleet(self, count: int, seed: int) -> tuple[int, Fleet]:
        """Chargers drawn from all that are registered, and how many there are."""
        names = [view.charger.charger_id async for view in self._all()]
        return len(names), await self._fleet(names, await self._span(), seed, count)

    async def _started(self, campaign_id: str) -> datetime | None:
        first = await self.services.campaigns.targets(campaign_id, 0, 0, 1_000_000)
        sent = [target.dispatched_at for target in first if target.dispatched_at]
        return min(sent, default=None)

    async def _span(self) -> Span:
        time = self.services.watch.health.time
        if time != REAL:
            raise InvalidInput(
                "Nothing can be forecast from the hours of a rehearsal.",
                (f"an hour of health lasts {time.seconds} s here, by AMPWAVE_HEALTH_HOUR_S",),
                hint="Ask where hours are real ones.",
            )
        until = self.services.clock().replace(minute=0, second=0, microsecond=0)
        begun = await self.services.watch.recordings.begun(until - _WEEKS * _WEEK)
        # Whole weeks: in a part of one, everybody would seem to have been offline before it began.
        weeks = (until - begun + _FIRST_HEARD) // _WEEK if begun else 0
        if begun is None or not weeks:
            known = "nothing" if begun is None else f"only {(until - begun) / timedelta(days=1):.1f} days"
            raise InvalidInput(
                "There is not a whole week of this fleet to replay.",
                (f"{known} is recorded in the last {_WEEKS} weeks",),
                hint="Ask again when chargers have been connected for a week.",
            )
        weeks = min(weeks, _WEEKS)
        return Span(until - weeks * _WEEK, until, weeks)

    async def _study(
        self, plan: CampaignPlan, waves: Sequence[Sequence[Target]], span: Span, wanted: Wanted
    ) -> Study:
        services, now = self.services, self.services.clock()
        sites = await services.chargers.sites()
        closures = await services.upkeep.closures(now, now + _AHEAD)
        artifact = artifact_facts(await services.artifacts.get(plan.artifact_id))
        members = [await self._members([target.charger_id for target in wave], span, now) for wave in waves]
        start = max(plan.start_at, now) if plan.start_at else now
        return Study(
            plan=plan,
            artifact=artifact,
            waves=members,
            max_down={site.site_id: site.max_down for site in sites},
            calendars={site.site_id: calendar_of(site, plan, closures) for site in sites}
            if plan.windows or closures
            else {},
            start=start,
            weeks=span.weeks,
            attempt_minutes=wanted.attempt_minutes,
            failure_share=wanted.failure_share,
        )

    async def _members(self, names: Sequence[str], span: Span, now: datetime) -> list[Member]:
        found: list[Member] = []
        alike: dict[Situation, Situation] = {}
        models: Models = {}
        for start in range(0, len(names), _PAGE):
            page = names[start : start + _PAGE]
            recorded = await self.services.watch.recordings.read(page, span.since, span.until)
            by_name = {each.charger_id: each for each in recorded}
            for view in await self.services.chargers.views(page):
                name = view.charger.charger_id
                # One object for all that are alike: the replay builds each kind's facts once.
                situation = alike.setdefault(one := free(await self._situation(view, models, now)), one)
                found.append(Member(name, view.charger.site_id, situation, by_name.get(name, Recorded(name))))
        return found

    async def _situation(self, view: ChargerView, models: Models, now: datetime) -> Situation:
        named = (view.charger.vendor, view.charger.model)
        if named not in models:
            models[named] = await self.services.chargers.model(*named)
        return situation_of(view, models[named], None, now)

    async def _fleet(self, names: Sequence[str], span: Span, seed: int, count: int = TRIED) -> Fleet:
        drawn = names
        if len(names) > count:
            drawn = Random(seed).sample(sorted(names), count)  # noqa: S311 - reproducible, not a secret
        chargers: list[Charger] = []
        kinds = {site.site_id: site.rules.kind or "" for site in await self.services.chargers.sites()}
        for start in range(0, len(drawn), _PAGE):
            page = drawn[start : start + _PAGE]
            hours = await self.services.watch.recordings.hours(page, span.since, span.until)
            for view in await self.services.chargers.views(page):
                one = view.charger
                tracks = tracks_of(hours.get(one.charger_id, {}), span.weeks)
                model = f"{one.vendor}/{one.model}"
                kind = kinds.get(one.site_id, "")
                chargers.append(
                    Charger(one.charger_id, model, one.hardware_revision or "", one.site_id, tracks, kind)
                )
        return Fleet(span.weeks, chargers)

    async def _all(self) -> AsyncIterator[ChargerView]:
        cursor: str | None = None
        while True:
            page = await self.services.chargers.find(ChargerFilter(), limit=_PAGE, cursor=cursor)
            for view in page.items:
                yield view
            cursor = page.next_cursor
            if cursor is None:
                return


async def _in_a_process(order: Order) -> Forecasted:
    """Away from this process, which has sockets to answer."""
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return await loop.run_in_executor(pool, make, order)
