"""A directive is used once on a charger, and the node remembers it whatever the database says."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signing import ledger as module
from signing.errors import DirectiveSpent, LedgerUnwritable
from signing.ledger import UseLedger
from tests.unit.signing.test_approval import DIRECTIVE, NOON

pytestmark = pytest.mark.requirement("S24")

LATER = replace(DIRECTIVE, nonce="later" * 4, not_before=NOON + timedelta(hours=1))


async def spent(ledger: UseLedger, *given: object) -> str:
    with pytest.raises(DirectiveSpent) as refused:
        await ledger.use(*given)  # type: ignore[arg-type]
    return refused.value.message


async def test_once_per_charger_and_the_same_request_may_come_again() -> None:
    ledger = UseLedger()
    for _ in range(3):
        await ledger.use(DIRECTIVE, "CP-1", 7, NOON)
    await ledger.use(DIRECTIVE, "CP-2", 8, NOON)
    assert "used for request 7" in await spent(ledger, DIRECTIVE, "CP-1", 9, NOON)
    await ledger.use(LATER, "CP-1", 9, NOON)


async def test_forward_again_after_a_way_back_is_refused() -> None:
    ledger = UseLedger()
    back = replace(LATER, downgrade=True)
    await ledger.use(back, "CP-1", 7, NOON)
    assert "signed before" in await spent(ledger, DIRECTIVE, "CP-1", 8, NOON)
    other = replace(DIRECTIVE, campaign_id="c-2")
    assert "signed before" in await spent(ledger, replace(other, downgrade=True), "CP-1", 8, NOON)
    await ledger.use(other, "CP-1", 8, NOON)


async def test_a_restarted_node_remembers_and_forgets_what_has_expired(tmp_path: Path) -> None:
    file = tmp_path / "trust" / "uses.jsonl"
    await UseLedger(file).use(DIRECTIVE, "CP-1", 7, NOON)
    await UseLedger(file).use(DIRECTIVE, "CP-2", 8, NOON)
    assert await spent(UseLedger(file), DIRECTIVE, "CP-1", 9, NOON)
    await UseLedger(file).use(DIRECTIVE, "CP-1", 7, NOON)
    await UseLedger(file).use(LATER, "CP-3", 9, NOON + timedelta(hours=26))
    assert file.read_text().count("\n") == 1


@pytest.mark.parametrize(
    "rest", ["", '["CP-2", "c', "rubbish\n", '["CP-2", "c-1", "n", 3, 4]\n', "\x00\xff\n"]
)
async def test_a_file_that_a_crash_cut_short_is_read_as_far_as_it_goes(tmp_path: Path, rest: str) -> None:
    file = tmp_path / "uses.jsonl"
    await UseLedger(file).use(DIRECTIVE, "CP-1", 7, NOON)
    with file.open("a", encoding="latin-1") as writing:
        writing.write(rest)
    assert await spent(UseLedger(file), DIRECTIVE, "CP-1", 9, NOON)
    await UseLedger(file).use(DIRECTIVE, "CP-2", 8, NOON)
    assert await spent(UseLedger(file), DIRECTIVE, "CP-2", 9, NOON)


async def test_a_long_file_is_written_anew_and_loses_nothing(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_COMPACT_AT", 5)
    ledger = UseLedger(tmp_path / "uses.jsonl")
    for number in range(14):
        await ledger.use(replace(DIRECTIVE, nonce=f"{number:016}"), f"CP-{number % 3}", number, NOON)
    again = UseLedger(tmp_path / "uses.jsonl")
    for number in (11, 12, 13):
        assert await spent(again, replace(DIRECTIVE, nonce=f"{number:016}"), f"CP-{number % 3}", 99, NOON)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 3)), max_size=25))
async def test_no_directive_is_ever_used_for_two_requests_in_a_row(moves: list[tuple[int, int, int]]) -> None:
    ledger, sent = UseLedger(), {}
    for charger, number, request in moves:
        directive = replace(DIRECTIVE, nonce=f"{number:016}", not_before=NOON + timedelta(minutes=number))
        try:
            await ledger.use(directive, f"CP-{charger}", request, NOON)
        except DirectiveSpent:
            continue
        assert sent.setdefault((charger, number), request) == request, "forward only, one request each"


async def test_what_cannot_be_read_is_an_alarm_and_nothing_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "uses.jsonl"
    file.mkdir()
    with pytest.raises(LedgerUnwritable, match="cannot be read"):
        await UseLedger(file).use(DIRECTIVE, "CP-1", 7, NOON)


async def test_a_line_that_a_full_disk_cut_short_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "uses.jsonl"
    ledger = UseLedger(file)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    await ledger.use(DIRECTIVE, "CP-1", 7, NOON)
    with monkeypatch.context() as patched:
        patched.setattr(module.os, "fsync", full)
        with pytest.raises(LedgerUnwritable):
            await ledger.use(DIRECTIVE, "CP-2", 8, NOON)
    file.write_bytes(file.read_bytes()[:-9])
    await ledger.use(DIRECTIVE, "CP-3", 9, NOON)
    for charger in ("CP-1", "CP-3"):
        assert await spent(UseLedger(file), DIRECTIVE, charger, 10, NOON)


async def test_what_cannot_be_written_down_is_not_sent(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    ledger = UseLedger(blocked / "uses.jsonl")
    for _ in range(2):
        with pytest.raises(LedgerUnwritable, match="cannot be written"):
            await ledger.use(DIRECTIVE, "CP-1", 7, NOON)
