"""Throwaway certificates for mutual TLS: a server's, and one for each charger."""

from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.fleet import name_of
from tests.support.pki import key
from tests.support.tls_bench import TlsBench


@dataclass(frozen=True)
class Tls:
    """PEM files in one folder, as their paths go to the processes of a bench."""

    server: dict[str, str]
    client: dict[str, str]


def make_tls(folder: Path, chargers: int) -> Tls:
    """P-256 throughout, as OCPP chargers have it; the chargers share one key, and no certificate."""
    bench = TlsBench(folder)
    pair = bench.server_certificate("server")
    shared = key("ec", "bench charger")
    for name in map(name_of, range(chargers)):
        bench.charger_ca.leaf(name, key=shared).write(folder, name)
    return Tls(
        {
            "cert": str(pair.chain),
            "key": str(pair.key),
            "ca": str(bench.ca_file),
            "crl": str(bench.crl_file),
        },
        {"ca": str(bench.root_file), "folder": str(folder)},
    )
