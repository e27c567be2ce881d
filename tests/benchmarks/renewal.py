"""Row ``renewal``: a mixed fleet renews its certificates over real mTLS, with faults of every kind."""

import ssl
import time
from collections import Counter
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.spec import ChargerSpec
from storage.clock import system_clock
from storage.renewal import Renewal, RenewalPhase, RenewalPlan
from tests.benchmarks.life_ground import away, chargers, ground, over
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from tests.support.renewal_stage import Stage

CHARGERS = 1000
_SHARE = 0.05


def faults(spread_s: float, *, harsh: bool) -> tuple[NetworkFault, ...]:
    """Five in a hundred chargers suffer each of these; those with a moment at different moments.

    ``harsh``: also those that may cost a charger several attempts.
    """
    moments = [
        NetworkFault(kind, share=_SHARE / 5, after_s=spread_s * part / 5, for_s=seconds)
        for kind, seconds in (
            (FaultKind.DROP_SOCKET, 0),
            (FaultKind.HALF_OPEN, 0),
            (FaultKind.POWER_CUT, 5),
            (FaultKind.SILENCE, 40),
            (FaultKind.CONNECTOR_FAULT, 20),
        )
        for part in range(1, 6)
    ]
    losses = [
        NetworkFault(FaultKind.LOSE_FRAME, share=_SHARE, amount=0.3),
        NetworkFault(FaultKind.LOSE_FRAME, share=_SHARE, action="SignCertificate", amount=0.5),
    ]
    always = [
        NetworkFault(FaultKind.DUPLICATE_FRAME, share=_SHARE, action="SignCertificate"),
        NetworkFault(FaultKind.REORDER_FRAME, share=_SHARE, amount=0.5),
        NetworkFault(FaultKind.DELAY_FRAME, share=_SHARE, amount=0.5),
        NetworkFault(FaultKind.CLOCK_SKEW, share=_SHARE, amount=7200),
        NetworkFault(FaultKind.CLOCK_UNSET, share=_SHARE),
    ]
    return (*moments, *losses, *always) if harsh else tuple(always)


async def measure_renewal(world: World) -> list[Row]:
    """Everybody renews; then everybody must have a way in, and no old certificate may be one."""
    count = world.sized(CHARGERS, 12)
    async with ground(world, "renewal") as place:
        specs = await place.enrolled(count, sites=max(1, count // 50), names=tuple(PERSONALITIES))
        spread_s = world.sized(180, 4)
        async with chargers(
            world,
            place,
            specs,
            faults=faults(spread_s, harsh=not world.quick),
            per_s=world.sized(25, 50),
        ):
            await place.introduced(specs, seconds=3000)
            say(f"renewal: {count} chargers are there")
            return [await _measured(place, specs)]


async def _measured(place: Stage, specs: tuple[ChargerSpec, ...]) -> Row:
    count = len(specs)
    plan = RenewalPlan(
        "bench", canary=10, parallel=40, attempts=6, pause_seconds=1, request_seconds=20,
        proof_seconds=40, backoff_seconds=5, max_failed_share=0.1, max_lost=count,
    )  # fmt: skip
    new = Renewal("bench", plan, RenewalPhase.RUNNING, "", "bench", system_clock(), count, 0)
    await place.stores.renewals.create(new, [spec.charger_id for spec in specs])
    began = time.perf_counter()
    await place.orchestrator.start_renewal("bench")
    done = await over(place, "bench", 3000)
    took = time.perf_counter() - began
    locked = await away(place, [spec.charger_id for spec in specs])
    old = await _old_ones(place, specs, done.counts)
    say(
        f"renewal: {count} chargers in {took:.0f} s, {done.phase.value}, {done.counts}; {len(locked)} locked"
        f" out {locked[:5]}; old certificates of renewed chargers: {dict(old)}"
    )
    refused = set(old) <= {401, 403}
    renewed = sum(done.counts.get(name, 0) for name in ("renewed", "taken"))
    told = f"chargers/s renewed, {renewed} of {count} in {took:.0f} s, {len(locked)} locked out,"
    return Row(
        *("renewal", renewed / took, f"{told} {sum(old.values())} old ones refused"),
        *(None, None, None),
        target="0 locked out, old serials refused",
        met=not locked and refused and renewed >= 0.99 * count,
    )


async def _old_ones(place: Stage, specs: tuple[ChargerSpec, ...], counts: dict[str, int]) -> Counter[int]:
    """What the server says to the first certificates of those that were renewed."""
    targets = await place.stores.renewals.targets("bench", limit=sum(counts.values()))
    renewed = {each.charger_id for each in targets if each.outcome and each.outcome.value == "renewed"}
    found = Counter[int]()
    for spec in specs:
        if spec.charger_id in renewed and spec.certificate:
            found[await _knock(place, spec)] += 1
    return found


async def _knock(place: Stage, spec: ChargerSpec) -> int:
    context: Any = ssl.create_default_context(cafile=place.bench.root_file)
    pair = place.bench.folder / "knock.pem", place.bench.folder / "knock.key"
    for path, text in zip(pair, (spec.certificate, spec.key), strict=True):
        path.write_text(text or "")
    context.load_cert_chain(*pair)
    try:
        async with connect(
            f"{place.url}/{spec.charger_id}", ssl=context, subprotocols=["ocpp1.6"], proxy=None
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code
