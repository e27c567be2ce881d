"""The table of what sets a charger aside, in docs/LIFE.md: taken from storage/quarantine.py."""

import re
from collections.abc import Iterator

from storage.quarantine import ALLOWED, SIGNALS
from storage.trust import ACCEPTABLE
from tests.house.tree import Problem, Tree

PAGE = "docs/LIFE.md"
BEGIN, END = "<!-- quarantine: written by `make requirements` -->", "<!-- /quarantine -->"
SECTION = re.compile(re.escape(BEGIN) + ".*?" + re.escape(END), re.DOTALL)


def section() -> str:
    """The whole section, with its marks."""
    lines = [
        BEGIN,
        "",
        "| signal | how it is noticed | a person may accept it | what to do next |",
        "|---|---|---|---|",
    ]
    for rule in SIGNALS:
        may = ", ".join(f"`{path}`" for path in rule.paths if path in ACCEPTABLE)
        advice = rule.advice.format(charger="CP-1", path=rule.paths[0] if rule.paths else "")
        lines.append(f"| `{rule.signal.value}` | {rule.noticed} | {may} | {advice} |")
    lines += ["", f"It cannot {_listed(may=False)}. It can {_listed(may=True)}.", "", END]
    return "\n".join(lines)


def _listed(*, may: bool) -> str:
    return "; ".join(name for name, allowed in ALLOWED.items() if allowed is may)


def written_page(text: str) -> str:
    """The page with its section as it has to be now."""
    return SECTION.sub(lambda _: section(), text)


def stale_quarantine(tree: Tree) -> Iterator[Problem]:
    """The page has the section, and it says what the table says."""
    text = (tree.text(PAGE) or "") if PAGE in tree.paths else ""
    if not SECTION.search(text) or text != written_page(text):
        yield Problem(PAGE, 1, "does not say what sets a charger aside; run 'make requirements'")
