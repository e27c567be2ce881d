"""Care for what lies in the object store: is it still what was signed, and what is it that nobody needs?"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog
from temporalio import activity

from activities.errors import beating, mapped
from activities.stores import Stores
from signing.ports import ArtifactInspector
from storage.artifact import Artifact, ArtifactPhase
from storage.errors import Conflict
from storage.incident import IncidentChange, IncidentKind
from storage.leftovers import abandoned, for_people, leftovers
from storage.transfer import BlobCareStore, BlobKeeper, StoredVersion, UploadStore
from storage.watching import IncidentStore

SignedDigest = Callable[[Artifact], Awaitable[str | None]]
"""The SHA-256 that signed metadata gives this released artifact; None: it lists none."""

ACTOR = "storage-care"
_BEAT_S = 5.0
_BY_HAND = "switch the bucket's versioning on, or remove the object while nobody uploads"
_log = structlog.get_logger("activities.blob_care")


@dataclass(frozen=True, slots=True)
class CarePolicy:
    """How much is hashed in one round, and how old a leftover must be."""

    bytes_per_round: int = 50 * 1024**3
    again_after: timedelta = timedelta(hours=20)
    grace: timedelta = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class CareStores:
    """What only this care needs."""

    care: BlobCareStore
    keeper: BlobKeeper
    uploads: UploadStore
    incidents: IncidentStore


@dataclass(frozen=True, slots=True)
class RehashFacts:
    """What a round of hashing found."""

    checked: int
    bytes: int
    bad: tuple[str, ...]
    """Artifacts whose bytes are not what was signed."""


@dataclass(frozen=True, slots=True)
class SweepFacts:
    """What a sweep removed."""

    versions: int = 0
    bytes: int = 0
    multiparts: int = 0
    uploads: int = 0
    locked: int = 0
    """Left over, but still under a lock: a later sweep removes them."""
    unversioned: int = 0
    """Images left over in a bucket without versions, where only people can remove them safely."""


class BlobCareActivities:
    """Once a day, by the schedule of storage care."""

    def __init__(
        self,
        stores: Stores,
        more: CareStores,
        inspector: ArtifactInspector,
        signed: SignedDigest,
        policy: CarePolicy | None = None,
    ) -> None:
        self._stores = stores
        self._more = more
        self._inspector = inspector
        self._signed = signed
        self._policy = policy or CarePolicy()

    @activity.defn
    @mapped
    async def rehash_sample(self) -> RehashFacts:
        """Read back and hash those that were not hashed for longest, as many bytes as a round may (S48)."""
        checked = total = 0
        bad: list[str] = []
        due = await self._more.care.due_for_check(self._stores.clock() - self._policy.again_after)
        async with beating(_BEAT_S):
            for artifact_id, length in due:
                if checked and total + length > self._policy.bytes_per_round:
                    break
                if await self._check(artifact_id):
                    bad.append(artifact_id)
                checked, total = checked + 1, total + length
        return RehashFacts(checked, total, tuple(bad))

    async def _check(self, artifact_id: str) -> str:
        """What is wrong with it, ""; a change is an incident and an audit entry."""
        artifact = await self._stores.artifacts.get(artifact_id)
        problem, now = await self._problem(artifact), self._stores.clock()
        subject = f"artifact/{artifact_id}"
        change = IncidentChange(
            IncidentKind.BLOB_CORRUPT,
            subject,
            now,
            f"The stored image {artifact.vendor_role} {artifact.version} is not what was signed: {problem}",
            {"problem": problem},
            close=not problem,
        )
        # The incident first: after a crash in between, the next round still finds the change to announce.
        await self._more.incidents.apply([change])
        if await self._more.care.note_check(artifact_id, now, problem):
            action = "security.blob_corrupt" if problem else "storage.blob_sound_again"
            await self._stores.record(ACTOR, action, subject, problem=problem)
        return problem

    async def _problem(self, artifact: Artifact) -> str:
        found = await self._inspector.inspect(artifact)
        if not found.sha256:
            return "its bytes are gone from the store"
        if found.sha256 != artifact.artifact_id:
            return f"its bytes hash to {found.sha256}"
        if artifact.phase is ArtifactPhase.RELEASED:
            signed = await self._signed(artifact)
            if signed != artifact.artifact_id:
                return f"signed metadata gives {signed or 'nothing'} for {artifact.target_path}"
        return ""

    @activity.defn
    @mapped
    async def sweep_leftovers(self) -> SweepFacts:
        """Remove what crashes and broken uploads left behind, for good, and say so."""
        async with beating(_BEAT_S):
            uploads = await self._forget_uploads()
            multiparts = await self._abort_multiparts()
            facts = await self._remove_versions()
        facts = replace(facts, multiparts=multiparts, uploads=uploads)
        if facts.versions or multiparts or uploads or facts.unversioned:
            await self._stores.record(
                ACTOR,
                "storage.swept",
                "storage",
                versions=facts.versions,
                bytes=facts.bytes,
                multiparts=multiparts,
                uploads=uploads,
                locked=facts.locked,
                unversioned=facts.unversioned,
            )
        return facts

    async def _forget_uploads(self) -> int:
        """Those that nobody finished in time; their pieces are left over from then on."""
        forgotten = 0
        while expired := await self._more.uploads.expired(self._stores.clock()):
            for upload in expired:
                await self._more.uploads.drop(upload.upload_id)
            forgotten += len(expired)
        return forgotten

    async def _abort_multiparts(self) -> int:
        left = abandoned(await self._more.keeper.multiparts(), self._stores.clock(), self._policy.grace)
        for multipart in left:
            await self._more.keeper.abort_multipart(multipart)
        return len(left)

    async def _remove_versions(self) -> SweepFacts:
        removed, size, locked, unversioned, after = 0, 0, 0, 0, ""
        while page := await self._more.keeper.versions(after=after, limit=500):
            removable, others = await self._left_over(page)
            unversioned += len(others)
            for key in others:
                _log.warning(
                    "an image is left over in a bucket without versions", key=key, what_next=_BY_HAND
                )
            for version in removable:
                try:
                    await self._more.keeper.remove_version(version.key, version.version_id)
                except Conflict:
                    locked += 1
                else:
                    removed, size = removed + 1, size + version.length
            after = page[-1].key
        return SweepFacts(removed, size, locked=locked, unversioned=unversioned)

    async def _left_over(
        self, page: Sequence[StoredVersion]
    ) -> tuple[Sequence[StoredVersion], Sequence[str]]:
        """What to remove, and what people must; asked of the database right before anything is removed."""
        now, grace = self._stores.clock(), self._policy.grace
        candidates = {version.key for version in leftovers(page, (), now, grace)}
        candidates |= set(for_people(page, (), now, grace))
        referred = await self._more.care.referred(candidates) if candidates else frozenset()
        return leftovers(page, referred, now, grace), for_people(page, referred, now, grace)
