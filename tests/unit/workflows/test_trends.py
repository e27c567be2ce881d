"""Trends: beyond a factor and beyond a difference, and never from too few days."""

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.service import ServiceDay, ServiceGroup
from workflows.service_figures import figures
from workflows.trends import Trend, TrendRule, judge

TODAY = date(2026, 11, 20)
RULE = TrendRule()
WHOLE = 86_400.0


def days(of: Callable[[int], ServiceDay | None], count: int = 35) -> list[tuple[date, ServiceDay]]:
    """``of``: the day so many days ago."""
    found = [(TODAY - timedelta(days=ago), of(ago)) for ago in range(count, -1, -1)]
    return [(day, each) for day, each in found if each is not None]


def quiet(**more: float) -> ServiceDay:
    return ServiceDay(up_s=WHOLE, connects=1, temperature_n=1, temperature_max=40.0, **more)  # type: ignore[arg-type]


@pytest.mark.requirement("F30")
def test_a_charger_that_is_as_it_was_is_normal() -> None:
    found = judge(days(lambda _: quiet()), TODAY, RULE)
    assert found.flag is Trend.NORMAL
    assert [(each.name, each.trend) for each in found.features] == [
        ("reconnects", Trend.NORMAL),
        ("faults", Trend.NORMAL),
        ("temperature", Trend.NORMAL),
    ]


@pytest.mark.requirement("F30")
@pytest.mark.parametrize(
    ("name", "recent"),
    [
        ("reconnects", ServiceDay(up_s=WHOLE, connects=9, temperature_max=40.0)),
        ("faults", ServiceDay(up_s=WHOLE, connects=1, faults=2, temperature_max=40.0)),
        ("temperature", ServiceDay(up_s=WHOLE, connects=1, temperature_max=52.0)),
    ],
)
def test_each_feature_flags_by_itself(name: str, recent: ServiceDay) -> None:
    found = judge(days(lambda ago: recent if 0 < ago <= 7 else quiet()), TODAY, RULE)
    assert found.flag is Trend.ANOMALOUS
    assert [each.name for each in found.features if each.trend is Trend.ANOMALOUS] == [name]


@pytest.mark.requirement("F30")
def test_three_times_nearly_nothing_is_no_anomaly_and_neither_is_a_little_warmer() -> None:
    recent = ServiceDay(up_s=WHOLE, connects=4, temperature_max=48.0)
    found = judge(days(lambda ago: recent if 0 < ago <= 7 else quiet()), TODAY, RULE)
    assert found.flag is Trend.NORMAL


@pytest.mark.requirement("F30")
def test_without_enough_known_days_nothing_is_said() -> None:
    assert judge([], TODAY, RULE).flag is Trend.UNKNOWN
    assert judge(days(lambda _: ServiceDay(unknown_s=WHOLE, connects=99)), TODAY, RULE).flag is Trend.UNKNOWN
    young = judge(days(lambda _: quiet(), count=8), TODAY, RULE)
    assert young.flag is Trend.UNKNOWN
    assert "1 of 7 before" in young.features[0].says
    # Many never tell a temperature; that alone leaves the rest as it is.
    cold = judge(days(lambda _: ServiceDay(up_s=WHOLE, connects=1)), TODAY, RULE)
    assert (cold.flag, cold.features[2].trend) == (Trend.NORMAL, Trend.UNKNOWN)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 50), st.integers(0, 9), st.booleans()), max_size=60)
)
def test_today_and_what_is_too_old_decide_nothing(told: list[tuple[int, int, int, bool]]) -> None:
    found = [
        (TODAY - timedelta(days=ago), ServiceDay(up_s=WHOLE * known, connects=connects, faults=faults))
        for ago, connects, faults, known in told
    ]
    counted = [each for each in found if TODAY - timedelta(days=35) <= each[0] < TODAY]
    assert judge(found, TODAY, RULE) == judge(counted, TODAY, RULE)


@pytest.mark.requirement("F28", "F114")
def test_figures_leave_maintenance_out_and_say_unknown_of_nothing() -> None:
    total = ServiceDay(
        up_s=90_000,
        down_s=10_000,
        maintenance_s=72_800,
        unknown_s=172_800,
        in_use_s=43_200,
        repairs=2,
        repair_s=9_000,
        faults=4,
        sessions=8,
    )
    found = figures(ServiceGroup("s1", 2, 0, total))
    assert (found.uptime, found.mttr_s, found.known) == (0.9, 4500.0, 0.5)
    assert (found.utilisation, found.faults_per_day, found.sessions_per_day) == (0.25, 2.0, 4.0)
    nothing = figures(ServiceGroup("s1", 0, 0, ServiceDay(unknown_s=5)))
    assert (nothing.uptime, nothing.utilisation, nothing.mttr_s, nothing.known) == (None, None, None, 0.0)
