"""What signed metadata says, verified: bytes in, verdict out. No I/O.

The TUF client workflow (specification 5.3 to 5.6) is python-tuf's ``TrustedMetadataSet``, which works on
bytes; ``ngclient.Updater`` around it does not fit, since it reads HTTP 403 for the next root as "no newer
root" (S20), asks the machine for the time and keeps files. On top come our own rules (``signing.lint``).
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from tuf.api.exceptions import EqualVersionNumberError, RepositoryError
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp
from tuf.ngclient._internal.trusted_metadata_set import TrustedMetadataSet
from tuf.ngclient.config import EnvelopeType

from signing.errors import ClockRefused, MetadataExpired, NotInRelease, VerificationFailed
from signing.lint import refuse_if, root_problems, targets_problems, vendor_problems
from signing.metadata import decode, refusing
from signing.policy import TrustPolicy, read_policy
from signing.release import Release, from_target
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, metadata_file, rule_for

T = TypeVar("T", Root, Timestamp, Snapshot, Targets)

CLOCK_TOLERANCE = timedelta(minutes=5)
"""How far the clocks of signer and verifier may be apart."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """What a verifier has seen before, so that nobody can take it back to something older.

    All of it is verified anew from the embedded root, so a poisoned memory is ignored (S19).
    """

    roots: tuple[bytes, ...] = ()
    """Versions after the embedded one, in order."""
    timestamp: bytes | None = None
    snapshot: bytes | None = None


@dataclass(frozen=True, slots=True)
class RoleProof:
    """One role's metadata as it was verified, and by which keys."""

    role: str
    version: int
    expires: datetime
    threshold: int
    signed_by: tuple[str, ...]


