"""``python -m tests.benchmarks.campaign_page``: the published page, from what ``make bench`` wrote."""

import json
import sys
from pathlib import Path
from typing import Any

_CPU = "Processor time of all processes per charger, the played chargers left out."
_MEMORY = "Proportional set size of all processes together, every 5 s or less often."
ROWS = {
    "campaign": "From the first command to the last proof, beside a loop that starts one workflow for each "
    "charger and does nothing else, before and after it on the same server; fleet and stores in memory.",
    "cost-actions": "Happy path per charger, the parents' share included, from real histories.",
    "cost-events": "The same.",
    "cost-bytes": "The largest history of a charger of its own, as it is stored: compressed and encrypted.",
    "cost-bytes-shared": "The mean of all histories per charger, the parents' share included.",
    "abort": "From a person's abort to the last command that leaves any node.",
    "campaign-2k": "One campaign over 2,000 chargers through everything that `ampwave up` starts; see below.",
    "campaign-2k-cpu": _CPU,
    "campaign-2k-memory": _MEMORY,
    "campaign-100k": "The same over 100,000, with the settings of a large fleet.",
    "campaign-100k-cpu": _CPU,
    "campaign-100k-memory": _MEMORY,
    "chaos": "Campaigns on the real stack with `kill -9` at random moments; see below.",
}
_UNITS = dict.fromkeys(
    ("campaign-2k", "campaign-100k"), ", MiB over the run, milliseconds of processor per charger"
)
_NOTES = """
## What is real in `campaign-2k` and `campaign-100k`, and what is played

PostgreSQL with fsync, Temporal, S3, api, worker, signer, relay and csms nodes as processes of their own, as
`ampwave up` starts them; TUF release, two roles' signatures, signed approval, directives, leases, gates,
journal, audit log. A node holds at most 17,000 sockets here, so more chargers get more nodes. Chargers are
rows that were written to the database directly. They speak OCPP 2.0.1 over sockets of their own, are taken
out of service, take the command, report each step, drop the socket, boot with the new version and are put
back into service; they fetch no image and check no signature (`tests/benchmarks/stations.py`). `--chargers
N` says how many, and names the row; without it there are 2,000. Their heartbeat is 600 s apart, pings and
leases have their defaults; over 20,000 chargers have a heartbeat of 3600 s, pings after 240 s and leases of
90 s, as `deploy/README.md` advises for large fleets.

Chargers a minute depend on what else the machine does. Processor time per charger depends on it less,
though a slow run has more of every process's idle time in it, and crowded caches cost; it is printed for
each process. A campaign of 100,000 chargers takes more than an hour at the target, so `make bench` does not
run this row by itself. With `--minutes N` the whole fleet is
connected, planned, frozen, signed and approved, and a person aborts after N minutes: then every command that
left must have been for a charger that proved its version, and every charger must be back in service.

The run of 100,000 in the table was measured before two mends: closing the 86,587 that an abort leaves took
330 s, a statement for each, and that time counted into the rate. By the log of the run it was 663 chargers a
minute until the abort, starts and gates included, and 886 at best. Six nodes share two processors there with
the played chargers, as a process may have 20,000 files open.

A run of twelve minutes with both mends, on a machine that was busy with other work and slower that
day, updated 4,984: 419 a minute. It closed the 95,016 others within 33 s.

## What happens in `chaos`

Five campaigns at a time, each on eight chargers and two sites of a simulated fleet (`ampwave simulate`:
real downloads, real signature checks, cars that come and go). From the seed it is drawn which are of a good
release, of a bad one with a way back, are aborted by a person, or are aborted and taken back, and which
processes die when: four in each round, of worker, csms node, api, signer, relay, PostgreSQL, S3 and
Temporal. Afterwards the referee of `tests/safety` judges by the chargers' own ledger and the books in
PostgreSQL: sessions, sites, signatures, attested success, recomputed verdicts, stops, availability, ends,
and that no acknowledged message is missing. `tests/unit/benchmarks/test_witnesses.py` shows it what was
broken on purpose. A charger has to stay up for ten seconds before it counts (`pace.steady_seconds`): before
plans could say so, the third round of seed 7 had three chargers of a site away where two may be, as one that
boots in a loop had proved itself at its first boot and given its place back.
"""


def page(found: dict[str, Any]) -> str:
    """The whole page. ``found``: the file of ``make bench``."""
    lines = ["# Campaigns in numbers", "", "<!-- Written by the last command below; not by hand. -->", ""]
    lines += ["| row | value | comparator | target | met |", "|---|---|---|---|---|"]
    known = {name: found[name] for name in ROWS if name in found}
    lines += [_row(name, row) for name, row in known.items()]
    lines += ["", "| row | what it is | when | load | nice | command |", "|---|---|---|---|---|---|"]
    lines += [_about(name, row["run"]) for name, row in known.items()]
    machine = next(iter(known.values()))["run"]["machine"]
    lines += ["", f"{machine['processors']} processors of {machine['model']}, {machine['memory_gib']:g} GiB,"]
    lines += [
        f"Linux {machine['kernel']}, Python {machine['python']}. `load` is what others had it do before."
    ]
    for name, row in known.items():
        if row.get("detail"):
            lines += ["", f"`{name}` in detail{_UNITS.get(name, '')}:", "", "```", *row["detail"], "```"]
    lines += [_NOTES, "```", "make bench ONLY=campaign,cost,abort"]
    lines += ["make bench ONLY=campaign-100k", "make bench ONLY=campaign-100k ARGS='--chargers 100000'"]
    lines += ["make bench ONLY=chaos"]
    return "\n".join([*lines, "python -m tests.benchmarks.campaign_page", "```", ""])


def _row(name: str, row: dict[str, Any]) -> str:
    beside = "-"
    if row["comparator"]:
        beside = f"{row['comparator']}, {_number(row['comparator_value'])}: {row['ratio']:.2f} x"
    met = "yes" if row["met"] else "**no**"
    return f"| `{name}` | {_number(row['value'])} {row['unit']} | {beside} | {row['target']} | {met} |"


def _about(name: str, run: dict[str, Any]) -> str:
    machine = run["machine"]
    load, nice = machine["load_before"], machine.get("nice", 0)
    command = f"`{run['command']}`, seed {run['seed']}"
    return f"| `{name}` | {ROWS[name]} | {run['date'][:16]} | {load:.1f} | {nice} | {command} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:,.2f}"


def main(source: Path, target: Path) -> None:
    """Write it."""
    target.write_text(page(json.loads(source.read_text())))


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or [".ampwave/bench.json"]), Path("docs/CAMPAIGN-NUMBERS.md"))
