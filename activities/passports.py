"""The firmware passport of a charger, put together and signed in the signer's process.

As with a bundle of evidence, the signer reads the stores itself: it testifies to what is kept.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from temporalio import activity

from activities.errors import beating, mapped
from activities.stores import Stores
from activities.testifying import Testifier
from signing.errors import DirectiveRefused
from storage.campaign import Campaign, Directive, Target
from storage.canonical import sha256_hex
from storage.certificate import CertificateStore
from storage.chronicle import question_of
from storage.errors import NotFound
from storage.events import EventKind
from storage.passport import (
    MOST_MOVES,
    MOST_UPDATES,
    Given,
    PassportFacts,
    PassportOrder,
    VersionSaid,
    passport_of,
)
from storage.registry_ports import RegistryStore
from storage.retirement import PASSPORT, RetirementStore

T = TypeVar("T")
HEARTBEAT_S = 2.0
_PAGE = 500
_MOST_WORDS = 20_000
"""Words about versions that are read; a charger that boots without end has more of them."""
_TOLD = question_of([EventKind.CHARGER_BOOTED.value, EventKind.FIRMWARE_VERSION_READ.value])


@dataclass(frozen=True, slots=True)
class PassportSources:
    """What is read beside the shared stores."""

    registry: RegistryStore
    certificates: CertificateStore
    retirements: RetirementStore
    read_directive: Callable[[bytes], Directive]
    """From its envelope. Raises DirectiveRefused."""


class PassportActivities:
    """Register on the signer's queue only."""

    def __init__(self, stores: Stores, sources: PassportSources, desk: Testifier) -> None:
        self._stores = stores
        self._sources = sources
        self._desk = desk

    @activity.defn
    @mapped
    async def sign_passport(self, given: PassportOrder) -> str:
        """Sign what is kept of a charger's firmware; the SHA-256 of the envelope. Raises NotFound."""
        async with beating(HEARTBEAT_S):
            facts = await self._facts(given.charger_id)
            said = passport_of(facts, given, self._stores.clock())
            sha256 = await self._desk.testify(PASSPORT, said)
            subject = f"charger/{given.charger_id}"
            await self._stores.record(
                given.actor, "charger.passport_signed", subject, sha256=sha256, reason=given.reason
            )
            return sha256

    async def _facts(self, charger_id: str) -> PassportFacts:
        view = await self._stores.chargers.get(charger_id)
        targets = await self._stores.campaigns.target_history(charger_id, limit=MOST_UPDATES + 1)
        return PassportFacts(
            view=view,
            updates=await _Orders(self._stores, self._sources.read_directive).given(targets[:MOST_UPDATES]),
            older_updates=len(targets) > MOST_UPDATES,
            certificates=await self._sources.certificates.of_charger(charger_id),
            moves=await self._sources.registry.moves(charger_id, limit=MOST_MOVES + 1),
            said=await self._said(charger_id),
            retirement=await _kept(self._sources.retirements.get(charger_id)),
        )

    async def _said(self, charger_id: str) -> list[VersionSaid]:
        found: list[VersionSaid] = []
        cursor: str | None = None
        while len(found) < _MOST_WORDS:
            page = await self._stores.events.chronicle(charger_id, _TOLD, limit=_PAGE, cursor=cursor)
            for each in page.items:
                version = each.body.get("firmware_version")
                if each.sequence is not None and isinstance(version, str) and version:
                    told = VersionSaid(each.sequence, each.kind, version, each.observed_at, each.received_at)
                    found.append(told)
            if page.next_cursor is None:
                break
            cursor = page.next_cursor
        return found


async def _kept(found: Awaitable[T]) -> T | None:
    try:
        return await found
    except NotFound:
        return None


class _Orders:
    """Looks up what stood behind updates; campaigns and images once each."""

    def __init__(self, stores: Stores, read_directive: Callable[[bytes], Directive]) -> None:
        self._stores = stores
        self._read = read_directive
        self._campaigns: dict[str, Campaign] = {}

    async def given(self, targets: Sequence[Target]) -> list[Given]:
        """In the same order."""
        return [await self._one(each) for each in targets]

    async def _one(self, target: Target) -> Given:
        artifacts = self._stores.artifacts
        campaign = await self._campaign(target.campaign_id)
        directive, sha256 = await self._directive(campaign, target)
        decisions = await self._stores.campaigns.decisions(target.campaign_id)
        mine = sorted(
            (each for each in decisions if each.wave == target.wave), key=lambda one: one.decided_at
        )
        return Given(
            target=target,
            campaign=campaign,
            artifact=await _kept(artifacts.get(target.artifact_id)),
            release=await artifacts.staged(target.artifact_id),
            signed=tuple(await artifacts.sign_offs(target.artifact_id)),
            directive=directive,
            directive_sha256=sha256,
            decisions=tuple(mine),
        )

    async def _campaign(self, campaign_id: str) -> Campaign:
        if campaign_id not in self._campaigns:
            self._campaigns[campaign_id] = await self._stores.campaigns.get(campaign_id)
        return self._campaigns[campaign_id]

    async def _directive(self, campaign: Campaign, target: Target) -> tuple[Directive | None, str]:
        shard = target.ordinal // campaign.plan.pace.shard_size
        signed = await self._stores.campaigns.directive(target.campaign_id, target.wave, shard)
        if signed is None:
            return None, ""
        try:
            return self._read(signed.envelope), sha256_hex(signed.envelope)
        except DirectiveRefused:
            return None, ""  # What does not read was never sent; nodes check it before anything leaves.
