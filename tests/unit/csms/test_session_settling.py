"""Waiting until all that a charger sent is stored, for several at once."""

import asyncio
import json
from typing import Any

from csms.ingest import Done


async def test_who_waits_beside_another_is_told_too(make_world: Any) -> None:
    """A commit ends and the next request comes before the first one who waits could look."""
    world = await make_world()
    await world.socket.ask(2, "0", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    await world.session.settled()
    told: list[Done] = []

    def offer(_frames: Any, _events: Any, done: Done) -> bool:
        told.append(done)
        return True

    world.ingest.offer = offer

    async def take(number: int) -> None:
        await world.session._take(json.dumps([2, str(number), "Heartbeat", {}]))

    await take(1)
    first = asyncio.create_task(world.session.settled())
    await asyncio.sleep(0)
    told[0](None)
    await take(2)
    loop = asyncio.get_running_loop()
    # Once the first one has looked and waits again.
    loop.call_soon(loop.call_soon, loop.call_soon, told[1], None)
    async with asyncio.timeout(2):
        await world.session.settled()
        await first
