"""The stores that activities share, handed in as one value."""

from dataclasses import dataclass
from typing import Any

from temporalio import activity

from storage.audit import AuditEntry
from storage.clock import Clock
from storage.halt import HaltStore
from storage.kept import KeptStore
from storage.operator_ports import CommandStore, LogStore
from storage.parked import ParkedStore
from storage.penalty import PenaltyStore
from storage.ports import (
    ArtifactStore,
    AuditLog,
    CampaignStore,
    ChargerStore,
    EventStore,
    IngestStore,
    LearnedStore,
    LeaseStore,
    OutOfServiceStore,
    RouteStore,
    TicketStore,
)
from storage.publication import PublicationStore
from storage.twin_ports import TwinStore
from storage.upkeep import UpkeepStore
from storage.watching import HealthStore
from storage.withdrawal import WithdrawalStore


@dataclass(frozen=True, slots=True)
class Stores:
    """Where facts are read and deeds are written down."""

    chargers: ChargerStore
    campaigns: CampaignStore
    artifacts: ArtifactStore
    routes: RouteStore
    leases: LeaseStore
    out_of_service: OutOfServiceStore
    events: EventStore
    tickets: TicketStore
    twins: TwinStore
    audit: AuditLog
    commands: CommandStore
    logs: LogStore
    ingest: IngestStore
    halts: HaltStore
    withdrawals: WithdrawalStore
    health: HealthStore
    upkeep: UpkeepStore
    penalties: PenaltyStore
    learned: LearnedStore
    kept: KeptStore
    parked: ParkedStore
    publications: PublicationStore
    clock: Clock

    async def record(self, actor: str, action: str, subject: str, **detail: Any) -> None:
        """Write one act into the audit log."""
        await self.audit.append(AuditEntry(self.clock(), actor, action, subject, detail))


def this_run() -> str:
    """The run of the workflow that this activity works for; "" where no workflow called it."""
    return (activity.info().workflow_run_id or "") if activity.in_activity() else ""
