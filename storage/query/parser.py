"""From a query's text to its tree, by recursive descent of bounded depth. Pure.

query     = and { "or" and }
and       = not { "and" not }
not       = "not" not | primary
primary   = "(" query ")" | ("known" | "unknown") "(" field ")" | field [ test ]
test      = ("=" | "!=" | "<" | "<=" | ">" | ">=") value
              | [ "not" ] "in" "(" value { "," value } ")" | [ "not" ] "like" value | [ "not" ] "has" value
              | "is" [ "not" ] ("null" | "known" | "unknown")
"""

from dataclasses import dataclass, field
from difflib import get_close_matches

from storage.query.errors import QueryError, Span, Unfit
from storage.query.lexer import Kind, Token, tokens
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

MAX_DEPTH = 20
"""Brackets and nots within each other."""
MAX_TERMS = 60
"""Conditions of one query."""
MAX_VALUES = 500
"""Values of one list."""

KEYWORDS = frozenset({"and", "or", "not", "in", "like", "has", "is", "null"})
"""Words that are no values unless they are in quotes."""
_TESTS = ("=", "!=", "<", "<=", ">", ">=", "in", "like", "has", "is")
_SQL = frozenset({"select", "insert", "update", "delete", "drop", "where", "from", "union", "with"})
_OTHER_SPELLINGS = {"==": "=", "<>": "!=", "&&": "and", "||": "or", "~": "like", "!": "not"}


def parse(text: str) -> Node:
    """The tree of a query. Raises QueryError, and nothing else."""
    try:
        return _Reader(tokens(text)).query()
    except Unfit as unfit:
        raise QueryError(unfit.complaint, text) from None


def parse_name(text: str) -> Name:
    """A field by itself, as it is named for grouping. Raises QueryError."""
    try:
        first, *rest = tokens(text)
        if first.kind is not Kind.WORD or len(rest) != 1:
            raise Unfit("expected the name of one field", first.at)
        return Name(first.text, first.at)
    except Unfit as unfit:
        raise QueryError(unfit.complaint, text) from None


def split_names(text: str) -> tuple[str, ...]:
    """The names of a list with commas. Raises QueryError for what cannot be read at all."""
    try:
        found = tokens(text)
    except Unfit as unfit:
        raise QueryError(unfit.complaint, text) from None
    commas = [token.at for token in found if token.kind is Kind.COMMA]
    starts, ends = [0, *(at.end for at in commas)], [*(at.start for at in commas), len(text)]
    return tuple(text[start:end].strip() for start, end in zip(starts, ends, strict=True))


