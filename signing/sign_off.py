"""What a person does, offline, before putting a key to a release (S15).

The command line fetches the staged bytes and the evidence from the server and believes neither: the
evidence is verified from the person's own ``root.json``, the change is computed here from the bytes that
will be signed, and anything but one added image is flagged and refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from securesystemslib.signer import Key

from signing.errors import KeyUnavailable, StaleStage, VerificationFailed
from signing.keys import open_signer
from signing.metadata import decode_payload
from signing.release import Release
from signing.roles import ROOT, SNAPSHOT, TARGETS, check_vendor_role, metadata_file, rule_for
from signing.step import Step, compare
from signing.strict_json import read_object
from signing.trust_source import MAX_ROOT_ROTATIONS, Fetch, load_role, load_trust
from signing.vendor_signature import certificate_fingerprint, vendor_signature_problems
from storage.canonical import sha256_hex
from storage.errors import InvalidInput, NotFound

_MAX_TIMESTAMP = 16_384


@dataclass(frozen=True, slots=True)
class Review:
    """What a person is asked to sign, computed from the bytes themselves."""

    payload: bytes
    sha256: str
    step: Step
    keys: tuple[Key, ...]
    """The keys that count for the role, from signed metadata."""
    threshold: int
    flags: tuple[str, ...]
    """Reasons not to sign. Empty: one new image, nothing else."""

    def lines(self) -> list[str]:
        """For reading on a screen before signing."""
        head = f"{self.step.role} version {self.step.version}, valid until {self.step.expires:%Y-%m-%d}"
        lines = [head, f"bytes to sign: sha256 {self.sha256}", f"signatures needed: {self.threshold}"]
        for release in self.step.added:
            lines += _release_lines(release)
        return lines + [f"!! {flag}" for flag in self.flags]


async def collect_evidence(fetch: Fetch, role: str) -> dict[str, bytes]:
    """The metadata files a reviewer needs, by name; for a server to hand out.

    No signature is verified here. Still nothing of another form is followed: names of files are made of it.
    Raises VerificationFailed, and InvalidName for a role that is none.
    """
    check_vendor_role(role)
    evidence: dict[str, bytes] = {}

    async def take(name: str, limit: int) -> bytes:
        evidence[name] = await fetch(name, limit)
        return evidence[name]

    for version in range(1, MAX_ROOT_ROTATIONS + 2):
        try:
            await take(metadata_file(ROOT, version), rule_for(ROOT).max_bytes)
        except NotFound:
            break
    else:
        raise VerificationFailed(f"There are more than {MAX_ROOT_ROTATIONS} roots.")
    listed = _listed(await take("timestamp.json", _MAX_TIMESTAMP), "timestamp.json")
    if SNAPSHOT not in listed:
        raise VerificationFailed("timestamp.json names no snapshot.")
    limit = rule_for(SNAPSHOT).max_bytes
    snapshot = metadata_file(SNAPSHOT, listed[SNAPSHOT])
    listed = _listed(await take(snapshot, limit), snapshot)
    for name in (TARGETS, role):
        if name in listed:
            await take(metadata_file(name, listed[name]), rule_for(name).max_bytes)
    return evidence


def _listed(data: bytes, what: str) -> dict[str, int]:
    """The versions that a timestamp or a snapshot lists, by role. Raises VerificationFailed."""
    try:
        signed = read_object(data, what, limit=len(data)).get("signed")
        meta = signed["meta"] if isinstance(signed, dict) else None
        return {name.removesuffix(".json"): _version(one) for name, one in meta.items()}  # type: ignore[union-attr]
    except (InvalidInput, KeyError, TypeError, AttributeError, ValueError) as error:
        raise VerificationFailed(f"{what} is no TUF metadata that lists versions.") from error


def _version(listed: Any) -> int:
    version = listed["version"]
    if type(version) is not int or version < 1:
        raise ValueError("a version is a whole number from 1 on")
    return version


async def review(
    role: str, payload: bytes, evidence: Mapping[str, bytes], trusted_root: bytes, now: datetime
) -> Review:
    """Compare the staged bytes with the released version before them.

    Raises:
        VerificationFailed: the evidence does not hold, or the bytes are not canonical TUF metadata.
        RepositoryUnreachable: a file of the evidence is missing.
        StaleStage: the bytes do not follow the version that is released now.
    """
    fetch = _fetch_from(evidence)
    trust = await load_trust(fetch, trusted_root, now)
    await load_role(fetch, trust, role)
    following = decode_payload(payload)
    current = trust.role(role)
    if following.version != current.version + 1:
        raise StaleStage(
            f"The staged bytes are version {following.version} of {role}; {current.version} is released.",
            hint="Ask for it again with `ampwave artifact sign`: it has it staged again where that is due.",
        )
    step = compare(role, current, following, now)
    roots = trust.policy.roots_of(role)
    flags = [*step.problems]
    for release in step.added:
        for proof in release.vendor_signatures:
            flags += vendor_signature_problems(proof, bytes.fromhex(release.sha256), now, roots)
    delegated = trust.targets.get_delegated_role(role)
    keys = tuple(trust.targets.get_key(keyid) for keyid in delegated.keyids)
    return Review(payload, sha256_hex(payload), step, keys, delegated.threshold, tuple(flags))


def sign(reviewed: Review, address: str, keyid: str | None = None) -> tuple[str, str]:
    """(key id, signature in hex) by the key at ``address``, over exactly the bytes reviewed.

    Raises:
        VerificationFailed: the review found something other than one added image.
        KeyUnavailable: the address cannot be opened, or is no key of this role.
    """
    if reviewed.flags:
        raise VerificationFailed(
            f"Not signed, because this is not a plain next release: {'; '.join(reviewed.flags)}.",
            hint="Have the release staged again, and tell your security people if it happens twice.",
        )
    signer = open_signer(address, reviewed.keys, keyid)
    try:
        signature = signer.sign(reviewed.payload)
        signer.public_key.verify_signature(signature, reviewed.payload)
    except Exception as error:  # adapters raise what their libraries raise
        raise KeyUnavailable(f"The key at {address} could not sign.") from error
    return signature.keyid, signature.signature


def _fetch_from(evidence: Mapping[str, bytes]) -> Fetch:
    async def fetch(name: str, limit: int) -> bytes:
        data = evidence.get(name)
        if data is None:
            raise NotFound("metadata file", name)
        if len(data) > limit:
            raise InvalidInput(f"{name} is longer than {limit} bytes.")
        return data

    return fetch


def _release_lines(release: Release) -> list[str]:
    models = [
        f"{entry.vendor} {entry.model}"
        + (f" (hardware {', '.join(entry.hardware_revisions)})" if entry.hardware_revisions else "")
        for entry in release.compatible
    ]
    proofs = [
        f"  vendor signature {proof.scheme.value}, certificate {certificate_fingerprint(proof.certificate)}"
        for proof in release.vendor_signatures
    ]
    return [
        f"+ {release.path}",
        f"  version {release.version}, release counter {release.release_counter}",
        f"  sha256 {release.sha256}, {release.length} bytes",
        f"  for {'; '.join(models)}",
        *(proofs or ["  without a vendor signature"]),
        *(f"  {kind} {sha256}" for kind, sha256 in release.evidence),
        *([] if "sbom" in dict(release.evidence) else ["  without an SBOM: nobody listed what is in it"]),
    ]
