"""Desired beside reported: versions, history, answers, and two people who write at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from csms.projection import project
from storage.desired import Ack, AckStatus, Answers, DesiredChange, SectionTooLarge
from storage.errors import Conflict, InvalidInput, NotFound, StaleVersion
from storage.events import EventRecord, VariablesReported
from storage.postgres.ingest import PostgresIngestStore
from storage.postgres.twins import PostgresTwinStore
from storage.twin import Lifecycle
from storage.twin_schema import DESIRABLE

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
A, B = "configuration.values.A", "configuration.values.B.C"


@pytest.fixture
def twins(engine, chargers) -> PostgresTwinStore:
    return PostgresTwinStore(engine, project)


def change(
    version: int, body: dict[str, Any], *, section: str = "configuration", merge: bool = True, who: str = "A"
):
    return DesiredChange(who, section, body, version, "ada", "request/1", AT, merge=merge)


def told(status: AckStatus, version: int, **sent: str) -> Answers:
    values = {f"configuration.values.{name}": value for name, value in sent.items()}
    acks = {path: Ack(status, version, AT) for path in values}
    return Answers("A", "configuration", version, values, acks, "ada", "configuration/1")


@pytest.mark.requirement("F4", "F13", "F16")
async def test_each_side_has_its_own_version_and_both_are_history(twins, chargers, engine, sql) -> None:
    ingest = PostgresIngestStore(engine)
    event = EventRecord("A", VariablesReported({"A": "1"}), AT, AT, 1)
    await ingest.commit([], [event], project)
    first = await twins.set_desired(change(0, {"values": {"A": "2", "B.C": "3"}}))
    again = await twins.set_desired(change(2, {"values": {"A": "2"}}))
    second = await twins.set_desired(change(2, {"values": {"B.C": None}}))
    # The node that had the twin in memory reads it anew: its revision has moved.
    later = EventRecord("A", VariablesReported({"A": "5"}), AT, AT + timedelta(seconds=1), 1)
    await ingest.commit([], [later], project)
    assert (first.version, again.version, second.version) == (2, 2, 3)
    assert second.desired == {"values": {"A": "2"}}
    view = await chargers.get("A")
    assert view.twin.revision == 4
    assert view.twin.configuration.values == {"A": "5"}
    rows = await sql("SELECT revision, side, actor, cause FROM twin_history ORDER BY revision")
    assert [(row["revision"], row["side"], row["actor"]) for row in rows] == [
        (1, "reported", "charger"),
        (2, "desired", "ada"),
        (3, "desired", "ada"),
        (4, "reported", "charger"),
    ]
    assert rows[1]["cause"] == "request/1"
    reported, desired = (await sql("SELECT reported_version, desired_version FROM twin_section"))[0]
    assert (reported, desired) == (4, 3)


@pytest.mark.requirement("F18")
async def test_who_decided_on_an_old_version_is_refused(twins) -> None:
    outcomes = await asyncio.gather(
        *(twins.set_desired(change(0, {"values": {"A": str(number)}})) for number in range(6)),
        return_exceptions=True,
    )
    refused = [each for each in outcomes if isinstance(each, StaleVersion)]
    assert len(refused) == 5
    assert "has version 1, not 0" in refused[0].message


@pytest.mark.requirement("F13")
async def test_answers_count_for_the_value_they_were_given_to(twins) -> None:
    await twins.set_desired(change(0, {"values": {"A": "1", "B.C": "2"}}))
    half = await twins.answer(told(AckStatus.ACCEPTED, 1, A="1"))
    assert (half.ack_status, half.acked_version) == (None, None)
    whole = await twins.answer(told(AckStatus.REFUSED, 1, **{"B.C": "2"}))
    assert (whole.ack_status, whole.acked_version) == (AckStatus.REFUSED, 1)
    # A changes: its answer is gone, that of B.C stays; the late answer to the old value is dropped.
    moved = await twins.set_desired(change(1, {"values": {"A": "9"}}))
    assert set(moved.acks) == {B}
    assert (moved.ack_status, moved.acked_version) == (None, 1)
    late = await twins.answer(told(AckStatus.ACCEPTED, 1, A="1"))
    assert set(late.acks) == {B}
    done = await twins.answer(told(AckStatus.ACCEPTED, moved.version, A="9"))
    assert (done.ack_status, done.acked_version) == (AckStatus.REFUSED, moved.version)
    assert [each.version for each in await twins.desired("A")] == [moved.version, *[0] * (len(DESIRABLE) - 1)]


@pytest.mark.requirement("F11")
async def test_what_breaks_the_schema_or_is_too_large_changes_nothing(twins, chargers) -> None:
    with pytest.raises(InvalidInput, match="breaks the schema"):
        await twins.set_desired(change(0, {"status": "Installed"}, section="firmware"))
    large = {"values": {f"V{number}": "\u00e9" * 2000 for number in range(20)}}
    with pytest.raises(SectionTooLarge, match="more than 65536"):
        await twins.set_desired(change(0, large))
    with pytest.raises(NotFound):
        await twins.set_desired(change(0, {}, section="operation"))
    with pytest.raises(NotFound):
        await twins.set_desired(change(0, {"values": {}}, who="stranger"))
    with pytest.raises(NotFound):
        await twins.desired("stranger")
    await chargers.set_lifecycle("A", Lifecycle.RETIRED)
    with pytest.raises(Conflict, match="retired"):
        await twins.set_desired(change(0, {"values": {"A": "1"}}))
    assert (await chargers.get("A")).twin.revision == 0


async def test_a_whole_section_replaces_the_one_before(twins) -> None:
    await twins.set_desired(change(0, {"values": {"A": "1", "B.C": "2"}}))
    after = await twins.set_desired(change(1, {"values": {"A": "3"}}, merge=False))
    assert after.desired == {"values": {"A": "3"}}
