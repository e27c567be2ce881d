"""The process behind ``ampwave simulate``."""

import asyncio
import signal
from pathlib import Path

import uvloop

from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import Ledger
from csms.simulator.spec import load_fleet
from storage.clock import Clock


def run_simulator(fleet_file: Path, csms_url: str, report: Path | None, clock: Clock) -> Ledger:
    """Run a fleet from a file until SIGINT or SIGTERM. Raises InvalidInput for a bad file or address."""
    fleet = load_fleet(fleet_file)

    async def run() -> Ledger:
        stop = asyncio.Event()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
        return await run_fleet(fleet, csms_url=csms_url, report_path=report, stop_event=stop, clock=clock)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())
