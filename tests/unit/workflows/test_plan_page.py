"""The page about plans has every field and every rule; AMPWAVE_WRITE_DOCS=1 writes the rules anew."""

import os
import re
from dataclasses import fields
from pathlib import Path

from storage.campaign import CampaignPlan, Edge, Pace, Ramp, WavePlan
from storage.charger import ChargerFilter
from storage.windows import Window
from workflows.eligibility import RULES

PAGE = Path(__file__).parents[3] / "docs" / "PLAN.md"
BEGIN, END = "<!-- rules -->\n", "<!-- /rules -->"


def test_every_field_of_a_plan_is_explained() -> None:
    named = set(re.findall(r"`([a-z_]+)`", PAGE.read_text()))
    for noun in (CampaignPlan, WavePlan, Pace, Ramp, Edge, Window, ChargerFilter):
        asked = {item.name for item in fields(noun)}
        assert {name for name in asked if not {name, name.removesuffix("_seconds")} & named} == set()


def test_the_table_of_rules_is_the_one_of_the_code() -> None:
    rows = "".join(f"| {rule.name} | {rule.answer} | {rule.says} |\n" for rule in RULES)
    table = f"| rule | answer | holds where |\n|---|---|---|\n{rows}"
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    there, after = rest.split(END)
    if os.environ.get("AMPWAVE_WRITE_DOCS"):
        PAGE.write_text(f"{before}{BEGIN}{table}{END}{after}")
    else:
        assert there == table
