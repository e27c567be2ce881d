"""A brand's ways are values with evidence: no rule, store, door or dialect knows a vendor's name (F70)."""

import re
from pathlib import Path

import pytest

from csms.quirks.catalogue import CATALOGUE
from csms.simulator.catalogue import EVERYBODY

ROOT = Path(__file__).parents[3]
FOLDERS = ("activities", "api", "csms", "signing", "storage", "workflows")
ALLOWED = ("csms/quirks/", "csms/simulator/", "api/demo/")
"""The demo says which brands its simulated fleet has; it is no part of a real one."""
# By what a condition on a brand looks like, whatever the name in it.
CONDITION = re.compile(r"\b(?:vendor|model|personality)(?:_name|_id)?\s*(?:==|!=|in|not in)\s*[\"'({\[]")


def brands() -> list[str]:
    known = {quirk.vendor for quirk in CATALOGUE} | {each.vendor for each in EVERYBODY.values()}
    plain = {re.sub(r"\[[^\]]*\]|[*?]", "", name).strip().lower() for name in known}
    return [*sorted(name for name in plain if len(name) > 3), "keba", "ev-box", "everest", "alfen"]


def sources() -> list[Path]:
    found = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    return [path for path in found if not str(path.relative_to(ROOT)).startswith(ALLOWED)]


def code_of(text: str) -> str:
    """Without comments and docstrings, which may name the evidence."""
    return re.sub(r'"""[\s\S]*?"""|#[^\n]*', "", text).lower()


@pytest.mark.requirement("F70")
def test_no_brand_is_named_outside_the_quirks_and_the_simulator() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {brand}"
        for path in sources()
        for brand in brands()
        if brand in code_of(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.requirement("F70")
def test_nothing_depends_on_which_vendor_it_is() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {hit.group()}"
        for path in sources()
        for hit in CONDITION.finditer(code_of(path.read_text("utf-8")))
    ]
    assert found == []


def test_a_condition_on_a_brand_would_be_found() -> None:
    assert CONDITION.search(code_of('if charger.vendor == "Acme":'))
    assert CONDITION.search(code_of('if model in ("A", "B"):'))
    assert not CONDITION.search(code_of('# if vendor == "x"'))
    assert "keba" in brands()
    assert len(sources()) > 100
