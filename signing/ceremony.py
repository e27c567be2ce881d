"""The development ceremony: every key on one machine, so that ``ampwave up`` has something to sign with.

FOR DEVELOPMENT. A real ceremony keeps root, targets and vendor keys apart, offline, one per person; here
they are files of one owner (0600) in one folder. What comes out has the production shape: root 2 of 3,
targets 2 of 3, each vendor role 2 of 3, and one key each for snapshot, timestamp and directive.
Run it as often as you like: it finishes what is missing, adds new vendor roles, signs anew what nears its
expiry, and changes nothing else.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Key, Signer
from tuf.api.metadata import DelegatedRole, Delegations, Role, Root, Targets

from signing.errors import KeyUnavailable, RepositoryUnreachable
from signing.head import online_keys
from signing.keys import ensure_key_file, file_address, open_signer, write_new
from signing.lint import refuse_if, root_problems
from signing.metadata import decode, sign
from signing.policy import FIELD, TrustPolicy, policy_problems, write_policy
from signing.repository import Head, NewFile, OnlineSigners, Repository
from signing.roles import (
    DIRECTIVE,
    ROOT,
    RULES,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    VENDOR_RULE,
    VENDOR_SIGNERS,
    check_vendor_role,
    rule_for,
    vendor_paths,
)
from storage.clock import Clock
from storage.errors import Conflict, StaleVersion
from storage.ports import BlobStore

ROOT_FILE = "root.json"
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class CeremonyResult:
    """What the ceremony left behind."""

    trusted_root: bytes
    """The root that every verifier embeds; also ``root.json`` beside the keys."""
    vendor_roles: tuple[str, ...]
    created: bool
    """Whether the repository was new."""


def key_names(vendor_roles: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The key files (without ``.pem``) of every role."""
    people = {
        role: tuple(f"{role}-{number}" for number in range(1, RULES[role].keys + 1))
        for role in (ROOT, TARGETS)
    }
    online = {role: (role,) for role in (SNAPSHOT, TIMESTAMP, DIRECTIVE)}
    vendors = {role: tuple(f"{role}-{signer}" for signer in VENDOR_SIGNERS) for role in vendor_roles}
    return people | online | vendors


