"""A holder's part of a ceremony, on their own machine: see, sign, gather, judge (S15, S16).

Needs no server, no settings and no database: a ceremony file, one's own root, one's own key. What is shown
is computed here from the bytes that will be signed; words from elsewhere are never shown.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from securesystemslib.exceptions import UnverifiedSignatureError
from securesystemslib.signer import Key, Signature
from tuf.api.metadata import Root, Targets

from signing.bundle import Bundle
from signing.changes import changes
from signing.errors import KeyUnavailable, StaleStage, VerificationFailed
from signing.holders import holder_of, spoken
from signing.keys import key_material, open_signer
from signing.layout import Present
from signing.metadata import People, decode_people, encode_people
from signing.present import delegated, present_in
from signing.roles import ROOT, TARGETS
from signing.transcript import Entry, entry_of, read_entry, sign_entry
from storage.canonical import sha256_hex
from storage.errors import Conflict

OLD_EVIDENCE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Demand:
    """Signatures that a part needs: how many of which keys, and whose they are."""

    role: str
    by: str
    threshold: int
    keys: dict[str, Key]
    signed: tuple[Key, ...]
    """Distinct keys whose signature holds."""
    needed: bool = True
    """If not, publication works without, but readers notice it."""

    @property
    def missing(self) -> int:
        """How many more signatures it takes."""
        return max(0, self.threshold - len(self.signed))

    def line(self) -> str:
        """Who has signed and who could."""
        done = ", ".join(spoken(key) for key in self.signed) or "nobody"
        could = [spoken(key) for key in self.keys.values() if key not in self.signed]
        more = f"; {self.missing} more of {', '.join(could)}" if self.missing and could else ""
        wish = "" if self.needed else " (wanted: without them readers are refused for a moment)"
        return f"{self.role} by {self.by}: {len(self.signed)} of {self.threshold}, {done}{more}{wish}"


@dataclass(frozen=True, slots=True)
class Review:
    """What a holder is asked to sign, and how far it has come."""

    bundle: Bundle
    present: Present | None
    lines: tuple[str, ...]
    flags: tuple[str, ...]
    demands: tuple[Demand, ...]
    entries: tuple[Entry, ...]

    @property
    def complete(self) -> bool:
        """Whether all that must sign have signed."""
        return not self.flags and not any(demand.missing for demand in self.demands if demand.needed)

    def screen(self) -> list[str]:
        """For reading aloud and on a screen before signing."""
        return [
            f"fingerprint of this ceremony: {spaced(self.bundle.fingerprint)}",
            *self.lines,
            *(f"!! {flag}" for flag in self.flags),
        ]


def spaced(digest: str) -> str:
    """A hash in groups of four, as people read it aloud."""
    return " ".join(digest[start : start + 4] for start in range(0, len(digest), 4))


def review(bundle: Bundle, trusted_root: bytes | None, now: datetime) -> Review:
    """Judge a ceremony file from one's own root; None only for the very first ceremony.

    Raises:
        VerificationFailed: the evidence does not hold, or a first root comes to somebody who has one.
        StaleStage: the world has moved on: what it starts from is not what one's root leads to.
    """
    if not bundle.parts:
        raise VerificationFailed("This ceremony file asks for nothing to be signed.")
    return judge(bundle, _present(bundle, trusted_root), now)


def judge(bundle: Bundle, present: Present | None, now: datetime) -> Review:
    """Judge a ceremony against what is signed now; None: nothing is. Raises VerificationFailed."""
    found = changes(bundle, present, now)
    demands = tuple(_demands(bundle, present))
    lines = (*_standing(present, now), *found.lines)
    return Review(
        bundle, present, lines, (*found.flags, *_strays(bundle, demands)), demands, _entries(bundle, demands)
    )


def _present(bundle: Bundle, trusted_root: bytes | None) -> Present | None:
    root = bundle.root()
    first = root is not None and root.version == 1
    if trusted_root is None:
        if not first:
            raise VerificationFailed(
                "This is not a first ceremony, so your own root.json is needed to judge it.",
                hint="Give it with --root; take it from the first ceremony's people, not from this file.",
            )
        return None
    if first:
        raise VerificationFailed(
            "This would be a first root, and you hold a root already.",
            hint="Do not sign. Find out who wants to replace your repository.",
        )
    present = present_in(bundle.evidence, trusted_root)
    if root is not None and root.version <= present.root.version:
        raise StaleStage(
            f"This wants to sign root {root.version}; yours is {present.root.version}.",
            hint="Prepare the ceremony again from what is published now.",
        )
    return present


def _standing(present: Present | None, now: datetime) -> Iterator[str]:
    if present is None:
        yield "This is the first root. Compare the fingerprint with every other holder, aloud."
        return
    yield f"Compared with root {present.root.version}, which follows from your own root."
    if present.targets is None:
        return
    if present.seen_until is None:
        yield "! No timestamp vouches that this is the newest state: ask the others what they signed last."
    elif now - present.seen_until > OLD_EVIDENCE:
        yield f"! The evidence is old: its timestamp ran out on {present.seen_until:%Y-%m-%d}."


def _demands(bundle: Bundle, present: Present | None) -> Iterator[Demand]:
    root = bundle.root() or (present.root if present else None)
    if root is None:
        return
    before = present.root if present else None
    if ROOT in bundle.parts:
        if before is not None:
            yield _demand(bundle, ROOT, before, f"the holders of root {before.version}")
        if before is None or _differs(before, root, ROOT):
            yield _demand(bundle, ROOT, root, f"the holders of root {root.version}")
    if TARGETS in bundle.parts:
        yield _demand(bundle, TARGETS, root, f"the targets holders of root {root.version}")
        if before is not None and present and present.targets and _differs(before, root, TARGETS):
            yield _demand(
                bundle, TARGETS, before, f"the targets holders of root {before.version}", needed=False
            )
    targets = bundle.targets(TARGETS) or (present.targets if present else None)
    for role in sorted(set(bundle.parts) - {ROOT, TARGETS}):
        if targets is not None and role in delegated(targets):
            yield _demand(bundle, role, targets, "its holders")


def _differs(before: Root, after: Root, role: str) -> bool:
    old, new = before.roles[role], after.roles[role]
    return (set(old.keyids), old.threshold) != (set(new.keyids), new.threshold)


def _demand(bundle: Bundle, role: str, delegator: Root | Targets, by: str, *, needed: bool = True) -> Demand:
    seats = delegator.get_delegated_role(role)
    held = delegator.keys if isinstance(delegator, Root) else _delegated_keys(delegator)
    keys = {keyid: held[keyid] for keyid in seats.keyids if keyid in held}
    signed: dict[bytes, Key] = {}
    for keyid, key in keys.items():
        if _holds(bundle.parts[role], key, bundle.parts[role].signatures.get(keyid)):
            signed.setdefault(key_material(key), key)
    return Demand(role, by, seats.threshold, keys, tuple(signed.values()), needed)


def _delegated_keys(targets: Targets) -> dict[str, Key]:
    return targets.delegations.keys if targets.delegations else {}


def _holds(part: People, key: Key, signature: Signature | None) -> bool:
    if signature is None:
        return False
    try:
        key.verify_signature(signature, part.signed_bytes)
    except (UnverifiedSignatureError, ValueError):
        return False
    return True


def _strays(bundle: Bundle, demands: Sequence[Demand]) -> Iterator[str]:
    """A signature that does not hold: what it was over has been changed since, or it is nobody's (S16)."""
    for role, part in bundle.parts.items():
        able = {keyid: key for demand in demands if demand.role == role for keyid, key in demand.keys.items()}
        for keyid, signature in part.signatures.items():
            if keyid not in able:
                yield f"key {keyid[:12]} signed {role} and does not count for it"
            elif not _holds(part, able[keyid], signature):
                yield (
                    f"the signature of {spoken(able[keyid])} on {role} does not hold: "
                    "it was changed after it was signed (S16)"
                )


