"""Row ``renewal``: a mixed fleet renews its certificates over real mTLS, with faults of every kind."""

import asyncio
import ssl
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from api import bootstrap
from api.embedded import EmbeddedS3, EmbeddedTemporal
from csms.simulator.catalogue import PERSONALITIES
from csms.simulator.faults import FaultKind, NetworkFault
from csms.simulator.spec import ChargerSpec
from storage.clock import system_clock
from storage.renewal import Renewal, RenewalPhase, RenewalPlan
from tests.benchmarks.report import Row, say
from tests.benchmarks.world import World
from tests.support.renewal_stage import Stage, stage

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
    async with world.database(0) as database, AsyncExitStack() as stack:
        folder = Path(world.folder) / "renewal"
        s3 = await stack.enter_async_context(EmbeddedS3(folder / "s3"))
        temporal = await stack.enter_async_context(EmbeddedTemporal(folder / "temporal"))
        there = SimpleNamespace(
            endpoint=s3.endpoint,
            bucket=s3.bucket,
            region="us-east-1",
            access_key=s3.access_key,
            secret_key=s3.secret_key,
        )
        place = await stack.enter_async_context(stage(folder, database=database, s3=there, temporal=temporal))
        await bootstrap.ensure_bucket(place.settings)
        return [await _measured(world, place, count)]


async def _measured(world: World, place: Stage, count: int) -> Row:
    specs = await place.enrolled(count, sites=max(1, count // 50), names=tuple(PERSONALITIES))
    spread_s = world.sized(180, 4)
    async with place.fleet(specs, faults=faults(spread_s, harsh=not world.quick), per_s=world.sized(25, 50)):
        await place.introduced(specs, seconds=600)
        plan = RenewalPlan(
            "bench", canary=10, parallel=40, attempts=6, pause_seconds=1, request_seconds=20,
            proof_seconds=40, backoff_seconds=5, max_failed_share=0.5, max_lost=count,
        )  # fmt: skip
        new = Renewal("bench", plan, RenewalPhase.RUNNING, "", "bench", system_clock(), count, 0)
        await place.stores.renewals.create(new, [spec.charger_id for spec in specs])
        began = time.perf_counter()
        await place.orchestrator.start_renewal("bench")
        done = await place.renewal_over("bench", seconds=3000)
        took = time.perf_counter() - began
        locked = await _locked_out(place, specs)
    old = await _old_ones(place, specs, done.counts)
    say(
        f"renewal: {count} chargers in {took:.0f} s, {done.counts}; {len(locked)} locked out {locked[:5]};"
        f" old certificates of renewed chargers: {dict(old)}"
    )
    refused = set(old) <= {401, 403}
    renewed = sum(done.counts.get(name, 0) for name in ("renewed", "taken"))
    return Row(
        *("renewal", renewed / took, f"chargers/s renewed, {renewed} of {count}, {len(locked)} locked out"),
        *(None, None, None),
        target="0 locked out, old serials refused",
        met=not locked and refused and renewed >= 0.99 * count,
    )


async def _locked_out(place: Stage, specs: tuple[ChargerSpec, ...]) -> list[str]:
    """Who has no open socket and gets none within two minutes."""
    away = [spec.charger_id for spec in specs]
    for _ in range(120):
        online = set[str]()
        for start in range(0, len(away), 500):
            for view in await place.stores.chargers.views(away[start : start + 500]):
                if view.twin.connectivity and view.twin.connectivity.online:
                    online.add(view.charger.charger_id)
        away = [each for each in away if each not in online]
        if not away:
            break
        await asyncio.sleep(1)
    return away


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
