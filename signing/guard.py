"""What the online keys refuse to sign, whoever asks (S64).

The publisher decides what the next file is; the guard, which holds the key, reads those very bytes before
it lets the key sign them, and believes the head of the bucket and its own clock only. So a publisher that
was taken over, or is broken, gets no skipped version, no long expiry, no other role's file and no flood.
What it signed is verified before it leaves: a key that is not the listed one never reaches a reader.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature, Signer
from tuf.api.metadata import Snapshot, Timestamp

from signing.directive import PAYLOAD_TYPE, parse_directive, shape_problems
from signing.errors import KeyUnavailable, SigningError, VerificationFailed
from signing.lint import refuse_if
from signing.pace import Pace
from signing.roles import DIRECTIVE, MAX_DIRECTIVE_WINDOW, SNAPSHOT, TIMESTAMP, rule_for
from storage.clock import Clock

Judge = Callable[[bytes], list[str]]
"""What is wrong with bytes that a key is asked to sign."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Signatures per minute of each key; so many may also come at once."""

    metadata_per_minute: int = 60
    directives_per_minute: int = 300


@dataclass(frozen=True, slots=True)
class Head:
    """The versions that the bucket holds, verified: what may come next follows from them."""

    snapshot: int = 0
    timestamp: int = 0
    roles: Mapping[str, int] = field(default_factory=dict)
    """Targets and vendor roles."""
    keyids: frozenset[str] = frozenset()
    """Keys that count for snapshot and timestamp there; another one was rotated in (TUF 5.3.11)."""


class GuardedSigner(Signer):
    """A key that reads what it signs."""

    def __init__(self, inner: Signer, role: str, judge: Judge, pace: Pace) -> None:
        self._inner = inner
        self._role = role
        self._judge = judge
        self._pace = pace

    @property
    def public_key(self) -> Key:
        """The public half."""
        return self._inner.public_key

    @classmethod
    def from_priv_key_uri(
        cls,
        priv_key_uri: str,  # noqa: ARG003 - the interface's shape
        public_key: Key,  # noqa: ARG003 - the interface's shape
        secrets_handler: Callable[[str], str] | None = None,  # noqa: ARG003 - the interface's shape
    ) -> "GuardedSigner":
        """What ``Signer`` asks of every kind of key. Raises KeyUnavailable: the guard is part of this one."""
        raise KeyUnavailable("A guarded key has no address.", hint="Open the key, then ask KeyGuard for it.")

    def sign(self, payload: bytes) -> Signature:
        """Raises VerificationFailed, TooHasty or KeyUnavailable."""
        refuse_if(self._judge(payload), f"what the {self._role} key was asked to sign")
        self._pace.take(f"The {self._role} key signs")
        try:
            signature = self._inner.sign(payload)
            self.public_key.verify_signature(signature, payload)
        except UnverifiedSignatureError as error:
            raise KeyUnavailable(
                f"The {self._role} key signs as another key than the signed metadata lists.",
                hint="Give the address of the key that was listed, or have this one signed in.",
            ) from error
        except SigningError:
            raise
        except Exception as error:  # adapters raise what their libraries raise
            raise KeyUnavailable(
                f"The {self._role} key could not sign: {type(error).__name__}.",
                hint="Check its holder with: ampwave key check ADDRESS",
            ) from error
        return signature


