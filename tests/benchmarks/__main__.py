"""``python -m tests.benchmarks``: the numbers we publish, each beside its comparator, in one run.

``ONLY=ingest,memory`` (or ``--only``) chooses rows; ``--quick`` only shows that they work.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from api.embedded import EmbeddedPostgres
from tests.benchmarks import report
from tests.benchmarks.audit import measure_audit
from tests.benchmarks.campaigns import measure_abort, measure_campaign, measure_cost
from tests.benchmarks.chaos import measure_chaos
from tests.benchmarks.child import open_files_limit
from tests.benchmarks.downloads import measure_downloads
from tests.benchmarks.gate_cost import measure_gate_cost
from tests.benchmarks.gates import measure_gates
from tests.benchmarks.ingest import measure_ingest
from tests.benchmarks.large_campaign import measure_large_campaign
from tests.benchmarks.latency import measure_latency
from tests.benchmarks.memory import measure_memory
from tests.benchmarks.provisioning import measure_provisioning
from tests.benchmarks.renewal import measure_renewal
from tests.benchmarks.report import Row
from tests.benchmarks.roots import measure_roots
from tests.benchmarks.safety import measure_safety
from tests.benchmarks.signing import measure_directives, measure_publish
from tests.benchmarks.soak import measure_soak
from tests.benchmarks.storm import measure_storm
from tests.benchmarks.timeline import measure_timeline
from tests.benchmarks.twin_query import measure_twin_query
from tests.benchmarks.twin_writes import measure_twin_writes
from tests.benchmarks.uploads import measure_uploads
from tests.benchmarks.verify import measure_verify
from tests.benchmarks.whatif import measure_whatif
from tests.benchmarks.world import World

Measure = Callable[[World], Awaitable[list[Row]]]

ROWS: dict[str, Measure] = {
    "ingest": measure_ingest,
    "memory": measure_memory,
    "storm": measure_storm,
    "twin-writes": measure_twin_writes,
    "twin-query": measure_twin_query,
    "timeline": measure_timeline,
    "latency": measure_latency,
    "audit": measure_audit,
    "downloads": measure_downloads,
    "uploads": measure_uploads,
    "publish": measure_publish,
    "directives": measure_directives,
    "verify": measure_verify,
    "gates": measure_gates,
    "gate-cost": measure_gate_cost,
    "whatif": measure_whatif,
    "campaign": measure_campaign,
    "cost": measure_cost,
    "abort": measure_abort,
}
BY_NAME_ONLY: dict[str, Measure] = {
    "soak": measure_soak,
    "renewal": measure_renewal,
    "roots": measure_roots,
    "provisioning": measure_provisioning,
    "safety": measure_safety,
    "campaign-100k": measure_large_campaign,
    "chaos": measure_chaos,
}
"""Rows that take too long to be part of every run."""


async def measure(names: list[str], *, seed: int, quick: bool, **sizes: int | None) -> list[Row]:
    """The rows by these names, one after the other, each on a database of its own."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="ampwave-bench-") as folder:
        async with EmbeddedPostgres(Path(folder)) as server:
            for name in names:
                report.say(f"--- {name}")
                world = World(server, Path(folder), seed, quick, **sizes)
                rows += await {**ROWS, **BY_NAME_ONLY}[name](world)
    return rows


def main(arguments: list[str]) -> int:
    """0 if every target was met."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    known = [*ROWS, *BY_NAME_ONLY]
    parser.add_argument("--only", default=os.environ.get("ONLY", ""), help=f"rows of: {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="tiny numbers, to see that the bench works")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--chargers", type=int, help="the size of the fleet, for campaign-100k")
    parser.add_argument("--campaigns", type=int, help="how many, for chaos")
    parser.add_argument("--minutes", type=int, help="a person aborts campaign-100k after so long")
    parser.add_argument("--out", type=Path, default=Path(".ampwave/bench.json"))
    chosen = parser.parse_args(arguments)
    names = [name.strip() for name in chosen.only.split(",") if name.strip()] or list(ROWS)
    if unknown := [name for name in names if name not in known]:
        parser.error(f"no row {', '.join(unknown)}; there are {', '.join(known)}")
    open_files_limit()
    started, where = report.now(), report.machine()
    sizes = {"chargers": chosen.chargers, "campaigns": chosen.campaigns, "minutes": chosen.minutes}
    rows = asyncio.run(measure(names, seed=chosen.seed, quick=chosen.quick, **sizes))
    report.show(rows)
    command = " ".join(["python -m tests.benchmarks", *arguments])
    report.write(chosen.out, rows, seed=chosen.seed, command=command, started=started, where=where)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
