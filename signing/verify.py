"""The last look before an update leaves, in the node that holds the socket (S22 to S26, S32).

Signed metadata, directive and vendor signature must all agree; then, and only then, there is something to
send. This code holds no key and cannot write. ``judge`` is the whole verdict as a pure function.
"""

from dataclasses import dataclass

from signing.directive import (
    check_approvals,
    check_directive,
    check_progress,
    check_release,
    open_envelope,
)
from signing.errors import (
    ApprovalRefused,
    NotInRelease,
    UnknownDirectiveKey,
    UnsignedRefused,
    VendorSignatureBad,
    WrongHardware,
)
from signing.ports import DispatchRequest, VerifiedDispatch
from signing.release import Release
from signing.revocation import certificate_subjects
from signing.trust import Trust
from signing.trust_source import TrustSource
from signing.vendor_signature import certificate_fingerprint, verify_vendor_signature
from storage.artifact import VendorSignature
from storage.campaign import Directive


@dataclass(frozen=True, slots=True)
class Authorised:
    """A directive whose signature holds and that covers the request."""

    directive: Directive
    keyid: str
    people: tuple[str, ...]
    """Approvers whose own signatures hold; () where the signed policy lists none."""


class Verifier:
    """``signing.ports.DispatchVerifier`` over the process's one source of trust."""

    def __init__(self, source: TrustSource) -> None:
        self._source = source

    async def verify(self, request: DispatchRequest) -> VerifiedDispatch:
        """All sources agree, on metadata that is at most five minutes old.

        Raises:
            RepositoryUnreachable: the metadata cannot be read; retryable, nothing is sent until then.
            VerificationFailed: or one of its kinds, when anything does not hold.
        """
        trust = await self._source.current(request.now)
        try:
            return await self._verify(trust, request)
        except (NotInRelease, UnknownDirectiveKey, ApprovalRefused):
            # Released, rotated or enrolled a moment ago? Look once more, unless we have only just looked.
            newer = await self._source.newer(trust, request.now)
            if newer is None:
                raise
            return await self._verify(newer, request)

    async def _verify(self, trust: Trust, request: DispatchRequest) -> VerifiedDispatch:
        authorised = authorise(trust, request)
        release = await self._source.release(trust, authorised.directive.target_path)
        return judge(trust, authorised, release, request)


def authorise(trust: Trust, request: DispatchRequest) -> Authorised:
    """The directive, by a listed key, for this charger now, and approved by listed people. Pure."""
    directive, keyid = open_envelope(request.directive, trust.policy.directive_keys)
    check_directive(directive, request)
    return Authorised(directive, keyid, check_approvals(directive, trust.policy, request.now))


def judge(
    trust: Trust, authorised: Authorised, release: Release, request: DispatchRequest
) -> VerifiedDispatch:
    """Release, directive, model and vendor signature agree, or VerificationFailed. Pure."""
    trust.check_unexpired(request.now, release.role)
    check_release(authorised.directive, release)
    if request.told is not None and request.told.differs_from(request.vendor, request.model):
        raise WrongHardware(
            f"{request.charger_id} says that it is a {request.told.vendor} {request.told.model}; "
            f"our books say {request.vendor} {request.model} (S26).",
            hint="Find out which is right before anything is sent to it.",
        )
    if not release.fits(request.vendor, request.model, request.hardware_revision):
        raise WrongHardware(
            f"{release.path} is not for {request.vendor} {request.model}, "
            f"hardware {request.hardware_revision or 'unknown'} (S26).",
            hint="Only what people signed for this model and revision is sent.",
        )
    installed = _installed_counter(trust, release, request)
    model = trust.policy.of_model(request.vendor, request.model)
    check_progress(authorised.directive, installed, model.minimum_counter)
    proof, extra = _vendor_proof(trust, release, request)
    evidence = trust.evidence(release.role) | extra
    evidence |= {
        "directive_id": authorised.directive.directive_id,
        "directive_keyid": authorised.keyid,
        "approvals_signed_by": ",".join(authorised.people),
        "target_path": release.path,
        "sha256": release.sha256,
        "verified_at": request.now.isoformat(),
        "metadata_read_at": trust.at.isoformat(),
    }
    subjects = certificate_subjects(proof.certificate) if proof else ()
    return VerifiedDispatch(authorised.directive, proof, evidence, subjects)


def _installed_counter(trust: Trust, release: Release, request: DispatchRequest) -> int | None:
    """By signed metadata and by our books, whichever is higher: an edited row cannot make it lower.

    The version is looked up as the books have it and as the charger itself said on this socket.
    """
    told = request.told.firmware_version if request.told is not None else None
    versions = [version for version in (request.installed_version, told) if version is not None]
    signed = [trust.counter_of(release.role, version) for version in versions]
    return max(
        (counter for counter in (*signed, request.installed_counter) if counter is not None), default=None
    )


def _vendor_proof(
    trust: Trust, release: Release, request: DispatchRequest
) -> tuple[VendorSignature | None, dict[str, str | int]]:
    """The signature to send along, verified again; None only under the model's waiver (S32, S37)."""
    proof = release.signature_for(request.scheme)
    if proof is not None:
        roots = trust.policy.roots_of(release.role)
        verify_vendor_signature(proof, bytes.fromhex(release.sha256), request.now, roots)
    if proof is not None and request.signed_update:
        fingerprint = certificate_fingerprint(proof.certificate)
        return proof, {"scheme": proof.scheme.value, "certificate_sha256": fingerprint}
    waiver = trust.policy.of_model(request.vendor, request.model).unsafe_unsigned_waiver
    if waiver and request.unsafe_unsigned_waiver:
        # S37. Both: people signed it, and the operator has not taken it back.
        return None, {"unsigned_waiver": waiver}
    if proof is None:
        raise VendorSignatureBad(
            f"{release.path} has no {request.scheme.value} signature for {request.vendor} {request.model}.",
            hint="Upload and release it with a vendor signature of the model's scheme.",
        )
    raise UnsignedRefused(
        f"{request.charger_id} takes no signed update, and {request.model} has no signed waiver (S37).",
        hint="If its maker offers no signed update, people sign a waiver: ampwave tuf policy",
    )
