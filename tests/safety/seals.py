"""Seals in place of signatures: everything else that a proof asks of directive and release is asked."""

from collections.abc import AsyncIterator

from signing.directive import (
    check_directive,
    check_progress,
    check_release,
    directive_payload,
    parse_directive,
)
from signing.errors import VerificationFailed, WrongHardware
from signing.ports import DispatchRequest, VerifiedDispatch
from signing.release import Release
from storage.artifact import Artifact, ArtifactPhase, Compatible, VendorSignature
from storage.campaign import Directive, SignedDirective
from storage.canonical import sha256_hex
from storage.charger import SignatureScheme
from tests.safety.clockwork import START
from tests.safety.station import MODEL, SLOW_MODEL, VENDOR

SEAL = b"sealed:"


class Verifier:
    """``signing.verify`` without the signatures: all that is asked of directive and release otherwise."""

    def __init__(self, releases: dict[str, Release]) -> None:
        self._releases = releases

    async def verify(self, request: DispatchRequest) -> VerifiedDispatch:
        signed = request.directive
        if not signed.envelope.startswith(SEAL):
            raise VerificationFailed("No listed key signed this directive.")
        directive = parse_directive(signed.envelope.removeprefix(SEAL))
        check_directive(directive, request)
        release = self._releases.get(directive.target_path)
        if release is None:
            raise VerificationFailed("It is in no signed release.")
        check_release(directive, release)
        if not release.fits(request.vendor, request.model, request.hardware_revision):
            raise WrongHardware("It is not for this model.")
        check_progress(directive, request.installed_counter, 0)
        evidence: dict[str, str | int] = {"directive_id": directive.directive_id}
        return VerifiedDispatch(directive, release.signature_for(request.scheme), evidence, ())


class Signer:
    """Seals what the real activity decided to sign."""

    async def sign_directive(self, directive: Directive, shard: int) -> SignedDirective:
        payload = SEAL + directive_payload(directive)
        return SignedDirective(directive.directive_id, directive.campaign_id, directive.wave, shard, payload)


def artifact_id_of(version: str) -> str:
    return sha256_hex(version.encode())


def image(version: str, counter: int) -> Artifact:
    return Artifact(
        artifact_id=artifact_id_of(version),
        vendor_role="voltworks",
        version=version,
        release_counter=counter,
        length=1000,
        compatible=(Compatible(VENDOR, MODEL), Compatible(VENDOR, SLOW_MODEL)),
        vendor_signatures=(VendorSignature(SignatureScheme.ECDSA_P256, "c2ln", "PEM"),),
        phase=ArtifactPhase.RELEASED,
        uploaded_by="ada",
        uploaded_at=START,
    )


class Images:
    """The bytes of an image: its version stands for them, and its id is the hash of that."""

    def read(self, artifact_id: str) -> AsyncIterator[bytes]:
        """Of one of ours."""
        return self._read(artifact_id)

    @staticmethod
    async def _read(artifact_id: str) -> AsyncIterator[bytes]:
        for version in ("1.0", "1.1", "1.2"):
            if artifact_id_of(version) == artifact_id:
                yield version.encode()
