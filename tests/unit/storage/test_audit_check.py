"""Whatever is done to a log that a checkpoint covers is found, whoever does it and however often."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.audit import GENESIS, AuditCheckpoint, AuditEntry, AuditRow, chain_hash
from storage.audit_check import ChainCheck, Report, Tamper

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
pytestmark = pytest.mark.requirement("S65")


def chained(actors: list[str]) -> list[AuditRow]:
    rows, previous = [], GENESIS
    for number, actor in enumerate(actors, start=1):
        entry = AuditEntry(AT, actor, "artifact.signed", "artifact/x", {})
        rows.append(AuditRow(number, entry, previous, chain_hash(number, previous, entry)))
        previous = rows[-1].row_hash
    return rows


def check(rows: list[AuditRow], signed: AuditRow | None = None) -> Report:
    points = [AuditCheckpoint(1, signed.number, signed.row_hash, AT, "")] if signed else []
    chain = ChainCheck(points)
    for row in rows:
        chain.feed(row)
    return chain.finish()


ACTORS = st.lists(st.sampled_from("abc"), min_size=2, max_size=12)


@st.composite
def meddled(draw: Any) -> tuple[list[AuditRow], list[AuditRow]]:
    """An honest log, and the same after one to three attacks on its rows."""
    rows = chained(draw(ACTORS))
    now = list(rows)
    for _ in range(draw(st.integers(1, 3))):
        if not now:
            break
        place = draw(st.integers(0, len(now) - 1))
        other = draw(st.integers(0, len(now) - 1))
        match draw(st.sampled_from(["edit", "delete", "insert", "swap", "rehash"])):
            case "edit":
                now[place] = replace(now[place], entry=replace(now[place].entry, actor="mallory"))
            case "delete":
                del now[place]
            case "insert":
                now.insert(place, replace(now[other], number=now[place].number))
            case "swap":
                now[place], now[other] = now[other], now[place]
            case "rehash":
                now[place:] = chained([row.entry.actor for row in now[:place]] + ["mallory"])[place:]
    return rows, now


@settings(max_examples=150, deadline=None)
@given(meddled())
def test_no_attack_on_a_signed_log_goes_unseen(logs: tuple[list[AuditRow], list[AuditRow]]) -> None:
    honest, now = logs
    report = check(now, signed=honest[-1])
    grown = now[: len(honest)] == honest and now == chained([row.entry.actor for row in now])
    assert report.intact == grown, "only a log that honestly went on is whole"


@settings(max_examples=30, deadline=None)
@given(ACTORS)
def test_an_honest_log_holds_with_and_without_a_checkpoint(actors: list[str]) -> None:
    rows = chained(actors)
    assert check(rows).intact
    report = check(rows, signed=rows[-1])
    assert (report.intact, report.proven, report.last_hash) == (True, len(rows), rows[-1].row_hash)


def test_what_nobody_signed_can_be_written_anew_unseen_and_is_not_called_proven() -> None:
    """The reason why there are checkpoints."""
    assert check(chained(["mallory"] * 4)).proven == 0
    forged = check(chained(["mallory"] * 4), signed=chained(list("abca"))[-1])
    assert [one.kind for one in forged.problems] == [Tamper.REBUILT]


def test_a_hostile_file_costs_no_memory_and_few_words() -> None:
    rows = chained(["a"])
    report = check(
        [*rows, replace(rows[0], number=10**15), *[replace(rows[0], number=n) for n in range(2, 400)]]
    )
    assert not report.intact
    assert len(report.problems) <= 20