class DevelopmentCeremony:
    """Creates and extends a repository with keys that all lie in ``folder``."""

    def __init__(
        self,
        blobs: BlobStore,
        folder: Path,
        clock: Clock,
        *,
        change: Callable[[TrustPolicy], TrustPolicy] = lambda policy: policy,
    ) -> None:
        self._blobs = blobs
        self._folder = folder
        self._clock = clock
        self._change = change

    async def ensure(
        self,
        vendor_roles: Sequence[str],
        *,
        manufacturer_roots: Mapping[str, tuple[str, ...]] | None = None,
    ) -> CeremonyResult:
        """Have a complete repository that delegates to at least these vendor roles; idempotent.

        Roots (PEM) given for a role replace those it had; roles and roots not named stay as they are.

        Raises:
            InvalidName: a vendor role's name.
            Conflict: the bucket holds a repository whose keys are not in the folder.
            KeyUnavailable: a key file is damaged or open to others.
        """
        for role in vendor_roles:
            check_vendor_role(role)
        keys = await asyncio.to_thread(self._ensure_keys, vendor_roles)
        trusted_root = await asyncio.to_thread(self._ensure_root_file, keys)
        repository = Repository(self._blobs, trusted_root)
        await self._announce(repository, trusted_root)
        created = False
        for _ in range(_ATTEMPTS):
            try:
                await self._renew_root(repository, keys)
                head = await self._settled(repository)
                if head is None:
                    # Always the same first version, so that a killed first run can be finished by any other.
                    created = True
                    await self._extend(repository, None, keys, (), {})
                    head = await self._settled(repository)
                await self._extend(repository, head, keys, vendor_roles, dict(manufacturer_roots or {}))
                return CeremonyResult(trusted_root, await self._roles(repository), created)
            except StaleVersion:
                continue
        raise RepositoryUnreachable("The repository keeps changing during the ceremony.", hint="Try again.")

    async def _announce(self, repository: Repository, trusted_root: bytes) -> None:
        try:
            await repository.put_root(1, trusted_root)
        except StaleVersion as error:
            raise Conflict(
                f"The bucket's repository was not made with the keys in {self._folder}.",
                hint="Point key_dir at its keys, or use another bucket.",
            ) from error

    async def _renew_root(self, repository: Repository, keys: dict[str, list[Key]]) -> None:
        """The next root, the same but for its expiry, when the newest nears its own."""
        root, now = deepcopy(await repository.root()), self._clock()
        if RULES[ROOT].is_due(root.expires, now):
            root.version += 1
            root.expires = now + RULES[ROOT].lifetime
            data = sign(root, *self._signers(keys, ROOT, RULES[ROOT].threshold))
            await repository.put_root(root.version, data)

    async def _settled(self, repository: Repository) -> Head | None:
        """The head, after finishing what was killed before; None: nothing there yet."""
        head = await repository.head()
        if head is None:
            return None
        orphans = [await repository.orphan(head, role) for role in (*head.vendor_roles(), TARGETS)]
        files = [orphan for orphan in orphans if orphan]
        for file in [file for file in files if file.role == TARGETS]:
            files += await repository.first_files(head, file)
        await repository.publish(head, files, self._online(head.root), self._clock())
        return await repository.head()

    async def _extend(
        self,
        repository: Repository,
        head: Head | None,
        keys: dict[str, list[Key]],
        vendor_roles: Sequence[str],
        roots: dict[str, tuple[str, ...]],
    ) -> None:
        now = self._clock()
        files = []
        for role in vendor_roles:
            listed = head is not None and role in head.vendor_roles()
            current = (await repository.role(head, role)).signed if head and listed else None
            if current is None or VENDOR_RULE.is_due(current.expires, now):
                files.append(self._next(role, current, keys, now))
        targets = self._next_targets(head, keys, vendor_roles, roots, now)
        if head is None or targets != _same_frame(targets, head.targets) or _due(head.targets, now):
            data = sign(targets, *self._signers(keys, TARGETS, RULES[TARGETS].threshold))
            files.append(NewFile(TARGETS, targets.version, data))
        root = head.root if head else await repository.root()
        await repository.publish(head, files, self._online(root), now)

    def _next_targets(
        self,
        head: Head | None,
        keys: dict[str, list[Key]],
        vendor_roles: Sequence[str],
        roots: dict[str, tuple[str, ...]],
        now: datetime,
    ) -> Targets:
        """Targets as they should be: what is there, plus the roles and roots asked for."""
        old = head.targets.delegations if head else None
        held = dict(old.keys) if old else {}
        delegated = dict(old.roles or {}) if old else {}
        for role in vendor_roles:
            if role not in delegated:
                held |= {key.keyid: key for key in keys[role]}
                keyids = [key.keyid for key in keys[role]]
                delegated[role] = DelegatedRole(
                    role, keyids, VENDOR_RULE.threshold, terminating=True, paths=vendor_paths(role)
                )
        kept = dict(head.policy.manufacturer_roots) if head else {}
        directive = {key.keyid: key for key in keys[DIRECTIVE]}
        policy = replace(head.policy if head else TrustPolicy(directive), manufacturer_roots=kept | roots)
        if head is not None:
            policy = self._change(policy)
        refuse_if(policy_problems(policy), "the policy")
        return Targets(
            (head.targets.version if head else 0) + 1,
            expires=now + rule_for(TARGETS).lifetime,
            delegations=Delegations(held, delegated),
            unrecognized_fields={FIELD: write_policy(policy)},
        )

    def _next(self, role: str, current: Targets | None, keys: dict[str, list[Key]], now: datetime) -> NewFile:
        """The same releases in the next version, valid anew; for a new role none in the first."""
        version = current.version + 1 if current else 1
        listed = current.targets if current else {}
        signed = Targets(version, expires=now + VENDOR_RULE.lifetime, targets=listed)
        return NewFile(role, version, sign(signed, *self._signers(keys, role, VENDOR_RULE.threshold)))

    def _ensure_keys(self, vendor_roles: Sequence[str]) -> dict[str, list[Key]]:
        return {
            role: [ensure_key_file(self._folder / f"{name}.pem") for name in names]
            for role, names in key_names(vendor_roles).items()
        }

    def _ensure_root_file(self, keys: dict[str, list[Key]]) -> bytes:
        path = self._folder / ROOT_FILE
        if not path.exists():
            roles = {
                name: Role([key.keyid for key in keys[name]], rule.threshold) for name, rule in RULES.items()
            }
            held = {key.keyid: key for name in RULES for key in keys[name]}
            root = Root(
                1,
                expires=self._clock() + RULES[ROOT].lifetime,
                keys=held,
                roles=roles,
                consistent_snapshot=True,
            )
            refuse_if(root_problems(root), "the root of this ceremony")
            write_new(path, sign(root, *self._signers(keys, ROOT, RULES[ROOT].threshold)), 0o644)
        data = path.read_bytes()
        root = decode(Root, data, ROOT_FILE).signed
        strangers = [name for name in RULES for key in keys[name] if key.keyid not in root.roles[name].keyids]
        if strangers:
            raise Conflict(
                f"Keys in {self._folder} are not those of its root.json: {', '.join(strangers)}.",
                hint="Restore the key files that belong to it.",
            )
        return data

    def _online(self, root: Root) -> OnlineSigners:
        return OnlineSigners(*(self._online_signer(root, name) for name in (SNAPSHOT, TIMESTAMP)))

    def _online_signer(self, root: Root, name: str) -> Signer:
        """The key that the root names, which may have been replaced by a real ceremony since."""
        for path in (self._folder / f"{name}.pem", *sorted(self._folder.glob(f"{name}-*.pem"))):
            with suppress(KeyUnavailable):
                return open_signer(file_address(path), online_keys(root, name))
        raise KeyUnavailable(
            f"No key in {self._folder} is the {name} key of root {root.version}.",
            hint="Put the key file of the ceremony that made this root there.",
        )

    def _signers(self, keys: dict[str, list[Key]], role: str, count: int) -> list[Signer]:
        names = key_names([role] if role not in (*RULES, DIRECTIVE) else [])[role]
        if len(names) < count:
            raise KeyUnavailable(f"The ceremony has {len(names)} of {count} keys of {role}.")
        return [open_signer(file_address(self._folder / f"{name}.pem"), keys[role]) for name in names[:count]]

    async def _roles(self, repository: Repository) -> tuple[str, ...]:
        head = await repository.head()
        return head.vendor_roles() if head else ()


def _due(targets: Targets, now: datetime) -> bool:
    return RULES[TARGETS].is_due(targets.expires, now)


def _same_frame(wanted: Targets, current: Targets) -> Targets:
    """The current targets with the version and expiry of the wanted ones: is anything else different?"""
    return Targets(
        wanted.version,
        wanted.spec_version,
        wanted.expires,
        current.targets,
        current.delegations,
        current.unrecognized_fields,
    )
