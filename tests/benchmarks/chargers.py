"""A child: simulated chargers in a process of their own, so that their work is not taken for the server's."""

import asyncio
from pathlib import Path

from pydantic import TypeAdapter

from csms.simulator.fleet import run_fleet
from csms.simulator.spec import FleetSpec
from storage.clock import system_clock
from tests.benchmarks.child import Json, serve_commands


class Chargers:
    """One fleet."""

    def __init__(self) -> None:
        self._stop = asyncio.Event()
        self._task: asyncio.Task[object] | None = None

    async def start(self, given: Json) -> Json:
        """Switch on the fleet that lies in a file."""
        fleet = _read(given["file"])
        self._task = asyncio.create_task(
            run_fleet(
                fleet, csms_url=given["url"], report_path=None, stop_event=self._stop, clock=system_clock
            )
        )
        return {"chargers": len(fleet.chargers)}

    async def close(self, _: Json) -> Json:
        """Switch them off."""
        self._stop.set()
        if self._task is not None:
            await self._task
        return {}


def _read(file: str) -> FleetSpec:
    return TypeAdapter(FleetSpec).validate_json(Path(file).read_bytes())


if __name__ == "__main__":
    chargers = Chargers()
    serve_commands({"start": chargers.start, "close": chargers.close})
