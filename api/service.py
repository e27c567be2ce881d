"""How chargers served, put together for the doors: reports with figures, trends with their judgement."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from api.ports import ApiServices
from storage.charger import ChargerFilter
from storage.service import GroupBy, Metering, ServiceDay, ServiceGroup, ServiceReport
from workflows.service_figures import Figures, figures
from workflows.trends import TrendRule, Trends, judge

DAYS = 30
MOST_DAYS = 366


@dataclass(frozen=True, slots=True)
class Served:
    """One group with its figures."""

    group: ServiceGroup
    figures: Figures


def first_day(now: datetime, days: int) -> date:
    """The first of so many days, today among them."""
    return now.astimezone(UTC).date() - timedelta(days=days - 1)


async def served(
    services: ApiServices, by: GroupBy, days: int, query: str | None = None
) -> tuple[ServiceReport, tuple[Served, ...]]:
    """The report of the fleet, or of what a query selects. Raises QueryError, QueryTooBroad."""
    now = services.clock()
    names = None if query is None else sorted(await services.chargers.names(ChargerFilter(query=query)))
    report = await services.watch.service.report(by, first_day(now, days), now, charger_ids=names)
    return report, tuple(Served(each, figures(each)) for each in report.groups)


async def trends_of(services: ApiServices, charger_id: str) -> Trends:
    """The trends of one charger, up to yesterday."""
    rule, now = TrendRule(), services.clock()
    whole = (rule.recent + rule.baseline).days + 1
    days = await services.watch.service.days(charger_id, first_day(now, whole), now)
    return judge(days, now.astimezone(UTC).date(), rule)


async def metering_of(services: ApiServices, charger_id: str) -> Metering:
    """What its meters said last."""
    return await services.watch.service.metering(charger_id)


async def days_of(
    services: ApiServices, charger_id: str, days: int
) -> list[tuple[date, ServiceDay, Figures]]:
    """One charger day by day, oldest first."""
    now = services.clock()
    found = await services.watch.service.days(charger_id, first_day(now, days), now)
    return [(day, each, figures(ServiceGroup(charger_id, 1, 0, each))) for day, each in found]
