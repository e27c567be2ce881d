"""The benches work: every row runs, in miniature, and counts right at both ends. No number is judged here."""

import json
from pathlib import Path

import pytest

from api.embedded import EmbeddedPostgres
from tests.benchmarks import report
from tests.benchmarks.__main__ import BY_NAME_ONLY, ROWS
from tests.benchmarks.report import Row
from tests.benchmarks.world import World

pytestmark = pytest.mark.integration


ELSEWHERE = {"roots", "chaos"}
"""Told whole by ``tests/integration/certificates/test_roots.py``; half a minute of killed processes,
whose judge has ``tests/unit/benchmarks/test_witnesses.py``."""


@pytest.mark.parametrize("name", sorted({*ROWS, *BY_NAME_ONLY} - ELSEWHERE))
async def test_a_row_measures_something(
    name: str, embedded_postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    rows = await {**ROWS, **BY_NAME_ONLY}[name](World(embedded_postgres, tmp_path, 7, quick=True))
    assert rows
    named = "campaign-1k" if name == "campaign-100k" else name  # By the size of the fleet.
    assert all(row.name.startswith(named) for row in rows)
    if name == "soak":
        assert rows[0].value == 0, "an acknowledged message was not in the journal"
    elif name == "safety":
        assert (rows[0].value, rows[0].met) == (0, True)
    elif name == "provisioning":
        assert rows[0].met, rows[0].unit
    elif name == "storm":
        assert "40 twins right" in rows[0].unit
    elif name == "gates":
        assert {row.name for row in rows} == {"gates-false-stops", "gates-power", "gates-harmed"}
        assert all(0 <= row.value <= 600 for row in rows)
    else:
        assert all(row.value > 0 for row in rows)


def test_a_report_keeps_the_rows_of_earlier_runs(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    for name, value in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        row = Row.at_least(name, value, "x/s", "bare", 4.0, 0.5)
        report.write(path, [row], seed=7, command="bench", started=report.now())
    found = json.loads(path.read_text())
    assert {name: (row["value"], row["met"]) for name, row in found.items()} == {
        "a": (3.0, True),
        "b": (2.0, True),
    }
    assert found["a"]["ratio"] == 0.75
    assert found["a"]["run"]["seed"] == 7
    assert found["a"]["run"]["machine"]["processors"]
