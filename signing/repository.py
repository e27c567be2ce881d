"""The TUF repository in the bucket: what is there, and how the next state gets in.

Every file but ``timestamp.json`` is created once and never changed; the timestamp is replaced last, on
its etag (S9). So a reader sees the old state or the new one, whenever a publisher dies. A publisher that
comes after first rolls forward what was left behind: a file that our keys signed counts even though no
timestamp points at it yet. Nothing here believes the bucket: every file is verified from the embedded
root before anything is built on it, and versions are counted from what the bucket holds (S12).
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from signing.errors import RepositoryUnreachable, StaleStage, VerificationFailed
from signing.lint import refuse_if, root_problems, targets_problems, vendor_problems
from signing.metadata import T, decode, decode_verified, listing, refusing, sign
from signing.policy import TrustPolicy, read_policy
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, metadata_file, rule_for
from signing.trust_source import METADATA_PREFIX
from storage.errors import InvalidInput, NotFound, StaleVersion
from storage.ports import BlobStore

TIMESTAMP_RENEWAL = timedelta(hours=1)
"""A timestamp is signed anew when it is this old, long before it expires after a day."""


@dataclass(frozen=True, slots=True)
class OnlineSigners:
    """The two keys that every change of the repository needs."""

    snapshot: Signer
    timestamp: Signer


@dataclass(frozen=True, slots=True)
class NewFile:
    """Signed metadata of targets or a vendor role, to be made part of the next snapshot."""

    role: str
    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The newest verified state: what the timestamp lists, or what a killed publisher had got to."""

    root: Root
    timestamp: Timestamp | None
    etag: str | None
    snapshot: Snapshot
    snapshot_data: bytes
    targets: Targets
    policy: TrustPolicy

    @property
    def complete(self) -> bool:
        """Whether readers see it."""
        stamp = self.timestamp
        return stamp is not None and stamp.snapshot_meta.version == self.snapshot.version

    def version_of(self, role: str) -> int:
        """The version of targets or a vendor role in this state; 0 if it has none."""
        meta = self.snapshot.meta.get(f"{role}.json")
        return meta.version if meta else 0

    def vendor_roles(self) -> tuple[str, ...]:
        """Names of the vendor roles that targets delegates to."""
        delegations = self.targets.delegations
        return tuple(delegations.roles) if delegations and delegations.roles else ()

    def online_keys(self, role: str) -> list[Key]:
        """The public keys of snapshot or timestamp."""
        return [self.root.keys[keyid] for keyid in self.root.roles[role].keyids]


