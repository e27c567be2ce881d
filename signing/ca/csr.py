"""Is this signing request this charger's, and fit to be signed? Every reason against it (S53). Pure.

OCPP 2.0.1 A00.FR.405, 509-511, A02; keys: A00.FR.502, 503. The socket proved who asks; this judges whether
what is asked for is that charger's name, for a key that is worth it, and nothing more.
"""

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from signing.ca.ports import Applicant, CsrJudgement

MAX_CHARACTERS = 5500
"""Of the PEM (OCPP 2.0.1 SignCertificateRequest)."""
MIN_RSA_BITS, MAX_RSA_BITS = 2048, 8192
CURVES = {"secp256r1", "secp384r1", "secp521r1"}
_HASHES = {"sha256", "sha384", "sha512"}
_BEGIN = "-----BEGIN CERTIFICATE REQUEST-----"
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)


@dataclass(frozen=True, slots=True)
class CsrPolicy:
    """What else must hold in this deployment."""

    organizations: tuple[str, ...] = ()
    """One of these must be the request's organization (A00.FR.509); none: whatever it says, or nothing."""


def judge_csr(pem: str, applicant: Applicant, policy: CsrPolicy) -> CsrJudgement:
    """Everything that is wrong with it, not only the first thing."""
    if len(pem) > MAX_CHARACTERS:
        return CsrJudgement((f"it has {len(pem)} characters; {MAX_CHARACTERS} at most",))
    if pem.count(_BEGIN) != 1:
        return CsrJudgement(("it is not one signing request in PEM",))
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
        # The key first: to check a signature of a far too long one takes long as well.
        unfit = list(_key_problems(key))
        problems = [*unfit, *([] if unfit else _signature_problems(request))]
        name, organization = _one(request, NameOID.COMMON_NAME), _one(request, NameOID.ORGANIZATION_NAME)
        problems += [*_name_problems(request, name, applicant), *_org_problems(request, organization, policy)]
        asked, ignored = _extensions(request)
        digest = hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    except _UNREADABLE as error:
        return CsrJudgement((f"it cannot be read as a signing request: {type(error).__name__}",))
    return CsrJudgement(
        (*problems, *asked), name or "", organization or "", digest.hexdigest(), tuple(ignored)
    )


def _key_problems(key: object) -> Iterator[str]:
    match key:
        case rsa.RSAPublicKey():
            if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
                yield f"its key is RSA {key.key_size}; {MIN_RSA_BITS} to {MAX_RSA_BITS} bits are taken"
            elif key.public_numbers().e < 65537:
                yield f"its RSA key has the exponent {key.public_numbers().e}; 65537 at least"
        case ec.EllipticCurvePublicKey():
            if key.curve.name not in CURVES:
                yield f"its key is on {key.curve.name}; {', '.join(sorted(CURVES))} are taken"
        case _:
            yield "its key is neither RSA nor EC"


def _signature_problems(request: x509.CertificateSigningRequest) -> Iterator[str]:
    used = request.signature_hash_algorithm
    if used is None or used.name not in _HASHES:
        yield f"its signature uses {used.name if used else 'no known hash'}, which is too weak"
    if not request.is_signature_valid:
        yield "its signature is not that of its key: whoever asks does not hold the key"


def _one(request: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier) -> str | None:
    found = request.subject.get_attributes_for_oid(oid)
    value = found[0].value if len(found) == 1 else None
    return value if isinstance(value, str) else None


def _name_problems(
    request: x509.CertificateSigningRequest, name: str | None, applicant: Applicant
) -> Iterator[str]:
    if name is None or not name.strip():
        count = len(request.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
        yield f"its subject has {count or 'no'} common names; one is needed"
        return
    if _is_place(name):
        # A00.FR.510, 511: names of servers are for the CSMS; a charger's is its serial number.
        yield f"its common name {name[:60]!r} is an address, not a serial number"
    known = [each for each in (applicant.serial_number, applicant.charger_id) if each]
    if name not in known:
        yield f"its common name is {name[:60]!r}, and the charger that asks is {' or '.join(known)}"
    elif applicant.namesakes:
        # One certificate would speak for two chargers (F36).
        yield f"its common name is also that of {', '.join(applicant.namesakes[:3])}"


def _is_place(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return "://" in name or "/" in name
    return True


def _org_problems(
    request: x509.CertificateSigningRequest, organization: str | None, policy: CsrPolicy
) -> Iterator[str]:
    count = len(request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    if count > 1:
        yield f"its subject has {count} organizations; one is needed"
    elif policy.organizations and organization not in policy.organizations:
        wanted = " or ".join(repr(each) for each in policy.organizations)
        said = f"is {organization[:60]!r}" if organization else "is missing"
        yield f"its organization {said}, and {wanted} is needed (OrganizationName, CpoName)"


def _extensions(request: x509.CertificateSigningRequest) -> tuple[Sequence[str], Sequence[str]]:
    """(what it must not ask for, what it does not get): our profile decides what is in a certificate."""
    problems, ignored = [], []
    for extension in request.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            problems.append("it asks to be an authority (CA:TRUE)")
        elif isinstance(value, x509.KeyUsage) and (value.key_cert_sign or value.crl_sign):
            problems.append("it asks to sign certificates or lists, as an authority does")
        else:
            ignored.append(getattr(extension.oid, "_name", "") or extension.oid.dotted_string)
    return problems, ignored
