"""What a local controller's words mean (OCPP 2.0.1 L03)."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.local_images import LocalReports
from storage.publication import Publication
from storage.reports import PUBLISH_FAILURES, PublishStatus
from workflows.local_rules import MEANING, TRIES, judge_local, next_pause

NOW = datetime(2026, 11, 20, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def test_every_word_has_a_meaning() -> None:
    assert set(MEANING) == {None, *PublishStatus}


@pytest.mark.parametrize("status", [None, *PublishStatus])
@pytest.mark.parametrize("tries", range(1, TRIES + 1))
@pytest.mark.parametrize("addresses", [0, 2])
@pytest.mark.parametrize("late", [False, True])
def test_only_published_with_an_address_is_success_and_it_always_ends(
    status: PublishStatus | None, tries: int, addresses: int, *, late: bool
) -> None:
    reports = LocalReports(Publication.ASKED, status, addresses)
    verdict = judge_local(reports, tries, LATER if late else NOW, LATER)
    published = status is PublishStatus.PUBLISHED and addresses > 0
    assert (verdict is not None and verdict.state is Publication.PUBLISHED) is published
    if late or status is PublishStatus.PUBLISHED:
        assert verdict is not None
        assert verdict.state is not None, "it ends at the deadline at the latest"
    elif status in PUBLISH_FAILURES:
        assert verdict is not None
        assert (verdict.state is None) is (tries < TRIES)
    else:
        assert verdict is None


def test_pauses_grow_to_a_bound() -> None:
    assert [next_pause(1.0), next_pause(20.0), next_pause(20.0, 300.0)] == [2.0, 30.0, 40.0]
