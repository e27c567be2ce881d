"""The tables in csms/README.md: message by message, per version of OCPP, what is handled."""

import re
from collections.abc import Iterable, Iterator, Sequence

from csms.dialect import Dialect, Message, nothing
from csms.ocpp2x import ocpp21, ocpp201
from csms.ocpp16 import Ocpp16
from csms.schemas import actions
from tests.house.tree import Problem, Tree

PAGE = "csms/README.md"
BEGIN, END = "<!-- messages: written by `make requirements` -->\n", "<!-- /messages -->\n"
SECTION = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)
DIALECTS: tuple[Dialect, ...] = (Ocpp16(), ocpp201(), ocpp21())


_HEARD = """`event`: becomes canonical facts. `answered`: answered as the standard asks, and journaled.
Empty: the version has no such message.
"""
_SAID = "Each command, and the actions it is sent as:\n"
_UNSPOKEN = """Not spoken, in neither direction. To a charger that calls one of these, or one of our calls,
the answer is NotSupported; to one that calls what its version lacks, NotImplemented.
"""


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _table(first: str, dialects: Sequence[Dialect], rows: Iterable[tuple[str, ...]]) -> str:
    names = [dialect.name.removeprefix("ocpp") for dialect in dialects]
    return _row([first, *names]) + _row(["---"] * (len(names) + 1)) + "".join(map(_row, rows))


def _heard(message: Message | None) -> str:
    if message is None:
        return ""
    return "answered" if message.read is nothing else "event"


def heard(dialects: Sequence[Dialect]) -> str:
    """What chargers say, and whether it becomes canonical facts."""
    names = dict.fromkeys(action for dialect in dialects for action in dialect.messages)
    rows = ((name, *(_heard(dialect.messages.get(name)) for dialect in dialects)) for name in names)
    return _table("from the charger", dialects, rows)


def said(dialects: Sequence[Dialect]) -> str:
    """What we say: each canonical command with the actions that carry it."""
    kinds = dict.fromkeys(kind for dialect in dialects for kind in dialect.calls)
    found = [(kind.__name__, [dialect.calls.get(kind) for dialect in dialects]) for kind in kinds]
    rows = ((name, *(", ".join(call.actions) if call else "" for call in calls)) for name, calls in found)
    return _table("command", dialects, rows)


def _unspoken(dialect: Dialect) -> list[str]:
    ours = {action for call in dialect.calls.values() for action in call.actions}
    return sorted(actions(dialect.name) - ours - set(dialect.messages))


def section(dialects: Sequence[Dialect]) -> str:
    """The whole section, with its marks."""
    unspoken = "".join(f"- {dialect.name}: {', '.join(_unspoken(dialect))}\n" for dialect in dialects)
    parts = (_HEARD, heard(dialects), _SAID, said(dialects), _UNSPOKEN, unspoken)
    return "\n".join([BEGIN, *parts, END])


def written_page(text: str) -> str:
    """The page with its section as it has to be now."""
    return SECTION.sub(lambda _: section(DIALECTS), text)


def stale_messages(tree: Tree) -> Iterator[Problem]:
    """The page has the section, and it says what the dialects' tables say."""
    text = (tree.text(PAGE) or "") if PAGE in tree.paths else ""
    if not SECTION.search(text) or text != written_page(text):
        yield Problem(PAGE, 1, "does not say what the dialects handle; run 'make requirements'")
