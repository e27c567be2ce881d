"""Row ``roots``: a fleet gets a new root, the server switches its chain in the middle, the old root goes."""

import time

from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from storage.renewal import RenewalPlan
from tests.benchmarks.life_ground import away, chargers, ground
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from tests.support.root_change import RootChange

CHARGERS = 300
FAULTS = (
    NetworkFault(FaultKind.DROP_SOCKET, share=0.05, after_s=30),
    NetworkFault(FaultKind.POWER_CUT, share=0.05, after_s=60, for_s=5),
    NetworkFault(FaultKind.DUPLICATE_FRAME, share=0.05),
    NetworkFault(FaultKind.REORDER_FRAME, share=0.05, amount=0.5),
    NetworkFault(FaultKind.DELAY_FRAME, share=0.05, amount=0.5),
    NetworkFault(FaultKind.CLOCK_SKEW, share=0.05, amount=7200),
)


async def measure_roots(world: World) -> list[Row]:
    """Installed, switched, deleted, and switched again: only who knows the new root comes back then."""
    count = world.sized(CHARGERS, 10)
    async with ground(world, "roots") as place:
        specs = await place.enrolled(count, sites=max(1, count // 50), names=tuple(PERSONALITIES))
        change = RootChange(place, specs)
        plan = RenewalPlan(
            "roots", canary=10, parallel=40, pause_seconds=1, wave_seconds=900, attempts=5, backoff_seconds=5
        )
        async with chargers(world, place, specs, faults=() if world.quick else FAULTS):
            await place.introduced(specs, seconds=3000)
            say(f"roots: {count} chargers are there")
            began = time.perf_counter()
            installed = await change.install(plan)
            say(f"roots: installed {installed} after {time.perf_counter() - began:.0f} s")
            since = await change.switch()
            lost = await change.back(since, seconds=300)
            say(f"roots: switched, {len(lost)} have not come after {time.perf_counter() - began:.0f} s")
            deleted = await change.delete(plan, since)
            again = await change.switch()
            lost += await change.back(again, seconds=300)
            took = time.perf_counter() - began
            lost += await away(place, [spec.charger_id for spec in specs])
    say(f"roots: installed {installed}, deleted {deleted}, lost {lost} in {took:.0f} s")
    done = min(installed.get("renewed", 0), deleted.get("renewed", 0))
    return [
        Row(
            *("roots", float(len(set(lost))), f"lost of {count}; {done} changed their root, {took:.0f} s"),
            *(None, None, None),
            target="0 lost, all changed",
            met=not lost and done == count,
        )
    ]
