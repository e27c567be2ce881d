"""docs/QUERY.md: the query language with all its fields and examples; a test runs each example."""

from collections.abc import Iterator, Sequence

from storage import twin_schema as schema
from storage.query import checker, lexer, parser
from storage.query.vocabulary import ALIASES, FACTS, Kind, subject_of
from tests.house.tree import Problem, Tree

PAGE = "docs/QUERY.md"

EXAMPLES: Sequence[tuple[str, str]] = (
    ("vendor = Volta and model in (V22, V44)", "Two models of a vendor."),
    ("model like AC*", "Models whose name begins with AC."),
    ("hardware = B and firmware.version < 2.1", "A hardware revision that still runs old firmware."),
    ("firmware.version >= 2.0.0-rc1 and not online", "New firmware, and away."),
    ("unknown(firmware.version)", "It never told what it runs."),
    ("state = faulted or drift.critical > 0", "What somebody should look at."),
    ("online and not charging and sessions.open = 0", "Certainly idle, as far as sessions say."),
    ("operation.connectors.*.status = Faulted", "At least one connector is faulted."),
    ("not operation.connectors.*.status in (Faulted, Unavailable)", "No connector is, and all are known."),
    ("operation.transactions.*.stuck is known", "A session that a person has to look at."),
    ("last_message_at < -24h", "Not heard of for a day."),
    ("connectivity.last_message_at > 2026-11-25T12:00:00Z", "Heard of since an instant."),
    ("security.certificate_until < +30d", "Its certificate ends within 30 days."),
    ("security.profile < 2 and lifecycle = active", "In service without TLS."),
    ("security.roots like 'CSMSRootCertificate/*'", "A root certificate of that use is installed."),
    ("configuration.OCPPCommCtrlr.HeartbeatInterval > 300", "A variable of the device model, as a number."),
    ('configuration."EVSE(1).AvailabilityState" = Faulted', "A variable whose name has other signs."),
    ("desired.firmware.version = 2.0 and firmware.version != 2.0", "It should run another version."),
    ("unknown(configuration.read_at)", "Its configuration was never read."),
    ("updates.failed > 0 and not site.outage", "An update failed, and its site is there."),
    ("quarantined or security.tampered", "In quarantine, or opened."),
)

HEAD = """# Asking for chargers

Written by `make requirements` from `storage/query` and `tests/house/query_page.py`; do not edit.

One language says which chargers, everywhere: `ampwave charger list --query`, `ampwave charger count
--query`, `GET /api/v1/chargers?query=`, `GET /api/v1/chargers/counts?query=&by=`, the box on the fleet
page, and the targets of a campaign (`query:` in its plan, frozen with the cohort and part of the plan's
digest). It reads the tables that the chargers' messages are written to, in the same database: what is
committed is found.

## Rules

1. **No data is never a match.** A comparison with a value that is not known is neither yes nor no: it is
   *unknown*, and so is its opposite. `firmware.version < 2` and `not firmware.version < 2` both leave out a
   charger that never told its version. `and`, `or` and `not` follow SQL: `no and unknown` is no, `yes or
   unknown` is yes, else unknown stays unknown. Only a certain yes selects a charger.
2. **Ask for what is missing.** `known(field)` and `unknown(field)` are always yes or no. `field is known`,
   `field is unknown`, `is null` and `is not null` are the same in other words.
3. **Types are checked first.** A field that does not exist, or a value that does not fit, is an error that
   names its line and column and what may have been meant; nothing runs.
4. **Reported or desired.** A path of the twin means what was reported; `reported.` may stand before it,
   `desired.` asks what people want it to be.
5. **`*` in a path** means at least one connector or session. Without any, or if none says yes and one is
   not known, the answer is unknown.
6. **Last known is not current.** A charger that is away keeps what it reported. Add `online` or `not
   stale`, or ask `state`, where silence counts.
7. **Now** is one instant for the whole listing, all its pages included. Who matches throughout comes
   exactly once.

"""

