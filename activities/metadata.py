"""Looking after the signed metadata: what people should hear of it, and the ceremonies that change it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from temporalio import activity

from activities.errors import mapped
from activities.refusals import Refusals
from activities.stores import Stores
from signing.errors import TooHasty, VerificationFailed
from signing.expiry import ExpiryNotice, RoleExpiry, expiry_notices
from signing.ports import MAX_CEREMONY, CeremonyStamp, ReleaseSigner
from storage.canonical import sha256_hex
from storage.clock import Clock
from storage.errors import AmpwaveError
from storage.ids import ceremony_key
from storage.incident import Incident, IncidentChange, IncidentKind
from storage.ports import BlobStore
from storage.watching import IncidentStore

REPOSITORY = "tuf"
"""The subject of an incident about the repository as a whole; one about a role is below it."""
_MOST = 500


@dataclass(frozen=True, slots=True)
class CeremonyOrder:
    """A stored ceremony file, and who asks to publish it."""

    sha256: str
    actor: str


class CeremonyActivities:
    """What the signer does with a ceremony. Register on its queue only."""

    def __init__(self, stores: Stores, blobs: BlobStore, signer: ReleaseSigner, refusals: Refusals) -> None:
        self._stores = stores
        self._refusals = refusals
        self._blobs = blobs
        self._signer = signer

    @activity.defn
    @mapped
    async def conclude_ceremony(self, order: CeremonyOrder) -> CeremonyStamp:
        """Publish what people signed. Idempotent. Raises VerificationFailed or StaleStage."""
        try:
            return await self._conclude(order)
        except (VerificationFailed, TooHasty) as error:
            # S64: also where somebody asks who does not come by the api.
            await self._refusals.record("conclude_ceremony", f"ceremony/{order.sha256}", error)
            raise

    async def _conclude(self, order: CeremonyOrder) -> CeremonyStamp:
        data, _ = await self._blobs.get(ceremony_key(order.sha256), limit=MAX_CEREMONY)
        if sha256_hex(data) != order.sha256:
            raise VerificationFailed("The stored ceremony file is not the one that was handed in.")
        stamp = await self._signer.conclude_ceremony(data)
        versions = {f"{role}_version": version for role, version in stamp.versions.items()}
        await self._stores.record(
            order.actor,
            "tuf.published",
            f"ceremony/{order.sha256}",
            fingerprint=stamp.fingerprint,
            signers=",".join(stamp.signers),
            **versions,
        )
        return stamp


class MetadataActivities:
    """What every worker can see of the metadata, without a key (S14, S20)."""

    def __init__(
        self, read: Callable[[], Awaitable[Sequence[RoleExpiry]]], incidents: IncidentStore, clock: Clock
    ) -> None:
        self._read = read
        self._incidents = incidents
        self._clock = clock

    @activity.defn
    @mapped
    async def watch_metadata(self) -> int:
        """Open and close incidents about expiry and readability; returns how many are due."""
        now = self._clock()
        opened = [one for one in await self._incidents.find(limit=_MOST) if _is_ours(one)]
        try:
            notices = expiry_notices(await self._read(), now)
        except AmpwaveError as error:
            # S20: whatever keeps us from reading it may hide a rotated key.
            change = IncidentChange(IncidentKind.METADATA_UNREADABLE, REPOSITORY, now, error.message)
            await self._incidents.apply([change])
            return 1
        due = {subject_of(notice): notice for notice in notices}
        changes = [
            IncidentChange(
                IncidentKind.METADATA_EXPIRING,
                subject,
                now,
                notice.summary,
                {"role": notice.role, "version": notice.version, "expires": notice.expires.isoformat()},
            )
            for subject, notice in due.items()
        ]
        over = [one for one in opened if one.subject not in due]
        changes += [IncidentChange(one.kind, one.subject, now, close=True) for one in over]
        if changes:
            await self._incidents.apply(changes)
        return len(due)


def subject_of(notice: ExpiryNotice) -> str:
    """One incident for each role and stage, so that every stage is told."""
    return f"{REPOSITORY}/{notice.role}/{notice.stage}"


def _is_ours(incident: Incident) -> bool:
    return incident.kind in {IncidentKind.METADATA_EXPIRING, IncidentKind.METADATA_UNREADABLE}
