"""Who fetches ahead, and what a charger's words about it mean (R20)."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

import pytest

from activities.circumstances import Circumstances
from activities.facts import Entry, ParkedFacts, ShardFacts, Sighting
from storage.events import FIRMWARE_INSTALLING, FirmwareStatus
from storage.parked import Parking
from tests.unit.workflows.facts import ARTIFACT, NOW, SITE, charger
from workflows.attest import Attempt
from workflows.eligibility import ChargerFacts
from workflows.fetch_rules import Fetch, judge_fetch, judge_fetch_deadline, may_fetch
from workflows.triage import Candidate, Context, choose_fetching, triage

pytestmark = pytest.mark.requirement("R20")
OURS = 7
ATTEMPT = Attempt("1.1", NOW, OURS)
READY = charger(ahead=True)


def said(*words: FirmwareStatus, request_id: int | None = OURS) -> list[Sighting]:
    return [
        Sighting(number, NOW + timedelta(seconds=number), booted=False, status=word, request_id=request_id)
        for number, word in enumerate(words, 1)
    ]


def booted(version: str, number: int = 50, *, triggered: bool = False) -> Sighting:
    return Sighting(number, NOW + timedelta(minutes=1), booted=True, version=version, triggered=triggered)


@pytest.mark.parametrize(
    "changes",
    [
        {"busy": "session 7 is open", "session": True},
        {"around": Circumstances(certificate_ends=NOW)},
        {"around": Circumstances(downtime_left=0.0)},
        {"around": Circumstances(no_room="its site keeps its power")},
    ],
)
def test_what_forbids_an_install_forbids_no_download(changes: dict[str, object]) -> None:
    assert may_fetch(charger(ahead=True, **changes), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"ahead": False},
        {"online": False},
        {"heard_recently": False},
        {"maintenance": "certificate"},
        {"version": "1.1"},
        {"model": "other"},
        {"takes_signed": False},
        {"version": None, "unread": True},
        {"around": Circumstances(hold="cabinet open")},
        {"around": Circumstances(doubts=("firmware.version",))},
        {"around": Circumstances(rival="urgent")},
        {"around": Circumstances(veto="UpdateAllowed = false")},
    ],
)
def test_who_may_not_fetch(changes: dict[str, object]) -> None:
    assert not may_fetch(charger(**{"ahead": True, **changes}), NOW)


def test_a_window_forbids_no_download_a_freeze_does_and_nobody_fetches_to_go_back() -> None:
    assert may_fetch(replace(READY, site=replace(SITE, closed="its window is closed")), NOW)
    assert not may_fetch(replace(READY, site=replace(SITE, closed="x", frozen=True)), NOW)
    assert not may_fetch(replace(READY, downgrade=True), NOW)


def shard(facts: ChargerFacts, *parked: ParkedFacts) -> ShardFacts:
    entries = (Entry("a", 0, 0, 0, 1),)
    return ShardFacts(ARTIFACT, (facts.site,), (facts.situation,), (("n", "b"),), entries, parked=parked)


CONTEXT = Context("c1", 0, NOW, (), {}, {})
CLOSED = replace(READY, site=replace(SITE, closed="night only", opens_at=NOW + timedelta(hours=5)))


def test_who_waits_for_a_window_fetches_and_whoever_is_ready_does_both_at_once() -> None:
    found = triage(shard(CLOSED), CONTEXT)
    assert [one.charger_id for one in found.ahead] == ["a"]
    assert found.earliest is None, "the uplink may be full now and free at the next tick"
    assert triage(shard(READY), CONTEXT).ahead == []
    fetched = replace(CLOSED, situation=replace(CLOSED.situation, ahead=False))
    found = triage(shard(fetched, ParkedFacts("a", Parking.FETCHED, 1)), CONTEXT)
    assert (found.ahead, found.earliest) == ([], NOW + timedelta(hours=5))
    assert found.waiting == [("a", "night only; it has the image already", False)]


@pytest.mark.requirement("X16")
def test_no_more_fetch_than_their_sites_uplink_and_the_window_take() -> None:
    route = ("n", "b", 1)
    queue = [Candidate(f"{site}{n}", site, route, ()) for n in range(3) for site in "ab"]  # type: ignore[arg-type]
    names = [one.charger_id for one in choose_fetching(queue, {"a": 1, "b": None}, 10)]
    assert names == ["a0", "b0", "b1", "b2"]
    assert len(choose_fetching(queue, {"a": None, "b": None}, 2)) == 2
    assert choose_fetching(queue, {}, -3) == []


PROGRESS = (FirmwareStatus.DOWNLOAD_SCHEDULED, FirmwareStatus.DOWNLOADING, FirmwareStatus.DOWNLOAD_PAUSED)


def test_a_download_that_pauses_goes_on() -> None:
    for order in permutations(PROGRESS):
        assert judge_fetch(ATTEMPT, said(*order, FirmwareStatus.DOWNLOADED)) is None


@pytest.mark.parametrize("word", [FirmwareStatus.SIGNATURE_VERIFIED, FirmwareStatus.INSTALL_SCHEDULED])
def test_who_proved_the_image_and_waits_has_it(word: FirmwareStatus) -> None:
    found = judge_fetch(ATTEMPT, said(FirmwareStatus.DOWNLOADED, word))
    assert found is not None
    assert found.fetch is Fetch.FETCHED
    assert judge_fetch(ATTEMPT, said(word, request_id=8)) is None, "of another order"


@pytest.mark.parametrize(
    ("word", "fetch"),
    [
        (FirmwareStatus.DOWNLOAD_FAILED, Fetch.FAILED),
        (FirmwareStatus.INSTALLATION_FAILED, Fetch.FAILED),
        (FirmwareStatus.INVALID_SIGNATURE, Fetch.DISTRUSTED),
        *((word, Fetch.INSTALLING) for word in sorted(FIRMWARE_INSTALLING)),
    ],
)
def test_what_else_it_may_say(word: FirmwareStatus, fetch: Fetch) -> None:
    found = judge_fetch(ATTEMPT, said(FirmwareStatus.SIGNATURE_VERIFIED, word))
    assert found is not None
    assert found.fetch is fetch


def test_a_boot_with_the_version_means_that_it_did_not_wait() -> None:
    found = judge_fetch(ATTEMPT, [*said(FirmwareStatus.SIGNATURE_VERIFIED), booted("1.1")])
    assert found is not None
    assert found.fetch is Fetch.UPDATED
    assert judge_fetch(ATTEMPT, [booted("1.0")]) is None, "a power cut"


@pytest.mark.parametrize(
    ("words", "fetch", "tells"),
    [
        ((), Fetch.LATE, "it said nothing of it"),
        ((FirmwareStatus.DOWNLOAD_PAUSED,), Fetch.LATE, "the last it said was DownloadPaused"),
        ((FirmwareStatus.DOWNLOADED,), Fetch.FETCHED, "it has the image"),
    ],
)
def test_when_its_time_is_over(words: tuple[FirmwareStatus, ...], fetch: Fetch, tells: str) -> None:
    found = judge_fetch_deadline(ATTEMPT, said(*words), 3600.0)
    assert found.fetch is fetch
    assert tells in found.reason
