"""Small in-memory implementations of the ports that the api asks for: doubles for unit tests only."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from storage.access import Token
from storage.artifact import Artifact, ArtifactPhase, SignOff, StagedRelease
from storage.audit import GENESIS, AuditEntry, AuditRow, chain_hash
from storage.campaign import (
    Approval,
    Campaign,
    CampaignPhase,
    Decision,
    Target,
    WaveTally,
)
from storage.charger import (
    Charger,
    ChargerCredential,
    ChargerFilter,
    DownloadTicket,
    FleetCounts,
    ModelProfile,
    Site,
    SiteLease,
)
from storage.errors import Conflict, InvalidInput, NotFound
from storage.events import StoredEvent
from storage.ports import ChargerView, Page
from storage.twin import TwinState
from workflows.phases import CAMPAIGN_MOVES, CampaignMove, advance


def page_of(items: Sequence[Any], limit: int, cursor: str | None) -> Page[Any]:
    if cursor is not None and not re.fullmatch(r"[0-9]{1,9}", cursor):
        raise InvalidInput("The cursor is not one of ours.")
    start = int(cursor or 0)
    part = tuple(items[start : start + limit])
    more = start + limit < len(items)
    return Page(part, str(start + limit) if more else None)


class MemoryChargers:
    def __init__(self) -> None:
        self.by_site: dict[str, Site] = {}
        self.models: dict[tuple[str, str], ModelProfile] = {}
        self.all: dict[str, ChargerView] = {}
        self.credentials: dict[str, ChargerCredential] = {}

    async def put_site(self, site: Site) -> None:
        self.by_site[site.site_id] = site

    async def sites(self) -> Sequence[Site]:
        return list(self.by_site.values())

    async def put_model(self, profile: ModelProfile) -> None:
        self.models[profile.vendor, profile.model] = profile

    async def model(self, vendor: str, model: str) -> ModelProfile | None:
        return self.models.get((vendor, model))

    async def register(self, charger: Charger, credential: ChargerCredential | None) -> None:
        there = self.all.get(charger.charger_id)
        if there and replace(there.charger, registered_at=charger.registered_at) != charger:
            raise Conflict(f"{charger.charger_id} is registered already, with other values.")
        if there is None:
            self.all[charger.charger_id] = ChargerView(charger, TwinState(charger.charger_id))
        if credential:
            self.credentials[charger.charger_id] = credential

    async def get(self, charger_id: str) -> ChargerView:
        try:
            return self.all[charger_id]
        except KeyError:
            raise NotFound("charger", charger_id) from None

    async def find(
        self, where: ChargerFilter, *, limit: int = 100, cursor: str | None = None
    ) -> Page[ChargerView]:
        views = [view for _, view in sorted(self.all.items()) if _matches(view, where)]
        return page_of(views, limit, cursor)

    async def views(self, charger_ids: Sequence[str]) -> Sequence[ChargerView]:
        return [self.all[each] for each in charger_ids if each in self.all]

    async def counts(self) -> FleetCounts:
        views = list(self.all.values())
        versions: dict[str, int] = {}
        models: dict[str, int] = {}
        for view in views:
            version = (view.twin.firmware.version if view.twin.firmware else None) or "unknown"
            versions[version] = versions.get(version, 0) + 1
            model = f"{view.charger.vendor} {view.charger.model}"
            models[model] = models.get(model, 0) + 1
        return FleetCounts(
            total=len(views),
            online=sum(bool(v.twin.connectivity and v.twin.connectivity.online) for v in views),
            charging=sum(bool(v.twin.operation and v.twin.operation.transactions) for v in views),
            faulted=sum(_has_fault(v) for v in views),
            in_maintenance=sum(v.maintenance is not None for v in views),
            by_version=versions,
            by_model=models,
        )


def _has_fault(view: ChargerView) -> bool:
    connectors = view.twin.operation.connectors.values() if view.twin.operation else ()
    return any(connector.status == "Faulted" for connector in connectors)


def _matches(view: ChargerView, where: ChargerFilter) -> bool:
    charger, twin = view.charger, view.twin
    version = twin.firmware.version if twin.firmware else None
    online = bool(twin.connectivity and twin.connectivity.online)
    wanted = [
        (where.vendor, charger.vendor),
        (where.model, charger.model),
        (where.site_id, charger.site_id),
        (where.firmware_version, version),
        (where.online, online),
    ]
    named = not where.charger_ids or charger.charger_id in where.charger_ids
    return named and all(asked is None or asked == has for asked, has in wanted)


class MemoryCampaigns:
    def __init__(self) -> None:
        self.all: dict[str, Campaign] = {}
        self.rows: dict[str, list[Target]] = {}
        self.left_out: dict[str, list[tuple[str, str]]] = {}
        self.verdicts: dict[str, list[Decision]] = {}

    async def create(
        self, campaign: Campaign, targets: Sequence[Target], exclusions: Sequence[tuple[str, str]]
    ) -> None:
        if campaign.campaign_id in self.all:
            raise Conflict(f"Campaign {campaign.campaign_id} is there already.")
        self.all[campaign.campaign_id] = campaign
        self.rows[campaign.campaign_id] = list(targets)
        self.left_out[campaign.campaign_id] = list(exclusions)

    async def get(self, campaign_id: str) -> Campaign:
        try:
            return self.all[campaign_id]
        except KeyError:
            raise NotFound("campaign", campaign_id) from None

    async def find(self, *, limit: int = 100, cursor: str | None = None) -> Page[Campaign]:
        newest = sorted(self.all.values(), key=lambda each: each.created_at, reverse=True)
        return page_of(newest, limit, cursor)

    async def set_phase(self, campaign_id: str, phase: CampaignPhase, reason: str, at: datetime) -> None:
        self.all[campaign_id] = replace(self.all[campaign_id], phase=phase, reason=reason)

    async def add_approval(self, campaign_id: str, approval: Approval) -> None:
        campaign = self.all[campaign_id]
        self.all[campaign_id] = replace(campaign, approvals=(*campaign.approvals, approval))

    async def exclusions(self, campaign_id: str) -> Sequence[tuple[str, str]]:
        return self.left_out.get(campaign_id, [])

    async def targets(
        self, campaign_id: str, wave: int | None = None, first: int = 0, count: int = 100_000
    ) -> Sequence[Target]:
        rows = [row for row in self.rows[campaign_id] if wave is None or row.wave == wave]
        return [row for row in rows if wave is None or row.ordinal >= first][:count]

    async def tallies(self, campaign_id: str) -> Sequence[WaveTally]:
        campaign = await self.get(campaign_id)
        found: dict[int, WaveTally] = {}
        for row in self.rows[campaign_id]:
            rollback = row.wave >= 1000
            name = f"rollback {row.wave - 999}" if rollback else campaign.plan.waves[row.wave].name
            tally = found.get(row.wave, WaveTally(row.wave, name, 0))
            phases = {**tally.by_phase, row.phase: tally.by_phase.get(row.phase, 0) + 1}
            outcomes = dict(tally.by_outcome)
            if row.outcome:
                outcomes[row.outcome] = outcomes.get(row.outcome, 0) + 1
            found[row.wave] = WaveTally(
                row.wave,
                name,
                tally.total + 1,
                phases,
                outcomes,
                tally.deferred_for_session + row.deferred_for_session,
            )
        return [found[wave] for wave in sorted(found)]

    async def decisions(self, campaign_id: str) -> Sequence[Decision]:
        return self.verdicts.get(campaign_id, [])


class MemoryArtifacts:
    def __init__(self) -> None:
        self.all: dict[str, Artifact] = {}
        self.stages: dict[str, StagedRelease] = {}
        self.signed: list[SignOff] = []

    async def add(self, artifact: Artifact) -> None:
        if artifact.artifact_id in self.all or await self.by_version(artifact.vendor_role, artifact.version):
            raise Conflict("It is there already.")
        self.all[artifact.artifact_id] = artifact

    async def get(self, artifact_id: str) -> Artifact:
        try:
            return self.all[artifact_id]
        except KeyError:
            raise NotFound("artifact", artifact_id) from None

    async def find(self, *, limit: int = 100, cursor: str | None = None) -> Page[Artifact]:
        newest = sorted(self.all.values(), key=lambda each: each.uploaded_at, reverse=True)
        return page_of(newest, limit, cursor)

    async def by_version(self, vendor_role: str, version: str) -> Artifact | None:
        same = (a for a in self.all.values() if (a.vendor_role, a.version) == (vendor_role, version))
        return next(same, None)

    async def set_phase(self, artifact_id: str, phase: ArtifactPhase, reason: str) -> None:
        self.all[artifact_id] = replace(self.all[artifact_id], phase=phase, reason=reason)

    async def stage(self, staged: StagedRelease) -> None:
        self.stages[staged.artifact_id] = staged

    async def staged(self, artifact_id: str) -> StagedRelease | None:
        return self.stages.get(artifact_id)

    async def add_sign_off(self, sign_off: SignOff) -> None:
        if not any(
            (s.keyid, s.staged_sha256) == (sign_off.keyid, sign_off.staged_sha256) for s in self.signed
        ):
            self.signed.append(sign_off)

    async def sign_offs(self, artifact_id: str) -> Sequence[SignOff]:
        staged = self.stages.get(artifact_id)
        return [s for s in self.signed if staged and s.staged_sha256 == staged.sha256]


class MemoryEvents:
    """Events in order; ``add`` wakes every open stream."""

    def __init__(self) -> None:
        self.all: list[StoredEvent] = []
        self._wakers: set[asyncio.Event] = set()

    def add(self, event: StoredEvent) -> None:
        self.all.append(event)
        for waker in self._wakers:
            waker.set()

    @property
    def listeners(self) -> int:
        return len(self._wakers)

    async def timeline(
        self, charger_id: str, *, limit: int = 100, before: int | None = None
    ) -> Sequence[StoredEvent]:
        mine = [e for e in reversed(self.all) if e.charger_id == charger_id]
        return [e for e in mine if before is None or e.sequence < before][:limit]

    async def after(self, sequence: int, *, limit: int = 500) -> Sequence[StoredEvent]:
        return [event for event in self.all if event.sequence > sequence][:limit]

    async def latest_sequence(self) -> int:
        return self.all[-1].sequence if self.all else 0

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[None]]:
        waker = asyncio.Event()
        self._wakers.add(waker)

        async def wakes() -> AsyncIterator[None]:
            while True:
                await waker.wait()
                waker.clear()
                yield None

        try:
            yield wakes()
        finally:
            self._wakers.discard(waker)


class MemoryTokens:
    def __init__(self) -> None:
        self.tokens: list[Token] = []

    async def add(self, token: Token) -> None:
        self.tokens.append(token)

    async def find(self, secret_sha256: str) -> Token | None:
        return next((t for t in self.tokens if t.secret_sha256 == secret_sha256), None)

    async def revoke(self, token_id: str, at: datetime) -> bool:
        for index, token in enumerate(self.tokens):
            if token.token_id == token_id and token.revoked_at is None:
                self.tokens[index] = replace(token, revoked_at=at)
                return True
        return False

    async def all(self) -> Sequence[Token]:
        return list(self.tokens)


class MemoryTickets:
    def __init__(self) -> None:
        self.tickets: dict[str, DownloadTicket] = {}

    async def add(self, ticket: DownloadTicket) -> None:
        self.tickets[ticket.ticket_sha256] = ticket

    async def find(self, ticket_sha256: str) -> DownloadTicket | None:
        return self.tickets.get(ticket_sha256)


class MemoryAudit:
    def __init__(self) -> None:
        self.chain: list[AuditRow] = []

    async def append(self, entry: AuditEntry) -> AuditRow:
        previous = self.chain[-1].row_hash if self.chain else GENESIS
        number = len(self.chain) + 1
        row = AuditRow(number, entry, previous, chain_hash(number, previous, entry))
        self.chain.append(row)
        return row

    async def rows(self, *, after: int = 0, limit: int = 1000) -> Sequence[AuditRow]:
        return self.chain[after : after + limit]

    @property
    def actions(self) -> list[str]:
        return [row.entry.action for row in self.chain]


class MemoryBlobs:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.reads = 0

    async def put_new(self, key: str, chunks: AsyncIterator[bytes], *, length: int | None = None) -> bool:
        data = b"".join([chunk async for chunk in chunks])
        assert length in (None, len(data))
        return self.objects.setdefault(key, data) is data

    async def length(self, key: str) -> int:
        try:
            return len(self.objects[key])
        except KeyError:
            raise NotFound("object", key) from None

    async def read(self, key: str, *, first: int = 0, last: int | None = None) -> AsyncIterator[bytes]:
        data = self.objects[key][first : None if last is None else last + 1]
        for start in range(0, len(data), 1024):
            self.reads += 1
            yield data[start : start + 1024]


class MemoryLeases:
    def __init__(self) -> None:
        self.held: dict[str, SiteLease] = {}

    async def get(self, charger_id: str) -> SiteLease | None:
        return self.held.get(charger_id)

    async def down(self, site_ids: Sequence[str]) -> dict[str, int]:
        return {site: sum(x.site_id == site for x in self.held.values()) for site in site_ids}


class MemoryOrchestrator:
    """Moves campaigns by the real table of moves, once per update id, and remembers what it was asked."""

    def __init__(self, campaigns: MemoryCampaigns, artifacts: MemoryArtifacts) -> None:
        self._campaigns = campaigns
        self._artifacts = artifacts
        self._seen: set[str] = set()
        self.asked: list[tuple[Any, ...]] = []
        self.failure: Exception | None = None

    async def start_publication(self, artifact_id: str) -> None:
        await self._note("start_publication", artifact_id)

    async def sign_off(self, sign_off: SignOff) -> None:
        await self._note("sign_off", sign_off)
        await self._artifacts.add_sign_off(sign_off)

    async def start_campaign(self, campaign_id: str) -> None:
        await self._note("start_campaign", campaign_id)
        await self._move(campaign_id, CampaignMove.SUBMIT, "Waiting for approvals.")

    async def approve(self, campaign_id: str, approval: Approval, update_id: str) -> None:
        if (await self._campaigns.get(campaign_id)).created_by == approval.actor:
            raise Conflict(f"{approval.actor} wrote this plan.")
        if await self._once(update_id, "approve", campaign_id, approval.actor):
            await self._campaigns.add_approval(campaign_id, approval)
            await self._move(campaign_id, CampaignMove.APPROVE, f"Approved by {approval.actor}.")

    async def pause(self, campaign_id: str, actor: str, update_id: str) -> None:
        if await self._once(update_id, "pause", campaign_id, actor):
            await self._move(campaign_id, CampaignMove.PAUSE, f"Paused by {actor}.")

    async def resume(self, campaign_id: str, actor: str, update_id: str) -> None:
        if await self._once(update_id, "resume", campaign_id, actor):
            await self._move(campaign_id, CampaignMove.RESUME, f"Resumed by {actor}.")

    async def abort(
        self, campaign_id: str, actor: str, reason: str, *, rollback: bool, update_id: str
    ) -> None:
        if await self._once(update_id, "abort", campaign_id, actor, reason, rollback):
            await self._move(campaign_id, CampaignMove.ABORT, reason)

    async def proceed(self, campaign_id: str, actor: str, reason: str, update_id: str) -> None:
        if await self._once(update_id, "proceed", campaign_id, actor, reason):
            await self._move(campaign_id, CampaignMove.PROCEED, reason)

    async def skip_charger(
        self, campaign_id: str, charger_id: str, actor: str, reason: str, update_id: str
    ) -> None:
        await self._once(update_id, "skip", campaign_id, charger_id, actor, reason)

    async def _once(self, update_id: str, *asked: Any) -> bool:
        if update_id in self._seen:
            return False
        await self._note(*asked)
        self._seen.add(update_id)
        return True

    async def _note(self, *asked: Any) -> None:
        if self.failure:
            raise self.failure
        self.asked.append(asked)

    async def _move(self, campaign_id: str, move: CampaignMove, reason: str) -> None:
        try:
            campaign = await self._campaigns.get(campaign_id)
        except NotFound:
            raise Conflict("Its workflow is over or was never started.") from None
        phase = advance(CAMPAIGN_MOVES, campaign.phase, move)
        await self._campaigns.set_phase(campaign_id, phase, reason, campaign.created_at)
