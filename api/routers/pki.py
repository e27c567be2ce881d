"""What is said of certificates to whoever asks: the revocation list and answers signed ahead (S55, S57).

For everybody, without a token: both are signed by the authority and say nothing that a certificate does not.
This process holds no key; the signer made them (RFC 5280, RFC 6960, RFC 5019).
"""

import base64
import binascii
from typing import Annotated

from cryptography.x509 import ocsp
from fastapi import APIRouter, Path, Request, Response

from api.guard import Services
from storage.certificate import RevocationList
from storage.errors import NotFound

router = APIRouter(prefix="/pki", include_in_schema=False)

_CRL, _RESPONSE = "application/pkix-crl", "application/ocsp-response"
_MAX_QUESTION = 2048
_MALFORMED = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.MALFORMED_REQUEST)
_UNAUTHORIZED = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED)
"""RFC 5019 section 2.2.3: there is nothing signed about this certificate."""


@router.get("/chargers.crl")
async def revocation_list(services: Services) -> Response:
    """The newest list of the authority that issues chargers' certificates now, DER."""
    newest = await services.certificates.newest_list()
    if newest is None:
        raise NotFound("revocation list", "chargers.crl", hint="The signer signs the first one in a moment.")
    return _listed(services, newest)


@router.get("/{issuer}.crl")
async def revocation_list_of(
    services: Services, issuer: Annotated[str, Path(pattern="^[0-9a-f]{64}$")]
) -> Response:
    """The newest list of one authority, by the SHA-256 of its key: also of one that issues no more."""
    newest = await services.certificates.newest_list(issuer)
    if newest is None:
        raise NotFound("revocation list", f"{issuer}.crl", hint="See them all: ampwave cert lists.")
    return _listed(services, newest)


def _listed(services: Services, newest: RevocationList) -> Response:
    left = int((newest.next_update - services.clock()).total_seconds())
    headers = {"Cache-Control": f"public, max-age={max(0, min(300, left))}"}
    return Response(newest.der, media_type=_CRL, headers=headers)


@router.post("/ocsp")
async def ask(request: Request, services: Services) -> Response:
    """RFC 6960 appendix A.1, by POST."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_QUESTION:
            return _said(_MALFORMED)
    return await _answered(services, bytes(body))


@router.get("/ocsp/{question:path}")
async def ask_by_address(services: Services, question: Annotated[str, Path(max_length=3000)]) -> Response:
    """The same by GET: the request in base64, which caches on the way may keep."""
    try:
        der = base64.b64decode(question.replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError):
        return _said(_MALFORMED)
    return await _answered(services, der)


async def _answered(services: Services, der: bytes) -> Response:
    try:
        question = ocsp.load_der_ocsp_request(der)
        serial = f"{question.serial_number:X}"
    except (ValueError, TypeError, NotImplementedError):
        # More than one certificate at once: RFC 5019 asks for one.
        return _said(_MALFORMED)
    known = await services.certificates.status_answer(serial)
    if known is None or not _same_issuer(question, known.der):
        return _said(_UNAUTHORIZED)
    left = int((known.next_update - services.clock()).total_seconds())
    if left <= 0:
        return _said(_UNAUTHORIZED)
    # Short, so that a revocation reaches whoever asks again.
    headers = {"Cache-Control": f"public, max-age={min(60, left)}, must-revalidate"}
    return Response(known.der, media_type=_RESPONSE, headers=headers)


def _same_issuer(question: ocsp.OCSPRequest, der: bytes) -> bool:
    """Two authorities may use one serial number; CertIDs in SHA-1 are what we answer (RFC 5019 2.1.1)."""
    answer = ocsp.load_der_ocsp_response(der)
    return (
        question.hash_algorithm.name == answer.hash_algorithm.name
        and question.issuer_key_hash == answer.issuer_key_hash
        and question.issuer_name_hash == answer.issuer_name_hash
    )


def _said(response: ocsp.OCSPResponse) -> Response:
    from cryptography.hazmat.primitives.serialization import Encoding

    headers = {"Cache-Control": "no-store"}
    return Response(response.public_bytes(Encoding.DER), media_type=_RESPONSE, headers=headers)