class Repository:
    """Reads and extends the repository. One writer at a time is expected, more are survived."""

    def __init__(self, blobs: BlobStore, trusted_root: bytes) -> None:
        self._blobs = blobs
        self._trusted_root = trusted_root
        self._highest_timestamp = 0
        self._highest_snapshot = 0

    async def file(self, name: str, limit: int) -> bytes | None:
        """A metadata file, or None if there is none."""
        try:
            data, _ = await self._blobs.get(METADATA_PREFIX + name, limit=limit)
        except NotFound:
            return None
        except InvalidInput as error:
            raise VerificationFailed(f"{name} in the bucket is longer than {limit} bytes.") from error
        return data

    async def root(self) -> Root:
        """The newest root, followed from the embedded one."""
        embedded = decode(Root, self._trusted_root, "the embedded root").signed
        root = decode_verified(Root, self._trusted_root, embedded, ROOT).signed
        while data := await self.file(metadata_file(ROOT, root.version + 1), rule_for(ROOT).max_bytes):
            following = decode_verified(Root, data, root, ROOT).signed
            decode_verified(Root, data, following, ROOT)
            if following.version != root.version + 1:
                raise VerificationFailed(f"Root {root.version + 1} calls itself {following.version}.")
            root = following
        refuse_if(root_problems(root), f"root {root.version}")
        return root

    async def head(self) -> Head | None:
        """The newest state, or None before the first snapshot. Expiry does not count here: we renew."""
        root = await self.root()
        timestamp, etag = await self._timestamp(root)
        found = await self._newest_snapshot(root, timestamp)
        if found is None:
            return None
        snapshot, data = found
        targets = await self._listed(snapshot, TARGETS, root)
        policy = read_policy(targets.signed)
        refuse_if(targets_problems(targets.signed, root, policy), TARGETS)
        return Head(root, timestamp, etag, snapshot, data, targets.signed, policy)

    async def role(self, head: Head, role: str) -> Metadata[Targets]:
        """A vendor role's metadata in this state. Raises VerificationFailed if it has none."""
        if role not in head.vendor_roles() or not head.version_of(role):
            raise VerificationFailed(
                f"There is no vendor role {role!r} in the signed metadata.",
                hint=f"Vendor roles are: {', '.join(head.vendor_roles()) or 'none yet'}.",
            )
        return await self._listed(head.snapshot, role, head.targets)

    async def orphan(self, head: Head, role: str) -> NewFile | None:
        """A role's next file that was written and never listed, if its people's threshold signed it."""
        version = head.version_of(role) + 1
        data = await self.file(metadata_file(role, version), rule_for(role).max_bytes)
        if data is None:
            return None
        metadata = decode_verified(Targets, data, head.root if role == TARGETS else head.targets, role)
        if metadata.signed.version != version:
            raise VerificationFailed(f"{role} {version} calls itself {metadata.signed.version}.")
        return NewFile(role, version, data)

    async def first_files(self, head: Head, targets: NewFile) -> list[NewFile]:
        """First files of the roles that new targets delegate to and this state does not list yet."""
        new = decode_verified(Targets, targets.data, head.root, TARGETS).signed
        delegated = new.delegations.roles if new.delegations and new.delegations.roles else {}
        files = []
        for role in delegated:
            data = (
                None
                if head.version_of(role)
                else await self.file(metadata_file(role, 1), rule_for(role).max_bytes)
            )
            if data is not None:
                files.append(NewFile(role, 1, data))
        return files

    async def publish(
        self, head: Head | None, files: Sequence[NewFile], signers: OnlineSigners, now: datetime
    ) -> None:
        """Roles, targets, snapshot, timestamp, in this order (S9); nothing new: only what is due.

        Idempotent: what a killed publisher wrote is adopted if it says the same.

        Raises:
            VerificationFailed: a file is not signed by its threshold, or breaks a rule. Nothing is written.
            StaleStage: a file's version is taken by other content.
            StaleVersion: another publisher was faster: read the head again, then decide again.
        """
        delegators = await self._delegators(head, files)
        for file in files:
            _check_next(head, file)
            _check_file(file, *delegators)
        written = [await self._create(file) for file in sorted(files, key=_targets_last)]
        for file in written:
            _check_file(file, *delegators)
        snapshot, data = await self._next_snapshot(head, written, signers.snapshot, now)
        await self._next_timestamp(head, snapshot, data, signers.timestamp, now)

    async def put_root(self, version: int, data: bytes) -> None:
        """Put a root where clients look for it. Raises StaleVersion if another is there."""
        name = metadata_file(ROOT, version)
        if await self._blobs.put_bytes(METADATA_PREFIX + name, data):
            return
        if await self.file(name, rule_for(ROOT).max_bytes) != data:
            raise StaleVersion(
                f"The bucket holds another root {version}.",
                hint="Use the keys and root.json that belong to it, or an empty bucket.",
            )

    async def _timestamp(self, root: Root) -> tuple[Timestamp | None, str | None]:
        key = METADATA_PREFIX + metadata_file(TIMESTAMP, 0)
        try:
            data, etag = await self._blobs.get(key, limit=rule_for(TIMESTAMP).max_bytes)
        except NotFound:
            return None, None
        timestamp = decode_verified(Timestamp, data, root, TIMESTAMP).signed
        self._highest_timestamp = max(self._highest_timestamp, timestamp.version)
        return timestamp, etag

    async def _newest_snapshot(
        self, root: Root, timestamp: Timestamp | None
    ) -> tuple[Snapshot, bytes] | None:
        """The snapshot that is listed, or a later one that our key signed: never an older (S12)."""
        found = None
        version = timestamp.snapshot_meta.version if timestamp else 1
        while data := await self.file(metadata_file(SNAPSHOT, version), rule_for(SNAPSHOT).max_bytes):
            snapshot = decode_verified(Snapshot, data, root, SNAPSHOT).signed
            if snapshot.version != version:
                raise VerificationFailed(f"Snapshot {version} calls itself {snapshot.version}.")
            found = snapshot, data
            version += 1
        if timestamp is not None and found is None:
            raise RepositoryUnreachable(f"Snapshot {version} is listed and not in the bucket.")
        if version - 1 < self._highest_snapshot:
            raise VerificationFailed(
                f"The bucket went back from snapshot {self._highest_snapshot} to {version - 1}.",
                hint="Restore the bucket's newest objects; then restart the signer.",
            )
        self._highest_snapshot = version - 1
        return found

    async def _listed(self, snapshot: Snapshot, role: str, delegator: Root | Targets) -> Metadata[Targets]:
        meta = snapshot.meta[f"{role}.json"]
        data = await self.file(metadata_file(role, meta.version), rule_for(role).max_bytes)
        if data is None:
            raise RepositoryUnreachable(f"{role} {meta.version} is listed and not in the bucket.")
        with refusing(f"{role} {meta.version}"):
            meta.verify_length_and_hashes(data)
        return decode_verified(Targets, data, delegator, role)

    async def _create(self, file: NewFile) -> NewFile:
        """Write, or adopt what a killed publisher wrote if it says the same."""
        name = metadata_file(file.role, file.version)
        if await self._blobs.put_bytes(METADATA_PREFIX + name, file.data):
            return file
        existing = await self.file(name, rule_for(file.role).max_bytes)
        if existing is None:
            raise StaleVersion(f"{name} is being written by another publisher.")
        if not _same_content(existing, file.data):
            raise StaleStage(
                f"{name} is in the bucket with other content.", hint="Stage the release again and sign again."
            )
        return replace(file, data=existing)

    async def _next_snapshot(
        self, head: Head | None, files: Sequence[NewFile], signer: Signer, now: datetime
    ) -> tuple[Snapshot, bytes]:
        rule = rule_for(SNAPSHOT)
        meta: dict[str, MetaFile] = dict(head.snapshot.meta) if head else {}
        meta |= {f"{file.role}.json": listing(file.version, file.data) for file in files}
        if head and meta == head.snapshot.meta and head.snapshot.expires - now > rule.lifetime / 2:
            return head.snapshot, head.snapshot_data
        version = head.snapshot.version + 1 if head else 1
        snapshot = Snapshot(version, expires=now + rule.lifetime, meta=meta)
        data = await asyncio.to_thread(sign, snapshot, signer)
        _check_size(SNAPSHOT, data)
        if not await self._blobs.put_bytes(METADATA_PREFIX + metadata_file(SNAPSHOT, version), data):
            raise StaleVersion(f"Snapshot {version} was written by another publisher.")
        return snapshot, data

    async def _next_timestamp(
        self, head: Head | None, snapshot: Snapshot, data: bytes, signer: Signer, now: datetime
    ) -> None:
        lifetime = rule_for(TIMESTAMP).lifetime
        current = head.timestamp if head else None
        listed = current is not None and current.snapshot_meta.version == snapshot.version
        if current and listed and current.expires - now > lifetime - TIMESTAMP_RENEWAL:
            return
        version = self._highest_timestamp + 1
        timestamp = Timestamp(version, expires=now + lifetime, snapshot_meta=listing(snapshot.version, data))
        name = METADATA_PREFIX + metadata_file(TIMESTAMP, version)
        stamped = await asyncio.to_thread(sign, timestamp, signer)
        await self._blobs.replace(name, stamped, etag=head.etag if head else None)
        self._highest_timestamp = version

    async def _delegators(self, head: Head | None, files: Sequence[NewFile]) -> tuple[Root, Targets | None]:
        """Who the files answer to: the root, and the newest targets if any."""
        root = head.root if head else await self.root()
        for file in files:
            if file.role == TARGETS:
                return root, decode_verified(Targets, file.data, root, TARGETS).signed
        return root, head.targets if head else None