class KeyGuard:
    """Hands out guarded keys. Feed it every verified head of the bucket; it remembers what it signed."""

    def __init__(self, clock: Clock, limits: Limits | None = None) -> None:
        self._clock = clock
        metadata = limits.metadata_per_minute if limits else None
        directives = limits.directives_per_minute if limits else None
        self._paces = {
            SNAPSHOT: Pace(metadata, clock),
            TIMESTAMP: Pace(metadata, clock),
            DIRECTIVE: Pace(directives, clock),
        }
        self._head = Head()
        self._roles: dict[str, int] = {}
        self._signed: dict[tuple[str, str], int] = {}
        """The highest version by role and key."""

    def saw(self, head: Head) -> None:
        """The bucket stands here now."""
        self._head, self._roles = head, dict(head.roles)

    def admit(self, role: str) -> None:
        """Before anything is read for it: a flood shall cost nothing. Raises TooHasty."""
        self._paces[role].check(f"The {role} key signs")

    def online(self, role: str, signer: Signer) -> Signer:
        """A snapshot's or timestamp's key, for what may follow."""
        keyid = signer.public_key.keyid
        judge = self._snapshot_problems if role == SNAPSHOT else self._timestamp_problems
        return GuardedSigner(signer, role, lambda payload: judge(payload, keyid), self._paces[role])

    def directive(self, signer: Signer) -> Signer:
        """The key of directives."""
        return GuardedSigner(
            signer,
            DIRECTIVE,
            lambda payload: directive_problems(payload, self._clock()),
            self._paces[DIRECTIVE],
        )

    def _snapshot_problems(self, payload: bytes, keyid: str) -> list[str]:
        signed = _read(payload)
        if not isinstance(signed, Snapshot):
            return ["it is no snapshot"]
        problems = self._version_problems(SNAPSHOT, signed.version, self._head.snapshot, keyid)
        problems += _expiry_problems(SNAPSHOT, signed.expires, self._clock())
        listed = {name.removesuffix(".json"): meta.version for name, meta in signed.meta.items()}
        problems += _listing_problems(self._roles, listed)
        if not problems:
            self._signed[SNAPSHOT, keyid] = signed.version
            self._roles = listed
        return problems

    def _timestamp_problems(self, payload: bytes, keyid: str) -> list[str]:
        signed = _read(payload)
        if not isinstance(signed, Timestamp):
            return ["it is no timestamp"]
        problems = self._version_problems(TIMESTAMP, signed.version, self._head.timestamp, keyid)
        problems += _expiry_problems(TIMESTAMP, signed.expires, self._clock())
        listed, newest = signed.snapshot_meta.version, self._newest_snapshot()
        if not min(self._head.snapshot, newest) <= listed <= newest + 1:
            problems.append(f"it lists snapshot {listed}, after {newest}")
        if not problems:
            self._signed[TIMESTAMP, keyid] = signed.version
        return problems

    def _version_problems(self, role: str, version: int, head: int, keyid: str) -> list[str]:
        """One on from the bucket, or from what this key signed last if that is not there yet (S12).

        A key that was rotated in may begin lower: that is how a fast-forward is recovered from.
        """
        highest = max(head, self._signed.get((role, keyid), 0))
        if version > highest + 1 or (keyid in self._head.keyids and version <= head):
            return [f"it is version {version} of {role}, after {highest} comes only the next (S64)"]
        return []

    def _newest_snapshot(self) -> int:
        signed = [version for (role, _), version in self._signed.items() if role == SNAPSHOT]
        return max([self._head.snapshot, *signed])


def _listing_problems(before: Mapping[str, int], listed: Mapping[str, int]) -> list[str]:
    """No role is dropped, taken back or skipped ahead, and new ones begin at 1."""
    problems = []
    for role, version in before.items():
        if role not in listed:
            problems.append(f"it drops {role}")
        elif not version <= listed[role] <= version + 1:
            problems.append(f"it takes {role} from {version} to {listed[role]}")
    new = {role: version for role, version in listed.items() if role not in before}
    return problems + [
        f"it adds {role} at version {version}" for role, version in new.items() if version != 1
    ]


def directive_problems(payload: bytes, now: datetime) -> list[str]:
    """What is wrong with a DSSE payload that the directive key is asked to sign. Pure."""
    head = f"DSSEv1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} ".encode()
    length, _, body = payload.removeprefix(head).partition(b" ")
    if not payload.startswith(head) or length != str(len(body)).encode():
        return ["it is no directive"]
    try:
        directive = parse_directive(body)
    except VerificationFailed as error:
        return [error.message]
    problems = shape_problems(directive)
    if directive.not_after <= now:
        problems.append("its window is over")
    if directive.not_before > now + MAX_DIRECTIVE_WINDOW:
        problems.append("its window begins more than 24 hours ahead")
    return problems


def _expiry_problems(role: str, expires: datetime, now: datetime) -> list[str]:
    lifetime: timedelta = rule_for(role).lifetime
    if not now < expires <= now + lifetime:
        return [
            f"it expires at {expires:%Y-%m-%d %H:%M}Z; {role} holds for {lifetime.days} days at most (S64)"
        ]
    return []


def _read(payload: bytes) -> Snapshot | Timestamp | None:
    """The metadata in the very bytes that would be signed; None: something else."""
    try:
        fields = json.loads(payload, strict=False)
        if fields["_type"] == SNAPSHOT:
            return Snapshot.from_dict(fields)
        return Timestamp.from_dict(fields) if fields["_type"] == TIMESTAMP else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
