"""Random queries, as trees that a parser gives and as conditions whose values fit."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from storage.query import checker
from storage.query.checker import Condition
from storage.query.operands import Moment, Operand
from storage.query.parser import KEYWORDS
from storage.query.syntax import (
    Among,
    And,
    Compare,
    Has,
    Holds,
    Known,
    Like,
    Name,
    Node,
    Not,
    Operator,
    Or,
    Value,
)
from storage.query.versions import version_of
from storage.query.vocabulary import Kind, Subject, names, subject_of

_SIGNS = "abzAZ019_.*?+-:/@%#[]é"
_BARE = st.text(_SIGNS, min_size=1, max_size=8).filter(
    lambda text: text.lower() not in KEYWORDS and text.lower() not in ("known", "unknown")
)
_TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=8)
NAMES = st.one_of(
    st.sampled_from(["vendor", "firmware.version", "online", "known", "unknown"]),
    _BARE,
    st.builds(lambda text: f"configuration.{text}", _TEXT.filter(lambda text: text.strip() != "")),
).map(Name)
VALUES = st.builds(Value, _BARE, st.just(value=False)) | st.builds(Value, _TEXT, st.just(value=True))
LEAVES = st.one_of(
    st.builds(Compare, NAMES, st.sampled_from(Operator), VALUES),
    st.builds(Among, NAMES, st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
    st.builds(Like, NAMES, VALUES),
    st.builds(Has, NAMES, VALUES),
    st.builds(Known, NAMES),
    st.builds(Holds, NAMES),
)


def _joined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, inner) | st.builds(And, parts) | st.builds(Or, parts)


TREES: st.SearchStrategy[Node] = st.recursive(LEAVES, _joined, max_leaves=8)
WORDS: Sequence[str] = (
    *(
        "and",
        "or",
        "not",
        "in",
        "like",
        "has",
        "is",
        "null",
        "known",
        "unknown",
        "(",
        ")",
        ",",
        "=",
        "!=",
        "<",
    ),
    *("vendor", "online", "firmware.version", "configuration.", "desired.", "lifecycle", "security.roots"),
    *("'x'", '"', "'", "\\", "-24h", "1.2", "true", ";", "--", "\x00", "\ud800", "*", "SELECT", "operation."),
)
CHAOS = st.lists(st.sampled_from(WORDS) | st.text(max_size=3), max_size=14).map(" ".join) | st.text(
    max_size=40
)
"""Anything at all, and things that nearly are queries."""


# --- conditions whose values fit, about chargers of ``query_fleet`` ---

_VERSIONS = ["1.2.10", "2.0", "v2.0", "2.0.0", "2.0.0-rc1", "10", "1.2.9", "2.0.0-rc2", "1.02.10"]
_LIKELY: dict[Kind, Sequence[Operand]] = {
    Kind.TEXT: [
        "Volta",
        "V22",
        "V44",
        "A",
        "B",
        "ocpp1.6",
        "C02",
        "s2",
        'it"s',
        "S-5",
        "no word since yesterday",
    ],
    Kind.VERSION: [*_VERSIONS, "beta"],
    Kind.VARIABLE: [300.0, 600.0, 0.0, True, False, "300", "often", "yes", "TRUE"],
    Kind.NUMBER: [0.0, 1.0, 2.0, 3.0, 0.5, -1.0, 7.0],
    Kind.FLAG: [True, False],
    Kind.TIME: [
        Moment(),
        Moment(offset=timedelta(hours=-1)),
        Moment(offset=timedelta(days=-1)),
        Moment(offset=timedelta(days=5)),
        Moment(datetime(2026, 11, 25, 12, tzinfo=UTC)),
    ],
}
_PATTERNS = [
    "*",
    "V*",
    "?22",
    "AC_22",
    "AC?22",
    "*%*",
    "\\*",
    "2.0*",
    "*rc?",
    "",
    "MF/*",
    "?",
    "*yes*",
    "A\\",
]
SUBJECTS: Sequence[Subject] = tuple(
    subject
    for name in (
        *names(),
        "configuration.HeartbeatInterval",
        "configuration.Weird (1).X",
        "configuration.Lights",
        "desired.configuration.HeartbeatInterval",
        "operation.connectors.1.1.status",
        "operation.connectors.2.1.status",
        "operation.transactions.t0.stuck",
    )
    if (subject := subject_of(name)) is not None
)


_SUBTLE = [
    subject for subject in SUBJECTS if subject.name in ("faulted", "charging", "firmware.version", "state")
]
"""Where yes, no and unknown are made in more than one way."""


def _operands(subject: Subject) -> st.SearchStrategy[Operand]:
    return st.sampled_from(subject.choices or _LIKELY[subject.kind])


def _leaf_of(subject: Subject) -> st.SearchStrategy[Condition]:
    known = st.just(checker.IsKnown(subject))
    if subject.kind is Kind.LIST:
        has = st.builds(
            checker.Contains, st.just(subject), st.sampled_from(["CSMS/aa/1", "MF/bb/2", "5", ""])
        )
        return known | has | st.builds(checker.Matches, st.just(subject), st.sampled_from(_PATTERNS))
    equal = st.builds(
        checker.Compares,
        st.just(subject),
        st.sampled_from([Operator.EQUAL, Operator.UNEQUAL]),
        _operands(subject),
    )
    among = st.builds(
        checker.OneOf, st.just(subject), st.lists(_operands(subject), min_size=1, max_size=3).map(tuple)
    )
    found = known | equal | among
    if subject.kind in (Kind.TEXT, Kind.VERSION, Kind.VARIABLE):
        found |= st.builds(checker.Matches, st.just(subject), st.sampled_from(_PATTERNS))
    if subject.kind not in (Kind.TEXT, Kind.FLAG):
        found |= st.builds(checker.Compares, st.just(subject), st.sampled_from(Operator), _ordered(subject))
    return found


def _ordered(subject: Subject) -> st.SearchStrategy[Operand]:
    if subject.kind is Kind.VERSION:
        return st.sampled_from([version for text in _VERSIONS if (version := version_of(text))])
    if subject.kind is Kind.VARIABLE:
        return st.sampled_from([0.0, 300.0, 450.0])
    return _operands(subject)


def _combined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    parts = st.lists(inner, min_size=2, max_size=3).map(tuple)
    return (
        st.builds(checker.Opposite, inner) | st.builds(checker.AllOf, parts) | st.builds(checker.AnyOf, parts)
    )


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    (st.sampled_from(_SUBTLE) | st.sampled_from(SUBJECTS)).flatmap(_leaf_of), _combined, max_leaves=4
)