def _entries(bundle: Bundle, demands: Sequence[Demand]) -> tuple[Entry, ...]:
    keys = {keyid: key for demand in demands for keyid, key in demand.keys.items()}
    found = [read_entry(document, bundle.fingerprint, keys) for document in bundle.transcript]
    return tuple(sorted(found, key=lambda entry: (entry.signed_at, entry.keyid)))


def sign(
    reviewed: Review, address: str, *, now: datetime, tools: str, keyid: str | None = None
) -> tuple[Bundle, Key, tuple[str, ...]]:
    """The ceremony with one more holder's signatures; whose, and on which parts.

    Raises:
        VerificationFailed: the review found a reason not to sign.
        KeyUnavailable: the address cannot be opened, or its key counts for nothing here.
        Conflict: this key has signed all that it can sign.
    """
    if reviewed.flags:
        raise VerificationFailed(
            f"Not signed: {'; '.join(reviewed.flags)}.",
            hint="Have the ceremony prepared again, and find out how this came about.",
        )
    able = {key_id: key for demand in reviewed.demands for key_id, key in demand.keys.items()}
    signer = open_signer(address, able.values(), keyid)
    key = able[signer.public_key.keyid]
    open_parts = {
        demand.role for demand in reviewed.demands if key.keyid in demand.keys and key not in demand.signed
    }
    if not open_parts:
        raise Conflict(f"{spoken(key)} has signed all that it can sign here.", hint="Hand the file on.")
    parts: dict[str, People] = dict(reviewed.bundle.parts)
    for role in sorted(open_parts):
        part = decode_people(encode_people(parts[role]), role)
        try:
            signature = signer.sign(part.signed_bytes)
            key.verify_signature(signature, part.signed_bytes)
        except Exception as error:  # adapters raise what their libraries raise
            raise KeyUnavailable(f"The key at {address} could not sign {role}.") from error
        part.signatures[key.keyid] = signature
        parts[role] = part
    shown = sha256_hex("\n".join(reviewed.screen()).encode())
    entry = entry_of(reviewed.bundle.fingerprint, key, sorted(open_parts), shown, now, tools)
    transcript = (*reviewed.bundle.transcript, sign_entry(entry, signer))
    return Bundle(parts, reviewed.bundle.evidence, transcript), key, tuple(sorted(open_parts))


def signers(reviewed: Review) -> tuple[str, ...]:
    """The people who signed, by name or key."""
    keys = {key.keyid: key for demand in reviewed.demands for key in demand.signed}
    return tuple(sorted(holder_of(key) or keyid[:12] for keyid, key in keys.items()))
