"""An outside authority behind Enrollment over Secure Transport (RFC 7030): cacerts, simpleenroll, reenroll.

It decides what is in a certificate; we decide what is asked for, and look at what comes back before a charger
gets it: for this very key and name, by an authority of theirs, no authority itself.
"""

import base64
import binascii
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime

import httpx2
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.serialization.pkcs7 import load_der_pkcs7_certificates
from cryptography.x509.oid import NameOID

from signing.ca.csr import CsrPolicy, judge_csr
from signing.ca.key import key_digest
from signing.ca.ports import Applicant, CsrJudgement, Issued
from signing.errors import AuthorityBusy, CertificateRefused
from storage.certificate import Certificate, RevocationList, StatusAnswer
from storage.errors import InvalidInput

MAX_ANSWER = 256 * 1024
TIMEOUT_S = 30.0
MOST_WAIT_S = 3600.0
"""However long a server asks us to wait, we look again after that."""
_DEFAULT_WAIT_S = 60.0
_MAX_CHAIN = 8
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error, x509.DuplicateExtension)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What a server said, read whole and bounded."""

    status: int
    headers: httpx2.Headers
    content: bytes


@dataclass(frozen=True, slots=True)
class EstServer:
    """How it is reached."""

    url: str
    context: ssl.SSLContext
    label: str | None = None
    basic: tuple[str, str] | None = field(default=None, repr=False)

    def address(self, operation: str) -> str:
        """RFC 7030 section 3.2.2."""
        label = f"/{self.label}" if self.label else ""
        return f"{self.url.rstrip('/')}/.well-known/est{label}/{operation}"


class EstAuthority:
    """``signing.ca.ports.CertificateAuthority`` over an EST server."""

    def __init__(
        self, server: EstServer, policy: CsrPolicy, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        """Raises InvalidInput for an address without TLS: whoever is in between could issue anything."""
        if not server.url.startswith("https://"):
            raise InvalidInput(f"{server.url!r} is no https:// address.", hint="EST is spoken over TLS only.")
        self._server = server
        self._policy = policy
        self._http = httpx2.AsyncClient(
            verify=server.context,
            timeout=TIMEOUT_S,
            follow_redirects=False,
            trust_env=False,
            auth=server.basic,
            transport=transport,
        )

    @property
    def issuer(self) -> None:
        """Its own lists and responders say what it revoked."""
        return

    def judge(self, csr: str, applicant: Applicant) -> CsrJudgement:
        """Whether this is to be issued to this charger, with every reason against it (S53)."""
        return judge_csr(csr, applicant, self._policy)

    async def issue(self, csr: str, applicant: Applicant, now: datetime, *, renews: bool) -> Issued:
        """Have it issued. The same request again is how a 202 is followed up (RFC 7030 section 4.2.3)."""
        judged = self.judge(csr, applicant)
        if judged.problems:
            raise CertificateRefused(f"Not issued: {'; '.join(judged.problems)}.")
        authorities = await self._authorities()
        operation = "simplereenroll" if renews else "simpleenroll"
        answer = await self._ask("POST", operation, _body(csr))
        if answer.status == httpx2.codes.ACCEPTED:
            wait = retry_after(answer.headers.get("retry-after"), now)
            raise AuthorityBusy("The authority has not decided yet.", retry_after_s=wait)
        found = _certificates(answer)
        return _checked(found, authorities, judged, csr, now)

    async def _authorities(self) -> Sequence[x509.Certificate]:
        answer = await self._ask("GET", "cacerts", None)
        return _certificates(answer)

    async def _ask(self, method: str, operation: str, body: bytes | None) -> _Answer:
        headers = {"Accept": "application/pkcs7-mime"}
        if body is not None:
            headers["Content-Type"] = "application/pkcs10"
            headers["Content-Transfer-Encoding"] = "base64"
        try:
            request = self._http.build_request(
                method, self._server.address(operation), content=body, headers=headers
            )
            answer = await _read(await self._http.send(request, stream=True))
        except (httpx2.HTTPError, ssl.SSLError, OSError) as error:
            raise AuthorityBusy(
                f"The authority's EST server cannot be reached: {type(error).__name__}."
            ) from error
        return _understood(answer, operation)

    async def revocation_list(
        self, _revoked: Sequence[Certificate], _number: int, _now: datetime
    ) -> RevocationList:
        """Never asked for: ``issuer`` is None."""
        raise CertificateRefused("An outside authority signs its own lists.")

    def named_in(self, _signed: RevocationList) -> frozenset[str]:
        """Never asked for: ``issuer`` is None."""
        raise CertificateRefused("An outside authority signs its own lists.")

    async def status_answers(
        self, _certificates: Sequence[Certificate], _now: datetime
    ) -> Sequence[StatusAnswer]:
        """Never asked for: ``issuer`` is None."""
        raise CertificateRefused("An outside authority answers for itself.")

    async def close(self) -> None:
        """Let go of its connections."""
        await self._http.aclose()


async def _read(answer: httpx2.Response) -> _Answer:
    """The body, bounded."""
    parts, length = [], 0
    try:
        async for part in answer.aiter_bytes():
            length += len(part)
            if length > MAX_ANSWER:
                raise AuthorityBusy(f"The EST server answers with more than {MAX_ANSWER} bytes.")
            parts.append(part)
    finally:
        await answer.aclose()
    return _Answer(answer.status_code, answer.headers, b"".join(parts))


def _understood(answer: _Answer, operation: str) -> _Answer:
    status = answer.status
    if status in (httpx2.codes.OK, httpx2.codes.ACCEPTED):
        return answer
    if status == httpx2.codes.TOO_MANY_REQUESTS or status >= httpx2.codes.INTERNAL_SERVER_ERROR:
        raise AuthorityBusy(f"The authority's EST server said {status} to {operation}.")
    if status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
        # Nothing is wrong with the charger: somebody mends our credentials, and it goes on.
        raise AuthorityBusy(f"The authority's EST server does not know us ({status}): check signer_est_*.")
    raise CertificateRefused(f"The authority refused: {status} to {operation}. {_words(answer)}".strip())


def _words(answer: _Answer) -> str:
    """RFC 7030 section 4.2.3: a refusal may have a text for people."""
    if not answer.headers.get("content-type", "").startswith("text/plain"):
        return ""
    return " ".join(answer.content[:200].decode("utf-8", "replace").split())


def retry_after(value: str | None, now: datetime) -> float:
    """Seconds to wait, from seconds or a date (RFC 9110 section 10.2.3), bounded."""
    if not value:
        return _DEFAULT_WAIT_S
    if value.strip().isascii() and value.strip().isdigit():
        seconds = float(value[:12])
    else:
        try:
            seconds = (parsedate_to_datetime(value) - now).total_seconds()
        except (ValueError, TypeError):
            return _DEFAULT_WAIT_S
    return min(max(1.0, seconds), MOST_WAIT_S)


def _body(csr: str) -> bytes:
    """RFC 7030 section 4.2.1: the request in DER, base64."""
    der = x509.load_pem_x509_csr(csr.encode()).public_bytes(Encoding.DER)
    return base64.encodebytes(der)


def _certificates(answer: _Answer) -> Sequence[x509.Certificate]:
    """RFC 7030 section 4.1.3: certificates only, in PKCS#7, base64; some servers send DER as it is."""
    data = answer.content
    try:
        der = data if data[:1] == b"\x30" else base64.b64decode(b"".join(data.split()), validate=True)
        found = load_der_pkcs7_certificates(der)
    except _UNREADABLE as error:
        raise AuthorityBusy("The authority's EST server answered with what are no certificates.") from error
    if not 0 < len(found) <= _MAX_CHAIN:
        raise AuthorityBusy(f"The authority's EST server answered with {len(found)} certificates.")
    return found


