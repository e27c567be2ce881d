"""Reading the repository as its publisher does: from the embedded root to the newest state that holds.

Nothing here believes the bucket: every file is verified before anything is built on it, and versions are
counted from what the bucket holds (S12). What a killed publisher left behind counts: a file that our keys
signed is part of the newest state even though no timestamp points at it yet.

When a new root names other online keys, what the old ones signed no longer counts, whatever version it
claims (TUF 5.3.11, S13). Then the state is found again from what people signed, which a thief of online
keys cannot forge.
"""

from dataclasses import dataclass
from functools import partial

from securesystemslib.signer import Key
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from signing.counting import last_counted, newest_first
from signing.errors import RepositoryUnreachable, VerificationFailed
from signing.lint import refuse_if, root_problems, targets_problems
from signing.metadata import T, decode, decode_verified, listing, refusing
from signing.policy import TrustPolicy, read_policy
from signing.present import delegated, next_root
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, check_vendor_role, metadata_file, rule_for
from signing.trust_source import METADATA_PREFIX
from storage.errors import InvalidInput, InvalidName, NotFound
from storage.ports import BlobStore

_STOLEN = "The snapshot key may be stolen: have the root holders replace it (ampwave tuf rotate)."


@dataclass(frozen=True, slots=True)
class NewFile:
    """Signed metadata of a role, to be made part of the next state."""

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
    """Nothing, where no snapshot under today's keys lists this state yet."""
    targets: Targets
    policy: TrustPolicy
    timestamp_data: bytes = b""

    @property
    def complete(self) -> bool:
        """Whether readers see it."""
        stamp = self.timestamp
        return bool(self.snapshot_data) and (
            stamp is not None and stamp.snapshot_meta.version == self.snapshot.version
        )

    def version_of(self, role: str) -> int:
        """The version of targets or a vendor role in this state; 0 if it has none."""
        meta = self.snapshot.meta.get(f"{role}.json")
        return meta.version if meta else 0

    def vendor_roles(self) -> tuple[str, ...]:
        """Names of the vendor roles that targets delegates to."""
        return delegated(self.targets)

    def online_keys(self, role: str) -> list[Key]:
        """The public keys of snapshot or timestamp."""
        return online_keys(self.root, role)


def online_keys(root: Root, role: str) -> list[Key]:
    """The public keys of snapshot or timestamp in a root."""
    return [root.keys[keyid] for keyid in root.roles[role].keyids]


class _SupersededError(Exception):
    """Signed by keys that counted under an older root and do not count any more."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """The timestamp that lies in the bucket. ``counts``: it is signed by today's key."""

    signed: Timestamp
    etag: str
    data: bytes
    counts: bool


