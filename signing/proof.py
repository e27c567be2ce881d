"""What an outsider can prove of a repository, an image and a directive, from a pinned root alone.

No database, no account, no word of a server: bytes, a root that people handed over, and a clock. It is the
same judgement as the node's before it sends (``signing.verify``), told in full.
"""

import json
from dataclasses import dataclass
from datetime import datetime

from signing.directive import (
    check_approvals,
    check_release,
    check_window,
    open_envelope,
    parse_directive,
    payload_of,
    shape_problems,
)
from signing.errors import DirectiveRefused, NotInRelease
from signing.lint import refuse_if
from signing.release import Release
from signing.trust import RoleProof, Trust
from signing.trust_source import Fetch, load_role, load_trust
from signing.vendor_signature import certificate_fingerprint, verify_vendor_signature
from storage.campaign import Directive, SignedDirective


@dataclass(frozen=True, slots=True)
class Image:
    """A file as it was measured."""

    sha256: str
    length: int


@dataclass(frozen=True, slots=True)
class ReleaseProof:
    """A release that the listed people signed, and whose vendor signatures hold."""

    release: Release
    signed_by: tuple[str, ...]
    vendor: tuple[tuple[str, str], ...]
    """(scheme, SHA-256 of the certificate) of each vendor signature."""


@dataclass(frozen=True, slots=True)
class DirectiveProof:
    """A directive for a release, by a listed key."""

    directive: Directive
    keyid: str
    people: tuple[str, ...]
    """Whose own signatures are inside; () where the signed policy lists no approvers."""


@dataclass(frozen=True, slots=True)
class Proof:
    """Everything that holds."""

    roles: tuple[RoleProof, ...]
    releases: tuple[Release, ...]
    release: ReleaseProof | None = None
    directive: DirectiveProof | None = None


async def prove(
    fetch: Fetch, pinned_root: bytes, now: datetime, *, image: Image | None = None, envelope: bytes = b""
) -> Proof:
    """All roles, unexpired; the image, if one is given, among the releases; the directive for such a release.

    Raises:
        VerificationFailed: or one of its kinds, with the reason.
        RepositoryUnreachable: a file could not be had; that proves nothing either way.
    """
    trust = await load_trust(fetch, pinned_root, now)
    for role in trust.roles():
        await load_role(fetch, trust, role)
    trust.check_unexpired(now, *trust.roles())
    listed = tuple(release for role in trust.roles() for release in trust.releases(role))
    directive = _directive(trust, listed, envelope, now) if envelope else None
    release = None
    if image is not None:
        release = _by_image(listed, image)
    if directive is not None:
        # The very release that it directs: two vendors may have released the same bytes.
        release = next(one for one in listed if one.path == directive.directive.target_path)
        if image is not None and directive.directive.sha256 != image.sha256:
            raise DirectiveRefused("The directive is for another image than this file.")
    proven = None if release is None else _release(trust, release, now)
    return Proof(trust.role_proofs(), listed, proven, directive)


def _by_image(listed: tuple[Release, ...], image: Image) -> Release:
    for release in listed:
        if (release.sha256, release.length) == (image.sha256, image.length):
            return release
    raise NotInRelease(
        f"No signed release has this file (SHA-256 {image.sha256}, {image.length} bytes).",
        hint="It was never released, it was changed, or its release has been withdrawn.",
    )


def _release(trust: Trust, release: Release, now: datetime) -> ReleaseProof:
    roots = trust.policy.roots_of(release.role)
    for proof in release.vendor_signatures:
        verify_vendor_signature(proof, bytes.fromhex(release.sha256), now, roots)
    vendor = tuple(
        (proof.scheme.value, certificate_fingerprint(proof.certificate))
        for proof in release.vendor_signatures
    )
    signers = next(one.signed_by for one in trust.role_proofs() if one.role == release.role)
    return ReleaseProof(release, signers, vendor)


def _directive(trust: Trust, listed: tuple[Release, ...], envelope: bytes, now: datetime) -> DirectiveProof:
    claimed = parse_directive(payload_of(envelope))
    names = (claimed.directive_id, claimed.campaign_id, claimed.wave)
    directive, keyid = open_envelope(SignedDirective(*names, 0, envelope), trust.policy.directive_keys)
    refuse_if(shape_problems(directive), f"directive {directive.directive_id}")
    people = check_approvals(directive, trust.policy, now)
    release = next((one for one in listed if one.path == directive.target_path), None)
    if release is None:
        raise NotInRelease(f"The directive is for {directive.target_path!r}, which nobody released.")
    check_release(directive, release)
    check_window(directive, now)
    return DirectiveProof(directive, keyid, people)


def stored_envelope(data: bytes) -> bytes:
    """The envelope in a file: as it is, or as the api hands it out (``{"envelope": {...}}``)."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return data
    inner = found.get("envelope") if isinstance(found, dict) else None
    return json.dumps(inner).encode() if isinstance(inner, dict) else data
