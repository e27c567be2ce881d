"""Row ``storm``: a whole fleet loses its power, and is back at once."""

from tests.benchmarks.child import Child
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import FIRMWARE, PASSWORD, World, value

CHARGERS = 10_000
TARGET_S = 120.0

_RIGHT = """
SELECT count(*) FROM twin
WHERE online AND firmware_version = $1 AND NOT charging AND NOT faulted AND EXISTS (
    SELECT FROM twin_section section
    WHERE section.charger_id = twin.charger_id AND section.name = 'operation'
      AND section.reported #>> '{connectors,1.1,status}' = 'Available'
)
"""
_BOOTS = "SELECT count(*) FROM event WHERE kind = 'charger_booted'"
_OFFLINE = "SELECT count(*) FROM twin WHERE NOT online"


async def measure_storm(world: World) -> list[Row]:
    """From the cut to the last answered boot and status, counted at both ends."""
    count = world.sized(CHARGERS, 40)
    async with world.database(count) as database, Child("node") as node, Child("fleet") as fleet:
        port = (await node.ask("start", database=database))["ports"][0]
        await fleet.ask("create", port=port, count=count, password=PASSWORD, seed=world.seed)
        # The first time in a minute, as an ordinary day has them; then all at the same moment.
        await fleet.ask("connect", boot=True, spread_s=world.sized(30, 0))
        await fleet.ask("drop")
        back = await fleet.ask("connect", boot=True)
        counted = await fleet.ask("count")
        right = await value(database, _RIGHT, FIRMWARE)
        boots = await value(database, _BOOTS)
        offline = await value(database, _OFFLINE)
    say(
        f"storm: {back['connected']} of {count} back in {back['seconds']:.1f} s, {right} twins right, "
        f"{offline} offline, {boots} boots stored of {2 * count}, {counted['refused']} refused"
    )
    all_right = right == count and back["connected"] == count and not counted["refused"]
    lost = counted["acknowledged"] - 4 * count  # two boots and two statuses each, or more after a retry
    # Each charger booted twice at least; the store must have every boot that was answered.
    met = all_right and lost >= 0 and int(str(boots)) >= 2 * count and back["seconds"] <= TARGET_S
    return [
        Row(
            *("storm", back["seconds"], f"s until {count:,} chargers are back, {right} twins right"),
            *(None, None, None),
            target=f"<= {TARGET_S:g}, none lost",
            met=met,
        )
    ]