def _targets_last(file: NewFile) -> bool:
    return file.role == TARGETS


def _check_next(head: Head | None, file: NewFile) -> None:
    """Versions go up by one (S12, S64)."""
    expected = (head.version_of(file.role) if head else 0) + 1
    if file.version != expected:
        raise StaleStage(
            f"{file.role} {file.version} cannot follow {expected - 1}.",
            hint="Another release was published first: stage and sign again.",
        )


def _check_file(file: NewFile, root: Root, targets: Targets | None) -> None:
    """Signed by its threshold, within its budget, and by our rules; or VerificationFailed."""
    delegator = root if file.role == TARGETS else targets
    if delegator is None:
        raise VerificationFailed(f"Nobody delegates to {file.role}.")
    signed = decode_verified(Targets, file.data, delegator, file.role).signed
    if signed.version != file.version:
        raise VerificationFailed(f"{file.role} {file.version} calls itself {signed.version}.")
    if file.role == TARGETS:
        problems = targets_problems(signed, root, read_policy(signed))
    else:
        problems = vendor_problems(file.role, signed)
    refuse_if(problems, f"{file.role} {file.version}")
    _check_size(file.role, file.data)


def _check_size(role: str, data: bytes) -> None:
    limit = rule_for(role).max_bytes
    if len(data) > limit:
        raise VerificationFailed(
            f"{role} would have {len(data)} bytes, allowed are {limit} (S11).",
            hint="Retire old releases from the role, or split the vendor's models over two roles.",
        )


def _same_content(one: bytes, other: bytes) -> bool:
    """Whether two files say the same, whoever of the role's people signed and until when it holds."""
    first, second = _content(one, Targets), _content(other, Targets)
    first.expires = second.expires
    return first == second


def _content(data: bytes, kind: type[T]) -> T:
    return decode(kind, data, "a metadata file").signed
