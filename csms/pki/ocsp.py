"""OCSP (RFC 6960): the question, and whether an answer may be believed. Pure; ``ocsp_client`` asks."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from csms.pki.certificates import UNREADABLE

MAX_CACHE = timedelta(days=7)
"""As long as a charger may keep one (OCPP 2.0.1 M06.FR.10)."""
UNDATED_CACHE = timedelta(minutes=5)
"""How long an answer counts that does not say when there will be news."""
CLOCK_SLACK = timedelta(minutes=2)
_HASHES = frozenset({"sha256", "sha384", "sha512"})


class OcspStatus(StrEnum):
    """What the responder says of the certificate."""

    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    """The responder's authority issued no such certificate."""


@dataclass(frozen=True, slots=True)
class OcspQuestion:
    """Which certificate, and the number that ties the answer to this question."""

    issuer: x509.Certificate
    serial_number: int
    nonce: bytes


@dataclass(frozen=True, slots=True)
class OcspAnswer:
    """An answer that may be believed until a time."""

    status: OcspStatus
    until: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OcspUnusable:
    """No answer that may be believed, and why."""

    reason: str


def _identity_hash() -> hashes.HashAlgorithm:
    """SHA-1 names the issuer here, it protects nothing; every responder knows it (RFC 5019 section 2.1.1)."""
    return hashes.SHA1()  # noqa: S303


def issuer_hashes(issuer: x509.Certificate) -> tuple[bytes, bytes]:
    """Of the issuer's name and of its key, as a CertID has them (RFC 6960 section 4.1.1)."""
    digest = hashes.Hash(_identity_hash())
    digest.update(issuer.subject.public_bytes())
    return digest.finalize(), x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest


def request_for(question: OcspQuestion) -> bytes:
    """The request, DER."""
    name_hash, key_hash = issuer_hashes(question.issuer)
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        name_hash, key_hash, question.serial_number, _identity_hash()
    )
    builder = builder.add_extension(x509.OCSPNonce(question.nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def judge_response(data: bytes, question: OcspQuestion, at: datetime) -> OcspAnswer | OcspUnusable:
    """What a response says, if it is signed by who may, answers this question and is in time."""
    try:
        response = ocsp.load_der_ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return OcspUnusable(f"the responder said {response.response_status.name}")
        fault = _signature_fault(response, question.issuer, at) or _nonce_fault(response, question)
        if fault:
            return OcspUnusable(fault)
        single = next((each for each in response.responses if _is_about(each, question)), None)
        if single is None:
            return OcspUnusable("the response is about another certificate")
        return _in_time(single, at)
    except UNREADABLE as error:
        return OcspUnusable(f"the response cannot be read: {type(error).__name__}")


def _is_about(single: ocsp.OCSPSingleResponse, question: OcspQuestion) -> bool:
    name_hash, key_hash = issuer_hashes(question.issuer)
    return (
        single.serial_number == question.serial_number
        and single.hash_algorithm.name == _identity_hash().name
        and single.issuer_name_hash == name_hash
        and single.issuer_key_hash == key_hash
    )


def _in_time(single: ocsp.OCSPSingleResponse, at: datetime) -> OcspAnswer | OcspUnusable:
    if single.this_update_utc > at + CLOCK_SLACK:
        return OcspUnusable("the response is from the future")
    until = single.next_update_utc or single.this_update_utc + UNDATED_CACHE
    if until < at:
        return OcspUnusable("the response is out of date")
    until = min(until, at + MAX_CACHE)
    match single.certificate_status:
        case ocsp.OCSPCertStatus.GOOD:
            return OcspAnswer(OcspStatus.GOOD, until)
        case ocsp.OCSPCertStatus.REVOKED:
            when = single.revocation_time_utc
            return OcspAnswer(OcspStatus.REVOKED, until, f"revoked on {when:%Y-%m-%d %H:%M} UTC")
    return OcspAnswer(OcspStatus.UNKNOWN, until, "the responder knows no such certificate")


def _nonce_fault(response: ocsp.OCSPResponse, question: OcspQuestion) -> str:
    """Responders may leave it out (RFC 6960 section 4.4.1, RFC 5019); an echo must be ours."""
    try:
        echoed = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return ""
    return "" if echoed == question.nonce else "the response answers another question (nonce)"


def _signature_fault(response: ocsp.OCSPResponse, issuer: x509.Certificate, at: datetime) -> str:
    """RFC 6960 section 4.2.2.2: the issuer itself signs, or whom it certified for this very purpose."""
    if _names(response, issuer):
        return "" if _signed_by(response, issuer) else "the signature of the response does not hold"
    for responder in response.certificates:
        if _names(response, responder):
            fault = _responder_fault(responder, issuer, at)
            return fault or ("" if _signed_by(response, responder) else "the signature does not hold")
    return "the response was signed by a stranger"


def _names(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    return response.responder_key_hash == issuer_hashes(certificate)[1]


def _responder_fault(responder: x509.Certificate, issuer: x509.Certificate, at: datetime) -> str:
    try:
        responder.verify_directly_issued_by(issuer)
        usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, ValueError, TypeError, x509.ExtensionNotFound):
        return "the responder was not authorised by the certificate's issuer"
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
        return "the responder's certificate is not for OCSP"
    if not responder.not_valid_before_utc <= at <= responder.not_valid_after_utc:
        return "the responder's certificate is out of date"
    return ""


def _signed_by(response: ocsp.OCSPResponse, signer: x509.Certificate) -> bool:
    used, key = response.signature_hash_algorithm, signer.public_key()
    if used is None or used.name not in _HASHES:
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(response.signature, response.tbs_response_bytes, padding.PKCS1v15(), used)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(used))
        else:
            return False
    except InvalidSignature:
        return False
    return True
