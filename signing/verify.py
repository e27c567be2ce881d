"""The last look before an update leaves, in the node that holds the socket (S22 to S26, S32).

Signed metadata, directive and vendor signature must all agree; then, and only then, there is something to
send. This code holds no key and cannot write. ``judge`` is the whole verdict as a pure function.
"""

from dataclasses import dataclass

from signing.directive import check_directive, check_release, open_envelope
from signing.errors import NotInRelease, UnknownDirectiveKey, VendorSignatureBad, VerificationFailed
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
        except (NotInRelease, UnknownDirectiveKey):
            # Released or rotated a moment ago? Look once more, unless we have only just looked.
            newer = await self._source.newer(trust, request.now)
            if newer is None:
                raise
            return await self._verify(newer, request)

    async def _verify(self, trust: Trust, request: DispatchRequest) -> VerifiedDispatch:
        authorised = authorise(trust, request)
        release = await self._source.release(trust, authorised.directive.target_path)
        return judge(trust, authorised, release, request)


def authorise(trust: Trust, request: DispatchRequest) -> Authorised:
    """The directive, signed by a key that people listed, and covering this charger now. Pure."""
    directive, keyid = open_envelope(request.directive, trust.policy.directive_keys)
    check_directive(directive, request)
    return Authorised(directive, keyid)


def judge(
    trust: Trust, authorised: Authorised, release: Release, request: DispatchRequest
) -> VerifiedDispatch:
    """Release, directive, model and vendor signature agree, or VerificationFailed. Pure."""
    trust.check_unexpired(request.now, release.role)
    check_release(authorised.directive, release)
    if not release.fits(request.vendor, request.model, request.hardware_revision):
        raise VerificationFailed(
            f"{release.path} is not for {request.vendor} {request.model}, "
            f"hardware {request.hardware_revision or 'unknown'} (S26).",
            hint="Only what people signed for this model and revision is sent.",
        )
    proof, extra = _vendor_proof(trust, release, request)
    evidence = trust.evidence(release.role) | extra
    evidence |= {
        "directive_id": authorised.directive.directive_id,
        "directive_keyid": authorised.keyid,
        "target_path": release.path,
        "sha256": release.sha256,
        "verified_at": request.now.isoformat(),
        "metadata_read_at": trust.at.isoformat(),
    }
    subjects = certificate_subjects(proof.certificate) if proof else ()
    return VerifiedDispatch(authorised.directive, proof, evidence, subjects)


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
    if request.unsafe_unsigned_waiver:
        return None, {"unsigned_waiver": request.unsafe_unsigned_waiver}
    if proof is None:
        raise VendorSignatureBad(
            f"{release.path} has no {request.scheme.value} signature for {request.vendor} {request.model}.",
            hint="Upload and release it with a vendor signature of the model's scheme.",
        )
    raise VerificationFailed(
        f"{request.charger_id} takes no signed update, and {request.model} has no waiver for another (S37).",
        hint="Give the model a waiver only if its maker offers no signed update.",
    )
