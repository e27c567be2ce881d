"""What answers look like: widths, colours, times and sizes."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.cli.output import Column, Screen, ago, clean, duration, moment, share, size, words

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
COLUMNS = (
    Column("NAME"),
    Column("STATE"),
    Column("SIZE", right=True, optional=True),
    Column("REASON", fold=True),
    Column("ID", optional=True),
)
ROWS = [
    ("acme/1.1.0", "released", "4.2 MB", "Two people of the role signed it with their own keys.", "ab" * 20),
    ("acme/1.2.0", "rejected", "4.2 MB", "-", "cd" * 20),
]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def _table(width: int, stream: io.StringIO | None = None) -> list[str]:
    out = stream or io.StringIO()
    Screen(out, width=width).table(COLUMNS, ROWS, empty="nothing")
    return out.getvalue().splitlines()


def test_a_wide_screen_shows_everything() -> None:
    head, *rows = _table(160)
    assert head.split() == ["NAME", "STATE", "SIZE", "REASON", "ID"]
    assert len(rows) == 2


def test_a_narrow_screen_leaves_out_what_matters_least_and_folds_the_rest() -> None:
    head, *rows = _table(60)
    assert head.split() == ["NAME", "STATE", "SIZE", "REASON"]
    assert max(len(line.rstrip()) for line in rows) <= 60
    assert "keys." in " ".join(rows)
    assert _table(44)[0].split() == ["NAME", "STATE", "REASON"]


@settings(deadline=None)
@given(st.lists(st.tuples(*[st.text(max_size=40)] * 5), min_size=1, max_size=5), st.integers(60, 200))
def test_any_text_makes_a_table(rows: list[tuple[str, ...]], width: int) -> None:
    out = io.StringIO()
    Screen(out, width=width).table(COLUMNS, rows, empty="nothing")
    assert "NAME" in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert not any("\x1b" in line for line in _table(100))
    assert any("\x1b[32m" in line for line in _table(100, Terminal()))
    monkeypatch.setenv("NO_COLOR", "1")
    assert not any("\x1b[32m" in line for line in _table(100, Terminal()))


def test_an_empty_table_says_what_to_do() -> None:
    out = io.StringIO()
    Screen(out, width=80).table(COLUMNS, [], empty="Nothing yet. Do this.")
    assert out.getvalue() == "Nothing yet. Do this.\n"


def test_fields_leave_out_what_there_is_not() -> None:
    out = io.StringIO()
    Screen(out, width=80).fields([("Name", "x"), ("Reason", None), ("Long name", "y")])
    assert [line.rstrip() for line in out.getvalue().splitlines()] == ["Name       x", "Long name  y"]


@pytest.mark.parametrize(
    ("then", "text"),
    [
        (NOW, "just now"),
        (NOW - timedelta(seconds=5), "5 s ago"),
        (NOW - timedelta(seconds=90), "90 s ago"),
        (NOW - timedelta(minutes=3), "3 min ago"),
        (NOW - timedelta(minutes=60), "1 h ago"),
        (NOW - timedelta(hours=26), "26 h ago"),
        (NOW - timedelta(days=400), "400 d ago"),
        (NOW + timedelta(hours=2), "in 2 h"),
    ],
)
def test_times_are_told_from_now(then: datetime, text: str) -> None:
    assert ago(then.isoformat(), NOW) == text


def test_no_time_is_a_dash() -> None:
    assert ago(None, NOW) == "-"
    assert moment(None, NOW) is None
    assert moment("2026-11-20T13:00:00+02:00", NOW) == "2026-11-20 11:00:00 UTC (1 h ago)"


@settings(deadline=None)
@given(st.timedeltas(min_value=timedelta(), max_value=timedelta(days=9000)))
def test_a_rough_time_is_never_off_by_half(delta: timedelta) -> None:
    text = duration(delta.total_seconds())
    amount, unit = text.split()
    told = int(amount) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[unit]
    assert told <= delta.total_seconds() < told * 1.5 + 1


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (4_200, "4.2 kB"), (4_200_000, "4.2 MB"), (25e9, "25.0 GB")],
)
def test_sizes(count: float, text: str) -> None:
    assert size(count) == text


def test_small_words() -> None:
    assert words("awaiting_approval") == "awaiting approval"
    assert share(1, 3) == "33 %"
    assert share(0, 0) == "-"


@settings(deadline=None)
@given(st.text())
def test_no_control_character_gets_through(text: str) -> None:
    assert all(character.isprintable() for character in clean(text))
