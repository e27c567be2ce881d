"""Logs that have had their time go, and what nothing refers to; all else stays, whatever is cut short."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.log_keeping import GRACE, LogKeepingActivities, LogRound
from storage.log import LogRequest, LogSort, LogUpload, UploadTicket
from tests.unit.activities.world import START, World

KEPT = timedelta(days=90)
OLD, NEW = timedelta(days=91), timedelta(days=89)
NUMBERS = iter(range(1, 10_000))


async def add_log(world: World, age: timedelta, *, bytes_there: bool = True) -> LogUpload:
    """A log that arrived so long ago."""
    number, at = next(NUMBERS), world.now - age
    request = LogRequest(number, "CP000", LogSort.SECURITY, "sam", at, at)
    await world.logs.open(request)
    ticket = UploadTicket(f"{number:064}", "CP000", number, at, at)
    await world.logs.add_ticket(ticket)
    upload = LogUpload(number, f"logs/{number}/x", "a.log", 5, "ab" * 32, at)
    assert await world.logs.add_upload(upload, ticket.ticket_sha256)
    if bytes_there:
        world.leftovers.keys[upload.object_key] = at
    return upload


def keeping(world: World) -> LogKeepingActivities:
    return LogKeepingActivities(world.stores, world.leftovers, KEPT)


@pytest.fixture
def world() -> World:
    return World(now=START)


@pytest.mark.requirement("F107")
async def test_what_has_had_its_time_goes_and_stays_on_record(world: World) -> None:
    old, new = await add_log(world, OLD), await add_log(world, NEW)
    assert await keeping(world).keep_logs() == LogRound(removed=1)
    assert set(world.leftovers.keys) == {new.object_key}
    kept = (await world.logs.get(old.request_id)).upload
    assert kept is not None
    assert (kept.removed_at, kept.sha256) == (START, old.sha256)
    [entry] = world.audit.rows
    assert (entry.actor, entry.action, entry.subject) == ("housekeeping", "log.removed", "charger/CP000")
    assert entry.detail["sha256"] == old.sha256
    assert await keeping(world).keep_logs() == LogRound(), "a second round finds nothing"


async def test_what_nothing_refers_to_goes_once_no_upload_can_be_it(world: World) -> None:
    kept = await add_log(world, NEW)
    world.leftovers.keys |= {
        "logs/1/left": START - GRACE - timedelta(seconds=1),
        "logs/2/running": START - GRACE + timedelta(seconds=1),
        "artifacts/ab": START - OLD,
        "tuf/1.root.json": START - OLD,
    }
    world.leftovers.began |= {"logs/3/dead": START - OLD, "logs/4/now": START, "artifacts/cd": START - OLD}
    assert await keeping(world).keep_logs() == LogRound(orphans=1, broken_off=1)
    assert set(world.leftovers.keys) == {kept.object_key, "logs/2/running", "artifacts/ab", "tuf/1.root.json"}
    assert set(world.leftovers.began) == {"logs/4/now", "artifacts/cd"}


async def test_a_round_that_was_cut_short_is_finished_by_the_next(world: World) -> None:
    log = await add_log(world, OLD)
    await world.logs.set_removed(log.request_id, START)  # ... and the worker died before the bytes went.
    assert await keeping(world).keep_logs() == LogRound(orphans=1)
    assert world.leftovers.keys == {}


async def test_bytes_that_are_gone_already_are_no_error(world: World) -> None:
    await add_log(world, OLD, bytes_there=False)
    assert (await keeping(world).keep_logs()).removed == 1


@given(st.lists(st.integers(0, 200), max_size=8), st.lists(st.integers(0, 200), max_size=5))
async def test_no_log_within_its_time_ever_goes(ages: list[int], leftovers: list[int]) -> None:
    world = World(now=START)
    logs = [await add_log(world, timedelta(days=age)) for age in ages]
    for number, age in enumerate(leftovers):
        world.leftovers.keys[f"logs/0/{number}"] = START - timedelta(days=age)
    await keeping(world).keep_logs()
    left = set(world.leftovers.keys)
    young = {log.object_key for log, age in zip(logs, ages, strict=True) if age <= KEPT.days}
    fresh = {f"logs/0/{number}" for number, age in enumerate(leftovers) if age <= GRACE.days}
    assert left == young | fresh