class HeadReader:
    """Reads; remembers how far it has seen the bucket get, so that nobody takes it back."""

    def __init__(self, blobs: BlobStore, trusted_root: bytes) -> None:
        self._blobs = blobs
        self._trusted_root = trusted_root
        self._roots: list[Root] = []
        self._highest: dict[tuple[str, frozenset[str]], int] = {}
        """By role and its keys: under rotated keys versions begin anew."""

    async def file(self, name: str, limit: int) -> bytes | None:
        """A metadata file, or None if there is none."""
        try:
            data, _ = await self._blobs.get(METADATA_PREFIX + name, limit=limit)
        except NotFound:
            return None
        except InvalidInput as error:
            raise VerificationFailed(f"{name} in the bucket is longer than {limit} bytes.") from error
        return data

    async def roots(self) -> list[Root]:
        """Every root from the embedded one to the newest, each signed by the one before and itself (S4).

        One that was verified once is not fetched again: nobody takes it back from us.
        """
        if not self._roots:
            embedded = decode(Root, self._trusted_root, "the embedded root").signed
            self._roots.append(decode_verified(Root, self._trusted_root, embedded, ROOT).signed)
        roots = self._roots
        while data := await self.file(metadata_file(ROOT, roots[-1].version + 1), rule_for(ROOT).max_bytes):
            roots.append(next_root(roots[-1], data))
        refuse_if(root_problems(roots[-1]), f"root {roots[-1].version}")
        return list(roots)

    async def root(self) -> Root:
        """The newest root."""
        return (await self.roots())[-1]

    async def head(self) -> Head | None:
        """The newest state, or None before the first snapshot. Expiry does not count here: we renew."""
        roots = await self.roots()
        stamp = await self._timestamp(roots)
        try:
            found = await self._newest_snapshot(roots, stamp)
            if found is None:
                self._check_never_seen()
                return None
            snapshot, data, seen = found
            targets = await self._listed(snapshot, TARGETS, roots)
        except _SupersededError:
            return await self._found_again(roots, stamp)
        await self._check_unseen(snapshot, seen, targets.signed)
        return _head(roots[-1], stamp, snapshot, data, targets.signed)

    async def people_head(self) -> Head:
        """The state from what people signed, where the online keys told lies. Raises VerificationFailed."""
        roots = await self.roots()
        return await self._found_again(roots, await self._timestamp(roots))

    async def _check_unseen(self, snapshot: Snapshot, seen: Snapshot | None, targets: Targets) -> None:
        """A snapshot that no timestamp lists may be a thief's: what it changes must be signed by people."""
        if snapshot is seen:
            return
        before = seen.meta if seen else {}
        for name, meta in before.items():
            if name not in snapshot.meta or snapshot.meta[name].version < meta.version:
                raise VerificationFailed(f"Snapshot {snapshot.version} takes {name} back.", hint=_STOLEN)
        for role in delegated(targets):
            listed = snapshot.meta.get(f"{role}.json")
            if listed is not None and listed != before.get(f"{role}.json"):
                try:
                    decode_verified(Targets, await self.listed_file(snapshot, role), targets, role)
                except (VerificationFailed, RepositoryUnreachable) as error:
                    raise VerificationFailed(
                        f"Snapshot {snapshot.version} lists {role} {listed.version}, which nobody signed.",
                        hint=_STOLEN,
                    ) from error

    def _check_never_seen(self) -> None:
        """There is no repository; a process that has seen one says so instead of beginning anew."""
        if any(self._highest.values()):
            raise RepositoryUnreachable(
                "The repository is gone from the bucket.",
                hint="Restore it: ampwave tuf restore BACKUP. Beginning anew would lock every reader out.",
            )

    async def role(self, head: Head, role: str) -> Metadata[Targets]:
        """A vendor role's metadata in this state. Raises VerificationFailed if it has none."""
        if role not in head.vendor_roles() or not head.version_of(role):
            raise VerificationFailed(
                f"There is no vendor role {role!r} in the signed metadata.",
                hint=f"Vendor roles are: {', '.join(head.vendor_roles()) or 'none yet'}.",
            )
        return decode_verified(Targets, await self.listed_file(head.snapshot, role), head.targets, role)

    async def listed_file(self, snapshot: Snapshot, role: str) -> bytes:
        """The bytes that a snapshot lists for a role."""
        meta = snapshot.meta[f"{role}.json"]
        data = await self.file(metadata_file(role, meta.version), rule_for(role).max_bytes)
        if data is None:
            raise RepositoryUnreachable(
                f"{role} {meta.version} is listed and not in the bucket.",
                hint="Restore it from the bucket's versions or a backup: ampwave tuf restore.",
            )
        with refusing(f"{role} {meta.version}"):
            meta.verify_length_and_hashes(data)
        return data

    async def _timestamp(self, roots: list[Root]) -> _Stamp | None:
        key = METADATA_PREFIX + metadata_file(TIMESTAMP, 0)
        try:
            data, etag = await self._blobs.get(key, limit=rule_for(TIMESTAMP).max_bytes)
        except NotFound:
            return None
        try:
            timestamp = _by(Timestamp, data, roots, TIMESTAMP).signed
        except _SupersededError:
            return _Stamp(decode(Timestamp, data, TIMESTAMP).signed, etag, data, counts=False)
        self._note(roots[-1], TIMESTAMP, timestamp.version)
        return _Stamp(timestamp, etag, data, counts=True)

    async def _newest_snapshot(
        self, roots: list[Root], stamp: _Stamp | None
    ) -> tuple[Snapshot, bytes, Snapshot | None] | None:
        """The snapshot that is listed, or a later one that our key signed: never an older (S12).

        The third is the one that readers see.
        """
        found, seen = None, None
        version = stamp.signed.snapshot_meta.version if stamp else 1
        if stamp and not stamp.counts and not await self._exists(SNAPSHOT, version):
            raise _SupersededError  # what a stolen key listed: find out by ourselves
        while data := await self.file(metadata_file(SNAPSHOT, version), rule_for(SNAPSHOT).max_bytes):
            snapshot = _by(Snapshot, data, roots, SNAPSHOT).signed
            if snapshot.version != version:
                raise VerificationFailed(f"Snapshot {version} calls itself {snapshot.version}.")
            if found is None and stamp is not None:
                seen = snapshot
            found = snapshot, data
            version += 1
        if stamp is not None and found is None:
            raise RepositoryUnreachable(f"Snapshot {version} is listed and not in the bucket.")
        if found is None:
            return None
        highest = self.highest(roots[-1], SNAPSHOT)
        if version - 1 < highest:
            raise VerificationFailed(
                f"The bucket went back from snapshot {highest} to {version - 1}.",
                hint="Restore the bucket's newest objects; then restart the signer.",
            )
        self._note(roots[-1], SNAPSHOT, version - 1)
        return (*found, seen)

    async def _listed(self, snapshot: Snapshot, role: str, roots: list[Root]) -> Metadata[Targets]:
        return _by(Targets, await self.listed_file(snapshot, role), roots, role)

    async def _found_again(self, roots: list[Root], stamp: _Stamp | None) -> Head:
        """The state from what people signed, for keys that have signed nothing yet (TUF 5.3.11, S13)."""
        hints = await self._hints(stamp)
        root = roots[-1]
        targets = await self._latest(TARGETS, root, hints.get(TARGETS, 0))
        if targets is None:
            raise VerificationFailed(
                f"Nobody whom root {root.version} names has signed targets yet.",
                hint="Publish the ceremony that made this root again: it is finished then.",
            )
        meta = {f"{TARGETS}.json": listing(*targets)}
        signed = decode(Targets, targets[1], TARGETS).signed
        for role in delegated(signed):
            found = await self._latest(role, signed, hints.get(role, 0))
            if found is not None:
                meta[f"{role}.json"] = listing(*found)
        meta |= await self._left(targets[0], signed)
        snapshot = Snapshot(await self._snapshot_before(stamp), meta=dict(meta))
        return _head(root, stamp, snapshot, b"", signed)

    async def _hints(self, stamp: _Stamp | None) -> dict[str, int]:
        """Versions that the old keys vouched for. A thief may have lied, so they only say where to look."""
        if stamp is None:
            return {}
        data = await self._found_file(SNAPSHOT, stamp.signed.snapshot_meta.version)
        try:
            snapshot = decode(Snapshot, data, SNAPSHOT).signed
        except VerificationFailed:
            return {}
        return {role.removesuffix(".json"): meta.version for role, meta in snapshot.meta.items()}

    async def _latest(self, role: str, delegator: Root | Targets, hint: int) -> tuple[int, bytes] | None:
        """The newest file of a role that its people's threshold signed."""
        async for candidate in newest_first(partial(self._exists, role), hint):
            data = await self._found_file(role, candidate)
            if _is_theirs(data, delegator, role, candidate):
                return candidate, data
        return None

    async def _left(self, newest: int, present: Targets) -> dict[str, MetaFile]:
        """The last files of roles that older targets delegated to: who comes back goes on from there.

        Nothing believes these files. They are listed so that no version of a role comes twice (S12).
        """
        left: dict[str, MetaFile] = {}
        async for version in newest_first(partial(self._exists, TARGETS), newest):
            for role in _named_in(await self._found_file(TARGETS, version)):
                if role not in delegated(present) and f"{role}.json" not in left:
                    async for last in newest_first(partial(self._exists, role), 0):
                        left[f"{role}.json"] = listing(last, await self._found_file(role, last))
                        break
        return left

    async def _found_file(self, role: str, version: int) -> bytes:
        """A file that anybody may have put there; nothing, where it is longer than it may be."""
        try:
            return await self.file(metadata_file(role, version), rule_for(role).max_bytes) or b""
        except VerificationFailed:
            return b""

    async def _snapshot_before(self, stamp: _Stamp | None) -> int:
        """The version after which snapshots go on: the first free name (S12)."""
        there = partial(self._exists, SNAPSHOT)
        if counted := await last_counted(there):
            return counted
        # Restored: the files begin somewhere, and counting from 1 would run into them some day.
        async for version in newest_first(there, stamp.signed.snapshot_meta.version if stamp else 0):
            return version
        return 1

    async def _exists(self, role: str, version: int) -> bool:
        try:
            await self._blobs.length(METADATA_PREFIX + metadata_file(role, version))
        except NotFound:
            return False
        return True

    def highest(self, root: Root, role: str) -> int:
        """How far this role has been seen to get under these keys."""
        return self._highest.get(_keys(root, role), 0)

    def forget(self) -> None:
        """Begin anew, where people restore an older state on purpose."""
        self._highest.clear()

    def _note(self, root: Root, role: str, version: int) -> None:
        self._highest[_keys(root, role)] = max(version, self.highest(root, role))


