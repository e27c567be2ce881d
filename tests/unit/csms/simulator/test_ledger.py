"""The ledger tells the truth that was planted."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from csms.simulator import report
from csms.simulator.ledger import Ledger, acknowledged_ids
from csms.simulator.number_set import NumberSet, expand
from csms.simulator.report import keep_report, write_report


class Ticking:
    """A clock that moves a second with every look."""

    def __init__(self) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def ledger_of(*sites: str) -> Ledger:
    ledger = Ledger("fleet", 7, "run", Ticking())
    for number, site in enumerate(sites, start=1):
        ledger.open(f"C{number}", site, "someone", "1.0")
    return ledger


def test_a_planted_cut_is_found() -> None:
    ledger = ledger_of("a")
    account = ledger.chargers["C1"]
    account.session_started("s1", 1)
    account.session_ended("s1", 1)
    account.session_started("s2", 1)
    account.session_cut("s2", 1, "install")
    totals = ledger.totals()
    assert (totals["sessions_started"], totals["sessions_ended"], totals["sessions_cut"]) == (2, 1, 1)
    (cut,) = [event for event in account.events if event["what"] == "cut"]
    assert (cut["session"], cut["cause"]) == ("s2", "install")


def test_planted_bad_commands_are_found() -> None:
    ledger = ledger_of("a", "a")
    ledger.chargers["C1"].note("unsigned_command", request=1)
    ledger.chargers["C2"].note("bad_signature", request=2)
    ledger.chargers["C2"].note("bad_certificate", request=3)
    ledger.chargers["C2"].note("different_image_while_updating", request=4)
    totals = ledger.totals()
    assert totals["unsigned_commands"] == 1
    assert totals["badly_signed_commands"] == 2
    assert totals["different_images_while_updating"] == 1


@pytest.mark.requirement("X2")
def test_a_site_is_dark_when_all_its_chargers_are_away() -> None:
    ledger = ledger_of("a", "a", "b")
    ledger.away("C1")
    assert ledger.totals()["sites_dark"] == 0
    ledger.away("C2")
    ledger.back("C1")
    ledger.back("C2")
    assert ledger.totals()["sites_dark"] == 1
    (period,) = ledger.sites["a"].dark
    assert period["from"] < period["to"]
    assert ledger.sites["a"].most_away == 2


def test_one_after_the_other_is_never_dark_and_a_lone_charger_cannot_be() -> None:
    ledger = ledger_of("a", "a", "b")
    for charger in ("C1", "C2", "C3"):
        ledger.away(charger)
        ledger.back(charger)
    assert ledger.totals()["sites_dark"] == 0
    assert [site.most_away for site in ledger.sites.values()] == [1, 1]


def test_coming_back_without_having_been_away_changes_nothing() -> None:
    ledger = ledger_of("a", "a", "a")
    ledger.away("C1")
    ledger.away("C2")
    ledger.back("C3")
    assert ledger.totals()["sites_dark"] == 0
    ledger.away("C3")
    assert ledger.totals()["sites_dark"] == 1


def test_the_report_is_json_and_names_acknowledged_messages(tmp_path: Path) -> None:
    ledger = ledger_of("a")
    account = ledger.chargers["C1"]
    account.runs("1.0", "PowerUp")
    for number in (1, 2, 3, 5):
        account.message_sent("Heartbeat")
        account.message_acknowledged("Heartbeat", number)
    account.message_sent("Authorize")
    account.message_refused("Authorize")
    path = tmp_path / "report.json"
    write_report(ledger, path, final=True)
    written = orjson.loads(path.read_bytes())
    charger = written["chargers"]["C1"]
    assert charger["messages"]["acknowledged_ids"] == "1-3,5"
    assert acknowledged_ids(charger) == ["run-1", "run-2", "run-3", "run-5"]
    assert written["totals"]["messages"]["sent"] == {"Heartbeat": 4, "Authorize": 1}
    assert charger["messages"]["refused"] == {"Authorize": 1}
    assert charger["versions"][0]["version"] == "1.0"
    assert list(tmp_path.iterdir()) == [path]


async def test_the_report_is_kept_until_the_stop(tmp_path: Path) -> None:
    path, stop = tmp_path / "report.json", asyncio.Event()
    task = asyncio.create_task(keep_report(ledger_of("a"), path, stop, 60))
    await asyncio.sleep(0)
    assert orjson.loads(path.read_bytes())["final"] is False
    stop.set()
    await asyncio.wait_for(task, 5)


async def test_a_slow_disk_does_not_make_the_report_old(monkeypatch, tmp_path: Path) -> None:
    """The sleep is the disk, which blocks as one does; nothing here waits for another task."""
    stop, pauses = asyncio.Event(), []

    async def pause(event: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)
        event.set()

    monkeypatch.setattr(report, "write_report", lambda *_, final: time.sleep(0.2))
    monkeypatch.setattr(report, "wait_for_event", pause)
    await keep_report(ledger_of("a"), tmp_path / "report.json", stop, 1.0)
    assert pauses == [1.0]


@given(st.lists(st.integers(0, 60)))
def test_a_number_set_is_a_set(numbers: list[int]) -> None:
    found = NumberSet()
    seen: set[int] = set()
    for number in numbers:
        assert found.add(number) is (number not in seen)
        seen.add(number)
    assert expand(found.text()) == sorted(seen)
    assert len(found) == len(seen)


def test_numbers_in_order_cost_one_range() -> None:
    found = NumberSet()
    for number in range(1, 10_001):
        found.add(number)
    assert found.text() == "1-10000"
