"""A new root for a fleet, a switch of the server's chain in the middle, the old root gone; nobody lost."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import timedelta

from csms.pki.roots import root_hashes
from csms.simulator.spec import ChargerSpec
from storage.clock import system_clock
from storage.renewal import FleetWork, Renewal, RenewalPhase, RenewalPlan, spelled
from tests.support.pki import Authority
from tests.support.renewal_stage import Stage


@dataclass
class RootChange:
    """One change on one stage."""

    place: Stage
    specs: tuple[ChargerSpec, ...]

    def __post_init__(self) -> None:
        self.old = self.place.bench.root_file.read_text()
        self.new_root = Authority.root("Second server root", system_clock())
        folder = self.place.bench.folder
        self.new = self.new_root.write(folder / "second-root.pem").read_text()

    async def run(self, name: str, plan: RenewalPlan) -> dict[str, int]:
        """One job to its end; what became of it."""
        charger_ids = [spec.charger_id for spec in self.specs]
        now = system_clock()
        new = Renewal(name, plan, RenewalPhase.RUNNING, "", "ada", now, len(charger_ids), 0)
        await self.place.stores.renewals.create(new, charger_ids)
        await self.place.orchestrator.start_renewal(name)
        found = await self.place.renewal_over(name, seconds=3000)
        return dict(found.counts)

    async def install(self, plan: RenewalPlan) -> dict[str, int]:
        """The new root, in waves."""
        return await self.run(
            f"install-{self.place.tag}",
            _with(plan, work=FleetWork.INSTALL_ROOT, root=self.new, root_names=names(self.new)),
        )

    async def delete(self, plan: RenewalPlan, switched_at: str, tag: str = "delete") -> dict[str, int]:
        """The old root, of whoever came since."""
        work = {
            "work": FleetWork.DELETE_ROOT,
            "root": self.new,
            "root_names": names(self.old),
            "keep_names": names(self.new),
        }
        return await self.run(f"{tag}-{self.place.tag}", _with(plan, switched_at=switched_at, **work))

    async def switch(self) -> str:
        """Show the new chain, without a restart, and let every socket go; since when."""
        bench = self.place.bench
        bench.server_root = self.new_root
        bench.server_certificate("server")
        await self._shown()
        since = system_clock()
        for session in self.place.gateway._registry.all():
            await session.close(1012, "service restart")
        return since.isoformat()

    async def _shown(self) -> None:
        """Wait until the node shows a chain of the new root to whoever comes."""
        trusting = ssl.create_default_context(cadata=self.new)
        async with asyncio.timeout(60):
            while True:
                try:
                    _, writer = await asyncio.open_connection(
                        "localhost", self.place.gateway.ports[-1], ssl=trusting
                    )
                except ssl.SSLCertVerificationError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    async def back(self, since: str, *, seconds: float = 120) -> list[str]:
        """Who has not come back since then."""
        away = [spec.charger_id for spec in self.specs]
        deadline = system_clock() + timedelta(seconds=seconds)
        while away and system_clock() < deadline:
            views = await self.place.stores.chargers.views(away)
            here = {
                view.charger.charger_id
                for view in views
                if (link := view.twin.connectivity) and link.online and link.since
                and link.since.isoformat() > since
            }  # fmt: skip
            away = [each for each in away if each not in here]
            if away:
                await asyncio.sleep(0.2)
        return away


def names(pem: str) -> tuple[str, ...]:
    """How chargers may name a root."""
    return tuple(spelled(each) for each in root_hashes(pem))


def _with(plan: RenewalPlan, **changes: object) -> RenewalPlan:
    from dataclasses import replace

    return replace(plan, **changes)  # type: ignore[arg-type]