class Trust:
    """One consistent state of the repository at one instant.

    Feed it in order: roots, timestamp, snapshot, targets, vendor roles. ``trusted_root`` is embedded,
    never fetched. ``at`` is fixed for the whole update (TUF 5.1, S31).
    """

    def __init__(self, trusted_root: bytes, at: datetime) -> None:
        with refusing("the embedded root"):
            self._set = TrustedMetadataSet(trusted_root, EnvelopeType.METADATA)
        self._set.reference_time = at
        self._roots: list[bytes] = []
        self._timestamp = b""
        self._snapshot = b""
        self._signers: dict[str, tuple[str, ...]] = {}
        self._top: dict[str, RoleProof] = {}
        self._note(ROOT, decode(Root, trusted_root, "the embedded root"))
        refuse_if(root_problems(self.root), "the embedded root")
        self.at = at
        self.policy: TrustPolicy

    @property
    def root(self) -> Root:
        """The newest root."""
        return self._set.root

    @property
    def targets(self) -> Targets:
        """The top-level targets."""
        return self._set.targets

    def add_root(self, data: bytes) -> None:
        """The next root: signed by the thresholds of both, exactly one version on (TUF 5.3.4-5)."""
        metadata = decode(Root, data, "the next root")
        root = metadata.signed
        refuse_if(root_problems(root), f"root {root.version}")
        with refusing("the next root"):
            self._set.update_root(data)
        self._roots.append(data)
        self._note(ROOT, metadata)

    def set_timestamp(self, data: bytes, remembered: bytes | None = None) -> None:
        """Not older than the one remembered (TUF 5.4)."""
        if remembered is not None:
            # An old timestamp counts against rollback even after its own expiry; under rotated keys it
            # does not verify and is forgotten, which is the recovery of TUF 5.3.11.
            with suppress(RepositoryError):
                self._set.update_timestamp(remembered)
        kept = remembered if TIMESTAMP in self._set else None
        with refusing("timestamp.json"):
            try:
                self._set.update_timestamp(data)
                kept = data
            except EqualVersionNumberError:
                pass
        self._timestamp = kept or data
        self._note(TIMESTAMP, decode(Timestamp, self._timestamp, "timestamp.json"))
        self._check_clock()

    def _check_clock(self) -> None:
        """S31. A timestamp lives for a day: one that seems to live longer was signed after our "now"."""
        signed_at = self._set.timestamp.expires - rule_for(TIMESTAMP).lifetime
        behind = signed_at - self.at
        if behind > CLOCK_TOLERANCE:
            raise ClockRefused(
                f"By this machine's clock timestamp.json was signed {behind.total_seconds():.0f} s from now.",
                hint="Set the clock right. If it is, then the timestamp key signs for longer than it may.",
            )

    def snapshot_file(self) -> tuple[str, int]:
        """Which snapshot to fetch, and how long it may be."""
        meta = self._set.timestamp.snapshot_meta
        return metadata_file(SNAPSHOT, meta.version), meta.length or rule_for(SNAPSHOT).max_bytes

    def set_snapshot(self, data: bytes, remembered: bytes | None = None) -> None:
        """As the timestamp lists it, and no role in it older than remembered (TUF 5.5)."""
        if remembered is not None:
            with suppress(RepositoryError):
                self._set.update_snapshot(remembered, trusted=True)
        with refusing("snapshot"):
            self._set.update_snapshot(data)
        self._snapshot = data
        self._note(SNAPSHOT, decode(Snapshot, data, "snapshot"))

    def set_targets(self, data: bytes) -> None:
        """The top-level targets, and with it the policy its people signed."""
        with refusing("targets"):
            targets = self._set.update_targets(data)
        self._note(TARGETS, decode(Targets, data, "targets"))
        self.policy = read_policy(targets)
        refuse_if(targets_problems(targets, self.root, self.policy), "targets")

    def _note(self, role: str, metadata: Metadata[T]) -> None:
        """Which of the root's keys signed a top-level role, for those who ask."""
        result = self.root.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        signed, threshold = metadata.signed, self.root.roles[role].threshold
        self._top[role] = RoleProof(role, signed.version, signed.expires, threshold, tuple(result.signed))

    def role_proofs(self) -> tuple[RoleProof, ...]:
        """Every role that was verified, top-level ones first."""
        vendors = []
        for name, signers in self._signers.items():
            role, threshold = self.role(name), self.targets.get_delegated_role(name).threshold
            vendors.append(RoleProof(name, role.version, role.expires, threshold, signers))
        return (*self._top.values(), *vendors)

    def releases(self, role: str) -> tuple[Release, ...]:
        """Every release of a vendor role, by path."""
        listed = self.role(role).targets
        return tuple(from_target(role, listed[path]) for path in sorted(listed))

    def roles(self) -> tuple[str, ...]:
        """The vendor roles that exist, by name."""
        delegations = self.targets.delegations
        return tuple(delegations.roles) if delegations and delegations.roles else ()

    def role_of(self, path: str) -> str:
        """The vendor role that a path belongs to. Raises NotInRelease."""
        delegations = self.targets.delegations
        for name, _ in delegations.get_roles_for_target(path) if delegations else ():
            return name
        raise NotInRelease(f"No vendor role may list {path!r}.", hint="Release the artifact first.")

    def role_file(self, role: str) -> tuple[str, int]:
        """Which file of a role (or of targets) to fetch, and how long it may be. Raises NotInRelease."""
        meta = self._set.snapshot.meta.get(f"{role}.json")
        if meta is None:
            raise NotInRelease(f"Snapshot lists no role {role!r}.", hint="Add the vendor role first.")
        return metadata_file(role, meta.version), meta.length or rule_for(role).max_bytes

    def has_role(self, role: str) -> bool:
        """Whether the role's metadata has been added."""
        return role in self._signers

    def add_role(self, role: str, data: bytes) -> Targets:
        """A vendor role, as snapshot lists it and signed by its people's threshold (TUF 5.6)."""
        if role not in self.roles():
            raise VerificationFailed(f"{role!r} is not a vendor role.")
        with refusing(role):
            delegate = self._set.update_delegated_targets(data, role, TARGETS)
            metadata = decode(Targets, data, role)
            result = self.targets.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
        refuse_if(vendor_problems(role, delegate), role)
        self._signers[role] = tuple(result.signed)
        return delegate

    def role(self, role: str) -> Targets:
        """A vendor role's metadata that has been added and found right."""
        metadata = self._set[role]
        if role not in self._signers or not isinstance(metadata, Targets):
            raise VerificationFailed(f"{role!r} has not been verified.")
        return metadata

    def release(self, path: str) -> Release:
        """The release at a path. Raises NotInRelease; its role must have been added."""
        name = self.role_of(path)
        target = self.role(name).targets.get(path)
        if target is None:
            raise NotInRelease(
                f"{path!r} is not in the signed metadata of {name}.",
                hint="Have it signed and released before it is rolled out.",
            )
        return from_target(name, target)

    def counter_of(self, role: str, version: str) -> int | None:
        """The highest signed release counter of a version; None where the role lists no such version."""
        listed = self.role(role).targets
        paths = [path for path in listed if path.startswith(f"{role}/{version}/")]
        return max((from_target(role, listed[path]).release_counter for path in paths), default=None)

    def check_unexpired(self, now: datetime, *roles: str) -> None:
        """Raise MetadataExpired if any top-level role, or one of ``roles``, has expired by ``now``."""
        for name in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS, *roles):
            if self._set[name].is_expired(now):
                raise MetadataExpired(
                    f"{name} expired at {self._set[name].expires:%Y-%m-%d %H:%M}Z.",
                    hint="Nothing is sent until it has been signed anew.",
                )

    def evidence(self, role: str) -> dict[str, str | int]:
        """Versions and keys that a verdict relied upon."""
        versions: dict[str, str | int] = {
            f"{name}_version": self._set[name].version for name in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS)
        }
        return versions | {
            "role": role,
            "role_version": self._set[role].version,
            "role_keyids": ",".join(self._signers[role]),
        }

    def remembered(self) -> Remembered:
        """What the next update must not fall behind."""
        return Remembered(tuple(self._roots), self._timestamp, self._snapshot)
