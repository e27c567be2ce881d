"""The process behind ``ampwave simulate``."""

import asyncio
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import Ledger
from csms.simulator.script import load_script
from csms.simulator.spec import FleetSpec, load_fleet
from storage.clock import Clock
from storage.errors import InvalidInput


def read_fleet(fleet_file: Path | None, script: Path | None) -> FleetSpec:
    """The fleet of a fleet file or of a script. Raises InvalidInput."""
    if (fleet_file is None) == (script is None):
        raise InvalidInput(
            "There is nothing to simulate.", hint="Give one of --fleet FILE and --script FILE."
        )
    return load_fleet(fleet_file) if fleet_file else load_script(script or Path())


def trusting(fleet: FleetSpec, roots: Sequence[Path]) -> FleetSpec:
    """The fleet with these manufacturer roots, too; keys beside them are passed by. Raises InvalidInput."""
    found = list(fleet.manufacturer_roots)
    for path in roots:
        try:
            certificates = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InvalidInput(
                f"{path} has no certificate that can be read: {error}",
                hint="Give the PEM of the authority that issued the firmware signing certificate.",
            ) from error
        found += [one.public_bytes(Encoding.PEM).decode() for one in certificates]
    return replace(fleet, manufacturer_roots=tuple(found))


def write_chargers(fleet: FleetSpec, path: Path) -> None:
    """The chargers as ``ampwave charger import`` reads them. The file holds passwords: owner only."""
    rows = [
        {
            "charger_id": spec.charger_id,
            "site_id": spec.site_id,
            "vendor": spec.character.vendor,
            "model": spec.character.model,
            "serial_number": spec.serial,
            "password": spec.password,
        }
        for spec in fleet.chargers
    ]
    path.touch(mode=0o600)
    path.write_bytes(orjson.dumps(rows, option=orjson.OPT_INDENT_2))


def run_simulator(fleet: FleetSpec, csms_url: str, report: Path | None, clock: Clock) -> Ledger:
    """Run a fleet until SIGINT or SIGTERM. Raises InvalidInput for a bad address."""

    async def run() -> Ledger:
        stop = asyncio.Event()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
        return await run_fleet(fleet, csms_url=csms_url, report_path=report, stop_event=stop, clock=clock)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
