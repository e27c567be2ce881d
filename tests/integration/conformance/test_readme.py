"""The list of cases in ``README.md`` is what there is."""

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_the_list_of_cases_is_true() -> None:
    rows = [line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| `test_")]
    listed = {case for row in rows for case in re.findall(r"TC_[A-Z0-9]\w+", row)}
    names = [
        name
        for path in HERE.glob("test_*.py")
        for name in re.findall(r"^async def test_(tc_\w+)", path.read_text(), re.MULTILINE)
    ]
    assert listed == {case for name in names for case in cases_in(name)}


def cases_in(name: str) -> set[str]:
    """``tc_n_25_35_a_log`` has TC_N_25 and TC_N_35, ``tc_045_1_2_it`` has TC_045_1 and TC_045_2."""
    found = set()
    for block, numbers in re.findall(r"tc_([a-z])((?:_\d\d)+)", name):
        found |= {f"TC_{block.upper()}_{number}" for number in numbers.split("_")[1:]}
    for number, parts in re.findall(r"tc_(\d{3})((?:_\d(?!\d))*)", name):
        found |= {f"TC_{number}_{part}" for part in parts.split("_")[1:]} if parts else {f"TC_{number}"}
    return found
