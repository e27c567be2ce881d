"""What can go wrong with signatures; every one of them means: nothing is sent.

SigningError
├── VerificationFailed       bytes, metadata, directive or vendor signature do not hold
│   ├── MetadataExpired      timestamp, snapshot or another role is past its expiry
│   ├── NotInRelease         the target is not in the signed metadata
│   ├── WrongHardware        the release is not for this vendor, model or revision
│   ├── UnsignedRefused      it takes no signed update, and people signed no waiver for its model
│   ├── DirectiveRefused     the directive does not cover this charger, image or time
│   │   ├── UnknownDirectiveKey  it is signed by no key that the signed metadata lists
│   │   ├── ApprovalRefused      too few listed people signed that this is to be sent, or not this
│   │   ├── DowngradeRefused     it would go back, and nobody may or did authorise that
│   │   ├── DirectiveSpent       it was used on this charger before, or one signed later was
│   │   └── DirectiveNotInTime   all else holds, but it is not valid yet or not any more: have one signed anew
│   ├── CertificateRefused   a charger's certificate is not issued
│   └── VendorSignatureBad   the vendor's signature or certificate does not hold
├── RepositoryUnreachable    metadata could not be fetched; retryable, and until then nothing is sent
│   └── ClockRefused         this machine's clock went back, or is behind what has been signed
├── LedgerUnwritable         the use of a directive cannot be written down; retryable, nothing is sent
├── StaleStage               another release was published first: stage and sign again
├── PolicyUnreadable         the evidence policy cannot be used; retryable, nothing is staged until then
├── AuthorityBusy            an outside authority has not decided yet; retryable, when it says
├── TooHasty                 a key was asked to sign more often than it may; retryable, later
└── KeyUnavailable           a key address cannot be opened; retryable, for a key store may come back
"""

from typing import ClassVar

from storage.errors import AmpwaveError


class SigningError(AmpwaveError):
    """The root of what can go wrong with signatures."""


class VerificationFailed(SigningError):
    """Bytes, metadata, directive or vendor signature do not hold."""


class MetadataExpired(VerificationFailed):
    """A role's metadata is past its expiry."""


class NotInRelease(VerificationFailed):
    """The target is not in the signed metadata."""


class DirectiveRefused(VerificationFailed):
    """The directive does not cover this charger, image or time."""


class WrongHardware(VerificationFailed):
    """The release is not for this vendor, model or revision (S26)."""


class UnsignedRefused(VerificationFailed):
    """The charger takes no signed update, and people signed no waiver for its model (S37)."""


class ApprovalRefused(DirectiveRefused):
    """Too few of the people that signed metadata lists signed for this campaign, digest and image (S24)."""


class DowngradeRefused(DirectiveRefused):
    """The release counter would go back without authority, or below the model's minimum (S25)."""


class DirectiveSpent(DirectiveRefused):
    """This node has used it on this charger, or one that was signed later (S24)."""


class UnknownDirectiveKey(DirectiveRefused):
    """The directive is signed by no key that the signed metadata lists."""


class DirectiveNotInTime(DirectiveRefused):
    """All else about the directive holds, but its window has not begun or is over.

    No attack and no mistake of the release: another directive can be signed, so nobody has to stop.
    """


class VendorSignatureBad(VerificationFailed):
    """The vendor's signature or certificate does not hold."""


class CertificateRefused(VerificationFailed):
    """A charger's certificate is not issued (S53)."""


class AuthorityBusy(SigningError):
    """An outside authority has not decided yet, or cannot be reached (RFC 7030 section 4.2.3)."""

    retryable: ClassVar[bool] = True

    def __init__(self, message: str, *, retry_after_s: float = 60.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RepositoryUnreachable(SigningError):
    """Metadata could not be fetched; until it can, nothing is sent."""

    retryable: ClassVar[bool] = True


class ClockRefused(RepositoryUnreachable):
    """The clock went back, or is behind what has been signed (S31). Retryable: somebody sets it right."""


class LedgerUnwritable(SigningError):
    """The use of a directive cannot be written down, so nothing is sent. Retryable: somebody makes room."""

    retryable: ClassVar[bool] = True


class StaleStage(SigningError):
    """Another release was published first: stage and sign again."""


class PolicyUnreadable(SigningError):
    """The operator's evidence policy cannot be used. Retryable: the file can be mended."""

    retryable = True


class TooHasty(SigningError):
    """A key was asked to sign more often than it may (S64)."""

    retryable: ClassVar[bool] = True


class KeyUnavailable(SigningError):
    """A key address cannot be opened. Retryable: the token, the mount or the key service may come back."""

    retryable: ClassVar[bool] = True
