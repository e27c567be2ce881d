"""What the pages show: every targeted charger in exactly one segment, and numbers that add up."""

from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dashboard import pages, views
from storage.artifact import Compatible
from storage.campaign import Outcome, TargetPhase, WaveTally
from storage.events import EventKind, StoredEvent
from tests.support.house import NOW
from tests.support.showcase import showcase

OPEN = [phase for phase in TargetPhase if phase is not TargetPhase.DONE]
COUNTS = st.integers(0, 500)


@pytest.mark.requirement("F120")
@given(
    by_phase=st.dictionaries(st.sampled_from([phase.value for phase in OPEN]), COUNTS),
    by_outcome=st.dictionaries(st.sampled_from([outcome.value for outcome in Outcome]), COUNTS),
)
def test_a_bar_holds_every_charger_once_and_fills_its_width(
    by_phase: dict[str, int], by_outcome: dict[str, int]
) -> None:
    done = sum(by_outcome.values())
    total = sum(by_phase.values()) + done
    found = views.segments(WaveTally(0, "w", total, {**by_phase, "done": done}, by_outcome))

    assert sum(segment.count for segment in found) == total
    if total:
        assert sum(segment.share for segment in found) == pytest.approx(100, abs=0.1)
    for left, right in pairwise(found):
        assert right.start == pytest.approx(left.start + left.share, abs=0.01)


async def test_the_page_opens_at_the_last_wave_that_began() -> None:
    store = showcase().campaigns
    tallies, decisions = (
        await store.tallies("spring-release-1-1"),
        await store.decisions("spring-release-1-1"),
    )
    waves = views.wave_views(tallies, decisions)

    assert views.current_wave(waves) == 1
    assert views.current_wave([]) is None
    assert [wave.is_settled for wave in waves] == [True, False, False]
    assert [check.word for check in waves[1].checks] == ["proceed", "hold", "proceed"]
    assert "not begun" in dict(views.legend(waves)).values()
    assert "silent" not in dict(views.legend(waves))


async def test_a_rollback_wave_is_shown_as_one_and_kept_out_of_the_chart() -> None:
    store = showcase().campaigns
    campaign = await store.get("summer-release-1-2")
    waves = views.wave_views(await store.tallies(campaign.campaign_id), [])
    series = views.updated_series(campaign, await store.targets(campaign.campaign_id))

    assert [wave.is_rollback for wave in waves] == [False, True]
    assert (series["updated"][-1], series["failed"][-1]) == (1, 4)


def test_a_verdict_of_another_shape_has_no_checks_and_breaks_no_page() -> None:
    assert views.checks({}) == ()
    assert views.checks({"checks": ["odd", {"name": "n"}]}) == (views.Check("n", "", ""),)


async def test_a_charger_at_a_site_nobody_described_is_still_shown() -> None:
    house = showcase()
    house.chargers.by_site.clear()
    rows = views.site_rows([], list(house.chargers.all.values()), NOW)

    assert sum(len(row.cells) for row in rows) == 60
    assert rows[0].site.name == rows[0].site.site_id
    assert sum(row.down for row in rows) == 3


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (30, "30 s ago"),
        (90, "1 min ago"),
        (7200, "2 h ago"),
        (200_000, "2 d ago"),
        (-3, "just now"),
    ],
)
def test_how_long_ago(seconds: int, text: str) -> None:
    assert pages.ago(NOW - timedelta(seconds=seconds), NOW) == text
    assert pages.ago(None, NOW) == "never"


def test_a_model_that_begins_with_its_vendor_is_named_once() -> None:
    assert pages.model_name(Compatible("Helix", "Helix DC-50")) == "Helix DC-50"
    assert pages.model_name(Compatible("Volta", "V22")) == "Volta V22"
    assert [part.label for part in views.share_bar({"Helix Helix DC-50": 2, "Volta V22": 1}, 3)] == [
        "Helix DC-50",
        "Volta V22",
    ]


def test_an_event_in_a_line_leaves_out_what_says_nothing() -> None:
    body = {
        "status": "Available",
        "vendor_status": "Available",
        "tech_info": "",
        "late": False,
        "meter_wh": 771596.0,
        "id_token_hash": "ab" * 32,
        "samples": [1],
        "detail": None,
    }
    event = StoredEvent(1, "A", EventKind.COMMAND_ANSWERED, body, NOW, NOW)

    assert pages.event_words(event) == "status Available · meter wh 771596 · id token hash abababab…"


@pytest.mark.parametrize(("length", "text"), [(12, "12 B"), (2048, "2 KiB"), (2_621_440, "2.5 MiB")])
def test_sizes_for_people(length: int, text: str) -> None:
    assert pages.size(length) == text
