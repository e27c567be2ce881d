"""Writes ``docs/LIFE-NUMBERS.md`` from what the rows about chargers' lives found."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

INTRODUCTION = """Real sockets and TLS, PostgreSQL, S3 and Temporal; node, worker, signer and api in one
process, the simulated chargers in another, all on one machine. `load` is what the machine had to do besides
and because of it at the end: speeds say little on a loaded one, outcomes count."""
MINIATURE = """

*In miniature (`--quick`): a handful of chargers, few faults or none, smaller waves. It shows that the story
holds, not that it holds at scale; the command without `--quick` is the full run.*"""
ROWS = {
    "renewal": (
        "Certificates are renewed",
        """\
1.6 security, 2.0.1 and 2.1, of every personality of the simulator in turn; every second charger is of
profile 3 (it comes by a certificate) and every other of profile 2 (a password over TLS). A canary of 10,
then waves, 40 at once. 5 in a hundred chargers suffer each of: a dropped socket, a half-open one, a power
cut, 40 s of silence, a connector fault (each at five moments), 30 % of frames lost, half of all
SignCertificate lost, SignCertificate twice, frames out of order, frames late, a clock two hours off, a clock
at 1970. Afterwards everybody must have a socket within two minutes, and the first certificate of each
renewed charger is tried: none may let in.""",
    ),
    "roots": (
        "The server's root is changed",
        """\
The new root is installed and listed, in waves; then the node shows a chain of the new root and lets every
socket go; whoever came back has the old root deleted; and once more every socket is let go, so that only
who knows the new root comes back. Dropped sockets, power cuts, frames twice, late and out of order, and
clocks off by two hours, 5 in a hundred each.""",
    ),
    "provisioning": (
        "Chargers come into service",
        """\
From a CSV file with a template and an attestation, by installers' claims, and by their factories' keys to a
certificate of their own, all at once, over TLS: credential given and proved, template set, checklist passed,
active. Then every socket is let go, and everybody has to come back with what it was given. One more comes
with its factory's certificate and is on no list.""",
    ),
}


def page(found: dict[str, Any]) -> str:
    """The page, of those rows that were measured."""
    parts = [
        "# Chargers' lives in numbers",
        "<!-- Written by `python -m tests.benchmarks.life_page`; not by hand. -->",
        INTRODUCTION,
    ]
    for name, (title, what) in ROWS.items():
        if name in found:
            parts += _part(name, title, what, found[name])
    return "\n\n".join(parts) + "\n"


def _part(name: str, title: str, what: str, row: dict[str, Any]) -> list[str]:
    run, machine = row["run"], row["run"]["machine"]
    where = (
        f"{machine['processors']} processors of {machine['model']}, {machine['memory_gib']} GiB,"
        f" Python {machine['python']}, load {machine['load_before']:.1f}"
    )
    met = "met" if row["met"] else "NOT met"
    return [
        f"## {title}",
        f"**{row['value']:.2f} {row['unit']}.** Target ({met}): {row['target']}.",
        what + (MINIATURE if "--quick" in run["command"] else ""),
        f"`{run['command']}`, row `{name}`, seed {run['seed']}, {run['date'][:10]}, {where}.",
    ]


def main(arguments: list[str]) -> int:
    """From a bench's results to the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path(".ampwave/bench.json"))
    parser.add_argument("--page", type=Path, default=Path("docs/LIFE-NUMBERS.md"))
    chosen = parser.parse_args(arguments)
    chosen.page.write_text(page(json.loads(chosen.results.read_text())))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