@dataclass(slots=True)
class _Reader:
    tokens: list[Token]
    place: int = 0
    depth: int = 0
    terms: int = field(default=0)

    def query(self) -> Node:
        if self.seen.kind is Kind.END:
            raise Unfit("the query is empty", self.seen.at, hint='Say which chargers: vendor = "Volta".')
        node = self.any_of()
        self.expect(Kind.END, "'and', 'or' or the end of the query")
        return node

    def any_of(self) -> Node:
        parts = [self.all_of()]
        while self.take("or"):
            parts.append(self.all_of())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def all_of(self) -> Node:
        parts = [self.opposite()]
        while self.take("and"):
            parts.append(self.opposite())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def opposite(self) -> Node:
        if (token := self.take("not")) is None:
            return self.primary()
        self.deeper(token)
        node = Not(self.opposite())
        self.depth -= 1
        return node

    def primary(self) -> Node:
        token = self.seen
        if token.kind is Kind.OPEN:
            self.deeper(self.advance())
            node = self.any_of()
            self.expect(Kind.CLOSE, "')'")
            self.depth -= 1
            return node
        if token.kind is not Kind.WORD or token.text.lower() in KEYWORDS:
            raise self.surprise("a field, 'not' or '('")
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise Unfit(f"the query has more than {MAX_TERMS} conditions", token.at, hint="Use 'in'.")
        self.advance()
        if token.text.lower() in ("known", "unknown") and self.seen.kind is Kind.OPEN:
            return self.known(token)
        return self.test(Name(token.text, token.at), token)

    def known(self, token: Token) -> Node:
        self.advance()
        word = self.expect(Kind.WORD, "a field")
        self.expect(Kind.CLOSE, "')'")
        node = Known(Name(word.text, word.at))
        return node if token.text.lower() == "known" else Not(node)

    def test(self, name: Name, token: Token) -> Node:
        seen = self.seen
        if seen.kind is Kind.OPERATOR:
            self.advance()
            return Compare(name, Operator(seen.text), self.value(), seen.at)
        if self.take("is"):
            return self.state(name)
        if self.next_is("not") and self.tokens[self.place + 1].text.lower() in ("in", "like", "has"):
            self.advance()
            return Not(self.worded(name, token))
        return self.worded(name, token)

    def worded(self, name: Name, token: Token) -> Node:
        seen = self.seen
        if self.take("in"):
            return Among(name, self.values())
        if self.take("like"):
            return Like(name, self.value(), seen.at)
        if self.take("has"):
            return Has(name, self.value(), seen.at)
        if seen.kind in (Kind.WORD, Kind.TEXT, Kind.OPEN) and not (self.next_is("and") or self.next_is("or")):
            if token.text.lower() in _SQL:
                hint = "This is no SQL: give only the condition, as in vendor = Volta and online."
                raise Unfit(f"{token.text!r} is no field of a charger", token.at, hint=hint)
            if token.text.lower() in ("known", "unknown"):
                raise Unfit(f"expected '(' and a field, not {seen.text!r}", seen.at)
            raise self.surprise(f"a comparison ({', '.join(_TESTS)}), 'and' or 'or'")
        return Holds(name)

    def state(self, name: Name) -> Node:
        negated = self.take("not") is not None
        for word, known in (("null", False), ("unknown", False), ("known", True)):
            if self.take(word):
                return Known(name) if known is not negated else Not(Known(name))
        raise self.surprise("'known', 'unknown' or 'null'")

    def values(self) -> tuple[Value, ...]:
        self.expect(Kind.OPEN, "'(' and a list of values")
        found = [self.value()]
        while self.seen.kind is Kind.COMMA:
            self.advance()
            if len(found) == MAX_VALUES:
                raise Unfit(f"the list has more than {MAX_VALUES} values", self.seen.at)
            found.append(self.value())
        self.expect(Kind.CLOSE, "',' or ')'")
        return tuple(found)

    def value(self) -> Value:
        token = self.seen
        if token.kind not in (Kind.WORD, Kind.TEXT):
            raise self.surprise("a value")
        word = token.text.lower()
        if token.kind is Kind.WORD and word == "null":
            hint = "Nothing equals a missing value: write 'is unknown' or unknown(field)."
            raise Unfit("a value cannot be null", token.at, hint=hint)
        if token.kind is Kind.WORD and word in KEYWORDS:
            raise Unfit(
                f"expected a value, not {token.text!r}", token.at, hint="If it is the value, quote it."
            )
        self.advance()
        return Value(token.text, token.kind is Kind.TEXT, token.at)

    # --- small steps ---

    @property
    def seen(self) -> Token:
        return self.tokens[self.place]

    def advance(self) -> Token:
        token = self.seen
        self.place += token.kind is not Kind.END
        return token

    def next_is(self, keyword: str) -> bool:
        return self.seen.kind is Kind.WORD and self.seen.text.lower() == keyword

    def take(self, keyword: str) -> Token | None:
        return self.advance() if self.next_is(keyword) else None

    def expect(self, kind: Kind, what: str) -> Token:
        if self.seen.kind is not kind:
            raise self.surprise(what)
        return self.advance()

    def deeper(self, token: Token) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unfit(f"brackets and nots are nested more than {MAX_DEPTH} deep", token.at)

    def surprise(self, expected: str) -> Unfit:
        token = self.seen
        if token.kind is Kind.END:
            return Unfit(f"the query ends where {expected} is expected", token.at)
        before = self.tokens[self.place - 1] if self.place else None
        both = f"{before.text}{token.text}" if before and before.at.end == token.at.start else token.text
        if meant := _OTHER_SPELLINGS.get(both) or _OTHER_SPELLINGS.get(token.text):
            at = Span(token.at.end - len(both), token.at.end) if both in _OTHER_SPELLINGS else token.at
            return Unfit(f"{both!r} is written {meant!r} here", at)
        near = get_close_matches(token.text.lower(), [*_TESTS, "and", "or", "not"], n=1, cutoff=0.6)
        return Unfit(f"expected {expected}, not {token.text!r}", token.at, near=near)
