"""The stage of renewals, with chargers that come without TLS and are raised from there."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from csms.simulator.faults import NetworkFault
from csms.simulator.fleet import run_fleet
from csms.simulator.ledger import Ledger
from csms.simulator.pace import SessionPattern
from csms.simulator.spec import ChargerSpec, FleetSpec
from storage.charger import Site
from storage.clock import system_clock
from storage.connection import Connection
from storage.renewal import FleetWork, Renewal, RenewalPhase, RenewalPlan
from tests.support.renewal_stage import QUICK, Stage
from tests.support.root_change import names

SOON = RenewalPlan(
    "profiles", canary=1, growth=20, attempts=1, pause_seconds=0.2, request_seconds=5, proof_seconds=25
)


Ends = dict[str, tuple[str | None, str]]
"""Outcome and reason by charger."""


def plain_url(place: Stage) -> str:
    """The door without TLS."""
    return f"ws://localhost:{place.gateway.ports[0]}/ocpp"


async def registered(place: Stage, brands: tuple[str, ...]) -> tuple[ChargerSpec, ...]:
    """One charger of each, with a password."""
    await place.stores.chargers.put_site(Site("site-001", "Depot", "UTC", 10_000))
    found = []
    for brand in brands:
        number = secrets.token_hex(3)
        spec = ChargerSpec(
            charger_id=f"UP-{number}",
            site_id="site-001",
            serial=f"SN{number}",
            password=secrets.token_hex(20),
            personality=brand,
        )
        found.append(await place.enrol(spec, by_certificate=False))
    return tuple(found)


@asynccontextmanager
async def plain_fleet(
    place: Stage,
    specs: tuple[ChargerSpec, ...],
    faults: tuple[NetworkFault, ...] = (),
    *,
    pattern: SessionPattern | None = None,
) -> AsyncIterator[Ledger]:
    """The chargers at work, by the door without TLS; they know the root of the other one."""
    fleet = FleetSpec(
        "profiles",
        7,
        specs,
        csms_roots=(place.bench.root_file.read_text(),),
        secure_url=place.url,
        pace=QUICK,
        sessions=pattern or SessionPattern(busy_share=0.0),
        faults=faults,
        connect_per_s=200.0,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(
        run_fleet(fleet, csms_url=plain_url(place), report_path=None, stop_event=stop, clock=system_clock)
    )
    await place.introduced(specs)
    try:
        yield task  # type: ignore[misc]
    finally:
        stop.set()
        await task


async def job(
    place: Stage,
    specs: tuple[ChargerSpec, ...],
    profile: int,
    *,
    plan: RenewalPlan = SOON,
    work: FleetWork = FleetWork.RAISE_PROFILE,
    tag: str = "up",
) -> Ends:
    """One job to its end; outcome and reason by charger."""
    root = place.bench.root_file.read_text()
    secure = profile > 1
    moved = work in (FleetWork.RAISE_PROFILE, FleetWork.CHANGE_NETWORK)
    plan = replace(
        plan,
        work=work,
        root=root if secure else "",
        root_names=names(root) if secure else (),
        connection=Connection(place.url if secure else plain_url(place), profile) if moved else None,
    )
    renewal_id = f"{tag}-{place.tag}"
    new = Renewal(renewal_id, plan, RenewalPhase.RUNNING, "", "ada", system_clock(), len(specs), 0)
    await place.stores.renewals.create(new, [spec.charger_id for spec in specs])
    await place.orchestrator.start_renewal(renewal_id)
    await place.renewal_over(renewal_id, seconds=120)
    targets = await place.stores.renewals.targets(renewal_id)
    return {each.charger_id: (each.outcome.value if each.outcome else None, each.reason) for each in targets}
