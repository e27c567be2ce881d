"""The query language without a database: what is read, what is refused and where, what a value means."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.states import ChargerState
from storage.query.checker import Compares, condition_of, group_of
from storage.query.errors import QueryError
from storage.query.lexer import MAX_LENGTH
from storage.query.operands import Moment, like_of
from storage.query.parser import MAX_DEPTH, MAX_TERMS, MAX_VALUES, parse
from storage.query.syntax import text_of
from storage.query.versions import order, version_of
from storage.query.vocabulary import FACTS, STATES, Kind, Side, names, subject_of
from storage.twin_schema import FIELDS, FieldType
from tests.support.query_trees import CHAOS, TREES

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@given(TREES)
@settings(max_examples=300)
def test_what_a_tree_is_written_as_is_read_as_that_tree(tree) -> None:
    assert parse(text_of(tree)) == tree


@given(CHAOS)
@settings(max_examples=500)
def test_any_text_is_a_query_or_gets_a_place_where_it_goes_wrong(text: str) -> None:
    try:
        condition_of(text)
    except QueryError as error:
        at = error.position
        assert 0 <= at.offset <= len(text)
        line = text.split("\n")[at.line - 1]
        assert at.source == line
        assert 1 <= at.column <= len(line) + 1
        assert at.length >= 1
        _, caret = at.caret()
        assert caret.endswith("^")
    else:
        assert parse(text_of(parse(text))) == parse(text)


@pytest.mark.parametrize(
    ("query", "pointed_at", "message"),
    [
        ("", "", "the query is empty"),
        ("vendor == Volta", "==", "'==' is written '='"),
        ("vendor <> Volta", "<>", "'<>' is written '!='"),
        ("online && faulted", "&", "'&' is not part"),
        ("vendr = Volta", "vendr", "no field 'vendr'"),
        ("online and\nfirmware.versoin < 2", "firmware.versoin", "no field"),
        ("vendor = Volta; DROP TABLE charger", ";", "not part of the language"),
        ("SELECT * FROM charger", "SELECT", "no field of a charger"),
        ("vendor = 'Volta", "'Volta", "no closing quote"),
        ("vendor =", "", "ends where a value is expected"),
        ("vendor = and online", "and", "expected a value"),
        ("vendor = null", "null", "cannot be null"),
        ("vendor = unknown", "unknown", "compared as a text"),
        ("vendor = Vo*", "Vo*", "stand for themselves"),
        ("vendor > A", ">", "has no order"),
        ("online > true", ">", "has no order"),
        ("online = 1", "1", "needs true or false"),
        ("vendor", "vendor", "no yes or no by itself"),
        ("evses = two", "two", "needs a number"),
        ("evses = '2'", "'2'", "needs a number"),
        ("lifecycle = actve", "actve", "never 'actve'"),
        ("operation.connectors.*.status = faulted", "faulted", "never 'faulted'"),
        ("firmware.version < beta", "beta", "no version with an order"),
        ("configuration.X > often", "often", "needs a number"),
        ("last_message_at > 24h", "24h", "needs its sign"),
        ("last_message_at > yesterday", "yesterday", "needs a time"),
        ("last_message_at > 2026-11-25T12:00:00", "2026-11-25T12:00:00", "lacks its time zone"),
        ("last_message_at > -999999999w", "-999999999w", "more than a hundred years"),
        ("last_message_at like 'a'", "like", "fits no pattern"),
        ("security.roots = x", "=", "is a list"),
        ("security.roots in (x)", "x", "is a list"),
        ("vendor has x", "has", "no list"),
        ("vendor like '" + "*a" * 11 + "'", "'" + "*a" * 11 + "'", "at most 10 stars"),
        ("known firmware.version", "firmware.version", "expected '(' and a field"),
        ("known(online", "", "ends where ')'"),
        ("(online", "", "ends where ')'"),
        ("online)", ")", "expected 'and', 'or' or the end"),
        ("online faulted", "faulted", "expected a comparison"),
        ("desired.online", "desired.online", "no field"),
        ("desired.firmware.status = Idle", "desired.firmware.status", "no field"),
        ("operation.connectors.*.colour = x", "operation.connectors.*.colour", "no field"),
    ],
)
def test_an_error_points_at_its_token(query: str, pointed_at: str, message: str) -> None:
    with pytest.raises(QueryError) as refused:
        condition_of(query)
    at = refused.value.position
    token = query[at.offset : at.offset + at.length]
    assert token == pointed_at
    assert message in refused.value.message
    line, caret = at.caret()
    assert line == query.split("\n")[at.line - 1]
    assert caret == " " * (at.column - 1) + "^" * at.length


@pytest.mark.parametrize(
    ("query", "near"),
    [
        ("vendr = Volta", "vendor"),
        ("firmware.versoin = 2", "firmware.version"),
        ("profile = 3", "security.profile"),
        ("lifecycle = Active", "active"),
        ("vendor lik 'V*'", "like"),
    ],
)
def test_what_may_have_been_meant_is_said(query: str, near: str) -> None:
    with pytest.raises(QueryError) as refused:
        condition_of(query)
    assert near in refused.value.near
    assert f"Did you mean {near}" in refused.value.hint


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("(" * (MAX_DEPTH + 1) + "online" + ")" * (MAX_DEPTH + 1), "nested more than"),
        ("not " * (MAX_DEPTH + 1) + "online", "nested more than"),
        ("(" * 3900, "nested more than"),
        (" and ".join(["online"] * (MAX_TERMS + 1)), "conditions"),
        (f"vendor in ({','.join(['a'] * (MAX_VALUES + 1))})", "values"),
        ("vendor = '" + "a" * MAX_LENGTH + "'", "characters"),
    ],
)
def test_a_query_too_large_is_refused(query: str, why: str) -> None:
    with pytest.raises(QueryError, match=why):
        condition_of(query)


def test_a_query_at_its_limits_is_read() -> None:
    deep = "(" * MAX_DEPTH + "online" + ")" * MAX_DEPTH
    assert condition_of(deep) == condition_of("online")
    assert condition_of(" and ".join(["online"] * MAX_TERMS))
    assert condition_of(f"vendor in ({','.join(['a'] * MAX_VALUES)})")


def test_keywords_are_read_in_any_case_and_texts_as_they_are() -> None:
    assert condition_of("NOT online AND vendor IN ('and', \"Or\")") == condition_of(
        "not online and vendor in ('and','Or')"
    )


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("now", NOW),
        ("-24h", NOW - timedelta(days=1)),
        ("+1w2d3h4min5s", NOW + timedelta(days=9, hours=3, minutes=4, seconds=5)),
        ("2026-11-25", datetime(2026, 11, 25, tzinfo=UTC)),
        ("2026-11-25T13:00:00+01:00", NOW),
        ("'2026-11-25 12:00:00Z'", NOW),
        ("0001-01-01T00:00:00+14:00", datetime(1, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_are_instants_or_so_long_from_now(text: str, moment: datetime) -> None:
    condition = condition_of(f"last_message_at < {text}")
    assert isinstance(condition, Compares)
    assert isinstance(condition.operand, Moment)
    assert condition.operand.instant(NOW) == moment


def test_a_time_beyond_the_calendar_is_its_edge() -> None:
    assert Moment(offset=timedelta(days=36600)).instant(datetime(9999, 1, 1, tzinfo=UTC)).year == 9999
    assert Moment(offset=timedelta(days=-36600)).instant(datetime(2, 1, 1, tzinfo=UTC)).year == 1


@pytest.mark.parametrize(
    ("less", "more"),
    [("1.2.9", "1.2.10"), ("1.9", "1.10"), ("2.0.0-rc1", "2.0.0"), ("v1", "1.0.1"), ("9", "10.0")],
)
def test_versions_are_ordered_number_by_number(less: str, more: str) -> None:
    left, right = version_of(less), version_of(more)
    assert left is not None
    assert right is not None
    assert (order(left, right), order(right, left), order(left, left)) == (-1, 1, 0)


@pytest.mark.parametrize(
    "text", ["beta", "", "1..2", "1.2a", "R3.2", "1.2 ", "1.2\n", "\u0661.\u0662", "1" * 19]
)
def test_what_vendors_count_otherwise_has_no_order(text: str) -> None:
    assert version_of(text) is None


def test_two_pre_releases_of_one_release_have_no_order() -> None:
    first, second = version_of("2.0.0-rc1"), version_of("2.0.0-rc2")
    assert first is not None
    assert second is not None
    assert order(first, second) is None


@given(st.text("ab%_\\*?", max_size=8))
def test_nothing_but_stars_and_question_marks_is_wild(pattern: str) -> None:
    like = like_of(pattern)
    plain = like.replace("\\\\", "").replace("\\%", "").replace("\\_", "")
    assert plain.count("%") + plain.count("_") <= pattern.count("*") + pattern.count("?")
    assert "\\" not in plain


@pytest.mark.requirement("F11")
def test_every_field_of_the_schema_can_be_asked_with_its_type() -> None:
    for field in FIELDS:
        path = field.path.replace("values.*", "values.X")
        subject = subject_of(path)
        assert subject is not None, path
        if field.type is not FieldType.TEXT:
            assert subject.kind.value == field.type.value
        condition_of(f"known({path})")
        desired = subject_of(f"desired.{path}")
        assert (desired is not None and desired.side is Side.DESIRED) == field.may_be_desired
    assert all(subject_of(name) for name in names())


def test_the_words_for_a_charger_are_those_of_its_page() -> None:
    assert tuple(ChargerState) == STATES


def test_facts_shadow_no_field_of_the_schema() -> None:
    assert not {fact.path for fact in FACTS} & {field.path for field in FIELDS}
    assert all(fact.meaning and fact.side is Side.FACT for fact in FACTS)


@pytest.mark.parametrize("name", ["last_message_at", "security.roots", "operation.connectors.*.status", "id"])
def test_chargers_are_not_counted_by_what_each_has_of_its_own(name: str) -> None:
    with pytest.raises(QueryError, match="to count by"):
        group_of(name)


@pytest.mark.parametrize("text", ["", "vendor model", "(", "'vendor'", "vendr"])
def test_one_field_is_needed_to_count_by(text: str) -> None:
    with pytest.raises(QueryError):
        group_of(text)


def test_short_names_stand_for_the_schemas() -> None:
    assert subject_of("hardware") == subject_of("register.hardware_revision")
    assert subject_of("version") == subject_of("reported.firmware.version")
    variable = subject_of("configuration.OCPPCommCtrlr.HeartbeatInterval")
    assert variable is not None
    assert (variable.path, variable.kind) == (
        "configuration.values.OCPPCommCtrlr.HeartbeatInterval",
        Kind.VARIABLE,
    )