def _keys(root: Root, role: str) -> tuple[str, frozenset[str]]:
    return role, frozenset(root.roles[role].keyids)


def _head(root: Root, stamp: _Stamp | None, snapshot: Snapshot, data: bytes, targets: Targets) -> Head:
    policy = read_policy(targets)
    refuse_if(targets_problems(targets, root, policy), TARGETS)
    timestamp = stamp.signed if stamp and stamp.counts else None
    stamped = stamp.data if stamp and stamp.counts else b""
    return Head(root, timestamp, stamp.etag if stamp else None, snapshot, data, targets, policy, stamped)


def _by(kind: type[T], data: bytes, roots: list[Root], role: str) -> Metadata[T]:
    """Verified by the newest root. Raises _SupersededError if only an older one would take it."""
    try:
        return decode_verified(kind, data, roots[-1], role)
    except VerificationFailed:
        for root in reversed(roots[:-1]):
            if _holds(kind, data, root, role):
                raise _SupersededError from None
        raise


def _holds(kind: type[T], data: bytes, root: Root, role: str) -> bool:
    try:
        decode_verified(kind, data, root, role)
    except VerificationFailed:
        return False
    return True


def _named_in(data: bytes) -> tuple[str, ...]:
    """Vendor roles in a targets file that nobody has verified."""
    try:
        names = delegated(decode(Targets, data, TARGETS).signed)
        return tuple(check_vendor_role(name) for name in names)
    except (VerificationFailed, InvalidName):
        return ()


def _is_theirs(data: bytes, delegator: Root | Targets, role: str, version: int) -> bool:
    try:
        return decode_verified(Targets, data, delegator, role).signed.version == version
    except VerificationFailed:
        return False
