"""Reading a TUF repository the way every verifier does, from one's own root, and telling how it stands."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import Snapshot, Targets, Timestamp

from api.cli.errors import Record, WrongUse
from signing.expiry import advice
from signing.metadata import decode
from signing.roles import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, rule_for
from signing.trust import Trust
from signing.trust_source import Fetch, load_role, load_trust
from storage.errors import EngineUnavailable, InvalidInput, NotFound


@dataclass(frozen=True, slots=True)
class RoleState:
    """One role's metadata as verified now."""

    role: str
    version: int
    expires: datetime
    threshold: int
    keys: int
    releases: int | None = None

    def document(self, now: datetime) -> Record:
        """As JSON."""
        return {
            "role": self.role,
            "version": self.version,
            "expires": self.expires.isoformat(),
            "threshold": self.threshold,
            "keys": self.keys,
            "releases": self.releases,
            "advice": advice(self.role, self.expires, now),
        }


def verify_repository(fetch: Fetch, trusted_root: bytes, now: datetime) -> list[RoleState]:
    """Every role, verified by the TUF client workflow and our own rules.

    Raises VerificationFailed (MetadataExpired among them) or RepositoryUnreachable.
    """
    return asyncio.run(_verified(fetch, trusted_root, now))


async def _verified(fetch: Fetch, trusted_root: bytes, now: datetime) -> list[RoleState]:
    trust = await load_trust(fetch, trusted_root, now)
    for role in trust.roles():
        await load_role(fetch, trust, role)
    trust.check_unexpired(now, *trust.roles())
    return [*_top_level(trust), *(_vendor(trust, role) for role in trust.roles())]


def _top_level(trust: Trust) -> list[RoleState]:
    kept = trust.remembered()
    timestamp = decode(Timestamp, kept.timestamp or b"", TIMESTAMP).signed
    snapshot = decode(Snapshot, kept.snapshot or b"", SNAPSHOT).signed
    signed = {ROOT: trust.root, TARGETS: trust.targets, SNAPSHOT: snapshot, TIMESTAMP: timestamp}
    states = []
    for role, metadata in signed.items():
        rule = trust.root.roles[role]
        states.append(RoleState(role, metadata.version, metadata.expires, rule.threshold, len(rule.keyids)))
    return states


def _vendor(trust: Trust, role: str) -> RoleState:
    metadata: Targets = trust.role(role)
    rule = trust.targets.get_delegated_role(role)
    return RoleState(
        role, metadata.version, metadata.expires, rule.threshold, len(rule.keyids), len(metadata.targets)
    )


def fetch_from_folder(folder: Path) -> Fetch:
    """Metadata files in a folder, as a mirror has them; no network."""

    async def fetch(name: str, limit: int) -> bytes:
        try:
            data = read_some(folder / name, limit + 1)
        except FileNotFoundError:
            raise NotFound("metadata file", name) from None
        except OSError as error:
            # S20: only "there is none" means none; what cannot be read may hide a rotated key.
            raise EngineUnavailable(f"{folder / name} cannot be read: {error.strerror}") from error
        if len(data) > limit:
            raise InvalidInput(f"{name} is longer than {limit} bytes.")
        return data

    return fetch


def read_some(path: Path, most: int) -> bytes:
    """The beginning of a file, however long it is. Raises OSError."""
    with path.open("rb") as file:
        return file.read(most)


def read_root(path: Path) -> bytes:
    """A person's own root.json. Raises WrongUse when there is none."""
    try:
        return read_some(path, rule_for(ROOT).max_bytes + 1)
    except OSError as error:
        raise WrongUse(
            f"There is no trusted root at {path}.",
            hint="Get root.json from the people of the key ceremony, not from the server it is to check,\n"
            "and name it with --root or AMPWAVE_TRUSTED_ROOT_FILE.",
        ) from error