def _checked(
    found: Sequence[x509.Certificate],
    authorities: Sequence[x509.Certificate],
    judged: CsrJudgement,
    csr: str,
    now: datetime,
) -> Issued:
    """The certificate for this request, with what is between it and the root."""
    wanted = _spki(x509.load_pem_x509_csr(csr.encode()).public_key())
    leaf = next((each for each in found if _spki(each.public_key()) == wanted), None)
    if leaf is None:
        raise CertificateRefused("The authority answered with a certificate for another key.")
    names = [each.value for each in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [judged.common_name]:
        raise CertificateRefused("The authority answered with a certificate for another name.")
    if _is_authority(leaf):
        raise CertificateRefused("The authority answered with a certificate of an authority.")
    if leaf.not_valid_after_utc <= now:
        raise CertificateRefused("The authority answered with a certificate that has expired.")
    above = _path(leaf, (*found, *authorities))
    if not above:
        raise CertificateRefused("The certificate is by none of the authorities that its server names.")
    chain = [leaf, *(each for each in above if each.subject != each.issuer)]
    return Issued(
        serial=f"{leaf.serial_number:X}",
        issuer=key_digest(above[0]),
        key_sha256=judged.key_sha256,
        chain="".join(each.public_bytes(Encoding.PEM).decode() for each in chain),
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
    )


def _path(leaf: x509.Certificate, known: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    path: list[x509.Certificate] = []
    child = leaf
    while len(path) < _MAX_CHAIN:
        parent = next((each for each in known if _issued(child, each)), None)
        if parent is None or parent in path:
            return path
        path.append(parent)
        child = parent
    return path


def _issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    if not _is_authority(parent):
        return False
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, *_UNREADABLE):
        return False


def _spki(key: object) -> bytes:
    public: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]  # any public key
    return public
