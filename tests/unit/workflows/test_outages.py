"""A dark site is one thing; one charger that drops, and a node that restarts, are none."""

from datetime import UTC, datetime, timedelta

import pytest

from storage.watching import SiteLoss
from workflows.outages import OutageRule, judge

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
RULE = OutageRule()


def site(total: int, *lost_minutes_ago: float) -> SiteLoss:
    lost = [(f"C{number}", NOW - timedelta(minutes=ago)) for number, ago in enumerate(lost_minutes_ago)]
    return SiteLoss("depot", total, tuple(lost))


@pytest.mark.requirement("F104")
def test_most_of_a_site_lost_together_opens_one_outage_with_its_chargers() -> None:
    change = judge(site(4, 2, 2.5, 3), dark=None, rule=RULE, now=NOW)
    assert change is not None
    assert (change.subject, change.close) == ("site/depot", False)
    assert change.detail["chargers"] == ["C0", "C1", "C2"]
    assert change.detail["since"] == (NOW - timedelta(minutes=3)).isoformat()


@pytest.mark.parametrize(
    "loss",
    [
        site(4, 2),
        site(4, 2, 2),
        site(1, 2),
        site(3, 2, 20, 40),
        site(6, 2, 2, 5000),
        site(3, 0.5, 0.5, 0.5),
    ],
    ids=["one", "half", "the-only-one", "one-after-the-other", "two-of-five", "just-now"],
)
def test_less_than_that_is_no_outage(loss: SiteLoss) -> None:
    assert judge(loss, dark=None, rule=RULE, now=NOW) is None


def test_chargers_that_were_away_long_before_do_not_belong_to_it() -> None:
    change = judge(site(4, 2, 2, 2, 5000), dark=None, rule=RULE, now=NOW)
    assert change is not None
    assert change.detail["chargers"] == ["C0", "C1", "C2"]


@pytest.mark.parametrize(("lost", "closes"), [(4, False), (3, False), (2, True), (0, True)])
def test_it_closes_when_half_of_them_are_back(lost: int, closes: bool) -> None:
    dark = frozenset({"C0", "C1", "C2", "C3"})
    change = judge(site(8, *[9.0] * lost), dark=dark, rule=RULE, now=NOW)
    assert (change is not None and change.close) is closes


def test_chargers_that_were_away_before_keep_no_outage_open() -> None:
    loss = SiteLoss("depot", 4, (("OLD", NOW - timedelta(days=9)), ("OLDER", NOW - timedelta(days=99))))
    change = judge(loss, dark=frozenset({"C0", "C1"}), rule=RULE, now=NOW)
    assert change is not None
    assert change.close
