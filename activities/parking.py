"""The books of images that chargers fetch ahead of their install (R20); speaks to no charger."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity

from activities.chargers import Stranded
from activities.conclusion import taken_over
from activities.errors import mapped
from activities.facts import RouteFacts
from activities.stores import Stores, this_run
from activities.withdrawn import distrusted
from storage.campaign import Outcome, Target, TargetPhase
from storage.charger import SiteLease
from storage.ids import charger_workflow_id
from storage.parked import Parked, Parking


@dataclass(frozen=True, slots=True)
class FetchEnd:
    """How a charger's fetching ahead ended. ``outcome``: only where it installed by itself."""

    campaign_id: str
    wave: int
    charger_id: str
    reason: str
    request_id: int | None = None
    state: Parking | None = None
    """None: as it was, or nothing was sent at all."""
    outcome: Outcome | None = None
    distrusted: bool = False
    """The vendor's signature did not hold there: the release is halted (S38)."""


@dataclass(frozen=True, slots=True)
class Haste:
    """A charger installs although it was told to wait."""

    charger_id: str
    seconds: float
    """What its attempt may take from now on."""


class ParkingActivities:
    """Reads and writes what is known of parked images."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    @activity.defn
    @mapped
    async def note_haste(self, given: Haste) -> None:
        """It is away from its site now: nobody can stop it, so others wait for it (X2)."""
        stores, name = self._stores, given.charger_id
        parked, lease = await stores.parked.get(name), await stores.leases.get(name)
        if parked is not None:
            await installed_by_itself(stores, parked)
        if lease is None or taken_over(lease):
            return
        await stores.leases.take(
            SiteLease(
                charger_id=name,
                site_id=lease.site_id,
                workflow_id=charger_workflow_id(name),
                kind="update",
                expires_at=stores.clock() + timedelta(seconds=given.seconds),
                request_id=lease.request_id,
                wake_on=("booted", "firmware_failed"),
                run=this_run(),
                campaign_id=lease.campaign_id,
            )
        )

    @activity.defn
    @mapped
    async def conclude_fetch(self, given: FetchEnd) -> None:
        """Write where it stands, revoke its tickets, release the lease; each step may be repeated."""
        stores, name = self._stores, given.charger_id
        lease = await stores.leases.get(name)
        if taken_over(lease):
            return
        if given.state is not None and given.request_id is not None:
            await stores.parked.settle(name, given.request_id, given.state)
        if given.distrusted:
            target = await stores.campaigns.target(given.campaign_id, given.wave, name)
            await distrusted(stores, target.artifact_id, name, given.reason)
        await self._write(given)
        if lease is not None and lease.workflow_id == charger_workflow_id(name):
            await stores.tickets.revoke_for(name)
            await stores.leases.release(name, lease.workflow_id, run=lease.run)

    async def _write(self, given: FetchEnd) -> None:
        campaigns, now = self._stores.campaigns, self._stores.clock()
        if given.outcome is not None:
            await campaigns.finish_target(
                given.campaign_id, given.wave, given.charger_id, given.outcome, given.reason, now
            )
        if given.request_id is not None:
            await self._stores.record(
                f"campaign/{given.campaign_id}",
                "update.fetch_concluded",
                f"charger/{given.charger_id}",
                wave=given.wave,
                request_id=given.request_id,
                state=given.state.value if given.state else None,
                outcome=given.outcome.value if given.outcome else None,
                reason=given.reason,
            )

    @activity.defn
    @mapped
    async def find_parked(self) -> tuple[Stranded, ...]:
        """Connected chargers with an image that nobody will install."""
        found = []
        for row in await self._stores.parked.left_over():
            route = await self._stores.routes.resolve(row.charger_id)
            target = await self._stores.campaigns.target(row.campaign_id, row.wave, row.charger_id)
            if route is not None and target.phase is TargetPhase.DONE:
                facts = RouteFacts(route.node_id, route.boot_id, route.session_epoch)
                found.append(Stranded(row.charger_id, facts))
        return tuple(found)


async def installed_by_itself(stores: Stores, parked: Parked) -> None:
    """A charger that was told to wait did not: people are told, and its model is not asked again."""
    if parked.state is Parking.HASTY:
        return
    await stores.parked.settle(parked.charger_id, parked.request_id, Parking.HASTY)
    await stores.record(
        f"campaign/{parked.campaign_id}",
        "update.installed_early",
        f"charger/{parked.charger_id}",
        wave=parked.wave,
        request_id=parked.request_id,
        version=parked.version,
        follow_up="its model fetches and installs in one step from now on, unless it is declared otherwise",
    )


async def did_not_wait(stores: Stores, target: Target) -> bool:
    """Whether a target runs the version because it did not wait with an image that it fetched ahead."""
    if target.dispatched_at is not None:
        return False  # It was told to install, and did.
    parked = await stores.parked.get(target.charger_id)
    if parked is None or (parked.campaign_id, parked.wave) != (target.campaign_id, target.wave):
        return False
    await installed_by_itself(stores, parked)
    return True
