"""Concluding a ceremony: what people signed becomes the repository's next state; or a backup its first again.

The signer judges the file as every holder did, but against the bucket itself, and adds nothing to it: all
that it signs is snapshot and timestamp. It may be killed anywhere; the same file again goes on.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from securesystemslib.signer import Signer
from tuf.api.metadata import Root

from signing.bundle import Bundle, read_bundle
from signing.errors import KeyUnavailable, RepositoryUnreachable, VerificationFailed
from signing.head import Head
from signing.holding import Review, judge, review, signers
from signing.layout import Present
from signing.metadata import canonical, decode, decode_people, encode_people
from signing.ports import CeremonyStamp
from signing.present import present_in
from signing.repository import NewFile, OnlineSigners, Repository, Succession
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, metadata_file, rule_for
from storage.clock import Clock
from storage.errors import Conflict

OpenOnline = Callable[[Root, str], Signer]
"""The key that a root names for snapshot or timestamp. Raises KeyUnavailable."""


class Conclusion:
    """What the signer does with a ceremony file."""

    def __init__(
        self, repository: Repository, trusted_root: bytes, open_online: OpenOnline, clock: Clock
    ) -> None:
        self._repository = repository
        self._trusted_root = trusted_root
        self._open = open_online
        self._clock = clock

    async def conclude(self, data: bytes) -> CeremonyStamp:
        """Publish a ceremony, or restore a backup. Idempotent.

        Raises:
            VerificationFailed: somebody has not signed, or something breaks a rule. Nothing is written.
            StaleStage: another ceremony or release came first.
            Conflict: a backup is not wanted where a repository is.
            KeyUnavailable: this signer cannot reach a key that the new root names.
        """
        bundle = read_bundle(data)
        if not bundle.parts:
            await self._restore(bundle)
            return await self._stamp(bundle, ())
        head = await self._head(bundle)
        if head is None:
            return await self._stamp(bundle, await self._begin(bundle))
        return await self._stamp(bundle, await self._go_on(bundle, head))

    async def _head(self, bundle: Bundle) -> Head | None:
        """Today's state; where online keys told lies, and a new root may replace them, what people signed."""
        try:
            return await self._repository.head()
        except (VerificationFailed, RepositoryUnreachable):
            if ROOT not in bundle.parts:
                raise
            return await self._repository.people_head()

    async def _begin(self, bundle: Bundle) -> tuple[str, ...]:
        root = bundle.root()
        embedded = decode(Root, self._trusted_root, "the embedded root").signed
        if root is None or canonical(root) != canonical(embedded):
            raise VerificationFailed(
                "This ceremony's root is not the one that this signer and all verifiers embed.",
                hint="Install this ceremony's root.json first (AMPWAVE_TRUSTED_ROOT_FILE), then restart.",
            )
        reviewed = _complete(review(bundle, None, self._clock()))
        await self._repository.put_root(root.version, self._trusted_root)
        await self._repository.publish(None, _files(bundle), self._online(root), self._clock())
        return signers(reviewed)

    async def _go_on(self, bundle: Bundle, head: Head) -> tuple[str, ...]:
        left = await self._left(bundle, head)
        now = self._clock()
        if not left.parts:
            await self._repository.publish(head, [], self._online(head.root), now)
            return ()
        reviewed = _complete(judge(left, await self._present(head), now))
        root = left.root()
        if root is None:
            await self._repository.publish(head, _files(left), self._online(head.root), now)
        elif not await self._repository.succeed(head, self._succession(left, head, root), _files(left), now):
            after = await self._head(bundle)
            await self._repository.publish(after, [], self._online(root), now)
        return signers(reviewed)

    def _succession(self, bundle: Bundle, head: Head, root: Root) -> Succession:
        """With a bridge if the old keys are at hand: whoever lost one, or had it stolen, takes it away."""
        after = self._online(root)
        file = NewFile(ROOT, root.version, encode_people(bundle.parts[ROOT]))
        if not head.snapshot_data:
            return Succession(file, None)
        try:
            before = self._online(head.root)
        except KeyUnavailable:
            return Succession(file, None)
        bridge = OnlineSigners(
            before.snapshot,
            before.timestamp,
            _other(after.snapshot, before.snapshot),
            _other(after.timestamp, before.timestamp),
        )
        return Succession(file, bridge)

    def _online(self, root: Root) -> OnlineSigners:
        return OnlineSigners(self._open(root, SNAPSHOT), self._open(root, TIMESTAMP))

    async def _left(self, bundle: Bundle, head: Head) -> Bundle:
        """Without the parts that are published already, by an earlier try."""
        parts = {}
        for role, part in bundle.parts.items():
            current = head.root.version if role == ROOT else head.version_of(role)
            name = metadata_file(role, part.signed.version)
            data = (
                await self._repository.file(name, rule_for(role).max_bytes)
                if part.signed.version <= current
                else None
            )
            if data is None or _content(role, data) != canonical(part.signed):
                parts[role] = part
        return bundle if len(parts) == len(bundle.parts) else replace(bundle, parts=parts, transcript=())

    async def _present(self, head: Head) -> Present:
        roles = {
            role: (await self._repository.role(head, role)).signed
            for role in head.vendor_roles()
            if head.version_of(role)
        }
        versions = {name.removesuffix(".json"): meta.version for name, meta in head.snapshot.meta.items()}
        return Present(head.root, head.targets, roles, versions, head.timestamp)

    async def _restore(self, bundle: Bundle) -> None:
        """What a backup holds, verified from the embedded root, into a bucket that lost its own."""
        present = present_in(bundle.evidence, self._trusted_root)
        if present.targets is None or present.seen_until is None:
            raise VerificationFailed("This backup holds no whole repository.", hint="Use another one.")
        files = wanted_files(bundle.evidence, present)
        if not await self._repository.restore(files):
            raise Conflict(
                "There is a repository in the bucket, so there is nothing to restore.",
                hint="A backup goes into a bucket that lost its timestamp.json, and nowhere else.",
            )

    async def _stamp(self, bundle: Bundle, names: tuple[str, ...]) -> CeremonyStamp:
        head = await self._repository.head()
        if head is None or head.timestamp is None:
            raise VerificationFailed("The repository is not there yet.", hint="Publish the same file again.")
        versions = {ROOT: head.root.version, TARGETS: head.version_of(TARGETS)}
        versions |= {role: head.version_of(role) for role in head.vendor_roles()}
        return CeremonyStamp(
            bundle.fingerprint if bundle.parts else "",
            versions,
            head.snapshot.version,
            head.timestamp.version,
            names,
        )


