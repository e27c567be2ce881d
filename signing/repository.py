"""The publisher of the TUF repository in the bucket: how the next state gets in.

Every file but ``timestamp.json`` is created once and never changed; the timestamp is replaced last, on
its etag (S9). So a reader sees the old state or the new one, whenever a publisher dies; one that comes
after first rolls forward what was left behind.

A new root is no different: what it needs is written before it, signed by the old keys and the new, so
that readers who have followed it and readers who have not both find a state that holds.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from securesystemslib.signer import Signer
from tuf.api.metadata import MetaFile, Root, Snapshot, Targets, Timestamp

from signing.errors import KeyUnavailable, StaleStage, VerificationFailed
from signing.head import Head, HeadReader, NewFile
from signing.lint import refuse_if, root_problems, targets_problems, vendor_problems
from signing.metadata import T, decode, decode_verified, listing, sign
from signing.policy import read_policy
from signing.present import delegated, next_root
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, metadata_file, rule_for
from signing.trust_source import METADATA_PREFIX
from storage.errors import StaleVersion

__all__ = ["Head", "NewFile", "OnlineSigners", "Repository", "Succession"]

TIMESTAMP_RENEWAL = timedelta(hours=1)
"""A timestamp is signed anew when it is this old, long before it expires after a day."""


@dataclass(frozen=True, slots=True)
class OnlineSigners:
    """The two keys that every change of the repository needs; and, while a root follows, those it names."""

    snapshot: Signer
    timestamp: Signer
    coming_snapshot: Signer | None = None
    coming_timestamp: Signer | None = None

    def of(self, role: str) -> list[Signer]:
        """All that sign snapshot or timestamp now."""
        pair = (
            (self.snapshot, self.coming_snapshot)
            if role == SNAPSHOT
            else (self.timestamp, self.coming_timestamp)
        )
        return [signer for signer in pair if signer is not None]


@dataclass(frozen=True, slots=True)
class Succession:
    """How a new root gets in. ``bridge``: the old keys and the new; None: the old ones are lost or stolen."""

    root: NewFile
    bridge: OnlineSigners | None


class Repository(HeadReader):
    """Reads and extends the repository. One writer at a time is expected, more are survived."""

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
        files = []
        for role in delegated(new):
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
        _check_online(delegators[0], signers)
        await self._check_all(head, files, *delegators)
        snapshot, data = await self._list(head, await self._write(files, *delegators), signers, now)
        await self._next_timestamp(head, snapshot, data, signers.of(TIMESTAMP), now)

    async def succeed(
        self, head: Head, succession: Succession, files: Sequence[NewFile], now: datetime
    ) -> bool:
        """A new root with all that it needs; whenever it is killed, a rerun or a refresh goes on.

        With a bridge readers notice nothing: roles, targets, snapshot and timestamp come first, signed by
        the keys of both roots, the root last. Without one the root comes before snapshot and timestamp,
        and readers are refused until the timestamp is there: what the lost keys sign counts no more. That
        is left to ``publish`` over the head that is found then; returns whether nothing is left.

        Raises: as ``publish``.
        """
        root = next_root(head.root, succession.root.data)
        refuse_if(root_problems(root), f"root {root.version}")
        _check_size(ROOT, succession.root.data)
        targets = await self._targets_under(root, head, files)
        await self._check_all(head, files, root, targets)
        bridged = succession.bridge is not None and self._hold_under(head.root, files)
        written = await self._write(files, root, targets)
        if bridged and succession.bridge is not None:
            snapshot, data = await self._list(head, written, succession.bridge, now)
            await self._next_timestamp(head, snapshot, data, succession.bridge.of(TIMESTAMP), now)
            await self.put_root(root.version, succession.root.data)
            return True
        await self.put_root(root.version, succession.root.data)
        return False

    async def restore(self, files: Mapping[str, bytes]) -> bool:
        """Verified files into a bucket that has no timestamp, the timestamp last; False if it has one.

        Raises StaleVersion: a file is there with other bytes, or somebody else restored meanwhile.
        """
        stamp = metadata_file(TIMESTAMP, 0)
        there = await self.file(stamp, rule_for(TIMESTAMP).max_bytes)
        if there is not None:
            return there == files[stamp]
        for name, data in files.items():
            key = METADATA_PREFIX + name
            if name == stamp:
                self.forget()
                await self._blobs.replace(key, data, etag=None)
            elif not await self._blobs.put_bytes(key, data) and await self.file(name, len(data)) != data:
                raise StaleVersion(f"{name} is in the bucket with other bytes.", hint="Use a newer backup.")
        return True

    async def _check_all(
        self, head: Head | None, files: Sequence[NewFile], root: Root, targets: Targets | None
    ) -> None:
        for file in files:
            _check_next(head, file)
            _check_file(file, root, targets)
        if targets is not None and any(file.role == TARGETS for file in files):
            await self._check_vouched(head, files, targets)

    async def _check_vouched(self, head: Head | None, files: Sequence[NewFile], targets: Targets) -> None:
        """Whoever holds a role under these targets must have signed the very version that is listed."""
        given = {file.role for file in files}
        for role in delegated(targets):
            if role in given:
                continue
            if head is None or not head.version_of(role):
                raise VerificationFailed(f"Targets delegate to {role}, and its first version is missing.")
            try:
                decode_verified(Targets, await self.listed_file(head.snapshot, role), targets, role)
            except VerificationFailed as error:
                raise VerificationFailed(
                    f"{role} changes hands, and its new holders have not signed its next version.",
                    hint="Add it to the ceremony.",
                ) from error

    async def _targets_under(self, root: Root, head: Head, files: Sequence[NewFile]) -> Targets:
        """The targets in force under a new root: new ones, or today's if they hold under it."""
        data = next((file.data for file in files if file.role == TARGETS), None)
        try:
            return decode_verified(
                Targets, data or await self.listed_file(head.snapshot, TARGETS), root, TARGETS
            ).signed
        except VerificationFailed as error:
            raise VerificationFailed(
                f"The targets holders of root {root.version} have not signed the targets to be listed.",
                hint="Add targets to the ceremony.",
            ) from error

    @staticmethod
    def _hold_under(root: Root, files: Sequence[NewFile]) -> bool:
        """Whether readers who have not seen the new root yet would take these targets."""
        for file in files:
            if file.role == TARGETS:
                try:
                    decode_verified(Targets, file.data, root, TARGETS)
                except VerificationFailed:
                    return False
        return True

    async def _write(self, files: Sequence[NewFile], root: Root, targets: Targets | None) -> list[NewFile]:
        written = [await self._create(file) for file in sorted(files, key=_targets_last)]
        for file in written:
            _check_file(file, root, targets)
        return written

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

    async def _list(
        self, head: Head | None, files: Sequence[NewFile], signers: OnlineSigners, now: datetime
    ) -> tuple[Snapshot, bytes]:
        rule = rule_for(SNAPSHOT)
        meta: dict[str, MetaFile] = dict(head.snapshot.meta) if head else {}
        meta |= {f"{file.role}.json": listing(file.version, file.data) for file in files}
        if (
            head
            and meta == head.snapshot.meta
            and head.snapshot.expires - now > rule.lifetime / 2
            and _signed_by(Snapshot, head.snapshot_data, signers.of(SNAPSHOT))
        ):
            return head.snapshot, head.snapshot_data
        version = head.snapshot.version + 1 if head else 1
        snapshot = Snapshot(version, expires=now + rule.lifetime, meta=meta)
        data = await asyncio.to_thread(sign, snapshot, *signers.of(SNAPSHOT))
        _check_size(SNAPSHOT, data)
        if not await self._blobs.put_bytes(METADATA_PREFIX + metadata_file(SNAPSHOT, version), data):
            raise StaleVersion(f"Snapshot {version} was written by another publisher.")
        return snapshot, data

    async def _next_timestamp(
        self, head: Head | None, snapshot: Snapshot, data: bytes, signers: Sequence[Signer], now: datetime
    ) -> None:
        lifetime = rule_for(TIMESTAMP).lifetime
        current = head.timestamp if head else None
        listed = current is not None and current.snapshot_meta.version == snapshot.version
        fresh = current is not None and current.expires - now > lifetime - TIMESTAMP_RENEWAL
        if head and listed and fresh and _signed_by(Timestamp, head.timestamp_data, signers):
            return
        root = head.root if head else await self.root()
        version = self.highest(root, TIMESTAMP) + 1
        timestamp = Timestamp(version, expires=now + lifetime, snapshot_meta=listing(snapshot.version, data))
        name = METADATA_PREFIX + metadata_file(TIMESTAMP, version)
        stamped = await asyncio.to_thread(sign, timestamp, *signers)
        await self._blobs.replace(name, stamped, etag=head.etag if head else None)
        self._note(root, TIMESTAMP, version)

    async def _delegators(self, head: Head | None, files: Sequence[NewFile]) -> tuple[Root, Targets | None]:
        """Who the files answer to: the root, and the newest targets if any."""
        root = head.root if head else await self.root()
        for file in files:
            if file.role == TARGETS:
                return root, decode_verified(Targets, file.data, root, TARGETS).signed
        return root, head.targets if head else None


def _check_online(root: Root, signers: OnlineSigners) -> None:
    """What another key signs would lock every reader out."""
    for role, signer in ((SNAPSHOT, signers.snapshot), (TIMESTAMP, signers.timestamp)):
        if signer.public_key.keyid not in root.roles[role].keyids:
            raise KeyUnavailable(
                f"The {role} key at hand is not the one that root {root.version} names.",
                hint="Give the signer the key of the ceremony that made this root.",
            )


def _signed_by(kind: type[T], data: bytes, signers: Sequence[Signer]) -> bool:
    """Whether a file bears a signature of each, so that it need not be signed anew."""
    if not data:
        return False
    signatures = decode(kind, data, kind.type).signatures
    return all(signer.public_key.keyid in signatures for signer in signers)


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
