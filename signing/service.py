"""The signer: the only code that opens online keys (S63, S64).

It lives in its own process and does one thing at a time, since key modules are not thread-safe and two
publications must not interleave. It opens snapshot, timestamp and directive keys, never a person's. What
it publishes is what people signed; a row in a database never becomes firmware (S17).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature, Signer
from tuf.api.metadata import Metadata, Root, Targets

from signing import guard
from signing.conclusion import Conclusion
from signing.directive import MAX_ENVELOPE, check_approvals, check_release, shape_problems, sign_envelope
from signing.errors import (
    KeyUnavailable,
    NotInRelease,
    RepositoryUnreachable,
    StaleStage,
    VerificationFailed,
)
from signing.guard import KeyGuard, Limits
from signing.head import online_keys
from signing.keys import file_address, key_material, open_signer
from signing.lint import refuse_if
from signing.metadata import canonical, decode, decode_payload, encode
from signing.ports import CeremonyStamp, ReleaseStamp
from signing.release import from_target, release_of
from signing.repository import Head, NewFile, OnlineSigners, Repository
from signing.roles import (
    DIRECTIVE,
    MAX_DIRECTIVE_WINDOW,
    SNAPSHOT,
    TIMESTAMP,
    metadata_file,
    rule_for,
)
from signing.step import addition_problems, compare, next_version
from storage.artifact import Artifact, SignOff, StagedRelease
from storage.campaign import Directive, SignedDirective
from storage.canonical import sha256_hex
from storage.clock import Clock
from storage.errors import NotFound, StaleVersion
from storage.ports import BlobStore

R = TypeVar("R")

_ATTEMPTS = 5
_SIGNATURE_ROOM = 8_192
"""Bytes that signatures may add to staged metadata."""


@dataclass(frozen=True, slots=True)
class OnlineKeys:
    """The addresses of the online keys."""

    snapshot: str
    timestamp: str
    directive: str
    folder: Path | None = None
    """Where further key files may lie, as in ``snapshot-2.pem``: those that signed metadata names next."""

    @classmethod
    def in_folder(cls, folder: Path) -> "OnlineKeys":
        """The key files of a folder."""
        first = {name: file_address(folder / f"{name}.pem") for name in (SNAPSHOT, TIMESTAMP, DIRECTIVE)}
        return cls(first[SNAPSHOT], first[TIMESTAMP], first[DIRECTIVE], folder)

    def of(self, role: str) -> list[str]:
        """Every address at which the key of a role may be; looked up anew, so that keys may come and go."""
        first = {SNAPSHOT: self.snapshot, TIMESTAMP: self.timestamp, DIRECTIVE: self.directive}[role]
        further = sorted(self.folder.glob(f"{role}-*.pem")) if self.folder else []
        return [first, *map(file_address, further)]


class _Watched(Repository):
    """Shows the guard of the keys every head that is read, whoever reads it."""

    def __init__(self, blobs: BlobStore, trusted_root: bytes, key_guard: KeyGuard) -> None:
        super().__init__(blobs, trusted_root)
        self._key_guard = key_guard

    async def head(self) -> Head | None:
        """The newest verified state."""
        head = await super().head()
        if head is not None:
            self._key_guard.saw(_known(head))
        return head

    async def people_head(self) -> Head:
        """The state from what people signed."""
        head = await super().people_head()
        self._key_guard.saw(_known(head))
        return head


class SigningService:
    """``signing.ports.ReleaseSigner`` over a bucket and three key addresses.

    ``allowed_roles`` narrows which vendor roles this signer serves; None: all that targets delegates to.
    ``limits`` bounds how often each key signs; None: as often as it is asked.
    """

    def __init__(
        self,
        blobs: BlobStore,
        trusted_root: bytes,
        keys: OnlineKeys,
        clock: Clock,
        *,
        allowed_roles: Iterable[str] | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._blobs = blobs
        self._guard = KeyGuard(clock, limits)
        self._repository = _Watched(blobs, trusted_root, self._guard)
        self._keys = keys
        self._clock = clock
        self._conclusion = Conclusion(self._repository, trusted_root, self._online, clock)
        self._allowed = None if allowed_roles is None else frozenset(allowed_roles)
        self._lock = asyncio.Lock()

    async def stage(self, artifact: Artifact) -> StagedRelease:
        """The next version of the vendor role's metadata with this artifact added, unsigned."""
        async with self._lock:
            return await self._again(lambda: self._stage(artifact))

    async def outdated(self, staged: StagedRelease) -> str:
        """Why what is staged could not be published any more, whoever signed it; empty: it could."""
        async with self._lock:
            return await self._again(lambda: self._outdated(staged))

    async def check_sign_off(self, staged: StagedRelease, sign_off: SignOff) -> None:
        """Raise VerificationFailed unless the key counts for the role and the signature holds."""
        async with self._lock:
            head = await self._head()
            self._check_staged(staged)
            self._accepted(head, staged, sign_off)

    async def publish(self, staged: StagedRelease, sign_offs: tuple[SignOff, ...]) -> ReleaseStamp:
        """Role, snapshot, timestamp (S9); idempotent, whenever it was killed before."""
        async with self._lock:
            return await self._again(lambda: self._publish(staged, sign_offs))

    async def sign_directive(self, directive: Directive, shard: int) -> SignedDirective:
        """DSSE with the directive key, if it is within policy and speaks of a released image."""
        async with self._lock:
            self._guard.admit(DIRECTIVE)
            head = await self._head()
            refuse_if(self._directive_problems(directive), f"directive {directive.directive_id}")
            check_approvals(directive, head.policy, self._clock())
            await self._check_released(head, directive)
            signer = self._guard.directive(
                _open(self._keys.of(DIRECTIVE), head.policy.directive_keys.values())
            )
            envelope = await asyncio.to_thread(sign_envelope, directive, signer)
            if len(envelope) > MAX_ENVELOPE:
                raise VerificationFailed(f"Directive {directive.directive_id} is too long.")
            return SignedDirective(
                directive.directive_id, directive.campaign_id, directive.wave, shard, envelope
            )

    async def conclude_ceremony(self, data: bytes) -> CeremonyStamp:
        """Publish what a ceremony's people signed, or restore a backup; see ``signing.conclusion``."""
        async with self._lock:
            return await self._again(lambda: self._conclusion.conclude(data))

    async def settle(self, role: str) -> None:
        """Finish what a killed publisher left of a vendor role, if its people's threshold signed it."""
        async with self._lock:
            await self._again(lambda: self._settled(role))

    async def refresh(self) -> None:
        """Sign snapshot and timestamp anew if they near their expiry, and finish what was interrupted."""
        async with self._lock:
            await self._again(self._refresh)

    async def _stage(self, artifact: Artifact) -> StagedRelease:
        role = artifact.vendor_role
        head = await self._settled(role)
        current = (await self._repository.role(head, role)).signed
        release = release_of(artifact)
        refuse_if(addition_problems(role, current, release), f"release {release.path}")
        payload = canonical(next_version(role, current, release, self._clock()))
        if len(payload) + _SIGNATURE_ROOM > rule_for(role).max_bytes:
            raise VerificationFailed(
                f"{role} would grow beyond {rule_for(role).max_bytes} bytes (S11).",
                hint="Retire old releases from the role.",
            )
        delegated = head.targets.get_delegated_role(role)
        return StagedRelease(
            artifact_id=artifact.artifact_id,
            role=role,
            version=current.version + 1,
            payload=payload,
            sha256=sha256_hex(payload),
            threshold=delegated.threshold,
            keyids=tuple(delegated.keyids),
        )

    async def _outdated(self, staged: StagedRelease) -> str:
        payload = self._check_staged(staged)
        head = await self._settled(staged.role)
        current = (await self._repository.role(head, staged.role)).signed
        if payload.version != current.version + 1:
            return f"Version {current.version} of {staged.role} was published first"
        problems = compare(staged.role, current, payload, self._clock()).problems
        return f"What was staged cannot be published any more ({'; '.join(problems)})" if problems else ""

    async def _publish(self, staged: StagedRelease, sign_offs: tuple[SignOff, ...]) -> ReleaseStamp:
        payload = self._check_staged(staged)
        head = await self._settled(staged.role)
        if not await self._is_published(head, staged):
            current = (await self._repository.role(head, staged.role)).signed
            if payload.version > current.version + 1:
                raise VerificationFailed(
                    f"{staged.role} {staged.version} skips versions: after {current.version}"
                    " comes only the next (S64)."
                )
            if payload.version != current.version + 1:
                raise StaleStage(
                    f"{staged.role} is at version {current.version} by now.",
                    hint="Another release was published first: stage and sign again.",
                )
            step = compare(staged.role, current, payload, self._clock())
            refuse_if(list(step.problems), f"{staged.role} {staged.version}")
            await self._check_image(step.added[0].sha256, step.added[0].length)
            file = NewFile(staged.role, staged.version, self._signed(head, staged, payload, sign_offs))
            head = await self._extend(head, [file])
        if head.timestamp is None:
            raise RepositoryUnreachable("The timestamp is not there yet.")
        return ReleaseStamp(
            target_path=self._path_of(payload, staged.artifact_id),
            role_version=staged.version,
            snapshot_version=head.snapshot.version,
            timestamp_version=head.timestamp.version,
        )

    async def _refresh(self) -> None:
        await self._extend(await self._head(), [])

    async def _head(self) -> Head:
        head = await self._repository.head()
        if head is None:
            raise RepositoryUnreachable(
                "There is no TUF repository in the bucket yet.", hint="Run the key ceremony first."
            )
        return head

    async def _settled(self, role: str) -> Head:
        """The head, after finishing what a killed publisher left of this role."""
        head = await self._head()
        self._check_served(role)
        orphan = await self._repository.orphan(head, role) if role in head.vendor_roles() else None
        if orphan is None and head.complete:
            return head
        return await self._extend(head, [orphan] if orphan else [])

    def _check_served(self, role: str) -> None:
        if self._allowed is not None and role not in self._allowed:
            raise VerificationFailed(f"This signer does not serve the role {role!r} (S64).")

    async def _extend(self, head: Head, files: list[NewFile]) -> Head:
        signers = OnlineSigners(self._online(head.root, SNAPSHOT), self._online(head.root, TIMESTAMP))
        await self._repository.publish(head, files, signers, self._clock())
        return await self._head()

    def _online(self, root: Root, role: str) -> Signer:
        return self._guard.online(role, _open(self._keys.of(role), online_keys(root, role)))

    async def _is_published(self, head: Head, staged: StagedRelease) -> bool:
        if head.version_of(staged.role) < staged.version:
            return False
        name = metadata_file(staged.role, staged.version)
        data = await self._repository.file(name, rule_for(staged.role).max_bytes)
        return data is not None and canonical(decode(Targets, data, name).signed) == staged.payload

    async def _check_image(self, sha256: str, length: int) -> None:
        """S9: the image itself comes before any metadata that lists it."""
        try:
            found = await self._blobs.length(sha256)
        except NotFound as error:
            raise VerificationFailed("The image is not in the store.", hint="Upload it again.") from error
        if found != length:
            raise VerificationFailed(f"The stored image has {found} bytes, the metadata says {length}.")

    def _check_staged(self, staged: StagedRelease) -> Targets:
        if sha256_hex(staged.payload) != staged.sha256:
            raise VerificationFailed("The staged bytes were changed after staging (S16).")
        payload = decode_payload(staged.payload)
        if payload.version != staged.version:
            raise VerificationFailed(f"The staged bytes are version {payload.version}, not {staged.version}.")
        self._path_of(payload, staged.artifact_id)
        return payload

    @staticmethod
    def _path_of(payload: Targets, artifact_id: str) -> str:
        for path, target in payload.targets.items():
            if target.hashes.get("sha256") == artifact_id:
                return path
        raise VerificationFailed("The staged bytes do not list this artifact.")

    @staticmethod
    def _accepted(head: Head, staged: StagedRelease, sign_off: SignOff) -> Key:
        """The key of a sign-off that counts. The keys are those of signed metadata, not the database's."""
        if sign_off.staged_sha256 != staged.sha256 or sign_off.artifact_id != staged.artifact_id:
            raise VerificationFailed(
                "The sign-off is over other bytes (S16).", hint="Sign what is staged now."
            )
        if staged.role not in head.vendor_roles():
            raise VerificationFailed(f"There is no vendor role {staged.role!r}.")
        if sign_off.keyid not in head.targets.get_delegated_role(staged.role).keyids:
            raise VerificationFailed(
                f"Key {sign_off.keyid[:12]} does not count for {staged.role}.",
                hint="Sign with a key of this role.",
            )
        key = head.targets.get_key(sign_off.keyid)
        try:
            key.verify_signature(Signature(sign_off.keyid, sign_off.signature), staged.payload)
        except (UnverifiedSignatureError, ValueError) as error:
            raise VerificationFailed(
                f"The signature of key {sign_off.keyid[:12]} does not hold.",
                hint="Sign the staged bytes again.",
            ) from error
        return key

    def _signed(
        self, head: Head, staged: StagedRelease, payload: Targets, sign_offs: tuple[SignOff, ...]
    ) -> bytes:
        metadata = Metadata(payload)
        holders: set[bytes] = set()
        for sign_off in sign_offs:
            holders.add(key_material(self._accepted(head, staged, sign_off)))
            metadata.signatures[sign_off.keyid] = Signature(sign_off.keyid, sign_off.signature)
        threshold = head.targets.get_delegated_role(staged.role).threshold
        if len(holders) < threshold:
            raise VerificationFailed(
                f"{staged.role} {staged.version} is signed by {len(holders)} of {threshold} needed keys.",
                hint="Have another holder of a key of this role sign.",
            )
        return encode(metadata)

    def _directive_problems(self, directive: Directive) -> list[str]:
        now = self._clock()
        problems = shape_problems(directive)
        if directive.not_after <= now:
            problems.append("its window is over")
        if directive.not_before > now + MAX_DIRECTIVE_WINDOW:
            problems.append("its window begins more than 24 hours ahead")
        return problems

    async def _check_released(self, head: Head, directive: Directive) -> None:
        role = directive.target_path.partition("/")[0]
        self._check_served(role)
        target = (await self._repository.role(head, role)).signed.targets.get(directive.target_path)
        if target is None:
            raise NotInRelease(
                f"{directive.target_path!r} is not released.", hint="Release the artifact first."
            )
        check_release(directive, from_target(role, target))

    async def _again(self, work: Callable[[], Awaitable[R]]) -> R:
        """Decide again from a fresh head when another publisher was faster."""
        for _ in range(_ATTEMPTS):
            try:
                return await work()
            except StaleVersion:
                continue
        raise RepositoryUnreachable("The repository keeps changing under the signer.", hint="Try again.")


def _known(head: Head) -> guard.Head:
    """What the guard of the keys needs to know of a verified head."""
    roles = {name.removesuffix(".json"): meta.version for name, meta in head.snapshot.meta.items()}
    return guard.Head(
        snapshot=head.snapshot.version,
        timestamp=head.timestamp.version if head.timestamp else 0,
        roles=roles,
        keyids=frozenset(key.keyid for role in (SNAPSHOT, TIMESTAMP) for key in head.online_keys(role)),
    )


def _open(addresses: Iterable[str], candidates: Iterable[Key]) -> Signer:
    """The first address that leads to one of the candidates. Raises KeyUnavailable, with the first reason."""
    keys = list(candidates)
    refused: list[KeyUnavailable] = []
    for address in addresses:
        try:
            return open_signer(address, keys)
        except KeyUnavailable as error:
            refused.append(error)
        except VerificationFailed as error:
            refused.append(KeyUnavailable(error.message))
    raise refused[0]