def wanted_files(evidence: Mapping[str, bytes], present: Present) -> dict[str, bytes]:
    """The files of a verified backup in the order in which they may be written, the timestamp last (S9)."""
    roots = [metadata_file(ROOT, version) for version in range(1, present.root.version + 1)]
    roles = [
        metadata_file(role, present.versions[role]) for role in present.roles if role in present.versions
    ]
    listed = [metadata_file(TARGETS, present.versions[TARGETS])]
    snapshots = sorted(name for name in evidence if name.endswith(f".{SNAPSHOT}.json"))
    names = [*roots, *roles, *listed, *snapshots, metadata_file(TIMESTAMP, 0)]
    return {name: evidence[name] for name in names if name in evidence}


def _complete(reviewed: Review) -> Review:
    if reviewed.flags:
        raise VerificationFailed(f"This ceremony breaks our rules: {'; '.join(reviewed.flags)}.")
    missing = [demand.line() for demand in reviewed.demands if demand.needed and demand.missing]
    if missing:
        raise VerificationFailed(
            f"Not everybody has signed: {'; '.join(missing)}.",
            hint="Have them sign, and gather the copies with: ampwave tuf combine",
        )
    return reviewed


def _files(bundle: Bundle) -> list[NewFile]:
    return [
        NewFile(role, part.signed.version, encode_people(part))
        for role, part in bundle.parts.items()
        if role != ROOT
    ]


def _content(role: str, data: bytes) -> bytes:
    return canonical(decode_people(data, role).signed)


def _other(signer: Signer, than: Signer) -> Signer | None:
    return None if signer.public_key.keyid == than.public_key.keyid else signer