_VERSION_WORDS = (
    "`=` is the same text. Order goes number by number (1.9 < 1.10, 1.2 is 1.2.0), a pre-release before "
    "its release. A version that is written otherwise, and two pre-releases of one release, have no order: "
    "unknown."
)
_SIGNS = """
Keywords are read in any case. A text stands in single or double quotes; a backslash keeps a quote or a
backslash. In a pattern `*` is any text and `?` any sign; a backslash before them takes that from them. A name
that holds other signs is put in quotes behind its dot: `configuration."EVSE(1).X"`.

"""
_COUNTING = f"""
Counting takes one or {checker.MOST_GROUPINGS} fields that are no time, no list and have no `*`:
`ampwave charger count --by vendor,firmware.version --rates`. What is not known is a group of its own;
`--rates` adds faulted chargers, of those that reported their connectors, and failed updates, of those that
campaigns sent.
"""
_FIELDS = """
## Fields of the twin

docs/TWIN.md says more of each. `X` stands for the name of a variable.

| field | type | desired | |
|---|---|---|---|
"""

_BY_KIND: dict[Kind, tuple[str, str]] = {
    Kind.TEXT: (
        "`=` `!=` `in` `like`",
        "Case counts. In quotes, or bare where it has only letters, digits and `_.+-:/@%#[]`.",
    ),
    Kind.VERSION: ("`=` `!=` `in` `like` `<` `<=` `>` `>=`", _VERSION_WORDS),
    Kind.VARIABLE: (
        "`=` `!=` `in` `like` `<` `<=` `>` `>=`",
        "A text; against a bare number or `true`/`false` it is read as one, and unknown where it is none.",
    ),
    Kind.NUMBER: ("`=` `!=` `in` `<` `<=` `>` `>=`", "`300`, `-0.5`."),
    Kind.FLAG: ("by itself, `=` `!=`", "`online`, `not online`, `online = false`."),
    Kind.TIME: (
        "`=` `!=` `in` `<` `<=` `>` `>=`",
        "`2026-11-25T12:00:00Z`, `2026-11-25` (UTC), `now`, `-24h` (ago), `+30d` (ahead); units w d h min s.",
    ),
    Kind.LIST: ("`has` `like`", "One of its elements is that text, or fits the pattern."),
}


def _grammar() -> str:
    """As the parser states it."""
    text = (parser.__doc__ or "").partition("Pure.\n\n")[2]
    return "\n".join(line.removeprefix("    ") for line in text.rstrip().splitlines())


def _kind(path: str) -> str:
    subject = subject_of(path.replace(f"{schema.VARIABLES}.*", f"{schema.VARIABLES}.X"))
    return subject.kind.value if subject else "-"


def _parts() -> Iterator[str]:
    yield HEAD
    yield f"## Grammar\n\n```\n{_grammar()}\n```\n"
    yield _SIGNS
    yield f"Limits: {lexer.MAX_LENGTH} characters, {parser.MAX_TERMS} conditions, {parser.MAX_DEPTH} "
    yield f"brackets within each other, {parser.MAX_VALUES} values of a list, 10 seconds in the database.\n\n"
    yield "## Types\n\n| type | may be asked | how it is written |\n|---|---|---|\n"
    yield from (f"| {kind.value} | {tests} | {words} |\n" for kind, (tests, words) in _BY_KIND.items())
    yield "\n## Examples\n\n| query | who |\n|---|---|\n"
    yield from (f"| `{query}` | {meaning} |\n" for query, meaning in EXAMPLES)
    yield _COUNTING
    yield "\n## Facts beside the twin\n\n| field | type | |\n|---|---|---|\n"
    for fact in FACTS:
        choices = f" One of {', '.join(fact.choices)}." if fact.choices else ""
        yield f"| `{fact.path}` | {fact.kind.value} | {fact.meaning}{choices} |\n"
    yield "\n## Short names\n\n| short | means |\n|---|---|\n"
    yield from (f"| `{short}` | `{path}` |\n" for short, path in ALIASES.items())
    yield _FIELDS
    for field in schema.FIELDS:
        path = field.path.replace(f"{schema.VARIABLES}.*", "configuration.X")
        desired = "yes" if field.may_be_desired else ""
        yield f"| `{path}` | {_kind(field.path)} | {desired} | {field.meaning} |\n"


def page() -> str:
    """The whole page."""
    return "".join(_parts())


def stale_query_page(tree: Tree) -> Iterator[Problem]:
    """The page says what the language is."""
    if PAGE not in tree.paths or tree.text(PAGE) != page():
        yield Problem(PAGE, 1, "does not say what storage/query says; run 'make requirements'")
